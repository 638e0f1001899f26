"""The check at the end: reads the whole log once more, and compares it and the members' notes with what was sent.

Exactly once, in the log: every event is there, once, at the place that was acknowledged to the producer, and the events of
each user (its key) follow each other in the order in which they were sent.  At least once, in the group: every event was seen
by some member.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ottla import Consumer, TopicPartition
from ottla.client.serializers import from_json

_MOST = 255
_STALL_MS = 30_000


@dataclass(slots=True)
class LogCheck:
    """Fed with every record of the log, in order for each partition."""

    events: int
    partitions: int
    places: array[int]
    records: int = 0
    foreign: int = 0
    elsewhere: int = 0
    out_of_order: int = 0
    copies: bytearray = field(init=False)
    _last_of_user: dict[tuple[int, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.copies = bytearray(self.events)

    def take(self, partition: int, offset: int, event: dict[str, Any]) -> None:
        self.records += 1
        number = event["id"]
        if not 0 <= number < self.events:
            self.foreign += 1
            return
        self.copies[number] = min(self.copies[number] + 1, _MOST)
        place = offset * self.partitions + partition
        self.elsewhere += number >= len(self.places) or self.places[number] != place
        user = partition, event["user"]
        self.out_of_order += self._last_of_user.get(user, -1) >= number
        self._last_of_user[user] = number


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was counted; `is_good` when every event arrived."""

    events: int
    acknowledged: int
    missing_in_log: int
    doubled_in_log: int
    foreign_in_log: int
    elsewhere_in_log: int
    out_of_order_in_log: int
    missing_in_group: int
    read_again: int

    @property
    def is_in_log_exactly_once(self) -> bool:
        wrong = self.missing_in_log, self.doubled_in_log, self.foreign_in_log
        return not any((*wrong, self.elsewhere_in_log, self.out_of_order_in_log))

    @property
    def is_good(self) -> bool:
        return self.acknowledged == self.events and self.is_in_log_exactly_once and self.missing_in_group == 0


def judge(log: LogCheck, seen: Iterable[bytes], *, records: int) -> Verdict:
    """`seen` are the members' notes, `records` is how many they were given in all."""
    reached = [any(each) for each in zip(*seen, strict=True)]
    return Verdict(
        events=log.events,
        acknowledged=len(log.places),
        missing_in_log=log.copies.count(0),
        doubled_in_log=sum(each > 1 for each in log.copies),
        foreign_in_log=log.foreign,
        elsewhere_in_log=log.elsewhere,
        out_of_order_in_log=log.out_of_order,
        missing_in_group=reached.count(False),
        read_again=records - reached.count(True),
    )


async def read_log(bootstrap: str, topic: str, check: LogCheck, on_progress: Callable[[int], None]) -> None:
    """Feed the check with the log from its beginning to its end, by a consumer without a group."""
    partitions = [TopicPartition(topic, each) for each in range(check.partitions)]
    consumer = Consumer[bytes, dict[str, Any]](
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", value_deserializer=from_json
    )
    async with consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        left = {each for each, end in ends.items() if end > 0}
        while left:
            fetched = await consumer.getmany(timeout_ms=_STALL_MS)
            if not fetched:
                raise TimeoutError(
                    f"nothing came within {_STALL_MS / 1000:g} s from {', '.join(map(str, sorted(left)))}"
                )
            for partition, records in fetched.items():
                for record in records:
                    check.take(partition.partition, record.offset, record.value or {"id": -1})
                if records[-1].offset + 1 >= ends[partition]:
                    left.discard(partition)
            on_progress(check.records)
