"""From a producer's process to a consumer in this one, record by record at a fixed rate, each carrying when it was sent.

Both are librdkafka. The clock is the system's monotonic one, which processes share.
"""

from __future__ import annotations

import multiprocessing
import struct
import time
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

SENT = struct.Struct(">q")
VALUE_BYTES = 100
PATIENCE_S = 10.0
SETTLE_S = 0.3
NOT_COUNTED = 0


@dataclass(slots=True)
class Journey:
    """How long each record took, and how many never came."""

    latencies_s: list[float] = field(default_factory=list)
    failures: int = 0


def run(bootstrap: str, topic: str, *, per_second: int, seconds: float, acks: str = "all") -> Journey:
    """Send at that rate for so long, and receive."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-unused", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
        _meet(consumer, bootstrap, topic)
        sender = multiprocessing.get_context("spawn").Process(
            target=send, args=(bootstrap, topic, per_second, seconds, acks), daemon=True
        )
        sender.start()
        try:
            return _receive(consumer, int(per_second * seconds))
        finally:
            sender.join(PATIENCE_S)
            sender.kill()
    finally:
        consumer.close()


def _meet(consumer: Consumer, bootstrap: str, topic: str) -> None:
    """Return when the consumer stands at the end: when it was given a record that was sent for nothing else."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    deadline = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < deadline:
        producer.produce(topic, SENT.pack(NOT_COUNTED))
        producer.flush(PATIENCE_S)
        if consumer.poll(SETTLE_S) is not None:
            return
    raise TimeoutError("the consumer was given nothing")


def _receive(consumer: Consumer, wanted: int) -> Journey:
    journey = Journey()
    last = time.perf_counter()
    while len(journey.latencies_s) < wanted and time.perf_counter() - last < PATIENCE_S:
        message = consumer.poll(0.5)
        if message is None:
            continue
        last = time.perf_counter()
        if message.error() is None:
            (sent_ns,) = SENT.unpack_from(message.value() or b"")
            if sent_ns == NOT_COUNTED:
                continue
            journey.latencies_s.append((time.monotonic_ns() - sent_ns) / 1e9)
    journey.failures = wanted - len(journey.latencies_s)
    return journey


def send(bootstrap: str, topic: str, per_second: int, seconds: float, acks: str) -> None:
    """The producer's process: each record at its own time, never ahead, and not waiting for the answers."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": acks, "linger.ms": 0})
    producer.list_topics(topic, timeout=PATIENCE_S)
    rest = b"v" * (VALUE_BYTES - SENT.size)
    began = time.monotonic_ns()
    for number in range(int(per_second * seconds)):
        due = began + number * 1_000_000_000 // per_second
        while (wait_ns := due - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        producer.produce(topic, SENT.pack(time.monotonic_ns()) + rest)
        producer.poll(0)
    producer.flush(PATIENCE_S)
