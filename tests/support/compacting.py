"""Cleaning a log from beginning to end in one thread, as the broker does it in several; and what a log then holds."""

from __future__ import annotations

from collections.abc import Callable

from ottla.protocol.records import Record, iter_records, read_header
from ottla.storage.compaction.choice import Cleanable, cleanable
from ottla.storage.compaction.compaction import Compaction, CompactionAborted, Limits, Pace
from ottla.storage.log import Log

from .log_content import read_batches

LIMITS = Limits(map_bytes=1 << 20, map_load_factor=0.9, buffer_bytes=1 << 16)


class NoHurry(Pace):
    """Goes on, and counts how often it was asked."""

    def __init__(self) -> None:
        self.moved_bytes = 0

    def moved(self, size_bytes: int) -> None:
        self.moved_bytes += size_bytes

    def rest(self) -> None:
        """There is nobody to wait for."""


def what_is_cleanable(log: Log, now_ms: int) -> Cleanable:
    return cleanable(log.compaction.dirt(), log.config, now_ms)


def compact(
    log: Log,
    *,
    now_ms: int,
    limits: Limits = LIMITS,
    pace: Pace | None = None,
    between: Callable[[], object] = lambda: None,
) -> Compaction | None:
    """Clean all that can be cleaned, whether that is due or not; None when there is nothing. Calls `between` between steps."""
    what = what_is_cleanable(log, now_ms)
    if not what.cleanable_bytes:
        return None
    compaction = log.compaction.begin(what, limits=limits, pace=pace or NoHurry(), now_ms=now_ms)
    error: Exception | None = CompactionAborted()
    try:
        compaction.map_keys()
        between()
        for group in compaction.groups():
            replacement = compaction.clean(group)
            between()
            log.compaction.put_in_place(replacement)
            between()
            replacement.settle()
            between()
            log.compaction.settled(replacement, now_ms)
        error = None
    except Exception as ended:
        error = ended
        raise
    finally:
        log.compaction.end(compaction, error)
    return compaction


def records(log: Log) -> list[Record]:
    """Every record that a reader of the log gets, markers left out."""
    return records_of(read_batches(log))


def records_of(batches: list[bytes]) -> list[Record]:
    return [
        record
        for each in batches
        if not read_header(each).is_control
        for record in iter_records(each, max_decompressed_bytes=1 << 26)
    ]
