"""A decision about a consumer group: what is known, and what is to come of it.

    group, topics, settings, time  -->  decide(decision, event) -> answer  +  records, timers, expressions to resolve

A decision changes nothing. Whoever asked for it writes the records and applies them, sets the timers, and gives the answer
when the records, and all in front of them, are durable. A refusal is a KafkaError, and then nothing comes of the decision
at all. Time is the wall clock, in milliseconds.

Timers, one of each kind for a member:

    SESSION     no sign of life: the member has left
    REBALANCE   it was told to give up partitions and did not: fenced
    JOIN, SYNC  a member of the classic protocol was told to join again, or has joined, and does not go on: fenced
"""

from __future__ import annotations

from enum import Enum

from ....protocol.values import dataclass, field
from .classic_picture import Downgrade
from .group import ConsumerGroup
from .records import ConsumerGroupRecord
from .settings import ConsumerGroupSettings
from .topic_image import TopicImage


class TimerKind(Enum):
    SESSION = "session"
    REBALANCE = "rebalance"
    JOIN = "join"
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class TimerChange:
    """`after_ms` from now; None cancels it. With `unless_running` a timer that runs is left as it is."""

    kind: TimerKind
    member_id: str
    after_ms: int | None
    unless_running: bool = False


@dataclass(slots=True)
class Decision:
    """The group is read only.

    resolve       expressions whose topics are to be looked up (`regex.resolve`) and brought back (`topic_patterns.resolved`)
    seen_epoch    a group epoch that takes the topics as they are into account
    downgrade     what becomes of the group, which these records remove
    """

    group: ConsumerGroup
    topics: TopicImage
    settings: ConsumerGroupSettings
    now_ms: int
    records: list[ConsumerGroupRecord] = field(default_factory=list)
    timers: list[TimerChange] = field(default_factory=list)
    resolve: frozenset[str] = frozenset()
    seen_epoch: int | None = None
    downgrade: Downgrade | None = None

    @property
    def group_id(self) -> str:
        return self.group.group_id

    def start_timer(self, kind: TimerKind, member_id: str, after_ms: int, *, unless_running: bool = False) -> None:
        self.timers.append(TimerChange(kind, member_id, after_ms, unless_running))

    def cancel_timer(self, kind: TimerKind, member_id: str) -> None:
        self.timers.append(TimerChange(kind, member_id, None))

    def cancel_timers(self, member_id: str) -> None:
        for kind in TimerKind:
            self.cancel_timer(kind, member_id)
