"""DescribeTransactions, ListTransactions, WriteTxnMarkers: looking at transactions, and ending one by hand.

WriteTxnMarkers is how coordinators end a transaction in another broker's partitions, and how an administrator ends one that
nobody else ends any more (`kafka-transactions.sh abort`, KIP-664): it goes past the coordinator.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...protocol.record_reader import ControlType, EndTxnMarker
from ...storage.directory_names import TopicPartition
from ...storage.log import TransactionEnd
from ..coordinators.transactions.listing import Filters
from ..coordinators.transactions.transaction import NO_TIME, Transaction
from ..telling import teller
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

DURATION_FROM, PATTERN_FROM = 1, 2
"""The versions of ListTransactions from which these may be asked for."""
VERSION_TOLD_FROM = 2
"""WriteTxnMarkers tells the transaction version from this one on."""


# --- DescribeTransactions


def describe_transactions(broker: Broker, context: RequestContext, request: Message) -> Message:
    return Message(transaction_states=[_described(broker, each) for each in request.transactional_ids])


def _described(broker: Broker, transactional_id: str) -> Message:
    if not transactional_id:
        return _refused(transactional_id, ErrorCode.INVALID_REQUEST)
    try:
        transaction = broker.transactions.get(transactional_id)
    except KafkaError as refusal:
        return _refused(transactional_id, refusal.code)
    if transaction is None:
        return _refused(transactional_id, ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    return Message(
        error_code=ErrorCode.NONE,
        transactional_id=transactional_id,
        transaction_state=transaction.state.kafka_name,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_start_time_ms=transaction.started_ms,
        producer_id=transaction.producer_id,
        producer_epoch=transaction.producer_epoch,
        topics=_topics(transaction),
    )


def _topics(transaction: Transaction) -> list[Message]:
    by_topic: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        by_topic.setdefault(topic, []).append(partition)
    return [Message(topic=topic, partitions=partitions) for topic, partitions in by_topic.items()]


def _refused(transactional_id: str, code: ErrorCode) -> Message:
    return Message(
        error_code=code,
        transactional_id=transactional_id,
        transaction_state="",
        transaction_timeout_ms=0,
        transaction_start_time_ms=0,
        producer_id=0,
        producer_epoch=0,
        topics=[],
    )


# --- ListTransactions


async def list_transactions(broker: Broker, context: RequestContext, request: Message) -> Message:
    version = context.api_version
    try:
        filters = Filters.of(
            states=request.state_filters,
            producer_ids=request.producer_id_filters,
            longer_than_ms=request.duration_filter if version >= DURATION_FROM else NO_TIME,
            pattern=request.transactional_id_pattern if version >= PATTERN_FROM else None,
        )
        everything = list(broker.transactions)
    except KafkaError as refusal:
        return Message(error_code=refusal.code, unknown_state_filters=[], transaction_states=[])
    # In a thread, as all that a client's expression is matched against.
    found = await asyncio.to_thread(lambda: [each for each in everything if filters.match(each, context.now_ms)])
    return Message(
        error_code=ErrorCode.NONE,
        unknown_state_filters=filters.unknown_states,
        transaction_states=[
            Message(
                transactional_id=each.transactional_id,
                producer_id=each.producer_id,
                transaction_state=each.state.kafka_name,
            )
            for each in found
        ],
    )


# --- WriteTxnMarkers


async def write_txn_markers(broker: Broker, context: RequestContext, request: Message) -> Message:
    return Message(markers=[await _marked(broker, context, each) for each in request.markers])


async def _marked(broker: Broker, context: RequestContext, asked: Message) -> Message:
    kind = ControlType.COMMIT if asked.transaction_result else ControlType.ABORT
    end = TransactionEnd(
        asked.producer_id,
        asked.producer_epoch,
        EndTxnMarker(kind, asked.coordinator_epoch),
        asked.transaction_version if context.api_version >= VERSION_TOLD_FROM else 0,
        context.now_ms,
    )
    partitions = [TopicPartition(topic.name, index) for topic in asked.topics for index in topic.partition_indexes]
    codes = await asyncio.gather(*(_write(broker, at, end) for at in partitions))
    by_topic: dict[str, list[Message]] = {}
    for at, code in zip(partitions, codes, strict=True):
        by_topic.setdefault(at.topic, []).append(Message(partition_index=at.partition, error_code=code))
    topics = [Message(name=name, partitions=results) for name, results in by_topic.items()]
    return Message(producer_id=asked.producer_id, topics=topics)


async def _write(broker: Broker, at: TopicPartition, end: TransactionEnd) -> ErrorCode:
    """Write one marker and wait until it is on the disk."""
    markers = broker.coordination.markers
    if not markers.exists(at):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        markers.when_durable(at, markers.write(at, end), teller(future))
        await future
    except KafkaError as refusal:
        return refusal.code
    return ErrorCode.NONE


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.DESCRIBE_TRANSACTIONS: describe_transactions,
    ApiKey.LIST_TRANSACTIONS: list_transactions,
    ApiKey.WRITE_TXN_MARKERS: write_txn_markers,
}
