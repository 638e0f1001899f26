"""Who waits for room: the senders of a producer whose `buffer_memory` is used up, first come, first served.

    full, or others wait ──► wait ──► something was delivered: wake_next ──► the first goes on, and wakes the next

Whoever leaves the line, also one that was cancelled or has waited for too long, lets the next look; so none is forgotten
when there is room for several.  Kafka's counterpart: `BufferPool`.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .accumulator import Accumulator
from .errors import BufferFull


class Room:
    """The line in front of one accumulator.  Owned by the loop."""

    def __init__(self, accumulator: Accumulator, *, buffer_memory: int, max_block_ms: int) -> None:
        self._accumulator = accumulator
        self._buffer_memory = buffer_memory
        self._max_block_ms = max_block_ms
        self._line: deque[asyncio.Future[None]] = deque()
        self._is_closed = False

    @property
    def is_waited_for(self) -> bool:
        """Somebody stands in line: there is no passing by."""
        return bool(self._line)

    @property
    def is_free(self) -> bool:
        """There is room, and nobody waits for it."""
        return not self._line and self._accumulator.has_room

    async def wait(self) -> None:
        """Stand in line until there is room, or will never be (`close`).  BufferFull if it takes longer than max_block_ms."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(self._max_block_ms / 1000):
                await turn
        except TimeoutError:
            raise BufferFull(
                f"buffer_memory ({self._buffer_memory} bytes) is full, and nothing was delivered within max_block_ms"
                f" ({self._max_block_ms}): is the broker reachable, or are records sent faster than written?"
            ) from None
        finally:
            if turn in self._line:
                self._line.remove(turn)
            self.wake_next()

    def wake_next(self) -> None:
        """Let the first in line go on, if there is room or no hope; it wakes the next."""
        if self._line and (self._accumulator.has_room or self._is_closed):
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)

    def close(self) -> None:
        """Nothing is taken any more: let everybody in line go, to find that out."""
        self._is_closed = True
        self.wake_next()
