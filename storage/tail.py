"""The end of a log, made believable: the pass of recovery that reads batches.

After a clean stop the last segment's end is looked up by its index, and nothing else is read. After a crash

    in front of the recovery point   each segment's end is looked at: its batches are what they were, but what
                                     lies behind them (a failed append was cut off, and the cut was lost)
                                     goes, and indexes that are behind are built again
    from the recovery point on       every batch is proven (size, magic, CRC, offsets that grow); at the first
                                     fault the log is cut, and what lies behind, later segments too, goes;
                                     zeros to the end of the file are none: it was made longer for what would
                                     have come

Scanning begins at an index entry in front of the recovery point where both indexes can be believed up to there, else
at the front of the segment. The indexes grow again while it goes.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..protocol.batch_header import BatchHeader
from ..protocol.values import dataclass, field
from .batches import Fault, is_room, iter_checked, iter_headers, without_room
from .checkpoint import EpochEntry
from .config import NEVER, LogConfig
from .files import Files
from .index import OffsetPosition
from .names import Kind, Mark, file_name
from .recovery_report import ABSENT, DroppedBytes, RecoveryReport
from .segment import Segment

Progress = Callable[[int], None]
"""Told how many more bytes were scanned."""


@dataclass(slots=True, kw_only=True)
class TailCheck:
    """`segments` is the opener's list: segments behind a cut are taken off it."""

    files: Files
    segments: list[Segment]
    names: set[str]
    config: LogConfig
    recovery_point: int
    cleaned_to: int  # how far compaction has surely been
    sync_failed: bool  # what is not synced for sure is to be written again
    report: RecoveryReport
    progress: Progress | None
    found_epochs: list[EpochEntry] = field(default_factory=list)
    scanned_from: int = NEVER  # the first offset that was proven

    def check(self, *, clean: bool) -> None:
        """Make the end believable: after a clean stop by a look, else by proof."""
        if clean:
            if self._ends_well(self.segments[-1]):
                self._build_absent_indexes()
                return
            self.report.notes.append("the stop was said to be clean, but the last segment does not end well")
            self.report.clean = False
            self.recovery_point = min(self.recovery_point, self.segments[-1].base_offset)
        self._look_at_synced_segments()
        self._prove_the_rest()

    def _ends_well(self, segment: Segment) -> bool:
        if not segment.size_bytes:
            self._empty_indexes(segment)
            return True
        if self._lacks_index(segment):
            self._rebuild(segment, ABSENT)
        whole_bytes, size_bytes = segment.load_tail(), segment.size_bytes
        if whole_bytes is None or whole_bytes == size_bytes:
            return whole_bytes is not None
        return self._is_room(segment, whole_bytes, size_bytes)

    def _is_room(self, segment: Segment, position: int, size_before: int) -> bool:
        """Whether behind its batches, which end at `position`, the file has but room for more: then the segment ends there."""
        if not is_room(segment.log.read, position, size_before):
            return False
        segment.end = (segment.next_offset, position)
        segment.found_room(size_before)
        return True

    def _build_absent_indexes(self) -> None:
        for segment in self.segments[:-1]:
            if self._lacks_index(segment):
                self._rebuild(segment, ABSENT)

    def _lacks_index(self, segment: Segment) -> bool:
        wanted = {file_name(segment.base_offset, kind) for kind in (Kind.OFFSET_INDEX, Kind.TIME_INDEX)}
        return segment.size_bytes > 0 and not wanted <= self.names

    def _empty_indexes(self, segment: Segment) -> None:
        """Of a segment without batches: what they hold is from before a cut, or was allocated ahead."""
        stale = {file_name(segment.base_offset, kind) for kind in (Kind.OFFSET_INDEX, Kind.TIME_INDEX)}
        if stale & self.names:
            segment.rewind(0)

    def _rebuild(self, segment: Segment, why: str) -> None:
        end = segment.end
        segment.rebuild_indexes(self.config.index_interval_bytes)
        segment.end = (max(segment.next_offset, end[0]), end[1])
        segment.try_complete_indexes()
        segment.sync_with_indexes()  # no flush will, if nothing is appended here any more
        self.report.rebuilt_indexes.append((segment.log.path, why))

    def _is_synced(self, segment: Segment) -> bool:
        # Of the segment that ends just at the recovery point the indexes may not be: it may have been
        # active then.
        return segment is not self.segments[-1] and segment.next_offset < self.recovery_point

    def _look_at_synced_segments(self) -> None:
        """Their batches are what they were; what is behind them, and their indexes, may not be."""
        for segment in self.segments:
            if not self._is_synced(segment):
                return
            following = segment.next_offset
            if self._lacks_index(segment):
                self._rebuild(segment, ABSENT)
            has_times = segment.time_index.entry_count or not segment.size_bytes
            if segment.load_tail() is None or not has_times:
                self._rebuild(segment, "they did not lead to its batches")
            whole_bytes = segment.load_tail()
            assert whole_bytes is not None
            if segment.next_offset < following:
                self._note_missing(segment, following, whole_bytes)
            else:
                self._cut_behind(segment, following, whole_bytes)
            segment.end = (following, segment.size_bytes)

    def _note_missing(self, segment: Segment, following: int, whole_bytes: int) -> None:
        """The last offsets are not there. If all of the file is batches, compaction took them."""
        compacted = self.config.compacts or following <= self.cleaned_to
        if whole_bytes < segment.size_bytes or not compacted:
            self.report.notes.append(f"{segment.log.path}: damaged, though it was synced; see `ottla log check`")

    def _cut_behind(self, segment: Segment, following: int, whole_bytes: int) -> None:
        """A failed append was cut off and the cut was lost: it lies behind what was synced, and must not be read."""
        place = segment.locate(following)
        position = place.position if place is not None else whole_bytes
        if position == segment.size_bytes:
            return
        fault = Fault(position, "it lies behind the end of a segment that was synced")
        size_before, segment.end = segment.size_bytes, (following, position)
        if self._is_room(segment, position, size_before):
            segment.trim()
        else:
            self._cut(segment, size_before, fault)

    def _prove_the_rest(self) -> None:
        for slot, segment in enumerate(self.segments):
            if self._is_synced(segment):
                continue
            following = self.segments[slot + 1].base_offset if slot + 1 < len(self.segments) else None
            if not self._prove(segment, following):
                drop_segments(self.files, self.segments, slot + 1, self.report)
                break
        end_offset = self.segments[-1].next_offset
        if end_offset < self.recovery_point:
            self.report.notes.append(
                f"the log ends at {end_offset}, though everything before {self.recovery_point} was synced"
            )

    def _prove(self, segment: Segment, following: int | None) -> bool:
        """Scan one segment from the recovery point on and cut it at the first fault. False: what follows goes."""
        if not segment.size_bytes:
            self._empty_indexes(segment)
            segment.end = (segment.base_offset, 0)
            return self._reaches(segment, following)
        faults: list[Fault] = []
        size_before, position = segment.size_bytes, self._trusted_position(segment)
        segment.rewind(position)
        for _, header in iter_checked(
            segment.log.read, position, size_before, next_offset=segment.next_offset, on_fault=faults.append
        ):
            self._take(segment, header)
        if faults and self._is_room(segment, segment.size_bytes, size_before):
            faults.clear()
        if following is not None:
            segment.trim()
            segment.try_complete_indexes()  # those of the active segment grow on, and gather in memory
        segment.distrust_disk()
        if self.sync_failed:
            segment.write_again()
        self._tell(segment.size_bytes - position)
        for fault in faults:
            self._cut(segment, size_before, fault)
        return not faults and self._reaches(segment, following)

    def _reaches(self, segment: Segment, following: int | None) -> bool:
        """Whether the next segment goes on where this one ends.

        Compaction may leave a gap, and only where everything is durable; behind that it is a segment that was lost.
        """
        end_offset = segment.next_offset
        if following is None or end_offset == following:
            return True
        if end_offset < following <= max(self.recovery_point, self.cleaned_to):
            segment.end = (following, segment.size_bytes)
            return True
        self.report.notes.append(f"{segment.log.path} ends at {end_offset}, the next segment begins at {following}")
        return False

    def _trusted_position(self, segment: Segment) -> int:
        """From where to scan: the index entry in front of the recovery point if the indexes are sound, else 0."""
        if self.recovery_point <= segment.base_offset or self.sync_failed:
            return 0
        if self._lacks_index(segment):
            return 0  # nothing worth telling: an active segment's first entries gather in memory
        # From where both indexes are complete: what the time index lost is in no other place but the batches.
        newest = segment.time_index.last_entry()
        entry = segment.offset_index.lookup(min(self.recovery_point, newest.offset if newest else 0))
        why = index_fault(segment, entry)
        if why is None:
            return entry.position
        self.report.rebuilt_indexes.append((segment.log.path, why))
        return 0

    def _take(self, segment: Segment, header: BatchHeader) -> None:
        self.report.scanned_batches += 1
        self.scanned_from = min(self.scanned_from, header.base_offset)
        segment.note_header(header, self.config.index_interval_bytes)
        epoch = header.partition_leader_epoch
        if epoch >= 0 and (not self.found_epochs or self.found_epochs[-1].epoch < epoch):
            self.found_epochs.append(EpochEntry(epoch, header.base_offset))

    def _cut(self, segment: Segment, size_before: int, fault: Fault) -> None:
        follows = valid_data_follows(segment, fault.position, size_before)
        size_bytes = without_room(segment.log.read, fault.position, size_before) - fault.position
        dropped = DroppedBytes(segment.log.path, fault.position, size_bytes, fault.reason, follows)
        self.report.dropped.append(dropped)
        segment.log.truncate(segment.size_bytes)
        # Were this lost in another crash, the garbage could lie in the middle of what is appended from now
        # on.
        segment.log.sync()

    def _tell(self, scanned_bytes: int) -> None:
        self.report.scanned_bytes += scanned_bytes
        if self.progress is not None:
            self.progress(scanned_bytes)


