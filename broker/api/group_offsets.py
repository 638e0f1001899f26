"""OffsetCommit, OffsetFetch, OffsetDelete: what a group has read up to.

Topics go by name, from version 10 on by id. Partitions that do not exist are answered first and left out; what is left of a
commit is one batch, a record for each partition, and the answer comes when it is durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..catalog import Topic
from ..coordinators.consumer_groups.group import ConsumerGroup
from ..coordinators.consumer_groups.offset_checks import check_commit as check_commit_of_consumers
from ..coordinators.consumer_groups.offset_checks import check_fetch
from ..coordinators.coordinator import GroupCoordinator
from ..coordinators.group import GroupState
from ..coordinators.group_records import NEVER_MS, Committed, OffsetCommitted
from ..coordinators.offsets import check_commit, check_delete_offsets, present
from ..coordinators.refusals import refusal_of
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

IDS_FROM = 10
"""OffsetCommit and OffsetFetch name topics by id from this version on."""
GROUP_ERROR_FROM = 2
"""OffsetFetch can say from this version on what is wrong with the group; before, it says so of each partition."""
GROUPS_FROM = 8
"""OffsetFetch asks about several groups from this version on."""
NO_OFFSET = -1
NO_EPOCH = -1
DEFAULT_RETENTION = -1


def _find(broker: Broker, context: RequestContext, asked: Message) -> tuple[Topic | None, ErrorCode]:
    """The topic asked about, or the error for its partitions."""
    if context.api_version >= IDS_FROM:
        return broker.catalog.topic_by_id(asked.topic_id), ErrorCode.UNKNOWN_TOPIC_ID
    return broker.catalog.topics.get(asked.name), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


# --- OffsetCommit


async def offset_commit(broker: Broker, context: RequestContext, request: Message) -> Message:
    answer = _Answer()
    accepted = _existing(broker, context, request, answer)
    if not accepted:
        return Message(topics=answer.topics)
    answer.merges = bool(answer.topics)
    try:
        code = await _commit(broker.groups, context, request, accepted, answer)
    except KafkaError as refusal:
        code = _commit_refusal(refusal.code)
    if code is not ErrorCode.NONE:
        for asked, _ in accepted:
            for each in asked.partitions:
                answer.add(asked, each.partition_index, code)
    return Message(topics=answer.topics)


class _Answer:
    """The partitions answered so far, by topic in the order of the topics' first answers.

    A topic named twice is answered twice, unless something was refused before (`merges`): then once, as in Kafka.
    """

    def __init__(self) -> None:
        self.topics: list[Message] = []
        self.merges = True
        self._by_topic: dict[object, Message] = {}

    def add(self, asked: Message, partition: int, code: ErrorCode) -> None:
        name, topic_id = asked.name, getattr(asked, "topic_id", None)
        key = (name, topic_id) if self.merges else id(asked)
        topic = self._by_topic.get(key)
        if topic is None:
            topic = Message(name=name, partitions=[])
            if topic_id is not None:
                topic.topic_id = topic_id
            self._by_topic[key] = topic
            self.topics.append(topic)
        topic.partitions.append(Message(partition_index=partition, error_code=code))


def _existing(
    broker: Broker, context: RequestContext, request: Message, answer: _Answer
) -> list[tuple[Message, Topic]]:
    """What is asked about partitions that exist, each with its topic; the others are answered."""
    accepted = []
    for asked in request.topics:
        topic, missing = _find(broker, context, asked)
        if topic is None:
            for each in asked.partitions:
                answer.add(asked, each.partition_index, missing)
            continue
        here = []
        for each in asked.partitions:
            if 0 <= each.partition_index < len(topic.partitions):
                here.append(each)
            else:
                answer.add(asked, each.partition_index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if here:
            known = Message(**vars(asked))
            known.partitions = here
            accepted.append((known, topic))
    return accepted


async def _commit(
    groups: GroupCoordinator,
    context: RequestContext,
    request: Message,
    accepted: list[tuple[Message, Topic]],
    answer: _Answer,
) -> ErrorCode:
    """Write what may be committed and answer it; or a code for all of it."""
    consumers = groups.find_consumers(request.group_id)
    if consumers is not None:
        _check_commit_of_consumers(consumers, context, request, accepted)
    else:
        code = _check_commit(groups, context, request)
        if code is not ErrorCode.NONE:
            return code
    expires_at_ms = NEVER_MS
    if request.retention_time_ms != DEFAULT_RETENTION:
        expires_at_ms = context.now_ms + request.retention_time_ms
    taken, results = [], []
    for asked, topic in accepted:
        for each in asked.partitions:
            metadata = each.committed_metadata or ""
            if len(metadata) > groups.settings.offset_metadata_max_bytes:
                results.append((asked, each.partition_index, ErrorCode.OFFSET_METADATA_TOO_LARGE))
                continue
            results.append((asked, each.partition_index, ErrorCode.NONE))
            committed = Committed(
                each.committed_offset, each.committed_leader_epoch, metadata, context.now_ms, expires_at_ms, topic.id
            )
            taken.append(OffsetCommitted(request.group_id, topic.name, each.partition_index, committed))
    if taken:
        await groups.commit(request.group_id, taken, written=context.let_next_begin)
    for result in results:
        answer.add(*result)
    return ErrorCode.NONE


def _check_commit(groups: GroupCoordinator, context: RequestContext, request: Message) -> ErrorCode:
    """Whether a classic group takes the commit; it shows that its member lives."""
    group = groups.find(request.group_id)
    code = check_commit(group, request, api_version=context.api_version)
    if code is ErrorCode.NONE and group is not None and group.state in (GroupState.STABLE, GroupState.PREPARING):
        groups.turn(group, lambda turn: turn.restart_session(group.members[request.member_id]))
    return code


def _check_commit_of_consumers(
    group: ConsumerGroup, context: RequestContext, request: Message, accepted: list[tuple[Message, Topic]]
) -> None:
    """KafkaError unless the group takes the commit, of all its partitions."""
    epoch = request.generation_id_or_member_epoch
    check_partition = check_commit_of_consumers(group, request.member_id, epoch, api_version=context.api_version)
    for asked, topic in accepted:
        for each in asked.partitions:
            check_partition(topic.id, each.partition_index)


def _commit_refusal(code: ErrorCode) -> ErrorCode:
    """Kafka's word for a commit that is too large; else as for all records of groups."""
    return ErrorCode.INVALID_COMMIT_OFFSET_SIZE if code is ErrorCode.RECORD_LIST_TOO_LARGE else refusal_of(code)


