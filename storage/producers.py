"""What a log knows of the producers that number their batches, and who has a transaction open (KIP-98, KIP-360).

Per producer id: its epoch and its last five batches, as sequence range and offset range. An appended batch
is, in this order,

    one of the five again                          a duplicate: answered with the offsets it was given then
    of an older epoch                              INVALID_PRODUCER_EPOCH: another instance has taken over
    of a newer epoch, not from sequence 0          OUT_OF_ORDER_SEQUENCE_NUMBER
    of the same epoch, not from the next sequence  OUT_OF_ORDER_SEQUENCE_NUMBER (so is a duplicate that is
                                                   older than the five)
    of an id not known here                        taken at any sequence: its state may have expired
    else                                           appended

A batch with a producer id and without a sequence is a coordinator's (offsets committed in a transaction); only
its epoch is looked at.

Sequences run from 0 to 2^31 - 1 and begin again at 0. Nothing changes in place: `plan` and `plan_end` say
what the producers will be after an append, `apply` makes it so once the bytes are written. `replay` believes
the log and checks nothing; with it the states are rebuilt.

A producer's transaction is open from its first transactional batch to the marker that ends it
(`plan_end`). In front of the first offset of all that are open, and nowhere else, everything is stable. A
marker is refused

    of an older epoch                              INVALID_PRODUCER_EPOCH
    of the same epoch, when every transaction has  INVALID_PRODUCER_EPOCH, for it may be a late one of an earlier
    an epoch of its own (version 2, KIP-890)       transaction; but not when none is open: then it is a repetition
    of an older coordinator                        TRANSACTION_COORDINATOR_FENCED

A producer that was silent for `producer.id.expiration.ms` is forgotten, unless it has a transaction open.

Kafka's classes: `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..protocol.batch_header import CONTROL_BIT, TRANSACTIONAL_BIT
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.record_reader import ControlType, EndTxnMarker
from .txn_index import AbortedTransaction
from .verification import Verification, Verifications

REMEMBERED_BATCHES = 5
NO_EPOCH = -1
NO_SEQUENCE = -1
NO_TIMESTAMP = -1
NO_OFFSET = -1
MAX_SEQUENCE = 2**31 - 1


class ProducedBatch(NamedTuple):
    """A batch on its way into the log, or in it: what the producers' states need of it."""

    producer_id: int
    epoch: int
    base_sequence: int
    base_offset: int
    last_offset: int
    max_timestamp: int
    attributes: int


class Remembered(NamedTuple):
    """One of a producer's last batches."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp: int


class Producer(NamedTuple):
    """One producer id's state; a new value for every change."""

    epoch: int = NO_EPOCH
    coordinator_epoch: int = -1
    last_timestamp: int = NO_TIMESTAMP
    txn_first_offset: int = NO_OFFSET  # of the transaction that is open here
    batches: tuple[Remembered, ...] = ()

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE


class TransactionEnd(NamedTuple):
    """A marker on its way into the log: whose transaction ends, and how."""

    producer_id: int
    producer_epoch: int
    marker: EndTxnMarker
    transaction_version: int  # the coordinator's protocol: from 2 on the epoch is above that of the transaction
    timestamp: int


UNKNOWN = Producer()
EPOCH_BUMPED_FROM = 2
Plan = dict[int, Producer]
"""The producers that an append changes, as they will be."""


def add_to_sequence(sequence: int, count: int) -> int:
    """`count` further on; after 2^31 - 1 comes 0."""
    return (sequence + count) & MAX_SEQUENCE


