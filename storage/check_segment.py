"""Whether one segment's files are sound and agree: the log with itself, its indexes with the log.

One walk over the log proves each batch (header, offsets that grow, checksum) and carries both indexes along, entry by
entry, for all three are sorted by offset:

    .index      an entry names the position where a batch begins, and that batch's last offset
    .timeindex  an entry names the largest timestamp of all batches up to its offset; the last one, in a segment
                that is not the active one, the largest of the segment

Memory is a chunk and one index, whatever the size of the log. A batch whose checksum is wrong is reported and stepped
over; a header that makes no sense ends the walk, for there is no telling where the next batch begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Generic, TypeVar

from ..protocol.batch_header import BatchHeader
from ..protocol.errors import MalformedMessage
from ..protocol.record_reader import iter_records
from ..protocol.values import dataclass
from .batches import Fault, Located, header_fault, is_room, iter_checked
from .files import File
from .index import OffsetPosition, TimestampOffset

MAX_DECOMPRESSED_BYTES = 1024 * 1024 * 1024
NO_TIMESTAMP = -1

Progress = Callable[[int], None]
"""Told how many more bytes were read."""


class Severity(Enum):
    """What a finding means for the one who owns the data."""

    DAMAGE = "damage"  # records are lost, or would be served wrong
    REPAIRABLE = "repairable"  # recovery puts it right at the next start: nothing acknowledged is touched
    NOTE = "note"  # right or wrong, which cannot be told from the files


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: in which file, at which byte (None: all of it), and what."""

    path: str
    position: int | None
    what: str
    severity: Severity


@dataclass(slots=True)
class SegmentFiles:
    """One segment, opened for checking. An index that is None is not there."""

    base_offset: int
    log: File
    offset_index_path: str
    offset_index: list[OffsetPosition] | None
    time_index_path: str
    time_index: list[TimestampOffset] | None
    is_last: bool


@dataclass(slots=True)
class WalkResult:
    """Where a walk over a segment's log got to; the caller's to keep for the next segment."""

    next_offset: int
    compacted_to: int = 0  # in front of it compaction is known to have been
    end_position: int = 0
    largest_timestamp: int = NO_TIMESTAMP
    missing_count: int = 0  # offsets that no batch covers
    first_missing: tuple[int, int] | None = None  # from, to (exclusive)

    def note_gap(self, start_offset: int, end_offset: int) -> None:
        """No batch covers the offsets from `start_offset` to `end_offset` (exclusive)."""
        if end_offset > max(start_offset, self.compacted_to):
            self.missing_count += end_offset - start_offset
            self.first_missing = self.first_missing or (start_offset, end_offset)


def check_segment(
    segment: SegmentFiles,
    result: WalkResult,
    *,
    deep: bool,
    on_batch: Callable[[BatchHeader], None],
    on_bytes: Progress,
) -> Iterator[Finding]:
    """Every finding in the segment's log and indexes; no offset may lie before `result.next_offset`."""
    positions = _Follower(segment.offset_index or [])
    times = _Follower(segment.time_index or [])
    batches = _Batches(segment, result, on_bytes)
    for located in batches:
        if isinstance(located, Finding):
            yield located
            continue
        on_batch(located.header)
        result.largest_timestamp = max(result.largest_timestamp, located.header.max_timestamp)
        yield from _compare_positions(segment, positions, located)
        yield from _compare_times(segment, times, located, result.largest_timestamp)
        if deep:
            yield from _look_inside(segment, located)
    yield from _check_ends(segment, positions, times, result)
    if result.first_missing is not None:
        start, end = result.first_missing
        what = f"{result.missing_count} offsets are missing, first those from {start} to {end - 1}: compacted, or lost"
        yield Finding(segment.log.path, None, what, Severity.NOTE)


# --- the log ------------------------------------------------------------------------------------------------


class _Batches:
    """The batches of a segment's log, with a finding where there should be one and is none."""

    def __init__(self, segment: SegmentFiles, result: WalkResult, on_bytes: Progress) -> None:
        self._segment = segment
        self._result = result
        self._on_bytes = on_bytes
        self._size_bytes = segment.log.size()

    def __iter__(self) -> Iterator[Located | Finding]:
        result, faults = self._result, list[Fault]()
        while result.end_position < self._size_bytes:
            for located in iter_checked(
                self._segment.log.read,
                result.end_position,
                self._size_bytes,
                next_offset=result.next_offset,
                on_fault=faults.append,
            ):
                yield self._pass(located.header) or located
            if not faults:
                return
            fault = faults.pop()
            if is_room(self._segment.log.read, fault.position, self._size_bytes):
                if not self._segment.is_last:
                    yield self._room(fault.position)
                self._on_bytes(self._size_bytes - fault.position)
                return
            broken = self._header_at(fault.position)
            yield self._finding(fault)
            if broken is None:
                self._on_bytes(self._size_bytes - fault.position)
                return
            yield self._pass(broken) or Located(fault.position, broken)

    def _pass(self, header: BatchHeader) -> Finding | None:
        """Step over a batch; a finding when it does not belong into this segment."""
        position = self._result.end_position
        self._result.note_gap(self._result.next_offset, header.base_offset)
        self._result.end_position += header.size_bytes
        self._result.next_offset = header.next_offset
        self._on_bytes(header.size_bytes)
        if header.last_offset - self._segment.base_offset > 2**31 - 1:
            what = f"offset {header.last_offset} is too far from the segment's {self._segment.base_offset}"
            return Finding(self._segment.log.path, position, what, Severity.DAMAGE)
        return None

    def _header_at(self, position: int) -> BatchHeader | None:
        """The header of a batch that is whole but for its checksum."""
        head = self._segment.log.read(61, position)
        return header_fault(head, 0, self._size_bytes - position, self._result.next_offset)[0]

    def _room(self, position: int) -> Finding:
        # The last segment of a running broker, or of one that was killed, has such room behind its end.
        what = "zeros to the end of the file, which was made longer for what would have come"
        return Finding(self._segment.log.path, position, what, Severity.REPAIRABLE)

    def _finding(self, fault: Fault) -> Finding:
        # At the end of the last segment this is what an unsynced write leaves when the power goes.
        what, severity = f"no valid batch: {fault.reason}", Severity.DAMAGE
        if self._segment.is_last:
            what, severity = f"{what}; if a crash left it, recovery cuts the log here", Severity.REPAIRABLE
        return Finding(self._segment.log.path, fault.position, what, severity)


