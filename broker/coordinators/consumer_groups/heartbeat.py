"""ConsumerGroupHeartbeat: a member joins, says what has changed and what it owns, and hears what it shall own.

    1. the member: who it is, what it wants (membership, topic_patterns); what differs is written
    2. the group's epoch, if somebody now wants other topics, or the topics have changed
    3. the target assignment, if it is behind the epoch and its time has come (target)
    4. one step of this member towards its target (reconciliation)

A field that is null or -1 means "as before". The answer has an assignment when it is another one than before, when the
member joins, and when the request was a full one: clients send one after every error, not knowing what they missed.

A heartbeat that changes nothing writes nothing and costs a few looks into dicts. Kafka's method:
`GroupMetadataManager.consumerGroupHeartbeat`.
"""

from __future__ import annotations

from dataclasses import replace

from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.values import dataclass
from .decision import Decision, TimerKind
from .group import ConsumerGroup
from .member import AWAY_EPOCH, JOINING_EPOCH, LEFT_EPOCH, ConsumerMember, MemberState, Owned, Partitions, Subscription
from .membership import check_epoch, check_room, joining_member, known_member
from .reconciliation import Goal, reconcile
from .records import GroupEpoch, GroupEpochRecord, StandingRecord, SubscriptionRecord, TopicMetadataRecord
from .subscriptions import Subscriptions
from .target import Change, MemberTarget, target_of
from .topic_patterns import RegexChange, change_regex

NOT_SAID = -1


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One request. `reported` is what the member owns, None when it does not say; so with all that may be None."""

    member_id: str
    member_epoch: int
    instance_id: str | None
    rack_id: str | None
    rebalance_timeout_ms: int
    topics: frozenset[str] | None
    regex: str | None
    assignor: str | None
    reported: Partitions | None
    client_id: str
    client_host: str

    @property
    def is_full(self) -> bool:
        has_subscription = self.topics is not None or self.regex is not None
        return self.rebalance_timeout_ms != NOT_SAID and has_subscription and self.reported is not None


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """`assigned` is None when the member knows."""

    member_id: str
    member_epoch: int
    heartbeat_interval_ms: int = 0
    assigned: Owned | None = None


def check_heartbeat(request: Heartbeat, *, assignors: tuple[str, ...], must_have_id: bool) -> None:
    """What needs no group to be refused. KafkaError: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR."""
    needs_id = must_have_id or request.member_epoch > JOINING_EPOCH or request.member_epoch == LEFT_EPOCH
    if needs_id and not request.member_id.strip():
        raise _invalid("MemberId can't be empty.")
    for name, value in (("InstanceId", request.instance_id), ("RackId", request.rack_id)):
        if value is not None and not value.strip():
            raise _invalid(f"{name} can't be empty.")
    if request.member_epoch == JOINING_EPOCH:
        _check_joining(request)
    elif request.member_epoch == AWAY_EPOCH and request.instance_id is None:
        raise _invalid("InstanceId can't be null.")
    elif request.member_epoch < AWAY_EPOCH:
        raise _invalid("MemberEpoch is invalid.")
    if request.assignor is not None and request.assignor not in assignors:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.assignor} is not supported. Supported assignors: {', '.join(assignors)}.",
        )


def _check_joining(request: Heartbeat) -> None:
    if request.rebalance_timeout_ms == NOT_SAID:
        raise _invalid("RebalanceTimeoutMs must be provided in first request.")
    if request.reported is None or request.reported:
        raise _invalid("TopicPartitions must be empty when (re-)joining.")
    if request.topics is None and request.regex is None:
        raise _invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)


def heartbeat(decision: Decision, request: Heartbeat) -> HeartbeatAnswer:
    """The member's next step. KafkaError: see membership, topic_patterns, reconciliation."""
    group = decision.group
    check_room(group, request.member_id, max_size=decision.settings.max_size)
    member = _member(decision, request)
    wanted = member.with_subscription(_subscription(request, member.subscription))
    names_differ = write_subscription(decision, member, wanted)
    regex_change = change_regex(decision, member.subscription, wanted.subscription)
    change = advance_epoch(decision, member, wanted, is_due=names_differ or regex_change is RegexChange.RESOLVED)
    target = target_of(decision, change)
    has_new_subscription = names_differ or regex_change is not RegexChange.NONE
    after = step(decision, wanted, target, request.reported, has_new_subscription=has_new_subscription)
    times = decision.settings.times_of(group.group_id)
    decision.start_timer(TimerKind.SESSION, member.member_id, times.session_timeout_ms)
    tells = request.member_epoch == JOINING_EPOCH or request.is_full
    tells = tells or after.standing.assigned != member.standing.assigned
    return HeartbeatAnswer(
        after.member_id, after.epoch, times.heartbeat_interval_ms, after.standing.assigned if tells else None
    )


def _member(decision: Decision, request: Heartbeat) -> ConsumerMember:
    if request.member_epoch == JOINING_EPOCH:
        return joining_member(decision, request.member_id, request.instance_id, is_classic=False)
    member = known_member(decision.group, request.member_id, request.instance_id)
    check_epoch(member, request.member_epoch, request.reported)
    return member


