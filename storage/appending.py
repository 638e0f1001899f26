"""A log's side of being appended to: the bytes arrive, then the log knows of them; and where a segment ends.

    roll_if_due     the batches fit where they are about to go; perhaps that is a new segment
    write           all of the bytes arrive, or none that anybody finds: what a failed write left is cut off again
                    (unsynced: behind a power cut it may be found, as may all that was written and not synced)
    begin, note     what follows of it, which cannot fail: the leader's epoch, index entries, the log's new end

- Nothing that a reader can see has changed before the write is whole.
- A transaction that is aborted is in its index before its marker is in the log: whoever can read behind the marker is
  told of the transaction.
- A segment ends (`roll`, `settle`) with complete indexes and the producers' snapshot, which are synced with it
  (`durability.sealed`); what a crash leaves of them is built again.
- A full disk refuses, any other failure poisons (`durability`); an index fails behind the bytes, which does not undo them.

`Log.append` and `Log.append_one` take these steps themselves, for every small request pays for each call.

Kafka's counterparts: `LogSegment.append`, `UnifiedLog.roll`, `TransactionIndex.append`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.records import build_end_txn_marker
from .files import Data
from .intake import Appended, Intake, stamp, take_apart
from .log_parts import LogParts
from .producers import Plan, TransactionEnd
from .segment import Segment
from .txn_index import AbortedTransaction

if TYPE_CHECKING:
    from .log import Log


class LogAppending:
    """The steps of an append to one log; its owner's."""

    __slots__ = ("_log", "_parts")

    def __init__(self, log: Log, parts: LogParts) -> None:
        self._log = log
        self._parts = parts

    # --- before the bytes: where they go

    def roll_if_due(self, size_bytes: int, max_timestamp: int, last_offset: int, now_ms: int) -> None:
        """Let the active segment be one that batches of this size, time and end may go into.

        Raises KafkaError: RECORD_LIST_TOO_LARGE, and as `roll`.
        """
        config = self._log.config
        if size_bytes > config.segment_bytes:
            raise self._too_large(size_bytes)
        if self._parts.segments.active.should_roll(size_bytes, max_timestamp, last_offset, now_ms, config):
            self.roll(now_ms)

    def _too_large(self, size_bytes: int) -> KafkaError:
        log = self._log
        return KafkaError(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"Message batch size is {size_bytes} bytes in append to partition {log.topic}-{log.partition}, "
            f"which exceeds the maximum configured segment size of {log.config.segment_bytes}.",
        )

    def roll(self, now_ms: int) -> None:
        """Begin a new segment at the log's end; nothing when the active one is empty. KafkaError: KAFKA_STORAGE_ERROR."""
        log, parts = self._log, self._parts
        parts.durability.check_writable()
        old = parts.segments.active
        if not old.size_bytes:
            return
        new = Segment(parts.files, log.directory, log.log_end_offset, created_ms=now_ms)
        try:
            old.trim()
            old.complete_indexes()
            parts.snapshots.write(log.producers, log.log_end_offset)
            new.create()
        except OSError as error:
            new.files.close()
            raise parts.durability.refusal(error, poisons=True) from error
        old.recent = None
        parts.durability.sealed(old)
        parts.segments.add(new)

    def settle(self) -> None:
        """Nothing will be appended any more: write what the end of a segment has. KafkaError: KAFKA_STORAGE_ERROR."""
        log, parts = self._log, self._parts
        active = parts.segments.active
        try:
            if len(log.producers) or parts.snapshots.offsets:
                parts.durability.names_changed |= parts.snapshots.write(log.producers, log.log_end_offset)
            active.trim()
            if active.size_bytes:
                active.complete_indexes()
        except OSError as error:
            raise parts.durability.refusal(error) from error
        if active.unsynced or active.indexes_unsynced:
            parts.durability.sealed(active)

    # --- the bytes

    def write(self, batches: Data) -> None:
        """Put them behind the active segment's. KafkaError: KAFKA_STORAGE_ERROR; then they are not there."""
        active = self._parts.segments.active
        active.make_room(len(batches))
        try:
            active.write(batches)
        except OSError as error:
            raise self.undo_write(error) from error

    def undo_write(self, error: OSError) -> KafkaError:
        """The bytes of a failed write that did arrive must not stay: the next append begins where this one did.

        Returns what to raise.
        """
        durability, active = self._parts.durability, self._parts.segments.active
        active.unsynced = True
        try:
            active.undo_write()
        except OSError as second:
            durability.poison(f"{second} while cutting off a failed append ({error})")
        return durability.refusal(error, poisons=True)

    def _write_abort(self, marker: bytearray, aborted: AbortedTransaction) -> None:
        """The index first."""
        index = self._parts.segments.active.txn_index
        count = index.entry_count
        try:
            index.append(aborted)
            index.write()
        except OSError as error:
            index.keep_first(count)
            raise self._parts.durability.refusal(error, poisons=True) from error
        self._parts.durability.names_changed |= not count
        try:
            self.write(marker)
        except KafkaError:
            index.keep_first(count)
            raise

    # --- behind the bytes: what follows of them

    def apply(self, intake: Intake, leader_epoch: int, plan: Plan) -> None:
        """All that follows of an append that is written."""
        self.begin(leader_epoch)
        for batch in intake.batches:
            self.note(batch.base_offset, batch.last_offset, batch.size_bytes, batch.max_timestamp)
        self._log.producers.apply(plan, self._log.log_end_offset)

    def begin(self, leader_epoch: int) -> None:
        """What is true of the append as a whole."""
        log, parts = self._log, self._parts
        active = parts.segments.active
        if leader_epoch > log.leader_epochs.latest_epoch:
            log.leader_epochs.assign(leader_epoch, log.log_end_offset)
        if not active.end[1]:
            parts.durability.names_changed = True  # the file may be new
        active.unsynced = True

    def note(self, base_offset: int, last_offset: int, size_bytes: int, max_timestamp: int) -> None:
        """One more batch is part of the log."""
        log, parts = self._log, self._parts
        interval_bytes = log.config.index_interval_bytes
        try:
            parts.segments.active.appended(base_offset, last_offset, size_bytes, max_timestamp, interval_bytes)
        except OSError as error:
            self.index_failed(error)
        parts.durability.appended_bytes += size_bytes
        log.log_end_offset = last_offset + 1

    def index_failed(self, error: OSError) -> None:
        """Of a batch that is part of the log: it stays, and nothing more comes behind it."""
        self._parts.durability.poison(f"{error} while writing an index")

    # --- all of it, for a marker

    def end_transaction(self, end: TransactionEnd, leader_epoch: int, now_ms: int) -> Appended:
        """See `Log.end_transaction`."""
        log = self._log
        self._parts.durability.check_writable()
        plan, aborted = log.producers.plan_end(end, log.log_end_offset)
        marker = build_end_txn_marker(
            end.marker.type,
            timestamp=end.timestamp,
            producer_id=end.producer_id,
            producer_epoch=end.producer_epoch,
            coordinator_epoch=end.marker.coordinator_epoch,
        )
        intake = take_apart(marker, log.log_end_offset)
        self.roll_if_due(len(marker), intake.max_timestamp, intake.last_offset, now_ms)
        stamp(marker, intake, leader_epoch)
        if aborted is None:
            self.write(marker)
        else:
            self._write_abort(marker, aborted)
        self.apply(intake, leader_epoch, plan)
        log.producers.verifications.forget(end.producer_id)  # what it was to let in would open another
        return Appended(intake.last_offset, intake.last_offset, log.log_start_offset, False, intake.log_append_time)