# --- OffsetFetch


async def offset_fetch(broker: Broker, context: RequestContext, request: Message) -> Message:
    one_group = context.api_version < GROUPS_FROM
    asked = [Message(group_id=request.group_id, topics=request.topics)] if one_group else request.groups
    answers = [await _group(broker, context, each, require_stable=request.require_stable) for each in asked]
    if not one_group:
        return Message(groups=answers)
    (answer,) = answers
    if answer.error_code is not ErrorCode.NONE and context.api_version < GROUP_ERROR_FROM:
        answer.topics = [
            Message(name=each.name, partitions=[_no_partition(at, answer.error_code) for at in each.partition_indexes])
            for each in request.topics
        ]
    topics = [Message(name=each.name, partitions=each.partitions) for each in answer.topics]
    return Message(topics=topics, error_code=answer.error_code)


async def _group(broker: Broker, context: RequestContext, asked: Message, *, require_stable: bool) -> Message:
    """What is told is looked up at once, and told when it is durable: a crash must not take it back."""
    try:
        _check_fetch(broker.groups, asked)
        reading = _Reading(broker, context, asked.group_id, require_stable)
        topics = reading.all_topics() if asked.topics is None else [reading.topic(each) for each in asked.topics]
        await broker.groups.settled(asked.group_id)
    except KafkaError as refusal:
        timed_out = refusal.code is ErrorCode.REQUEST_TIMED_OUT
        code = ErrorCode.NOT_COORDINATOR if timed_out else refusal_of(refusal.code)
        return Message(group_id=asked.group_id, topics=[], error_code=code)
    return Message(group_id=asked.group_id, topics=topics, error_code=ErrorCode.NONE)


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
        topic, _ = _find(self._broker, self._context, asked)
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
    answer = _Answer()
    accepted = _existing(broker, context, request, answer)
    try:
        code = await _delete(broker.groups, request.group_id, accepted, answer)
    except KafkaError as refusal:
        code = refusal_of(refusal.code)
    if code is not ErrorCode.NONE:
        return Message(error_code=code, topics=[])
    return Message(error_code=ErrorCode.NONE, topics=answer.topics)


async def _delete(
    groups: GroupCoordinator, group_id: str, accepted: Iterable[tuple[Message, Topic]], answer: _Answer
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
    ApiKey.OFFSET_COMMIT: offset_commit,
    ApiKey.OFFSET_FETCH: offset_fetch,
    ApiKey.OFFSET_DELETE: offset_delete,
}
