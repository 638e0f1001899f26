"""A producer as its user meets it: what is taken, where it goes, and every way in which it can fail.

The brokers are the model's, time is virtual; what a bad network does to it is told in test_exactly_once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from ottla.client.delivery import RecordMetadata
from ottla.client.errors import (
    BufferFull,
    CannotConnect,
    ClientClosed,
    DeliveryTimedOut,
    RecordTooLarge,
    UnsupportedApi,
)
from ottla.client.partitioner import partition_for_key
from ottla.client.producer import Producer
from ottla.client.serializers import to_json
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.records import TimestampType
from support.fake_network import FakeNetwork, Faults
from support.model_broker import ModelCluster
from support.virtual_loop import run_virtually

NOW_MS = 1_700_000_000_000


class World:
    """One topic `t` of four partitions on a calm network."""

    def __init__(self) -> None:
        self.cluster = ModelCluster({"t": 4})
        self.network = FakeNetwork(Random(1), Faults(max_delay_s=0.001))
        self.network.listen(self.cluster.address_of(1), lambda: self.cluster.accept(1))

    def producer(self, **settings: Any) -> Producer[Any, Any]:
        return Producer(
            [self.cluster.address_of(1)],
            network=self.network,
            random=Random(1),
            clock_ns=lambda: NOW_MS * 1_000_000 + 999_999,
            **settings,
        )

    def asked(self, key: ApiKey) -> int:
        return sum(each is key for each, _ in self.cluster.asked)


def run(test: Callable[[World, Producer[Any, Any]], Awaitable[None]], **settings: Any) -> World:
    """Run a test with a producer that has started, and stop it."""
    world = World()

    async def scenario() -> None:
        async with world.producer(**settings) as producer:
            await test(world, producer)
        await asyncio.sleep(1)  # with acks 0 what was written may still be under way

    run_virtually(scenario())
    return world


# -- what is taken, and where it goes


def test_a_record_is_taken_at_once_and_its_delivery_tells_where_it_was_written() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        first = await producer.send("t", b"a", b"k", headers=[("h", b"1"), ("h", None)])
        second = await producer.send("t", b"b", b"k", timestamp_ms=5)
        partition = partition_for_key(b"k", 4)

        assert await first == RecordMetadata("t", partition, 0, NOW_MS, TimestampType.CREATE_TIME, 0)
        assert (await second).timestamp == 5
        records = world.cluster.partitions["t", partition].records
        assert [(r.key, r.value, r.timestamp, tuple(r.headers)) for r in records] == [
            (b"k", b"a", NOW_MS, (("h", b"1"), ("h", None))),
            (b"k", b"b", 5, ()),
        ]

    run(test)


def test_serializers_make_bytes_and_null_stays_null() -> None:
    async def test(world: World, producer: Producer[str, dict[str, int]]) -> None:
        await producer.send_and_wait("t", {"n": 1}, "key", partition=0)
        await producer.send_and_wait("t", None, "key", partition=0)

        records = world.cluster.partitions["t", 0].records
        assert [(record.key, record.value) for record in records] == [(b"key", b'{"n":1}'), (b"key", None)]

    run(test, key_serializer=str.encode, value_serializer=to_json)


def test_a_partition_can_be_named_or_chosen_by_a_function_of_ones_own() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        assert (await producer.send_and_wait("t", b"a", partition=3)).partition == 3
        assert (await producer.send_and_wait("t", b"a", b"key")).partition == 2
        assert await producer.partitions_for("t") == {0, 1, 2, 3}
        with pytest.raises(ValueError, match="topic t has no partition 4, it has 4"):
            await producer.send("t", b"a", partition=4)

    run(test, partitioner=lambda key, every, available: 2)


@pytest.mark.parametrize("acks", [0, 1, "all"])
@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_and_every_acks(acks: Any, codec: Any) -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        written = [await producer.send("t", b"value %d" % number, partition=0) for number in range(100)]
        await producer.flush()

        assert {delivery.result().offset for delivery in written} == ({-1} if acks == 0 else set(range(100)))

    world = run(test, acks=acks, compression_type=codec)
    assert world.cluster.values("t", 0) == [b"value %d" % number for number in range(100)]


@pytest.mark.parametrize("version", range(3, 14))
def test_brokers_of_every_age_are_written_to(version: int) -> None:
    world = World()
    world.cluster.versions[ApiKey.PRODUCE] = (0, version)
    world.cluster.versions[ApiKey.METADATA] = (0, min(version, 9))

    async def scenario() -> None:
        async with world.producer() as producer:
            await producer.send_and_wait("t", b"a", partition=1)

    run_virtually(scenario())
    assert world.cluster.values("t", 1) == [b"a"]


def test_values_sent_together_are_written_together_and_told_by_ranges() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        values = [b"%d" % number for number in range(5000)]
        bulk = await producer.send_batch(iter(values), "t", partition=2)
        spread = await producer.send_batch(values, "t")
        await producer.flush()

        assert bulk.done()
        assert bulk.count == 5000
        assert sum(each.count for each in await bulk) == 5000
        assert world.cluster.values("t", 2)[:5000] == values
        assert {each.partition for each in await spread} == {0, 1, 2, 3}
        with pytest.raises(TypeError, match="values must be bytes"):
            await producer.send_batch(["text"], "t")

    world = run(test, batch_size=2_000)
    assert len(world.cluster.all_values()) == 10_000


def test_records_given_together_go_together() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        written = [await producer.send("t", b"x", partition=0) for _ in range(50)]
        await asyncio.gather(*written)

        assert world.asked(ApiKey.PRODUCE) == 1

    run(test)


REFUSED_AT_ONCE = {
    "a time in seconds": ({"timestamp_ms": 1_700_000_000.5}, "timestamp_ms is a float, not an int"),
    "a time beyond 64 bits": ({"timestamp_ms": 2**63}, "does not fit into 64 bits"),
    "headers in a dictionary": ({"headers": {"a": b"b"}}, "headers are a list of pairs, not a dict"),
    "a header of text": ({"headers": [("a", "b")]}, r"pair of a str and bytes \(or None\), not \('a', 'b'\)"),
    "a header without content": ({"headers": [("a",)]}, "pair of a str and bytes"),
    "a name of bytes": ({"headers": [(b"a", b"b")]}, "pair of a str and bytes"),
    "a name that is no Unicode": ({"headers": [("\ud800", b"b")]}, "surrogates not allowed"),
}


@pytest.mark.parametrize(("wrong", "words"), REFUSED_AT_ONCE.values(), ids=REFUSED_AT_ONCE)
def test_what_cannot_be_written_is_refused_alone(
    wrong: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        with pytest.raises((TypeError, ValueError), match=words):
            await producer.send("t", b"refused", partition=0, **wrong)
        await producer.flush()
        before = await producer.send("t", b"before", partition=0)
        with pytest.raises((TypeError, ValueError), match=words):
            await producer.send("t", b"refused", partition=0, **wrong)

        assert (await before).offset == 0
        assert (await producer.send_and_wait("t", b"after", partition=0)).offset == 1

    assert run(test).cluster.values("t", 0) == [b"before", b"after"]
    assert caplog.messages == []


@pytest.mark.parametrize("time", [1_700_000_000.5, 2**63])
def test_values_with_a_time_that_cannot_be_written_are_refused(time: Any) -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        with pytest.raises((TypeError, ValueError), match="timestamp_ms"):
            await producer.send_batch([b"refused"], "t", timestamp_ms=time)
        await producer.send_and_wait("t", b"after")

    assert run(test).cluster.all_values() == [b"after"]


@pytest.mark.parametrize("topic", [None, 7, b"t", "\ud800"])
def test_a_topic_that_is_no_name_is_refused_and_others_are_still_found(topic: Any) -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        with pytest.raises((TypeError, UnicodeEncodeError)):
            await producer.send(topic, b"refused")
        await producer.send_and_wait("t", b"after")

    assert run(test).cluster.all_values() == [b"after"]


# -- deliveries are futures


def test_deliveries_can_be_gathered_waited_for_and_timed_out() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        written = [await producer.send("t", b"%d" % number, partition=0) for number in range(3)]
        results = await asyncio.gather(*written)
        done, _ = await asyncio.wait(written)
        heard: list[Any] = []
        written[0].add_done_callback(heard.append)
        await asyncio.sleep(0)

        assert [each.offset for each in results] == [0, 1, 2]
        assert done == set(written)
        assert heard == [written[0]]
        assert asyncio.isfuture(written[0])

        world.cluster.deaf.add(ApiKey.PRODUCE)
        late = await producer.send("t", b"late", partition=0)
        with pytest.raises(asyncio.InvalidStateError):
            late.result()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(late, 1)
        assert late.cancelled()
        world.cluster.deaf.clear()

    assert run(test).cluster.values("t", 0) == [b"0", b"1", b"2", b"late"]


def test_who_is_cancelled_while_waiting_for_a_delivery_stops_at_once_and_the_record_is_written() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        await producer.partitions_for("t")
        waiting = asyncio.create_task(producer.send_and_wait("t", b"a", partition=0))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert run(test).cluster.values("t", 0) == [b"a"]


# -- what is refused


def test_what_cannot_be_sent_is_refused_in_words() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        with pytest.raises(TypeError, match="the value is a str, not bytes; give bytes, or the producer a value_ser"):
            await producer.send("t", "text")
        with pytest.raises(TypeError, match="the key is a int, not bytes"):
            await producer.send("t", b"x", 5)
        with pytest.raises(RecordTooLarge, match=r"more than max_request_size \(10000\)"):
            await producer.send("t", b"x" * 10_000)
        with pytest.raises(RecordTooLarge):
            await producer.send_batch([b"x", b"x" * 10_000], "t")
        with pytest.raises(KafkaError, match="there is no topic missing") as raised:
            await producer.send("missing", b"x")
        assert raised.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        world.cluster.topic_errors["secret"] = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        with pytest.raises(KafkaError, match="topic secret: not authorized"):
            await producer.send("secret", b"x")

    world = run(test, max_request_size=10_000, max_block_ms=2_000)
    assert [value for value in world.cluster.all_values() if value != b"x"] == []


def test_a_refusal_of_the_broker_names_record_partition_and_what_to_do() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        world.cluster.produce_refusals = lambda topic, index: ErrorCode.TOPIC_AUTHORIZATION_FAILED
        delivery = await producer.send("t", b"x", partition=1)
        with pytest.raises(KafkaError, match="record 1 of 1 for t-1: refused by the broker; the topic's ACLs must"):
            await delivery
        world.cluster.produce_refusals = lambda topic, index: ErrorCode.NONE
        assert (await producer.send_and_wait("t", b"y", partition=1)).offset == 0

    run(test)


def test_a_record_too_large_for_the_topic_is_told_so_and_others_of_its_batch_are_written() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        world.cluster.partitions["t", 0].max_batch_bytes = 500
        sizes = (10, 600, 10)
        written = [await producer.send("t", b"x" * size, partition=0) for size in sizes]
        await producer.flush()

        assert written[0].result().offset == 0
        assert isinstance(written[1].exception(), KafkaError)
        assert "raise max.message.bytes of the topic" in str(written[1].exception())
        assert written[2].result().offset == 1

    run(test)


def test_a_failure_that_nobody_asks_about_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        world.cluster.produce_refusals = lambda topic, index: ErrorCode.INVALID_TIMESTAMP
        await producer.send("t", b"x", partition=1)
        await producer.flush()

    with caplog.at_level(logging.ERROR):
        run(test)
    assert "1 record(s) for t-1 were not delivered, and nobody asked why: INVALID_TIMESTAMP" in caplog.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"acks": 2}, "acks=2"),
        ({"acks": 1, "enable_idempotence": True}, "needs acks='all'"),
        ({"compression_type": "brotli"}, "compression_type='brotli'"),
        ({"batch_size": 0}, "batch_size must be more than 0"),
        ({"delivery_timeout_ms": 10}, "delivery_timeout_ms must be at least"),
        ({"max_in_flight_requests_per_connection": 6}, "1 to 5"),
        ({"bootstrap_servers": "nowhere:port"}, "not an address"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_it_is_made(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Producer(**settings)


# -- brokers that are away, or say nothing


def test_nobody_there_at_the_start_is_said_after_the_time() -> None:
    world = World()
    world.network.stop_listening(world.cluster.address_of(1))

    async def scenario() -> None:
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(CannotConnect, match="no broker at broker-1:9092: Connection refused"):
            await world.producer(request_timeout_ms=3_000).start()
        assert 2 < asyncio.get_running_loop().time() - began_s <= 3

    run_virtually(scenario())


def test_a_broker_that_comes_late_is_waited_for() -> None:
    world = World()
    address = world.cluster.address_of(1)
    world.network.stop_listening(address)

    async def scenario() -> None:
        asyncio.get_running_loop().call_later(5, world.network.listen, address, lambda: world.cluster.accept(1))
        async with world.producer() as producer:
            await producer.send_and_wait("t", b"a", partition=0)

    run_virtually(scenario())
    assert world.cluster.values("t", 0) == [b"a"]


def test_an_answer_that_never_comes_is_asked_for_again_and_the_record_written_once() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        await producer.send_and_wait("t", b"a", partition=0)
        world.cluster.silent.add(ApiKey.PRODUCE)
        asyncio.get_running_loop().call_later(10, world.cluster.silent.clear)
        delivery = await producer.send("t", b"b", partition=0)

        assert (await delivery).offset == 1

    assert run(test, request_timeout_ms=4_000).cluster.values("t", 0) == [b"a", b"b"]


def test_a_record_is_given_up_after_its_time_and_says_what_was_tried() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        world.cluster.deaf.add(ApiKey.PRODUCE)
        delivery = await producer.send("t", b"a", partition=0)
        with pytest.raises(DeliveryTimedOut, match=r"record 1 of 1 for t-0: .*sent 3 time.*did not answer PRODUCE"):
            await delivery

    run(test, request_timeout_ms=4_000, delivery_timeout_ms=9_000)


def test_a_buffer_that_was_sent_may_be_used_for_the_next_record_at_once() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        key, value = bytearray(b"k1"), bytearray(b"v1")
        for number in (b"1", b"2"):
            key[1:], value[1:] = number, number
            await producer.send("t", memoryview(value), key, partition=0)
        bulk = await producer.send_batch([value, memoryview(b"v3")], "t", partition=0)
        value[:] = b"??"
        await producer.flush()
        await bulk

    assert run(test).cluster.values("t", 0) == [b"v1", b"v2", b"v2", b"v3"]


def test_a_full_buffer_holds_senders_back_until_there_is_room_or_their_time_is_up() -> None:
    async def test(world: World, producer: Producer[Any, Any]) -> None:
        world.cluster.deaf.add(ApiKey.PRODUCE)
        for _ in range(10):
            await producer.send("t", b"x" * 100, partition=0)
        with pytest.raises(BufferFull, match=r"buffer_memory \(1150 bytes\) is full"):
            await producer.send("t", b"x", partition=0)
        cancelled = asyncio.create_task(producer.send("t", b"never", partition=0))
        waiting = [asyncio.create_task(producer.send("t", b"%d" % each, partition=0)) for each in range(3)]
        await asyncio.sleep(1)
        assert not any(task.done() for task in waiting)
        cancelled.cancel()
        world.cluster.deaf.clear()

        await asyncio.gather(*waiting)

    world = run(test, buffer_memory=1150, max_block_ms=10_000, request_timeout_ms=5_000)
    assert world.cluster.values("t", 0) == [b"x" * 100] * 10 + [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "enable_idempotence=False"),
        (ErrorCode.INVALID_REQUEST, "no producer id is to be had"),
    ],
)
def test_a_cluster_that_refuses_an_idempotent_producer_is_told_at_the_start(error: ErrorCode, words: str) -> None:
    world = World()
    world.cluster.init_producer_errors = [ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, error]

    async def scenario() -> None:
        with pytest.raises(KafkaError, match=words):
            await world.producer().start()

    run_virtually(scenario())


def test_a_broker_too_old_for_idempotence_is_told_at_the_start() -> None:
    world = World()
    del world.cluster.versions[ApiKey.INIT_PRODUCER_ID]

    async def scenario() -> None:
        with pytest.raises(UnsupportedApi, match="too old for enable_idempotence=True"):
            await world.producer().start()
        async with world.producer(enable_idempotence=False) as producer:
            await producer.send_and_wait("t", b"a", partition=0)

    run_virtually(scenario())


# -- its end


def test_stopping_delivers_what_was_taken_and_takes_no_more() -> None:
    world = World()

    async def scenario() -> None:
        producer = world.producer(linger_ms=60_000, delivery_timeout_ms=200_000)
        with pytest.raises(ClientClosed, match="not started"):
            await producer.send("t", b"x")
        await producer.start()
        delivery = await producer.send("t", b"a", partition=0)
        await producer.stop()
        await producer.stop()

        assert delivery.result().offset == 0
        with pytest.raises(ClientClosed, match="closed"):
            await producer.send("t", b"x")
        with pytest.raises(ClientClosed, match="started once"):
            await producer.start()

    run_virtually(scenario())


def test_who_waits_for_room_while_it_is_stopped_is_told() -> None:
    world = World()

    async def scenario() -> None:
        producer = world.producer(buffer_memory=100)
        await producer.start()
        world.cluster.deaf.add(ApiKey.PRODUCE)
        await producer.send("t", b"x" * 100, partition=0)
        waiting = [asyncio.create_task(producer.send("t", b"y", partition=0)) for _ in range(3)]
        await asyncio.sleep(1)
        stopping = asyncio.create_task(producer.stop())
        for task in waiting:
            with pytest.raises(ClientClosed):
                await task
        world.cluster.deaf.clear()
        await stopping

    run_virtually(scenario())
    assert world.cluster.values("t", 0) == [b"x" * 100]


def test_a_stop_that_is_cancelled_gives_up_what_is_left() -> None:
    world = World()

    async def scenario() -> None:
        producer = world.producer()
        await producer.start()
        world.cluster.deaf.add(ApiKey.PRODUCE)
        delivery = await producer.send("t", b"x", partition=0)
        stopping = asyncio.create_task(producer.stop())
        await asyncio.sleep(1)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        with pytest.raises(ClientClosed, match="record 1 of 1 for t-0: the producer was closed before"):
            await delivery

    run_virtually(scenario())
