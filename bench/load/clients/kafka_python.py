"""kafka-python: blocking calls, a thread of its own behind them; record by record is its only form."""

from __future__ import annotations

from collections.abc import Sequence

from .measured import LINGER_MS, PATIENCE_S, Turn, Watch


def sends_each(bootstrap: str, topic: str, values: Sequence[bytes], *, batch_bytes: int) -> Turn:
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=LINGER_MS,
        batch_size=batch_bytes,
        max_block_ms=60_000,
    )
    try:
        producer.send(topic, values[0]).get(PATIENCE_S)
        failures = 0
        watch = Watch()
        deliveries = [producer.send(topic, value) for value in values]
        producer.flush(PATIENCE_S)
        for delivery in deliveries:
            if not delivery.succeeded():
                failures += 1
        return watch.stop(len(values) - failures, failures)
    finally:
        producer.close()


def reads_each(bootstrap: str, topic: str, count: int) -> Turn:
    """As an iterator, which ends when nothing comes any more; what is missing then has failed."""
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=PATIENCE_S * 1000,
    )
    try:
        next(consumer)
        watch, read, size_bytes = Watch(), 0, 0
        for record in consumer:
            size_bytes += len(record.value)
            read += 1
            if read == count - 1:
                break
        assert size_bytes, "the values are empty"
        return watch.stop(read, count - 1 - read)
    finally:
        consumer.close()
