"""ConsumerGroupHeartbeat, ConsumerGroupDescribe: groups of the new protocol (KIP-848)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..coordinators.consumer_groups.group import ConsumerGroup
from ..coordinators.consumer_groups.heartbeat import Heartbeat, HeartbeatAnswer, check_heartbeat
from ..coordinators.consumer_groups.member import JOINING_EPOCH, NO_TARGET, ConsumerMember, Owned, partitions_of
from ..coordinators.consumer_groups.membership import check_name
from ..coordinators.consumer_groups.shell import new_member_id
from ..coordinators.consumer_groups.topic_image import TopicImage
from ..coordinators.refusals import refusal_of
from ..features import GROUP_VERSION, finalized_level
from .context import Handler, RequestContext
from .group_membership import client_host
from .groups_admin import GROUP_OPERATIONS, OPERATIONS_NOT_ASKED

if TYPE_CHECKING:
    from ..app import Broker

KNOWN_ID_FROM = 1
"""From this version on a member brings an id of its own making when it joins."""
CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1


# --- ConsumerGroupHeartbeat


async def consumer_group_heartbeat(broker: Broker, context: RequestContext, request: Message) -> Message:
    try:
        check_enabled(broker)
        if not request.group_id.strip():
            raise KafkaError(ErrorCode.INVALID_REQUEST, "GroupId can't be empty.")
        check_name("GroupId", request.group_id)
        asked = _heartbeat(context, request)
        has_known_id = context.api_version >= KNOWN_ID_FROM
        check_heartbeat(asked, assignors=broker.groups.consumers.settings.assignors, must_have_id=has_known_id)
        return _answer(await broker.groups.consumers.heartbeat(request.group_id, _with_id(asked)))
    except KafkaError as refusal:
        code = refusal_of(refusal.code)
        return Message(error_code=code, error_message=refusal.message, member_id=None, member_epoch=0, assignment=None)


def check_enabled(broker: Broker) -> None:
    """KafkaError(UNSUPPORTED_VERSION) where the cluster does without groups of this protocol."""
    is_allowed = "consumer" in broker.config.words("group.coordinator.rebalance.protocols")
    if not is_allowed or not finalized_level(broker.catalog, GROUP_VERSION):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, "groups of the consumer protocol are switched off")


def _heartbeat(context: RequestContext, request: Message) -> Heartbeat:
    topics, partitions = request.subscribed_topic_names, request.topic_partitions
    reported = None if partitions is None else partitions_of((each.topic_id, each.partitions) for each in partitions)
    return Heartbeat(
        member_id=request.member_id,
        member_epoch=request.member_epoch,
        instance_id=request.instance_id,
        rack_id=request.rack_id,
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        topics=None if topics is None else frozenset(topics),
        regex=request.subscribed_topic_regex,
        assignor=request.server_assignor,
        reported=reported,
        client_id=context.client_id or "",
        client_host=client_host(context),
    )


def _with_id(asked: Heartbeat) -> Heartbeat:
    if asked.member_id or asked.member_epoch != JOINING_EPOCH:
        return asked
    return replace(asked, member_id=new_member_id())


def _answer(answer: HeartbeatAnswer) -> Message:
    assigned = answer.assigned
    return Message(
        error_code=ErrorCode.NONE,
        error_message=None,
        member_id=answer.member_id,
        member_epoch=answer.member_epoch,
        heartbeat_interval_ms=answer.heartbeat_interval_ms,
        assignment=None if assigned is None else Message(topic_partitions=_by_id(assigned)),
    )


def _by_id(owned: Owned) -> list[Message]:
    return [Message(topic_id=topic_id, partitions=list(partitions)) for topic_id, partitions in owned.items()]


# --- ConsumerGroupDescribe


async def consumer_group_describe(broker: Broker, context: RequestContext, request: Message) -> Message:
    try:
        check_enabled(broker)
    except KafkaError as refusal:
        return Message(groups=[_refused(group_id, refusal.code, None) for group_id in request.group_ids])
    described = [await _described(broker, group_id) for group_id in request.group_ids]
    if request.include_authorized_operations:
        for each in described:
            if each.error_code is ErrorCode.NONE:
                each.authorized_operations = GROUP_OPERATIONS
    return Message(groups=described)


async def _described(broker: Broker, group_id: str) -> Message:
    """What is told is looked up at once, and told when it is durable."""
    if not group_id:
        return _refused("", ErrorCode.INVALID_GROUP_ID, None)
    groups = broker.groups
    try:
        shard = groups.shard_of(group_id)
        group = shard.machine.state.consumers.get(group_id)
        if group is None:
            kind = "is not a consumer group" if group_id in shard.machine.groups else "not found"
            return _refused(group_id, ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} {kind}.")
        described = _group(group, groups.consumers.topics, groups.consumers.settings.default_assignor)
        await groups.settled(group_id)
    except KafkaError as refusal:
        return _refused(group_id, refusal_of(refusal.code), None)
    return described


def _refused(group_id: str, code: ErrorCode, message: str | None) -> Message:
    return Message(
        error_code=code,
        error_message=message,
        group_id=group_id,
        group_state="",
        group_epoch=0,
        assignment_epoch=0,
        assignor_name="",
        members=[],
        authorized_operations=OPERATIONS_NOT_ASKED,
    )


def _group(group: ConsumerGroup, topics: TopicImage, default_assignor: str) -> Message:
    return Message(
        error_code=ErrorCode.NONE,
        error_message=None,
        group_id=group.group_id,
        group_state=group.state.value,
        group_epoch=group.epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name=max(sorted(group.assignors), key=group.assignors.__getitem__, default=default_assignor),
        members=[_member(each, group, topics) for each in group.members.values()],
        authorized_operations=OPERATIONS_NOT_ASKED,
    )


def _member(member: ConsumerMember, group: ConsumerGroup, topics: TopicImage) -> Message:
    subscription, standing = member.subscription, member.standing
    # What it is giving up is still its responsibility.
    owned = {topic_id: [*partitions] for topic_id, partitions in standing.assigned.items()}
    for topic_id, partitions in standing.revoking.items():
        owned.setdefault(topic_id, []).extend(partitions)
    target = group.targets.get(member.member_id, NO_TARGET)
    return Message(
        member_id=member.member_id,
        instance_id=subscription.instance_id,
        rack_id=subscription.rack_id,
        member_epoch=standing.epoch,
        client_id=subscription.client_id,
        client_host=subscription.client_host,
        subscribed_topic_names=sorted(subscription.topics),
        subscribed_topic_regex=subscription.regex,
        assignment=_assignment(topics, owned),
        target_assignment=_assignment(topics, {topic_id: sorted(each) for topic_id, each in target.items()}),
        member_type=CLASSIC_MEMBER if member.is_classic else CONSUMER_MEMBER,
    )


def _assignment(topics: TopicImage, partitions: Mapping[UUID, list[int]]) -> Message:
    """Of topics that exist."""
    named = ((topics.name_of(topic_id), topic_id, each) for topic_id, each in partitions.items())
    return Message(
        topic_partitions=[
            Message(topic_id=topic_id, topic_name=name, partitions=each)
            for name, topic_id, each in named
            if name is not None
        ]
    )


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.CONSUMER_GROUP_HEARTBEAT: consumer_group_heartbeat,
    ApiKey.CONSUMER_GROUP_DESCRIBE: consumer_group_describe,
}
