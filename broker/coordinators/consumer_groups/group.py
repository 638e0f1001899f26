"""A consumer group (KIP-848) as its records have made it.

    group epoch        grows whenever the members, their subscriptions or the topics change
    assignment epoch   the group epoch for which the target assignment was computed
    member epoch       the assignment epoch that this member has reached

    EMPTY         no members
    ASSIGNING     the group epoch is ahead of the assignment epoch
    RECONCILING   some member has not reached the assignment epoch, or waits for partitions of others
    STABLE        all have

Only `apply` changes what is durable; it never fails, whatever the order in which a compacted log brings the records. From
the records follow counts and indexes (who is which static instance, who owns which partition), kept so that a heartbeat
that changes nothing looks at one member only. `check` proves that they follow.

What a group forgets with a restart, as in Kafka: when its topics were last looked at (then they are looked at once more),
and that an expression is being resolved.

Kafka's classes: `ConsumerGroup`, `ModernGroup`.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from uuid import UUID

from ....protocol.errors import ErrorCode, KafkaError
from .member import AWAY_EPOCH, LEFT_EPOCH, NO_TARGET, ConsumerMember, MemberState, Owned, Partitions, Standing
from .records import (
    ConsumerGroupRecord,
    GroupEpoch,
    GroupEpochRecord,
    RegexRecord,
    StandingRecord,
    SubscriptionRecord,
    TargetEpoch,
    TargetEpochRecord,
    TargetRecord,
    TopicMetadataRecord,
)
from .regex import Resolved
from .subscriptions import Subscriptions

FIRST_EPOCH = 1
"""A group that nobody has joined yet; the first member makes it 2."""
NO_TARGET_EPOCH = -1
NOT_OWNED = -1


class ConsumerGroupState(Enum):
    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


class ConsumerGroup:
    """Read everything; change nothing but by `apply` and what is said to be volatile."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = FIRST_EPOCH
        self.metadata_hash = 0
        self.target_epoch = TargetEpoch(FIRST_EPOCH)
        self.targets: dict[str, Partitions] = {}
        self.members: dict[str, ConsumerMember] = {}
        self.resolved: dict[str, Resolved] = {}
        self.has_topic_metadata = False  # of Kafka 4.0 and before; removed at the next occasion
        self.subscriptions = Subscriptions()
        self.static_ids: dict[str, str] = {}
        self.assignors: Counter[str] = Counter()
        self.classic_count = 0
        self.classic_protocols: Counter[str] = Counter()
        self._owned_at: dict[UUID, dict[int, int]] = {}  # the member epoch of a partition's owner
        # Volatile.
        self.is_resolving = False
        self._topics_are_fresh = False
        self._fresh_since_epoch = 0

    # -- questions

    @property
    def assignment_epoch(self) -> int:
        return self.target_epoch.epoch

    @property
    def state(self) -> ConsumerGroupState:
        """Costs a look at each member."""
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.assignment_epoch:
            return ConsumerGroupState.ASSIGNING
        if all(each.is_reconciled_to(self.assignment_epoch) for each in self.members.values()):
            return ConsumerGroupState.STABLE
        return ConsumerGroupState.RECONCILING

    def member(self, member_id: str) -> ConsumerMember:
        """KafkaError(UNKNOWN_MEMBER_ID) if there is none."""
        found = self.members.get(member_id)
        if found is None:
            raise KafkaError(
                ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {self.group_id}."
            )
        return found

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        member_id = None if instance_id is None else self.static_ids.get(instance_id)
        return None if member_id is None else self.members.get(member_id)

    def target_of(self, member: ConsumerMember) -> Partitions:
        """What the member shall have; a static one takes over what its instance had."""
        member_id = member.member_id
        if member.instance_id is not None:
            member_id = self.static_ids.get(member.instance_id, "")
        return self.targets.get(member_id, NO_TARGET)

    def owner_epoch(self, topic_id: UUID, partition: int) -> int:
        """The epoch of the member that owns the partition, NOT_OWNED when it is free."""
        return self._owned_at.get(topic_id, {}).get(partition, NOT_OWNED)

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether a member wants the topic."""
        return self.subscriptions.wants(topic)

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """The names that the member is subscribed to; an expression that is not resolved matches nothing."""
        subscription = member.subscription
        resolved = self.resolved.get(subscription.regex) if subscription.regex else None
        return subscription.topics if resolved is None else subscription.topics | resolved.topics

    def preferred_assignor(self, default: str, *, changing: ConsumerMember, to: ConsumerMember) -> str:
        """The assignor that most members will ask for when `changing` has become `to`; the first by name of several."""
        counts = self.assignors.copy()
        _change(counts, changing.subscription.assignor, -1)
        _change(counts, to.subscription.assignor, 1)
        return max(sorted(counts), key=counts.__getitem__, default=default)

    # -- volatile

    def topics_are_fresh(self) -> bool:
        """Whether the group's epoch takes all changes of its topics into account."""
        return self._topics_are_fresh and self.epoch >= self._fresh_since_epoch

    def note_topics_seen(self, epoch: int) -> None:
        """The epoch (perhaps one that is only being written) takes the topics of now into account."""
        self._topics_are_fresh, self._fresh_since_epoch = True, epoch

    def note_topics_changed(self) -> None:
        """The next heartbeat is to look at the topics."""
        self._topics_are_fresh = False

    # -- changes

    def apply(self, record: ConsumerGroupRecord) -> None:
        """One record of this group. A tombstone of the group itself is for whoever keeps the groups."""
        match record:
            case GroupEpochRecord():
                value = record.value or GroupEpoch(FIRST_EPOCH)
                self.epoch, self.metadata_hash = value.epoch, value.metadata_hash
            case TopicMetadataRecord():
                self.has_topic_metadata = record.value is not None
            case SubscriptionRecord():
                self._apply_subscription(record)
            case TargetEpochRecord():
                self.target_epoch = record.value or TargetEpoch(NO_TARGET_EPOCH)
            case TargetRecord():
                if record.value is None:
                    self.targets.pop(record.member_id, None)
                else:
                    self.targets[record.member_id] = record.value
            case StandingRecord():
                self._apply_standing(record)
            case RegexRecord():
                self._apply_regex(record)

    def _apply_subscription(self, record: SubscriptionRecord) -> None:
        before = self.members.get(record.member_id)
        if record.value is not None:
            member = ConsumerMember(record.member_id) if before is None else before
            self._replace(before, member.with_subscription(record.value))
        elif before is not None:
            self._replace(before, None)

    def _apply_standing(self, record: StandingRecord) -> None:
        before = self.members.get(record.member_id)
        if record.value is not None:
            member = ConsumerMember(record.member_id) if before is None else before
            self._replace(before, member.with_standing(record.value))
        elif before is not None:
            self._replace(before, before.with_standing(Standing(LEFT_EPOCH, LEFT_EPOCH)))

    def _apply_regex(self, record: RegexRecord) -> None:
        before = self.resolved.pop(record.regex, None)
        if record.value is not None:
            self.resolved[record.regex] = record.value
        self.subscriptions.replace_matches(
            frozenset() if before is None else before.topics,
            frozenset() if record.value is None else record.value.topics,
        )

    def _replace(self, before: ConsumerMember | None, after: ConsumerMember | None) -> None:
        old, new = (None if each is None else each.subscription for each in (before, after))
        if old is not new:
            self.subscriptions.replace_member(old, new)
        if before is not None:
            self._uncount(before)
        if after is not None:
            self.members[after.member_id] = after
            self._count(after)
        elif before is not None:
            del self.members[before.member_id]

    def _uncount(self, member: ConsumerMember) -> None:
        if member.instance_id is not None and self.static_ids.get(member.instance_id) == member.member_id:
            del self.static_ids[member.instance_id]
        _change(self.assignors, member.subscription.assignor, -1)
        classic = member.subscription.classic
        if classic is not None:
            self.classic_count -= 1
            for name, _ in classic.protocols:
                _change(self.classic_protocols, name, -1)
        self._release(member.standing.assigned, member.epoch)
        self._release(member.standing.revoking, member.epoch)

    def _count(self, member: ConsumerMember) -> None:
        if member.instance_id is not None:
            self.static_ids[member.instance_id] = member.member_id
        _change(self.assignors, member.subscription.assignor, 1)
        classic = member.subscription.classic
        if classic is not None:
            self.classic_count += 1
            for name, _ in classic.protocols:
                _change(self.classic_protocols, name, 1)
        self._take(member.standing.assigned, member.epoch)
        self._take(member.standing.revoking, member.epoch)

    def _take(self, owned: Owned, epoch: int) -> None:
        for topic_id, partitions in owned.items():
            epochs = self._owned_at.setdefault(topic_id, {})
            for partition in partitions:
                epochs[partition] = max(epoch, epochs.get(partition, epoch))

    def _release(self, owned: Owned, epoch: int) -> None:
        """Only what is owned at this epoch: a later owner may have been written before this one's end."""
        for topic_id, partitions in owned.items():
            epochs = self._owned_at.get(topic_id)
            if epochs is None:
                continue
            for partition in partitions:
                if epochs.get(partition) == epoch:
                    del epochs[partition]
            if not epochs:
                del self._owned_at[topic_id]

    # -- invariants

    def check(self) -> None:
        """Assert that counts and indexes follow from the members, and that no partition has two owners."""
        members = list(self.members.values())
        names = Counter(topic for each in members for topic in each.subscription.topics)
        assert self.subscriptions.by_name == names
        assert self.subscriptions.regexes == Counter(
            each.subscription.regex for each in members if each.subscription.regex
        )
        assert self.subscriptions.by_regex == Counter(topic for each in self.resolved.values() for topic in each.topics)
        assert self.static_ids == {each.instance_id: each.member_id for each in members if each.instance_id is not None}
        assert self.assignors == Counter(each.subscription.assignor for each in members if each.subscription.assignor)
        assert self.classic_count == sum(each.is_classic for each in members)
        self._check_owners(members)

    def _check_owners(self, members: list[ConsumerMember]) -> None:
        owners: dict[UUID, dict[int, int]] = {}
        for member in members:
            gives_up = member.standing.state is MemberState.UNREVOKED_PARTITIONS and member.epoch != AWAY_EPOCH
            assert not gives_up or member.standing.revoking
            for owned in (member.standing.assigned, member.standing.revoking):
                for topic_id, partitions in owned.items():
                    for partition in partitions:
                        assert partition not in owners.setdefault(topic_id, {}), "a partition has two owners"
                        owners[topic_id][partition] = member.epoch
        assert self._owned_at == owners


def _change(counts: Counter[str], name: str | None, by: int) -> None:
    if name is not None:
        counts[name] += by
        if counts[name] <= 0:
            del counts[name]
