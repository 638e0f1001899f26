"""When a segment is full or old: a log's settings, turned into numbers that each append is compared with. Pure.

    offset > last_offset   timestamp > timestamp   now > now_ms      any of them: the append belongs into a new segment

Those numbers change only with the settings, the segment's first batch, and when an index is full, so an append compares and
computes nothing.

Kafka's: `LogSegment.shouldRoll`, `LogConfig.randomSegmentJitter`.
"""

from __future__ import annotations

from typing import NamedTuple

from ..protocol.checksum import crc32c
from .config import NEVER, LogConfig

MAX_RELATIVE_OFFSET = 2**31 - 1
NO_OFFSET = -1


class RollLimits(NamedTuple):
    """Beyond which numbers an append belongs into a new segment, under one config; times in milliseconds since 1970."""

    config: LogConfig
    last_offset: int
    timestamp: int  # from the first batch's on
    now_ms: int  # where that has none: from when the segment was made on


def roll_limits(
    config: LogConfig, folder: str, base_offset: int, *, created_ms: int, first_timestamp: int, has_full_index: bool
) -> RollLimits:
    """The limits of the segment of that base offset in a partition's folder. A full index is an offset that every append is
    beyond; `first_timestamp` is negative where the first batch has none.
    """
    last_offset = NO_OFFSET if has_full_index else base_offset + MAX_RELATIVE_OFFSET
    age_ms = config.roll_ms - _jitter_ms(config, folder, base_offset)
    if first_timestamp >= 0:
        return RollLimits(config, last_offset, timestamp=first_timestamp + age_ms, now_ms=NEVER)
    return RollLimits(config, last_offset, timestamp=NEVER, now_ms=created_ms + age_ms)


def _jitter_ms(config: LogConfig, folder: str, base_offset: int) -> int:
    """How much earlier than `segment.ms` this segment rolls, so that not all partitions do at once.

    Spread by the names, not by chance: the same segment rolls at the same time after a restart.
    """
    limit_ms = min(config.segment_jitter_ms, config.roll_ms)
    if limit_ms <= 0:
        return 0
    return crc32c(f"{folder} {base_offset}".encode()) % limit_ms
