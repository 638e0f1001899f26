"""What the user wants to read and what is assigned: names, a pattern, or partitions chosen by hand; never two at once.

    subscribe(topics | pattern)   the group assigns         assign(partitions)   the user does
            └── unsubscribe ◄──────────────┴────────────────────────┘

`assigned` maps each partition to its state; a partition taken away and given again is a new state, so that whoever holds
the old one finds it is not assigned any more (`holds`).

Pure.  Corresponds to Java's `SubscriptionState`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import SupportsIndex

from ..admin.values import TopicPartition
from .listener import RebalanceListener
from .partition_state import Needs, PartitionState


class Mode(Enum):
    """How partitions come to be assigned."""

    NOTHING = "nothing"
    TOPICS = "topics"
    PATTERN = "a pattern"
    MANUAL = "partitions by hand"


class IllegalState(RuntimeError):
    """The consumer cannot do that now; the text says why."""


class SubscriptionState:
    """What is wanted and what is there."""

    def __init__(self) -> None:
        self.mode = Mode.NOTHING
        self.topics: frozenset[str] = frozenset()
        self.pattern: re.Pattern[str] | None = None
        self.listener: RebalanceListener | None = None
        self._assigned: dict[TopicPartition, PartitionState] = {}
        self._turn = 0

    # -- what is wanted

    @property
    def uses_group(self) -> bool:
        """Whether the group assigns."""
        return self.mode in (Mode.TOPICS, Mode.PATTERN)

    def subscribe_topics(self, topics: Iterable[str], listener: RebalanceListener | None) -> None:
        names = frozenset(topics)
        wrong = [name for name in names if not isinstance(name, str) or not name]
        if wrong:
            raise TypeError(f"a topic is a name, not {wrong[0]!r}")
        self._change_to(Mode.TOPICS)
        self.topics, self.listener = names, listener

    def subscribe_pattern(self, pattern: str | re.Pattern[str], listener: RebalanceListener | None) -> None:
        """`pattern` is matched from the beginning of a name, as `re.match` does; the topics come by `match`."""
        compiled = re.compile(pattern)
        self._change_to(Mode.PATTERN)
        self.pattern, self.listener = compiled, listener

    def match(self, names: Iterable[str]) -> bool:
        """These topics exist; whether the pattern now matches others than before."""
        if self.pattern is None:
            return False
        matched = frozenset(name for name in names if self.pattern.match(name))
        is_news = matched != self.topics
        self.topics = matched
        return is_news

    def assign_by_hand(self, partitions: Iterable[TopicPartition]) -> None:
        wanted = list(partitions)
        for each in wanted:
            if (
                not isinstance(each, TopicPartition)
                or not isinstance(each.topic, str)
                or not isinstance(each.partition, SupportsIndex)
            ):
                raise TypeError(f"what is assigned is a TopicPartition of a name and a number, not {each!r}")
        self._change_to(Mode.MANUAL)
        self.replace(wanted)

    def unsubscribe(self) -> None:
        self._forget_all()
        self.mode, self.topics, self.pattern, self.listener = Mode.NOTHING, frozenset(), None, None

    def _change_to(self, mode: Mode) -> None:
        if self.mode not in (Mode.NOTHING, mode):
            raise IllegalState(
                f"this consumer reads {self.mode.value} already; unsubscribe before it can read {mode.value}"
            )
        self.mode = mode

    # -- what is assigned

    def replace(self, partitions: Iterable[TopicPartition]) -> None:
        """Exactly these are assigned now; those that were before keep their state."""
        wanted = dict.fromkeys(partitions)
        for id_ in [each for each in self._assigned if each not in wanted]:
            self._assigned.pop(id_).drop()
        for id_ in wanted:
            self._assigned.setdefault(id_, PartitionState(id_))

    def add(self, partitions: Iterable[TopicPartition]) -> None:
        """Assigned anew, whatever was known of them."""
        for id_ in partitions:
            old = self._assigned.pop(id_, None)
            if old is not None:
                old.drop()
            self._assigned[id_] = PartitionState(id_)

    def remove(self, partitions: Iterable[TopicPartition]) -> None:
        for id_ in partitions:
            state = self._assigned.pop(id_, None)
            if state is not None:
                state.drop()

    def _forget_all(self) -> None:
        self.remove(list(self._assigned))

    def __iter__(self) -> Iterator[PartitionState]:
        return iter(self._assigned.values())

    def __len__(self) -> int:
        return len(self._assigned)

    def __contains__(self, id_: TopicPartition) -> bool:
        return id_ in self._assigned

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        return frozenset(self._assigned)

    def get(self, id_: TopicPartition) -> PartitionState | None:
        return self._assigned.get(id_)

    def require(self, id_: TopicPartition) -> PartitionState:
        """IllegalState when it is not assigned."""
        state = self._assigned.get(id_)
        if state is None:
            raise IllegalState(f"{id_} is not assigned to this consumer")
        return state

    def holds(self, state: PartitionState) -> bool:
        """Whether this very state is the partition's now."""
        return self._assigned.get(state.id) is state

    def in_need(self, needs: Needs, now_s: float) -> list[PartitionState]:
        """Those that wait for this, and may be asked about now."""
        return [each for each in self if each.needs is needs and each.not_before_s <= now_s]

    def next_consumable(self, among: Iterable[TopicPartition] | None = None) -> PartitionState | None:
        """A partition that has something for the user.

        One that was begun is finished first; then they take turns, so that a busy one does not keep out the others.
        """
        chosen = list(self) if among is None else [each for each in map(self.get, among) if each is not None]
        ready = [each for each in chosen if each.is_consumable]
        for each in ready:
            if each.failure is not None or each.chunks[0].cursor is not None:
                return each
        if not ready:
            return None
        self._turn += 1
        return ready[self._turn % len(ready)]

    def check(self) -> None:
        """Raise AssertionError unless the invariants hold."""
        assert self.mode is not Mode.NOTHING or not self._assigned
        for id_, state in self._assigned.items():
            assert state.id == id_
            state.check()