def _subscription(request: Heartbeat, before: Subscription) -> Subscription:
    """What the member wants now; the same object when that is as before."""
    if _is_plain(request, before):
        return before
    after = replace(
        before,
        instance_id=request.instance_id or before.instance_id,
        rack_id=request.rack_id or before.rack_id,
        client_id=request.client_id,
        client_host=request.client_host,
        topics=before.topics if request.topics is None else request.topics,
        regex=before.regex if request.regex is None else request.regex,
        rebalance_timeout_ms=(
            before.rebalance_timeout_ms if request.rebalance_timeout_ms == NOT_SAID else request.rebalance_timeout_ms
        ),
        assignor=request.assignor or before.assignor,
        classic=None,
    )
    return before if after == before else after


def _is_plain(request: Heartbeat, before: Subscription) -> bool:
    """The heartbeat of nearly always: it says nothing but that the member lives."""
    return (
        request.topics is None
        and request.regex is None
        and request.rebalance_timeout_ms == NOT_SAID
        and request.assignor is None
        and request.rack_id is None
        and request.instance_id in (None, before.instance_id)
        and request.client_id == before.client_id
        and request.client_host == before.client_host
        and before.classic is None
    )


# --- the parts that members of the classic protocol share


def write_subscription(decision: Decision, before: ConsumerMember, after: ConsumerMember) -> bool:
    """Whether the member names other topics than before; whatever has changed is written."""
    if after.subscription == before.subscription:
        return False
    decision.records.append(SubscriptionRecord(decision.group_id, after.member_id, after.subscription))
    return after.subscription.topics != before.subscription.topics


def advance_epoch(decision: Decision, before: ConsumerMember, after: ConsumerMember, *, is_due: bool) -> Change:
    """The group's epoch with this change: the next one when that is due, or when the topics have changed."""
    group = decision.group
    if not is_due and group.topics_are_fresh():
        return Change(before, after, group.epoch, _is_homogeneous(decision, before, after))
    subscriptions = _subscriptions_with(group, before, after)
    epoch, metadata_hash = group.epoch, decision.topics.hash_of(subscriptions.topics)
    if is_due or metadata_hash != group.metadata_hash:
        epoch += 1
        decision.records.append(GroupEpochRecord(group.group_id, GroupEpoch(epoch, metadata_hash)))
    decision.seen_epoch = epoch
    if group.has_topic_metadata:
        decision.records.append(TopicMetadataRecord(group.group_id, None))
    return Change(before, after, epoch, subscriptions.are_homogeneous(_member_count_with(group, after)))


def _is_homogeneous(decision: Decision, before: ConsumerMember, after: ConsumerMember) -> bool:
    """Of the group with this change, which moves no epoch: a member comes that names no topics, or with an expression that
    is still to be resolved. The target may be behind an epoch that was written before, and is computed with that member.

    Kafka 4.3.1 asks how the group was without it, and may then assign partitions to a member that does not want them.
    """
    group = decision.group
    if group.assignment_epoch >= group.epoch:
        return True  # nobody will look
    return _subscriptions_with(group, before, after).are_homogeneous(_member_count_with(group, after))


def _subscriptions_with(group: ConsumerGroup, before: ConsumerMember, after: ConsumerMember) -> Subscriptions:
    """What the group is subscribed to with this change; the group's own, to be read only, when nothing differs."""
    old, new = before.subscription, after.subscription
    if old is new:
        return group.subscriptions
    subscriptions = group.subscriptions.copy()
    if old.regex and old.regex != new.regex and subscriptions.regexes[old.regex] == 1 and old.regex in group.resolved:
        subscriptions.replace_matches(group.resolved[old.regex].topics, frozenset())
    subscriptions.replace_member(old, new)
    return subscriptions


def _member_count_with(group: ConsumerGroup, after: ConsumerMember) -> int:
    is_new = after.member_id not in group.members and group.static_member(after.instance_id) is None
    return len(group.members) + is_new


def step(
    decision: Decision,
    member: ConsumerMember,
    target: MemberTarget,
    reported: Partitions | None,
    *,
    has_new_subscription: bool,
) -> ConsumerMember:
    """The member one step nearer to its target; whatever has changed is written, and the rebalance timer set."""
    if not has_new_subscription and member.is_reconciled_to(target.epoch):
        return member
    group = decision.group
    goal = Goal(
        epoch=target.epoch,
        target=target.partitions,
        subscribed=decision.topics.ids_of(group.topics_of(member)),
        reported=reported,
        owner_epoch=group.owner_epoch,
        has_new_subscription=has_new_subscription,
    )
    standing = reconcile(member.standing, goal)
    if standing == member.standing:
        return member
    decision.records.append(StandingRecord(group.group_id, member.member_id, standing))
    if not member.is_classic:
        if standing.state is MemberState.UNREVOKED_PARTITIONS:
            timeout_ms = member.subscription.rebalance_timeout_ms
            decision.start_timer(TimerKind.REBALANCE, member.member_id, timeout_ms)
        else:
            decision.cancel_timer(TimerKind.REBALANCE, member.member_id)
    return member.with_standing(standing)
