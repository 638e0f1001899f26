"""Ours and aiokafka, which have the same face: record by record by the same lines; and ours in bulk."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from .measured import LINGER_MS, PATIENCE_S, Turn, Watch


def ottla_sends_each(bootstrap: str, topic: str, values: Sequence[bytes], *, batch_bytes: int) -> Turn:
    async def run() -> Turn:
        async with _ottla_producer(bootstrap, batch_bytes) as producer:
            return await _send_each(producer, topic, values)

    return _run(run())


def ottla_sends_in_bulk(bootstrap: str, topic: str, values: Sequence[bytes], *, batch_bytes: int) -> Turn:
    """`send_batch`, and its one delivery."""

    async def run() -> Turn:
        async with _ottla_producer(bootstrap, batch_bytes) as producer:
            await producer.send_and_wait(topic, values[0])
            watch = Watch()
            bulk = await producer.send_batch(values, topic)
            await producer.flush()
            await bulk
            return watch.stop(len(values))

    return _run(run())


def aiokafka_sends_each(bootstrap: str, topic: str, values: Sequence[bytes], *, batch_bytes: int) -> Turn:
    from aiokafka import AIOKafkaProducer

    async def run() -> Turn:
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_batch_size=batch_bytes,
        ) as producer:
            return await _send_each(producer, topic, values)

    return _run(run())


def ottla_reads_each(bootstrap: str, topic: str, count: int) -> Turn:
    async def run() -> Turn:
        async with _ottla_consumer(bootstrap, topic) as consumer:
            return await _read_each(consumer, count)

    return _run(run())


def ottla_reads_batches(bootstrap: str, topic: str, count: int) -> Turn:
    """`batches()`, and the list of each one's values."""

    async def run() -> Turn:
        async with _ottla_consumer(bootstrap, topic) as consumer:
            await consumer.getone()
            watch, read, size_bytes = Watch(), 0, 0
            async for batch in consumer.batches():
                values = batch.values()
                read += len(values)
                size_bytes += sum(map(len, values))
                if read >= count - 1:
                    break
            assert size_bytes, "the values are empty"
            return watch.stop(read)

    return _run(run())


def ottla_reads_many(bootstrap: str, topic: str, count: int) -> Turn:
    """`getmany` of 500 at a time."""

    async def run() -> Turn:
        async with _ottla_consumer(bootstrap, topic) as consumer:
            await consumer.getone()
            watch, read, size_bytes = Watch(), 0, 0
            while read < count - 1:
                for records in (await consumer.getmany(timeout_ms=1_000, max_records=500)).values():
                    read += len(records)
                    for record in records:
                        size_bytes += len(record.value)
            assert size_bytes, "the values are empty"
            return watch.stop(read)

    return _run(run())


def aiokafka_reads_each(bootstrap: str, topic: str, count: int) -> Turn:
    from aiokafka import AIOKafkaConsumer

    async def run() -> Turn:
        async with AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        ) as consumer:
            return await _read_each(consumer, count)

    return _run(run())


async def _send_each(producer: Any, topic: str, values: Sequence[bytes]) -> Turn:
    await producer.send_and_wait(topic, values[0])
    failures = 0
    watch = Watch()
    deliveries = [await producer.send(topic, value) for value in values]
    await producer.flush()
    for delivery in deliveries:
        if delivery.exception() is not None:
            failures += 1
    return watch.stop(len(values) - failures, failures)


async def _read_each(consumer: Any, count: int) -> Turn:
    """The clock runs from the first record, which is not counted."""
    await consumer.getone()
    watch, read, size_bytes = Watch(), 0, 0
    async for record in consumer:
        size_bytes += len(record.value)
        read += 1
        if read == count - 1:
            break
    assert size_bytes, "the values are empty"
    return watch.stop(read)


def _ottla_producer(bootstrap: str, batch_bytes: int) -> Any:
    from ottla import Producer

    return Producer(bootstrap, acks="all", linger_ms=LINGER_MS, batch_size=batch_bytes)


def _ottla_consumer(bootstrap: str, topic: str) -> Any:
    from ottla import Consumer

    return Consumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)


def _run(turn: Coroutine[Any, Any, Turn]) -> Turn:
    """A reader that is given nothing more ends with TimeoutError."""

    async def patiently() -> Turn:
        return await asyncio.wait_for(turn, PATIENCE_S)

    return asyncio.run(patiently())
