"""Members of the classic protocol in a consumer group: JoinGroup, SyncGroup and Heartbeat from the server's assignor.

To such a member the coordinator is the leader. It is told to join again by a heartbeat (REBALANCE_IN_PROGRESS), its join
says what it owns, and the answer has the next epoch as its generation; it gets the partitions with the sync:

    Heartbeat --- must give up, or its target is another ---> JoinGroup --- one step of reconciliation ---> SyncGroup
        ^                                                                                                      |
        `------------------------------ REBALANCE_IN_PROGRESS again while there is more to come ---------------'

Each of the two has a deadline, the member's rebalance timeout: who is told to join and does not (JOIN), who has joined and
does not sync (SYNC), is removed. No member is the leader of the group, so none is asked for an assignment.

Kafka's methods: `classicGroupJoinToConsumerGroup`, `classicGroupSyncToConsumerGroup`,
`classicGroupHeartbeatToConsumerGroup`.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from ....protocol import consumer_protocol
from ....protocol.consumer_protocol import PROTOCOL_TYPE
from ....protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ....protocol.values import dataclass
from .decision import Decision, TimerKind
from .group import NOT_OWNED
from .heartbeat import advance_epoch, step, write_subscription
from .member import ClassicMember, ConsumerMember, MemberState, Partitions, Subscription, without_epochs
from .membership import check_room, joining_member, known_member
from .migration import assignment_for, downgrade_by_replacing, may_downgrade_by_replacing
from .settings import MigrationPolicy
from .target import Change, MemberTarget, is_time, target_of
from .topic_patterns import RegexChange, change_regex


@dataclass(frozen=True, slots=True)
class ClassicJoin:
    """One JoinGroup. `new_id` is the member id to give out if one is needed."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    new_id: str
    must_know_its_id: bool


@dataclass(frozen=True, slots=True)
class ClassicJoined:
    """The answer."""

    member_id: str
    generation: int
    protocol_name: str


@dataclass(frozen=True, slots=True)
class ClassicSync:
    """One SyncGroup, or a Heartbeat (without the protocol)."""

    member_id: str
    instance_id: str | None
    generation: int
    protocol_type: str | None = None
    protocol_name: str | None = None


# --- joining


def join_classic(decision: Decision, request: ClassicJoin) -> ClassicJoined:
    """KafkaError: GROUP_MAX_SIZE_REACHED, INCONSISTENT_GROUP_PROTOCOL, MEMBER_ID_REQUIRED, FENCED_INSTANCE_ID,
    UNKNOWN_MEMBER_ID.
    """
    group = decision.group
    if decision.settings.migration is MigrationPolicy.DISABLED:
        raise _inconsistent(f"the group migration of {group.group_id} is disabled")
    is_new = not request.member_id
    member_id = request.new_id if is_new else request.member_id
    check_room(group, member_id, max_size=decision.settings.max_size)
    _check_protocols(decision, request)
    if is_new and request.instance_id is None and request.must_know_its_id:
        raise KafkaError(ErrorCode.MEMBER_ID_REQUIRED, "the member is to join again with the id it is given")
    subscription = _read(request)
    former = group.static_member(request.instance_id)
    downgrades = former is not None and may_downgrade_by_replacing(decision, former)
    member = _member(decision, request, member_id, is_new=is_new)
    wanted = member.with_subscription(_subscription(request, subscription, member.subscription))
    names_differ = write_subscription(decision, member, wanted)
    regex_differs = change_regex(decision, member.subscription, wanted.subscription) is not RegexChange.NONE
    is_due = names_differ or regex_differs
    change = advance_epoch(decision, member, wanted, is_due=is_due)
    reported = _by_id(decision, subscription)
    if downgrades:
        assert former is not None
        return _downgraded(decision, former, change, reported, is_due=is_due)
    after = step(decision, wanted, target_of(decision, change), reported, has_new_subscription=is_due)
    decision.cancel_timer(TimerKind.JOIN, member_id)
    decision.start_timer(TimerKind.SESSION, member_id, request.session_timeout_ms)
    decision.start_timer(TimerKind.SYNC, member_id, request.rebalance_timeout_ms)
    return ClassicJoined(member_id, after.epoch, request.protocols[0][0])


def _inconsistent(why: str) -> KafkaError:
    return KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, f"Cannot join with the classic protocol: {why}.")


def _check_protocols(decision: Decision, request: ClassicJoin) -> None:
    group = decision.group
    counts = group.classic_protocols
    common = any(counts[name] == group.classic_count for name, _ in request.protocols)
    if request.protocol_type != PROTOCOL_TYPE or not common:
        raise _inconsistent(f"the protocols of member {request.member_id} are not supported")


def _read(request: ClassicJoin) -> consumer_protocol.Subscription:
    try:
        return consumer_protocol.decode_subscription(request.protocols[0][1])
    except MalformedMessage:
        raise _inconsistent("the embedded consumer protocol is malformed") from None


def _member(decision: Decision, request: ClassicJoin, member_id: str, *, is_new: bool) -> ConsumerMember:
    """A dynamic member may come with any id that it was told; a static one with its own, or none."""
    if request.instance_id is None or is_new:
        return joining_member(decision, member_id, request.instance_id, is_classic=True)
    return known_member(decision.group, member_id, request.instance_id)


