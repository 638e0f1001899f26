"""One partition's log: THE interface of storage.

    log_start_offset <= log_end_offset,  recovery_point <= log_end_offset      (ends are exclusive)

    0.log [======]   368.log [=========]   811.log [=====        <- append, active segment
             ^                       ^                   ^
       log_start_offset        recovery_point     log_end_offset

- Offsets are given here, one after the other, without gaps. What was appended reads back byte for byte.
- An append has the operating system's page cache when it returns. It has the disk when `recovery_point` has
  passed it: the owner calls `begin_flush`, runs it in a thread, calls `finish_flush`.
- An append is validate, write, apply. Whatever fails before the write is whole leaves everything as it was.
- A disk that is full refuses the append (KAFKA_STORAGE_ERROR), its torn tail is cut off and the log goes on
  when there is room again. Any other failure of a write, and every failure of a sync, poisons the log: it
  takes no more writes and says why; reads go on.
- A crash loses nothing before the recovery point, and may lose or keep what is behind it, in order.
- A transaction is open from its first batch to its marker (`end_transaction`). Everything in front of
  `last_stable_offset` is decided; which of it was aborted, `aborted_transactions` tells.

One thread, the owner (the event loop), calls everything. Exceptions: `open` and `close`, as long as nobody
else has the log; `Flush.run`; and `read`, `offset_for_time` and `offset_of_max_timestamp`, which may be
called from any thread, because they may have to wait for the disk. No batch is checked here, neither its
CRC nor its records: the caller has done that.

Kafka's classes: `UnifiedLog`, `LocalLog`.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from ..protocol.batch_header import PLACE
from ..protocol.errors import ErrorCode, KafkaError
from . import shortening
from .appending import LogAppending
from .batches import WouldWait
from .compaction.owner import LogCompaction
from .config import LogConfig
from .deletion import DeletedSegments, Removal, SweepResult
from .durability import Durability
from .file_slice import FileSlice
from .files import FileClosed, Files
from .flush import Flush
from .index import TimestampOffset
from .intake import (
    LAST_OFFSET_DELTA,
    LENGTH,
    MAX_TIMESTAMP,
    PRODUCER_ID,
    Appended,
    HeaderValues,
    produced_batch,
    stamp,
    take_apart,
)
from .leader_epochs import LeaderEpochs
from .log_parts import LogParts
from .producers import Plan, ProducerStates, Remembered, TransactionEnd
from .reading import (
    ReadRequest,
    aborted_between,
    aborted_in,
    first_at_or_after,
    largest_timestamp,
    read,
    search,
    slice_behind,
)
from .recovery import Loaded, Loader, Progress, partition_of
from .recovery_report import RecoveryReport
from .txn_index import AbortedTransaction
from .verification import Verification

__all__ = (
    "AbortedTransaction",
    "Appended",
    "FileSlice",
    "Flush",
    "Log",
    "Removal",
    "SweepResult",
    "TimestampOffset",
    "TransactionEnd",
    "Verification",
    "WouldWait",
)

NO_TIMESTAMP = -1
_appended = partial(tuple.__new__, Appended)  # what `_make` does, without a step through Python


class Log:
    """A partition's records. `Log.open` reads the folder, which exists."""

    __slots__ = (
        "_appending",
        "_compaction",
        "_parts",
        "_segments",
        "cleaned_to",
        "config",
        "directory",
        "leader_epochs",
        "log_end_offset",
        "log_start_offset",
        "partition",
        "producers",
        "recovery",
        "topic",
        "topic_id",
    )

    @classmethod
    def open(
        cls,
        directory: str,
        *,
        files: Files,
        config: LogConfig,
        now_ms: int,
        clean: bool,
        recovery_point: int = 0,
        log_start_offset: int = 0,
        cleaned_to: int | None = None,
        progress: Progress | None = None,
    ) -> Log:
        """Open the log in `directory` (`<topic>-<partition>`, which exists); recover it unless the stop was `clean`.

        `recovery_point`, `log_start_offset` and `cleaned_to` are those of the log directory's checkpoints. OSError where
        the disk fails.
        """
        loaded = Loader(
            files=files,
            directory=directory,
            config=config,
            now_ms=now_ms,
            clean=clean,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            cleaned_to=cleaned_to,
            progress=progress,
        ).load()
        return cls(directory, files, config, loaded, cleaned_to)

    def __init__(
        self,
        directory: str,
        files: Files,
        config: LogConfig,
        loaded: Loaded,
        cleaned_to: int | None,
    ) -> None:
        self.directory = directory
        self.topic, self.partition = partition_of(directory)
        self.topic_id: UUID | None = None  # the log directory's knowledge: it is in `partition.metadata`
        self.config = config
        self.recovery: RecoveryReport = loaded.report
        self.log_start_offset = loaded.log_start_offset
        self.log_end_offset = loaded.segments.active.next_offset
        self.leader_epochs: LeaderEpochs = loaded.epochs
        self.producers: ProducerStates = loaded.producers
        self.cleaned_to = cleaned_to  # where the part begins that compaction has yet to go over; None: it never ran
        self._segments = loaded.segments
        durability = Durability(
            files,
            directory,
            loaded.segments,
            loaded.snapshots,
            loaded.epochs,
            recovery_point=loaded.recovery_point,
            names_changed=loaded.names_unsynced,
        )
        deleted = DeletedSegments(files, directory)
        self._parts = LogParts(files, loaded.segments, loaded.snapshots, durability, deleted)
        self._appending = LogAppending(self, self._parts)
        self._compaction: LogCompaction | None = None

    def __repr__(self) -> str:
        return f"<Log {self.directory} {self.log_start_offset}..{self.log_end_offset}>"

    # --- what it is

    @property
    def size_bytes(self) -> int:
        """The bytes of all segments, indexes not counted."""
        return self._segments.size_bytes

    @property
    def segment_count(self) -> int:
        return len(self._segments)

    @property
    def dirty_bytes(self) -> int:
        """Appended bytes that no sync has covered yet."""
        return self._parts.durability.appended_bytes - self._parts.durability.flushed_bytes

    @property
    def recovery_point(self) -> int:
        """Everything before this offset is on the disk."""
        return self._parts.durability.recovery_point

    @property
    def last_stable_offset(self) -> int:
        """The end of what is decided: no transaction that is open has a record in front of it."""
        first_open = self.producers.first_open_offset
        return self.log_end_offset if first_open is None else max(first_open, self.log_start_offset)

    @property
    def poisoned(self) -> KafkaError | None:
        """Why the log takes no more writes; None while it does."""
        return self._parts.durability.poisoned

    @property
    def compaction(self) -> LogCompaction:
        """The cleaning of this log."""
        if self._compaction is None:
            self._compaction = LogCompaction(self, self._parts)
        return self._compaction

    @property
    def is_being_compacted(self) -> bool:
        """A cleaning is under way: only it takes segments away."""
        return self._compaction is not None and self._compaction.under_way is not None

    def update_config(self, config: LogConfig) -> None:
        """Use other settings from now on."""
        self.config = config

    # --- appending

    def append(
        self,
        batches: memoryview | bytearray,
        *,
        leader_epoch: int,
        now_ms: int,
        verification: Verification | None = None,
    ) -> Appended:
        """Append whole, validated v2 batches; their offsets and leader epochs are written into the buffer.

        `verification` comes with the first batch of a transaction, where its coordinator was asked. Raises KafkaError:
        KAFKA_STORAGE_ERROR (disk full, or poisoned), RECORD_LIST_TOO_LARGE, and what `producers` says of numbered
        batches. Then nothing was appended.
        """
        self._parts.durability.check_writable()
        base_offset = self.log_end_offset
        intake = take_apart(batches, base_offset)
        plan: Plan = {}
        if intake.produced:
            planned = self.producers.plan(intake.produced, verification)
            if isinstance(planned, Remembered):
                return self._answer_duplicate(planned)
            plan = planned
        appending = self._appending
        appending.roll_if_due(len(batches), intake.max_timestamp, intake.last_offset, now_ms)
        stamp(batches, intake, leader_epoch)
        appending.write(batches)
        appending.apply(intake, leader_epoch, plan)
        return Appended(base_offset, intake.last_offset, self.log_start_offset, False, intake.log_append_time)

    def append_one(
        self, batch: memoryview | bytearray, header: HeaderValues, leader_epoch: int, now_ms: int
    ) -> Appended:
        """As `append`, for one batch whose header the caller has just read, and whose timestamps are the producer's.

        What every small request pays for.
        """
        parts, appending = self._parts, self._appending
        if parts.durability.poisoned is not None:
            raise parts.durability.poisoned.again()
        base_offset = self.log_end_offset
        plan: Plan | None = None
        if header[PRODUCER_ID] >= 0:
            planned = self.producers.plan((produced_batch(header, base_offset),))
            if isinstance(planned, Remembered):
                return self._answer_duplicate(planned)
            plan = planned
        last_offset, size_bytes = base_offset + header[LAST_OFFSET_DELTA], len(batch)
        max_timestamp, config, active = header[MAX_TIMESTAMP], self.config, parts.segments.active
        if size_bytes > config.segment_bytes or active.should_roll(
            size_bytes, max_timestamp, last_offset, now_ms, config
        ):
            appending.roll_if_due(size_bytes, max_timestamp, last_offset, now_ms)
            active = parts.segments.active
        PLACE.pack_into(batch, 0, base_offset, header[LENGTH], leader_epoch)
        active.make_room(size_bytes)
        position = active.end[1]
        try:
            active.log.write(batch, position)  # as `Segment.write`
        except OSError as error:
            raise appending.undo_write(error) from error
        if not position or leader_epoch > self.leader_epochs.latest_epoch:
            appending.begin(leader_epoch)
        active.unsynced = True
        try:
            active.appended(base_offset, last_offset, size_bytes, max_timestamp, config.index_interval_bytes)
        except OSError as error:
            appending.index_failed(error)
        parts.durability.appended_bytes += size_bytes
        self.log_end_offset = end_offset = last_offset + 1
        if plan is None:
            self.producers.end_offset = end_offset
        else:
            self.producers.apply(plan, end_offset)
        return _appended((base_offset, last_offset, self.log_start_offset, False, NO_TIMESTAMP))

    def end_transaction(self, end: TransactionEnd, *, leader_epoch: int, now_ms: int) -> Appended:
        """Append the marker that ends a producer's transaction here; one without records gets its marker, too.

        Raises KafkaError as `append`, and INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED. Then nothing changed.
        """
        return self._appending.end_transaction(end, leader_epoch, now_ms)

    def roll(self, now_ms: int) -> None:
        """Begin a new segment at the log's end; nothing when the active one is empty. KafkaError: KAFKA_STORAGE_ERROR."""
        self._appending.roll(now_ms)

    def _answer_duplicate(self, known: Remembered) -> Appended:
        return Appended(known.first_offset, known.last_offset, self.log_start_offset, True, known.timestamp)

    # --- reading

    def read(
        self, offset: int, *, max_bytes: int, min_one_batch: bool = True, end_offset: int | None = None
    ) -> FileSlice | None:
        """Locate records from `offset` on, at most `max_bytes` (any thread; may wait). None when there are none yet.

        The slice begins with the batch that holds `offset` and lies in one segment. It ends in front of the
        batch that holds `end_offset`, and of what is more than `max_bytes` whole batches are located, as far as the index
        knows them; with `min_one_batch` the first one is whole, however large. Raises KafkaError(OFFSET_OUT_OF_RANGE).
        """
        return self._read(offset, end_offset, max_bytes, min_one_batch, wait=True)

    def read_now(
        self, offset: int, *, max_bytes: int, min_one_batch: bool = True, end_offset: int | None = None
    ) -> FileSlice | None:
        """As `read`, but raises WouldWait when the disk would have to be waited for; then `read` in a thread."""
        return self._read(offset, end_offset, max_bytes, min_one_batch, wait=False)

    def read_behind(self, offset: int, max_bytes: int) -> FileSlice | None:
        """All that was appended since a reader stopped at `offset`, if it is known where that was; None: ask `read_now`.

        It is what `read_now` gives, found with few steps.
        """
        return slice_behind(self._segments.active, offset, max_bytes) if offset >= self.log_start_offset else None

    @property
    def has_aborted_at_the_end(self) -> bool:
        """Whether the active segment has the marker of a transaction that was aborted."""
        return self._segments.active.has_aborted

    def _read(
        self, offset: int, end_offset: int | None, max_bytes: int, min_one_batch: bool, *, wait: bool
    ) -> FileSlice | None:
        limit = self.log_end_offset
        if not self.log_start_offset <= offset <= limit:
            raise self._out_of_range(offset)
        if end_offset is not None and end_offset < limit:
            limit = end_offset
        if offset >= limit:
            return None
        request = ReadRequest(offset, limit, max_bytes, min_one_batch, wait)
        segments = self._segments.all
        try:
            return read(self._segments, request)
        except FileClosed as error:  # it went under a reader in another thread
            if self._segments.all is segments:
                raise self._out_of_range(offset) from error
        return self._read(offset, end_offset, max_bytes, min_one_batch, wait=wait)  # where it was, there is another one

    def _out_of_range(self, offset: int) -> KafkaError:
        return KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"Received request for offset {offset} for partition {self.topic}-{self.partition}, but we only have log "
            f"segments from offset {self.log_start_offset} to {self.log_end_offset}.",
        )

    def offset_for_time(self, timestamp_ms: int) -> TimestampOffset | None:
        """The first record that is not older than `timestamp_ms` (any thread; may wait); None when all are."""
        return search(self._segments, lambda each: first_at_or_after(each, timestamp_ms, self.log_start_offset))

    def offset_of_max_timestamp(self) -> TimestampOffset | None:
        """The first record that has the largest timestamp of all (any thread; may wait); None when none has one."""
        largest = search(self._segments, lambda each: largest_timestamp(each, self.log_start_offset)) or NO_TIMESTAMP
        return self.offset_for_time(largest) if largest >= 0 else None

    def aborted_transactions(self, records: FileSlice, offset: int, *, wait: bool = True) -> list[AbortedTransaction]:
        """The aborted transactions that records from `offset` on, located by a read, may belong to, by their markers.

        Perhaps more than those: the end of what was located is known only as well as the index knows it. For the owner; without
        `wait` raises WouldWait when the disk would have to be waited for. Raises KafkaError(OFFSET_OUT_OF_RANGE).
        """
        try:
            return aborted_in(self._segments, records, offset, wait=wait)
        except FileClosed as error:
            raise self._out_of_range(offset) from error

    def aborted_between(self, offset: int, end_offset: int) -> list[AbortedTransaction]:
        """All that have a record or their marker at `offset` or behind it, and begin in front of `end_offset`. May wait."""
        return aborted_between(self._segments.from_offset(offset), offset, end_offset)

    # --- durability

    def begin_flush(self) -> Flush | None:
        """Take note of all that is dirty; None when nothing is, or the log is poisoned. Then run it, then finish it."""
        return self._parts.durability.begin()

    def finish_flush(self, flush: Flush, error: Exception | None = None) -> int:
        """What came of `flush.run`: nothing raised moves the recovery point, an error poisons the log
        (NoRoom does not). Returns how many bytes are on the disk now that were not known to be.
        """
        return self._parts.durability.finish(flush, error)

    def flush(self) -> None:
        """Make everything durable now; waits for the disk. Raises the log's KafkaError when the sync fails."""
        self._parts.durability.run_all()

    # --- getting shorter

    def delete_before(self, offset: int) -> int:
        """Let the log begin at `offset` (DeleteRecords) and return where it begins; `sweep` removes the segments.

        The new start is durable when the owner has written it into the log directory's checkpoint. Raises
        KafkaError(OFFSET_OUT_OF_RANGE) behind the end.
        """
        shortening.delete_before(self, offset)
        return self.log_start_offset

    def sweep(self, now_ms: int) -> SweepResult:
        """As `retire`, and removes the files whose delay is over, which may wait for the disk."""
        return shortening.sweep(self, self._parts, now_ms)

    def retire(self, now_ms: int) -> SweepResult:
        """Apply retention, forget silent producers, mend indexes.

        Raises KafkaError(KAFKA_STORAGE_ERROR) where the disk refuses; the rest is done the next time.
        """
        return shortening.retire(self, self._parts, now_ms)

    def take_removal(self, now_ms: int) -> Removal | None:
        """The files whose delay is over; run it in a thread, and `put_back` what it could not remove. None: there are none."""
        return None if self.poisoned is not None else self._parts.deleted.take_due(now_ms)

    def put_back(self, removal: Removal) -> None:
        """The disk refused: what is left is removed another time."""
        self._parts.deleted.put_back(removal)

    def truncate(self, offset: int) -> None:
        """Drop everything from `offset` on, and the whole batch that holds it. Waits for the disk; durable on return.

        The log directory's checkpoint must not promise more than `offset` by then. KafkaError(KAFKA_STORAGE_ERROR)
        poisons the log: it is not known what is left.
        """
        shortening.truncate(self, self._parts, offset)

    # --- the end

    def close(self) -> None:
        """Make everything durable, indexes and producers too, and let go of the files (any thread).

        After that the log may be opened as clean. Raises the log's KafkaError when something could not be
        made durable or the log was poisoned; the files are let go all the same, and the next opening must
        recover.
        """
        try:
            self._parts.durability.check_writable()
            self._appending.settle()
            self._parts.durability.run_all()
        finally:
            self.release()

    def release(self) -> None:
        """Let go of the files as they are; nothing more is written. For a log that is being deleted, or a failure."""
        for segment in self._segments:
            segment.files.let_go()
        self._parts.deleted.close()

    def check(self) -> None:
        """Prove the invariants; AssertionError names the one that does not hold."""
        segments = self._segments
        segments.check()
        assert segments.first.base_offset <= self.log_start_offset <= self.log_end_offset, self
        assert self.recovery_point <= self.log_end_offset, self.recovery_point
        assert segments.active.next_offset == self.log_end_offset, segments.active
        assert self.producers.end_offset == self.log_end_offset, self.producers.end_offset
        self.producers.check()
        assert self.dirty_bytes >= 0, self.dirty_bytes
