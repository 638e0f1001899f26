"""Python's clients as load: each produces for a while, and each reads the same records.

acks=all, no idempotence, linger 5 ms, no codec.  What a user writes is what is measured: a call for each record to produce, and
every record's value looked at to consume; the reader's clock runs from before it connects.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import librdkafka
from .librdkafka import Moved

SIZE_BYTES = 100
LINGER_MS = 5
RECORDS_BETWEEN_LOOKS = 500
UNANSWERED = 20_000
PATIENCE_S = 60.0

Produce = Callable[[str, str, float], Moved]
"""Of bootstrap, topic and seconds."""
Consume = Callable[[str, str, int], Moved]
"""Of bootstrap, topic and how many records; from the beginning of partition 0."""


@dataclass(frozen=True, slots=True)
class Client:
    """One of those compared."""

    name: str
    produce: Produce
    consume: Consume


# --- asyncio: ours and aiokafka, which have the same face


async def _send_each(producer: Any, topic: str, seconds: float) -> Moved:
    """A `send` for each record; deliveries are awaited some thousands behind, so that failures are counted."""
    values = librdkafka.values_of(SIZE_BYTES)
    pending: list[Any] = []
    sent = failed = 0
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        for _ in range(RECORDS_BETWEEN_LOOKS):
            pending.append(await producer.send(topic, values[sent % len(values)]))
            sent += 1
        if len(pending) > UNANSWERED:
            failed += await _failures(pending[:-UNANSWERED])
            del pending[:-UNANSWERED]
    await producer.flush()
    failed += await _failures(pending)
    return Moved(sent - failed, failed, time.perf_counter() - began)


async def _failures(deliveries: list[Any]) -> int:
    failed = 0
    for delivery in deliveries:
        try:
            await delivery
        except Exception:  # noqa: BLE001 - whatever it was, the record was not delivered, and is counted
            failed += 1
    return failed


async def _read_all(consumer: Any, records: int, began: float) -> Moved:
    received = size_bytes = 0
    while received < records and time.perf_counter() < began + PATIENCE_S:
        batches = await consumer.getmany(timeout_ms=500)
        for batch in batches.values():
            for record in batch:
                size_bytes += len(record.value)
                received += 1
    return _received(received, size_bytes, records, began)


def _received(received: int, size_bytes: int, records: int, began: float) -> Moved:
    assert size_bytes == received * SIZE_BYTES, "a record's value was cut"
    return Moved(received, records - received, time.perf_counter() - began)


def _ottla_produce(bootstrap: str, topic: str, seconds: float) -> Moved:
    from ottla.client.producer import Producer

    async def run() -> Moved:
        producer: Producer[bytes, bytes] = Producer(
            bootstrap, acks="all", enable_idempotence=False, linger_ms=LINGER_MS
        )
        async with producer:
            await producer.partitions_for(topic)
            return await _send_each(producer, topic, seconds)

    return asyncio.run(run())


def _ottla_consume(bootstrap: str, topic: str, records: int) -> Moved:
    from ottla.client.consumer.consumer import Consumer

    async def run() -> Moved:
        began = time.perf_counter()
        consumer: Consumer[bytes, bytes] = Consumer(
            topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        async with consumer:
            return await _read_all(consumer, records, began)

    return asyncio.run(run())


def _aiokafka_produce(bootstrap: str, topic: str, seconds: float) -> Moved:
    from aiokafka import AIOKafkaProducer

    async def run() -> Moved:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=LINGER_MS)
        await producer.start()
        try:
            await producer.partitions_for(topic)
            return await _send_each(producer, topic, seconds)
        finally:
            await producer.stop()

    return asyncio.run(run())


def _aiokafka_consume(bootstrap: str, topic: str, records: int) -> Moved:
    from aiokafka import AIOKafkaConsumer

    async def run() -> Moved:
        began = time.perf_counter()
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            return await _read_all(consumer, records, began)
        finally:
            await consumer.stop()

    return asyncio.run(run())


# --- threads: kafka-python


def _kafka_python_produce(bootstrap: str, topic: str, seconds: float) -> Moved:
    from kafka import KafkaProducer

    values = librdkafka.values_of(SIZE_BYTES)
    failed: list[Any] = []
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=False, linger_ms=LINGER_MS, max_block_ms=60_000
    )
    try:
        producer.partitions_for(topic)
        sent = 0
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            for _ in range(RECORDS_BETWEEN_LOOKS):
                producer.send(topic, values[sent % len(values)]).add_errback(failed.append)
                sent += 1
        producer.flush()
        return Moved(sent - len(failed), len(failed), time.perf_counter() - began)
    finally:
        producer.close()


def _kafka_python_consume(bootstrap: str, topic: str, records: int) -> Moved:
    from kafka import KafkaConsumer

    began = time.perf_counter()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, group_id=None
    )
    try:
        received = size_bytes = 0
        while received < records and time.perf_counter() < began + PATIENCE_S:
            batches = consumer.poll(timeout_ms=500)
            for batch in batches.values():
                for record in batch:
                    size_bytes += len(record.value)
                    received += 1
        return _received(received, size_bytes, records, began)
    finally:
        consumer.close()


# --- librdkafka: confluent-kafka


def _confluent_produce(bootstrap: str, topic: str, seconds: float) -> Moved:
    return librdkafka.produce(bootstrap, topic, size_bytes=SIZE_BYTES, seconds=seconds)


def _confluent_consume(bootstrap: str, topic: str, records: int) -> Moved:
    began = time.perf_counter()
    read = librdkafka.consume(bootstrap, topic, partitions=1, records=records)
    return Moved(read.records, read.failures, time.perf_counter() - began)


OURS, MEASURE = "ottla", "aiokafka"
CLIENTS = (
    Client(OURS, _ottla_produce, _ottla_consume),
    Client(MEASURE, _aiokafka_produce, _aiokafka_consume),
    Client("kafka-python", _kafka_python_produce, _kafka_python_consume),
    Client("confluent-kafka", _confluent_produce, _confluent_consume),
)
