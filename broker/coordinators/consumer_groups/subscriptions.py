"""What a group as a whole is subscribed to: how many members want each topic, and which expressions match it.

Counted, so that one member's change costs what that member names and not a walk over all members. A decision copies the
counts and changes the copy, to see what the group will be subscribed to when its records are applied.

A group is *homogeneous* when all members want the same topics; the assignors are simpler then. With expressions that is
so when all members have one and the same expression and nobody names a topic.

Kafka's counterparts: `SubscriptionCount`, `ConsumerGroup.subscriptionType`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .member import Subscription


class Subscriptions:
    """Counts that never fall below one: what nobody wants is not there."""

    __slots__ = ("by_name", "by_regex", "regexes")

    def __init__(self) -> None:
        self.by_name: Counter[str] = Counter()  # topic -> members that name it
        self.by_regex: Counter[str] = Counter()  # topic -> expressions that match it
        self.regexes: Counter[str] = Counter()  # expression -> members that have it

    def copy(self) -> Subscriptions:
        copied = Subscriptions()
        copied.by_name = self.by_name.copy()
        copied.by_regex = self.by_regex.copy()
        copied.regexes = self.regexes.copy()
        return copied

    @property
    def topics(self) -> set[str]:
        """All topics that somebody wants."""
        return {*self.by_name, *self.by_regex}

    def wants(self, topic: str) -> bool:
        return topic in self.by_name or topic in self.by_regex

    def replace_member(self, before: Subscription | None, after: Subscription | None) -> None:
        """A member comes (from None), changes or goes (to None)."""
        if before is not None:
            _take(self.by_name, before.topics)
            if before.regex:
                _take(self.regexes, (before.regex,))
        if after is not None:
            self.by_name.update(after.topics)
            if after.regex:
                self.regexes[after.regex] += 1

    def replace_matches(self, before: frozenset[str], after: frozenset[str]) -> None:
        """An expression matches other topics than before; none: it is gone, or was not resolved."""
        _take(self.by_regex, before)
        self.by_regex.update(after)

    def are_homogeneous(self, member_count: int) -> bool:
        if not self.regexes:
            return all(count == member_count for count in self.by_name.values())
        if next(iter(self.regexes.values())) != member_count:
            return False
        return not self.by_name and all(count == 1 for count in self.by_regex.values())


def _take(counts: Counter[str], names: Iterable[str]) -> None:
    for name in names:
        counts[name] -= 1
        if counts[name] <= 0:
            del counts[name]