class ProducerStates:
    """All producers of one log, as of `end_offset` (exclusive)."""

    __slots__ = ("_producers", "end_offset", "open_transactions", "partition", "verifications")

    def __init__(self, partition: str, end_offset: int = 0) -> None:
        self.partition = partition
        self.end_offset = end_offset
        self.verifications = Verifications()
        self._producers: dict[int, Producer] = {}
        self.open_transactions: OrderedDict[int, int] = OrderedDict()  # first offset -> producer id, the oldest first

    def __len__(self) -> int:
        return len(self._producers)

    def __iter__(self) -> Iterator[tuple[int, Producer]]:
        return iter(self._producers.items())

    def get(self, producer_id: int) -> Producer | None:
        return self._producers.get(producer_id)

    def has_open_transaction(self, producer_id: int, epoch: int) -> bool:
        """Whether the producer, in that epoch, has a transaction open here."""
        known = self._producers.get(producer_id)
        return known is not None and known.txn_first_offset >= 0 and known.epoch == epoch

    def plan(self, batches: Iterable[ProducedBatch], verification: Verification | None = None) -> Plan | Remembered:
        """What an append of these batches (all with a producer id) would change, or what it repeats.

        `verification` is that of the transaction which the append begins, where its coordinator was asked. Raises
        KafkaError: INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE.
        """
        plan: Plan = {}
        for batch in batches:
            known = self._producers.get(batch.producer_id)
            if known is not None:
                duplicate = find_duplicate(known, batch)
                if duplicate is not None:
                    return duplicate
            if verification is not None:
                self.verifications.check(batch.producer_id, verification)
            now = plan.get(batch.producer_id, known) or UNKNOWN
            self._check(now, batch)
            plan[batch.producer_id] = after_batch(now, batch)
        return plan

    def plan_end(self, end: TransactionEnd, offset: int) -> tuple[Plan, AbortedTransaction | None]:
        """What a marker at `offset` would change, and the transaction it aborts, if it has records here.

        Raises KafkaError: INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
        """
        now = self._producers.get(end.producer_id, UNKNOWN)
        self._check_marker(now, end, offset)
        after = after_marker(now, end.producer_epoch, end.timestamp, end.marker)
        return {end.producer_id: after}, self._aborted(end.producer_id, now, end.marker, offset)

    def apply(self, plan: Plan, end_offset: int) -> None:
        """The append that was planned is in the log, which now ends at `end_offset`."""
        for producer_id, after in plan.items():
            self._set(producer_id, after)
        self.end_offset = end_offset

    def replay(self, batch: ProducedBatch, marker: EndTxnMarker | None = None) -> AbortedTransaction | None:
        """Take a batch that is in the log into account; `marker` is the record of a control batch.

        Returns the transaction that it aborts.
        """
        now = self._producers.get(batch.producer_id, UNKNOWN)
        if not batch.attributes & CONTROL_BIT:
            self._set(batch.producer_id, after_batch(now, batch))
            return None
        if marker is None:
            return None
        aborted = self._aborted(batch.producer_id, now, marker, batch.last_offset)
        self._set(batch.producer_id, after_marker(now, batch.epoch, batch.max_timestamp, marker))
        return aborted

    def restore(self, producers: Iterable[tuple[int, Producer]], end_offset: int) -> None:
        """Take the producers of a snapshot in front of `end_offset`."""
        for producer_id, producer in sorted(producers, key=_txn_first_offset):
            self._set(producer_id, producer)
        self.end_offset = end_offset

    def clear(self, end_offset: int) -> None:
        self._producers.clear()
        self.open_transactions.clear()
        self.verifications.clear()
        self.end_offset = end_offset

    def _set(self, producer_id: int, after: Producer) -> None:
        before = self._producers.get(producer_id, UNKNOWN)
        self._producers[producer_id] = after
        if after.txn_first_offset != NO_OFFSET and len(self.verifications):
            self.verifications.forget(producer_id)
        if before.txn_first_offset != after.txn_first_offset:
            self.open_transactions.pop(before.txn_first_offset, None)
            if after.txn_first_offset != NO_OFFSET:
                # A transaction that begins is the youngest.
                self.open_transactions[after.txn_first_offset] = producer_id

    def _aborted(self, producer_id: int, now: Producer, marker: EndTxnMarker, offset: int) -> AbortedTransaction | None:
        """The transaction that the marker at `offset` aborts; one without records here leaves nothing to know."""
        first_offset = now.txn_first_offset
        if marker.type is not ControlType.ABORT or first_offset == NO_OFFSET:
            return None
        stable = next((each for each in self.open_transactions if each != first_offset), offset + 1)
        return AbortedTransaction(producer_id, first_offset, offset, stable)

    def expire(self, now_ms: int, expiration_ms: int) -> int:
        """Forget who was silent for too long; returns how many."""
        silent = [
            producer_id
            for producer_id, producer in self._producers.items()
            if producer.txn_first_offset == NO_OFFSET and now_ms - producer.last_timestamp >= expiration_ms
        ]
        for producer_id in silent:
            del self._producers[producer_id]
        self.verifications.expire(now_ms, expiration_ms)
        return len(silent)

    @property
    def first_open_offset(self) -> int | None:
        """Where the oldest open transaction begins: what is stable ends there."""
        return next(iter(self.open_transactions), None)

    def check(self) -> None:
        """Prove that what is open is what the producers say, in order; AssertionError otherwise."""
        opened = sorted((p.txn_first_offset, i) for i, p in self._producers.items() if p.txn_first_offset >= 0)
        assert list(self.open_transactions.items()) == opened, (self.open_transactions, opened)

    def _check_marker(self, now: Producer, end: TransactionEnd, offset: int) -> None:
        repeated = end.producer_epoch == now.epoch and now.txn_first_offset == NO_OFFSET
        bumped = end.transaction_version >= EPOCH_BUMPED_FROM and not repeated
        if end.producer_epoch < now.epoch + bumped:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Epoch of producer {end.producer_id} at offset {offset} in {self.partition} is {end.producer_epoch}, "
                f"which is {'<=' if bumped else '<'} the last seen epoch {now.epoch} (TV{end.transaction_version})",
            )
        if end.marker.coordinator_epoch < now.coordinator_epoch:
            raise KafkaError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"Invalid coordinator epoch for producerId {end.producer_id} at offset {offset} in partition "
                f"{self.partition}: {end.marker.coordinator_epoch} (zombie), {now.coordinator_epoch} (current)",
            )

    def _check(self, now: Producer, batch: ProducedBatch) -> None:
        if batch.epoch < now.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Epoch of producer {batch.producer_id} at offset {batch.base_offset} in {self.partition} is "
                f"{batch.epoch}, which is smaller than the last seen epoch {now.epoch}",
            )
        if batch.attributes & CONTROL_BIT:
            return
        if batch.base_sequence != NO_SEQUENCE:
            self._check_sequence(now, batch)
        if now.txn_first_offset != NO_OFFSET and not batch.attributes & TRANSACTIONAL_BIT:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"Expected transactional write from producer {batch.producer_id} at offset {batch.base_offset} "
                f"in partition {self.partition}",
            )

    def _check_sequence(self, now: Producer, batch: ProducedBatch) -> None:
        verification = self.verifications.get(batch.producer_id) if len(self.verifications) else None
        if verification is not None:
            self._check_first_of_transaction(now, batch, verification)
        if batch.epoch == now.epoch:
            self._check_next(now, batch)
        elif batch.base_sequence != 0 and now.epoch != NO_EPOCH:
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"Invalid sequence number for new epoch of producer {batch.producer_id} at offset "
                f"{batch.base_offset} in partition {self.partition}: {batch.epoch} (request epoch), "
                f"{batch.base_sequence} (seq. number), {now.epoch} (current producer epoch)",
            )

    def _check_first_of_transaction(self, now: Producer, batch: ProducedBatch, verification: Verification) -> None:
        """As long as the transaction has nothing here, the earliest batch that waited comes first (see `verification`)."""
        if verification.bumps_epoch and batch.base_sequence != 0 and not now.batches:
            wanted = "Expected sequence 0 for transactions v2 idempotent producer with no existing state."
        elif batch.base_sequence > verification.lowest_sequence:
            wanted = f"{verification.lowest_sequence} (earliest seen sequence)"
        else:
            return
        raise KafkaError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"Out of order sequence number for producer {batch.producer_id} at offset {batch.base_offset} in partition "
            f"{self.partition}: {batch.base_sequence} (incoming seq. number), {wanted}",
        )

    def _check_next(self, now: Producer, batch: ProducedBatch) -> None:
        last = now.last_sequence
        if batch.base_sequence == last + 1 or (batch.base_sequence == 0 and last == MAX_SEQUENCE):
            return
        raise KafkaError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"Out of order sequence number for producer {batch.producer_id} at offset {batch.base_offset} in "
            f"partition {self.partition}: {batch.base_sequence} (incoming seq. number), {last} (current end "
            "sequence number)",
        )


