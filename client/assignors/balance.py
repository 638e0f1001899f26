"""A balanced division that changes as little as it can of the one before: the heart of both sticky assignors.

*Balanced*: no partition could move to a member that has at least two fewer and wants its topic.  *Sticky*: a member
keeps what it had, as long as balance allows; only what is left over, and what balance takes away, changes hands.

Where all members want the same topics the shares are known beforehand: `count // members`, and one more for the first
few; members that had the larger share keep it.  Where they want different topics, what is left over goes to the one with
the least, partitions with the fewest takers first; then single partitions move from members with more to members with
fewer, those first that nobody had before, until no move improves.  Each move lowers the sum of the squares, so it ends.

A partition that two claim belongs to the one of the later generation, for the other missed a rebalance; of two claims
of the same generation neither is believed (KIP-341, and Java's `AbstractStickyAssignor`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from ...protocol.values import dataclass, field
from .assignor import GroupMember, Owned, Pair, in_order


def balanced(
    partition_counts: Mapping[str, int], members: Collection[GroupMember], owned: Mapping[str, Owned]
) -> dict[str, list[Pair]]:
    """Each member's partitions, in order; `owned` is what members had, by member id."""
    ordered = in_order(members)
    counts = {
        topic: count for topic, count in partition_counts.items() if any(topic in each.topics for each in ordered)
    }
    kept = _still_theirs(counts, ordered, _claims(owned))
    wanted = {frozenset(topic for topic in each.topics if topic in counts) for each in ordered}
    divided = _equal_shares(counts, kept) if len(wanted) == 1 else _Division(counts, ordered, kept).divide()
    return {member_id: sorted(partitions) for member_id, partitions in divided.items()}


def _claims(owned: Mapping[str, Owned]) -> dict[Pair, str]:
    """Whose each partition was."""
    generation_of: dict[Pair, int] = {}
    owner_of: dict[Pair, str | None] = {}
    for member_id, had in sorted(owned.items()):
        for pair in had.partitions:
            known = generation_of.get(pair)
            if known is None or had.generation > known:
                generation_of[pair], owner_of[pair] = had.generation, member_id
            elif had.generation == known:
                owner_of[pair] = None
    return {pair: member_id for pair, member_id in owner_of.items() if member_id is not None}


def _still_theirs(
    counts: Mapping[str, int], members: Collection[GroupMember], owner_of: Mapping[Pair, str]
) -> dict[str, list[Pair]]:
    """What members had, without what is gone and what they do not want any more; in order."""
    topics_of = {each.member_id: each.topics for each in members}
    kept: dict[str, list[Pair]] = {each.member_id: [] for each in members}
    for (topic, partition), member_id in sorted(owner_of.items()):
        if 0 <= partition < counts.get(topic, 0) and topic in topics_of.get(member_id, ()):
            kept[member_id].append((topic, partition))
    return kept


def _left_over(counts: Mapping[str, int], kept: Mapping[str, list[Pair]]) -> list[Pair]:
    taken = {pair for partitions in kept.values() for pair in partitions}
    return [
        (topic, partition)
        for topic, count in sorted(counts.items())
        for partition in range(count)
        if (topic, partition) not in taken
    ]


def _equal_shares(counts: Mapping[str, int], kept: Mapping[str, list[Pair]]) -> dict[str, list[Pair]]:
    share, larger = divmod(sum(counts.values()), len(kept))
    by_need = sorted(kept, key=lambda member_id: -len(kept[member_id]))  # stable: else in the members' order
    quota = {member_id: share + (place < larger) for place, member_id in enumerate(by_need)}
    divided = {member_id: partitions[: quota[member_id]] for member_id, partitions in kept.items()}
    rest = iter(_left_over(counts, divided))
    in_need = [member_id for member_id in kept if len(divided[member_id]) < quota[member_id]]
    while in_need:  # quotas add up to all partitions
        for member_id in in_need:
            divided[member_id].append(next(rest))
        in_need = [member_id for member_id in in_need if len(divided[member_id]) < quota[member_id]]
    return divided


@dataclass(slots=True)
class _Division:
    """The division where members want different topics; `divided` becomes the answer."""

    counts: Mapping[str, int]
    members: Collection[GroupMember]
    kept: Mapping[str, list[Pair]]
    divided: dict[str, set[Pair]] = field(default_factory=dict)
    takers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def divide(self) -> dict[str, set[Pair]]:
        self.divided = {member_id: set(partitions) for member_id, partitions in self.kept.items()}
        for member in self.members:
            for topic in member.topics & self.counts.keys():
                self.takers[topic].append(member.member_id)
        for pair in sorted(_left_over(self.counts, self.kept), key=lambda pair: len(self.takers[pair[0]])):
            self.divided[self._least(pair[0])].add(pair)
        while any(self._relieve(member_id) for member_id in sorted(self.divided, key=self._load, reverse=True)):
            pass
        return self.divided

    def _load(self, member_id: str) -> int:
        return len(self.divided[member_id])

    def _least(self, topic: str) -> str:
        return min(self.takers[topic], key=self._load)

    def _relieve(self, member_id: str) -> bool:
        """Move one partition away from this member, if that makes things more even."""
        had = set(self.kept[member_id])
        target_of = {topic: self._least(topic) for topic, _ in self.divided[member_id]}
        movable = [
            pair for pair in self.divided[member_id] if self._load(member_id) - self._load(target_of[pair[0]]) >= 2
        ]
        if not movable:
            return False
        pair = min(movable, key=lambda pair: (pair in had, self._load(target_of[pair[0]]), pair))
        self.divided[member_id].remove(pair)
        self.divided[target_of[pair[0]]].add(pair)
        return True
