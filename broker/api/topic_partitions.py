"""DescribeTopicPartitions: topics page by page, in the order of their names (KIP-966).

A page holds a bounded number of partitions and ends with a cursor: the topic and partition that the next page begins
with. The cursor's topic may be gone by then, or have fewer partitions; the next page begins with what comes after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ..catalog import Topic
from ..topic_names import is_internal, why_invalid
from .cluster import OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker


def describe_topic_partitions(broker: Broker, context: RequestContext, request: Message) -> Message:
    cursor = request.cursor
    wanted = {topic.name for topic in request.topics}
    if cursor is not None and (cursor.partition_index < 0 or (wanted and cursor.topic_name not in wanted)):
        return _refusal(request)
    from_name = cursor.topic_name if cursor is not None else ""
    names = sorted(name for name in wanted or broker.catalog.topics if name >= from_name)
    limit = max(min(broker.config.whole("max.request.partition.size.limit"), request.response_partition_limit), 1)
    topics, next_cursor = _page(broker, names, cursor, limit)
    return Message(topics=topics, next_cursor=next_cursor)


def _refusal(request: Message) -> Message:
    """Said of each topic, as Kafka does; of all topics it can be said nowhere."""
    return Message(
        topics=[
            Message(
                error_code=ErrorCode.INVALID_REQUEST,
                name=topic.name,
                partitions=[],
                topic_authorized_operations=OPERATIONS_NOT_ASKED,
            )
            for topic in request.topics
        ],
        next_cursor=None,
    )


def _page(
    broker: Broker, names: Sequence[str], cursor: Message | None, limit: int
) -> tuple[list[Message], Message | None]:
    topics: list[Message] = []
    room = limit
    for name in names:
        if room == 0:
            return topics, Message(topic_name=name, partition_index=0)
        topic = broker.catalog.topics.get(name)
        if topic is None:
            topics.append(_missing(name))
            continue
        start = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        end = min(start + room, len(topic.partitions))
        topics.append(_topic(topic, start, end))
        if end < len(topic.partitions):
            return topics, Message(topic_name=name, partition_index=end)
        room -= max(end - start, 0)
    return topics, None


def _topic(topic: Topic, start: int, end: int) -> Message:
    return Message(
        error_code=ErrorCode.NONE,
        name=topic.name,
        topic_id=topic.id,
        is_internal=is_internal(topic.name),
        partitions=[_partition(topic, index) for index in range(start, end)],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


def _partition(topic: Topic, index: int) -> Message:
    state = topic.partitions[index]
    return Message(
        error_code=ErrorCode.NONE,
        partition_index=index,
        leader_id=state.leader,
        leader_epoch=state.leader_epoch,
        replica_nodes=state.replicas,
        isr_nodes=state.isr,
        eligible_leader_replicas=[],
        last_known_elr=[],
        offline_replicas=[],
    )


def _missing(name: str) -> Message:
    """(Kafka stumbles over an invalid name, with UNKNOWN_SERVER_ERROR for every topic.)"""
    invalid = why_invalid(name) is not None
    return Message(
        error_code=ErrorCode.INVALID_TOPIC_EXCEPTION if invalid else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        name=name,
        topic_id=UUID(int=0),
        is_internal=is_internal(name),
        partitions=[],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.DESCRIBE_TOPIC_PARTITIONS: describe_topic_partitions}
