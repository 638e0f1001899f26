"""Locating what a reader asks for, which of it was aborted, and finding a record by its time.

Only the search by time looks into batches: the time index says from which offset on to look, the offset
index where that is, headers say which batch has a record that late, and its records say which one it is.
All of it may run in any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from ..protocol.record_reader import iter_records
from .batches import Located, Place
from .file_slice import FileSlice
from .files import FileClosed
from .index import TimestampOffset
from .segment import Segment
from .segments import Segments
from .txn_index import AbortedTransaction

# What is in the log was accepted under the broker's own bound, which may have been another then.
MAX_DECOMPRESSED_BYTES = 2**31 - 1
NO_TIMESTAMP = -1

T = TypeVar("T")


class ReadRequest(NamedTuple):
    """Records from `offset` on, in front of the batch that holds `end_offset`."""

    offset: int
    end_offset: int
    max_bytes: int
    min_one_batch: bool  # the first batch is whole, whatever `max_bytes` says
    wait: bool  # for a cold disk; else WouldWait, and it is the owner who reads: where readers stop is noted and known


def read(segments: Segments, request: ReadRequest) -> FileSlice | None:
    """The first part of the log that answers the request; None when there is none. FileClosed: it was deleted."""
    for segment in segments.from_offset(request.offset):
        if not request.wait and request.end_offset >= segment.next_offset:
            known = slice_behind(segment, request.offset, request.max_bytes)
            if known is not None:
                return known
        place = segment.locate(request.offset, wait=request.wait)
        if place is not None:
            return _slice_at(segment, place, request)
        # Compaction took the segment's last offsets: the next one has what follows.
    return None


def _slice_at(segment: Segment, place: Place, request: ReadRequest) -> FileSlice | None:
    next_offset, size_bytes = segment.end
    if place.base_offset >= request.end_offset:
        return None
    if place.size_bytes > request.max_bytes and not request.min_one_batch:
        return None  # a reader could make nothing of a part of the first batch
    end = size_bytes
    if request.end_offset < next_offset:
        end = _position_of(segment, request.end_offset, request.wait)
    length = end - place.position
    if length > request.max_bytes:
        length = _whole_batches(segment, place, request)
    if length <= 0:
        return None
    if not request.wait and segment.recent is not None and place.position + length == size_bytes:
        segment.recent.ends.note(next_offset, size_bytes)
    return FileSlice(segment.log, place.position, length, place.base_offset)


def _whole_batches(segment: Segment, place: Place, request: ReadRequest) -> int:
    """How many of at most `max_bytes` from `place` on are worth sending, which is at least its whole batch.

    Readers drop what they were given of a batch that is not whole, and ask for it again: of batches of 600 KB nearly half of
    what goes to one who asks for 1 MB.
    """
    position = segment.whole_batches_before(place.position + request.max_bytes, request.offset, wait=request.wait)
    if position is None or position <= place.position:
        return max(request.max_bytes, place.size_bytes)
    return max(position - place.position, place.size_bytes)


def slice_behind(segment: Segment, offset: int, max_bytes: int) -> FileSlice | None:
    """For a reader at the tail who takes all there is, from where it stopped or from the batch on that holds its offset."""
    recent, (next_offset, size_bytes) = segment.recent, segment.end
    if recent is None or offset >= next_offset:
        return None
    position = recent.ends.find(offset)
    if position is None:
        place = recent.find(offset, size_bytes)
        if place is None:
            return None
        position, offset, _ = place
    if not 0 < size_bytes - position <= max_bytes:
        return None
    recent.ends.note(next_offset, size_bytes)
    return FileSlice(segment.log, position, size_bytes - position, offset)


def _position_of(segment: Segment, offset: int, wait: bool) -> int:
    place = segment.locate(offset, wait=wait)
    return segment.size_bytes if place is None else place.position


def aborted_in(segments: Segments, records: FileSlice, offset: int, *, wait: bool) -> list[AbortedTransaction]:
    """The aborted transactions of what was located from `offset` on. WouldWait, unless it may wait; FileClosed."""
    run = segments.from_offset(offset)
    having = [segment for segment in run if segment.has_aborted]
    if not having:
        return []
    for segment in run:
        if segment.log is records.file:
            end = records.position + records.size_bytes
            return aborted_between(having, offset, segment.offset_behind(end, wait=wait), wait=wait)
    raise FileClosed(records.file.path)


def aborted_between(
    run: Iterable[Segment], offset: int, end_offset: int, *, wait: bool = True
) -> list[AbortedTransaction]:
    """Those that reach to `offset` or behind it and begin in front of `end_offset`; `run` begins with the offset's segment."""
    found: list[AbortedTransaction] = []
    for segment in run:
        more, is_all = segment.txn_index.between(offset, end_offset, wait=wait)
        found += more
        if is_all:
            break
    return found


def search(segments: Segments, find: Callable[[Sequence[Segment]], T]) -> T | None:
    """What `find` finds; again, when segments went meanwhile, among those that are there then. None: the log is gone."""
    while True:
        run = segments.all
        try:
            return find(run)
        except FileClosed:
            if segments.all is run:
                return None


def first_at_or_after(segments: Iterable[Segment], timestamp_ms: int, from_offset: int) -> TimestampOffset | None:
    """The first record from `from_offset` on whose timestamp is at least `timestamp_ms`. FileClosed: a segment is gone."""
    found = (_first_in_segment(segment, timestamp_ms, from_offset) for segment in segments)
    return next((each for each in found if each is not None), None)


def largest_timestamp(segments: Iterable[Segment], from_offset: int) -> int:
    """The largest timestamp of the batches that hold `from_offset` or lie behind it; -1 for none. FileClosed likewise."""
    return max(_largest_in_segment(segment, from_offset) for segment in segments)


def _largest_in_segment(segment: Segment, from_offset: int) -> int:
    if segment.next_offset <= from_offset:
        return NO_TIMESTAMP
    largest = segment.largest_timestamp
    place = segment.locate(from_offset)
    if largest.offset >= from_offset:
        return largest.timestamp
    # The record that had it was deleted, but not its segment.
    headers = segment.headers(place.position) if place is not None else ()
    return max((batch.header.max_timestamp for batch in headers), default=NO_TIMESTAMP)


def _first_in_segment(segment: Segment, timestamp_ms: int, from_offset: int) -> TimestampOffset | None:
    if segment.largest_timestamp.timestamp < timestamp_ms:
        return None
    entry = segment.time_index.lookup(timestamp_ms)
    place = segment.locate(max(entry.offset if entry else segment.base_offset, from_offset))
    if place is None:
        return None
    for batch in segment.headers(place.position):
        if batch.header.max_timestamp >= timestamp_ms:
            found = _first_in(segment, batch, timestamp_ms, from_offset)
            if found is not None:
                return found
    return None


def _first_in(segment: Segment, batch: Located, timestamp_ms: int, from_offset: int) -> TimestampOffset | None:
    data = segment.log.read(batch.header.size_bytes, batch.position)
    for record in iter_records(data, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES):
        if record.timestamp >= timestamp_ms and record.offset >= from_offset:
            return TimestampOffset(record.timestamp, record.offset)
    return None
