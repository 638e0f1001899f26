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
    topics = [
        Message(name=name, partitions=[_delete(broker, name, index, offset) for index, offset in offsets.items()])
        for name, offsets in wanted.items()
    ]
    # What was asked to be gone shall not come back after a crash: the new starts are kept in a checkpoint.
    await broker.write_checkpoints()
    return Message(topics=topics)


def _delete(broker: Broker, topic: str, index: int, offset: int) -> Message:
    try:
        low_watermark = _delete_before(broker, topic, index, offset)
    except KafkaError as refusal:
        return Message(partition_index=index, low_watermark=NO_LOW_WATERMARK, error_code=refusal.code)
    return Message(partition_index=index, low_watermark=low_watermark, error_code=ErrorCode.NONE)


def _delete_before(broker: Broker, topic: str, index: int, offset: int) -> int:
    known = broker.catalog.topics.get(topic)
    partition = broker.partitions.find(topic, index)
    if known is None or not 0 <= index < len(known.partitions):
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {topic}-{index}")
    if is_internal(topic):
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot delete records of internal topic {topic}")
    if partition is None:
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{topic}-{index} has no log")
    policy = broker.config.topic(known.configs).words("cleanup.policy")
    if policy == ("compact",):
        raise KafkaError(
            ErrorCode.POLICY_VIOLATION, f"Records of {topic} can not be deleted due to the configured policy"
        )
    return _move_start(partition, offset)


def _move_start(partition: Partition, offset: int) -> int:
    high_watermark = partition.high_watermark
    target = high_watermark if offset == TO_HIGH_WATERMARK else offset
    if not 0 <= target <= high_watermark:
        raise KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"Cannot increment the log start offset of {partition.name} to offset {offset}, which is larger than "
            f"the high watermark {high_watermark}",
        )
    if target > partition.log.log_start_offset:
        partition.log.delete_before(target)
        partition.wake_all()
    return partition.log.log_start_offset


HANDLERS: dict[ApiKey, Handler] = {ApiKey.DELETE_RECORDS: delete_records}
