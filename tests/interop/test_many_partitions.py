"""One consumer over many partitions, fed by keys: what a fetch session and a client's partitioner need."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

import aiokafka
import confluent_kafka
import kafka
import pytest

pytestmark = pytest.mark.interop

MakeTopic = Callable[..., str]
PARTITIONS = 60
MESSAGES = 600
DEADLINE_S = 60


class Seen:
    """What arrived, by partition; complete when each message came once and no offset is missing or out of turn."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self._offsets: defaultdict[int, list[int]] = defaultdict(list)
        self._deadline = time.monotonic() + DEADLINE_S

    def add(self, partition: int, offset: int, key: bytes) -> None:
        self._offsets[partition].append(offset)
        self.keys.append(key)

    @property
    def is_short(self) -> bool:
        assert time.monotonic() < self._deadline, f"{len(self.keys)} of {MESSAGES} messages in {DEADLINE_S} s"
        return len(self.keys) < MESSAGES

    def check(self) -> None:
        assert sorted(self.keys) == sorted(KEYS)
        for offsets in self._offsets.values():
            assert offsets == list(range(len(offsets)))
        assert len(self._offsets) == PARTITIONS, "some partition got nothing"


KEYS = [f"key {n}".encode() for n in range(MESSAGES)]


def test_confluent_kafka_spreads_keys_over_many_partitions_and_reads_them_all(
    bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=PARTITIONS)
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    for key in KEYS:
        producer.produce(topic, b"value", key)
    assert producer.flush(DEADLINE_S) == 0

    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "never joined", "enable.auto.commit": False}
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, each, 0) for each in range(PARTITIONS)])
    seen = Seen()
    while seen.is_short:
        for message in consumer.consume(MESSAGES, 0.2):
            assert message.error() is None, message.error()
            seen.add(message.partition(), message.offset(), message.key())
    consumer.close()
    seen.check()


def test_aiokafka_spreads_keys_over_many_partitions_and_reads_them_all(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=PARTITIONS)

    async def run() -> Seen:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            await asyncio.gather(*[await producer.send(topic, b"value", key) for key in KEYS])
        seen = Seen()
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            everything = [aiokafka.TopicPartition(topic, each) for each in range(PARTITIONS)]
            consumer.assign(everything)
            await consumer.seek_to_beginning()
            while seen.is_short:
                for at, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        seen.add(at.partition, record.offset, record.key)
        return seen

    asyncio.run(run()).check()


def test_kafka_python_spreads_keys_over_many_partitions_and_reads_them_all(
    bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=PARTITIONS)
    producer = kafka.KafkaProducer(bootstrap_servers=bootstrap)
    for key in KEYS:
        producer.send(topic, value=b"value", key=key)
    producer.flush(DEADLINE_S)
    producer.close(DEADLINE_S)

    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
    consumer.assign([kafka.TopicPartition(topic, each) for each in range(PARTITIONS)])
    consumer.seek_to_beginning()
    seen = Seen()
    while seen.is_short:
        for at, records in consumer.poll(timeout_ms=200).items():
            for record in records:
                seen.add(at.partition, record.offset, record.key)
    consumer.close()
    seen.check()


def test_a_consumer_of_many_quiet_partitions_hears_of_each_new_message(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=PARTITIONS)
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=5_000)
    consumer.assign([kafka.TopicPartition(topic, each) for each in range(PARTITIONS)])
    consumer.seek_to_beginning()
    for partition in (7, 59, 7, 0):
        producer.produce(topic, f"for {partition}".encode(), partition=partition)
        assert producer.flush(DEADLINE_S) == 0
        (records,) = consumer.poll(timeout_ms=DEADLINE_S * 1000).values()
        assert [record.value for record in records] == [f"for {partition}".encode()]
    consumer.close()
