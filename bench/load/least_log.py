"""The least that a partition's log can be: a file, the offset behind its last record, and where its last batches lie."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ottla.protocol.frames import Buffer

from .echo import Answer, Kept

MOST_BATCHES = 1000
"""That a reader may be behind."""
_BASE_OFFSET = struct.Struct(">q")
_LAST_OFFSET_DELTA = struct.Struct(">i")
_LAST_OFFSET_DELTA_AT = 8 + 4 + 4 + 1 + 4 + 2  # base offset, size, leader epoch, magic, CRC, attributes

Tell = Callable[[Buffer], None]
"""Takes the bytes of what was appended; they are valid until it returns."""


class LeastLog:
    """One partition's; owned by the loop, on which it is made."""

    def __init__(self, path: Path, *, synced: bool) -> None:
        self.end_offset = 0
        self._kept = Kept(str(path), asyncio.get_running_loop(), synced=synced)
        self._batches: deque[tuple[int, int]] = deque(maxlen=MOST_BATCHES)  # base offset, position
        self._readers: list[Tell] = []

    @property
    def start_offset(self) -> int:
        """Of the oldest record that can still be read."""
        return self._batches[0][0] if self._batches else 0

    def append(self, batch: memoryview) -> int:
        """Give one batch its base offset, in place, which is returned; write it, and hand it to those that wait."""
        base_offset = self.end_offset
        _BASE_OFFSET.pack_into(batch, 0, base_offset)
        self.end_offset += _LAST_OFFSET_DELTA.unpack_from(batch, _LAST_OFFSET_DELTA_AT)[0] + 1
        self._batches.append((base_offset, self._kept.write(batch)))
        if self._readers:
            readers, self._readers = self._readers, []
            for tell in readers:
                tell(batch)
        return base_offset

    def then(self, answer: Answer) -> None:
        """Call it for what was appended last, now or when that is on the disk."""
        self._kept.then(answer)

    def read(self, offset: int, most_bytes: int) -> bytes:
        """From the batch with that record on; LookupError where that is no longer known."""
        for base_offset, position in reversed(self._batches):
            if base_offset <= offset:
                return self._kept.read(position, most_bytes)
        raise LookupError(f"a reader at {offset} is behind {self.start_offset}")

    def wait(self, tell: Tell) -> None:
        """Tell a reader at the end of the next batch, once."""
        self._readers.append(tell)

    def forget(self, tell: Tell) -> None:
        """It waits no longer, if it did."""
        if tell in self._readers:
            self._readers.remove(tell)
