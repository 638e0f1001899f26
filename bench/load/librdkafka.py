"""librdkafka as load, through confluent-kafka: as many records as it can, from one producer or to one consumer.

Its defaults but for what the case says, and for a consumer's pause when its queue is full.  Values come from a pool and look
like text, so that codecs have something to do; there are no keys, and librdkafka spreads records over the partitions batch by
batch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from .spent import SpendWatch, Spent

POOL = 1000
RECORDS_BETWEEN_LOOKS = 500
READ_AT_A_TIME = 500
"""As `clients` has it. Of 10,000 at a time each costs the thread that takes them twice the processor time."""
FLUSH_S = 300.0
"""As long as librdkafka itself tries; the first records of 10,000 partitions take Apache Kafka minutes."""
PATIENCE_S = 30.0
ALPHABET = "0123456789abcdef"
ASKS_AGAIN = {"fetch.queue.backoff.ms": 1}
"""By default a consumer whose queue is full asks for nothing more for a second, in which it is long empty: the faster a broker
fills it, the more of that pause would be measured."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Records that were acknowledged or received, those that failed, the seconds it took, and what it cost this process."""

    records: int
    failures: int
    seconds: float
    spent: Spent

    @property
    def per_second(self) -> float:
        return self.records / self.seconds


def values_of(size_bytes: int) -> list[bytes]:
    """Different values of one size; half of each is random, half repeats."""
    random = Random(size_bytes)
    half = size_bytes // 2
    return [
        ("".join(random.choices(ALPHABET, k=size_bytes - half)) + '{"name": "value"}' * (half // 17 + 1))[
            :size_bytes
        ].encode()
        for _ in range(POOL if size_bytes < 4096 else POOL // 10)
    ]


def mixed_values(size_bytes: int) -> list[bytes]:
    """As `values_of`, with sizes from half to one and a half of that, so that no two neighbours are alike."""
    random = Random(size_bytes)
    longest = values_of(size_bytes + size_bytes // 2)
    return [value[: random.randint(size_bytes // 2, size_bytes + size_bytes // 2)] for value in longest]


def produce(
    bootstrap: str,
    topic: str,
    *,
    size_bytes: int,
    seconds: float,
    codec: str = "none",
    partitions: int | None = None,
    max_records: int | None = None,
    mixed: bool = False,
) -> Moved:
    """Produce with acks=all for so long, or so many records; ends when all are acknowledged.

    With `partitions` the records go to each of them in turn, instead of where librdkafka would put them.
    """
    failed: list[Any] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "compression.codec": codec,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 256 * 1024,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failed.append(error),
        }
    )
    _meet(producer, topic)
    values = mixed_values(size_bytes) if mixed else values_of(size_bytes)
    sent = 0
    watch = SpendWatch()
    began = time.perf_counter()
    end = began + seconds
    while time.perf_counter() < end and (max_records is None or sent < max_records):
        for _ in range(RECORDS_BETWEEN_LOOKS):
            value = values[sent % len(values)]
            while not _try_produce(producer, topic, value, -1 if partitions is None else sent % partitions):
                producer.poll(0.005)
            sent += 1
        producer.poll(0)
    left = producer.flush(FLUSH_S)
    took_s = time.perf_counter() - began
    return Moved(sent - left - len(failed), left + len(failed), took_s, watch.spent())


def _meet(producer: Producer, topic: str) -> None:
    """Connect and learn of the topic before the clock runs."""
    known = producer.list_topics(topic, timeout=PATIENCE_S)
    assert topic in known.topics


def _try_produce(producer: Producer, topic: str, value: bytes, partition: int) -> bool:
    try:
        producer.produce(topic, value, partition=partition)
    except BufferError:
        return False
    return True


def consume(bootstrap: str, topic: str, *, partitions: int, records: int) -> Moved:
    """Read so many records from the beginning; the clock runs from the first that arrive."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench-unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **ASKS_AGAIN,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, index, OFFSET_BEGINNING) for index in range(partitions)])
        return _read(consumer, records)
    finally:
        consumer.close()


def _read(consumer: Consumer, records: int) -> Moved:
    failures = 0
    first = consumer.consume(1, PATIENCE_S)
    watch = SpendWatch()
    began = time.perf_counter()
    received = len(first)
    while received < records and time.perf_counter() - began < PATIENCE_S * 4:
        most = min(READ_AT_A_TIME, records - received)  # it waits for as many as it is asked for
        messages = consumer.consume(most, 0.1)
        failures += sum(message.error() is not None for message in messages[:1])
        received += len(messages)
    return Moved(received, failures + records - received, time.perf_counter() - began, watch.spent())
