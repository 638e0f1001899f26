"""The least that a partition's log can be: a file, the offset behind its last record, and where its batches begin and end."""

from __future__ import annotations

import asyncio
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

from ottla.protocol.frames import Buffer

from .echo import Answer, Kept

MOST_BATCHES = 100_000
"""That a reader may be behind, or half as many: far more than a round produces, and some megabytes."""
_BASE_OFFSET = struct.Struct(">q")
_LAST_OFFSET_DELTA = struct.Struct(">i")
_LAST_OFFSET_DELTA_AT = 8 + 4 + 4 + 1 + 4 + 2  # base offset, size, leader epoch, magic, CRC, attributes
_POSITION = itemgetter(1)

Tell = Callable[[Buffer], None]
"""Takes the bytes of what was appended; they are valid until it returns."""


class LeastLog:
    """One partition's; owned by the loop, on which it is made."""

    def __init__(self, path: Path, *, synced: bool) -> None:
        self.end_offset = 0
        self._kept = Kept(str(path), asyncio.get_running_loop(), synced=synced)
        self._bounds = [(0, 0)]  # offset and position between two batches, in front of the first, behind the last
        self._readers: list[Tell] = []

    @property
    def start_offset(self) -> int:
        """Of the oldest record that can still be read."""
        return self._bounds[0][0]

    def append(self, batch: memoryview) -> int:
        """Give one batch its base offset, in place, which is returned; write it, and hand it to those that wait."""
        base_offset = self.end_offset
        _BASE_OFFSET.pack_into(batch, 0, base_offset)
        self.end_offset = base_offset + _LAST_OFFSET_DELTA.unpack_from(batch, _LAST_OFFSET_DELTA_AT)[0] + 1
        bounds = self._bounds
        bounds.append((self.end_offset, self._kept.write(batch) + len(batch)))
        if len(bounds) > MOST_BATCHES + 1:
            del bounds[: MOST_BATCHES // 2]
        if self._readers:
            readers, self._readers = self._readers, []
            for tell in readers:
                tell(batch)
        return base_offset

    def then(self, answer: Answer) -> None:
        """Call it for what was appended last, now or when that is on the disk."""
        self._kept.then(answer)

    def find(self, offset: int, most_bytes: int) -> tuple[int, int]:
        """Where whole batches lie from the one with that record on, and their bytes: what fits, at least one batch.

        Part of a batch at the end, as Apache Kafka sends it, a reader would receive for nothing.  Raises LookupError where
        that record is no longer known.
        """
        bounds = self._bounds
        first = bisect_left(bounds, (offset + 1,)) - 1
        if first < 0:
            raise LookupError(f"a reader at {offset} is behind {self.start_offset}")
        position = bounds[first][1]
        last = bisect_right(bounds, position + most_bytes, first + 1, key=_POSITION) - 1
        return position, bounds[max(last, first + 1)][1] - position

    def read(self, offset: int, most_bytes: int) -> bytes:
        """What `find` finds."""
        return self._kept.read(*self.find(offset, most_bytes))

    def read_into(self, memory: memoryview, position: int) -> None:
        """What was found there, as much as the memory holds."""
        self._kept.read_into(memory, position)

    def clear(self) -> None:
        """Begin anew, at offset 0."""
        self.end_offset = 0
        self._bounds = [(0, 0)]
        self._kept.clear()

    def wait(self, tell: Tell) -> None:
        """Tell a reader at the end of the next batch, once."""
        self._readers.append(tell)

    def forget(self, tell: Tell) -> bool:
        """It waits no longer; whether it did."""
        waited = tell in self._readers
        if waited:
            self._readers.remove(tell)
        return waited
