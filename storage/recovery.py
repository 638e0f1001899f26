"""Opening a log: from the files in a folder to a state that can be believed, in named passes, with a report.

    leftovers   files that a crash left half-way are brought to one side (see `leftovers`) segments    one
    for each `.log`, by name; none is read unless a later pass needs it tail        after a crash: every
    batch from the recovery point on is proven (size, magic, CRC, offsets that grow). At the first
                fault the log is cut, and what lies behind, later segments too, goes. Of segments in front
                of the recovery point the ends are looked at. After a clean stop only the last segment's end
                is looked up; if it is not where it should be, the stop was not clean
    start       if the log ends before the offset it is said to begin with, its data is gone: it begins anew
    there epochs      the leader epoch file, cut to the log; epochs found while scanning are added producers
    the newest snapshot that checks, then the batches behind it

What the recovery point promises is that everything before it was synced, so it is not scanned: a crash
cannot have hurt it, and what rotted there is for `check` and for readers' CRCs to find. Indexes are
believed only where they agree with the log: one that is absent, or not sorted, or leads astray, is built
again.

Every pass may be run again on its own result and changes nothing. Kafka's class: `LogLoader`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest

from ..protocol.batch_header import BatchHeader
from .batches import Fault, iter_checked, iter_headers
from .checkpoint import CorruptCheckpoint, EpochEntry, read_epochs
from .config import NEVER, LogConfig
from .directory_names import TopicPartition, parse_name
from .files import Files
from .index import OffsetPosition
from .leader_epochs import LeaderEpochs
from .leftovers import clear_leftovers
from .names import LEADER_EPOCH_FILE, SYNC_FAILED_FILE, Kind, Mark, file_name, parse_file_name
from .producers import ProducerStates
from .recovery_report import ABSENT, DroppedBytes, RecoveryReport
from .replay import rebuild_producers
from .segment import Segment
from .segments import Segments
from .snapshots import Snapshots

__all__ = ("Loaded", "Loader", "Progress", "RecoveryReport", "index_fault", "partition_of")

Progress = Callable[[int], None]
"""Told how many more bytes were scanned."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a log consists of once it is open."""

    segments: Segments
    log_start_offset: int
    recovery_point: int
    epochs: LeaderEpochs
    producers: ProducerStates
    snapshots: Snapshots
    names_unsynced: bool  # after a crash nobody knows which of the names that are there the disk has
    report: RecoveryReport


def partition_of(directory: str) -> TopicPartition:
    """Which partition a folder is of, by its name; a folder named otherwise counts as partition 0 of it."""
    name = os.path.basename(directory)
    parsed = parse_name(name)
    return parsed.partition if parsed else TopicPartition(name, 0)


