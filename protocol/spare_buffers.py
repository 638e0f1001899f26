"""Large buffers that are filled again as soon as nobody looks at what was in them.

A consumer in bulk receives answers of a megabyte, one after the other, and its broker reads them from files in large chunks.
Memory of that size that is made afresh is zeroed, and often comes from the system page by page; that costs as much as
receiving into it.  So the last few buffers are kept:

    take ──► a view of a buffer ──► whoever was given it, and views of views ──► all of them gone ──► take

Nobody gives a buffer back, for nobody knows who still looks: a user may keep a batch for ever, a transport what it could not
send.  The buffer knows.  Python refuses to resize a bytearray (BufferError) while a view of it exists, so one that can be
resized is nobody's.  A buffer whose views are kept is in the way of none: it leaves the row when others have come, and
lives as long as they.

Pure, and for one thread: between the look and the view that is handed out nobody else may take.  Where who is done says so,
`broker/receive_memory` is simpler.
"""

from __future__ import annotations

from collections import deque

GRAIN_BYTES = 64 * 1024
"""Buffers are made a little larger than needed, so that what comes next fits, too."""


class SpareBuffers:
    """Keeps at most `most` buffers of at most `largest_bytes`."""

    __slots__ = ("_kept", "_largest_bytes")

    def __init__(self, *, most: int, largest_bytes: int) -> None:
        self._kept: deque[bytearray] = deque(maxlen=most)  # the one made last is the last
        self._largest_bytes = largest_bytes

    def take(self, size_bytes: int) -> memoryview:
        """A buffer of exactly so many bytes, which nobody else has a view of; what is in it is nobody's."""
        if not 0 < size_bytes <= self._largest_bytes:  # whether somebody looks at an empty one cannot be told
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
