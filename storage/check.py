"""Whether a log directory is sound, looked at from outside, without opening it as a broker would.

Everything is read and compared: every batch's checksum and offsets, indexes against the log, producer snapshots,
epochs, checkpoints. What is wrong comes out as a `Finding`, which is DAMAGE when records are lost or would be served
wrong, REPAIRABLE when the next start puts it right by itself (a torn tail, an index that lies), and a NOTE when the
files alone cannot tell (offsets that are missing, and no cleaner's checkpoint says why). Nothing is changed, nothing
locked; of a directory that a broker is writing to, the ends may look torn.

Files and folders that are on their way out (`.deleted`, `-delete`) are not looked into.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..protocol.batch_builder import NO_LEADER_EPOCH
from ..protocol.batch_header import BatchHeader
from ..protocol.values import dataclass, field
from . import checkpoint, meta_properties, partition_metadata
from .check_segment import Finding, Progress, SegmentFiles, Severity, WalkResult, check_segment
from .checkpoint import CorruptCheckpoint
from .directory_names import Mark as FolderMark
from .directory_names import TopicPartition, parse_name
from .dump import ABORTED_TRANSACTION, Unreadable, dump_file
from .files import Files
from .index import OffsetIndex, OffsetPosition, TimeIndex, TimestampOffset
from .leader_epochs import LeaderEpochs
from .names import LEADER_EPOCH_FILE, SYNC_FAILED_FILE, FileName, Kind, Mark, file_name, parse_file_name

__all__ = ("Finding", "Severity", "bytes_to_check", "check_directory", "check_partition", "is_partition_folder")


def is_partition_folder(path: str, files: Files) -> bool:
    """Whether `path` holds one partition's log rather than a directory of them."""
    return any(parse_file_name(name) is not None for name in files.list_files(path))


def bytes_to_check(path: str, files: Files) -> int:
    """How many bytes of log a check of `path` (a log directory or one partition's folder) will read."""
    if is_partition_folder(path, files):
        return _log_bytes(path, files)
    return sum(_log_bytes(folder, files) for _, folder in _partition_folders(path, files))


def check_directory(
    path: str, files: Files, *, deep: bool = False, on_bytes: Progress | None = None
) -> Iterator[Finding]:
    """Every finding in a log directory; `deep` decompresses and reads every record, too."""
    ends: dict[TopicPartition, _Extent] = {}
    log_starts = _read_checkpoint(path, files, checkpoint.LOG_START_FILE)
    compacted = _read_checkpoint(path, files, checkpoint.CLEANER_FILE)
    for partition, folder in _partition_folders(path, files):
        walk = _PartitionCheck(folder, files, deep, on_bytes or _ignore, log_starts.get(partition, 0))
        walk.compacted_to = compacted.get(partition, 0)
        yield from walk.run()
        ends[partition] = walk.extent
    yield from _check_meta_properties(path, files)
    yield from _check_offsets(path, files, ends)


def check_partition(
    path: str,
    files: Files,
    *,
    deep: bool = False,
    on_bytes: Progress | None = None,
    log_start_offset: int = 0,
) -> Iterator[Finding]:
    """Every finding in one partition's folder. What lies before `log_start_offset` was deleted, if perhaps in place."""
    return _PartitionCheck(path, files, deep, on_bytes or _ignore, log_start_offset).run()


@dataclass(slots=True)
class _Extent:
    """From where to where a partition's log reaches; `is_whole` unless something in it could not be read."""

    start_offset: int = 0
    end_offset: int = 0
    is_whole: bool = True


