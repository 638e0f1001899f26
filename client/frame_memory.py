"""Buffers for large answers, filled again as soon as nobody looks at what was in them.

A consumer in bulk receives answers of a megabyte, one after the other.  Memory of that size that is made afresh is zeroed,
and often comes from the system page by page; that costs as much as receiving into it.  So the last few buffers are kept:

    take ──► a frame: a view of a buffer ──► chunks, batches, columns: views of it ──► all of them gone ──► take

Nobody gives a buffer back, for nobody knows who still looks: a user may keep a batch, or a view of its bytes, for ever.
The buffer knows.  Python refuses to resize a bytearray (BufferError) while a view of it exists, so one that can be
resized is nobody's.  What does not get old by that: a frame is valid as long as anything holds a view of it.

A buffer whose views are kept is in the way of none: it leaves the row when others have come, and lives as long as they.
Pure; one connection's.  The broker's counterpart, where who is done says so, is `broker/receive_memory`.
"""

from __future__ import annotations

from collections import deque

MOST_KEPT = 3
"""The answer that the user reads, the one that waits behind it, and the one that is received."""
LARGEST_KEPT_BYTES = 2 * 1024 * 1024
GRAIN_BYTES = 64 * 1024
"""Buffers are made a little larger than needed, so that the next answer fits, too."""


class FrameMemory:
    """Keeps at most `MOST_KEPT` buffers of at most `LARGEST_KEPT_BYTES`."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[bytearray] = deque(maxlen=MOST_KEPT)  # the one made last is the last

    def take(self, size_bytes: int) -> memoryview:
        """A buffer of exactly so many bytes, which nobody else has a view of; what is in it is nobody's."""
        if size_bytes > LARGEST_KEPT_BYTES:
            return memoryview(bytearray(size_bytes))
        for buffer in self._kept:
            if len(buffer) >= size_bytes and _is_unused(buffer):
                return memoryview(buffer)[:size_bytes]
        made = bytearray(-(-size_bytes // GRAIN_BYTES) * GRAIN_BYTES)
        self._kept.append(made)
        return memoryview(made)[:size_bytes]

    @property
    def kept_bytes(self) -> int:
        """How much is kept, in use or not."""
        return sum(map(len, self._kept))


def _is_unused(buffer: bytearray) -> bool:
    """Whether no view of it exists.  The last byte is taken off and put back, for which nothing is moved."""
    try:
        buffer.append(buffer.pop())
    except BufferError:
        return False
    return True
