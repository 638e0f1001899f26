"""The assignor `uniform`: equal shares, and what a member shall have at present it keeps as far as its share allows.

Here for groups in which all members want the same topics; `mixed_assignor` has the others. Each member's share is the
quotient, and as many as the remainder have one more:

1. In turn every member gives up what is above its share, or of a topic that is wanted no more. Who has that one more
   already keeps it, as long as there are any left to have; the last members must take those that are left over.
2. What nobody has goes to those below their share, in the order of the members.

Kafka's class: `UniformHomogeneousAssignmentBuilder`. Where Kafka goes by the order of its hash tables we go by the order of
the members and of the topics' ids, so that a run can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from .member import Partitions
from .mixed_assignor import assign_mixed

if TYPE_CHECKING:
    from .assignors import GroupSpec


def assign_uniform(spec: GroupSpec) -> dict[str, Partitions]:
    """Shares for all members."""
    return _Uniform(spec).assign() if spec.is_homogeneous else assign_mixed(spec)


class _Uniform:
    def __init__(self, spec: GroupSpec) -> None:
        self.spec = spec
        self.topics = next(iter(spec.members.values())).topics
        self.targets: dict[str, dict[UUID, frozenset[int]]] = {}
        self.below: list[tuple[str, int]] = []  # members below their share, and by how much
        self.free: list[tuple[UUID, int]] = []

    def assign(self) -> dict[str, Partitions]:
        self.free = self._unowned()
        total = sum(self.spec.partition_counts[topic] for topic in self.topics)
        self._keep_shares(*divmod(total, len(self.spec.members)))
        self._fill()
        return dict(self.targets)

    def _unowned(self) -> list[tuple[UUID, int]]:
        owned: dict[UUID, set[int]] = {topic: set() for topic in self.topics}
        for member in self.spec.members.values():
            for topic, partitions in member.target.items():
                if topic in owned:
                    owned[topic] |= partitions
        counts = self.spec.partition_counts
        return [
            (topic, index)
            for topic in sorted(self.topics)
            for index in range(counts[topic])
            if index not in owned[topic]
        ]

    def _keep_shares(self, share: int, extra: int) -> None:
        members_left = len(self.spec.members)
        for member_id, member in self.spec.members.items():
            may_have_extra = extra > 0
            room = share + may_have_extra
            self.targets[member_id], room = self._kept(member.target, room)
            if room > 0 and may_have_extra and members_left > extra:
                room -= 1
                may_have_extra = False
            if room > 0:
                self.below.append((member_id, room))
            extra -= may_have_extra
            members_left -= 1

    def _kept(self, target: Partitions, room: int) -> tuple[dict[UUID, frozenset[int]], int]:
        """What stays of the target, and the room that is left; what does not fit is free."""
        kept: dict[UUID, frozenset[int]] = {}
        for topic, partitions in target.items():
            if topic not in self.topics:
                continue
            if len(partitions) > room:
                ordered = sorted(partitions)
                self.free.extend((topic, index) for index in ordered[room:])
                partitions = frozenset(ordered[:room])
            room -= len(partitions)
            if partitions:
                kept[topic] = partitions
        return kept, room

    def _fill(self) -> None:
        start = 0
        for member_id, room in self.below:
            added: dict[UUID, set[int]] = {}
            for topic, index in self.free[start : start + room]:
                added.setdefault(topic, set()).add(index)
            start += room
            target = self.targets[member_id]
            for topic, indexes in added.items():
                target[topic] = target.get(topic, frozenset()) | indexes
