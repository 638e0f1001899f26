"""Before a transaction begins in a partition its coordinator is asked, or told (KIP-890).

    Produce up to 11    the partition must be in the transaction: the producer has added it (AddPartitionsToTxn)
    Produce from 12 on  the partition is added

Only the first batch of a transaction in a partition has to pass here; while the transaction is open there, batches go
straight into the log. Between the answer and the append the transaction may end: then the log refuses the batch (see
`storage.verification`). With `transaction.partition.verification.enable` off, producers of the old kind are not checked.

Codes that clients of the old kind take for fatal, and that pass by themselves, become NOT_ENOUGH_REPLICAS, which they
repeat without asking for anything new.

Kafka's classes: `ReplicaManager.maybeSendPartitionsToTransactionCoordinator`, `AddPartitionsToTxnManager`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.produce import ProduceRequest
from ...protocol.records import RECORD_BATCH_OVERHEAD, BatchHeader, read_header
from ...storage.directory_names import TopicPartition
from ...storage.verification import Verification
from ..coordinators.transactions.transaction import BUMPS_EPOCH_FROM, ProducerIdAndEpoch

if TYPE_CHECKING:
    from ..app import Broker
    from ..partition import Partition

ABORTABLE_KNOWN_FROM = 11
ADDS_FROM = 12
NOT_ADDED = "Partition was not added to the transaction"
PASSES_BY_ITSELF = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.NETWORK_EXCEPTION,
    }
)


class Unverified(NamedTuple):
    """The first batch of a transaction in a partition."""

    partition: Partition
    producer: ProducerIdAndEpoch
    verification: Verification


Verified = dict["Partition", Verification | KafkaError]
"""For each partition that had to be asked for: what lets the batch pass, or why it may not."""


def to_verify(broker: Broker, request: ProduceRequest, frame: memoryview, version: int) -> list[Unverified]:
    """The batches of a request that begin a transaction where they go."""
    adds = version >= ADDS_FROM
    if not adds and not broker.config.flag("transaction.partition.verification.enable"):
        return []
    found = []
    for partition, header in _transactional(broker, request, frame):
        states = partition.log.producers
        producer = ProducerIdAndEpoch(header.producer_id, header.producer_epoch)
        if states.has_open_transaction(*producer):
            continue
        verification = states.verifications.begin(
            header.producer_id,
            header.base_sequence,
            header.producer_epoch,
            bumps_epoch=adds,
            now_ms=broker.clock.now_ms(),
        )
        found.append(Unverified(partition, producer, verification))
    return found


def _transactional(
    broker: Broker, request: ProduceRequest, frame: memoryview
) -> Iterable[tuple[Partition, BatchHeader]]:
    for topic, partitions in request.topics:
        for sent in partitions:
            partition = broker.partitions.find(topic, sent.index)
            if partition is None or sent.start < 0 or sent.end - sent.start < RECORD_BATCH_OVERHEAD:
                continue
            header = read_header(frame, sent.start)
            if header.is_transactional and header.producer_id >= 0:
                yield partition, header


async def verify(broker: Broker, transactional_id: str, unverified: list[Unverified], version: int) -> Verified:
    """Ask the coordinator; an answer for every partition."""
    producers = {each.producer for each in unverified}
    try:
        if len(producers) > 1:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_ID_MAPPING, "Transactional records contained more than one producer ID"
            )
        missing = await _ask(broker, transactional_id, producers.pop(), unverified, version)
    except KafkaError as refusal:
        told = _as_told(refusal, version)
        return {each.partition: told for each in unverified}
    return {
        each.partition: _not_added(version) if _at(each.partition) in missing else each.verification
        for each in unverified
    }


async def _ask(
    broker: Broker, transactional_id: str, producer: ProducerIdAndEpoch, unverified: list[Unverified], version: int
) -> list[TopicPartition]:
    """Those that are not in the transaction. KafkaError: none is."""
    partitions = [_at(each.partition) for each in unverified]
    if version < ADDS_FROM:
        return broker.transactions.missing_partitions(transactional_id, producer, partitions)
    await broker.transactions.add_partitions(
        transactional_id, producer, frozenset(partitions), client_version=BUMPS_EPOCH_FROM
    )
    return []


def _at(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.index)


def _not_added(version: int) -> KafkaError:
    if version < ABORTABLE_KNOWN_FROM:
        return KafkaError(ErrorCode.INVALID_TXN_STATE, NOT_ADDED)
    return KafkaError(ErrorCode.TRANSACTION_ABORTABLE)


def _as_told(refusal: KafkaError, version: int) -> KafkaError:
    code = refusal.code
    if code is ErrorCode.PRODUCER_FENCED:
        return KafkaError(ErrorCode.INVALID_PRODUCER_EPOCH)
    if code in PASSES_BY_ITSELF or (code is ErrorCode.CONCURRENT_TRANSACTIONS and version < ADDS_FROM):
        why = f"Unable to verify the partition has been added to the transaction. Underlying error: {code.name}"
        return KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS, why)
    return KafkaError(code)
