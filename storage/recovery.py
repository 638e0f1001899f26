"""Opening a log: from the files in a folder to a state that can be believed, in named passes, with a report.

    leftovers   `.deleted` files of an earlier life go; index and snapshot files without a log go segments
    one for each `.log`, by name; none is read unless a later pass needs it tail        after a crash: every
    batch from the recovery point on is proven (size, magic, CRC, offsets that grow). At the
                first fault the log is cut and what lies behind, later segments too, goes. After a clean
                stop: only the last segment's end is looked up, and if it is not where it should be, the
                stop was not clean
    start       if the log ends before the offset it is said to begin with, its data is gone: it begins anew
    there epochs      the leader epoch file, cut to the log; epochs found while scanning are added producers
    the newest snapshot that checks, then the batches behind it
 What the recovery point promises is that everything before it was synced, so it is not scanned: a crash
cannot have hurt it, and what rotted there is for `check` and for readers' CRCs. Indexes are believed only
where they agree with the log: an index that is absent, or not sorted, or leads astray, is built again.

Every pass may be run again on its own result and changes nothing. Kafka's class: `LogLoader`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest

from ..protocol.batch_header import BatchHeader
from ..protocol.record_reader import EndTxnMarker, iter_records, read_end_txn_marker
from . import producer_snapshot
from .batches import Fault, iter_checked
from .checkpoint import CorruptCheckpoint, EpochEntry, read_epochs
from .config import LogConfig
from .directory_names import TopicPartition, parse_name
from .files import Files
from .index import OffsetPosition
from .leader_epochs import LeaderEpochs
from .names import LEADER_EPOCH_FILE, Kind, Mark, file_name, parse_file_name
from .producers import ProducedBatch, ProducerStates
from .segment import IndexLies, Segment

MAX_CONTROL_BYTES = 1 << 20  # a control batch holds one small record
Progress = Callable[[int], None]
"""Told now and then how many more bytes were scanned."""


@dataclass(frozen=True, slots=True)
class DroppedBytes:
    """Bytes that were cut off, and why. `valid_data_follows`: not a torn tail, something damaged the
    middle.
    """

    path: str
    position: int
    size_bytes: int
    reason: str
    valid_data_follows: bool


@dataclass(slots=True)
class RecoveryReport:
    """What opening a log found and did."""

    clean: bool
    scanned_bytes: int = 0
    scanned_batches: int = 0
    dropped: list[DroppedBytes] = field(default_factory=list)
    dropped_segments: list[int] = field(default_factory=list)  # base offsets
    rebuilt_indexes: list[tuple[str, str]] = field(default_factory=list)  # path, why
    removed_files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def dropped_bytes(self) -> int:
        return sum(each.size_bytes for each in self.dropped)

    @property
    def worth_telling(self) -> bool:
        """Whether anything but leftovers was found."""
        return bool(self.dropped or self.dropped_segments or self.rebuilt_indexes or self.notes)

    def lines(self) -> list[str]:
        """The report for a person, one finding a line."""
        said = [
            f"{each.path}: cut {each.size_bytes} bytes at {each.position}, {each.reason}"
            + ("; valid batches follow, the file was damaged in the middle" if each.valid_data_follows else "")
            for each in self.dropped
        ]
        said += [f"dropped the segment at {base}, behind the cut" for base in self.dropped_segments]
        said += [f"{path}: rebuilt, {why}" for path, why in self.rebuilt_indexes]
        return said + self.notes


@dataclass(slots=True)
class Loaded:
    """What a log consists of once it is open."""

    segments: list[Segment]
    log_start_offset: int
    recovery_point: int
    epochs: LeaderEpochs
    producers: ProducerStates
    snapshots: list[int]
    report: RecoveryReport


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
    found_epochs: list[tuple[int, int]] = field(default_factory=list)  # epoch, first offset

    def load(self) -> Loaded:
        """Run the passes. OSError where the disk fails; what was done by then is safe to do again."""
        self.report = RecoveryReport(clean=self.clean)
        self._remove_leftovers()
        self._open_segments()
        self._check_tail()
        self._begin_at_start()
        end_offset = self.segments[-1].next_offset
        epochs = self._load_epochs(end_offset)
        producers, snapshots = self._load_producers(end_offset)
        return Loaded(
            segments=self.segments,
            log_start_offset=max(self.log_start_offset, self.segments[0].base_offset),
            recovery_point=end_offset if self.report.clean else min(self.recovery_point, end_offset),
            epochs=epochs,
            producers=producers,
            snapshots=snapshots,
            report=self.report,
        )

    # --- leftovers and segments

    def _remove_leftovers(self) -> None:
        self.names = set(self.files.list_files(self.directory))
        for name in sorted(self.names):
            parsed = parse_file_name(name)
            if parsed is not None and self._is_leftover(parsed.base_offset, parsed.kind, parsed.mark):
                self.files.remove(os.path.join(self.directory, name))
                self.names.discard(name)
                self.report.removed_files.append(name)

    def _is_leftover(self, base_offset: int, kind: Kind, mark: Mark) -> bool:
        if mark is not Mark.LIVE:
            return mark in (Mark.DELETED, Mark.CLEANED)
        if kind in (Kind.LOG, Kind.SNAPSHOT):
            return False
        return file_name(base_offset, Kind.LOG) not in self.names

    def _open_segments(self) -> None:
        parsed = (parse_file_name(name) for name in self.names)
        bases = sorted(p.base_offset for p in parsed if p and p.kind is Kind.LOG and p.mark is Mark.LIVE)
        for base_offset, following in zip_longest(bases, bases[1:]):
            path = os.path.join(self.directory, file_name(base_offset, Kind.LOG))
            # Where a sealed segment ends is known from the next one's name; the last is looked at below.
            self._add_segment(base_offset, self.files.size(path), base_offset if following is None else following)
        if not self.segments:
            self._add_segment(self.log_start_offset, 0, self.log_start_offset)

    def _add_segment(self, base_offset: int, size_bytes: int, next_offset: int) -> None:
        self.segments.append(
            Segment(
                self.files,
                self.directory,
                base_offset,
                size_bytes=size_bytes,
                next_offset=next_offset,
                created_ms=self.now_ms,
                jitter_ms=self.new_jitter_ms(),
            )
        )

    # --- tail

    def _check_tail(self) -> None:
        self._rebuild_absent_indexes()
        if self.clean and self._ends_as_it_should():
            return
        if self.clean:
            self.report.notes.append("the stop was said to be clean, but the last segment does not end well")
            self.report.clean = False
            self.recovery_point = min(self.recovery_point, self.segments[-1].base_offset)
        self._prove_from_recovery_point()

    def _rebuild_absent_indexes(self) -> None:
        """Of segments that no later pass scans; the scan builds those of the others."""
        for segment in self.segments:
            if not segment.size_bytes or (not self.clean and segment.next_offset > self.recovery_point):
                continue
            for kind in (Kind.OFFSET_INDEX, Kind.TIME_INDEX):
                name = file_name(segment.base_offset, kind)
                if name not in self.names:
                    rebuild_indexes(segment, self.config.index_interval_bytes)
                    self.report.rebuilt_indexes.append((segment.path(kind), "it was absent"))
                    break

    def _ends_as_it_should(self) -> bool:
        last = self.segments[-1]
        if not last.size_bytes:
            return True
        try:
            return last.reload_tail() == last.size_bytes
        except IndexLies:
            return False

    def _prove_from_recovery_point(self) -> None:
        for slot, segment in enumerate(self.segments):
            is_last = slot + 1 == len(self.segments)
            if not segment.size_bytes or (not is_last and segment.next_offset <= self.recovery_point):
                continue
            limit = None if is_last else self.segments[slot + 1].base_offset
            if not self._prove(segment, limit):
                self._drop_segments(slot + 1)
                return

    def _prove(self, segment: Segment, limit_offset: int | None) -> bool:
        """Scan one segment from the recovery point on and cut it at the first fault. False: it was cut, or
        runs too far.
        """
        faults: list[Fault] = []
        position = self._trusted_position(segment)
        size_before = segment.size_bytes
        segment.rewind(position)
        for place, header in iter_checked(
            segment.log.read, position, size_before, next_offset=segment.next_offset, on_fault=faults.append
        ):
            assert place == segment.size_bytes
            self._take(segment, header)
        segment.complete_indexes()
        segment.unsynced = True
        self._tell(segment.size_bytes - position)
        if faults:
            self._cut(segment, size_before, faults[0])
            return False
        if limit_offset is not None and segment.next_offset > limit_offset:
            self.report.notes.append(
                f"{segment.log.path} ends at {segment.next_offset}, behind the next segment's {limit_offset}"
            )
            return False
        return True

    def _trusted_position(self, segment: Segment) -> int:
        """From where to scan: the index entry in front of the recovery point if the indexes are sound, else
        0.
        """
        if self.recovery_point <= segment.base_offset:
            return 0
        entry = segment.offset_index.lookup(self.recovery_point)
        why = index_fault(segment, entry)
        if why is None:
            return entry.position
        self.report.rebuilt_indexes.append((segment.path(Kind.OFFSET_INDEX), why))
        return 0

    def _take(self, segment: Segment, header: BatchHeader) -> None:
        self.report.scanned_batches += 1
        segment.note(
            header.base_offset,
            header.last_offset,
            header.size_bytes,
            header.max_timestamp,
            self.config.index_interval_bytes,
        )
        epoch = header.partition_leader_epoch
        if epoch >= 0 and (not self.found_epochs or self.found_epochs[-1][0] < epoch):
            self.found_epochs.append((epoch, header.base_offset))

    def _cut(self, segment: Segment, size_before: int, fault: Fault) -> None:
        follows = valid_data_follows(segment, fault.position, size_before)
        self.report.dropped.append(
            DroppedBytes(segment.log.path, fault.position, size_before - fault.position, fault.reason, follows)
        )
        segment.log.truncate(segment.size_bytes)

    def _drop_segments(self, first_slot: int) -> None:
        """Remove segments behind a cut, the last first: a crash in between leaves no gap."""
        while len(self.segments) > first_slot:
            segment = self.segments.pop()
            self.report.dropped_segments.append(segment.base_offset)
            segment.close()
            for kind in Kind:
                self.files.remove(segment.path(kind))
                self.names.discard(file_name(segment.base_offset, kind))

    def _tell(self, scanned_bytes: int) -> None:
        self.report.scanned_bytes += scanned_bytes
        if self.progress is not None:
            self.progress(scanned_bytes)

    def _begin_at_start(self) -> None:
        end_offset = self.segments[-1].next_offset
        if end_offset >= self.log_start_offset:
            return
        self.report.notes.append(
            f"the log ends at {end_offset} and is said to begin at {self.log_start_offset}: begun anew there"
        )
        self._drop_segments(0)
        self._add_segment(self.log_start_offset, 0, self.log_start_offset)
        self.segments[0].create()
        self.segments[0].unsynced = True

    # --- epochs and producers

    def _load_epochs(self, end_offset: int) -> LeaderEpochs:
        epochs = LeaderEpochs(self._read_epochs())
        for epoch, offset in self.found_epochs:
            if epoch > epochs.latest_epoch:
                epochs.assign(epoch, offset)
        epochs.truncate_end(end_offset)
        epochs.truncate_start(max(self.log_start_offset, self.segments[0].base_offset))
        return epochs

    def _read_epochs(self) -> list[EpochEntry]:
        if LEADER_EPOCH_FILE not in self.names:
            return []
        try:
            return read_epochs(self.files, os.path.join(self.directory, LEADER_EPOCH_FILE))
        except CorruptCheckpoint as error:
            self.report.notes.append(f"{error}: built again from the log")
            self.found_epochs = self._scan_epochs()
            return []

    def _scan_epochs(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for segment in self.segments:
            for _, header in segment.headers(0):
                if header.partition_leader_epoch > (found[-1][0] if found else -1):
                    found.append((header.partition_leader_epoch, header.base_offset))
        return found

    def _load_producers(self, end_offset: int) -> tuple[ProducerStates, list[int]]:
        producers = ProducerStates(str(partition_of(self.directory)), self.segments[0].base_offset)
        snapshots = self._usable_snapshots(end_offset)
        while snapshots and not self._restore_snapshot(producers, snapshots[-1]):
            self._remove_snapshot(snapshots.pop())
        if snapshots or not self.report.clean:
            replay_producers(self.segments, producers, end_offset)
        producers.end_offset = end_offset
        producers.expire(self.now_ms, self.config.producer_id_expiration_ms)
        return producers, snapshots

    def _usable_snapshots(self, end_offset: int) -> list[int]:
        """Offsets of snapshots; those that neither begin a segment nor are the newest go."""
        parsed = (parse_file_name(name) for name in self.names)
        offsets = sorted(p.base_offset for p in parsed if p and p.kind is Kind.SNAPSHOT and p.mark is Mark.LIVE)
        bases = {segment.base_offset for segment in self.segments}
        inside = [offset for offset in offsets if offset <= end_offset]
        kept = [offset for offset in inside if offset in bases or offset == inside[-1]]
        for offset in set(offsets).difference(kept):
            self._remove_snapshot(offset)
        return kept

    def _remove_snapshot(self, offset: int) -> None:
        name = file_name(offset, Kind.SNAPSHOT)
        self.files.remove(os.path.join(self.directory, name))
        self.report.removed_files.append(name)

    def _restore_snapshot(self, producers: ProducerStates, offset: int) -> bool:
        path = os.path.join(self.directory, file_name(offset, Kind.SNAPSHOT))
        try:
            entries = producer_snapshot.decode(self.files.read_bytes(path))
        except producer_snapshot.CorruptSnapshot as error:
            self.report.notes.append(f"{path} {error}: not used")
            return False
        for producer_id, producer in entries:
            producers.restore(producer_id, producer)
        producers.end_offset = offset
        return True


def partition_of(directory: str) -> TopicPartition:
    """Which partition a folder is of, by its name; a folder named otherwise counts as partition 0 of it."""
    name = os.path.basename(directory)
    parsed = parse_name(name)
    return parsed.partition if parsed else TopicPartition(name, 0)


def replay_producers(segments: list[Segment], producers: ProducerStates, end_offset: int) -> None:
    """Bring `producers` from where they are to `end_offset` by the batches in between."""
    for segment in segments:
        if segment.next_offset <= producers.end_offset or segment.base_offset >= end_offset:
            continue
        place = segment.locate(max(producers.end_offset, segment.base_offset))
        if place is None:
            continue
        for position, header in segment.headers(place.position):
            if header.base_offset >= end_offset:
                break
            if header.producer_id >= 0:
                producers.replay(produced(header), _read_marker(segment, position, header))


def produced(header: BatchHeader) -> ProducedBatch:
    """What the producers' states need of a batch."""
    return ProducedBatch(
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.base_offset,
        header.last_offset,
        header.max_timestamp,
        header.attributes,
    )