# --- one partition ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _PartitionCheck:
    """One walk over a partition's folder."""

    folder: str
    files: Files
    deep: bool
    on_bytes: Progress
    log_start_offset: int
    compacted_to: int = 0
    extent: _Extent = field(default_factory=_Extent)
    epochs: LeaderEpochs = field(default_factory=LeaderEpochs)
    _last_epoch: int = -1
    _epochs_fell_at: int | None = None

    def run(self) -> Iterator[Finding]:
        names = self._live_names()
        base_offsets = [name.base_offset for name in names if name.kind is Kind.LOG]
        yield from self._check_segments(base_offsets)
        yield from self._check_orphans(names, set(base_offsets))
        yield from self._check_epochs()
        yield from _check_readable(self._path(partition_metadata.FILE_NAME), self.files, Severity.DAMAGE)
        if self.files.exists(self._path(SYNC_FAILED_FILE)):
            what = "a sync had failed: what was not synced is written again at the next start"
            yield Finding(self._path(SYNC_FAILED_FILE), None, what, Severity.REPAIRABLE)
        for name in names:
            if name.kind is Kind.SNAPSHOT:
                yield from self._check_snapshot(name)
            elif name.kind is Kind.TXN_INDEX:
                yield from self._check_txn_index(name)

    def _live_names(self) -> list[FileName]:
        names = (parse_file_name(name) for name in self.files.list_files(self.folder))
        live = [name for name in names if name is not None and name.mark is Mark.LIVE]
        return sorted(live, key=lambda name: (name.base_offset, name.kind.value))

    def _check_segments(self, base_offsets: list[int]) -> Iterator[Finding]:
        if not base_offsets:
            self.extent.start_offset = self.extent.end_offset = self.log_start_offset
            return
        self.extent.start_offset = self.extent.end_offset = base_offsets[0]
        for base_offset in base_offsets:
            is_last = base_offset == base_offsets[-1]
            if base_offset < self.extent.end_offset:
                what = f"begins with {base_offset}, the segment in front of it reaches to {self.extent.end_offset}"
                yield Finding(self._path(file_name(base_offset, Kind.LOG)), None, what, Severity.DAMAGE)
            yield from self._check_segment(base_offset, is_last)

    def _check_segment(self, base_offset: int, is_last: bool) -> Iterator[Finding]:
        offset_index_path = self._path(file_name(base_offset, Kind.OFFSET_INDEX))
        time_index_path = self._path(file_name(base_offset, Kind.TIME_INDEX))
        yield from _check_index_sizes(self.files, {offset_index_path: 8, time_index_path: 12})
        segment = SegmentFiles(
            base_offset=base_offset,
            log=self.files.open(self._path(file_name(base_offset, Kind.LOG))),
            offset_index_path=offset_index_path,
            offset_index=_load_offset_index(self.files, offset_index_path, base_offset),
            time_index_path=time_index_path,
            time_index=_load_time_index(self.files, time_index_path, base_offset),
            is_last=is_last,
        )
        # What is missing between two segments counts for the later one.
        result = WalkResult(next_offset=base_offset, compacted_to=self.compacted_to)
        result.note_gap(self.extent.end_offset, base_offset)
        try:
            for finding in check_segment(
                segment, result, deep=self.deep, on_batch=self._note_epoch, on_bytes=self.on_bytes
            ):
                self.extent.is_whole &= finding.path != segment.log.path
                yield finding
        finally:
            segment.log.close()
        self.extent.end_offset = result.next_offset

    def _note_epoch(self, header: BatchHeader) -> None:
        epoch = header.partition_leader_epoch
        if epoch == NO_LEADER_EPOCH:
            return
        if epoch < max(self._last_epoch, 0):
            self._epochs_fell_at = header.base_offset
        elif epoch > self._last_epoch:
            self.epochs.assign(epoch, header.base_offset)
        self._last_epoch = epoch

    def _check_epochs(self) -> Iterator[Finding]:
        if self._epochs_fell_at is not None:
            what = f"the leader epoch falls at offset {self._epochs_fell_at}"
            yield Finding(self.folder, None, what, Severity.DAMAGE)
        path = self._path(LEADER_EPOCH_FILE)
        try:
            entries = checkpoint.read_epochs(self.files, path)
        except CorruptCheckpoint as error:
            yield Finding(path, None, error.why, Severity.REPAIRABLE)
            return
        known = LeaderEpochs(entries)
        # The checkpoint was cut to the log start offset, the first segment may begin before it.
        known_from = max(self.log_start_offset, entries[0].start_offset if entries else 0)
        for entry in self.epochs.entries:
            offset = max(entry.start_offset, known_from)
            found, said = self.epochs.epoch_for_offset(offset), known.epoch_for_offset(offset)
            if offset < self.extent.end_offset and found != said:
                what = f"the batch at {offset} is of leader epoch {found}, the checkpoint says {said}"
                yield Finding(path, None, what, Severity.REPAIRABLE)

    def _check_orphans(self, names: list[FileName], base_offsets: set[int]) -> Iterator[Finding]:
        # A snapshot stands for an offset, not for a segment; the others belong to a log.
        for name in names:
            if name.kind is not Kind.SNAPSHOT and name.base_offset not in base_offsets:
                path = self._path(file_name(name.base_offset, name.kind))
                yield Finding(path, None, "its log is not there", Severity.REPAIRABLE)

    def _check_snapshot(self, name: FileName) -> Iterator[Finding]:
        path = self._path(file_name(name.base_offset, Kind.SNAPSHOT))
        yield from _check_readable(path, self.files, Severity.REPAIRABLE)
        if self.extent.is_whole and name.base_offset > self.extent.end_offset:
            what = f"is of offset {name.base_offset}, the log ends at {self.extent.end_offset}"
            yield Finding(path, None, what, Severity.REPAIRABLE)

    def _check_txn_index(self, name: FileName) -> Iterator[Finding]:
        path = self._path(file_name(name.base_offset, Kind.TXN_INDEX))
        previous_last_offset = -1
        data = self.files.read_bytes(path)
        if len(data) % ABORTED_TRANSACTION.size:
            yield Finding(path, None, f"{len(data)} bytes are no whole number of entries", Severity.REPAIRABLE)
        whole_bytes = len(data) - len(data) % ABORTED_TRANSACTION.size
        for position in range(0, whole_bytes, ABORTED_TRANSACTION.size):
            version, _, first, last, _ = ABORTED_TRANSACTION.unpack_from(data, position)
            if version != 0 or not name.base_offset <= last or first > last or last <= previous_last_offset:
                what = f"version {version}, offsets {first} to {last} after {previous_last_offset}"
                yield Finding(path, position, what, Severity.REPAIRABLE)
            previous_last_offset = last

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)


