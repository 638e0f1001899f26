"""confluent-kafka, librdkafka in C below Python: `produce` without a callback for each, `consume` of 500 at a time.

Its `produce_batch` wants a dict for each record, and is the slower of its two forms.  `consume` waits until it has as many as
were asked for, so that it must not be asked for more than there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from ..librdkafka import ASKS_AGAIN
from .measured import LINGER_MS, PATIENCE_S, Turn, Watch

AT_A_TIME = 500


def sends_in_bulk(bootstrap: str, topic: str, values: Sequence[bytes], *, batch_bytes: int) -> Turn:
    """Its queue has room for all, so that none has to be offered twice; what fails, and only that, is told."""
    failed: list[Any] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": LINGER_MS,
            "enable.idempotence": True,
            "batch.size": batch_bytes,
            "queue.buffering.max.messages": len(values) + 1,
            "queue.buffering.max.kbytes": 2_000_000,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failed.append(error),
        }
    )
    producer.produce(topic, values[0])
    assert producer.flush(PATIENCE_S) == 0, "the first record was not taken"
    watch = Watch()
    for value in values:
        producer.produce(topic, value)
    left = producer.flush(PATIENCE_S)
    failures = left + len(failed)
    return watch.stop(len(values) - failures, failures)


def reads_in_bulk(bootstrap: str, topic: str, count: int) -> Turn:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench-unused", "enable.auto.commit": False, **ASKS_AGAIN}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        assert consumer.consume(1, PATIENCE_S), "nothing came"
        watch, read, size_bytes = Watch(), 0, 0
        while read < count - 1 and watch.is_patient():
            messages = consumer.consume(min(AT_A_TIME, count - 1 - read), 1)
            for message in messages:
                size_bytes += len(message.value() or b"")
            read += len(messages)
        assert size_bytes, "the values are empty"
        return watch.stop(read, count - 1 - read)
    finally:
        consumer.close()