def _read_marker(segment: Segment, position: int, header: BatchHeader) -> EndTxnMarker | None:
    if not header.is_control or not header.record_count:
        return None
    batch = segment.log.read(header.size_bytes, position)
    record = next(iter_records(batch, max_decompressed_bytes=MAX_CONTROL_BYTES), None)
    return None if record is None else read_end_txn_marker(record)


def index_fault(segment: Segment, entry: OffsetPosition) -> str | None:
    """Why the indexes in front of `entry` cannot be believed; None when they are sorted and `entry` leads
    to its batch.
    """
    for index in (segment.offset_index, segment.time_index):
        last = None
        for each in index.entries():
            if last is not None and not (each[0] > last[0] and each[1] >= last[1]):
                return f"its entry {tuple(each)} follows {tuple(last)}"
            last = each
    if entry.position:
        found = next(segment.headers(entry.position), None)
        if found is None or found.header.last_offset != entry.offset:
            return f"its entry {tuple(entry)} leads to no such batch"
    return None


def rebuild_indexes(segment: Segment, interval_bytes: int) -> None:
    """Build both indexes from the batches' headers."""
    size_bytes = segment.size_bytes
    segment.rewind(0)
    for _, header in segment.headers(0, end=size_bytes):
        segment.note(header.base_offset, header.last_offset, header.size_bytes, header.max_timestamp, interval_bytes)
    segment.size_bytes = size_bytes
    segment.complete_indexes()
    segment.unsynced = True


def valid_data_follows(segment: Segment, position: int, size_before: int) -> bool:
    """Whether a whole valid batch begins where the faulty one at `position` claims to end."""
    found = next(segment.headers(position, end=size_before), None)
    if found is None:
        return False
    following = position + found.header.size_bytes
    proven = iter_checked(
        segment.log.read,
        following,
        size_before,
        next_offset=found.header.base_offset,
        on_fault=lambda fault: None,
    )
    return next(proven, None) is not None
