"""The bare reader in bulk: it goes on exactly behind the whole batches it was given, in every partition, and begins anew."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from ottla.protocol import fetch
from ottla.protocol.messages import decode_request_header
from support.broker import BrokerProcess

from bench.load import wire
from bench.load.bulk_reader import Places, count_records, read_in_bulk, write

TOPIC = UUID(int=7)
CUT = 40


def log_of(counts: list[int]) -> list[bytes]:
    """Batches of so many records, one behind the other."""
    batches, offset = [], 0
    for count in counts:
        batch = bytearray(wire.batch(count, 10))
        struct.pack_into(">q", batch, 0, offset)
        batches.append(bytes(batch))
        offset += count
    return batches


def answer(records: dict[int, bytes], *, end: int, error: int = 0) -> memoryview:
    """What a broker says of these partitions, each of whose logs ends there."""
    told = [
        fetch.FetchAnswer(
            index,
            error=error,
            high_watermark=end,
            last_stable_offset=end,
            log_start_offset=0,
            aborted=None,
            records=each,
        )
        for index, each in records.items()
    ]
    parts = fetch.write_response(fetch.FetchResponse(topics=[(TOPIC, told)]), 17)
    return memoryview(struct.pack(">i", 1) + b"\0" + b"".join(part for part in parts if isinstance(part, bytes)))


def asked(places: Places) -> list[tuple[int, int, int]]:
    """Partition, offset and most bytes, as a broker reads the request."""
    frame = memoryview(bytes(places.request())[wire.SIZE.size :])
    header = decode_request_header(frame)
    request = fetch.read_request(frame, header.body_position, header.api_version)
    ((topic, partitions),) = request.topics
    assert (topic, request.max_bytes) == (TOPIC, 50 << 20)
    return [(each.index, each.fetch_offset, each.max_bytes) for each in partitions]


@given(st.lists(st.integers(1, 5), max_size=6), st.integers(0, CUT))
def test_only_whole_batches_are_counted(counts: list[int], cut_bytes: int) -> None:
    part = wire.batch(3, 10)[:cut_bytes]

    assert count_records(memoryview(b"".join(log_of(counts)) + part)) == (sum(counts), sum(counts) if counts else None)


def test_a_reader_goes_on_behind_what_it_was_given_and_where_nothing_came_it_asks_again() -> None:
    places = Places(TOPIC, 3)
    first, second = log_of([4, 2])

    count = places.take(answer({0: first, 1: first + second + first[:CUT], 2: b""}, end=100))

    assert count == 4 + 6
    assert asked(places) == [(0, 4, 1 << 20), (1, 6, 1 << 20), (2, 0, 1 << 20)]


def test_a_partition_that_was_read_to_its_end_is_begun_anew() -> None:
    places = Places(TOPIC, 2)
    first, second = log_of([4, 2])

    places.take(answer({0: first + second, 1: first}, end=6))

    assert places.offsets == [0, 4]


def test_a_partition_that_is_refused_is_an_error_and_not_an_empty_one() -> None:
    with pytest.raises(RuntimeError, match="error 3"):
        Places(TOPIC, 1).take(answer({0: b""}, end=0, error=3))


def test_what_was_written_is_read_again_and_again_and_a_topic_that_is_none_is_not_deleted(tmp_path: Path) -> None:
    batch = wire.batch(10, 100)
    with BrokerProcess(tmp_path / "ottla") as broker:
        topic = wire.create_topic(broker.bootstrap, "old", partitions=2)
        write(broker.bootstrap, topic, partitions=2, batch=batch, size_bytes=6 * len(batch))
        read = read_in_bulk(broker.bootstrap, topic, partitions=2, seconds=0.1)
        wire.delete_topic(broker.bootstrap, "old")
        with pytest.raises(RuntimeError, match="UNKNOWN_TOPIC"):
            wire.delete_topic(broker.bootstrap, "old")

    assert read.records >= 60
    assert read.records % 60 == 0
