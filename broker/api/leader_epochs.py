"""OffsetForLeaderEpoch: where a leader epoch ends, for a consumer that wonders whether its history is still ours
(KIP-320).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

UNKNOWN = -1


def offsets_for_leader_epochs(broker: Broker, context: RequestContext, request: Message) -> Message:
    return Message(
        topics=[
            Message(topic=topic.topic, partitions=[_answer(broker, topic.topic, each) for each in topic.partitions])
            for topic in request.topics
        ]
    )


def _answer(broker: Broker, topic: str, asked: Message) -> Message:
    try:
        epoch, end_offset = _end_of_epoch(broker, topic, asked)
    except KafkaError as refusal:
        return Message(error_code=refusal.code, partition=asked.partition, leader_epoch=UNKNOWN, end_offset=UNKNOWN)
    return Message(error_code=ErrorCode.NONE, partition=asked.partition, leader_epoch=epoch, end_offset=end_offset)


def _end_of_epoch(broker: Broker, topic: str, asked: Message) -> tuple[int, int]:
    partition = broker.partitions.find(topic, asked.partition)
    if partition is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {topic}-{asked.partition}")
    partition.check_leader_epoch(asked.current_leader_epoch)
    return partition.end_of_epoch(asked.leader_epoch)


HANDLERS: dict[ApiKey, Handler] = {ApiKey.OFFSET_FOR_LEADER_EPOCH: offsets_for_leader_epochs}
