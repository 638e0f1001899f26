"""What a transactional id's new state is, or why it stays as it is: pure.

Each function takes the present state and what is asked, and returns the new state, which the caller writes down as one
record, or None when there is nothing to write; a refusal is a KafkaError. Nobody else's records come between the look at
the state and the writing, so a state says all there is: where Kafka has a transition pending and answers
CONCURRENT_TRANSACTIONS, here the transition is made already, and whoever needs it on the disk waits.

Where a new producer id is needed and none is at hand (`spare_id`), `NeedsProducerId` is raised: get one and ask again.

PRODUCER_FENCED is what the coordinator says; APIs that are older than that error make INVALID_PRODUCER_EPOCH of it.

Kafka's class: `TransactionCoordinator`, and the tables in its comments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.values import dataclass
from ....storage.directory_names import TopicPartition
from .transaction import (
    AT_REST,
    BUMPS_EPOCH_FROM,
    LAST_EPOCH_OF_CLIENTS,
    MAX_EPOCH,
    NO_EPOCH,
    NO_PRODUCER_ID,
    NO_TIME,
    PREPARED,
    ProducerIdAndEpoch,
    Transaction,
    TransactionState,
)


class NeedsProducerId(Exception):
    """The decision needs a producer id that nobody has had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A producer's wish to end its transaction."""

    producer: ProducerIdAndEpoch
    committed: bool
    client_version: int


def fenced(transaction: Transaction, epoch: int) -> KafkaError:
    """The refusal of a producer of another epoch."""
    return KafkaError(
        ErrorCode.PRODUCER_FENCED,
        f"{transaction.transactional_id!r} is at epoch {transaction.producer_epoch}, the producer at {epoch}",
    )


def concurrent(transaction: Transaction) -> KafkaError:
    """The refusal while the markers of a prepared transaction are being written."""
    return KafkaError(
        ErrorCode.CONCURRENT_TRANSACTIONS,
        f"the last transaction of {transaction.transactional_id!r} is still being completed",
    )


def known(transaction: Transaction | None, producer: ProducerIdAndEpoch) -> Transaction:
    """The state of the id; KafkaError(INVALID_PRODUCER_ID_MAPPING) unless it is there and the producer's."""
    if transaction is None or transaction.producer_id != producer.producer_id:
        raise KafkaError(
            ErrorCode.INVALID_PRODUCER_ID_MAPPING, f"producer {producer.producer_id} has no such transactional id"
        )
    return transaction


# --- InitProducerId


def init_producer_id(
    transactional_id: str,
    now: Transaction | None,
    *,
    expected: ProducerIdAndEpoch | None,
    timeout_ms: int,
    spare_id: int | None,
    now_ms: int,
) -> Transaction:
    """The id with a new epoch, or, while its transaction is open, that transaction to be aborted first.

    `expected` is who the producer says it is. Raises KafkaError: CONCURRENT_TRANSACTIONS, PRODUCER_FENCED.
    """
    if now is None:
        first = Transaction(
            transactional_id=transactional_id, producer_id=_spare(spare_id), timeout_ms=timeout_ms, updated_ms=now_ms
        )
        return _with_next_epoch(first, expected, timeout_ms, now_ms)
    if expected is not None and not _may_be(now, expected):
        raise fenced(now, expected.epoch)
    if now.state in PREPARED:
        raise concurrent(now)
    if now.state is TransactionState.ONGOING:
        return fence(now, now_ms=now_ms)
    if now.is_epoch_exhausted and (expected is None or expected.epoch == now.producer_epoch):
        return _with_next_id(now, expected, timeout_ms, _spare(spare_id), now_ms)
    return _with_next_epoch(now, expected, timeout_ms, now_ms)


def _spare(spare_id: int | None) -> int:
    if spare_id is None:
        raise NeedsProducerId
    return spare_id


def _may_be(now: Transaction, expected: ProducerIdAndEpoch) -> bool:
    """Whether the producer's id is, or was before it ran out of epochs, the present one."""
    return expected.producer_id == now.producer_id or (
        expected.producer_id == now.previous_producer_id and expected.epoch >= LAST_EPOCH_OF_CLIENTS
    )


