"""A live classic group: who is in it, what they are waiting for, and in which state that puts the group.

                    first join                      all have joined, or time is up
    EMPTY ------------------------> PREPARING ------------------------------------> COMPLETING
      ^                              ^     |            (a new generation)            |    |
      |        nobody is left        |     |                                          |    | the leader's assignment
      +------------------------------|-----+      join, leave, expiry, late sync      |    v is durable
      ^                              +------------------------------------------------+  STABLE
      |                              +---------------------------------------------------+
      (a loaded group begins as EMPTY or STABLE)

What each state answers:

    JoinGroup   EMPTY, PREPARING, COMPLETING: waits for the generation.  STABLE: begins a rebalance, but for a follower
                that changes nothing, which is told the generation as it is
    SyncGroup   PREPARING: REBALANCE_IN_PROGRESS.  COMPLETING: waits for the leader's.  STABLE: the assignment
    Heartbeat   PREPARING: REBALANCE_IN_PROGRESS, else NONE
    OffsetCommit of a member   COMPLETING: REBALANCE_IN_PROGRESS, else it is taken

This file is the data and the questions one can ask of it; `joining`, `syncing` and `rebalance` move it. A live group is
volatile, like the connections of its members. What must survive is in `groups_state`, and `Group.load` makes a live group
of it: members of an agreed generation go on as if nothing had happened.

Of what a member offers, the record keeps the protocol that was chosen, as Kafka's does. So a loaded member supports that
one only (`is_loaded`), until it joins again and says the rest: a new member that does not know the chosen protocol is
refused meanwhile, and when a loaded one joins again, whether it has changed anything is judged by what is known of it.
Kafka takes it for changed if it ever offered more than one protocol, and rebalances.

Invariants (see `check`): the leader is a member; a static id belongs to one member; `awaiting_join_count` members have a
join to be answered; a member that is pending is not a member yet.

Kafka's classes: `ClassicGroup`, `ClassicGroupMember`, `ClassicGroupState`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum

from ...protocol.consumer_protocol import PROTOCOL_TYPE, decode_topics
from ...protocol.errors import MalformedMessage
from ...protocol.values import dataclass
from .group_records import GroupStored, StoredMember

Protocols = tuple[tuple[str, bytes], ...]
"""The protocols (assignors) a member offers, the one it likes best first, each with its metadata."""

Waiter = object
"""Whoever waits for an answer, known to the shell only."""


class GroupState(Enum):
    """The states, by the names that Kafka's tools show."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"
    """Of no group that exists: what DescribeGroups calls one that it does not find."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """How to tell a static member that it goes on in a stable generation.

    A leader that knows of it (JoinGroup v9, KIP-814) is told to skip the assignment. One that does not is shown the id
    of the leader before it, which is its own former one: it must not take itself for the leader and assign again.
    """

    can_skip_assignment: bool
    leader_before: str


@dataclass(slots=True)
class Member:
    """One member. Its waiters are the requests of it that are not answered yet.

    In a stable group only a static member's join can wait, with `resumption`, for its new id to be durable. `is_new`
    until its first generation: it does not know its id yet, so it cannot prove by heartbeats that it lives. `is_loaded`
    until it joins again after a restart: of its protocols only the chosen one is known.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: Protocols
    assignment: bytes = b""
    join_waiter: Waiter | None = None
    sync_waiter: Waiter | None = None
    is_new: bool = False
    is_loaded: bool = False
    resumption: Resumption | None = None

    @property
    def is_static(self) -> bool:
        return self.instance_id is not None

    @property
    def proves_life(self) -> bool:
        """Whether a request of it is waiting: then no heartbeat is due."""
        return not self.is_new and (self.join_waiter is not None or self.sync_waiter is not None)

    def metadata(self, protocol: str | None) -> bytes:
        """What it sent with this protocol; every member has the one that is chosen."""
        return next((metadata for name, metadata in self.protocols if name == protocol), b"")

    def offers_the_same(self, protocols: Protocols, chosen: str | None) -> bool:
        """Whether a join with these changes nothing, as far as is known."""
        if self.is_loaded:
            return any(name == chosen and metadata == self.metadata(chosen) for name, metadata in protocols)
        return self.protocols == protocols

    def vote(self, candidates: set[str]) -> str:
        """The candidate it likes best; it supports all of them."""
        return next(name for name, _ in self.protocols if name in candidates)

    def stored(self, protocol: str | None, assignment: bytes) -> StoredMember:
        return StoredMember(
            self.member_id,
            self.instance_id,
            self.client_id,
            self.client_host,
            self.rebalance_timeout_ms,
            self.session_timeout_ms,
            self.metadata(protocol),
            assignment,
        )


