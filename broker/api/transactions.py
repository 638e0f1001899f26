"""AddPartitionsToTxn, AddOffsetsToTxn, EndTxn: a producer's transaction from its first partition to its end.

A producer of version 1 of the protocol adds partitions before it writes to them; one of version 2 (Java from 4.0 on) does not
send the first two at all, Produce and TxnOffsetCommit do it for it, and its EndTxn, version 5, tells it its next epoch.

AddPartitionsToTxn below version 4 is about one transaction; from 4 on, which brokers use among
themselves, a request carries several, each to be added to or only looked at (`verify_only`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...storage.directory_names import TopicPartition
from ..coordinators.runtime.placement import partition_for
from ..coordinators.transactions.deciding import End
from ..coordinators.transactions.transaction import BUMPS_EPOCH_FROM, ProducerIdAndEpoch
from ..topic_names import CONSUMER_OFFSETS, is_internal
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

FENCED_FROM = 2
"""AddPartitionsToTxn, AddOffsetsToTxn and EndTxn know PRODUCER_FENCED from this version on."""
SEVERAL_FROM = 4
END_BUMPS_FROM = 5
VERSION_ONE = 0  # as Kafka writes it down for clients that do not speak version 2

Codes = dict[TopicPartition, ErrorCode]


def fenced_as(code: ErrorCode, version: int, *, known_from: int = FENCED_FROM) -> ErrorCode:
    """PRODUCER_FENCED in the words of a client that is older than it."""
    if code is ErrorCode.PRODUCER_FENCED and version < known_from:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code


# --- AddPartitionsToTxn


async def add_partitions_to_txn(broker: Broker, context: RequestContext, request: Message) -> Message:
    if context.api_version < SEVERAL_FROM:
        codes = await _added(broker, context, _from_version_3(request))
        return Message(results_by_topic_v3_and_below=_by_topic(request.v3_and_below_topics, codes))
    results = []
    for each in request.transactions:
        codes = await _added(broker, context, each)
        results.append(Message(transactional_id=each.transactional_id, topic_results=_by_topic(each.topics, codes)))
    return Message(error_code=ErrorCode.NONE, results_by_transaction=results)


def _from_version_3(request: Message) -> Message:
    return Message(
        transactional_id=request.v3_and_below_transactional_id,
        producer_id=request.v3_and_below_producer_id,
        producer_epoch=request.v3_and_below_producer_epoch,
        topics=request.v3_and_below_topics,
        verify_only=False,
    )


async def _added(broker: Broker, context: RequestContext, asked: Message) -> Codes:
    """A code for every partition. One that is not there keeps the others out."""
    partitions = [TopicPartition(topic.name, index) for topic in asked.topics for index in topic.partitions]
    codes = {at: _why_not(broker, at) for at in partitions}
    if any(code is not ErrorCode.NONE for code in codes.values()):
        return {at: ErrorCode.OPERATION_NOT_ATTEMPTED if code is ErrorCode.NONE else code for at, code in codes.items()}
    producer = ProducerIdAndEpoch(asked.producer_id, asked.producer_epoch)
    try:
        if asked.verify_only:
            for at in broker.transactions.missing_partitions(asked.transactional_id, producer, partitions):
                codes[at] = ErrorCode.TRANSACTION_ABORTABLE
            return codes
        await broker.transactions.add_partitions(
            asked.transactional_id,
            producer,
            frozenset(partitions),
            client_version=BUMPS_EPOCH_FROM if context.api_version >= SEVERAL_FROM else VERSION_ONE,
        )
    except KafkaError as refusal:
        return dict.fromkeys(partitions, fenced_as(refusal.code, context.api_version))
    return codes


def _why_not(broker: Broker, at: TopicPartition) -> ErrorCode:
    if is_internal(at.topic):
        return ErrorCode.TOPIC_AUTHORIZATION_FAILED
    topic = broker.catalog.topics.get(at.topic)
    if topic is None or not 0 <= at.partition < len(topic.partitions):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE


def _by_topic(topics: Iterable[Message], codes: Codes) -> list[Message]:
    return [
        Message(
            name=topic.name,
            results_by_partition=[
                Message(partition_index=index, partition_error_code=codes[TopicPartition(topic.name, index)])
                for index in topic.partitions
            ],
        )
        for topic in topics
    ]


# --- AddOffsetsToTxn


async def add_offsets_to_txn(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Make the group's partition of `__consumer_offsets` part of the transaction."""
    try:
        await broker.transactions.add_partitions(
            request.transactional_id,
            ProducerIdAndEpoch(request.producer_id, request.producer_epoch),
            frozenset({await offsets_partition(broker, request.group_id)}),
            client_version=VERSION_ONE,
        )
    except KafkaError as refusal:
        return Message(error_code=fenced_as(refusal.code, context.api_version))
    return Message(error_code=ErrorCode.NONE)


async def offsets_partition(broker: Broker, group_id: str) -> TopicPartition:
    """Where a group's offsets are kept. KafkaError when the topic could not be made."""
    await broker.internal_topics.ensure(CONSUMER_OFFSETS)
    topic = broker.catalog.topics[CONSUMER_OFFSETS]
    return TopicPartition(CONSUMER_OFFSETS, partition_for(group_id, len(topic.partitions)))


# --- EndTxn


async def end_txn(broker: Broker, context: RequestContext, request: Message) -> Message:
    version = context.api_version
    wish = End(
        producer=ProducerIdAndEpoch(request.producer_id, request.producer_epoch),
        committed=request.committed,
        client_version=BUMPS_EPOCH_FROM if version >= END_BUMPS_FROM else VERSION_ONE,
    )
    try:
        producer = await broker.transactions.end(request.transactional_id, wish)
    except KafkaError as refusal:
        return Message(error_code=fenced_as(refusal.code, version), producer_id=-1, producer_epoch=-1)
    return Message(error_code=ErrorCode.NONE, producer_id=producer.producer_id, producer_epoch=producer.epoch)


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.ADD_PARTITIONS_TO_TXN: add_partitions_to_txn,
    ApiKey.ADD_OFFSETS_TO_TXN: add_offsets_to_txn,
    ApiKey.END_TXN: end_txn,
}