@dataclass(slots=True, kw_only=True)
class Loader:
    """One opening of one log. `load` runs the passes."""

    files: Files
    directory: str
    config: LogConfig
    now_ms: int
    clean: bool
    recovery_point: int
    log_start_offset: int
    new_jitter_ms: Callable[[], int]
    progress: Progress | None = None
    report: RecoveryReport = field(init=False)
    names: set[str] = field(init=False)
    segments: list[Segment] = field(default_factory=list)
    found_epochs: list[EpochEntry] = field(default_factory=list)
    sync_failed: bool = False
    scanned_from: int = NEVER  # the first offset that was proven

    def load(self) -> Loaded:
        """Run the passes. OSError where the disk fails; what was done by then is safe to do again."""
        self.report = RecoveryReport(clean=self.clean)
        self.names, self.report.removed_files = clear_leftovers(self.files, self.directory)
        self._heed_mark()
        self._open_segments()
        self._drop_half_deleted()
        self._check_tail()
        self._begin_at_start()
        end_offset = self.segments[-1].next_offset
        start_offset = max(self.log_start_offset, self.segments[0].base_offset)
        epochs = self._load_epochs(start_offset, end_offset)
        producers, snapshots = self._load_producers(end_offset)
        self._remove_deleted()
        return Loaded(
            segments=Segments(self.segments),
            log_start_offset=start_offset,
            recovery_point=end_offset if self.report.clean else min(self.recovery_point, end_offset),
            epochs=epochs,
            producers=producers,
            snapshots=snapshots,
            names_unsynced=not self.report.clean and bool(self._offsets_of(Kind.LOG)),
            report=self.report,
        )

    def _heed_mark(self) -> None:
        """After a failed sync of an earlier process nothing behind the recovery point is on the disk for sure."""
        self.sync_failed = SYNC_FAILED_FILE in self.names
        if self.sync_failed:
            self.clean = self.report.clean = False
            self.report.notes.append("a sync had failed: what was not synced is written again")

    # --- segments

    def _open_segments(self) -> None:
        bases = self._offsets_of(Kind.LOG)
        for base_offset, following in zip_longest(bases, bases[1:]):
            segment = self._new_segment(base_offset)
            size_bytes = self.files.size(segment.path(Kind.LOG))
            # Where a sealed segment ends is known from the next one's name; the last is looked at below.
            segment.end = (base_offset if following is None else following, size_bytes)
            self.segments.append(segment)
        if not self.segments:
            self.segments.append(self._new_segment(self.log_start_offset))

    def _offsets_of(self, kind: Kind, mark: Mark = Mark.LIVE) -> list[int]:
        parsed = (parse_file_name(name) for name in self.names)
        return sorted(each.base_offset for each in parsed if each and each[1:] == (kind, mark))

    def _new_segment(self, base_offset: int) -> Segment:
        return Segment(
            self.files,
            self.directory,
            base_offset,
            created_ms=self.now_ms,
            jitter_ms=self.new_jitter_ms(),
        )

    def _drop_half_deleted(self) -> None:
        """Retention renames the oldest segments first, but a crash may keep a later new name and lose an earlier one.

        The hole it leaves has a `.deleted` file in it: what lies before the hole was deleted, too. Segments
        that truncation took are not meant (Kafka renames those as well): there is no hole, or nothing
        behind it.
        """
        deleted = self._offsets_of(Kind.LOG, Mark.DELETED)
        for slot in range(len(self.segments) - 1, 0, -1) if deleted and not self.config.compacts else ():
            segment, following = self.segments[slot - 1], self.segments[slot].base_offset
            if not any(segment.base_offset < offset < following for offset in deleted):
                continue
            if segment.load_tail() is None:
                segment.rebuild_indexes(self.config.index_interval_bytes)
            end_offset, segment.end = segment.next_offset, (following, segment.size_bytes)
            if any(end_offset <= offset < following for offset in deleted):
                gone, self.segments = self.segments[:slot], self.segments[slot:]
                for each in gone:
                    self._drop(each)
                self.files.sync_directory(self.directory)
                return

    def _remove_deleted(self) -> None:
        """Last, for while they are there they bear witness."""
        for name in sorted(self.names):
            parsed = parse_file_name(name)
            if name == SYNC_FAILED_FILE or (parsed is not None and parsed.mark is Mark.DELETED):
                self.files.remove(os.path.join(self.directory, name))
                self.report.removed_files.append(name)

    # --- tail

    def _check_tail(self) -> None:
        if self.clean:
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
        return segment.load_tail() == segment.size_bytes

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
            if segment.load_tail() is None or not segment.time_index.entry_count:
                self._rebuild(segment, "they did not lead to its batches")
            whole_bytes = segment.load_tail()
            assert whole_bytes is not None
            if segment.next_offset < following:
                self.report.notes.append(f"{segment.log.path}: damaged, though it was synced; see `ottla log check`")
            else:
                self._cut_behind(segment, following, whole_bytes)
            segment.end = (following, segment.size_bytes)

    def _cut_behind(self, segment: Segment, following: int, whole_bytes: int) -> None:
        """A failed append was cut off and the cut was lost: it lies behind what was synced, and must not be read."""
        place = segment.locate(following)
        position = place.position if place is not None else whole_bytes
        if position == segment.size_bytes:
            return
        fault = Fault(position, "it lies behind the end of a segment that was synced")
        size_before, segment.end = segment.size_bytes, (following, position)
        self._cut(segment, size_before, fault)

    def _prove_the_rest(self) -> None:
        for slot, segment in enumerate(self.segments):
            if self._is_synced(segment):
                continue
            following = self.segments[slot + 1].base_offset if slot + 1 < len(self.segments) else None
            if not self._prove(segment, following):
                self._drop_segments(slot + 1)
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
        segment.try_complete_indexes()
        segment.distrust_disk()
        if self.sync_failed:
            segment.write_again()
        self._tell(segment.size_bytes - position)
        for fault in faults:
            self._cut(segment, size_before, fault)
        return not faults and self._reaches(segment, following)

    def _reaches(self, segment: Segment, following: int | None) -> bool:
        """Whether the next segment goes on where this one ends. Compaction, and nothing else, may leave a gap."""
        end_offset = segment.next_offset
        if following is None or end_offset == following or (end_offset < following and self.config.compacts):
            return True
        self.report.notes.append(f"{segment.log.path} ends at {end_offset}, the next segment begins at {following}")
        return False

    def _trusted_position(self, segment: Segment) -> int:
        """From where to scan: the index entry in front of the recovery point if the indexes are sound, else 0."""
        if self.recovery_point <= segment.base_offset or self.sync_failed:
            return 0
        if self._lacks_index(segment):
            self.report.rebuilt_indexes.append((segment.log.path, ABSENT))
            return 0
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
        size_bytes = size_before - fault.position
        dropped = DroppedBytes(segment.log.path, fault.position, size_bytes, fault.reason, follows)
        self.report.dropped.append(dropped)
        segment.log.truncate(segment.size_bytes)
        # Were this lost in another crash, the garbage could lie in the middle of what is appended from now
        # on.
        segment.log.sync()

    def _drop_segments(self, first_slot: int) -> None:
        """Remove segments behind a cut, the last first: a crash in between leaves no gap."""
        while len(self.segments) > first_slot:
            self._drop(self.segments.pop())
        self.files.sync_directory(self.directory)

    def _drop(self, segment: Segment) -> None:
        self.report.dropped_segments.append(segment.base_offset)
        segment.remove(Mark.LIVE)

    def _tell(self, scanned_bytes: int) -> None:
        self.report.scanned_bytes += scanned_bytes
        if self.progress is not None:
            self.progress(scanned_bytes)

    # --- start

    def _begin_at_start(self) -> None:
        end_offset = self.segments[-1].next_offset
        if end_offset >= self.log_start_offset:
            return
        self.report.notes.append(
            f"the log ends at {end_offset} and is said to begin at {self.log_start_offset}: begun anew there"
        )
        self._drop_segments(0)
        self.found_epochs = []
        segment = self._new_segment(self.log_start_offset)
        segment.create()
        segment.unsynced = True
        self.segments.append(segment)

    # --- epochs and producers

    def _load_epochs(self, start_offset: int, end_offset: int) -> LeaderEpochs:
        epochs = LeaderEpochs(self._read_epochs())
        # What was scanned says better than the file, which may be from before a truncation.
        epochs.truncate_end(self.scanned_from)
        for entry in self.found_epochs:
            if entry.epoch > epochs.latest_epoch:
                epochs.assign(*entry)
        epochs.truncate_end(end_offset + 1)
        if not self.report.clean and epochs.first_offset(end_offset) > start_offset:
            epochs = self._epochs_from_log(start_offset, epochs)
        epochs.truncate_start(start_offset)
        epochs.dirty |= self.sync_failed
        return epochs

    def _epochs_from_log(self, start_offset: int, known: LeaderEpochs) -> LeaderEpochs:
        """The file begins behind the log: it was cut, and the log came back. Ask the batches."""
        epochs = LeaderEpochs()
        for segment in self.segments:
            for _, header in segment.headers(0):
                if header.next_offset > start_offset and header.partition_leader_epoch > epochs.latest_epoch:
                    epochs.assign(header.partition_leader_epoch, header.base_offset)
        for entry in known.entries:
            if entry.epoch > epochs.latest_epoch:
                epochs.assign(*entry)
        return epochs

    def _read_epochs(self) -> list[EpochEntry]:
        if LEADER_EPOCH_FILE not in self.names:
            return []
        try:
            return read_epochs(self.files, os.path.join(self.directory, LEADER_EPOCH_FILE))
        except CorruptCheckpoint as error:
            self.report.notes.append(f"{error}: built again from the log")
            return self._epochs_from_log(0, LeaderEpochs()).entries

    def _load_producers(self, end_offset: int) -> tuple[ProducerStates, Snapshots]:
        producers = ProducerStates(str(partition_of(self.directory)), end_offset)
        snapshots = Snapshots(self.files, self.directory, self._offsets_of(Kind.SNAPSHOT))
        bases = {segment.base_offset for segment in self.segments}
        newest = max((offset for offset in snapshots.offsets if offset <= end_offset), default=None)
        gone = snapshots.drop(lambda offset: offset > end_offset or (offset not in bases and offset != newest))
        if self.sync_failed:
            gone += snapshots.drop(lambda offset: offset > self.recovery_point)
        if not self.report.clean:
            gone += snapshots.drop_damaged(self.report.notes.append)
        if gone:
            # Were one back after another crash, it might be of a history that the log no longer has.
            self.files.sync_directory(self.directory)
        self.report.removed_files += [file_name(offset, Kind.SNAPSHOT) for offset in gone]
        if snapshots.offsets or not self.report.clean:
            rebuild_producers(self.segments, producers, snapshots, end_offset, self.report.notes.append)
            producers.expire(self.now_ms, self.config.producer_id_expiration_ms)
        return producers, snapshots


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
