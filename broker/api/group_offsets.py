"""OffsetFetch and OffsetDelete: what a group has read up to. (OffsetCommit: `offset_commit`.)

What is told is looked up at once. It is answered at once, too, unless the disk has yet to take it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..catalog import Topic
from ..coordinators.consumer_groups.group import ConsumerGroup
from ..coordinators.consumer_groups.offset_checks import check_fetch
from ..coordinators.coordinator import GroupCoordinator
from ..coordinators.group_records import Committed
from ..coordinators.offsets import check_delete_offsets, present
from ..coordinators.refusals import refusal_of
from .context import Handler, RequestContext
from .group_topics import IDS_FROM, PartitionAnswers, existing, find_topic

if TYPE_CHECKING:
    from ..app import Broker

GROUP_ERROR_FROM = 2
"""OffsetFetch can say from this version on what is wrong with the group; before, it says so of each partition."""
GROUPS_FROM = 8
"""OffsetFetch asks about several groups from this version on."""
NO_OFFSET = -1
NO_EPOCH = -1

# --- OffsetFetch


def offset_fetch(broker: Broker, context: RequestContext, request: Message) -> Message | Awaitable[Message]:
    asked = [request] if context.api_version < GROUPS_FROM else request.groups
    answers = [_look_up(broker, context, each, require_stable=request.require_stable) for each in asked]
    for each in answers:
        if each.error_code is ErrorCode.NONE and not broker.groups.is_settled(each.group_id):
            return _when_settled(broker.groups, context, request, answers)
    return _fetched(context, request, answers)


async def _when_settled(
    groups: GroupCoordinator, context: RequestContext, request: Message, answers: list[Message]
) -> Message:
    """What has been looked up is told when it is durable: a crash must not take it back."""
    for at, answer in enumerate(answers):
        if answer.error_code is ErrorCode.NONE:
            try:
                await groups.settled(answer.group_id)
            except KafkaError as refusal:
                answers[at] = _not_fetched(answer.group_id, refusal.code)
    return _fetched(context, request, answers)


def _fetched(context: RequestContext, request: Message, answers: list[Message]) -> Message:
    if context.api_version >= GROUPS_FROM:
        return Message(groups=answers)
    (answer,) = answers
    if answer.error_code is not ErrorCode.NONE and context.api_version < GROUP_ERROR_FROM:
        answer.topics = [
            Message(name=each.name, partitions=[_no_partition(at, answer.error_code) for at in each.partition_indexes])
            for each in request.topics
        ]
    topics = [Message(name=each.name, partitions=each.partitions) for each in answer.topics]
    return Message(topics=topics, error_code=answer.error_code)


def _look_up(broker: Broker, context: RequestContext, asked: Message, *, require_stable: bool) -> Message:
    """The answer about one group, as of now."""
    try:
        _check_fetch(broker.groups, asked)
        reading = _Reading(broker, context, asked.group_id, require_stable)
        topics = reading.all_topics() if asked.topics is None else [reading.topic(each) for each in asked.topics]
    except KafkaError as refusal:
        return _not_fetched(asked.group_id, refusal.code)
    return Message(group_id=asked.group_id, topics=topics, error_code=ErrorCode.NONE)


def _not_fetched(group_id: str, code: ErrorCode) -> Message:
    timed_out = code is ErrorCode.REQUEST_TIMED_OUT
    refused = ErrorCode.NOT_COORDINATOR if timed_out else refusal_of(code)
    return Message(group_id=group_id, topics=[], error_code=refused)


def _check_fetch(groups: GroupCoordinator, asked: Message) -> None:
    """KafkaError when a member of the new protocol asks, and is not up to date. Versions before 9 have no member."""
    group = groups.find_consumers(asked.group_id)
    if group is not None:
        check_fetch(group, getattr(asked, "member_id", None), getattr(asked, "member_epoch", -1))


class _Reading:
    """Looks up what one group has committed. KafkaError where the group's partition is not there."""

    def __init__(self, broker: Broker, context: RequestContext, group_id: str, require_stable: bool) -> None:
        self._broker = broker
        self._context = context
        self._group_id = group_id
        self._require_stable = require_stable
        self._state = broker.groups.shard_of(group_id).machine.state

    def all_topics(self) -> list[Message]:
        return [
            _topic(topic.name, topic.id, [self._partition(topic.name, *each) for each in partitions.items()])
            for topic, partitions in self._broker.groups.offsets_of(self._group_id)
        ]

    def topic(self, asked: Message) -> Message:
        topic, _ = find_topic(self._broker, self._context.api_version, asked)
        if topic is None and self._context.api_version >= IDS_FROM:
            missing = [_no_partition(index, ErrorCode.UNKNOWN_TOPIC_ID) for index in asked.partition_indexes]
            return _topic("", asked.topic_id, missing)
        if topic is None:
            return _topic(asked.name, UUID(int=0), [_no_partition(index) for index in asked.partition_indexes])
        found = []
        for index in asked.partition_indexes:
            committed = self._state.committed(self._group_id, topic.name, index)
            is_of_it = committed is not None and committed.is_of(topic.id)
            found.append(self._partition(topic.name, index, committed if is_of_it else None))
        return _topic(topic.name, topic.id, found)

    def _partition(self, topic: str, index: int, committed: Committed | None) -> Message:
        if self._require_stable and self._state.is_pending(self._group_id, topic, index):
            return _no_partition(index, ErrorCode.UNSTABLE_OFFSET_COMMIT)
        if committed is None:
            return _no_partition(index)
        return Message(
            partition_index=index,
            committed_offset=committed.offset,
            committed_leader_epoch=committed.leader_epoch,
            metadata=committed.metadata,
            error_code=ErrorCode.NONE,
        )


