"""One prepared transaction on its way to being complete.

    Prepare record durable --> a marker in every partition --> all markers durable --> Complete record

The order is the promise. Before the Prepare record is on the disk no marker may be written, or a crash could leave a
transaction half decided; before the markers are on the disk it must not be called complete, or a crash could leave
a partition that nobody decides any more. A crash anywhere leaves the Prepare record or nothing; the next start finds
it and begins here again. A partition that got its marker before gets another, which changes nothing.

What cannot be done now (a full disk, a group coordinator that is still loading) stays to be done, and `retry` tries again.
A partition that was deleted needs no marker. One that refuses it as out of date would refuse it for ever: that is
told in the log, and the others get theirs.

Kafka's classes: `TransactionMarkerChannelManager`, `PendingCompleteTxn`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.record_reader import ControlType, EndTxnMarker
from ....storage.directory_names import TopicPartition
from ....storage.log import TransactionEnd
from .transaction import Transaction

Told = Callable[[Exception | None], None]

OUT_OF_DATE = frozenset({ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.TRANSACTION_COORDINATOR_FENCED})

log = logging.getLogger(__name__)


class Markers(Protocol):
    """Where markers are written: the partitions of this broker."""

    def exists(self, at: TopicPartition, /) -> bool:
        """Whether there is, or will be, such a partition."""

    def write(self, at: TopicPartition, end: TransactionEnd, /) -> int:
        """Append a marker; returns the offset behind it. KafkaError where that cannot be done now."""

    def when_durable(self, at: TopicPartition, end_offset: int, told: Told, /) -> None:
        """Have `told` called when all in front of `end_offset` is on the disk, or will not be."""


def marker_of(transaction: Transaction, *, coordinator_epoch: int, now_ms: int) -> TransactionEnd:
    """The marker by which a prepared transaction ends."""
    kind = ControlType.COMMIT if transaction.commits else ControlType.ABORT
    return TransactionEnd(
        transaction.producer_id,
        transaction.producer_epoch,
        EndTxnMarker(kind, coordinator_epoch),
        transaction.client_version,
        now_ms,
    )


class Ending:
    """The work that is left of one prepared transaction. Owned by the loop."""

    def __init__(
        self,
        transaction: Transaction,
        markers: Markers,
        *,
        end: TransactionEnd,
        when_prepared: Callable[[Told], None],
        complete: Callable[[], None],
        done: asyncio.Future[None],
    ) -> None:
        self.transaction = transaction
        self.done = done
        self._markers = markers
        self._end = end
        self._when_prepared = when_prepared
        self._complete = complete
        self._to_write = set(transaction.partitions)
        self._to_sync: dict[TopicPartition, int] = {}
        self._syncing = 0
        self._is_prepared = False
        self._is_asking = False

    def go_on(self) -> None:
        """Do what can be done; call it to begin, and again after a while when `done` is not."""
        if self.done.done() or self._is_asking or self._syncing:
            return
        if self._is_prepared:
            self._write()
        else:
            self._is_asking = True
            self._when_prepared(self._prepared)

    def give_up(self) -> None:
        """The coordinator goes: whoever takes its place begins again."""
        if not self.done.done():
            self.done.set_result(None)

    def _prepared(self, error: Exception | None) -> None:
        self._is_asking = False
        if error is None and not self.done.done():
            self._is_prepared = True
            self._write()

    def _write(self) -> None:
        for at in sorted(self._to_write):
            try:
                self._write_one(at)
            except KafkaError as refusal:
                log.info("%s waits for its marker in %s: %s", self._name, at, refusal)
        self._sync()

    def _write_one(self, at: TopicPartition) -> None:
        if not self._markers.exists(at):
            self._to_write.discard(at)
            return
        try:
            self._to_sync[at] = self._markers.write(at, self._end)
        except KafkaError as refusal:
            if refusal.code not in OUT_OF_DATE:
                raise
            log.error("%s does not take the end of %s: %s", at, self._name, refusal)
        self._to_write.discard(at)

    def _sync(self) -> None:
        to_sync, self._to_sync = self._to_sync, {}
        self._syncing += len(to_sync) + 1
        for at, end_offset in to_sync.items():
            self._markers.when_durable(at, end_offset, partial(self._synced, at, end_offset))
        self._settle()

    def _synced(self, at: TopicPartition, end_offset: int, error: Exception | None) -> None:
        if error is not None:
            self._to_write.add(at)  # it may be there nevertheless, and a second one changes nothing
        self._settle()

    def _settle(self) -> None:
        self._syncing -= 1
        if self._syncing or self._to_write or self.done.done():
            return
        try:
            self._complete()
        except KafkaError as refusal:
            log.info("%s waits to be called complete: %s", self._name, refusal)
            return
        self.done.set_result(None)

    @property
    def _name(self) -> str:
        return f"the transaction of {self.transaction.transactional_id!r}"
