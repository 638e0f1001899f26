"""`range`: each topic by itself, its partitions in as many runs as there are members.

With three partitions and two members the first gets 0 and 1, the second 2, and so for every topic: partitions of the same
number of topics of the same size come to the same member, which joins of topics rely on.  The price is that the first
members have more when there are many topics.  Corresponds to Java's `RangeAssignor` without racks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .assignor import GroupMember, Owned, Pair, in_order, nothing_for


class RangeAssignor:
    """Runs of partitions, topic by topic."""

    name = "range"
    is_cooperative = False

    def user_data(self, previous: Owned) -> None:
        return None

    def assign(self, partition_counts: Mapping[str, int], members: Collection[GroupMember]) -> dict[str, list[Pair]]:
        assigned = nothing_for(members)
        ordered = in_order(members)
        for topic, count in sorted(partition_counts.items()):
            takers = [each.member_id for each in ordered if topic in each.topics]
            first = 0
            for place, member_id in enumerate(takers):
                size = count // len(takers) + (place < count % len(takers))
                assigned[member_id] += [(topic, partition) for partition in range(first, first + size)]
                first += size
        return assigned
