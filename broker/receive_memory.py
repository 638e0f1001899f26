"""Where requests are received: one buffer that all connections share, and a spare for one that outgrows it.

A producer in bulk sends requests of a megabyte, one after the other.  Memory of that size comes from the system and goes
back to it, page by page, each of which is zeroed and entered on its first touch; that costs more than receiving into it.
So the last such buffer is kept for the next request.
"""

from __future__ import annotations

SHARED_BYTES = 256 * 1024
SMALLEST_SPARE_BYTES = 128 * 1024  # below that the allocator keeps memory by itself
LARGEST_SPARE_BYTES = 2 * 1024 * 1024
GRAIN_BYTES = 64 * 1024  # large buffers are a little larger than needed, so that the next request fits, too


class ReceiveMemory:
    """The buffers of one process; owned by the loop."""

    __slots__ = ("_spare", "shared")

    def __init__(self, shared_bytes: int = SHARED_BYTES) -> None:
        self.shared = memoryview(bytearray(shared_bytes))
        self._spare: bytearray | None = None

    def take(self, capacity: int) -> memoryview:
        """A buffer of exactly so many bytes; what is in it is nobody's."""
        if capacity < SMALLEST_SPARE_BYTES:
            return memoryview(bytearray(capacity))
        spare = self._spare
        if spare is not None and len(spare) >= capacity:
            self._spare = None
        else:
            spare = bytearray(-(-capacity // GRAIN_BYTES) * GRAIN_BYTES)
        return memoryview(spare)[:capacity]

    def give_back(self, buffer: memoryview) -> None:
        """Its owner is done with it: the largest that is not too large is kept."""
        whole = buffer.obj
        assert isinstance(whole, bytearray)
        if SMALLEST_SPARE_BYTES <= len(whole) <= LARGEST_SPARE_BYTES and len(whole) > len(self._spare or b""):
            self._spare = whole
