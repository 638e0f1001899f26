"""`roundrobin`: all partitions of all topics in one row, dealt to the members in turn.

Who has not subscribed to a topic is passed over.  Corresponds to Java's `RoundRobinAssignor`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import cycle

from .assignor import GroupMember, Owned, Pair, in_order, nothing_for


class RoundRobinAssignor:
    """One partition for each member in turn."""

    name = "roundrobin"
    is_cooperative = False

    def user_data(self, previous: Owned) -> None:
        return None

    def assign(self, partition_counts: Mapping[str, int], members: Collection[GroupMember]) -> dict[str, list[Pair]]:
        assigned = nothing_for(members)
        wanted = frozenset[str]().union(*(each.topics for each in members))
        turns = cycle(in_order(members))
        for topic, count in sorted(partition_counts.items()):
            if topic not in wanted:
                continue
            for partition in range(count):
                taker = next(each for each in turns if topic in each.topics)
                assigned[taker.member_id].append((topic, partition))
        return assigned
