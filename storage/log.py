"""One partition's log: THE interface of storage.

    log_start_offset <= recovery_point <= log_end_offset         (all are offsets; the end is exclusive)

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
 One thread, the owner (the event loop), calls everything. Two exceptions: `open` and `close`, as long as
nobody else has the log; and `read`, `offset_for_time` and `offset_of_max_timestamp`, which may be called
from any thread when waiting for a cold disk must not hold up the owner. No batch is checked here, neither
its CRC nor its records: that was done by the caller.

Kafka's classes: `UnifiedLog`, `LocalLog`.
"""

from __future__ import annotations

import logging
import os
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple
from uuid import UUID

from ..protocol.batch_header import HEADER, LOG_OVERHEAD, TIMESTAMP_TYPE_BIT, patch_offsets
from ..protocol.errors import ErrorCode, KafkaError
from . import producer_snapshot
from .batches import ReadAt
from .checkpoint import encode_epochs
from .config import LogConfig
from .deletion import DeletedFiles, SweepResult
from .files import Files, is_disk_full
from .flush import Flush
from .index import TimestampOffset
from .leader_epochs import LeaderEpochs
from .names import LEADER_EPOCH_FILE, Kind, file_name
from .producers import Plan, ProducedBatch, ProducerStates, Remembered
from .recovery import Loaded, Loader, Progress, RecoveryReport, partition_of, rebuild_indexes, replay_producers
from .retention import SegmentAge, expired_count
from .search import first_at_or_after
from .segment import FileSlice, IndexLies, Place, Segment

__all__ = ("Appended", "FileSlice", "Flush", "Log", "SweepResult", "TimestampOffset")

NO_TIMESTAMP = -1

_log = logging.getLogger(__name__)


class Appended(NamedTuple):
    """Where an append went; `duplicate`: it was here already, and these are the offsets it was given then."""

    base_offset: int
    last_offset: int
    log_start_offset: int
    duplicate: bool
    log_append_time: int  # milliseconds; -1 unless the log gave the time, or the append is a duplicate


class _Stamped(NamedTuple):
    """A batch of an append with the offsets it gets."""

    position: int
    size_bytes: int
    base_offset: int
    last_offset: int
    max_timestamp: int


@dataclass(slots=True)
class _Intake:
    """An append taken apart: what its batches will be in the log."""

    batches: list[_Stamped]
    produced: list[ProducedBatch]
    max_timestamp: int
    log_append_time: int


