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

Sequences run from 0 to 2^31 - 1 and begin again at 0. Nothing changes in place: `plan` says what the
producers will be after an append, `apply` makes it so once the bytes are written. `replay` believes the log
and checks nothing; with it the states are rebuilt.

A producer that was silent for `producer.id.expiration.ms` is forgotten, unless it has a transaction open.

Kafka's classes: `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..protocol.batch_header import CONTROL_BIT, TRANSACTIONAL_BIT
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.record_reader import EndTxnMarker

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


UNKNOWN = Producer()
Plan = dict[int, Producer]
"""The producers that an append changes, as they will be."""


def add_to_sequence(sequence: int, count: int) -> int:
    """`count` further on; after 2^31 - 1 comes 0."""
    return (sequence + count) & MAX_SEQUENCE


class ProducerStates:
    """All producers of one log, as of `end_offset` (exclusive)."""

    __slots__ = ("_producers", "end_offset", "partition")

    def __init__(self, partition: str, end_offset: int = 0) -> None:
        self.partition = partition
        self.end_offset = end_offset
        self._producers: dict[int, Producer] = {}

    def __len__(self) -> int:
        return len(self._producers)

    def __iter__(self) -> Iterator[tuple[int, Producer]]:
        return iter(self._producers.items())

    def get(self, producer_id: int) -> Producer | None:
        return self._producers.get(producer_id)

    def plan(self, batches: Iterable[ProducedBatch]) -> Plan | Remembered:
        """What an append of these batches (all with a producer id) would change, or what it repeats.

        Raises KafkaError: INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE.
        """
        plan: Plan = {}
        for batch in batches:
            known = self._producers.get(batch.producer_id)
            if known is not None:
                duplicate = find_duplicate(known, batch)
                if duplicate is not None:
                    return duplicate
            now = plan.get(batch.producer_id, known) or UNKNOWN
            self._check(now, batch)
            plan[batch.producer_id] = after_batch(now, batch)
        return plan

    def apply(self, plan: Plan, end_offset: int) -> None:
        """The append that was planned is in the log, which now ends at `end_offset`."""
        self._producers.update(plan)
        self.end_offset = end_offset

    def replay(self, batch: ProducedBatch, marker: EndTxnMarker | None = None) -> None:
        """Take a batch that is in the log into account; `marker` is the record of a control batch."""
        now = self._producers.get(batch.producer_id, UNKNOWN)
        if not batch.attributes & CONTROL_BIT:
            self._producers[batch.producer_id] = after_batch(now, batch)
        elif marker is not None:
            self._producers[batch.producer_id] = after_marker(now, batch, marker)

    def restore(self, producer_id: int, producer: Producer) -> None:
        """Take one producer from a snapshot."""
        self._producers[producer_id] = producer

    def clear(self, end_offset: int) -> None:
        self._producers.clear()
        self.end_offset = end_offset

    def expire(self, now_ms: int, expiration_ms: int) -> int:
        """Forget who was silent for too long; returns how many."""
        silent = [
            producer_id
            for producer_id, producer in self._producers.items()
            if producer.txn_first_offset == NO_OFFSET and now_ms - producer.last_timestamp >= expiration_ms
        ]
        for producer_id in silent:
            del self._producers[producer_id]
        return len(silent)

    @property
    def first_open_offset(self) -> int | None:
        """Where the oldest open transaction begins: what is stable ends there."""
        return min((p.txn_first_offset for p in self._producers.values() if p.txn_first_offset >= 0), default=None)

    def _check(self, now: Producer, batch: ProducedBatch) -> None:
        if batch.epoch < now.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"Epoch of producer {batch.producer_id} at offset {batch.base_offset} in {self.partition} is "
                f"{batch.epoch}, which is smaller than the last seen epoch {now.epoch}",
            )
        if batch.attributes & CONTROL_BIT:
            return
        if batch.epoch == now.epoch:
            self._check_next(now, batch)
        elif batch.base_sequence != 0 and now.epoch != NO_EPOCH:
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"Invalid sequence number for new epoch of producer {batch.producer_id} at offset "
                f"{batch.base_offset} in partition {self.partition}: {batch.epoch} (request epoch), "
                f"{batch.base_sequence} (seq. number), {now.epoch} (current producer epoch)",
            )
        if now.txn_first_offset != NO_OFFSET and not batch.attributes & TRANSACTIONAL_BIT:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"Expected transactional write from producer {batch.producer_id} at offset {batch.base_offset} "
                f"in partition {self.partition}",
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
    if batch.epoch != known.epoch or batch.attributes & CONTROL_BIT:
        return None
    first = batch.base_sequence
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
        (first + batch.last_offset - batch.base_offset) & MAX_SEQUENCE,
        batch.base_offset,
        batch.last_offset,
        batch.max_timestamp,
    )
    earlier = now.batches[1 - REMEMBERED_BATCHES :] if now.epoch == batch.epoch else ()
    txn_first_offset = now.txn_first_offset
    if txn_first_offset == NO_OFFSET and batch.attributes & TRANSACTIONAL_BIT:
        txn_first_offset = batch.base_offset
    return Producer(batch.epoch, now.coordinator_epoch, batch.max_timestamp, txn_first_offset, (*earlier, remembered))


def after_marker(now: Producer, batch: ProducedBatch, marker: EndTxnMarker) -> Producer:
    """The producer once the marker that ends its transaction is in the log."""
    batches = now.batches if now.epoch == batch.epoch else ()
    return Producer(batch.epoch, marker.coordinator_epoch, batch.max_timestamp, NO_OFFSET, batches)
