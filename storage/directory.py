"""A directory of logs: one folder per partition, and what is remembered of all of them together.

    .lock                               held while we are here; names the holder
    meta.properties                     whose directory this is
    .kafka_cleanshutdown                there only between a clean stop and the next start
    recovery-point-offset-checkpoint    below it, all of a partition is on the disk
    log-start-offset-checkpoint         where a log begins, if not with its first segment
    cleaner-offset-checkpoint           where the part of a log begins that compaction has yet to go over
    replication-offset-checkpoint       high watermarks; of one replica, what is on the disk
    orders-0/  orders-1/  ...           the logs, each with partition.metadata, which holds the topic id
    orders-2.<id>-delete/               deleted, the files go later; see `directory_names`

What a crash can leave, and why it does no harm:

- **A log without a topic id**, or half made: `create_logs` had not returned, so nobody was told of it.
- **A checkpoint behind the logs**: more is scanned than needed. It is never ahead: offsets are taken from logs
  that were flushed up to there, and when a log is deleted its lines go at once, for a log made later under the
  same name must not inherit them.
- **No marker of a clean stop** although all was closed: every log is recovered, which changes nothing.
- **A folder deleted and back**: the rename was not durable, so the deletion had not been confirmed. Its topic id tells.

The owner may use several threads: what changes the set of logs is guarded. A log itself has one owner, see `log`.
Kafka's class: `LogManager`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

from ..protocol.values import dataclass, field
from . import clean_shutdown, meta_properties, partition_metadata
from .checkpoint import (
    CLEANER_FILE,
    HIGH_WATERMARK_FILE,
    LOG_START_FILE,
    RECOVERY_POINT_FILE,
    CorruptCheckpoint,
    read_offsets,
)
from .config import LogConfig
from .directory_checkpoints import Checkpoint, CheckpointWriter
from .directory_names import Mark, TopicPartition, live_name, marked_name, parse_name
from .file_lock import FileLock, LockHeld
from .files import Files
from .loading import LoadProgress, LoadReport, Task, close_all, open_all
from .log import Log
from .meta_properties import MetaProperties
from .names import parse_file_name

LOCK_FILE = ".lock"
MAKING_THREADS = 16
# Apache Kafka keeps its quorum's log beside the others; it is not ours to open.
KAFKA_METADATA_TOPIC = "__cluster_metadata"


class LockedError(Exception):
    """Another broker is using the directory; says which process, and since when, as far as that is known."""

    def __init__(self, path: str, holder: str) -> None:
        pid, _, since = holder.partition(" ")
        by = f"process {pid}" if pid else "another process"
        super().__init__(f"{path} is in use by {by}" + (f" since {since}" if since else ""))
        self.path = path
        self.pid = int(pid) if pid.isdigit() else None
        self.since = since or None


class LogExists(Exception):
    """There is a log of this partition already, if perhaps one that could not be opened."""


@dataclass(frozen=True, slots=True)
class _Offsets:
    """What the checkpoints say of a log."""

    recovery_point: int = 0
    log_start_offset: int = 0
    cleaned_to: int | None = None


@dataclass(slots=True)
class _Doomed:
    """A folder on its way out."""

    path: str
    due_ms: int


@dataclass(slots=True)
class LogDirectory:
    """All logs of one node. `open`, then `load`, then use, then `close`."""

    path: str
    files: Files
    identity: MetaProperties
    _lock: FileLock
    _new_id: Callable[[], UUID]
    _checkpoints: CheckpointWriter
    _logs: dict[TopicPartition, Log] = field(default_factory=dict)
    _topic_ids: dict[TopicPartition, UUID] = field(default_factory=dict)
    _failed: dict[TopicPartition, _Offsets] = field(default_factory=dict)  # not opened: what was known of them
    _doomed: list[_Doomed] = field(default_factory=list)
    _loaded: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    # --- coming

    @classmethod
    def open(
        cls,
        path: str,
        *,
        files: Files,
        node_id: int,
        cluster_id: str | None,
        new_id: Callable[[], UUID],
        now_ms: int,
    ) -> LogDirectory:
        """Lock the directory, made if it is not there, and see whose it is. No log is opened yet.

        A new directory becomes `node_id`'s, in the cluster `cluster_id` or, if that is None, in one of its own.
        Raises LockedError, ForeignDirectory, CorruptCheckpoint (meta.properties), OSError.
        """
        path = os.path.abspath(path)
        _make_durably(path, files)
        try:
            lock = files.lock(os.path.join(path, LOCK_FILE), _iso(now_ms))
        except LockHeld as error:
            raise LockedError(path, error.holder) from error
        try:
            identity = meta_properties.claim(files, path, node_id=node_id, cluster_id=cluster_id, new_id=new_id)
        except BaseException:
            lock.release()
            raise
        return cls(path, files, identity, lock, new_id, CheckpointWriter(path, files))

    def load(
        self,
        config_of: Callable[[str], LogConfig],
        *,
        now_ms: int,
        threads: int = 1,
        others: frozenset[str] = frozenset(),
        on_progress: Callable[[LoadProgress], None] | None = None,
    ) -> LoadReport:
        """Open every partition's log, recovering it unless the last stop was clean.

        `config_of` gives a topic's settings, `others` names folders that are not a partition's. Waits for the disk.
        Raises OSError when the directory itself cannot be read; what is wrong with one log is in the report.
        """
        assert not self._loaded, "loaded already"
        report = LoadReport(clean=clean_shutdown.take(self.files, self.path))
        known = self._read_checkpoints(report)
        partitions = self._find_folders(report, others, now_ms)
        configs = {topic: config_of(topic) for topic in {each.topic for each in partitions}}
        tasks = [
            self._task(partition, configs[partition.topic], now_ms, report.clean, known.get(partition, _Offsets()))
            for partition in partitions
        ]
        outcomes, report.scanned_bytes = open_all(tasks, threads=threads, on_progress=on_progress)
        for partition, log, error in outcomes:
            if log is not None:
                self._take(partition, log, report)
            else:
                self._failed[partition] = known.get(partition, _Offsets())
                report.failed[partition] = f"{type(error).__name__}: {error}"
        self._loaded = True
        if not set(known) <= set(partitions) or self._promises_too_much(known):
            self.begin_checkpoint().run()  # a new log must not inherit the lines of an old one
        return report

    def _promises_too_much(self, known: Mapping[TopicPartition, _Offsets]) -> bool:
        """Whether a log lost synced data: what is appended now must not count as synced by the old recovery point."""
        return any(
            partition in known and log.recovery_point < known[partition].recovery_point
            for partition, log in self._logs.items()
        )

    def _task(self, partition: TopicPartition, config: LogConfig, now_ms: int, clean: bool, offsets: _Offsets) -> Task:
        folder = self.folder(partition)

        def open_log(progress: Callable[[int], None]) -> Log:
            return Log.open(
                folder,
                files=self.files,
                config=config,
                now_ms=now_ms,
                clean=clean,
                recovery_point=offsets.recovery_point,
                log_start_offset=offsets.log_start_offset,
                cleaned_to=offsets.cleaned_to,
                progress=progress,
            )

        return Task(partition, open_log)

    def _take(self, partition: TopicPartition, log: Log, report: LoadReport) -> None:
        if log.recovery.worth_telling:
            report.recovered[partition] = log.recovery
        self._logs[partition] = log
        try:
            topic_id = partition_metadata.read(self.files, self._metadata_path(partition))
        except CorruptCheckpoint as damage:
            # Torn while the log was made; the catalog knows the topic, and `adopt` writes it again.
            report.notes.append(str(damage))
            topic_id = None
        if topic_id is not None:
            self._topic_ids[partition] = topic_id

    def _find_folders(self, report: LoadReport, others: frozenset[str], now_ms: int) -> list[TopicPartition]:
        """Partitions to open; deleted folders are remembered for `sweep`, all others are left alone."""
        partitions = []
        for name in sorted(self.files.list_directories(self.path)):
            parsed = None if name in others else parse_name(name)
            if parsed is None or parsed.partition.topic == KAFKA_METADATA_TOPIC:
                continue
            if parsed.mark is Mark.LIVE:
                partitions.append(parsed.partition)
            elif parsed.mark is Mark.DELETE:
                self._doomed.append(_Doomed(os.path.join(self.path, name), now_ms))
            else:
                report.set_aside.append(name)
        return partitions

    def _read_checkpoints(self, report: LoadReport) -> dict[TopicPartition, _Offsets]:
        points = self._read_checkpoint(RECOVERY_POINT_FILE, report)
        starts = self._read_checkpoint(LOG_START_FILE, report)
        cleaned = self._read_checkpoint(CLEANER_FILE, report)
        partitions = points.keys() | starts.keys() | cleaned.keys()
        return {each: _Offsets(points.get(each, 0), starts.get(each, 0), cleaned.get(each)) for each in partitions}

    def _read_checkpoint(self, name: str, report: LoadReport) -> dict[TopicPartition, int]:
        try:
            return read_offsets(self.files, os.path.join(self.path, name))
        except CorruptCheckpoint as damage:
            # As Kafka does: all of every log is proven, or a log begins with its first segment.
            report.notes.append(f"{damage}: not used")
            return {}

    # --- the logs

    @property
    def logs(self) -> list[Log]:
        """Every log, in no order."""
        with self._guard:
            return list(self._logs.values())

    def get(self, topic: str, partition: int) -> Log | None:
        return self._logs.get(TopicPartition(topic, partition))

    def topic_id_of(self, log: Log) -> UUID | None:
        """The id in the log's folder; None when there is none (or it was torn)."""
        return self._topic_ids.get(TopicPartition(log.topic, log.partition))

    def folder(self, partition: TopicPartition) -> str:
        """Where the partition's log is, or would be."""
        return os.path.join(self.path, live_name(partition))

    def create_log(self, topic: str, partition: int, topic_id: UUID, config: LogConfig, *, now_ms: int) -> Log:
        """As `create_logs`, for one."""
        return self.create_logs(topic, [partition], topic_id, config, now_ms=now_ms)[0]

    def create_logs(
        self,
        topic: str,
        partitions: Sequence[int],
        topic_id: UUID,
        config: LogConfig,
        *,
        now_ms: int,
        threads: int = MAKING_THREADS,
    ) -> list[Log]:
        """Make empty logs, durably. Waits for the disk; any thread. LogExists, OSError: none of them is taken over."""
        assert self._loaded, "not loaded"
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        for partition in wanted:
            if partition in self._logs or partition in self._failed:
                raise LogExists(f"{partition} has a log already, in {self.path}")
        # The folders' syncs are most of the time it takes, and a file system merges those that are under way together.
        with ThreadPoolExecutor(max(1, min(len(wanted), threads)), thread_name_prefix="making") as pool:
            made = list(pool.map(lambda each: self._make(each, topic_id, config, now_ms), wanted))
        self.files.sync_directory(self.path)
        with self._guard:
            for partition, log in zip(wanted, made, strict=True):
                self._logs[partition], self._topic_ids[partition] = log, topic_id
        return made

    def _make(self, partition: TopicPartition, topic_id: UUID, config: LogConfig, now_ms: int) -> Log:
        folder = self.folder(partition)
        self.files.make_directory(folder)
        if any(parse_file_name(name) for name in self.files.list_files(folder)):
            raise LogExists(f"{folder} has files of a log that was not loaded")
        partition_metadata.write(self.files, self._metadata_path(partition), topic_id)
        return Log.open(folder, files=self.files, config=config, now_ms=now_ms, clean=True)

    def adopt(self, log: Log, topic_id: UUID) -> None:
        """Give a log that has no topic id its topic's. Waits for the disk; durable on return."""
        partition = TopicPartition(log.topic, log.partition)
        assert self._topic_ids.get(partition, topic_id) == topic_id, f"{partition} is another topic's"
        partition_metadata.write(self.files, self._metadata_path(partition), topic_id)
        self._topic_ids[partition] = topic_id

    def delete_log(self, log: Log, *, now_ms: int) -> None:
        """As `delete_logs`, for one."""
        self.delete_logs([log], now_ms=now_ms)

    def delete_logs(self, logs: Sequence[Log], *, now_ms: int) -> None:
        """Let logs go: their folders are renamed, durably; `sweep` removes them after `file.delete.delay.ms`.

        Reads under way finish. Waits for the disk; any thread that may use the logs. OSError: call it again.
        """
        for log in logs:
            self._put_away(log, Mark.DELETE, now_ms)
        self._finish_putting_away()

    def set_aside(self, log: Log, *, now_ms: int) -> None:
        """Let a log go that belongs to no known topic: its folder is renamed and kept for a person to judge."""
        self._put_away(log, Mark.STRAY, now_ms)
        self._finish_putting_away()

    def _put_away(self, log: Log, mark: Mark, now_ms: int) -> None:
        partition = TopicPartition(log.topic, log.partition)
        log.release()
        path = os.path.join(self.path, marked_name(partition, mark, self._new_id()))
        self.files.rename(log.directory, path)
        with self._guard:
            self._logs.pop(partition, None)
            self._topic_ids.pop(partition, None)
            if mark is Mark.DELETE:
                self._doomed.append(_Doomed(path, now_ms + log.config.file_delete_delay_ms))

    def _finish_putting_away(self) -> None:
        self.files.sync_directory(self.path)
        self.begin_checkpoint().run()

    def sweep(self, now_ms: int) -> int:
        """Remove folders whose delay is over, and return how many. Any thread; OSError: the rest waits."""
        with self._guard:
            due = [doomed for doomed in self._doomed if doomed.due_ms <= now_ms]
        for doomed in due:
            self._remove_folder(doomed.path)
            with self._guard:
                self._doomed.remove(doomed)
        return len(due)

    def _remove_folder(self, path: str) -> None:
        for name in self.files.list_files(path):
            self.files.remove(os.path.join(path, name))
        self.files.remove_directory(path)

    # --- checkpoints and going

    def begin_checkpoint(self, high_watermarks: Mapping[TopicPartition, int] | None = None) -> Checkpoint:
        """Take note of every log's offsets; run the result in a thread. What has not changed is not written.

        `high_watermarks` where they differ from what is on the disk.
        """
        with self._guard:
            points = {partition: each.recovery_point for partition, each in self._failed.items()}
            starts = {partition: each.log_start_offset for partition, each in self._failed.items()}
            cleaned = {partition: each.cleaned_to for partition, each in self._failed.items()}
            for partition, log in self._logs.items():
                points[partition], starts[partition] = log.recovery_point, log.log_start_offset
                cleaned[partition] = log.cleaned_to
            return self._checkpoints.begin(
                {
                    # First: a log's recovery point follows its start over records that were never synced, so
                    # a crash must not leave the point without the start.
                    LOG_START_FILE: {partition: start for partition, start in starts.items() if start},
                    RECOVERY_POINT_FILE: points,
                    CLEANER_FILE: {partition: offset for partition, offset in cleaned.items() if offset is not None},
                    HIGH_WATERMARK_FILE: points | dict(high_watermarks or {}),
                }
            )

    def close(self, *, threads: int = 1) -> list[str]:
        """Make every log durable, note where it is, mark the directory as cleanly closed, and unlock it.

        Returns what went wrong, in words: then there is no mark, and the next start recovers. Waits for the disk.
        """
        problems = [f"{log.directory}: {error}" for log, error in close_all(self.logs, threads=threads)]
        try:
            if self._loaded:
                self.begin_checkpoint().run()
                if not problems and not self._failed:
                    clean_shutdown.put(self.files, self.path)
        except OSError as error:
            problems.append(f"{self.path}: {error}")
        finally:
            self._lock.release()
        return problems

    def abandon(self) -> None:
        """Let go of everything as it is, as a crash would."""
        for log in self.logs:
            log.release()
        self._lock.release()

    def _metadata_path(self, partition: TopicPartition) -> str:
        return os.path.join(self.folder(partition), partition_metadata.FILE_NAME)


def _make_durably(path: str, files: Files) -> None:
    """Make a folder and those above it that are missing; their names are durable on return."""
    parent = os.path.dirname(path)
    if files.exists(path) or parent == path:
        return
    _make_durably(parent, files)
    files.make_directory(path)
    files.sync_directory(parent)


def _iso(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
