"""Opening a journal: from the files in its folder to a machine in the state they lead to.

    part files    removed: a snapshot that a crash left half-written
    snapshots     the newest one that is whole is read; damaged ones are passed over and reported
    log           opened as after a crash, whatever the stop was like: a torn tail is cut off (`storage.recovery`)
    reach         the log must hold everything behind the snapshot and up to the last clean stop
    replay        snapshot, then the log behind it, each batch proved by its CRC, each record applied
    sync          what only the system had is in the state now, so it must not be lost later

What a crash cannot explain is not repaired: a fault in what was synced means that acknowledged changes are gone, and
the broker does not start on a part of its history (JournalDamaged). Where the log ended at a clean stop is kept in a
file of its own (`clean-stop-end-offset`), so that a fault in front of it is not taken for a torn tail.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from ..protocol.errors import KafkaError
from ..protocol.records import crc_is_valid, iter_headers, iter_records
from ..protocol.values import dataclass
from ..storage.config import NEVER, LogConfig
from ..storage.files import Files
from ..storage.log import Log
from . import journal_snapshots as snapshots

SEGMENT_BYTES = 4 * 1024 * 1024
END_FILE = "clean-stop-end-offset"
READ_BYTES = 1024 * 1024

JOURNAL_LOG_CONFIG = LogConfig(
    segment_bytes=SEGMENT_BYTES,
    segment_ms=NEVER,
    retention_ms=-1,
    retention_bytes=-1,
    file_delete_delay_ms=0,
    producer_id_expiration_ms=NEVER,
)
"""Nothing goes by age or size: a journal's log is shortened by its snapshots only."""

R = TypeVar("R")

log = logging.getLogger(__name__)


class Machine(Protocol[R]):
    """A state that records change. All of it runs on the loop's thread, but for the iterator of `snapshot`."""

    def encode(self, record: R) -> bytes: ...

    def decode(self, data: bytes) -> R:
        """ValueError when these bytes are no record."""

    def apply(self, record: R) -> None:
        """Change the state; must not fail, for the record is history already."""

    def snapshot(self) -> Iterator[R]:
        """Records that lead from nothing to this state. Called on the loop, consumed in a thread: it must
        hold copies.
        """


class JournalDamaged(Exception):
    """What is on disk does not lead to a state; the broker must not start on it."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a start found: the snapshot it began from (None: from nothing), those passed over, the records
    after it.
    """

    snapshot_offset: int | None
    snapshot_size_bytes: int
    damaged: tuple[str, ...]
    record_count: int
    tail_bytes: int


def recover(
    directory: str, machine: Machine[Any], *, files: Files, config: LogConfig, now_ms: int
) -> tuple[Log, Replay]:
    """The log, ready for appends, and what was found; `machine`, which must be new, has the state.

    Reads the disk. Raises JournalDamaged, OSError.
    """
    files.make_directory(directory)
    files.sync_directory(os.path.dirname(directory))
    snapshots.remove_parts(files, directory)
    snapshot, damaged = _newest_whole(files, directory)
    # What lies in front of a snapshot is not needed any more; what lies in front of the last clean stop's end was
    # synced, so a fault there is no torn tail to be cut off: the replay finds it and refuses.
    start = 0 if snapshot is None else snapshot.offset
    proven = max(start, _read_end(files, directory))
    journal_log = Log.open(directory, files=files, config=config, now_ms=now_ms, clean=False, recovery_point=proven)
    try:
        _check_reaches(journal_log, start, proven, damaged)
        if snapshot is not None:
            _apply_all(machine, snapshot.values, f"the snapshot at {start}")
        record_count, tail_bytes = _replay(journal_log, machine, start)
        # A batch that only the system had when the process died is in the state now: it must not be lost later.
        _sync(journal_log)
    except BaseException:
        journal_log.release()
        raise
    replay = Replay(
        snapshot_offset=None if snapshot is None else start,
        snapshot_size_bytes=0 if snapshot is None else snapshot.size_bytes,
        damaged=damaged,
        record_count=record_count,
        tail_bytes=tail_bytes,
    )
    return journal_log, replay


def _sync(journal_log: Log) -> None:
    try:
        journal_log.flush()
    except KafkaError as error:
        raise OSError(error.message) from error


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A whole snapshot, read."""

    offset: int
    size_bytes: int
    values: Sequence[bytes]


def _newest_whole(files: Files, directory: str) -> tuple[_Loaded | None, tuple[str, ...]]:
    """The newest snapshot that can be read, and what is wrong with those that are newer."""
    damaged: list[str] = []
    for offset in snapshots.offsets_present(files, directory):
        try:
            values, size_bytes = snapshots.read(files, directory, offset)
        except snapshots.DamagedSnapshot as error:
            log.error("%s: %s", directory, error)
            damaged.append(str(error))
            continue
        return _Loaded(offset, size_bytes, values), tuple(damaged)
    return None, tuple(damaged)


def _check_reaches(journal_log: Log, start: int, proven: int, damaged: tuple[str, ...]) -> None:
    """The log must hold all from `start` to `proven`, or acknowledged changes are missing."""
    first, end = journal_log.log_start_offset, journal_log.log_end_offset
    if first <= start and proven <= end:
        return
    state = f"a snapshot of offset {start}" if start else "no snapshot"
    why = "".join(f"; {each}" for each in damaged)
    raise JournalDamaged(
        f"{journal_log.directory}: there is {state} to begin from and the log should reach {proven}, but it has "
        f"offsets {first} to {end}{why}"
    )


def _read_end(files: Files, directory: str) -> int:
    """Where the log ended at the last clean stop; 0 when that is not known."""
    try:
        return int(files.read_bytes(os.path.join(directory, END_FILE)))
    except (FileNotFoundError, ValueError):
        return 0


def write_end(files: Files, directory: str, offset: int) -> None:
    """Note where the log ends, at a clean stop; durable on return."""
    files.replace_bytes(os.path.join(directory, END_FILE), f"{offset}\n".encode())


def _replay(journal_log: Log, machine: Machine[Any], offset: int) -> tuple[int, int]:
    """Apply everything from `offset` to the end; how many records and bytes that was."""
    record_count = size_bytes = 0
    while offset < journal_log.log_end_offset:
        found = journal_log.read(offset, max_bytes=READ_BYTES)
        data = b"" if found is None else found.read()
        before = offset
        for position, header in iter_headers(data):
            if not crc_is_valid(data, position, header) or header.base_offset > offset:
                raise JournalDamaged(f"{journal_log.directory}: the batch at offset {offset} is damaged")
            records = iter_records(data, position, max_decompressed_bytes=READ_BYTES)
            values = [record.value or b"" for record in records if record.offset >= offset]
            _apply_all(machine, values, f"the batch at offset {header.base_offset}")
            record_count += len(values)
            size_bytes += header.size_bytes
            offset = header.next_offset
        if offset == before:
            raise JournalDamaged(f"{journal_log.directory}: nothing can be read at offset {offset}")
    return record_count, size_bytes


def _apply_all(machine: Machine[Any], values: Iterable[bytes], where: str) -> None:
    for value in values:
        try:
            machine.apply(machine.decode(value))
        except (ValueError, KeyError, AssertionError) as error:
            raise JournalDamaged(f"{where} holds a record that cannot be applied: {error!r}") from error
