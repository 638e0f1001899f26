"""Received bytes as frames, for the relay: a large one is received to its own end, so that nothing behind it is moved."""

from __future__ import annotations

from ottla.protocol.frames import SIZE_BYTES
from ottla.protocol.primitives import INT32

AT_ONCE_BYTES = 1 << 16


class Frames:
    """One connection's: `target`, `received`, `next` until there is none, `make_room`."""

    def __init__(self, at_once_bytes: int = AT_ONCE_BYTES) -> None:
        self._at_once_bytes = self._until = at_once_bytes
        self._view = memoryview(bytearray(at_once_bytes))
        self._start = self._have = 0

    def target(self) -> memoryview:
        """Where to receive next."""
        return self._view[self._have : self._until]

    def received(self, count: int) -> None:
        self._have += count

    def next(self) -> memoryview | None:
        """The next frame that is whole, without its size; it is valid until `make_room`."""
        begin = self._start + SIZE_BYTES
        if self._have < begin:
            return None
        end = begin + INT32.unpack_from(self._view, self._start)[0]
        if self._have < end:
            return None
        self._start = end
        return self._view[begin:end]

    def make_room(self) -> None:
        left = self._have - self._start
        if self._start and left:
            self._view[:left] = self._view[self._start : self._have]
        self._start, self._have = 0, left
        wanted = SIZE_BYTES + INT32.unpack_from(self._view)[0] if left >= SIZE_BYTES else 0
        self._until = max(self._at_once_bytes, wanted)
        if self._until > len(self._view):
            larger = memoryview(bytearray(self._until))
            larger[:left] = self._view[:left]
            self._view = larger
