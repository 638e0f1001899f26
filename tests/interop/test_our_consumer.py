"""Our consumer: what others write it reads, and with their consumers it shares groups, whoever of them leads."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import aiokafka
import confluent_kafka
import kafka
import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from confluent_kafka.admin import AdminClient
from interop.every_client import Library, every_library
from interop.messages import Message
from interop.topics import create_topic
from ottla import Consumer
from support.broker import BrokerProcess
from support.consuming import run, texts, until, write_evenly

PARTITIONS = 6


@every_library
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_others_write_it_reads(client: Library, codec: str, broker: BrokerProcess) -> None:
    topic = f"ours-{uuid.uuid4()}"
    create_topic(broker.bootstrap, topic)
    headers = (("h", b"1"), ("h", b""))
    written = [
        Message(key=b"k", value=b"v" * 1000, headers=headers),
        Message(key=None, value=b""),
        Message(key=b"", value=None),
        Message(key=b"\xff", value=b"\x00" * 3000),
    ]
    client.produce(broker.bootstrap, topic, written, codec=codec)

    async def scenario() -> None:
        async with Consumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as reader:
            read = [await reader.getone() for _ in written]
            assert [(r.key, r.value, r.headers) for r in read] == [(m.key, m.value, tuple(m.headers)) for m in written]

    run(scenario())


class Others:
    """Consumers of other clients in a group, each in a thread of its own, until `stop`."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[[Others], None]) -> None:
        thread = threading.Thread(target=work, args=(self,))
        self._threads.append(thread)
        thread.start()

    @property
    def goes_on(self) -> bool:
        return not self._stopping.is_set()

    def stop(self) -> None:
        self._stopping.set()
        for each in self._threads:
            each.join(30)
            assert not each.is_alive()


def with_confluent(bootstrap: str, topic: str, group: str, strategy: str) -> Callable[[Others], None]:
    def work(others: Others) -> None:
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": strategy,
            "heartbeat.interval.ms": 200,
        }
        consumer = confluent_kafka.Consumer(settings)
        consumer.subscribe([topic])
        while others.goes_on:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                others.read[message.value().decode()] += 1
        consumer.close()

    return work


def with_kafka_python(bootstrap: str, topic: str, group: str, strategy: str) -> Callable[[Others], None]:
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
    from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

    assignors = {
        each.name: each for each in (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor)
    }

    def work(others: Others) -> None:
        consumer = kafka.KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[assignors[strategy]],
            heartbeat_interval_ms=200,
        )
        while others.goes_on:
            # In one poll until it has joined, see `committing_readers`.
            for records in consumer.poll(timeout_ms=100 if consumer.assignment() else 1_000).values():
                others.read.update(record.value.decode() for record in records)
        consumer.close()

    return work


def with_aiokafka(bootstrap: str, topic: str, group: str, strategy: str) -> Callable[[Others], None]:
    assert strategy == "roundrobin"

    async def read(others: Others) -> None:
        consumer = aiokafka.AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            heartbeat_interval_ms=200,
        )
        await consumer.start()
        while others.goes_on:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                others.read.update(record.value.decode() for record in records)
        await consumer.stop()

    return lambda others: asyncio.run(read(others))


@contextlib.contextmanager
def running(*work: Callable[[Others], None]) -> Iterator[Others]:
    others = Others()
    try:
        for each in work:
            others.add(each)
        yield others
    finally:
        others.stop()


MIXES = [
    ("range", (with_confluent, with_kafka_python)),
    ("roundrobin", (with_confluent, with_kafka_python, with_aiokafka)),
    ("sticky", (with_kafka_python,)),
    ("cooperative-sticky", (with_confluent,)),
]


@pytest.mark.parametrize(("strategy", "others"), MIXES, ids=lambda each: each if isinstance(each, str) else "")
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_it_shares_a_group_with_others_and_every_record_is_read_once(
    strategy: str, others: tuple[Any, ...], first: str, broker: BrokerProcess
) -> None:
    """Who comes first leads; every member has its share, and while all are there each record goes to one of them."""
    topic, group = f"mixed-{uuid.uuid4()}", f"mixed-{uuid.uuid4()}"
    create_topic(broker.bootstrap, topic, partitions=PARTITIONS)
    work = [each(broker.bootstrap, topic, group, strategy) for each in others]
    share = PARTITIONS // (len(work) + 1)
    values = texts("v", 180)
    read: Counter[str] = Counter()

    async def take(reader: Consumer[bytes, bytes]) -> None:
        async for record in reader:
            read[(record.value or b"").decode()] += 1

    def consumer() -> Consumer[bytes, bytes]:
        return Consumer(
            topic,
            bootstrap_servers=broker.bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[strategy],
            heartbeat_interval_ms=200,
        )

    async def scenario(theirs: Others) -> None:
        async with consumer() as ours:
            reading = asyncio.create_task(take(ours))
            if first == "ours":
                await until(lambda: len(ours.assignment()) == PARTITIONS)
                for each in work:
                    theirs.add(each)
            await until(lambda: len(ours.assignment()) == share and is_settled(broker.bootstrap, group, len(work) + 1))
            await asyncio.to_thread(write_evenly, broker.bootstrap, topic, values, PARTITIONS)
            await until(lambda: (read + theirs.read).total() >= len(values))
            assert read + theirs.read == Counter(values)
            assert len(read) == len(values) * share // PARTITIONS  # it was written evenly
            reading.cancel()

    with running(*(work if first == "theirs" else ())) as theirs:
        run(scenario(theirs))


def is_settled(bootstrap: str, group: str, members: int) -> bool:
    """Whether the group is stable with so many members, as the broker tells it."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    described = admin.describe_consumer_groups([group])[group].result(30)
    return len(described.members) == members and described.state.name == "STABLE"


def test_by_the_new_protocol_it_shares_a_group_with_librdkafka(broker: BrokerProcess) -> None:
    """KIP-848: the broker assigns."""
    topic, group = f"new-{uuid.uuid4()}", f"new-{uuid.uuid4()}"
    create_topic(broker.bootstrap, topic, partitions=PARTITIONS)
    values = texts("v", 180)
    read: Counter[str] = Counter()

    def theirs(others: Others) -> None:
        settings = {
            "bootstrap.servers": broker.bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "group.protocol": "consumer",
        }
        consumer = confluent_kafka.Consumer(settings)
        consumer.subscribe([topic])
        while others.goes_on:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                others.read[message.value().decode()] += 1
        consumer.close()

    async def scenario(others: Others) -> None:
        how: dict[str, Any] = {"group_id": group, "auto_offset_reset": "earliest", "group_protocol": "consumer"}
        async with Consumer(topic, bootstrap_servers=broker.bootstrap, **how) as ours:

            async def take() -> None:
                async for record in ours:
                    read[record.value.decode()] += 1

            reading = asyncio.create_task(take())
            await until(lambda: len(ours.assignment()) == PARTITIONS)
            others.add(theirs)
            await until(lambda: len(ours.assignment()) == PARTITIONS // 2)
            await asyncio.to_thread(write_evenly, broker.bootstrap, topic, values, PARTITIONS)
            await until(lambda: (read + others.read).total() >= len(values))
            assert read + others.read == Counter(values)
            reading.cancel()

    with running() as others:
        run(scenario(others))