def _check_index_sizes(files: Files, entry_bytes: dict[str, int]) -> Iterator[Finding]:
    for path, size_bytes in entry_bytes.items():
        # An index without entries need not be there; what a missing one costs is time.
        if files.exists(path) and files.size(path) % size_bytes:
            what = f"{files.size(path)} bytes are no whole number of entries of {size_bytes}"
            yield Finding(path, None, what, Severity.REPAIRABLE)


def _load_offset_index(files: Files, path: str, base_offset: int) -> list[OffsetPosition] | None:
    if not files.exists(path):
        return None
    index = OffsetIndex(files.open(path), base_offset)
    try:
        return list(index.entries())
    finally:
        index.close()


def _load_time_index(files: Files, path: str, base_offset: int) -> list[TimestampOffset] | None:
    if not files.exists(path):
        return None
    index = TimeIndex(files.open(path), base_offset)
    try:
        return list(index.entries())
    finally:
        index.close()


# --- the directory ------------------------------------------------------------------------------------------


def _partition_folders(path: str, files: Files) -> Iterator[tuple[TopicPartition, str]]:
    for name in sorted(files.list_directories(path)):
        parsed = parse_name(name)
        if parsed is not None and parsed.mark is FolderMark.LIVE:
            yield parsed.partition, os.path.join(path, name)


def _log_bytes(folder: str, files: Files) -> int:
    names = (parse_file_name(name) for name in files.list_files(folder))
    live = (name for name in names if name is not None and name.kind is Kind.LOG and name.mark is Mark.LIVE)
    return sum(files.size(os.path.join(folder, file_name(name.base_offset, Kind.LOG))) for name in live)


def _read_checkpoint(path: str, files: Files, name: str) -> dict[TopicPartition, int]:
    try:
        return checkpoint.read_offsets(files, os.path.join(path, name))
    except CorruptCheckpoint:
        return {}  # `_check_offsets` says so


def _check_readable(path: str, files: Files, severity: Severity) -> Iterator[Finding]:
    """A finding when the file is there and its content makes no sense."""
    if not files.exists(path):
        return
    for value in dump_file(path, files):
        if isinstance(value, Unreadable):
            yield Finding(path, value.position, value.reason, severity)


def _check_meta_properties(path: str, files: Files) -> Iterator[Finding]:
    return _check_readable(os.path.join(path, meta_properties.FILE_NAME), files, Severity.DAMAGE)


def _check_offsets(path: str, files: Files, ends: dict[TopicPartition, _Extent]) -> Iterator[Finding]:
    """Checkpoints promise that offsets below theirs are there; so none may lie beyond a log's end."""
    for name in (
        checkpoint.RECOVERY_POINT_FILE,
        checkpoint.LOG_START_FILE,
        checkpoint.CLEANER_FILE,
        checkpoint.HIGH_WATERMARK_FILE,
    ):
        file_path = os.path.join(path, name)
        try:
            offsets = checkpoint.read_offsets(files, file_path)
        except CorruptCheckpoint as error:
            yield Finding(file_path, None, error.why, Severity.REPAIRABLE)
            continue
        for partition, offset in offsets.items():
            extent = ends.get(partition)
            if extent is not None and extent.is_whole and offset > extent.end_offset:
                what = f"says {offset} for {partition}, whose log ends at {extent.end_offset}"
                yield Finding(file_path, None, what, Severity.DAMAGE)


def _ignore(_count_bytes: int) -> None:
    """Nobody watches the progress."""
