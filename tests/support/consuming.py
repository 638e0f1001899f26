"""What tests of consumers share: topics with records in them, written by another client, and a scenario's time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic
from ottla.client.consumer.consumer import Consumer

T = TypeVar("T")
DEADLINE_S = 60
KEEPS_OLD_RECORDS = {"log.retention.check.interval.ms": "86400000"}
"""For a broker that is given records of years ago: else its first look at their age, after five minutes, takes them away."""


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run it, and fail rather than hang."""

    async def within_time() -> T:
        async with asyncio.timeout(DEADLINE_S):
            return await scenario

    return asyncio.run(within_time())


def make_topic(bootstrap: str, name: str, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})  # held in a name: without it the client closes at once
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(DEADLINE_S)


def write(bootstrap: str, topic: str, values: Iterable[str | bytes | None], **how: Any) -> None:
    """Write with confluent-kafka, to a partition in one batch; `how` is passed on: key, partition, timestamp, headers."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 10_000})  # `flush` does not wait
    producer.list_topics(topic, timeout=DEADLINE_S)  # else they move to their partition while it may already send
    for value in values:
        producer.produce(topic, value, **how)
    assert producer.flush(DEADLINE_S) == 0, "not delivered in time"


def write_evenly(bootstrap: str, topic: str, values: Sequence[str], partitions: int) -> None:
    """The first to partition 0, the next to 1, and so on."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 1})
    for place, value in enumerate(values):
        producer.produce(topic, value, partition=place % partitions)
    assert producer.flush(DEADLINE_S) == 0, "not delivered in time"


def texts(*prefix_and_count: Any) -> list[str]:
    prefix, count = prefix_and_count
    return [f"{prefix}{number}" for number in range(count)]


async def take(consumer: Consumer[Any, Any], count: int) -> list[str]:
    """So many values, one by one, as text."""
    return [(await consumer.getone()).value.decode() for _ in range(count)]


async def iterate(consumer: Consumer[Any, Any], count: int) -> AsyncIterator[str]:
    """So many values by `async for`, as text."""
    async for record in consumer:
        yield record.value.decode()
        count -= 1
        if not count:
            return


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds; what another process does has no event to wait for."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