def _subscription(request: ClassicJoin, said: consumer_protocol.Subscription, before: Subscription) -> Subscription:
    return replace(
        before,
        instance_id=request.instance_id or before.instance_id,
        rack_id=said.rack or before.rack_id,
        client_id=request.client_id,
        client_host=request.client_host,
        topics=frozenset(said.topics),
        regex="",
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        classic=ClassicMember(request.session_timeout_ms, request.protocols),
    )


def _by_id(decision: Decision, subscription: consumer_protocol.Subscription) -> Partitions:
    """What the member says it owns; a version that cannot say so is of a consumer that gave up everything to join."""
    found: dict[UUID, frozenset[int]] = {}
    for name, partitions in subscription.owned.items():
        topic_id = decision.topics.id_of(name)
        if topic_id is not None:
            found[topic_id] = frozenset(partitions)
    return found


def _downgraded(
    decision: Decision, former: ConsumerMember, change: Change, reported: Partitions, *, is_due: bool
) -> ClassicJoined:
    group, after = decision.group, change.after
    if group.assignment_epoch >= change.group_epoch:
        target = MemberTarget(group.assignment_epoch, group.target_of(after))
        after = step(decision, after, target, reported, has_new_subscription=is_due)
    downgrade_by_replacing(decision, former, after, epoch=change.group_epoch)
    return ClassicJoined(after.member_id, after.epoch, _classic(after).protocols[0][0])


# --- the rest of a classic member's life


def sync_classic(decision: Decision, request: ClassicSync) -> bytes:
    """The member's assignment. KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION,
    INCONSISTENT_GROUP_PROTOCOL, REBALANCE_IN_PROGRESS.
    """
    member, classic = _classic_member(decision, request)
    _check_protocol(request, classic)
    if decision.group.assignment_epoch > member.epoch and member.standing.state is not MemberState.UNREVOKED_PARTITIONS:
        raise _rejoin(decision, member)
    decision.cancel_timer(TimerKind.SYNC, member.member_id)
    decision.start_timer(TimerKind.SESSION, member.member_id, classic.session_timeout_ms)
    owned = without_epochs(member.standing.assigned)
    return assignment_for(decision.topics, owned, like=classic.protocols[0][1])


def heartbeat_classic(decision: Decision, request: ClassicSync) -> ErrorCode:
    """NONE, or REBALANCE_IN_PROGRESS: to join again. KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID,
    ILLEGAL_GENERATION.
    """
    member, classic = _classic_member(decision, request)
    decision.start_timer(TimerKind.SESSION, member.member_id, classic.session_timeout_ms)
    standing = member.standing
    must_join = (
        standing.epoch < decision.group.assignment_epoch
        or standing.state is MemberState.UNREVOKED_PARTITIONS
        or (standing.state is MemberState.UNRELEASED_PARTITIONS and not _is_waiting(decision, member))
        or _is_left_to_classic_members(decision)
    )
    return _rejoin(decision, member).code if must_join else ErrorCode.NONE


def _classic_member(decision: Decision, request: ClassicSync) -> tuple[ConsumerMember, ClassicMember]:
    member = known_member(decision.group, request.member_id, request.instance_id)
    if not member.is_classic:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member.member_id} does not use the classic protocol.")
    if member.epoch != request.generation:
        raise KafkaError(
            ErrorCode.ILLEGAL_GENERATION,
            f"The request generation id {request.generation} is not equal to the member epoch {member.epoch} of member "
            f"{member.member_id}.",
        )
    return member, _classic(member)


def _classic(member: ConsumerMember) -> ClassicMember:
    assert member.subscription.classic is not None
    return member.subscription.classic


def _check_protocol(request: ClassicSync, classic: ClassicMember) -> None:
    told = ((request.protocol_type, PROTOCOL_TYPE), (request.protocol_name, classic.protocols[0][0]))
    if any(said is not None and said != expected for said, expected in told):
        raise _inconsistent(
            f"{request.protocol_type}, {request.protocol_name} is not what member {request.member_id} joined with"
        )


def _rejoin(decision: Decision, member: ConsumerMember) -> KafkaError:
    timeout_ms = member.subscription.rebalance_timeout_ms
    decision.start_timer(TimerKind.JOIN, member.member_id, timeout_ms, unless_running=True)
    return KafkaError(ErrorCode.REBALANCE_IN_PROGRESS, f"member {member.member_id} should rejoin to catch up")


def _is_left_to_classic_members(decision: Decision) -> bool:
    """A new target is due, and there is no member of the new protocol whose heartbeat would see to it: the join of a
    classic one must. (Kafka leaves a group whose downgrade is forbidden as it is then.)
    """
    group = decision.group
    if group.classic_count < len(group.members):
        return False
    return not group.topics_are_fresh() or (group.epoch > group.assignment_epoch and is_time(decision))


def _is_waiting(decision: Decision, member: ConsumerMember) -> bool:
    """Whether some partition of its target is still with another member."""
    group = decision.group
    return any(
        group.owner_epoch(topic_id, partition) != NOT_OWNED
        for topic_id, partitions in group.target_of(member).items()
        for partition in partitions - member.standing.assigned.get(topic_id, {}).keys()
    )