def drop_segments(files: Files, segments: list[Segment], first_slot: int, report: RecoveryReport) -> None:
    """Remove segments behind a cut, the last first: a crash in between leaves no gap. The names are synced."""
    if len(segments) <= first_slot:
        return
    directory = os.path.dirname(segments[0].log.path)
    while len(segments) > first_slot:
        segment = segments.pop()
        report.dropped_segments.append(segment.base_offset)
        segment.files.remove(Mark.LIVE)
    files.sync_directory(directory)


def index_fault(segment: Segment, entry: OffsetPosition) -> str | None:
    """Why the indexes cannot be believed; None when they are sorted and `entry` leads to its batch."""
    for index in (segment.offset_index, segment.time_index):
        last = None
        for each in index.entries():
            if last is not None and not (each[0] > last[0] and each[1] >= last[1]):
                return f"the entry {tuple(each)} follows {tuple(last)}"
            last = each
    if entry.position:
        found = next(iter_headers(segment.log.read, entry.position, segment.size_bytes), None)
        if found is None or found.header.last_offset != entry.offset:
            return f"the entry {tuple(entry)} leads to no such batch"
    return None


def valid_data_follows(segment: Segment, position: int, size_before: int) -> bool:
    """Whether a whole valid batch begins where the faulty one at `position` claims to end."""
    faulty = next(iter_headers(segment.log.read, position, size_before), None)
    if faulty is None:
        return False
    following = position + faulty.header.size_bytes
    proven = iter_checked(
        segment.log.read, following, size_before, next_offset=segment.next_offset, on_fault=lambda fault: None
    )
    return next(proven, None) is not None
