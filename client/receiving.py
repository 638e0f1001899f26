"""Cutting what a broker sends into frames, at most one copy each.

    get_buffer() ──► the socket fills it ──► received(n, take) ──► take(frame) for each that is whole

Small answers are read many at a time into one scratch buffer and copied out as bytes.  Once the size of a frame is
known that does not fit there, a buffer of that size is taken (`spare_buffers`), and the socket fills it directly: a
megabyte of records is never copied.  A frame stays as it is for as long as anybody holds it, or a view of it.

Pure: whoever owns the socket calls.  Bytes may come cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.frames import SIZE_BYTES, frame_size
from ..protocol.spare_buffers import SpareBuffers

SCRATCH_BYTES = 64 * 1024
MOST_SPARES = 3
"""The answer that the user reads, the one that waits behind it, and the one that is received."""
LARGEST_SPARE_BYTES = 5 * 1024 * 1024

Frame = bytes | memoryview
"""A whole answer behind its size; nobody writes to it any more."""


class FrameReceiver:
    """Takes bytes, gives frames.  `max_bytes` bounds a frame: a larger one is garbage, and MalformedMessage."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._scratch = bytearray(SCRATCH_BYTES)
        self._view = memoryview(self._scratch)
        self._start = 0  # of what is not yet given, in the scratch buffer
        self._end = 0
        self._spares = SpareBuffers(most=MOST_SPARES, largest_bytes=LARGEST_SPARE_BYTES)
        self._large: memoryview | None = None
        self._filled = 0  # bytes of the large frame that are there

    @property
    def has_begun_large(self) -> bool:
        """Whether what comes next belongs to a large frame, whose buffer is there."""
        return self._large is not None

    def get_buffer(self) -> memoryview:
        """Where the next bytes are to go; never empty."""
        if self._large is not None:
            return self._large[self._filled :]
        return self._view[self._end :]

    def received(self, count: int, take: Callable[[Frame], None]) -> None:
        """Note that `count` bytes were written into the buffer, and hand over the frames that are now whole, in order.

        MalformedMessage where a size cannot be; what came whole before it is handed over.
        """
        if self._large is not None:
            self._filled += count
            if self._filled == len(self._large):
                whole, self._large = self._large, None
                take(whole)
            return
        self._end += count
        self._cut(take)
        self._make_room()

    def _cut(self, take: Callable[[Frame], None]) -> None:
        """Take all whole frames out of the scratch buffer; what is left begins at `_start`."""
        view = self._view[: self._end]
        while (size := frame_size(view, self._start, max_bytes=self._max_bytes)) is not None:
            begin = self._start + SIZE_BYTES
            if begin + size <= self._end:
                self._start = begin + size
                take(bytes(view[begin : begin + size]))
            elif SIZE_BYTES + size > SCRATCH_BYTES:
                self._begin_large(size, view[begin:])
                return
            else:
                return

    def _begin_large(self, size: int, there: memoryview) -> None:
        self._large = self._spares.take(size)
        self._large[: len(there)] = there
        self._filled = len(there)
        self._start = self._end = 0

    def _make_room(self) -> None:
        """Move the rest, less than a frame that fits, to the front."""
        if self._start:
            rest = self._end - self._start
            self._scratch[:rest] = self._scratch[self._start : self._end]
            self._start, self._end = 0, rest
