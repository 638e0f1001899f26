"""DescribeProducers: who writes into a partition with numbered batches, and who has a transaction open there (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...storage.producers import Producer
from ..topic_names import why_invalid
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker


def describe_producers(broker: Broker, context: RequestContext, request: Message) -> Message:
    return Message(
        topics=[
            Message(name=each.name, partitions=[_described(broker, each.name, index) for index in
                                                each.partition_indexes])
            for each in request.topics
        ]
    )  # fmt: skip


def _described(broker: Broker, topic: str, index: int) -> Message:
    try:
        producers = _producers(broker, topic, index)
    except KafkaError as refusal:
        return Message(
            partition_index=index,
            error_code=refusal.code,
            error_message=refusal.message or None,
            active_producers=[],
        )
    return Message(partition_index=index, error_code=ErrorCode.NONE, error_message=None, active_producers=producers)


def _producers(broker: Broker, topic: str, index: int) -> list[Message]:
    invalid = why_invalid(topic)
    if invalid is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, invalid)
    if topic not in broker.catalog.topics:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition.")
    partition = broker.partitions.find(topic, index)
    if partition is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return [_producer(producer_id, producer) for producer_id, producer in partition.log.producers]


def _producer(producer_id: int, producer: Producer) -> Message:
    return Message(
        producer_id=producer_id,
        producer_epoch=producer.epoch,
        last_sequence=producer.last_sequence,
        last_timestamp=producer.last_timestamp,
        coordinator_epoch=producer.coordinator_epoch,
        current_txn_start_offset=producer.txn_first_offset,
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.DESCRIBE_PRODUCERS: describe_producers}
