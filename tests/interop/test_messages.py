"""What a client writes it reads back: every kind of message, for every client that is not Java."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from interop.every_client import Client, Library, every_client, every_library
from interop.messages import CODECS, MEGABYTE, Message, at_offsets, contents, numbered

pytestmark = pytest.mark.interop

MakeTopic = Callable[..., str]

HOUR_MS = 3_600_000
KEYS_AND_VALUES = [
    Message(key=b"key", value=b"value"),
    Message(key=None, value=b"no key"),
    Message(key=b"no value", value=None),
    Message(key=b"", value=b"empty key"),
    Message(key=b"\x00\xff\xfe binary \r\n", value=bytes(range(256))),
    Message(key="clé".encode(), value="Ottla — Ottilie Kafková, Πράγα, 布拉格 🏰".encode()),
]
HEADERS = [
    Message(value=b"none"),
    Message(value=b"one", headers=(("trace", b"abc"),)),
    Message(value=b"a name twice, in its order", headers=(("a", b"2"), ("b", b"x"), ("a", b"1"))),
    Message(value=b"empty value", headers=(("empty", b""),)),
    Message(value=b"not ascii", headers=(("größe", "zwölf".encode()),)),
    Message(value=b"many", headers=tuple((f"h{n}", b"v" * n) for n in range(1, 100))),
]


@pytest.mark.parametrize("codec", CODECS)
@every_client
def test_messages_of_every_codec_come_back(client: Client, codec: str, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=f"{client.name} {codec}")
    sent = numbered(200)

    client.produce(bootstrap, topic, sent, codec=codec)

    received = client.read(bootstrap, topic, count=len(sent))
    assert contents(received) == contents(sent)
    assert [message.offset for message in received] == list(range(len(sent)))


@every_client
def test_null_empty_and_binary_keys_and_values_come_back(client: Client, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=client.name)
    client.produce(bootstrap, topic, KEYS_AND_VALUES)
    assert contents(client.read(bootstrap, topic, count=len(KEYS_AND_VALUES))) == contents(KEYS_AND_VALUES)


@every_library
def test_an_empty_value_is_not_a_null_value(client: Library, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=client.name)
    sent = [Message(key=b"k", value=b""), Message(key=b"k", value=None), Message(value=b"")]
    client.produce(bootstrap, topic, sent)
    assert contents(client.read(bootstrap, topic, count=3)) == contents(sent)


@every_client
def test_headers_come_back_in_their_order(client: Client, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=client.name)
    client.produce(bootstrap, topic, HEADERS)
    assert contents(client.read(bootstrap, topic, count=len(HEADERS))) == contents(HEADERS)


@every_client
def test_a_null_header_value_comes_back(client: Client, bootstrap: str, make_topic: MakeTopic) -> None:
    if not client.writes_null_headers:
        pytest.skip(f"{client.name} refuses to write them")
    topic = make_topic(word=client.name)
    sent = [Message(value=b"x", headers=(("null", None), ("a", b"1"), ("null", None)))]
    client.produce(bootstrap, topic, sent)
    assert contents(client.read(bootstrap, topic, count=1)) == contents(sent)


@every_client
def test_sizes_from_one_byte_to_ten_megabytes_come_back(client: Client, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=client.name, config={"max.message.bytes": str(12 * MEGABYTE)})
    noise = random.Random(4)
    sizes = (1, 60, 4096, 65_537, MEGABYTE, 10 * MEGABYTE)
    sent = [Message(value=bytes(65 + (n & 15) for n in noise.randbytes(size))) for size in sizes]

    client.produce(bootstrap, topic, sent, max_bytes=12 * MEGABYTE)

    received = client.read(bootstrap, topic, count=len(sent), max_bytes=12 * MEGABYTE)
    assert [len(message.value or b"") for message in received] == list(sizes)
    assert contents(received) == contents(sent)


@every_client
def test_a_message_larger_than_one_fetch_allows_is_read_nevertheless(
    client: Client, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=client.name)
    sent = [Message(value=b"x" * 500_000), Message(value=b"y")]
    client.produce(bootstrap, topic, sent)
    assert contents(client.read(bootstrap, topic, count=2, max_bytes=10_000)) == contents(sent)


@every_client
def test_a_message_above_max_message_bytes_is_refused(client: Client, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=client.name, config={"max.message.bytes": "10000"})
    client.produce(bootstrap, topic, [Message(value=b"x" * 9_000)])

    with pytest.raises(Exception, match=r"(?i)too.?large") as refusal:
        client.produce(bootstrap, topic, [Message(value=b"x" * 11_000)])

    assert not isinstance(refusal.value, TimeoutError)
    client.produce(bootstrap, topic, [Message(value=b"after")])
    assert [message.offset for message in client.read(bootstrap, topic, count=2)] == [0, 1]


@every_library
def test_the_producers_timestamps_come_back(client: Library, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=client.name)
    now_ms = int(time.time() * 1000)
    times = [now_ms, now_ms - 30 * 24 * HOUR_MS, now_ms - 1, 1_000, now_ms + HOUR_MS // 2]
    sent = [Message(value=b"at its time", timestamp_ms=at) for at in times]

    client.produce(bootstrap, topic, sent)

    assert [message.timestamp_ms for message in client.read(bootstrap, topic, count=len(sent))] == times


@every_client
def test_a_producer_that_gives_no_timestamp_gets_its_own_clock(
    client: Client, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=client.name)
    before_ms = int(time.time() * 1000)
    client.produce(bootstrap, topic, [Message(value=b"now")])
    after_ms = int(time.time() * 1000)

    (received,) = client.read(bootstrap, topic, count=1)

    assert received.timestamp_ms is not None
    assert before_ms <= received.timestamp_ms <= after_ms


@pytest.mark.parametrize("codec", ["none", "zstd"])
@every_library
def test_log_append_time_takes_the_place_of_the_producers_timestamp(
    client: Library, codec: str, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=client.name, config={"message.timestamp.type": "LogAppendTime"})
    before_ms = int(time.time() * 1000)
    client.produce(bootstrap, topic, [Message(value=b"old", timestamp_ms=1_000)] * 3, codec=codec)
    after_ms = int(time.time() * 1000)

    received = client.read(bootstrap, topic, count=3)

    assert all(before_ms <= (message.timestamp_ms or 0) <= after_ms for message in received)


@pytest.mark.parametrize("topic_codec", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
@every_library
def test_a_topic_of_its_own_codec_recompresses_what_it_is_given(
    client: Library, topic_codec: str, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=f"{client.name} {topic_codec}", config={"compression.type": topic_codec})
    sent = [replace(message, headers=(("h", b"v"),)) for message in numbered(20)]
    for codec in ("none", "lz4"):
        client.produce(bootstrap, topic, sent, codec=codec)
    assert contents(client.read(bootstrap, topic, count=40)) == contents(sent + sent)


@every_client
def test_an_idempotent_producer_writes_each_message_once_in_order(
    client: Client, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=client.name)
    sent = numbered(1_000, size_bytes=1_000)
    client.produce(bootstrap, topic, sent, idempotent=True)
    received = client.read(bootstrap, topic, count=len(sent))
    assert contents(received) == contents(sent)
    assert [message.offset for message in received] == list(range(len(sent)))


@pytest.mark.parametrize("acks", ["0", "1", "all"])
@every_client
def test_messages_of_every_kind_of_acknowledgement_arrive(
    client: Client, acks: str, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=f"{client.name} {acks}")
    sent = numbered(20)
    client.produce(bootstrap, topic, sent, acks=acks)
    assert contents(client.read(bootstrap, topic, count=len(sent))) == contents(sent)


@every_library
def test_the_acknowledgement_names_the_offset(client: Library, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=client.name)
    assert client.produce(bootstrap, topic, numbered(3)) == [0, 1, 2]
    assert client.produce(bootstrap, topic, numbered(2), acks="1", codec="gzip") == [3, 4]


@every_client
def test_each_of_many_partitions_keeps_its_own_messages(client: Client, bootstrap: str, make_topic: MakeTopic) -> None:
    partitions = range(0, 50, 16)
    topic = make_topic(word=client.name, partitions=50)
    for partition in partitions:
        client.produce(bootstrap, topic, [Message(value=f"for {partition}".encode())], partition=partition)
    for partition in partitions:
        (received,) = client.read(bootstrap, topic, partition=partition, count=1)
        assert (received.offset, received.value) == (0, f"for {partition}".encode())


@every_client
def test_reading_may_begin_at_any_offset_also_inside_a_batch(
    client: Client, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=client.name)
    sent = at_offsets(numbered(50), 0)
    client.produce(bootstrap, topic, sent, codec="gzip")
    for start in (0, 1, 25, 49):
        received = client.read(bootstrap, topic, offset=start, count=50 - start)
        assert [message.offset for message in received] == list(range(start, 50))
        assert contents(received) == contents(sent[start:])


@every_client
def test_a_reader_at_the_end_gets_what_is_written_while_it_waits(
    client: Client, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=client.name)
    received: list[Message] = []
    reader = threading.Thread(target=lambda: received.extend(client.read(bootstrap, topic, count=2)))
    reader.start()
    try:
        for value in (b"first", b"second"):
            client.produce(bootstrap, topic, [Message(value=value)])
    finally:
        reader.join()
    assert [message.value for message in received] == [b"first", b"second"]


@every_client
def test_writing_to_a_topic_that_is_not_there_creates_it(
    client: Client, bootstrap: str, topic_name: Callable[..., str]
) -> None:
    topic = topic_name(client.name)
    client.produce(bootstrap, topic, [Message(value=b"hello")])
    assert [message.value for message in client.read(bootstrap, topic, count=1)] == [b"hello"]
