"""One segment: a run of batches in one file, and what finds them quickly.

    base_offset <= every offset in it < next_offset          size_bytes: where the next batch goes
    ...one segment of a log, the last, is active and grows; the others never change but for being deleted.
 A segment writes what it is given (`write`, one system call) and, when that worked, notes it (`note`):
counters, index entries, the recent batches. The two are apart so that a failed write leaves the segment as
it was.
 Finding an offset costs, in this order: nothing (a reader that reached the end comes back: `_read_ends`), a
bisection in memory (the recent batches of the active segment), or a lookup in the index and a walk over
about one index interval. The walk checks what the index said: a batch that does not cover its entry is an
index that lies, `IndexLies`, and the log rebuilds it.
 `locate` and everything it uses may be called from any thread, all else belongs to the log's owner. That is
why the recent batches are a pair of arrays that are only appended to, and replaced as a pair.

Kafka's classes: `LogSegment`, `FileRecords`.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..protocol.batch_header import BatchHeader
from ..protocol.errors import ErrorCode, KafkaError
from .batches import LOOKUP_CHUNK_BYTES, Located, ReadAt, iter_headers
from .config import LogConfig
from .files import Data, File, FileClosed, Files
from .index import OffsetIndex, TimeIndex, TimestampOffset
from .names import Kind, Mark, file_name

MAX_RELATIVE_OFFSET = 2**31 - 1
RECENT_BATCHES = 128  # at least so many are remembered, at most twice that: 2 arrays of 8 bytes each
READ_ENDS = 16  # readers at the tail of one partition that come back to where they stopped
NO_TIMESTAMP = -1


class IndexLies(Exception):
    """An index entry does not lead to the batch it names; the log's file is the truth, the index must be
    rebuilt.
    """


class Place(NamedTuple):
    """A batch in the segment's file."""

    position: int
    base_offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes of a log on their way to a reader: located, not read. Begins with a whole batch, may end inside
    one.

    Stays good while the segment is being deleted, until its file is removed; after that reading says
    OFFSET_OUT_OF_RANGE.
    """

    file: File
    position: int
    size_bytes: int
    base_offset: int  # of the first batch; at most the offset that was asked for

    def read_now(self) -> bytes | bytearray | None:
        """All the bytes, or None when the disk would have to be waited for."""
        try:
            data = self.file.read_now(self.size_bytes, self.position)
        except FileClosed as error:
            raise _gone(self) from error
        if data is not None and len(data) != self.size_bytes:
            raise _gone(self)
        return data

    def read(self) -> bytes:
        """All the bytes; may wait for the disk (any thread)."""
        try:
            data = self.file.read(self.size_bytes, self.position)
        except FileClosed as error:
            raise _gone(self) from error
        if len(data) != self.size_bytes:
            raise _gone(self)
        return data

    def split(self, size_bytes: int) -> tuple[FileSlice, FileSlice]:
        """The first `size_bytes` and the rest. The rest does not begin with a batch, its base offset means
        nothing.
        """
        first = FileSlice(self.file, self.position, size_bytes, self.base_offset)
        rest = FileSlice(self.file, self.position + size_bytes, self.size_bytes - size_bytes, self.base_offset)
        return first, rest


def _gone(piece: FileSlice) -> KafkaError:
    return KafkaError(
        ErrorCode.OFFSET_OUT_OF_RANGE, f"the records from offset {piece.base_offset} on were deleted meanwhile"
    )


class Segment:
    """Batches from `base_offset` on. Opened by `Segment(...)`, which touches no file; `load_tail` finds
    where it ends.
    """

    __slots__ = (
        "_bytes_since_index",
        "_directory",
        "_files",
        "_first_timestamp",
        "_largest",
        "_offset_index",
        "_read_ends",
        "_recent",
        "_time_index",
        "base_offset",
        "created_ms",
        "deleted",
        "jitter_ms",
        "log",
        "next_offset",
        "size_bytes",
        "unsynced",
    )

    def __init__(
        self,
        files: Files,
        directory: str,
        base_offset: int,
        *,
        size_bytes: int,
        next_offset: int,
        created_ms: int,
        jitter_ms: int = 0,
    ) -> None:
        self._files = files
        self._directory = directory
        self.base_offset = base_offset
        self.next_offset = next_offset
        self.size_bytes = size_bytes
        self.created_ms = created_ms
        self.jitter_ms = jitter_ms
        self.unsynced = False
        self.deleted = False
        self.log = files.open(self.path(Kind.LOG))
        self._offset_index: OffsetIndex | None = None
        self._time_index: TimeIndex | None = None
        self._bytes_since_index = 0
        self._first_timestamp: int | None = None
        self._largest: TimestampOffset | None = None if size_bytes else TimestampOffset(-1, base_offset)
        self._recent: tuple[array[int], array[int]] | None = None
        self._read_ends: dict[int, int] = {}

    def path(self, kind: Kind, mark: Mark = Mark.LIVE) -> str:
        return os.path.join(self._directory, file_name(self.base_offset, kind, mark))

    @property
    def offset_index(self) -> OffsetIndex:
        if self._offset_index is None:
            self._offset_index = OffsetIndex(self._files.open(self.path(Kind.OFFSET_INDEX)), self.base_offset)
        return self._offset_index

    @property
    def time_index(self) -> TimeIndex:
        if self._time_index is None:
            self._time_index = TimeIndex(self._files.open(self.path(Kind.TIME_INDEX)), self.base_offset)
        return self._time_index

    @property
    def largest_timestamp(self) -> TimestampOffset:
        """The largest timestamp in the segment and the last offset of the first batch that has it; -1 for
        none.
        """
        if self._largest is None:
            self._largest = self.time_index.last_entry() or TimestampOffset(NO_TIMESTAMP, self.base_offset)
        return self._largest

    @property
    def first_timestamp(self) -> int:
        """The largest timestamp of the first batch, from which `segment.ms` counts; -1 for none."""
        if self._first_timestamp is None:
            first = next(self.headers(0), None)
            self._first_timestamp = first.header.max_timestamp if first else None
        return NO_TIMESTAMP if self._first_timestamp is None else self._first_timestamp

    # --- appending

    def create(self) -> None:
        """Put an empty file in place, so that the log's end survives in its name."""
        self.log.truncate(0)

    def write(self, data: Data) -> None:
        """Write batches behind the last one. Nothing else changes; after an OSError call `undo_write`."""
        self.log.write(data, self.size_bytes)

    def undo_write(self) -> None:
        """Cut off what a failed write may have left."""
        self.log.truncate(self.size_bytes)

    def note(
        self, base_offset: int, last_offset: int, size_bytes: int, max_timestamp: int, interval_bytes: int
    ) -> None:
        """Take a batch that is in the file, directly behind the last one, into account."""
        position = self.size_bytes
        largest = self._largest if self._largest is not None else self.largest_timestamp
        if not position:
            self._first_timestamp = max_timestamp
        if max_timestamp > largest.timestamp:
            self._largest = largest = TimestampOffset(max_timestamp, last_offset)
        if self._bytes_since_index > interval_bytes:
            self._add_index_entries(last_offset, position, largest)
        self._bytes_since_index += size_bytes
        self.size_bytes = position + size_bytes
        self.next_offset = last_offset + 1

    def remember(self, base_offset: int, position: int) -> None:
        """Keep a batch just appended among the recent ones. Called in the order of the log, for each or for
        none.
        """
        recent = self._recent
        if recent is None:
            recent = self._recent = (array("q"), array("q"))
        offsets, positions = recent
        if len(offsets) >= 2 * RECENT_BATCHES:
            offsets, positions = self._recent = (offsets[RECENT_BATCHES:], positions[RECENT_BATCHES:])
        positions.append(position)
        offsets.append(base_offset)  # last: a reader in another thread bisects the offsets

    def _add_index_entries(self, last_offset: int, position: int, largest: TimestampOffset) -> None:
        self.offset_index.append(last_offset, position)
        self.time_index.append(largest.timestamp, largest.offset)
        self._bytes_since_index = 0
        if self.offset_index.wants_write:
            self.write_indexes()

    def write_indexes(self) -> bool:
        """Try to put waiting index entries into their files. False: they go on waiting, in memory.

        A full disk must not fail an append whose bytes are already written; nothing is lost, an index is
        derived.
        """
        try:
            if self._offset_index is not None:
                self._offset_index.write()
            if self._time_index is not None:
                self._time_index.write()
        except OSError:
            return False
        return True

    def should_roll(
        self, added_bytes: int, *, max_timestamp: int, last_offset: int, now_ms: int, config: LogConfig
    ) -> bool:
        """Whether batches of `added_bytes` belong into a new segment: size, age, full indexes, offset
        span.
        """
        size_bytes = self.size_bytes
        if not size_bytes:
            return False
        if size_bytes > config.segment_bytes - added_bytes or last_offset - self.base_offset > MAX_RELATIVE_OFFSET:
            return True
        if self._age_ms(max_timestamp, now_ms) > config.segment_ms - self.jitter_ms:
            return True
        index = self._offset_index
        return index is not None and (
            index.is_full(config.segment_index_bytes) or self.time_index.is_full(config.segment_index_bytes)
        )

    def _age_ms(self, max_timestamp: int, now_ms: int) -> int:
        first = self._first_timestamp if self._first_timestamp is not None else self.first_timestamp
        return max_timestamp - first if first >= 0 else now_ms - self.created_ms

    def seal(self) -> None:
        """Complete the indexes: the segment is no longer active, or is being closed."""
        if self.size_bytes:
            self.complete_indexes()
        self._recent = None
        self._read_ends = {}

    def complete_indexes(self) -> None:
        """Add the largest timestamp and have both index files; best effort, as `write_indexes` is."""
        largest = self.largest_timestamp
        self.time_index.append(largest.timestamp, largest.offset)
        try:
            self.offset_index.ensure_file()
            self.time_index.ensure_file()
        except OSError:
            return  # absent or short: the next opening builds them again
        self.write_indexes()

    # --- finding (any thread)

    def headers(self, position: int, *, read: ReadAt | None = None, end: int | None = None) -> Iterator[Located]:
        """Batches from `position` on, walked in large chunks."""
        return iter_headers(read or self.log.read, position, self.size_bytes if end is None else end)

    def locate(self, offset: int, read: ReadAt | None = None) -> Place | None:
        """The batch that holds `offset`, or the first one behind it; None when there is none.

        With `read=log.read_now` raises WouldWait instead of waiting. Raises IndexLies.
        """
        recent = self._recent
        if recent is not None:
            found = self._locate_recent(recent, offset)
            if found is not None:
                return found
        return self._walk_to(offset, read)

    def position_after_read(self, offset: int) -> int | None:
        """Where `offset` is, when a reader stopped there."""
        return self._read_ends.get(offset)

    def remember_read_end(self) -> None:
        """A reader got everything; it will come back for `next_offset`."""
        ends = self._read_ends
        if self.next_offset not in ends:
            if len(ends) >= READ_ENDS:
                del ends[next(iter(ends))]
            ends[self.next_offset] = self.size_bytes

    def _locate_recent(self, recent: tuple[array[int], array[int]], offset: int) -> Place | None:
        offsets, positions = recent
        slot = bisect_right(offsets, offset) - 1
        if slot < 0 or offset >= self.next_offset:
            return None
        following = positions[slot + 1] if slot + 1 < len(positions) else self.size_bytes
        return Place(positions[slot], offsets[slot], following - positions[slot])

    def _walk_to(self, offset: int, read: ReadAt | None) -> Place | None:
        end = self.size_bytes
        if offset >= self.next_offset or not end:
            return None
        index_read = None
        if read is not None:
            index_read = self.offset_index.file.read_now
        entry = self.offset_index.lookup(offset, index_read)
        walk = iter_headers(read or self.log.read, entry.position, end, chunk_bytes=LOOKUP_CHUNK_BYTES)
        first = next(walk, None)
        if first is None or (entry.position and first.header.last_offset != entry.offset):
            raise IndexLies(f"{self.offset_index.file.path} leads offset {entry.offset} to {entry.position}")
        batch = first
        while batch.header.last_offset < offset:
            following = next(walk, None)
            if following is None:
                return None
            batch = following
        return Place(batch.position, batch.header.base_offset, batch.header.size_bytes)

    # --- leaving

    def truncate(self, offset: int) -> None:
        """Drop the batch that holds `offset` and all behind it. OSError leaves nothing promised but the
        order of cuts.
        """
        place = self.locate(offset)
        if place is None:
            return
        self.offset_index.truncate(place.base_offset)
        self.time_index.truncate(place.base_offset)
        self.log.truncate(place.position)
        self.size_bytes = place.position
        self._recent, self._read_ends, self._bytes_since_index = None, {}, 0
        self._first_timestamp = self._first_timestamp if place.position else None
        self._largest = None
        self.reload_tail()

    def rewind(self, position: int) -> None:
        """Forget what is known from the batch at `position` on, which begins the file or is named by an
        index entry.

        The bytes stay; `note` takes them into account again.
        """
        self._recent, self._read_ends, self._bytes_since_index = None, {}, 0
        self.size_bytes = position
        if not position:
            self.offset_index.reset()
            self.time_index.reset()
            self.next_offset, self._first_timestamp = self.base_offset, None
            self._largest = TimestampOffset(NO_TIMESTAMP, self.base_offset)
            return
        self.offset_index.keep_up_to_position(position)
        entry = self.offset_index.last_entry()
        assert entry is not None
        assert entry.position == position
        self.time_index.truncate(entry.offset + 1)
        before = self.offset_index.lookup(entry.offset - 1)
        self.next_offset = before.offset + 1 if before.position else self.base_offset
        self._largest = self.time_index.last_entry() or TimestampOffset(NO_TIMESTAMP, self.base_offset)

    def reload_tail(self) -> int:
        """Walk from the last index entry to the end: sets `next_offset` and the largest timestamp.

        Returns where the last whole batch ends. Raises IndexLies.
        """
        entry = self.offset_index.last_entry()
        position = entry.position if entry else 0
        self._largest = self.time_index.last_entry() or TimestampOffset(NO_TIMESTAMP, self.base_offset)
        self.next_offset = self.base_offset
        first = True
        for place, header in self.headers(position):
            if first and entry is not None and header.last_offset != entry.offset:
                raise IndexLies(f"{self.offset_index.file.path} ends with offset {entry.offset} at {position}")
            first = False
            self._note_tail(header)
            position = place + header.size_bytes
        if first and entry is not None:
            raise IndexLies(f"{self.offset_index.file.path} points behind the log, to {entry.position}")
        return position

    def _note_tail(self, header: BatchHeader) -> None:
        assert self._largest is not None
        if header.max_timestamp > self._largest.timestamp:
            self._largest = TimestampOffset(header.max_timestamp, header.last_offset)
        self.next_offset = header.next_offset

    @property
    def age_timestamp(self) -> int:
        """What `retention.ms` counts from: the largest timestamp, or when it was last written if it has
        none.
        """
        largest = self.largest_timestamp.timestamp
        return largest if largest >= 0 else self._files.modified_ms(self.log.path, self.created_ms)

    def mark_deleted(self) -> None:
        """Rename all files so that the next opening does not take them for the log's. Readers go on."""
        for index in (self._offset_index, self._time_index):
            if index is not None:
                index.close()
        self._offset_index = self._time_index = None
        if self._files.exists(self.log.path):
            self.log.rename(self.path(Kind.LOG, Mark.DELETED))
        for kind in (Kind.OFFSET_INDEX, Kind.TIME_INDEX, Kind.TXN_INDEX):
            if self._files.exists(self.path(kind)):
                self._files.rename(self.path(kind), self.path(kind, Mark.DELETED))

    def remove_files(self) -> None:
        """Close and remove all files now, the log's last."""
        self.close()
        for kind in (Kind.OFFSET_INDEX, Kind.TIME_INDEX, Kind.TXN_INDEX, Kind.LOG):
            self._files.remove(self.path(kind))

    def sync_all(self) -> None:
        """Sync the log and its indexes (any thread)."""
        self.log.sync()
        for index in (self._offset_index, self._time_index):
            if index is not None:
                index.file.sync()

    def close(self) -> None:
        self.log.close()
        for index in (self._offset_index, self._time_index):
            if index is not None:
                index.close()
        self._offset_index = self._time_index = None
