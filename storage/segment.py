"""One segment: a run of batches in one file, and what finds them quickly.

    base_offset <= every offset in it < next_offset          size_bytes: where the next batch goes

`next_offset` and `size_bytes` are one value, `end`, so that a reader in another thread sees two that belong
together. The last segment of a log is active and grows; the others never change but for being deleted.

A segment writes what it is given (`write`, one system call) and, when that worked, notes it (`appended`):
counters, index entries, the recent batches. The two are apart so that a failed write leaves the segment as
it was.

The file of an active segment may be longer than `size_bytes`: behind its end are zeros, made at once for many small
appends (`make_room`), for a sync that must note a new length costs half as much again as one that need not. No
reader is led there; the room is given back when the segment ends (`trim`), and what a crash leaves of it is known
by its zeros (`tail`).

Finding an offset costs a bisection in memory near the tail (`recent`), else a lookup in the index and a
walk over about one index interval. The walk checks what the index said: where it does not lead to the batch
it names, the index lies (`index_lies`), the walk begins at the front of the file instead, and the log's
owner builds the index anew.

`locate`, `headers` and `largest_timestamp` may be called from any thread; all else belongs to the log's
owner.  What its files are named, and how they go, is `segment_files`.

Kafka's classes: `LogSegment`, `FileRecords`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..protocol.batch_header import BatchHeader
from .batches import SCAN_CHUNK_BYTES, Located, Place, WouldWait, iter_headers, walk_to
from .config import LogConfig
from .file_slice import FileSlice
from .files import Data, Files, is_disk_full
from .index import OffsetPosition, TimestampOffset
from .names import Mark
from .recent import RecentBatches
from .rolling import RollLimits, roll_limits
from .segment_files import SegmentFiles
from .stops import ReaderStops, Stop
from .txn_index import TransactionIndex

__all__ = ("FileSlice", "Segment")

NO_TIMESTAMP = -1
SMALL_APPEND_BYTES = 64 * 1024
"""Larger appends take so long that a new length is no matter."""
LEAST_AHEAD_BYTES, MOST_AHEAD_BYTES = 16 * 1024, 1024 * 1024
"""How much longer a file is made: as much again as there is, within these bounds."""


class Segment:
    """Batches from `base_offset` on. Making one touches no file; `load_tail` or `rewind` and `note` find
    where it ends.
    """

    __slots__ = (
        "_bytes_since_index",
        "_directory",
        "_files",
        "_first_timestamp",
        "_largest",
        "_length",
        "_limits",
        "_stops",
        "base_offset",
        "created_ms",
        "end",
        "files",
        "index_lies",
        "log",
        "offset_index",
        "recent",
        "time_index",
        "unsynced",
    )

    def __init__(
        self,
        files: Files,
        directory: str,
        base_offset: int,
        *,
        size_bytes: int = 0,
        created_ms: int,
        mark: Mark = Mark.LIVE,
    ) -> None:
        self._files = files
        self._directory = directory
        self.base_offset = base_offset
        self.end: tuple[int, int] = (base_offset, size_bytes)
        self.created_ms = created_ms
        self.unsynced = False
        self.index_lies = False
        self.files = SegmentFiles(files, directory, base_offset, mark)
        self.log = self.files.log
        self.offset_index = self.files.offset_index
        self.time_index = self.files.time_index
        self.recent: RecentBatches | None = None  # made with the first append: most logs are idle
        self._stops: ReaderStops[Stop] | None = None  # made when a reader that is behind is led on
        self._bytes_since_index = 0
        self._first_timestamp: int | None = None
        self._limits: RollLimits | None = None  # forgotten with whatever it was taken from
        self._largest: TimestampOffset | None = None
        self._length = 0  # of the file, where it was made longer

    def __repr__(self) -> str:
        return f"<Segment {self.log.path} to {self.next_offset}, {self.size_bytes} bytes>"

    @property
    def next_offset(self) -> int:
        return self.end[0]

    @property
    def size_bytes(self) -> int:
        return self.end[1]

    @property
    def txn_index(self) -> TransactionIndex:
        """The aborted transactions whose markers are here."""
        return self.files.txn_index

    @property
    def has_aborted(self) -> bool:
        """Whether there are any; the file of a segment that was just opened is looked at."""
        return self.files.txn_index.entry_count > 0

    @property
    def largest_timestamp(self) -> TimestampOffset:
        """The largest timestamp and the last offset of the first batch that has it; -1 for none."""
        if self._largest is None:
            self._largest = self._noted_timestamp() if self.size_bytes else self._no_timestamp()
        return self._largest

    @property
    def age_timestamp(self) -> int:
        """What `retention.ms` counts from: the largest timestamp, or when it was last written if it has none."""
        largest = self.largest_timestamp.timestamp
        if largest >= 0:
            return largest
        return self._files.modified_ms(self.log.path, self.created_ms)

    def _noted_timestamp(self) -> TimestampOffset:
        return self.time_index.last_entry() or self._no_timestamp()

    def _no_timestamp(self) -> TimestampOffset:
        return TimestampOffset(NO_TIMESTAMP, self.base_offset)

    # --- appending

    def create(self) -> None:
        """Put an empty file in place, so that the log's end survives in its name."""
        self.log.truncate(0)

    def write(self, data: Data) -> None:
        """Write batches behind the last one. Nothing else changes; after an OSError call `undo_write`."""
        self.log.write(data, self.end[1])

    def make_room(self, added_bytes: int) -> None:
        """Before a write that many more may follow: have the file long enough for it, if that helps its syncs."""
        end = self.end[1] + added_bytes
        if end > self._length:
            self._lengthen(end, added_bytes)

    def _lengthen(self, end: int, added_bytes: int) -> None:
        self._length = end
        if added_bytes > SMALL_APPEND_BYTES or not self._files.length_costs_sync:
            return
        length = end + min(max(end, LEAST_AHEAD_BYTES), MOST_AHEAD_BYTES)
        try:
            self.log.truncate(length)
        except OSError:
            return  # it is not needed: what is wrong with the disk, the write is told
        self._length = length

    def found_room(self, length: int) -> None:
        """The file was found to be so long, with zeros behind the end."""
        self._length = length

    def trim(self) -> None:
        """Give the room behind the end back: nothing more will be written. OSError."""
        if self._length > self.end[1]:
            self.unsynced = True
            self._cut(self.end[1])

    def undo_write(self) -> None:
        """Cut off what a failed write may have left."""
        self._cut(self.end[1])

    def _cut(self, size_bytes: int) -> None:
        self.log.truncate(size_bytes)
        self._length = size_bytes

    def appended(
        self, base_offset: int, last_offset: int, size_bytes: int, max_timestamp: int, interval_bytes: int
    ) -> None:
        """As `note`, for a batch that was just written: it is kept in mind for readers of the tail."""
        recent = self.recent
        if recent is None:
            recent = self.recent = RecentBatches()
        recent.add(base_offset, self.end[1])
        self.note(last_offset, size_bytes, max_timestamp, interval_bytes)

    def note(self, last_offset: int, size_bytes: int, max_timestamp: int, interval_bytes: int) -> None:
        """Take a batch that is in the file, directly behind the last one, into account.

        OSError: it is, all the same; but its index could not be written, and the disk was not just full.
        """
        position = self.end[1]
        largest = self._largest or self.largest_timestamp
        if not position:
            self._first_timestamp, self._limits = max_timestamp, None
        if max_timestamp > largest.timestamp:
            self._largest = largest = TimestampOffset(max_timestamp, last_offset)
        self.end = (last_offset + 1, position + size_bytes)
        if self._bytes_since_index > interval_bytes:
            self._add_index_entries(last_offset, position, largest)
        self._bytes_since_index += size_bytes

    def _add_index_entries(self, last_offset: int, position: int, largest: TimestampOffset) -> None:
        self.offset_index.append(last_offset, position)
        self.time_index.append(largest.timestamp, largest.offset)
        self._bytes_since_index = 0
        limits = self._limits
        if limits is not None and self._has_full_index(limits.config):
            self._limits = None
        if self.offset_index.wants_write:
            self.try_write_indexes()

    def _has_full_index(self, config: LogConfig) -> bool:
        max_bytes = config.segment_index_bytes
        return self.offset_index.is_full(max_bytes) or self.time_index.is_full(max_bytes)

    def should_roll(
        self, added_bytes: int, max_timestamp: int, last_offset: int, now_ms: int, config: LogConfig
    ) -> bool:
        """Whether batches of `added_bytes` belong into a new segment: size, age, full indexes, offset span."""
        size_bytes = self.end[1]
        if not size_bytes:
            return False
        limits = self._limits
        if limits is None or limits.config is not config:
            limits = self._limits = self._roll_limits(config)
        return (
            size_bytes > config.segment_bytes - added_bytes
            or last_offset > limits.last_offset
            or max_timestamp > limits.timestamp
            or now_ms > limits.now_ms
        )

    def _roll_limits(self, config: LogConfig) -> RollLimits:
        return roll_limits(
            config,
            os.path.basename(self._directory),
            self.base_offset,
            created_ms=self.created_ms,
            first_timestamp=self.first_timestamp(),
            has_full_index=self._has_full_index(config),
        )

    def first_timestamp(self) -> int:
        """The largest timestamp of the first batch, -1 for none (any thread; may wait)."""
        if self._first_timestamp is None:
            first_batch = next(self.headers(0), None)
            self._first_timestamp = first_batch.header.max_timestamp if first_batch else NO_TIMESTAMP
        return self._first_timestamp

    # --- its indexes

    def try_write_indexes(self) -> bool:
        """Put waiting index entries into their files. False: the disk is full, they go on waiting in memory.

        That must not fail what is already done to the log, and nothing is lost: an index is derived.
        """
        try:
            self.time_index.write()  # first: `load_tail` walks from the last entry of the other one
            self.offset_index.write()
        except OSError as error:
            if not is_disk_full(error):
                raise
            return False
        return True

    def complete_indexes(self) -> None:
        """Note the largest timestamp last, and have both files: one that is absent would be built again. OSError."""
        largest = self.largest_timestamp
        self.time_index.append(largest.timestamp, largest.offset)
        for index in (self.time_index, self.offset_index):
            index.write()
            if not self._files.exists(index.file.path):
                index.file.truncate(0)

    def try_complete_indexes(self) -> None:
        """As `complete_indexes`, where the entries may as well wait in memory: on a full disk a log still opens."""
        try:
            self.complete_indexes()
        except OSError as error:
            if not is_disk_full(error):
                raise

    def distrust_disk(self) -> None:
        """Whatever the files show, nothing of them is known to be on the disk."""
        self.unsynced = self.offset_index.unsynced = self.time_index.unsynced = True

    def write_again(self) -> None:
        """Write the log's bytes over themselves and sync them, so that they are on the disk, and not only in memory."""
        for position in range(0, self.size_bytes, SCAN_CHUNK_BYTES):
            size_bytes = min(SCAN_CHUNK_BYTES, self.size_bytes - position)
            self.log.write(self.log.read(size_bytes, position), position)
        self.log.sync()

    def sync_with_indexes(self) -> None:
        """Have all of it on the disk (any thread, when the segment does not grow any more). OSError: the log is not."""
        self.log.sync()
        if self.try_write_indexes():
            self.offset_index.sync()
            self.time_index.sync()

    @property
    def indexes_unsynced(self) -> bool:
        return self.offset_index.unsynced or self.time_index.unsynced or self.files.txn_index_unsynced

    def rewind(self, position: int) -> None:
        """Forget what is known from the batch at `position` on, which begins the file or is named by an index entry.

        The bytes stay; `note` takes them into account again.
        """
        self.recent, self._stops, self._bytes_since_index, self._limits = None, None, 0, None
        if not position:
            self.offset_index.reset()
            self.time_index.reset()
            self.end = (self.base_offset, 0)
            self._first_timestamp = self._largest = None
            self.index_lies = False
            return
        self.offset_index.keep_up_to_position(position)
        entry = self.offset_index.last_entry()
        assert entry is not None
        assert entry.position == position
        before = self.offset_index.lookup(entry.offset - 1)
        self.end = (before.offset + 1 if before.position else self.base_offset, position)
        self.time_index.truncate(entry.offset + 1)
        self._largest = self._noted_timestamp()

    def rebuild_indexes(self, interval_bytes: int) -> None:
        """Build both indexes from the batches' headers, down to the last whole batch."""
        size_bytes = self.size_bytes
        self.rewind(0)
        for _, header in iter_headers(self.log.read, 0, size_bytes):
            self.note_header(header, interval_bytes)
        self.end = (self.next_offset, size_bytes)
        self.try_write_indexes()
        self.unsynced = True

    def note_header(self, header: BatchHeader, interval_bytes: int) -> None:
        """As `note`, from a header that was read."""
        self.note(header.last_offset, header.size_bytes, header.max_timestamp, interval_bytes)

    def load_tail(self) -> int | None:
        """Walk from the last index entries to the end: sets `next_offset` and the largest timestamp.

        Returns where the last whole batch ends; None when the index does not lead there.
        """
        entry = self.offset_index.last_entry() or OffsetPosition(self.base_offset, 0)
        position, next_offset, is_first = entry.position, self.base_offset, True
        self._largest = self._noted_timestamp()
        for place, header in self.headers(position):
            if is_first and entry.position and header.last_offset != entry.offset:
                return None
            if header.max_timestamp > self._largest.timestamp:
                self._largest = TimestampOffset(header.max_timestamp, header.last_offset)
            position, next_offset, is_first = place + header.size_bytes, header.next_offset, False
        if is_first and entry.position:
            return None
        self.end = (next_offset, self.size_bytes)
        return position

    # --- finding (any thread)

    def headers(self, position: int) -> Iterator[Located]:
        """Batches from `position` on, walked in large chunks."""
        return iter_headers(self.log.read, position, self.size_bytes)

    def locate(self, offset: int, *, wait: bool = True) -> Place | None:
        """The batch that holds `offset`, or the first one behind it; None when there is none.

        Without `wait` raises WouldWait instead of waiting for the disk.
        """
        next_offset, end = self.end
        if offset >= next_offset or not end:
            return None
        recent = self.recent
        if recent is not None:
            place = recent.find(offset, end)
            if place is not None:
                return place
        stop = None if wait else self._stop_at(offset)
        if stop is not None:
            return stop.place
        read = self.log.read if wait else self.log.read_now
        if not self.index_lies:
            entry = self.offset_index.lookup(offset, wait=wait)
            found_offset, place = walk_to(read, entry.position, end, offset)
            if not entry.position or found_offset == entry.offset:
                return place
            self.index_lies = True
        return walk_to(read, 0, end, offset)[1]

    def offset_behind(self, position: int, *, wait: bool = True) -> int:
        """An offset that is behind every record in front of `position`, by the index: at most one interval too far.

        Without `wait` raises WouldWait instead of waiting for the disk.
        """
        next_offset, size_bytes = self.end
        if position >= size_bytes or self.index_lies:
            return next_offset
        entry = self.offset_index.at_or_behind(position, wait=wait)
        return next_offset if entry is None else entry.offset

    def whole_batches_before(self, position: int, reader_at: int, *, wait: bool = True) -> int | None:
        """Where a batch begins, at `position` or in front of it by at most one index interval and one batch, by the index.

        `reader_at` is the offset that the reader asked for, who will be back for that batch. None where it is not known, or
        where the disk would have to be waited for.
        """
        if self.index_lies:
            return None
        stop = None if wait else self._stop_at(reader_at)
        try:
            found = self.offset_index.at_or_before(position, near=0 if stop is None else stop.slot, wait=wait)
        except WouldWait:
            return None
        if found is None:
            return None
        slot, entry = found
        if not wait:
            self._note_stop(slot, entry)
        return entry.position

    def _stop_at(self, offset: int) -> Stop | None:
        return None if self._stops is None else self._stops.find(offset)

    def _note_stop(self, slot: int, entry: OffsetPosition) -> None:
        try:
            last_offset, place = walk_to(self.log.read_now, entry.position, self.end[1], entry.offset)
        except WouldWait:
            return
        if place is None or last_offset != entry.offset:
            return
        if self._stops is None:
            self._stops = ReaderStops()
        self._stops.note(place.base_offset, Stop(place, slot))

    # --- getting shorter

    def truncate(self, offset: int) -> None:
        """Drop the batch that holds `offset` and all behind it. After an OSError it is not known what is left."""
        place = self.locate(offset)
        if place is None:
            return
        self.recent = self._stops = None
        self.offset_index.truncate(place.base_offset)
        self.time_index.truncate(place.base_offset)
        self.txn_index.truncate(place.base_offset)
        self._cut(place.position)
        self.end = (place.base_offset, place.position)
        self._bytes_since_index, self._limits = 0, None
        if not place.position:
            self._first_timestamp = None
        if self.load_tail() is None:
            self.index_lies = True
