"""How far everybody is: what the parent knows from its children's reports and from the broker's process.

Nothing here does anything; `demo` changes it, `view` shows it.  What is left to read is counted from what was acknowledged:
a partition is `ends[partition]` long, and the group has read it up to `positions[partition]`, the furthest that any member
has come.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

RATE_WINDOW_S = 2.0


class Rate:
    """Of a counter that grows: per second, over the last two seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self.per_s = 0.0

    def sample(self, now_s: float, count: int) -> None:
        samples = self._samples
        samples.append((now_s, count))
        while len(samples) > 2 and now_s - samples[1][0] >= RATE_WINDOW_S:
            samples.popleft()
        then_s, before = samples[0]
        span_s = now_s - then_s
        self.per_s = (count - before) / span_s if span_s > 0 else 0.0


@dataclass(slots=True)
class FeedProgress:
    """The producer: `sent` were taken, `acknowledged` are on the broker's disk."""

    ends: list[int]
    sent: int = 0
    acknowledged: int = 0
    is_done: bool = False
    rate: Rate = field(default_factory=Rate)

    def told(self, report: dict[str, Any]) -> None:
        self.sent, self.acknowledged, self.ends = report["sent"], report["acknowledged"], report["ends"]
        self.is_done = report.get("is_done", False)


@dataclass(slots=True)
class MemberProgress:
    """A consumer: of its `records` it had seen `again` before."""

    name: str
    partitions: list[int] = field(default_factory=list)
    records: int = 0
    again: int = 0
    rate: Rate = field(default_factory=Rate)


@dataclass(slots=True)
class BrokerProgress:
    """The broker's process."""

    state: str = "starting"
    memory_bytes: int | None = None
    restart_s: float | None = None


@dataclass(slots=True)
class Progress:
    """All of it, and the story so far: what happened, and when."""

    events: int
    feed: FeedProgress
    members: list[MemberProgress]
    positions: list[int]
    broker: BrokerProgress = field(default_factory=BrokerProgress)
    story: list[tuple[float, str]] = field(default_factory=list)
    elapsed_s: float = 0.0
    checked: int | None = None

    def member_told(self, member: MemberProgress, report: dict[str, Any]) -> None:
        member.partitions, member.records, member.again = report["partitions"], report["records"], report["again"]
        for partition, offset in report["next_offsets"]:
            self.positions[partition] = max(self.positions[partition], offset)

    def sample(self, elapsed_s: float) -> None:
        """Bring the rates up to date."""
        self.elapsed_s = elapsed_s
        self.feed.rate.sample(elapsed_s, self.feed.acknowledged)
        for member in self.members:
            member.rate.sample(elapsed_s, member.records)

    def happened(self, what: str) -> None:
        self.story.append((self.elapsed_s, what))

    def lag(self, partitions: list[int]) -> int:
        """How many acknowledged events of these partitions nobody has read."""
        return sum(max(0, self.feed.ends[each] - self.positions[each]) for each in partitions)

    @property
    def records(self) -> int:
        return sum(member.records for member in self.members)

    @property
    def is_assigned(self) -> bool:
        """Whether every member has work, and every partition one member."""
        owned = sorted(partition for member in self.members for partition in member.partitions)
        return owned == list(range(len(self.positions))) and all(member.partitions for member in self.members)

    @property
    def has_arrived(self) -> bool:
        """Whether all is sent, and read up to its end."""
        return self.feed.is_done and self.lag(list(range(len(self.positions)))) == 0
