"""OffsetCommit: what a group has read up to is noted.

    partitions that are not there  -->  answered                  what is left of the request
    may who asks commit?           -->  one code for all                |
    metadata that is too long      -->  answered                        v
                                            one batch, a record for each partition  -->  durable  -->  answered

The connection's next request begins once the batch is written, so that many commits share a sync; nothing is a task. A commit
that looks like the one before it on its connection goes a shorter way: `offset_commit_again`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..catalog import Topic
from ..coordinators.consumer_groups.offset_checks import check_commit as check_commit_of_consumers
from ..coordinators.coordinator import GroupCoordinator
from ..coordinators.group import GroupState
from ..coordinators.group_records import NEVER_MS, Committed, OffsetCommitted
from ..coordinators.groups_machine import GroupShard
from ..coordinators.offsets import check_commit
from ..coordinators.refusals import refusal_of
from .context import Handler, RequestContext
from .group_topics import PartitionAnswers, existing
from .later import Later

if TYPE_CHECKING:
    from ..app import Broker

DEFAULT_RETENTION = -1

Accepted = list[tuple[Message, Topic]]
"""What is asked about partitions that exist: topics as in the request, each with what it is here."""


def offset_commit(broker: Broker, context: RequestContext, request: Message) -> Message | Later:
    answers = PartitionAnswers()
    accepted = existing(broker, context.api_version, request, answers)
    if not accepted:
        return Message(topics=answers.topics)
    answers.merges = bool(answers.topics)
    groups = broker.groups
    try:
        shard = groups.shard_of(request.group_id)
        code = check(groups, shard, request, accepted, api_version=context.api_version)
        if code is ErrorCode.NONE:
            return _commit(groups, shard, context, request, accepted, answers)
    except KafkaError as refusal:
        code = commit_refusal(refusal.code)
    answers.add_all(accepted, code)
    return Message(topics=answers.topics)


def check(
    groups: GroupCoordinator, shard: GroupShard, request: Message, accepted: Accepted, *, api_version: int
) -> ErrorCode:
    """Whether the group takes the commit, of all its partitions; a member has then shown that it lives.

    NONE, or why not; KafkaError in a group of the new protocol.
    """
    group_id, machine = request.group_id, shard.machine
    consumers = machine.state.consumers.get(group_id)
    if consumers is not None:
        epoch = request.generation_id_or_member_epoch
        check_partition = check_commit_of_consumers(consumers, request.member_id, epoch, api_version=api_version)
        for asked, topic in accepted:
            for each in asked.partitions:
                check_partition(topic.id, each.partition_index)
        return ErrorCode.NONE
    group = machine.groups.get(group_id)
    code = check_commit(group, request, api_version=api_version)
    if code is ErrorCode.NONE and group is not None and group.state in (GroupState.STABLE, GroupState.PREPARING):
        groups.keep_alive(group, group.members[request.member_id])
    return code


def _commit(
    groups: GroupCoordinator,
    shard: GroupShard,
    context: RequestContext,
    request: Message,
    accepted: Accepted,
    answers: PartitionAnswers,
) -> Message | Later:
    """Write what may be committed, and answer when that is durable. KafkaError where it cannot be written."""
    taken, results = sort_out(groups, request, accepted, now_ms=context.now_ms)

    def answer() -> Message:
        for asked, partition, code in results:
            answers.add(asked, partition, code)
        return Message(topics=answers.topics)

    if not taken:
        return answer()
    later = Later()

    def told(refusal: KafkaError | None) -> None:
        if refusal is None:
            later.answer(answer())
        else:
            answers.add_all(accepted, commit_refusal(refusal.code))
            later.answer(Message(topics=answers.topics))

    end_offset = shard.write(taken)
    groups.note_group(shard, request.group_id)
    context.let_next_begin()
    groups.when_durable(shard, end_offset, told)
    return later


def sort_out(
    groups: GroupCoordinator, request: Message, accepted: Accepted, *, now_ms: int
) -> tuple[list[OffsetCommitted], list[tuple[Message, int, ErrorCode]]]:
    """The records to write, and what to say of each partition when they are written."""
    expires_at_ms = NEVER_MS
    if request.retention_time_ms != DEFAULT_RETENTION:
        expires_at_ms = now_ms + request.retention_time_ms
    taken, results = [], []
    for asked, topic in accepted:
        for each in asked.partitions:
            metadata = each.committed_metadata or ""
            if len(metadata) > groups.settings.offset_metadata_max_bytes:
                results.append((asked, each.partition_index, ErrorCode.OFFSET_METADATA_TOO_LARGE))
                continue
            results.append((asked, each.partition_index, ErrorCode.NONE))
            committed = Committed(
                each.committed_offset, each.committed_leader_epoch, metadata, now_ms, expires_at_ms, topic.id
            )
            taken.append(OffsetCommitted(request.group_id, topic.name, each.partition_index, committed))
    return taken, results


def commit_refusal(code: ErrorCode) -> ErrorCode:
    """Kafka's word for a commit that is too large; else as for all records of groups."""
    return ErrorCode.INVALID_COMMIT_OFFSET_SIZE if code is ErrorCode.RECORD_LIST_TOO_LARGE else refusal_of(code)


HANDLERS: dict[ApiKey, Handler] = {ApiKey.OFFSET_COMMIT: offset_commit}
