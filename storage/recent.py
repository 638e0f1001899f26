"""Where the newest batches of an active segment are, so that reading the tail needs neither index nor disk.

Two memories, both bounded. The last batches appended (at least `KEPT_BATCHES`, at most twice that), for
readers that are a little behind. And the ends where readers stopped (`ends`), with their positions, for the owner.

One thread adds; any thread may look for batches. That is why the batches are a pair of arrays that are only appended
to, positions first, and replaced as a pair.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from .batches import Place
from .stops import ReaderStops

KEPT_BATCHES = 128


class RecentBatches:
    """The tail of one segment, gapless up to its end."""

    __slots__ = ("_pair", "ends")

    def __init__(self) -> None:
        self._pair: tuple[array[int], array[int]] = (array("q"), array("q"))
        self.ends: ReaderStops[int] = ReaderStops()

    def add(self, base_offset: int, position: int) -> None:
        """A batch was appended."""
        offsets, positions = self._pair
        if len(offsets) >= 2 * KEPT_BATCHES:
            offsets, positions = self._pair = (offsets[KEPT_BATCHES:], positions[KEPT_BATCHES:])
        positions.append(position)
        offsets.append(base_offset)

    def find(self, offset: int, end_position: int) -> Place | None:
        """The batch that holds `offset`, which the segment has, if it is among the recent; the segment ends
        at `end_position`.
        """
        offsets, positions = self._pair
        slot = bisect_right(offsets, offset) - 1
        if slot < 0:
            return None
        following = positions[slot + 1] if slot + 1 < len(positions) else end_position
        return Place(positions[slot], offsets[slot], following - positions[slot])
