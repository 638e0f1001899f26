"""DeleteRecords: the start of a partition moves forward, and everything in front of it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..partition import Partition
from ..topic_names import is_internal
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

TO_HIGH_WATERMARK = -1
NO_LOW_WATERMARK = -1


async def delete_records(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Each partition is answered with its new start; of a partition named twice the last offset counts, as in Kafka.

    The timeout is for replicas that have to follow: there are none.
    """
    wanted: dict[str, dict[int, int]] = {}
    for topic in request.topics:
        for partition in topic.partitions:
            wanted.setdefault(topic.name, {})[partition.partition_index] = partition.offset
    topics = []
    for name, offsets in wanted.items():
        partitions = [await _delete(broker, name, index, offset) for index, offset in offsets.items()]
        topics.append(Message(name=name, partitions=partitions))
    return Message(topics=topics)


async def _delete(broker: Broker, topic: str, index: int, offset: int) -> Message:
    try:
        partition = _deletable(broker, topic, index)
        low_watermark = await _move_start(partition, offset)
    except KafkaError as refusal:
        return Message(partition_index=index, low_watermark=NO_LOW_WATERMARK, error_code=refusal.code)
    return Message(partition_index=index, low_watermark=low_watermark, error_code=ErrorCode.NONE)


def _deletable(broker: Broker, topic: str, index: int) -> Partition:
    known = broker.catalog.topics.get(topic)
    if known is None or not 0 <= index < len(known.partitions):
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {topic}-{index}")
    if is_internal(topic):
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot delete records of internal topic {topic}")
    partition = broker.partitions.find(topic, index)
    if partition is None:
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{topic}-{index} has no log")
    if broker.config.topic(known.configs).words("cleanup.policy") == ("compact",):
        raise KafkaError(
            ErrorCode.POLICY_VIOLATION, f"Records of {topic} can not be deleted due to the configured policy"
        )
    return partition


async def _move_start(partition: Partition, offset: int) -> int:
    high_watermark = partition.high_watermark
    target = high_watermark if offset == TO_HIGH_WATERMARK else offset
    if not 0 <= target <= high_watermark:
        raise KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"{partition.name} cannot begin at {offset}: its high watermark is {high_watermark}",
        )
    if target <= partition.log.log_start_offset:
        return partition.log.log_start_offset
    return await partition.delete_before(target)


HANDLERS: dict[ApiKey, Handler] = {ApiKey.DELETE_RECORDS: delete_records}