class Log:
    """A partition's records. `Log.open` reads the folder, which exists."""

    __slots__ = (
        "_active",
        "_appended_bytes",
        "_bases",
        "_deleted",
        "_files",
        "_flushed_bytes",
        "_flushes",
        "_names_changed",
        "_new_jitter_ms",
        "_new_snapshots",
        "_sealed_unsynced",
        "_segments",
        "_snapshots",
        "config",
        "directory",
        "leader_epochs",
        "log_end_offset",
        "log_start_offset",
        "partition",
        "poisoned",
        "producers",
        "recovery",
        "recovery_point",
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
        random: Random | None = None,
        progress: Progress | None = None,
    ) -> Log:
        """Open the log in `directory` (`<topic>-<partition>`, which exists) and recover it unless the stop
        was `clean`.

        `recovery_point` and `log_start_offset` are those of the log directory's checkpoints. `random`
        spreads segment rolls (`segment.jitter.ms`). May be called in any thread. OSError where the disk
        fails.
        """
        new_jitter_ms = _jitter(config, random)
        loaded = Loader(
            files=files,
            directory=directory,
            config=config,
            now_ms=now_ms,
            clean=clean,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            new_jitter_ms=new_jitter_ms,
            progress=progress,
        ).load()
        return cls(directory, files, config, loaded, new_jitter_ms)

    def __init__(
        self,
        directory: str,
        files: Files,
        config: LogConfig,
        loaded: Loaded,
        new_jitter_ms: Callable[[], int],
    ) -> None:
        self.directory = directory
        self.topic, self.partition = partition_of(directory)
        self.topic_id: UUID | None = None  # the log directory's knowledge: it is in `partition.metadata`
        self.config = config
        self.recovery: RecoveryReport = loaded.report
        self.log_start_offset = loaded.log_start_offset
        self.log_end_offset = loaded.segments[-1].next_offset
        self.recovery_point = loaded.recovery_point
        self.leader_epochs: LeaderEpochs = loaded.epochs
        self.producers: ProducerStates = loaded.producers
        self.poisoned: KafkaError | None = None
        self._files = files
        self._new_jitter_ms = new_jitter_ms
        self._segments = loaded.segments
        self._bases = [segment.base_offset for segment in loaded.segments]
        self._active = loaded.segments[-1]
        self._snapshots = loaded.snapshots
        self._new_snapshots: list[str] = []
        self._sealed_unsynced = [segment for segment in loaded.segments[:-1] if segment.unsynced]
        # After a crash nobody knows which names the disk has.
        self._names_changed = not loaded.report.clean
        self._flushes: list[Flush] = []
        self._appended_bytes = self._flushed_bytes = 0
        self._deleted: DeletedFiles | None = None

    def __repr__(self) -> str:
        return f"<Log {self.directory} {self.log_start_offset}..{self.log_end_offset}>"

    # --- what it is

    @property
    def size_bytes(self) -> int:
        """The bytes of all segments, indexes not counted."""
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def segment_count(self) -> int:
        return len(self._segments)

    @property
    def dirty_bytes(self) -> int:
        """Appended bytes that no sync has covered yet."""
        return self._appended_bytes - self._flushed_bytes

    def update_config(self, config: LogConfig, random: Random | None = None) -> None:
        """Use other settings from now on."""
        self.config = config
        self._new_jitter_ms = _jitter(config, random)

    # --- appending

    def append(self, batches: memoryview | bytearray, *, leader_epoch: int, now_ms: int) -> Appended:
        """Append whole, validated v2 batches; their offsets and leader epochs are written into the buffer.

        Raises KafkaError: KAFKA_STORAGE_ERROR (disk full, or poisoned), RECORD_LIST_TOO_LARGE, and what
        `producers` says of numbered batches. Then nothing was appended.
        """
        if self.poisoned is not None:
            raise self.poisoned
        intake = self._take_apart(batches)
        plan: Plan = {}
        if intake.produced:
            planned = self.producers.plan(intake.produced)
            if isinstance(planned, Remembered):
                return self._answer_duplicate(planned)
            plan = planned
        self._roll_if_due(len(batches), intake, now_ms)
        for batch in intake.batches:
            patch_offsets(batches, batch.position, batch.base_offset, leader_epoch)
        self._write(batches)
        base_offset = self.log_end_offset
        last_offset = self._apply(intake, leader_epoch, plan)
        return Appended(base_offset, last_offset, self.log_start_offset, False, intake.log_append_time)

    def _take_apart(self, batches: memoryview | bytearray) -> _Intake:
        offset, position, end = self.log_end_offset, 0, len(batches)
        intake = _Intake([], [], NO_TIMESTAMP, NO_TIMESTAMP)
        while position < end:
            header = HEADER.unpack_from(batches, position)
            size_bytes, attributes, max_timestamp, producer_id = (
                header[1] + LOG_OVERHEAD,
                header[5],
                header[8],
                header[9],
            )
            last_offset = offset + header[6]
            intake.batches.append(_Stamped(position, size_bytes, offset, last_offset, max_timestamp))
            if producer_id >= 0:
                intake.produced.append(
                    ProducedBatch(producer_id, header[10], header[11], offset, last_offset, max_timestamp, attributes)
                )
            if max_timestamp > intake.max_timestamp:
                intake.max_timestamp = max_timestamp
            if attributes & TIMESTAMP_TYPE_BIT:
                intake.log_append_time = max_timestamp
            position += size_bytes
            offset = last_offset + 1
        assert position == end > 0, "the buffer is not whole batches"
        return intake

    def _answer_duplicate(self, known: Remembered) -> Appended:
        return Appended(known.first_offset, known.last_offset, self.log_start_offset, True, known.timestamp)

    def _roll_if_due(self, size_bytes: int, intake: _Intake, now_ms: int) -> None:
        config = self.config
        if size_bytes > config.segment_bytes:
            raise KafkaError(
                ErrorCode.RECORD_LIST_TOO_LARGE,
                f"Message batch size is {size_bytes} bytes in append to partition {self.topic}-{self.partition}, "
                f"which exceeds the maximum configured segment size of {config.segment_bytes}.",
            )
        if self._active.should_roll(
            size_bytes,
            max_timestamp=intake.max_timestamp,
            last_offset=intake.batches[-1].last_offset,
            now_ms=now_ms,
            config=config,
        ):
            self.roll(now_ms)

    def _write(self, batches: memoryview | bytearray) -> None:
        active = self._active
        try:
            active.write(batches)
        except OSError as error:
            self._undo_write(error)
            raise self._refusal(error) from error

    def _undo_write(self, error: OSError) -> None:
        """The bytes of a failed write that did arrive must not stay: the next append begins where this one
        did.
        """
        try:
            self._active.undo_write()
        except OSError as second:
            self._poison(f"{second} while cutting off a failed append ({error})")
            return
        if not is_disk_full(error):
            self._poison(str(error))

    def _apply(self, intake: _Intake, leader_epoch: int, plan: Plan) -> int:
        active, interval_bytes = self._active, self.config.index_interval_bytes
        if leader_epoch > self.leader_epochs.latest_epoch:
            self.leader_epochs.assign(leader_epoch, self.log_end_offset)
        if not active.size_bytes:
            self._names_changed = True  # the file may be new
        last_offset = self.log_end_offset
        for _, size_bytes, base_offset, last_offset, max_timestamp in intake.batches:
            active.remember(base_offset, active.size_bytes)
            active.note(base_offset, last_offset, size_bytes, max_timestamp, interval_bytes)
            self._appended_bytes += size_bytes
        active.unsynced = True
        self.log_end_offset = last_offset + 1
        self.producers.apply(plan, last_offset + 1)
        return last_offset

    def roll(self, now_ms: int) -> None:
        """Begin a new segment at the log's end; nothing when the active one is empty. KafkaError:
        KAFKA_STORAGE_ERROR.
        """
        if self.poisoned is not None:
            raise self.poisoned
        old = self._active
        if not old.size_bytes:
            return
        new = Segment(
            self._files,
            self.directory,
            self.log_end_offset,
            size_bytes=0,
            next_offset=self.log_end_offset,
            created_ms=now_ms,
            jitter_ms=self._new_jitter_ms(),
        )
        try:
            self._write_snapshot()
            new.create()
        except OSError as error:
            new.close()
            if not is_disk_full(error):
                self._poison(str(error))
            raise self._refusal(error) from error
        old.seal()
        if old.unsynced:
            self._sealed_unsynced.append(old)
        self._replace_segments([*self._segments, new])
        self._names_changed = True

    def _replace_segments(self, segments: list[Segment]) -> None:
        # New lists, not changed ones: a reader in another thread has hold of the old.
        self._segments = segments
        self._bases = [segment.base_offset for segment in segments]
        self._active = segments[-1]

    def _write_snapshot(self) -> None:
        """Save the producers' states as of the log's end, so that recovery need not begin further back."""
        offset = self.log_end_offset
        if self._snapshots and self._snapshots[-1] == offset:
            return
        path = os.path.join(self.directory, file_name(offset, Kind.SNAPSHOT))
        file = self._files.open(path)
        try:
            file.truncate(0)
            file.write(producer_snapshot.encode(self.producers), 0)
        finally:
            file.close()
        self._snapshots.append(offset)
        self._new_snapshots.append(path)

    def _refusal(self, error: OSError) -> KafkaError:
        return self.poisoned or KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self.directory}: {error}")

    def _poison(self, reason: str) -> None:
        if self.poisoned is None:
            self.poisoned = KafkaError(
                ErrorCode.KAFKA_STORAGE_ERROR, f"{self.directory} takes no more writes: {reason}"
            )
            _log.error("%s", self.poisoned.message)

    # --- reading

    def read(
        self, offset: int, *, max_bytes: int, min_one_batch: bool = True, end_offset: int | None = None
    ) -> FileSlice | None:
        """Locate records from `offset` on, at most `max_bytes` (any thread). None when there are none yet.

        The slice begins with the batch that holds `offset` and lies in one segment. It ends in front of the
        batch that holds `end_offset` and may end inside a batch; with `min_one_batch` the first one is
        whole, however large. Raises KafkaError(OFFSET_OUT_OF_RANGE).
        """
        limit = self.log_end_offset if end_offset is None else min(end_offset, self.log_end_offset)
        if offset < self.log_start_offset or offset > self.log_end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"Received request for offset {offset} for partition {self.topic}-{self.partition}, but we only have "
                f"log segments from offset {self.log_start_offset} to {self.log_end_offset}.",
            )
        if offset >= limit:
            return None
        segments = self._segments
        slot = max(bisect_right(self._bases, offset) - 1, 0)
        for segment in segments[slot:]:
            found = self._read_segment(segment, offset, limit, max_bytes, min_one_batch)
            if found is not None:
                return found
        return None

    def _read_segment(
        self, segment: Segment, offset: int, limit: int, max_bytes: int, min_one_batch: bool
    ) -> FileSlice | None:
        to_the_end = limit >= segment.next_offset
        position = segment.position_after_read(offset)
        first_bytes, base_offset = 0, offset
        if position is None or not to_the_end or segment.size_bytes - position > max_bytes:
            place = self._locate(segment, offset)
            if place is None or place.base_offset >= limit:
                return None
            position, base_offset, first_bytes = place
        end = segment.size_bytes if to_the_end else self._position_of(segment, limit)
        size_bytes = min(end - position, max(max_bytes, first_bytes if min_one_batch else 0))
        if size_bytes <= 0:
            return None
        if to_the_end and segment is self._active and position + size_bytes == end:
            segment.remember_read_end()
        return FileSlice(segment.log, position, size_bytes, base_offset)

    def _position_of(self, segment: Segment, offset: int) -> int:
        place = self._locate(segment, offset)
        return segment.size_bytes if place is None else place.position

    def _locate(self, segment: Segment, offset: int, read: ReadAt | None = None) -> Place | None:
        try:
            return segment.locate(offset, read)
        except IndexLies as lie:
            _log.warning("%s: rebuilding the indexes", lie)
        rebuild_indexes(segment, self.config.index_interval_bytes)
        return segment.locate(offset, read)

    def offset_for_time(self, timestamp_ms: int) -> TimestampOffset | None:
        """The first record that is not older than `timestamp_ms` (any thread); None when all are."""
        for segment in self._segments:
            if segment.largest_timestamp.timestamp >= timestamp_ms:
                found = first_at_or_after(segment, timestamp_ms, self.log_start_offset)
                if found is not None:
                    return found
        return None

    def offset_of_max_timestamp(self) -> TimestampOffset | None:
        """The first record that has the largest timestamp of all (any thread); None when no record has
        one.
        """
        largest = max(segment.largest_timestamp.timestamp for segment in self._segments)
        return self.offset_for_time(largest) if largest >= 0 else None

    # --- durability

    def begin_flush(self) -> Flush | None:
        """Take note of all that is dirty; None when nothing is, or the log is poisoned. Then run it, then
        finish it.
        """
        active = self._active
        epochs_dirty = self.leader_epochs.dirty
        if self.poisoned is not None:
            return None
        if not (active.unsynced or self._sealed_unsynced or self._names_changed or epochs_dirty):
            return None
        flush = Flush(self.log_end_offset, self._appended_bytes, self._files, self.directory)
        flush.sealed, self._sealed_unsynced = self._sealed_unsynced, []
        flush.active = active if active.unsynced else None
        flush.snapshots = [self._files.open(path) for path in self._new_snapshots]
        flush.names = self._names_changed
        if epochs_dirty:
            path = os.path.join(self.directory, LEADER_EPOCH_FILE)
            flush.epochs = (path, encode_epochs(self.leader_epochs.entries))
        for segment in flush.sealed:
            segment.unsynced = False
        active.unsynced = self._names_changed = self.leader_epochs.dirty = False
        self._new_snapshots = []
        self._flushes.append(flush)
        return flush

    def finish_flush(self, flush: Flush, error: Exception | None = None) -> None:
        """What `flush.run` did: nothing raised moves the recovery point, an error poisons the log."""
        self._flushes.remove(flush)
        if error is not None:
            self._poison(f"sync failed: {error}")
            return
        self.recovery_point = max(self.recovery_point, min(flush.end_offset, self.log_end_offset))
        self._flushed_bytes = max(self._flushed_bytes, flush.appended_bytes)

    def flush(self) -> None:
        """Make everything durable now; waits for the disk. Raises the log's KafkaError when the sync
        fails.
        """
        flush = self.begin_flush()
        if flush is None:
            return
        try:
            flush.run()
        except OSError as error:
            self.finish_flush(flush, error)
            assert self.poisoned is not None
            raise self.poisoned from error
        self.finish_flush(flush)

    # --- getting shorter

    def delete_before(self, offset: int) -> int:
        """Let the log begin at `offset` (DeleteRecords) and return where it begins; `sweep` removes the
        segments.

        The new start is durable when the owner has written it into the log directory's checkpoint. Raises
        KafkaError(OFFSET_OUT_OF_RANGE) behind the end.
        """
        if offset > self.log_end_offset:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"Cannot increment the log start offset to {offset} of partition {self.topic}-{self.partition} since "
                f"it is larger than the high watermark {self.log_end_offset}",
            )
        if offset > self.log_start_offset:
            self.log_start_offset = offset
            self.leader_epochs.truncate_start(offset)
            self.recovery_point = max(self.recovery_point, offset)
        return self.log_start_offset

    def sweep(self, now_ms: int) -> SweepResult:
        """Apply retention, remove files whose delay is over, forget silent producers.

        KafkaError(KAFKA_STORAGE_ERROR) when a new segment was needed and could not be made.
        """
        expired = 0
        if self.poisoned is None:
            expired = expired_count(
                self._ages(), config=self.config, log_start_offset=self.log_start_offset, now_ms=now_ms
            )
        freed_bytes = sum(segment.size_bytes for segment in self._segments[:expired])
        if expired:
            self._delete_segments(expired, now_ms)
        forgotten = self.producers.expire(now_ms, self.config.producer_id_expiration_ms)
        removed = self._deleted.remove_due(now_ms) if self._deleted is not None else 0
        return SweepResult(expired, freed_bytes, removed, forgotten)

    def _ages(self) -> list[SegmentAge]:
        return [
            SegmentAge(segment.base_offset, segment.next_offset, segment.size_bytes, segment.age_timestamp)
            for segment in self._segments
        ]

    def _delete_segments(self, count: int, now_ms: int) -> None:
        if count == len(self._segments):
            self.roll(now_ms)
            # The old names may go only when the new one is sure to stay: the log's end is in it.
            self._files.sync_directory(self.directory)
        gone, kept = self._segments[:count], self._segments[count:]
        self._replace_segments(kept)
        self.log_start_offset = max(self.log_start_offset, kept[0].base_offset)
        self.recovery_point = max(self.recovery_point, self.log_start_offset)
        self.leader_epochs.truncate_start(self.log_start_offset)
        self._sealed_unsynced = [segment for segment in self._sealed_unsynced if segment not in gone]
        if self._deleted is None:
            self._deleted = DeletedFiles(self._files)
        for segment in gone:
            self._deleted.add(segment, now_ms + self.config.file_delete_delay_ms)
        self._drop_snapshots(lambda offset: offset < kept[0].base_offset)
        self._names_changed = True

    def truncate(self, offset: int) -> None:
        """Drop everything from `offset` on, and the whole batch that holds it. Waits for the disk; durable
        on return.

        KafkaError(KAFKA_STORAGE_ERROR) poisons the log: it is not known what is left.
        """
        if offset >= self.log_end_offset:
            return
        try:
            self._truncate(max(offset, self._bases[0]))
        except OSError as error:
            self._poison(f"truncating to {offset} failed: {error}")
            raise self._refusal(error) from error

    def _truncate(self, offset: int) -> None:
        keep = max(bisect_right(self._bases, offset), 1)
        for segment in reversed(self._segments[keep:]):
            segment.deleted = True
            segment.remove_files()
        kept = self._segments[:keep]
        active = kept[-1]
        active.truncate(offset)
        self._replace_segments(kept)
        self.log_end_offset = active.next_offset
        self.log_start_offset = min(self.log_start_offset, self.log_end_offset)
        self.recovery_point = min(self.recovery_point, self.log_end_offset)
        self._sealed_unsynced = [segment for segment in self._sealed_unsynced if segment in kept[:-1]]
        self.leader_epochs.truncate_end(self.log_end_offset)
        self._drop_snapshots(lambda snapshot: snapshot > self.log_end_offset)
        self._rebuild_producers()
        for flush in self._flushes:
            flush.cut(self.log_end_offset)
        active.log.sync()
        self._files.sync_directory(self.directory)

    def _rebuild_producers(self) -> None:
        end_offset = self.log_end_offset
        self.producers.clear(self._bases[0])
        if self._snapshots:
            path = os.path.join(self.directory, file_name(self._snapshots[-1], Kind.SNAPSHOT))
            for producer_id, producer in producer_snapshot.decode(self._files.read_bytes(path)):
                self.producers.restore(producer_id, producer)
            self.producers.end_offset = self._snapshots[-1]
        replay_producers(self._segments, self.producers, end_offset)
        self.producers.end_offset = end_offset

    def _drop_snapshots(self, goes: Callable[[int], bool]) -> None:
        for offset in [offset for offset in self._snapshots if goes(offset)]:
            path = os.path.join(self.directory, file_name(offset, Kind.SNAPSHOT))
            self._files.remove(path)
            self._snapshots.remove(offset)
            if path in self._new_snapshots:
                self._new_snapshots.remove(path)

    # --- the end

    def close(self) -> None:
        """Make everything durable, indexes and producers too, and let go of the files (any thread).

        After that the log may be opened as clean. Raises the log's KafkaError when the last sync fails or
        it was poisoned before; the files are let go all the same.
        """
        try:
            if self.poisoned is not None:
                raise self.poisoned
            self._settle()
        finally:
            self.release()

    def _settle(self) -> None:
        if len(self.producers) or self._snapshots:
            self._write_snapshot()
        active = self._active
        if active.unsynced or self._appended_bytes:
            active.seal()
            self._sealed_unsynced.append(active)
            self._names_changed = True
        self.flush()

    def release(self) -> None:
        """Let go of the files as they are; nothing more is written. For a topic that is being deleted, or a
        crash.
        """
        for segment in self._segments:
            segment.deleted = True
            segment.close()
        if self._deleted is not None:
            self._deleted.close()

    def check(self) -> None:
        """Prove the invariants; AssertionError names the one that does not hold."""
        assert self._bases == sorted(set(self._bases)), self._bases
        assert self._bases[0] <= self.log_start_offset <= self.log_end_offset
        assert self.recovery_point <= self.log_end_offset
        assert self._active is self._segments[-1]
        assert self._active.next_offset == self.log_end_offset
        assert self.producers.end_offset <= self.log_end_offset
        for segment, following in zip(self._segments, self._bases[1:], strict=False):
            assert segment.next_offset <= following, (segment.next_offset, following)


def _jitter(config: LogConfig, random: Random | None) -> Callable[[], int]:
    limit_ms = min(config.segment_jitter_ms, config.segment_ms)
    if random is None or limit_ms <= 0:
        return _no_jitter
    return lambda: random.randrange(limit_ms)


def _no_jitter() -> int:
    return 0
