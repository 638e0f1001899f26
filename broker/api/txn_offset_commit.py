"""TxnOffsetCommit: offsets that count when the transaction they are part of is committed (KIP-98, KIP-447).

They are written into `__consumer_offsets` in the producer's name and stay pending until its marker is there. A consumer that
is a member of the group sends its generation, and is fenced by it as in OffsetCommit; one of before KIP-447 does not.

Up to version 4 the group's partition must have been added to the transaction (AddOffsetsToTxn), from 5 on it is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...storage.verification import Verification
from ..catalog import Topic
from ..coordinators.consumer_groups.group import ConsumerGroup
from ..coordinators.consumer_groups.offset_checks import check_commit
from ..coordinators.group_records import NEVER_MS, Committed, OffsetCommitted
from ..coordinators.offsets import check_txn_commit
from ..coordinators.runtime.machine import TransactionalProducer
from ..coordinators.transactions.transaction import BUMPS_EPOCH_FROM, ProducerIdAndEpoch
from .context import Handler, RequestContext
from .transactions import offsets_partition

if TYPE_CHECKING:
    from ..app import Broker

GENERATION_FROM = 3
ABORTABLE_KNOWN_FROM = 4
ADDS_FROM = 5
NO_GENERATION = -1

SAID_OTHERWISE = {
    ErrorCode.PRODUCER_FENCED: ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.INVALID_COMMIT_OFFSET_SIZE,
}
"""What has another name in this API."""

Codes = dict[tuple[str, int], ErrorCode]


async def txn_offset_commit(broker: Broker, context: RequestContext, request: Message) -> Message:
    codes, taken = _sort_out(broker, context, request)
    if taken:
        try:
            await _commit(broker, context, request, taken)
        except KafkaError as refusal:
            code = SAID_OTHERWISE.get(refusal.code, refusal.code)
            if code is ErrorCode.CONCURRENT_TRANSACTIONS and context.api_version < ADDS_FROM:
                code = ErrorCode.COORDINATOR_NOT_AVAILABLE  # which older clients repeat
            codes.update({(each.topic, each.partition): code for each in taken})
    return Message(topics=[_answer(topic, codes) for topic in request.topics])


def _sort_out(broker: Broker, context: RequestContext, request: Message) -> tuple[Codes, list[OffsetCommitted]]:
    """A code for every partition, and what is to be committed."""
    codes: Codes = {}
    taken = []
    for asked in request.topics:
        topic = broker.catalog.topics.get(asked.name)
        for each in asked.partitions:
            code = _why_not(broker, topic, each)
            codes[asked.name, each.partition_index] = code
            if code is ErrorCode.NONE:
                assert topic is not None
                committed = _committed(each, topic, context)
                taken.append(OffsetCommitted(request.group_id, topic.name, each.partition_index, committed))
    return codes, taken


def _why_not(broker: Broker, topic: Topic | None, asked: Message) -> ErrorCode:
    if topic is None or not 0 <= asked.partition_index < len(topic.partitions):
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if len(asked.committed_metadata or "") > broker.groups.settings.offset_metadata_max_bytes:
        return ErrorCode.OFFSET_METADATA_TOO_LARGE
    return ErrorCode.NONE


def _committed(asked: Message, topic: Topic, context: RequestContext) -> Committed:
    return Committed(
        asked.committed_offset,
        asked.committed_leader_epoch,
        asked.committed_metadata or "",
        context.now_ms,
        NEVER_MS,
        topic.id,
    )


async def _commit(broker: Broker, context: RequestContext, request: Message, taken: list[OffsetCommitted]) -> None:
    if not request.group_id:
        raise KafkaError(ErrorCode.INVALID_GROUP_ID, "a group must have a name to commit in a transaction")
    verification = await _verified(broker, context, request)
    generation, member_id, instance_id = NO_GENERATION, "", None
    if context.api_version >= GENERATION_FROM:
        generation, member_id, instance_id = request.generation_id, request.member_id, request.group_instance_id
    consumers = broker.groups.find_consumers(request.group_id)
    if consumers is not None:
        _check_consumers(consumers, member_id, generation, taken)
    else:
        code = check_txn_commit(broker.groups.find(request.group_id), member_id, instance_id, generation)
        if code is not ErrorCode.NONE:
            raise KafkaError(code, f"a commit of generation {generation} in group {request.group_id!r}")
    producer = TransactionalProducer(request.producer_id, request.producer_epoch)
    await broker.groups.commit(request.group_id, taken, producer=producer, verification=verification)


def _check_consumers(group: ConsumerGroup, member_id: str, epoch: int, taken: list[OffsetCommitted]) -> None:
    """In a consumer group (KIP-848) the member's epoch counts; this API has no word for a stale one but the old."""
    try:
        check = check_commit(group, member_id, epoch, api_version=None)
        for each in taken:
            check(each.committed.topic_id, each.partition)
    except KafkaError as refusal:
        if refusal.code is ErrorCode.STALE_MEMBER_EPOCH:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION, refusal.message) from refusal
        raise


async def _verified(broker: Broker, context: RequestContext, request: Message) -> Verification | None:
    """Ask the transaction's coordinator, or tell it, unless the transaction is open in the group's partition already.

    Raises KafkaError: INVALID_TXN_STATE, TRANSACTION_ABORTABLE, and as `TransactionCoordinator.add_partitions`.
    """
    adds = context.api_version >= ADDS_FROM
    if not adds and not broker.config.flag("transaction.partition.verification.enable"):
        return None
    at = await offsets_partition(broker, request.group_id)
    partition = broker.partitions.find(at.topic, at.partition)
    if partition is None:
        raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"the log of {at} is not here")
    states, producer = partition.log.producers, ProducerIdAndEpoch(request.producer_id, request.producer_epoch)
    if states.has_open_transaction(*producer):
        return None
    verification = states.verifications.begin(
        producer.producer_id, -1, producer.epoch, bumps_epoch=adds, now_ms=context.now_ms
    )
    if adds:
        await broker.transactions.add_partitions(
            request.transactional_id, producer, frozenset({at}), client_version=BUMPS_EPOCH_FROM
        )
    elif broker.transactions.missing_partitions(request.transactional_id, producer, [at]):
        known = context.api_version >= ABORTABLE_KNOWN_FROM
        raise KafkaError(
            ErrorCode.TRANSACTION_ABORTABLE if known else ErrorCode.INVALID_TXN_STATE, f"{at} was not added"
        )
    return verification


def _answer(topic: Message, codes: Codes) -> Message:
    return Message(
        name=topic.name,
        partitions=[
            Message(partition_index=each.partition_index, error_code=codes[topic.name, each.partition_index])
            for each in topic.partitions
        ],
    )


HANDLERS: dict[ApiKey, Handler] = {ApiKey.TXN_OFFSET_COMMIT: txn_offset_commit}