def _with_next_epoch(
    now: Transaction, expected: ProducerIdAndEpoch | None, timeout_ms: int, now_ms: int
) -> Transaction:
    if expected is None:
        epoch, last_epoch = now.producer_epoch + 1, NO_EPOCH
    elif now.producer_epoch in (NO_EPOCH, expected.epoch):
        epoch, last_epoch = now.producer_epoch + 1, now.producer_epoch
    elif expected.epoch == now.last_producer_epoch:
        # It asks again, having missed the answer. Nobody else has come since, or there would be no last epoch.
        epoch, last_epoch = now.producer_epoch, now.last_producer_epoch
    else:
        raise fenced(now, expected.epoch)
    if epoch > LAST_EPOCH_OF_CLIENTS:
        assert expected is not None, "an exhausted epoch is given up for another id"
        raise fenced(now, expected.epoch)
    return _empty(now, now.producer_id, epoch, last_epoch, timeout_ms, now_ms)


def _with_next_id(
    now: Transaction, expected: ProducerIdAndEpoch | None, timeout_ms: int, spare_id: int, now_ms: int
) -> Transaction:
    last_epoch = NO_EPOCH if expected is None else now.producer_epoch
    return _empty(now, spare_id, 0, last_epoch, timeout_ms, now_ms)


def _empty(
    now: Transaction, producer_id: int, epoch: int, last_epoch: int, timeout_ms: int, now_ms: int
) -> Transaction:
    return replace(
        now,
        producer_id=producer_id,
        previous_producer_id=now.producer_id,
        producer_epoch=epoch,
        last_producer_epoch=last_epoch,
        timeout_ms=timeout_ms,
        state=TransactionState.EMPTY,
        partitions=frozenset(),
        started_ms=NO_TIME,
        updated_ms=now_ms,
    )


def fence(now: Transaction, *, now_ms: int) -> Transaction:
    """The open transaction, to be aborted under an epoch that its producer does not have."""
    assert now.state is TransactionState.ONGOING, now
    return replace(
        now,
        previous_producer_id=now.producer_id,
        producer_epoch=min(now.producer_epoch + 1, MAX_EPOCH),
        last_producer_epoch=now.producer_epoch,
        state=TransactionState.PREPARE_ABORT,
        updated_ms=now_ms,
        client_version=BUMPS_EPOCH_FROM,
    )


# --- the partitions


def add_partitions(
    now: Transaction | None,
    producer: ProducerIdAndEpoch,
    partitions: frozenset[TopicPartition],
    *,
    client_version: int,
    now_ms: int,
) -> Transaction | None:
    """The transaction with these partitions, begun if none was open; None when they are in it already.

    Raises KafkaError: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS.
    """
    now = known(now, producer)
    if now.producer_epoch != producer.epoch:
        raise fenced(now, producer.epoch)
    if now.state in PREPARED:
        raise concurrent(now)
    is_open = now.state is TransactionState.ONGOING
    if is_open and partitions <= now.partitions:
        return None
    return replace(
        now,
        previous_producer_id=now.producer_id,
        state=TransactionState.ONGOING,
        partitions=now.partitions | partitions,
        started_ms=now.started_ms if is_open else now_ms,
        updated_ms=now_ms,
        client_version=client_version,
    )


def missing_partitions(
    now: Transaction | None, producer: ProducerIdAndEpoch, partitions: Iterable[TopicPartition]
) -> list[TopicPartition]:
    """Those that are not in the producer's transaction, of which nothing may be written.

    Raises KafkaError: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS.
    """
    now = known(now, producer)
    if now.producer_epoch != producer.epoch:
        raise fenced(now, producer.epoch)
    if now.state in PREPARED:
        raise concurrent(now)
    return [each for each in partitions if each not in now.partitions]


# --- the end


def end(now: Transaction | None, wish: End, *, spare_id: int | None, now_ms: int) -> Transaction | None:
    """The transaction as it is to end; None when it has ended so already, and the producer asks again.

    Raises KafkaError: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS.
    """
    if wish.client_version >= BUMPS_EPOCH_FROM:
        return _end_bumping(now, wish, spare_id, now_ms)
    now = known(now, wish.producer)
    if now.producer_epoch != wish.producer.epoch:
        raise fenced(now, wish.producer.epoch)
    if now.state is TransactionState.ONGOING:
        return replace(
            now,
            previous_producer_id=now.producer_id,
            state=_prepared(wish.committed),
            updated_ms=now_ms,
            client_version=wish.client_version,
        )
    _check_same_end(now, wish)
    return None