def find_duplicate(known: Producer, batch: ProducedBatch) -> Remembered | None:
    """The remembered batch that `batch` repeats."""
    first = batch.base_sequence
    if batch.epoch != known.epoch or first == NO_SEQUENCE:
        return None
    last = add_to_sequence(first, batch.last_offset - batch.base_offset)
    for remembered in known.batches:
        if remembered.first_sequence == first and remembered.last_sequence == last:
            return remembered
    return None


def after_batch(now: Producer, batch: ProducedBatch) -> Producer:
    """The producer once a data batch is in the log."""
    first = batch.base_sequence
    remembered = Remembered(
        first,
        (first + batch.last_offset - batch.base_offset) & MAX_SEQUENCE if first != NO_SEQUENCE else NO_SEQUENCE,
        batch.base_offset,
        batch.last_offset,
        batch.max_timestamp,
    )
    earlier = now.batches[1 - REMEMBERED_BATCHES :] if now.epoch == batch.epoch else ()
    txn_first_offset = now.txn_first_offset
    if txn_first_offset == NO_OFFSET and batch.attributes & TRANSACTIONAL_BIT:
        txn_first_offset = batch.base_offset
    return Producer(batch.epoch, now.coordinator_epoch, batch.max_timestamp, txn_first_offset, (*earlier, remembered))


def after_marker(now: Producer, epoch: int, timestamp: int, marker: EndTxnMarker) -> Producer:
    """The producer once the marker that ends its transaction is in the log."""
    batches = now.batches if now.epoch == epoch else ()
    return Producer(epoch, marker.coordinator_epoch, timestamp, NO_OFFSET, batches)


def _txn_first_offset(entry: tuple[int, Producer]) -> int:
    return entry[1].txn_first_offset
