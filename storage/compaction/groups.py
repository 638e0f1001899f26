"""Which neighbouring segments become one: as many as fit under the sizes that a segment and its indexes may have.

Pure. Without it cleaning would leave more and more segments, each smaller than the last time. A segment is counted with its
size before cleaning, so a merged one is never too large. Offsets must stay within 2^31 - 1 of the base, for indexes hold them
as int32. Kafka: `Cleaner.groupSegmentsBySize`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...protocol.values import dataclass

MAX_RELATIVE_OFFSET = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SegmentSizes:
    """What grouping needs of a segment; `next_offset` is where the next one begins."""

    base_offset: int
    next_offset: int
    size_bytes: int
    offset_index_bytes: int
    time_index_bytes: int


def group_sizes(segments: Sequence[SegmentSizes], *, segment_bytes: int, index_bytes: int) -> list[int]:
    """How many segments, from the first on, go into each group. A single one makes a group whatever its size."""
    counts: list[int] = []
    base = log = offsets = times = 0
    for each in segments:
        log, offsets, times = log + each.size_bytes, offsets + each.offset_index_bytes, times + each.time_index_bytes
        fits = log <= segment_bytes and offsets <= index_bytes and times <= index_bytes
        near = not each.size_bytes or each.next_offset - 1 - base <= MAX_RELATIVE_OFFSET
        if counts and fits and near:
            counts[-1] += 1
        else:
            counts.append(1)
            base, log = each.base_offset, each.size_bytes
            offsets, times = each.offset_index_bytes, each.time_index_bytes
    return counts
