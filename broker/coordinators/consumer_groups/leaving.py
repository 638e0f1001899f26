"""How members go: they say so, they fall silent, or they do not give up in time what they were told to.

    leaves (-1), or fenced     its records are removed, the group's epoch grows, its partitions are free
    a static one goes away     (-2) its partitions stay reserved for the instance, until it is back under a new member id or
                               its session is over; the group is not rebalanced for it
    the last of its protocol   a group whose remaining members all speak the classic protocol becomes a classic group
                               again, if `group.consumer.migration.policy` allows (`migration`)

Kafka's methods: `consumerGroupLeave`, `consumerGroupFenceMembers`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ....protocol.errors import ErrorCode, KafkaError
from .decision import Decision
from .heartbeat import Heartbeat, HeartbeatAnswer
from .member import AWAY_EPOCH, NOTHING, ConsumerMember, MemberState, with_epoch, without_epochs
from .membership import check_instance, known_member, remove_member, static_member
from .migration import downgrade, may_downgrade
from .records import GroupEpoch, GroupEpochRecord, RegexRecord, StandingRecord


def leave(decision: Decision, request: Heartbeat) -> HeartbeatAnswer:
    """A heartbeat with epoch -1 or -2. KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID."""
    member = known_member(decision.group, request.member_id, request.instance_id)
    if request.instance_id is not None and request.member_epoch == AWAY_EPOCH:
        _go_away(decision, member)
    else:
        remove(decision, [member])
    return HeartbeatAnswer(request.member_id, request.member_epoch)


def _go_away(decision: Decision, member: ConsumerMember) -> None:
    """What it was giving up it has given up; the rest counts as granted at epoch 0 to whoever comes back."""
    standing = replace(
        member.standing,
        epoch=AWAY_EPOCH,
        assigned=with_epoch(without_epochs(member.standing.assigned), 0),
        revoking=NOTHING,
    )
    decision.records.append(StandingRecord(decision.group_id, member.member_id, standing))


def session_expired(decision: Decision, member_id: str) -> None:
    """The timer: no heartbeat came in time. Nothing happens if the member has left meanwhile."""
    member = decision.group.members.get(member_id)
    if member is not None:
        remove(decision, [member])


def rebalance_expired(decision: Decision, member_id: str) -> None:
    """The timer: the member has not given up what it was told to."""
    member = decision.group.members.get(member_id)
    if member is None or member.epoch == AWAY_EPOCH:
        return
    if member.standing.state is MemberState.UNREVOKED_PARTITIONS:
        remove(decision, [member])


def leave_classic(decision: Decision, leaving: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
    """LeaveGroup, also of an administrator: (member id, instance id) each; a code for each."""
    codes: list[ErrorCode] = []
    found: dict[str, ConsumerMember] = {}
    for member_id, instance_id in leaving:
        try:
            member = _leaving_classic(decision, member_id, instance_id)
        except KafkaError as refusal:
            codes.append(refusal.code)
        else:
            codes.append(ErrorCode.NONE)
            found[member.member_id] = member
    if found:
        remove(decision, list(found.values()))
    return codes


def _leaving_classic(decision: Decision, member_id: str, instance_id: str | None) -> ConsumerMember:
    if instance_id is None:
        return decision.group.member(member_id)
    member = static_member(decision.group, instance_id)
    if member_id:
        check_instance(member, member_id)
    return member


def remove(decision: Decision, members: Sequence[ConsumerMember]) -> None:
    """These are in the group no more, which may make it a classic group."""
    if may_downgrade(decision, without=members):
        downgrade(decision, without=members)
        return
    for member in members:
        remove_member(decision, member.member_id)
    group = decision.group
    subscriptions = group.subscriptions.copy()
    leaving = Counter(each.subscription.regex for each in members if each.subscription.regex)
    for regex, count in leaving.items():
        if subscriptions.regexes[regex] == count:
            decision.records.append(RegexRecord(group.group_id, regex, None))
            if regex in group.resolved:
                subscriptions.replace_matches(group.resolved[regex].topics, frozenset())
    for member in members:
        subscriptions.replace_member(member.subscription, None)
        decision.cancel_timers(member.member_id)
    metadata_hash = decision.topics.hash_of(subscriptions.topics)
    decision.records.append(GroupEpochRecord(group.group_id, GroupEpoch(group.epoch + 1, metadata_hash)))
