"""Writes the shop's day into a topic with Ottla's own producer, and notes what went where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from events import Event
from ottla import Admin, NewTopic, Producer

CHUNK = 20_000
HEADERS = [("source", b"shop")]


@dataclass(slots=True)
class Written:
    """The times (milliseconds since the epoch) of what each partition holds, in the order of its offsets."""

    times_ms: list[list[int]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(map(len, self.times_ms))

    def first_at(self, partition: int, time_ms: int) -> int:
        """The first offset with this time or a later one, as a broker finds it."""
        times_ms = self.times_ms[partition]
        return next((offset for offset, each in enumerate(times_ms) if each >= time_ms), len(times_ms))


def milliseconds(at: datetime) -> int:
    """Since the epoch, of a time in UTC."""
    return int(at.replace(tzinfo=UTC).timestamp() * 1000)


async def create_topic(bootstrap: str, topic: str, *, partitions: int) -> None:
    """KafkaError when it cannot be made. It keeps everything: the events are older than a broker keeps by default."""
    async with Admin(bootstrap) as admin:
        made = await admin.create_topics([NewTopic(topic, partitions=partitions, configs={"retention.ms": "-1"})])
    if isinstance(made[topic], Exception):
        raise made[topic]


async def write(
    bootstrap: str, topic: str, happened: Iterable[Event], *, partitions: int, on_progress: Callable[[int], None]
) -> Written:
    """Write events keyed by user, each acknowledged; returns what went where. `on_progress` is told counts."""
    written = Written([[] for _ in range(partitions)])
    waiting = iter(happened)
    async with Producer(bootstrap_servers=bootstrap, linger_ms=20, compression_type="lz4") as producer:
        while chunk := list(islice(waiting, CHUNK)):
            times_ms = [milliseconds(event.at) for event in chunk]
            sent = [
                await producer.send(
                    topic, event.to_json(), key=event.user.encode(), timestamp_ms=time_ms, headers=HEADERS
                )
                for event, time_ms in zip(chunk, times_ms, strict=True)
            ]
            for record, time_ms in zip(await asyncio.gather(*sent), times_ms, strict=True):
                written.times_ms[record.partition].append(time_ms)
            on_progress(len(chunk))
    return written