def _topic(name: str, topic_id: UUID, partitions: list[Message]) -> Message:
    return Message(name=name, topic_id=topic_id, partitions=partitions)


def _no_partition(index: int, code: ErrorCode = ErrorCode.NONE) -> Message:
    return Message(
        partition_index=index,
        committed_offset=NO_OFFSET,
        committed_leader_epoch=NO_EPOCH,
        metadata="",
        error_code=code,
    )


# --- OffsetDelete


async def offset_delete(broker: Broker, context: RequestContext, request: Message) -> Message:
    answer = PartitionAnswers()
    accepted = existing(broker, context.api_version, request, answer)
    try:
        code = await _delete(broker.groups, request.group_id, accepted, answer)
    except KafkaError as refusal:
        code = refusal_of(refusal.code)
    if code is not ErrorCode.NONE:
        return Message(error_code=code, topics=[])
    return Message(error_code=ErrorCode.NONE, topics=answer.topics)


async def _delete(
    groups: GroupCoordinator, group_id: str, accepted: Iterable[tuple[Message, Topic]], answer: PartitionAnswers
) -> ErrorCode:
    groups.check_open()
    if not group_id:
        return ErrorCode.INVALID_GROUP_ID
    group = groups.find_consumers(group_id) or groups.find(group_id)
    code = ErrorCode.NONE if isinstance(group, ConsumerGroup) else check_delete_offsets(group)
    if group is None or code is not ErrorCode.NONE:
        return code
    wanted = []
    for asked, topic in accepted:
        subscribed = group.is_subscribed_to(topic.name)
        indexes = [each.partition_index for each in asked.partitions]
        for index in indexes:
            answer.add(asked, index, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if subscribed else ErrorCode.NONE)
        if not subscribed:
            wanted.append((topic.name, indexes))
    await groups.write(group_id, list(present(group_id, groups.shard_of(group_id).machine.state, wanted)))
    return ErrorCode.NONE


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.OFFSET_FETCH: offset_fetch,
    ApiKey.OFFSET_DELETE: offset_delete,
}
