"""A segment's two indexes: offset to position, and timestamp to offset. Sparse, sorted, derived.

    .index      relative offset int32, position int32
                the batch at `position` ends with base offset + relative offset
    .timeindex  timestamp int64, relative offset int32
                no record up to that offset is later than the timestamp

An entry is added about every `index.interval.bytes` of log; offsets and positions grow strictly from entry
to entry, timestamps too. A lookup finds the last entry not beyond what is asked and the log is walked from
there, so a missing entry costs time and nothing else.

**An index is never the truth.** It holds nothing that the log does not; it is not synced with the log and
after a crash it is believed only as far as recovery has checked it. Entries gather in memory and are
written many at a time (`WRITE_AT_ENTRIES`, and when the segment rolls or closes): a system call per batch
would cost more than the batch.

**A zero tail means nothing.** Kafka allocates the active segment's indexes ahead and a crash leaves them
so: the first entry (but one at slot 0) whose numbers are all zero is where an index ends.

Lookups need no index in memory: a binary search over pages of the file, then within one page. One thread
appends; others may look up meanwhile. Kafka's classes: `OffsetIndex`, `TimeIndex`, `AbstractIndex`.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from ..protocol.primitives import INT32, INT64
from .batches import ReadAt, WouldWait
from .files import File

PAGE_ENTRIES = 340  # one read of a lookup: about 4 KiB of either index
WRITE_AT_ENTRIES = 64
KEY, VALUE = 0, 1  # the two parts of an entry; both grow from entry to entry


class OffsetPosition(NamedTuple):
    """The batch that ends with `offset` begins at `position`."""

    offset: int
    position: int


class TimestampOffset(NamedTuple):
    """A timestamp in milliseconds and the offset it belongs to."""

    timestamp: int
    offset: int


class Column(NamedTuple):
    """One part of an entry: how it is read, where it begins, and whether the base offset is to be added."""

    layout: struct.Struct
    place: int
    is_relative: bool


Entry = TypeVar("Entry", bound="tuple[int, ...]")


class SortedEntries(Generic[Entry]):
    """Entries on disk followed by entries that wait to be written. The subclasses know their layout.

    `_written_count` is how many are on disk, -1 until the file was looked at. `_waiting` holds the bytes of
    the rest.
    """

    __slots__ = ("_waiting", "_written_count", "_zero_tail", "base_offset", "file", "last", "unsynced")

    layout: struct.Struct
    columns: tuple[Column, ...]

    def __init__(self, file: File, base_offset: int) -> None:
        self.file = file
        self.base_offset = base_offset
        self.last: Entry | None = None
        self._written_count = -1
        self._waiting = bytearray()
        self._zero_tail = False
        self.unsynced = False

    def _decode(self, data: bytes | bytearray, at: int) -> Entry:
        raise NotImplementedError

    # The life of an index: load, append, write, look up, truncate, close.

    @property
    def entry_count(self) -> int:
        if self._written_count < 0:
            self._load()
        return self._written_count + len(self._waiting) // self.layout.size

    @property
    def size_bytes(self) -> int:
        """Of all entries, written or not."""
        return self.entry_count * self.layout.size

    def last_entry(self) -> Entry | None:
        self._load()
        return self.last

    def is_full(self, max_bytes: int) -> bool:
        """Whether another entry would make it larger than `max_bytes`."""
        if self._written_count < 0:
            self._load()
        return len(self._waiting) + (self._written_count + 1) * self.layout.size > max_bytes

    def write(self) -> None:
        """Put what waits into the file (not synced). OSError leaves it waiting."""
        self._load()
        if self._zero_tail:
            self._cut(self._written_count)
        if self._waiting:
            self.file.write(bytes(self._waiting), self._written_count * self.layout.size)
            self._written_count += len(self._waiting) // self.layout.size
            self._waiting = bytearray()
            self.unsynced = True

    def sync(self) -> None:
        """Have all that was written on the disk (any thread)."""
        if not self.unsynced:
            return
        self.unsynced = False
        try:
            self.file.sync()
        except FileNotFoundError:
            return  # it was taken for unsynced after a crash, and never written since

    def _cut(self, count: int) -> None:
        self.file.truncate(count * self.layout.size)
        self._zero_tail, self.unsynced = False, True

    def entries(self) -> Iterator[Entry]:
        """Every entry, in order."""
        self._load()
        size = self.layout.size
        data = self.file.read(self._written_count * size, 0) if self._written_count else b""
        data = bytes(data) + bytes(self._waiting)
        for at in range(0, len(data) - size + 1, size):
            yield self._decode(data, at)

    def keep_first(self, count: int) -> None:
        """Forget every entry but the first `count`."""
        self._load()
        if count < self._written_count:
            self._cut(count)
            self._written_count = count
        del self._waiting[(count - self._written_count) * self.layout.size :]
        self.last = self._entry(count - 1, self.file.read) if count else None

    def reset(self) -> None:
        """Forget every entry."""
        if self.file.size():
            self._cut(0)
        self._written_count, self.last, self._waiting, self._zero_tail = 0, None, bytearray(), False

    def close(self) -> None:
        self.file.close()

    # Below: how.

    def _append(self, packed: bytes, entry: Entry) -> None:
        self._waiting += packed
        self.last = entry

    @property
    def wants_write(self) -> bool:
        return len(self._waiting) >= WRITE_AT_ENTRIES * self.layout.size

    def _load(self) -> None:
        if self._written_count >= 0:
            return
        size_bytes = self.file.size()
        count = size_bytes // self.layout.size
        last = self._read(self.file.read, count - 1, 1) if count else b""
        if count and not any(last):
            count = self._without_zero_tail(count)
            last = self._read(self.file.read, count - 1, 1) if count else b""
        if count:
            self.last = self._decode(last, 0)
        self._zero_tail = size_bytes != count * self.layout.size
        self._written_count = count  # last: another thread may be looking

    def _without_zero_tail(self, count: int) -> int:
        """Where the zero tail begins, of which the last entry is part."""
        low, high = 1, count  # entries below `low` are real, those from `high` on are zero or absent
        while low < high:
            middle = (low + high) // 2
            if self._is_zero(middle):
                high = middle
            else:
                low = middle + 1
        return low if not (low == 1 and self._is_zero(0)) else 0

    def _is_zero(self, slot: int) -> bool:
        return not any(self._read(self.file.read, slot, 1))

    def _floor(self, limit: int, part: int, read: ReadAt, near: int = 0) -> tuple[int, Entry] | None:
        """The last entry whose `part` is not greater than `limit`, and its slot; the search begins at a slot in front of it."""
        slot, data, count = self._run_around(limit, part, read, near)
        found = self._count_in(data, count, limit, part) - 1
        return (slot + found, self._decode(data, found * self.layout.size)) if found >= 0 else None

    def _entry(self, slot: int, read: ReadAt) -> Entry:
        if slot >= self._written_count:
            return self._decode(self._waiting, (slot - self._written_count) * self.layout.size)
        return self._decode(self._read(read, slot, 1), 0)

    def _count_up_to(self, limit: int, part: int, read: ReadAt) -> int:
        """How many entries have a `part` (an index into the entry; it must grow) that is not greater than `limit`."""
        slot, data, count = self._run_around(limit, part, read)
        return slot + self._count_in(data, count, limit, part)

    def _run_around(self, limit: int, part: int, read: ReadAt, near: int = 0) -> tuple[int, bytes | bytearray, int]:
        """Neighbours, as their first slot, bytes and count, of which those not greater than `limit` are the last such.

        They are as many as one read gets; all in front of `near` are known not to be greater.
        """
        self._load()
        waiting, size = self._waiting, self.layout.size
        if waiting and self._number(waiting, 0, part) <= limit:
            return self._written_count, waiting, len(waiting) // size
        low, high = min(near, self._written_count), self._written_count
        if near and low < high:
            count = min(PAGE_ENTRIES, high - low)
            data = self._read(read, low, count)
            if low + count == high or self._number(data, (count - 1) * size, part) > limit:
                return low, data, count
            low += count - 1
        while high - low > PAGE_ENTRIES:  # the entry at `low` is not greater, unless it is the first
            middle = (low + high) // 2
            if self._number(self._read(read, middle, 1), 0, part) <= limit:
                low = middle
            else:
                high = middle
        return low, self._read(read, low, high - low) if high > low else b"", high - low

    def _count_in(self, data: bytes | bytearray, count: int, limit: int, part: int) -> int:
        number_at, place, base = self._column(part)
        size = self.layout.size
        return bisect_right(range(count), limit - base, key=lambda slot: number_at(data, slot * size + place)[0])

    def _number(self, data: bytes | bytearray, at: int, part: int) -> int:
        """A part of the entry at `at`, as `_decode` has it."""
        number_at, place, base = self._column(part)
        return int(number_at(data, at + place)[0]) + base

    def _column(self, part: int) -> tuple[Callable[[bytes | bytearray, int], tuple[int]], int, int]:
        """What reads a part, where in an entry it is, and what is to be added to it."""
        column = self.columns[part]
        return column.layout.unpack_from, column.place, self.base_offset if column.is_relative else 0

    def _read(self, read: ReadAt, slot: int, count: int) -> bytes | bytearray:
        size = self.layout.size
        data = read(count * size, slot * size)
        if data is None:
            raise WouldWait
        if len(data) < count * size:
            data = bytes(data) + bytes(count * size - len(data))
        return data


class OffsetIndex(SortedEntries[OffsetPosition]):
    """Offset to position."""

    __slots__ = ()

    layout = struct.Struct(">ii")
    columns = Column(INT32, 0, True), Column(INT32, 4, False)

    def append(self, offset: int, position: int) -> None:
        """Note that the batch at `position` ends with `offset`, which is greater than all before."""
        self._append(self.layout.pack(offset - self.base_offset, position), OffsetPosition(offset, position))

    def lookup(self, offset: int, *, wait: bool = True) -> OffsetPosition:
        """Where to begin walking for `offset`: the base offset and 0 when no entry is low enough.

        Without `wait` raises WouldWait when the index is not in the page cache.
        """
        found = self._floor(offset, KEY, self.file.read if wait else self.file.read_now)
        return OffsetPosition(self.base_offset, 0) if found is None else found[1]

    def at_or_behind(self, position: int, *, wait: bool = True) -> OffsetPosition | None:
        """The first entry of a batch at `position` or behind it; None when there is none. WouldWait as `lookup`."""
        read = self.file.read if wait else self.file.read_now
        slot = self._count_up_to(position - 1, VALUE, read)
        return self._entry(slot, read) if slot < self.entry_count else None

    def at_or_before(self, position: int, *, near: int = 0, wait: bool = True) -> tuple[int, OffsetPosition] | None:
        """The last entry of a batch at `position` or in front of it, and its slot; None when there is none.

        It is at the slot `near` or behind it, and found sooner if it is close. WouldWait as `lookup`.
        """
        return self._floor(position, VALUE, self.file.read if wait else self.file.read_now, near)

    def truncate(self, offset: int) -> None:
        """Forget entries of `offset` and beyond."""
        self.keep_first(self._count_up_to(offset - 1, KEY, self.file.read))

    def keep_up_to_position(self, position: int) -> None:
        """Forget entries of batches behind `position`."""
        self.keep_first(self._count_up_to(position, VALUE, self.file.read))

    def _decode(self, data: bytes | bytearray, at: int) -> OffsetPosition:
        relative, position = self.layout.unpack_from(data, at)
        return OffsetPosition(self.base_offset + relative, position)


class TimeIndex(SortedEntries[TimestampOffset]):
    """Timestamp to offset."""

    __slots__ = ()

    layout = struct.Struct(">qi")
    columns = Column(INT64, 0, False), Column(INT32, 8, True)

    def append(self, timestamp: int, offset: int) -> None:
        """Note the largest timestamp so far and its offset; nothing when it is not larger than the last noted."""
        self._load()
        if self.last is None:
            if timestamp < 0:
                return
        elif timestamp <= self.last.timestamp:
            return
        self._append(self.layout.pack(timestamp, offset - self.base_offset), TimestampOffset(timestamp, offset))

    def lookup(self, timestamp: int) -> TimestampOffset | None:
        """The last entry not later than `timestamp`."""
        found = self._floor(timestamp, KEY, self.file.read)
        return None if found is None else found[1]

    def truncate(self, offset: int) -> None:
        """Forget entries of `offset` and beyond."""
        self.keep_first(self._count_up_to(offset - 1, VALUE, self.file.read))

    def is_full(self, max_bytes: int) -> bool:
        # One slot is kept for the last timestamp, which is added when the segment rolls.
        return super().is_full(max_bytes - self.layout.size)

    def _decode(self, data: bytes | bytearray, at: int) -> TimestampOffset:
        timestamp, relative = self.layout.unpack_from(data, at)
        return TimestampOffset(timestamp, self.base_offset + relative)