def _end_bumping(now: Transaction | None, wish: End, spare_id: int | None, now_ms: int) -> Transaction | None:
    """In version 2 an end with the present epoch is another one, and one with the epoch before is a repetition."""
    if now is not None and _repeats_after_overflow(now, wish.producer):
        is_repeated = True
    else:
        now = known(now, wish.producer)
        is_repeated = wish.producer.epoch == now.producer_epoch - 1
        _check_epoch(now, wish.producer.epoch, is_repeated)
    if now.state in PREPARED:
        _check_same_end(now, wish)
    if now.state is TransactionState.ONGOING or (now.state in AT_REST and not wish.committed and not is_repeated):
        return _prepare(now, wish, spare_id, now_ms)
    if not is_repeated or now.state is not _completed(wish.committed):
        raise _not_in(now, wish)
    return None


def _repeats_after_overflow(now: Transaction, producer: ProducerIdAndEpoch) -> bool:
    """Whether the producer has not heard yet that it goes on under another id."""
    return (
        producer.producer_id == now.previous_producer_id != now.producer_id
        and producer.epoch == LAST_EPOCH_OF_CLIENTS
        and now.producer_epoch == 0
    )


def _check_epoch(now: Transaction, epoch: int, is_repeated: bool) -> None:
    is_present = epoch == now.producer_epoch
    if now.state in (TransactionState.ONGOING, TransactionState.EMPTY):
        passes = is_present
    elif now.state in PREPARED:
        passes = is_repeated
    else:
        passes = is_present or is_repeated
    if not passes:
        raise fenced(now, epoch)


def _check_same_end(now: Transaction, wish: End) -> None:
    """Pass when the transaction has ended as is wished; CONCURRENT_TRANSACTIONS while it is ending so."""
    if now.state is _prepared(wish.committed):
        raise concurrent(now)
    if now.state is not _completed(wish.committed):
        raise _not_in(now, wish)


def _prepare(now: Transaction, wish: End, spare_id: int | None, now_ms: int) -> Transaction:
    """An abort may come when nothing was begun: it only raises the epoch, with which the producer starts afresh."""
    return replace(
        now,
        previous_producer_id=now.producer_id,
        next_producer_id=_spare(spare_id) if now.is_epoch_exhausted else NO_PRODUCER_ID,
        producer_epoch=min(now.producer_epoch + 1, MAX_EPOCH),
        last_producer_epoch=now.producer_epoch,
        state=_prepared(wish.committed),
        started_ms=now.started_ms if now.state is TransactionState.ONGOING else now_ms,
        updated_ms=now_ms,
        client_version=wish.client_version,
    )


def _prepared(committed: bool) -> TransactionState:
    return TransactionState.PREPARE_COMMIT if committed else TransactionState.PREPARE_ABORT


def _completed(committed: bool) -> TransactionState:
    return TransactionState.COMPLETE_COMMIT if committed else TransactionState.COMPLETE_ABORT


def _not_in(now: Transaction, wish: End) -> KafkaError:
    what = "a commit" if wish.committed else "an abort"
    return KafkaError(
        ErrorCode.INVALID_TXN_STATE,
        f"{now.transactional_id!r} is in state {now.state.kafka_name}, in which {what} makes no sense",
    )


def complete(now: Transaction, *, now_ms: int) -> Transaction:
    """The prepared transaction once its markers are in every partition."""
    producer_id, epoch = now.producer_id, now.producer_epoch
    if now.bumps_epoch and now.next_producer_id != NO_PRODUCER_ID:
        producer_id, epoch = now.next_producer_id, 0
    return replace(
        now,
        producer_id=producer_id,
        previous_producer_id=now.producer_id,
        next_producer_id=NO_PRODUCER_ID,
        producer_epoch=epoch,
        state=_completed(now.commits),
        partitions=frozenset(),
        updated_ms=now_ms,
    )


def producer_after(now: Transaction) -> ProducerIdAndEpoch:
    """Who the producer is after an end in version 2, told before the transaction is complete."""
    if now.state in PREPARED and now.next_producer_id != NO_PRODUCER_ID:
        return ProducerIdAndEpoch(now.next_producer_id, 0)
    return ProducerIdAndEpoch(now.producer_id, now.producer_epoch)
