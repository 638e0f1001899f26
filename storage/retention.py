"""Which segments of a log are to go: pure, from what is known of each segment and the settings.

Segments go from the oldest on, whole, and only as long as each next one may go: the log has no holes. In
this order, as in Kafka,

    start     everything in the segment lies before the log start offset (DeleteRecords)
    size      without it the log is still `retention.bytes` large
    time      its largest timestamp is older than `retention.ms`; for a segment without timestamps the time at
              which it was written counts

The last segment is among them only when it has records; the log then rolls first, so that its end is kept. Others may be
empty: compaction left nothing of them.
A log that is only compacted loses segments by its start alone. Kafka: `UnifiedLog.deleteOldSegments`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..protocol.values import dataclass
from .config import LogConfig

NO_AGE = -1


@dataclass(frozen=True, slots=True)
class SegmentAge:
    """What retention needs of a segment. `next_offset` is where the next one begins, or the log ends."""

    base_offset: int
    next_offset: int
    size_bytes: int
    largest_timestamp: int  # of its records, or when it was last written if they have none


def expired_count(segments: Sequence[SegmentAge], *, config: LogConfig, log_start_offset: int, now_ms: int) -> int:
    """How many segments, from the oldest on, are to go."""
    gone = _by_start(segments, log_start_offset)
    if config.deletes:
        candidates = segments if segments[-1].size_bytes else segments[:-1]
        gone += _by_size(candidates[gone:], config.retention_bytes)
        gone += _by_time(candidates[gone:], config.retention_ms, now_ms)
    return gone


def _by_start(segments: Sequence[SegmentAge], log_start_offset: int) -> int:
    # The last segment is not judged by its end: it goes on growing.
    return _leading(segments[:-1], lambda segment: segment.next_offset <= log_start_offset)


def _by_size(segments: Sequence[SegmentAge], retention_bytes: int) -> int:
    if retention_bytes < 0:
        return 0
    surplus = sum(segment.size_bytes for segment in segments) - retention_bytes
    count = 0
    for segment in segments:
        surplus -= segment.size_bytes
        if surplus < 0:
            break
        count += 1
    return count


def _by_time(segments: Sequence[SegmentAge], retention_ms: int, now_ms: int) -> int:
    if retention_ms < 0:
        return 0
    return _leading(segments, lambda segment: now_ms - segment.largest_timestamp > retention_ms)


def _leading(segments: Sequence[SegmentAge], goes: Callable[[SegmentAge], bool]) -> int:
    count = 0
    for segment in segments:
        if not goes(segment):
            break
        count += 1
    return count