class Group:
    """One group. Its fields are for reading; its methods keep the invariants, the callers the sense."""

    __slots__ = (
        "awaiting_join_count",
        "generation",
        "group_id",
        "initial_delay_ms",
        "initial_remaining_ms",
        "leader_id",
        "members",
        "new_member_added",
        "pending",
        "previous_state",
        "protocol_name",
        "protocol_type",
        "state",
        "state_changed_at_ms",
        "static_ids",
        "subscribed_topics",
        "unsynced",
        "votes",
    )

    def __init__(self, group_id: str, now_ms: int) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.previous_state = GroupState.DEAD
        self.state_changed_at_ms = now_ms
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.leader_id: str | None = None
        self.members: dict[str, Member] = {}
        self.static_ids: dict[str, str] = {}  # instance id -> member id
        self.pending: set[str] = set()  # ids given out with MEMBER_ID_REQUIRED, and not yet joined with
        self.unsynced: set[str] = set()  # members of this generation that have not sent SyncGroup
        self.votes: Counter[str] = Counter()  # protocol -> how many members support it
        self.awaiting_join_count = 0
        self.subscribed_topics: frozenset[str] | None = None  # None: not known
        self.new_member_added = False  # since the initial rebalance's delay was last prolonged
        self.initial_delay_ms = 0  # the part of the initial rebalance's delay that is running
        self.initial_remaining_ms = 0  # and what may be added to it

    @classmethod
    def load(cls, stored: GroupStored) -> Group:
        """The group after a restart."""
        group = cls(stored.group_id, stored.state_changed_at_ms)
        group.generation = stored.generation
        group.protocol_type = stored.protocol_type
        group.protocol_name = stored.protocol_name
        for each in stored.members:
            group.add(
                Member(
                    each.member_id,
                    each.instance_id,
                    each.client_id,
                    each.client_host,
                    each.rebalance_timeout_ms,
                    each.session_timeout_ms,
                    ((stored.protocol_name or "", each.subscription),),
                    each.assignment,
                    is_loaded=True,
                )
            )
        if stored.leader_id in group.members:
            group.leader_id = stored.leader_id
        group.state = GroupState.STABLE if stored.members else GroupState.EMPTY
        group.note_subscriptions()
        return group

    # -- questions

    @property
    def is_consumer_group(self) -> bool:
        return self.protocol_type == PROTOCOL_TYPE

    @property
    def all_have_joined(self) -> bool:
        return len(self.members) == self.awaiting_join_count and not self.pending

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest that any member needs to give up what it is doing."""
        return max((each.rebalance_timeout_ms for each in self.members.values()), default=0)

    @property
    def is_in_initial_rebalance(self) -> bool:
        """Preparing the first generation, or the first since it was empty: more members are given time to come."""
        return self.state is GroupState.PREPARING and self.previous_state is GroupState.EMPTY

    def supports(self, protocol_type: str, names: Iterable[str]) -> bool:
        """Whether a member with these protocols could be in this group."""
        if self.state is GroupState.EMPTY:
            return bool(protocol_type) and any(True for _ in names)
        return self.protocol_type == protocol_type and any(self.votes[name] == len(self.members) for name in names)

    def choose_protocol(self) -> str:
        """The protocol with the most votes among those that all members support."""
        candidates = {name for name, count in self.votes.items() if count == len(self.members)}
        votes = Counter(member.vote(candidates) for member in self.members.values())
        return votes.most_common(1)[0][0]

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether a member reads the topic, as far as is known: a consumer group that cannot be read is taken to."""
        return self.is_consumer_group if self.subscribed_topics is None else topic in self.subscribed_topics

    def absent_members(self) -> Iterator[Member]:
        """Those that have not joined the rebalance that is being prepared."""
        return (each for each in self.members.values() if each.join_waiter is None)

    def as_stored(self, assignments: dict[str, bytes]) -> GroupStored:
        """The record of this generation."""
        return GroupStored(
            self.group_id,
            self.generation,
            self.protocol_type,
            self.protocol_name,
            self.leader_id,
            self.state_changed_at_ms,
            tuple(
                each.stored(self.protocol_name, assignments.get(each.member_id, b"")) for each in self.members.values()
            ),
        )

    # -- changes

    def change_state(self, state: GroupState, now_ms: int) -> None:
        self.previous_state, self.state = self.state, state
        self.state_changed_at_ms = now_ms

    def add(self, member: Member) -> None:
        """A member comes in; the first one is the leader and says what type of group this is."""
        assert member.member_id not in self.members
        if member.instance_id is not None:
            assert member.instance_id not in self.static_ids
            self.static_ids[member.instance_id] = member.member_id
        self.members[member.member_id] = member
        self.votes.update(name for name, _ in member.protocols)
        self.awaiting_join_count += member.join_waiter is not None
        self.pending.discard(member.member_id)
        if self.leader_id is None:
            self.leader_id = member.member_id

    def remove(self, member_id: str) -> None:
        """A member or a pending one goes; another becomes the leader if need be."""
        self.pending.discard(member_id)
        self.unsynced.discard(member_id)
        member = self.members.pop(member_id, None)
        if member is None:
            return
        self._uncount(member)
        self.awaiting_join_count -= member.join_waiter is not None
        if member.instance_id is not None:
            del self.static_ids[member.instance_id]
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)

    def update(self, member: Member, protocols: Protocols, rebalance_timeout_ms: int, session_timeout_ms: int) -> None:
        """A member says again what it offers."""
        self._uncount(member)
        member.is_loaded = False
        member.protocols = protocols
        self.votes.update(name for name, _ in protocols)
        member.rebalance_timeout_ms = rebalance_timeout_ms
        member.session_timeout_ms = session_timeout_ms

    def replace_static(self, member: Member, new_id: str) -> Member:
        """The instance runs again under a new member id, in the old one's place; its waiters must have been answered."""
        assert member.join_waiter is None
        assert member.sync_waiter is None
        assert member.instance_id is not None
        self.members.pop(member.member_id)
        renewed = replace(member, member_id=new_id, is_new=False, resumption=None)
        self.members[new_id] = renewed
        self.static_ids[member.instance_id] = new_id
        if member.member_id in self.unsynced:
            self.unsynced.discard(member.member_id)
            self.unsynced.add(new_id)
        if self.leader_id == member.member_id:
            self.leader_id = new_id
        return renewed

    def await_join(self, member: Member, waiter: Waiter) -> Waiter | None:
        """The member's join is to be answered with the generation; returns the one it replaces."""
        before, member.join_waiter = member.join_waiter, waiter
        self.awaiting_join_count += before is None
        return before

    def take_join_waiter(self, member: Member) -> Waiter | None:
        """The member's join is being answered."""
        waiter, member.join_waiter = member.join_waiter, None
        self.awaiting_join_count -= waiter is not None
        return waiter

    def elect_leader(self) -> bool:
        """Keep the leader if it has joined, else take one that has; False when nobody has."""
        if self.leader_id is not None and self.members[self.leader_id].join_waiter is not None:
            return True
        joined = next((each for each in self.members.values() if each.join_waiter is not None), None)
        if joined is not None:
            self.leader_id = joined.member_id
        return joined is not None

    def begin_generation(self, now_ms: int) -> None:
        """All that will join have joined, perhaps nobody."""
        self.generation += 1
        self.unsynced.clear()
        self.protocol_name = self.choose_protocol() if self.members else None
        self.note_subscriptions()
        self.change_state(GroupState.COMPLETING if self.members else GroupState.EMPTY, now_ms)

    def note_subscriptions(self) -> None:
        """Read from the members' metadata which topics they consume; None when one of them cannot be read.

        The coordinator looks no further into it: offsets of a topic that somebody still reads may not be dropped.
        """
        if not self.is_consumer_group:
            self.subscribed_topics = None
        elif not self.members:
            self.subscribed_topics = frozenset()
        else:
            self.subscribed_topics = self._read_topics()

    def _read_topics(self) -> frozenset[str] | None:
        try:
            metadata = [each.metadata(self.protocol_name) for each in self.members.values()]
            return frozenset(topic for each in metadata for topic in decode_topics(each))
        except MalformedMessage:
            return None

    def _uncount(self, member: Member) -> None:
        for name, _ in member.protocols:
            self.votes[name] -= 1
            if not self.votes[name]:
                del self.votes[name]

    def check(self) -> None:
        """Assert the invariants."""
        assert (self.leader_id is None) == (not self.members)
        assert self.leader_id is None or self.leader_id in self.members
        assert self.state is not GroupState.EMPTY or not self.members
        assert self.state is GroupState.PREPARING or self.state is GroupState.EMPTY or self.members
        assert self.awaiting_join_count == sum(each.join_waiter is not None for each in self.members.values())
        static = {each.instance_id: each.member_id for each in self.members.values() if each.instance_id is not None}
        assert static == self.static_ids
        assert not self.pending & self.members.keys()
        assert self.unsynced <= self.members.keys()
        assert all(member_id == each.member_id for member_id, each in self.members.items())
        assert self.votes == Counter(name for each in self.members.values() for name, _ in each.protocols)