def _look_inside(segment: SegmentFiles, located: Located) -> Iterator[Finding]:
    header = located.header
    batch = segment.log.read(header.size_bytes, located.position)
    previous_offset = header.base_offset - 1
    try:
        for record in iter_records(batch, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES):
            if not previous_offset < record.offset <= header.last_offset:
                what = f"record of offset {record.offset} behind {previous_offset} in a batch to {header.last_offset}"
                yield Finding(segment.log.path, located.position, what, Severity.DAMAGE)
                return
            previous_offset = record.offset
    except MalformedMessage as error:
        what = f"the records cannot be read: {error}"
        yield Finding(segment.log.path, located.position, what, Severity.DAMAGE)


# --- the indexes --------------------------------------------------------------------------------------------

Entry = TypeVar("Entry", OffsetPosition, TimestampOffset)


class _Follower(Generic[Entry]):
    """Entries of an index, taken one by one as the log passes them."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries: list[Entry] = entries
        self.slot = 0

    @property
    def next(self) -> Entry | None:
        return self._entries[self.slot] if self.slot < len(self._entries) else None

    @property
    def previous(self) -> Entry | None:
        return self._entries[self.slot - 1] if self.slot else None

    def take(self) -> None:
        self.slot += 1


def _compare_positions(segment: SegmentFiles, index: _Follower[OffsetPosition], located: Located) -> Iterator[Finding]:
    while (entry := index.next) is not None and entry.position <= located.position:
        if entry.position < located.position:
            what = f"offset {entry.offset} is said to be at {entry.position}, where no batch begins"
            yield _index_finding(segment.offset_index_path, index.slot * 8, what)
        elif entry.offset != located.header.last_offset:
            what = f"the batch at {entry.position} ends with {located.header.last_offset}, not with {entry.offset}"
            yield _index_finding(segment.offset_index_path, index.slot * 8, what)
        elif index.previous is not None and entry.offset <= index.previous.offset:
            what = f"offset {entry.offset} comes after {index.previous.offset}"
            yield _index_finding(segment.offset_index_path, index.slot * 8, what)
        index.take()


def _compare_times(
    segment: SegmentFiles, index: _Follower[TimestampOffset], located: Located, largest_timestamp: int
) -> Iterator[Finding]:
    while (entry := index.next) is not None and entry.offset <= located.header.last_offset:
        previous = index.previous
        if previous is not None and (entry.timestamp <= previous.timestamp or entry.offset <= previous.offset):
            what = f"{tuple(entry)} comes after {tuple(previous)}"
            yield _index_finding(segment.time_index_path, index.slot * 12, what)
        elif entry.timestamp != largest_timestamp:
            what = f"the largest timestamp up to {entry.offset} is {largest_timestamp}, not {entry.timestamp}"
            yield _index_finding(segment.time_index_path, index.slot * 12, what)
        index.take()


def _check_ends(
    segment: SegmentFiles,
    positions: _Follower[OffsetPosition],
    times: _Follower[TimestampOffset],
    result: WalkResult,
) -> Iterator[Finding]:
    if positions.next is not None:
        what = f"offset {positions.next.offset} at {positions.next.position} lies behind the log's end"
        yield _index_finding(segment.offset_index_path, positions.slot * 8, what)
    if times.next is not None:
        what = f"offset {times.next.offset} lies behind the log's end"
        yield _index_finding(segment.time_index_path, times.slot * 12, what)
    last = times.previous
    noted_timestamp = last.timestamp if last is not None else NO_TIMESTAMP
    if not segment.is_last and times.next is None and noted_timestamp < result.largest_timestamp:
        what = f"ends with {noted_timestamp}, the segment's largest timestamp is {result.largest_timestamp}"
        yield _index_finding(segment.time_index_path, None, what)


def _index_finding(path: str, position: int | None, what: str) -> Finding:
    # The log is the truth; an index is rebuilt from it.
    return Finding(path, position, what, Severity.REPAIRABLE)
