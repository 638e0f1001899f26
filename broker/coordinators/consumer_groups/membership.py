"""Whether a request may speak for a member: who it is, at which epoch, as which static instance.

    epoch 0                        the member joins, or begins anew after it was fenced
    its epoch                      goes on
    the one before                 goes on if it owns no more than it was granted: the answer with its epoch got lost
    any other                      FENCED_MEMBER_EPOCH: it must give up everything and join again

    instance id of another member  FENCED_INSTANCE_ID; when joining UNRELEASED_INSTANCE_ID, unless that member is away
                                   (left with epoch -2) or one of the two speaks the classic protocol
    instance id of nobody          UNKNOWN_MEMBER_ID; when joining it is a new member

The words are Kafka's. Kafka's methods: `getOrMaybeSubscribe(Static)ConsumerGroupMember` and the `throwIf...` they call, in
`GroupMetadataManager`.
"""

from __future__ import annotations

from dataclasses import replace

from ....protocol.errors import ErrorCode, KafkaError
from .decision import Decision
from .group import ConsumerGroup
from .member import AWAY_EPOCH, JOINING_EPOCH, NO_TARGET, ConsumerMember, Partitions, is_within
from .records import StandingRecord, SubscriptionRecord, TargetRecord

MAX_NAME_BYTES = 32_767
"""Of what goes into the key of a record; requests may have longer strings."""


def check_name(what: str, name: str) -> None:
    """KafkaError(INVALID_REQUEST) when it cannot be the name of a group or member."""
    if len(name.encode()) > MAX_NAME_BYTES:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{what} is longer than {MAX_NAME_BYTES} bytes.")


def check_room(group: ConsumerGroup, member_id: str, *, max_size: int) -> None:
    """KafkaError(GROUP_MAX_SIZE_REACHED) when a new member would be one too many."""
    if len(group.members) >= max_size and member_id not in group.members:
        raise KafkaError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The consumer group has reached its maximum capacity of {max_size} members.",
        )


def check_epoch(member: ConsumerMember, epoch: int, reported: Partitions | None) -> None:
    """KafkaError(FENCED_MEMBER_EPOCH)."""
    if epoch in (JOINING_EPOCH, member.epoch):
        return
    if (
        epoch == member.standing.previous_epoch
        and epoch < member.epoch
        and is_within(reported, member.standing.assigned)
    ):
        return
    kind = "greater" if epoch > member.epoch else "smaller"
    raise KafkaError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {kind} member epoch ({epoch}) than the one known by the group coordinator "
        f"({member.epoch}). The member must abandon all its partitions and rejoin.",
    )


def joining_member(decision: Decision, member_id: str, instance_id: str | None, *, is_classic: bool) -> ConsumerMember:
    """The member that joins: new, known, or in the place of its static instance's former one.

    KafkaError: INVALID_REQUEST, UNRELEASED_INSTANCE_ID.
    """
    check_name("MemberId", member_id)
    group = decision.group
    former = group.static_member(instance_id)
    if former is None:
        return group.members.get(member_id) or ConsumerMember(member_id)
    if not is_classic and not former.is_classic:
        _check_released(former, member_id)
    return _replacement(decision, former, member_id)


def _check_released(former: ConsumerMember, member_id: str) -> None:
    if former.epoch != AWAY_EPOCH:
        raise KafkaError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {member_id} with instance id {former.instance_id} cannot join the group because the instance "
            f"id is owned by {former.member_id} member.",
        )


def _replacement(decision: Decision, former: ConsumerMember, member_id: str) -> ConsumerMember:
    """The former member under a new id, with all that it had; its records replace the former's."""
    standing = replace(former.standing, epoch=JOINING_EPOCH, previous_epoch=JOINING_EPOCH)
    member = ConsumerMember(member_id, former.subscription, standing)
    remove_member(decision, former.member_id)
    group_id = decision.group_id
    target = decision.group.targets.get(former.member_id, NO_TARGET)
    decision.records.append(SubscriptionRecord(group_id, member_id, member.subscription))
    decision.records.append(TargetRecord(group_id, member_id, target))
    decision.records.append(StandingRecord(group_id, member_id, standing))
    return member


def remove_member(decision: Decision, member_id: str) -> None:
    """The tombstones of a member."""
    group_id = decision.group_id
    decision.records.append(StandingRecord(group_id, member_id, None))
    decision.records.append(TargetRecord(group_id, member_id, None))
    decision.records.append(SubscriptionRecord(group_id, member_id, None))


def known_member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """The member that a request speaks for. KafkaError: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID."""
    if instance_id is None:
        return group.member(member_id)
    member = static_member(group, instance_id)
    check_instance(member, member_id)
    return member


def static_member(group: ConsumerGroup, instance_id: str) -> ConsumerMember:
    """The member of this instance. KafkaError(UNKNOWN_MEMBER_ID)."""
    member = group.static_member(instance_id)
    if member is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    return member


def check_instance(member: ConsumerMember, member_id: str) -> None:
    """KafkaError(FENCED_INSTANCE_ID) when the instance is another member's by now."""
    if member.member_id != member_id:
        raise KafkaError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {member.instance_id} was fenced by member {member.member_id}.",
        )
