"""`sticky` and `cooperative-sticky`: as even as round robin, and members keep what they had.

`sticky` is eager: a member has given everything back when it joins, so what it had, and when, travels as user data:

    [topic string [partition int32]]  generation int32       (version 1; version 0 had no generation)

`cooperative-sticky` (KIP-429) finds both in the subscription itself from its version 2 on; for older readers the
generation is the user data, an int32.  A partition that changes hands is given to nobody until its owner has given it
up, which its owner does when it sees the assignment, and asks for the next rebalance.

Corresponds to Java's `StickyAssignor` and `CooperativeStickyAssignor`, whose bytes these are.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping

from ...protocol.consumer_protocol import NO_GENERATION, by_topic, pack_partitions, read_partitions
from ...protocol.errors import MalformedMessage
from ...protocol.primitives import INT32
from .assignor import GroupMember, Owned, Pair
from .balance import balanced


class StickyAssignor:
    """Balanced, and sticky by what the members remember."""

    name = "sticky"
    is_cooperative = False

    def user_data(self, previous: Owned) -> bytes | None:
        """None of a member that has had nothing."""
        if not previous.partitions:
            return None
        return pack_partitions(by_topic(sorted(previous.partitions))) + INT32.pack(previous.generation)

    def assign(self, partition_counts: Mapping[str, int], members: Collection[GroupMember]) -> dict[str, list[Pair]]:
        remembered = {each.member_id: _remembered(each.user_data) for each in members}
        return balanced(partition_counts, members, remembered)


class CooperativeStickyAssignor:
    """Balanced, and sticky by what the members still own; what moves pauses for one rebalance."""

    name = "cooperative-sticky"
    is_cooperative = True

    def user_data(self, previous: Owned) -> bytes | None:
        return INT32.pack(previous.generation)

    def assign(self, partition_counts: Mapping[str, int], members: Collection[GroupMember]) -> dict[str, list[Pair]]:
        owned = {each.member_id: Owned(each.owned.partitions, _generation(each)) for each in members}
        assigned = balanced(partition_counts, members, owned)
        given_up = {pair for each in members for pair in each.owned.partitions - set(assigned[each.member_id])}
        return {
            member_id: [pair for pair in pairs if pair not in given_up or pair in owned[member_id].partitions]
            for member_id, pairs in assigned.items()
        }


def _remembered(user_data: bytes | None) -> Owned:
    """What a member says it had; nothing, where that cannot be read: stickiness is a wish, the group must go on."""
    if user_data is None:
        return Owned()
    try:
        partitions, position = read_partitions(user_data, 0)
    except (MalformedMessage, struct.error, IndexError):
        return Owned()
    pairs = frozenset((topic, each) for topic, indexes in partitions.items() for each in indexes)
    has_generation = len(user_data) >= position + INT32.size
    return Owned(pairs, INT32.unpack_from(user_data, position)[0] if has_generation else NO_GENERATION)


def _generation(member: GroupMember) -> int:
    """Of the subscription; older members tell it in the user data alone."""
    if member.owned.generation != NO_GENERATION or member.user_data is None or len(member.user_data) < INT32.size:
        return member.owned.generation
    return int(INT32.unpack_from(member.user_data)[0])
