"""What of a log may be cleaned, how dirty it is, and which of several is to be cleaned first. Pure.

    log start          first dirty                   first uncleanable           log end
        |     clean         |         cleanable              |  not yet             |
        [======][==========][=======][=========][===========][======][====         <- active segment

- **clean** was cleaned before: the cleaner's checkpoint says how far. It is gone over again, for its records may be older
  versions of keys in the dirty part.
- **cleanable** ends in front of the first segment that is active, or has something that is not stable or not durable, or
  is younger than `min.compaction.lag.ms` (by its largest timestamp).

A log is cleaned when the cleanable part makes more than `min.cleanable.dirty.ratio` of both, or when something in it has
been waiting longer than `max.compaction.lag.ms`; the dirtiest first. Kafka: `LogCleanerManager`, `LogToClean`.

Durable is not Kafka's condition. It makes sure that a record is never removed for the sake of a newer one that the disk
may yet lose.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...protocol.values import dataclass
from ..config import LogConfig


@dataclass(frozen=True, slots=True)
class SegmentDirt:
    """What the choice needs of a segment; the timestamps are of its first batch and the largest, -1 for none."""

    base_offset: int
    size_bytes: int
    first_timestamp: int
    largest_timestamp: int


@dataclass(frozen=True, slots=True)
class LogDirt:
    """What the choice needs of a log; the last of its segments is active. `cleaned_to` is None if it never was."""

    segments: Sequence[SegmentDirt]
    log_start_offset: int
    log_end_offset: int
    stable_end_offset: int
    durable_end_offset: int
    cleaned_to: int | None


@dataclass(frozen=True, slots=True)
class Cleanable:
    """What one cleaning of a log would take on, and how urgent that is."""

    first_dirty_offset: int
    first_uncleanable_offset: int  # a segment's base offset
    clean_bytes: int
    cleanable_bytes: int
    overdue_ms: int  # since max.compaction.lag.ms was over; 0 when it is not

    @property
    def ratio(self) -> float:
        """The cleanable part of all that cleaning would read."""
        total = self.clean_bytes + self.cleanable_bytes
        return self.cleanable_bytes / total if total else 0.0

    def is_due(self, config: LogConfig) -> bool:
        """Whether the log is to be cleaned now."""
        if not config.compacts or not self.cleanable_bytes:
            return False
        return self.overdue_ms > 0 or self.ratio > config.min_cleanable_dirty_ratio


def cleanable(log: LogDirt, config: LogConfig, now_ms: int) -> Cleanable:
    """What of the log can be cleaned at `now_ms`."""
    first_dirty = _first_dirty(log)
    sealed, active_base = log.segments[:-1], log.segments[-1].base_offset
    limit = _first_uncleanable(log, first_dirty, sealed, active_base, config, now_ms)
    ends = [*(each.base_offset for each in sealed[1:]), active_base][: len(sealed)]
    spans = list(zip(sealed, ends, strict=True))
    # Segments are cleaned whole: the one that holds the limit is not.
    uncleanable = next((each.base_offset for each, end in spans if end > limit), active_base)
    dirty_from = min(first_dirty, uncleanable)
    clean_bytes = sum(each.size_bytes for each in sealed if each.base_offset < first_dirty)
    cleanable_bytes = sum(each.size_bytes for each, end in spans if dirty_from < end <= uncleanable)
    overdue_ms = _overdue_ms([each for each, end in spans if end > first_dirty], config, now_ms)
    return Cleanable(first_dirty, uncleanable, clean_bytes, cleanable_bytes, overdue_ms)


def _first_dirty(log: LogDirt) -> int:
    """Where cleaning got to; a checkpoint that cannot be (the log was cut, or its start moved) counts for nothing."""
    cleaned_to = log.cleaned_to
    if cleaned_to is None or not log.log_start_offset <= cleaned_to <= log.log_end_offset:
        return log.log_start_offset
    return cleaned_to


def _first_uncleanable(
    log: LogDirt, first_dirty: int, sealed: Sequence[SegmentDirt], active_base: int, config: LogConfig, now_ms: int
) -> int:
    limit = min(log.stable_end_offset, log.durable_end_offset, active_base)
    lag_ms = config.min_compaction_lag_ms
    if lag_ms > 0:
        young = (
            each.base_offset
            for each in sealed
            if each.base_offset >= first_dirty and each.largest_timestamp > now_ms - lag_ms
        )
        limit = min(limit, next(young, limit))
    return max(first_dirty, limit)


def _overdue_ms(dirty: Sequence[SegmentDirt], config: LogConfig, now_ms: int) -> int:
    """For how long the oldest dirty segment has been waiting longer than it may."""
    oldest = min((each.first_timestamp for each in dirty if each.first_timestamp > 0), default=now_ms)
    return max(0, now_ms - config.max_compaction_lag_ms - oldest)
