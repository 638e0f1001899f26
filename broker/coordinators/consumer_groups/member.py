"""One member of a consumer group (KIP-848): what it said of itself, and how far it has come with its partitions.

Both halves are the values of the member's two records in `__consumer_offsets`, so that a member is what was written of
it and nothing else:

    Subscription     ConsumerGroupMemberMetadata            what the member wants, as it told us
    Standing         ConsumerGroupCurrentMemberAssignment   what the coordinator has granted it, and at which epoch

    STABLE                  owns what the target assignment of its epoch gives it
    UNREVOKED_PARTITIONS    is told to give up partitions; it stays at its epoch until it no longer reports them
    UNRELEASED_PARTITIONS   has reached the epoch, yet some of its partitions are still with other members

A partition that was granted is the member's until its standing says otherwise, whether it is in `assigned` or in
`revoking`: that is what keeps two members from owning it at once. With each partition goes the epoch at which the
member got it: a commit of that epoch or a later one is the owner's, an older one comes from before.

Values are immutable and replaced. Kafka's classes: `ConsumerGroupMember`, `MemberState`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import IntEnum
from types import MappingProxyType
from uuid import UUID

from ....protocol.values import dataclass, field

Owned = Mapping[UUID, Mapping[int, int]]
"""Topic id -> partition -> the member epoch at which the member got it. No topic without partitions is kept."""

Partitions = Mapping[UUID, frozenset[int]]
"""Topic id -> partitions, as a target or as a member reports them."""

NOTHING: Mapping[UUID, Mapping[int, int]] = MappingProxyType({})
NO_TARGET: Partitions = MappingProxyType({})

JOINING_EPOCH = 0
"""With this epoch a member joins, or joins again after it was fenced."""
LEFT_EPOCH = -1
"""With this epoch a member leaves."""
AWAY_EPOCH = -2
"""With this epoch a static member leaves for a while: its partitions wait for the instance to come back."""


class MemberState(IntEnum):
    """Numbers are those of the record."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2
    UNKNOWN = 127


@dataclass(frozen=True, slots=True)
class ClassicMember:
    """What is kept of a member that speaks the classic protocol in a consumer group; `protocols` in its order."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Subscription:
    """`regex` is "" or None for a member without one. `classic` is None for a member of the new protocol."""

    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    regex: str | None = ""
    rebalance_timeout_ms: int = -1
    assignor: str | None = None
    classic: ClassicMember | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """`previous_epoch` is still accepted of a member that may not have heard of `epoch`."""

    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: Owned = field(default_factory=lambda: NOTHING)
    revoking: Owned = field(default_factory=lambda: NOTHING)

    def moved(self, epoch: int, state: MemberState, assigned: Owned, revoking: Owned = NOTHING) -> Standing:
        """The next standing; the epoch of now becomes the previous one."""
        return Standing(epoch, self.epoch, state, assigned, revoking)


@dataclass(frozen=True, slots=True)
class ConsumerMember:
    """A member by its id."""

    member_id: str
    subscription: Subscription = field(default_factory=Subscription)
    standing: Standing = field(default_factory=Standing)

    @property
    def instance_id(self) -> str | None:
        return self.subscription.instance_id

    @property
    def epoch(self) -> int:
        return self.standing.epoch

    @property
    def is_classic(self) -> bool:
        return self.subscription.classic is not None

    def is_reconciled_to(self, epoch: int) -> bool:
        return self.standing.state is MemberState.STABLE and self.standing.epoch == epoch

    def owns_since(self, topic_id: UUID, partition: int) -> int | None:
        """The epoch at which the member got the partition; None when it is not the member's."""
        since = self.standing.assigned.get(topic_id, {}).get(partition)
        return self.standing.revoking.get(topic_id, {}).get(partition) if since is None else since

    def with_subscription(self, subscription: Subscription) -> ConsumerMember:
        return self if subscription is self.subscription else replace(self, subscription=subscription)

    def with_standing(self, standing: Standing) -> ConsumerMember:
        return replace(self, standing=standing)


def without_epochs(owned: Owned) -> dict[UUID, frozenset[int]]:
    return {topic_id: frozenset(partitions) for topic_id, partitions in owned.items()}


def with_epoch(partitions: Partitions, epoch: int) -> dict[UUID, dict[int, int]]:
    return {topic_id: dict.fromkeys(sorted(each), epoch) for topic_id, each in partitions.items() if each}


def is_within(partitions: Partitions | None, owned: Owned) -> bool:
    """Whether all of these are owned; unknown partitions (None) are not."""
    if partitions is None:
        return False
    return all(each <= owned.get(topic_id, {}).keys() for topic_id, each in partitions.items())


def partitions_of(pairs: Iterable[tuple[UUID, Iterable[int]]]) -> dict[UUID, frozenset[int]]:
    """Partitions by topic, from a request that may name a topic twice."""
    found: dict[UUID, frozenset[int]] = {}
    for topic_id, partitions in pairs:
        found[topic_id] = found.get(topic_id, frozenset()) | frozenset(partitions)
    return found
