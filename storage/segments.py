"""A log's segments in the order of their base offsets: never empty, the last one is active.

The list is replaced, not changed, when a segment comes or goes, so that a reader in another thread goes on
with the one it has.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from .retention import NO_AGE, SegmentAge
from .segment import Segment


class Segments:
    """The run of segments that a log consists of."""

    __slots__ = ("_all", "active")

    def __init__(self, segments: list[Segment]) -> None:
        self._replace(segments)

    def _replace(self, segments: list[Segment]) -> None:
        assert segments, "a log has an active segment"
        self._all = segments
        self.active = segments[-1]

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def all(self) -> Sequence[Segment]:
        """The list as it is; another one is there after every change."""
        return self._all

    @property
    def first(self) -> Segment:
        return self._all[0]

    @property
    def size_bytes(self) -> int:
        """The bytes of all logs, indexes not counted."""
        return sum(segment.size_bytes for segment in self._all)

    def ages(self) -> list[SegmentAge]:
        """What retention needs to know of each."""
        return [
            SegmentAge(each.base_offset, each.next_offset, each.size_bytes, self._age_of(each)) for each in self._all
        ]

    def _age_of(self, segment: Segment) -> int:
        """An empty active segment has none, and nobody will ask: the disk is not either, for most logs are idle."""
        return segment.age_timestamp if segment.size_bytes or segment is not self.active else NO_AGE

    def from_offset(self, offset: int) -> Sequence[Segment]:
        """The segment that may hold `offset`, and those behind it."""
        active = self.active
        if offset >= active.base_offset:
            return [active]
        slot = bisect_right(self._all, offset, key=_base_offset) - 1
        return self._all[max(slot, 0) :]

    def add(self, segment: Segment) -> None:
        """Put a new active segment behind the last one."""
        assert segment.base_offset > self.active.base_offset
        self._replace([*self._all, segment])

    def replace(self, old: list[Segment], new: Segment) -> None:
        """Put one segment in the place of neighbours, which are in the list, in order, and not active."""
        slot = self._all.index(old[0])
        assert self._all[slot : slot + len(old)] == old, "what is replaced is not there any more"
        assert old[-1] is not self.active
        self._replace([*self._all[:slot], new, *self._all[slot + len(old) :]])

    def drop_first(self, count: int) -> list[Segment]:
        """Take away the oldest; returns them, oldest first. At least one stays."""
        gone, kept = self._all[:count], self._all[count:]
        self._replace(kept)
        return gone

    def drop_behind(self, offset: int) -> list[Segment]:
        """Take away those that begin behind `offset`; returns them, newest first. The first one stays."""
        count = max(bisect_right(self._all, offset, key=_base_offset), 1)
        gone, kept = self._all[count:], self._all[:count]
        self._replace(kept)
        return gone[::-1]

    def check(self) -> None:
        """Prove the invariants; AssertionError names what does not hold."""
        for segment, following in zip(self._all, self._all[1:], strict=False):
            assert segment.base_offset < following.base_offset, (segment, following)
            assert segment.next_offset <= following.base_offset, (segment, following)


def _base_offset(segment: Segment) -> int:
    return segment.base_offset
