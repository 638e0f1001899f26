"""Opening a log: from the files in a folder to a state that can be believed, in named passes, with a report.

    leftovers   files that a crash left half-way are brought to one side (see `leftovers`); a deletion that
                was half undone is done again
    segments    one for each `.log`, by name; none is read unless a later pass needs it
    tail        after a crash every batch from the recovery point on is proven, and the log is cut at the
                first fault (see `tail`)
    start       if the log ends before the offset it is said to begin with, its data is gone: it begins anew
    epochs      the leader epoch file, cut to the log; epochs found while scanning are added
    producers   the newest snapshot that checks, then the batches behind it; after a crash the transaction
                indexes with them (see `replay`)

What the recovery point promises is that everything before it was synced, so it is not scanned: a crash
cannot have hurt it, and what rotted there is for `check` and for readers' CRCs to find. Indexes are
believed only where they agree with the log: one that is absent, or not sorted, or leads astray, is built
again.

Every pass may be run again on its own result and changes nothing. Kafka's class: `LogLoader`.
"""

from __future__ import annotations

import os
from itertools import zip_longest

from ..protocol.values import dataclass, field
from .checkpoint import CorruptCheckpoint, EpochEntry, read_epochs
from .config import NEVER, LogConfig
from .directory_names import TopicPartition, parse_name
from .files import Files
from .leader_epochs import LeaderEpochs
from .leftovers import clear_leftovers
from .names import LEADER_EPOCH_FILE, SYNC_FAILED_FILE, Kind, Mark, file_name, parse_file_name
from .producers import ProducerStates
from .recovery_report import RecoveryReport
from .replay import rebuild_producers, rebuild_with_indexes
from .segment import Segment
from .segments import Segments
from .snapshots import Snapshots
from .tail import Progress, TailCheck, drop_segments

__all__ = ("Loaded", "Loader", "Progress", "RecoveryReport", "partition_of")


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
    cleaned_to: int | None = None
    progress: Progress | None = None
    report: RecoveryReport = field(init=False)
    names: set[str] = field(init=False)
    segments: list[Segment] = field(default_factory=list)
    sync_failed: bool = False

    def load(self) -> Loaded:
        """Run the passes. OSError where the disk fails; what was done by then is safe to do again."""
        self.report = RecoveryReport(clean=self.clean)
        self.names, self.report.removed_files = clear_leftovers(self.files, self.directory)
        self._heed_mark()
        self._open_segments()
        self._drop_half_deleted()
        tail = self._check_tail()
        self._begin_at_start()
        end_offset = self.segments[-1].next_offset
        start_offset = max(self.log_start_offset, self.segments[0].base_offset)
        epochs = self._load_epochs(tail, start_offset, end_offset)
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
            size_bytes = self.files.size(segment.files.path(Kind.LOG))
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
            if following <= self._gaps_to:
                continue  # compaction made the hole
            if any(end_offset <= offset < following for offset in deleted):
                gone, self.segments = self.segments[:slot], self.segments[slot:]
                drop_segments(self.files, gone, 0, self.report)
                return

    @property
    def _gaps_to(self) -> int:
        """In front of it the log may have holes that compaction made, whatever the topic's policy is by now."""
        return NEVER if self.config.compacts else self.cleaned_to or 0

    def _remove_deleted(self) -> None:
        """Last, for while they are there they bear witness."""
        for name in sorted(self.names):
            parsed = parse_file_name(name)
            if name == SYNC_FAILED_FILE or (parsed is not None and parsed.mark in (Mark.DELETED, Mark.REPLACED)):
                self.files.remove(os.path.join(self.directory, name))
                self.report.removed_files.append(name)

    # --- tail and start

    def _check_tail(self) -> TailCheck:
        tail = TailCheck(
            files=self.files,
            segments=self.segments,
            names=self.names,
            config=self.config,
            recovery_point=self.recovery_point,
            cleaned_to=self.cleaned_to or 0,
            sync_failed=self.sync_failed,
            report=self.report,
            progress=self.progress,
        )
        tail.check(clean=self.clean)
        self.recovery_point = tail.recovery_point
        return tail

    def _begin_at_start(self) -> None:
        end_offset = self.segments[-1].next_offset
        if end_offset >= self.log_start_offset:
            return
        self.report.notes.append(
            f"the log ends at {end_offset} and is said to begin at {self.log_start_offset}: begun anew there"
        )
        drop_segments(self.files, self.segments, 0, self.report)
        segment = self._new_segment(self.log_start_offset)
        segment.create()
        segment.unsynced = True
        self.segments.append(segment)

    # --- epochs and producers

    def _load_epochs(self, tail: TailCheck, start_offset: int, end_offset: int) -> LeaderEpochs:
        epochs = LeaderEpochs(self._read_epochs())
        if self.segments[0].base_offset < self.segments[-1].next_offset:
            # What was scanned says better than the file, which may be from before a truncation.
            epochs.truncate_end(tail.scanned_from)
        for entry in tail.found_epochs:
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
        producers = ProducerStates(os.path.basename(self.directory), end_offset)
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
        complain = self.report.notes.append
        if not self.report.clean:
            rebuild_with_indexes(self.segments, producers, snapshots, end_offset, self.recovery_point, complain)
        elif snapshots.offsets:
            rebuild_producers(self.segments, producers, snapshots, end_offset, complain)
        producers.expire(self.now_ms, self.config.producer_id_expiration_ms)
        return producers, snapshots
