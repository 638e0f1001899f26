"""The assignor `range`: each topic is cut into as many ranges as it has subscribers, who come in a fixed order.

Static members come first, by instance id, then the others by member id; so with equal topics and partition counts a member
has the same partition numbers of each topic (co-partitioning), and static members keep theirs through restarts. When the
partitions do not divide evenly the first members have one more. It does not look at what members have at present.

Kafka's class: `RangeAssignor`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

from .member import Partitions

if TYPE_CHECKING:
    from .assignors import GroupSpec


def assign_range(spec: GroupSpec) -> dict[str, Partitions]:
    """Ranges for all members; one that gets nothing of a topic does not have it in its answer."""
    subscribers = Counter(topic for member in spec.members.values() for topic in member.topics)
    cuts = {topic: _Cut(spec.partition_counts[topic], count) for topic, count in subscribers.items()}
    return {member_id: _ranges(spec.members[member_id].topics, cuts) for member_id in _in_order(spec)}


def _in_order(spec: GroupSpec) -> list[str]:
    def place(member_id: str) -> tuple[bool, str]:
        instance_id = spec.members[member_id].instance_id
        return instance_id is None, member_id if instance_id is None else instance_id

    return sorted(spec.members, key=place)


class _Cut:
    """A topic, and how far it has been handed out."""

    __slots__ = ("count", "extra", "next", "share")

    def __init__(self, count: int, subscribers: int) -> None:
        self.count = count
        self.share, self.extra = divmod(count, subscribers)
        self.next = 0

    def take(self) -> range:
        size = self.share + (self.extra > 0)
        self.extra -= self.extra > 0
        taken = range(self.next, self.next + size)
        self.next += size
        return taken


def _ranges(topics: frozenset[UUID], cuts: dict[UUID, _Cut]) -> dict[UUID, frozenset[int]]:
    taken = {topic: frozenset(cuts[topic].take()) for topic in sorted(topics)}
    return {topic: partitions for topic, partitions in taken.items() if partitions}
