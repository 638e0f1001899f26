"""What an assignor is: who wants what goes in, who gets what comes out.

In a classic group one member, the leader, divides the partitions for all; each member proposes the assignors that it
knows, by name, and the coordinator chooses one that all know.  An assignor keeps nothing between two calls: what a
sticky one needs to know of earlier assignments the members tell in their subscriptions.

*Eager* members give all partitions back before they join, so that an assignment may move any of them at once.
*Cooperative* ones (KIP-429) keep theirs: an assignor that serves them must not give a partition to a member while
another still owns it; the owner gives it up first and a second rebalance hands it over.

Corresponds to Java's `ConsumerPartitionAssignor`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from ...protocol.consumer_protocol import NO_GENERATION
from ...protocol.values import dataclass

Pair = tuple[str, int]
"""A topic and one of its partitions; plainer than a TopicPartition, for there may be a hundred thousand."""


@dataclass(frozen=True, slots=True)
class Owned:
    """What a member had, and in which generation it was given to it."""

    partitions: frozenset[Pair] = frozenset()
    generation: int = NO_GENERATION


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member as its subscription describes it; `owned` is what it still has, `user_data` for the assignor alone."""

    member_id: str
    topics: frozenset[str]
    instance_id: str | None = None
    owned: Owned = Owned()
    user_data: bytes | None = None


class Assignor(Protocol):
    """A strategy; `name` is what members of all clients call it."""

    @property
    def name(self) -> str: ...

    @property
    def is_cooperative(self) -> bool:
        """Whether members may keep their partitions while they join."""
        ...

    def user_data(self, previous: Owned) -> bytes | None:
        """What a member with this assignment says about itself to the assignor of the leader."""
        ...

    def assign(self, partition_counts: Mapping[str, int], members: Collection[GroupMember]) -> dict[str, list[Pair]]:
        """Each member's partitions, by member id; topics without a count do not exist and are left out.

        Every partition of a topic that somebody wants goes to exactly one who wants it.
        """
        ...


def in_order(members: Collection[GroupMember]) -> list[GroupMember]:
    """Static members by their instance ids, so that a restart changes nothing; then the others by member id."""
    return sorted(members, key=lambda each: (each.instance_id is None, each.instance_id or "", each.member_id))


def nothing_for(members: Collection[GroupMember]) -> dict[str, list[Pair]]:
    """The assignment that gives nobody anything."""
    return {each.member_id: [] for each in members}
