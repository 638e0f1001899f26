"""Our client and Kafka's Java client: each reads what the other writes, and as members of a group they share its partitions.

The Java client is Kafka's console producer and console consumer, all in one Java machine, one tool at a time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from interop.java_console import JavaConsole
from interop.messages import CODECS, Message, contents, numbered
from interop.topics import create_topic
from ottla import Admin, Consumer, Producer
from ottla.client.admin.group_values import GroupDescription
from support.apache_kafka import ApacheKafka, why_java_is_absent
from support.broker import BrokerProcess
from support.consuming import run, texts, until, write_evenly
from support.java_tools import JavaTools

pytestmark = [
    pytest.mark.interop,
    pytest.mark.java,
    pytest.mark.skipif(why_java_is_absent() is not None, reason=why_java_is_absent() or ""),
]

MakeTopic = Callable[..., str]
NewBroker = Callable[[dict[str, str]], BrokerProcess | ApacheKafka]

PARTITIONS = 6
QUICK_GROUPS = {
    "group.consumer.min.heartbeat.interval.ms": "200",
    "group.consumer.heartbeat.interval.ms": "200",
    "group.consumer.assignment.interval.ms": "100",
    "group.initial.rebalance.delay.ms": "0",
}
ASSIGNORS = {
    "range": "org.apache.kafka.clients.consumer.RangeAssignor",
    "cooperative-sticky": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
}
VARIED = [
    Message(key=b"k", value=b"v" * 3000, headers=(("h", b"1"), ("h", b"2"), ("nothing", None))),
    Message(key=None, value=b""),
    Message(key=b"", value=None, headers=(("empty", b""),)),
    Message(key="ключ".encode(), value="значение".encode()),
    *numbered(40),
]


@pytest.fixture
def java(tools: JavaTools) -> JavaConsole:
    return JavaConsole(tools)


@pytest.mark.parametrize("codec", CODECS)
def test_what_java_writes_our_consumer_reads(
    codec: str, java: JavaConsole, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=codec)
    java.produce(bootstrap, topic, VARIED, codec=codec)

    async def read() -> list[Message]:
        async with Consumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
            records = [await consumer.getone() for _ in VARIED]
        return [Message(key=each.key, value=each.value, headers=tuple(each.headers)) for each in records]

    assert contents(run(read())) == contents(VARIED)


@pytest.mark.parametrize("codec", CODECS)
def test_what_our_producer_writes_java_reads(
    codec: str, java: JavaConsole, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=codec)

    async def write() -> None:
        async with Producer(bootstrap, compression_type=codec) as producer:
            for each in VARIED:
                await producer.send(topic, each.value, key=each.key, headers=each.headers)

    run(write())
    read = java.read(bootstrap, topic, count=len(VARIED))
    assert contents(read) == contents(VARIED)
    assert [each.offset for each in read] == list(range(len(VARIED)))


def test_of_our_transactions_java_reads_what_was_committed_and_passes_over_the_rest(
    java: JavaConsole, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic()

    async def write() -> None:
        async with Producer(bootstrap, transactional_id=topic) as producer:
            for end in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
                await producer.begin_transaction()
                for value in (b"1", b"2"):
                    await producer.send_and_wait(topic, value, partition=0)
                await end()

    run(write())
    # Each transaction is two records and the marker of its end.
    committed = java.read(bootstrap, topic, count=4, isolation="read_committed")
    assert [each.offset for each in committed] == [0, 1, 6, 7]
    assert [each.offset for each in java.read(bootstrap, topic, count=6)] == [0, 1, 3, 4, 6, 7]


@pytest.fixture(scope="module")
def quick(new_broker: NewBroker) -> Iterator[str]:
    """A broker whose groups of either protocol settle soon: its bootstrap."""
    with new_broker(QUICK_GROUPS) as started:
        yield started.bootstrap


def of_ours(way: str) -> dict[str, Any]:
    """How our consumer is told the way of sharing."""
    if way == "consumer":
        return {"group_protocol": "consumer"}
    return {"partition_assignment_strategy": [way], "heartbeat_interval_ms": 200}


def of_javas(way: str) -> dict[str, str]:
    """The same for Java's."""
    if way == "consumer":
        return {"group.protocol": "consumer"}
    return {"partition.assignment.strategy": ASSIGNORS[way], "heartbeat.interval.ms": "200"}


async def settled(bootstrap: str, group: str, shares: list[int]) -> None:
    """Return when the group has come to rest with members of so many partitions each, as the broker tells it."""
    async with Admin(bootstrap) as admin:
        while True:
            described = (await admin.describe_groups([group]))[group]
            if isinstance(described, GroupDescription) and described.state == "Stable":
                found = [len(each.assignment or ()) for each in described.members]
                if found == shares:
                    return
            await asyncio.sleep(0.05)  # another process's group has no event to wait for


async def take(consumer: Consumer[bytes, bytes], read: Counter[str]) -> None:
    async for record in consumer:
        read[record.value.decode()] += 1


@pytest.mark.parametrize("way", [*ASSIGNORS, "consumer"])
@pytest.mark.parametrize("first", ["ours", "java"])
def test_our_consumer_and_javas_share_a_group_and_every_record_is_read_once(
    way: str, first: str, java: JavaConsole, quick: str, topic_name: Callable[..., str]
) -> None:
    """Java's reads its half and leaves; ours then takes over where Java's committed, and reads none of that again."""
    topic = group = topic_name(f"{way}-{first}")
    create_topic(quick, topic, partitions=PARTITIONS)
    early, late = texts("early", 180), texts("late", 60)
    common: dict[str, Any] = {"bootstrap_servers": quick, "group_id": group, "auto_offset_reset": "earliest"}

    def javas() -> asyncio.Task[list[str]]:
        half = len(early) // 2
        return asyncio.create_task(
            asyncio.to_thread(java.read_as_member, quick, topic, group, count=half, settings=of_javas(way))
        )

    async def scenario() -> None:
        read: Counter[str] = Counter()
        async with AsyncExitStack() as stack:
            if first == "java":
                theirs = javas()
                await settled(quick, group, [PARTITIONS])
            ours = await stack.enter_async_context(Consumer(topic, **common, **of_ours(way)))
            reading = asyncio.create_task(take(ours, read))
            if first == "ours":
                await settled(quick, group, [PARTITIONS])
                theirs = javas()
            await settled(quick, group, [PARTITIONS // 2] * 2)
            await asyncio.to_thread(write_evenly, quick, topic, early, PARTITIONS)
            read.update(of_java := await theirs)
            assert len(of_java) == len(early) // 2
            await settled(quick, group, [PARTITIONS])
            await asyncio.to_thread(write_evenly, quick, topic, late, PARTITIONS)
            await until(lambda: read.total() >= len(early + late))
            reading.cancel()
        assert read == Counter(early + late)

    run(scenario())
