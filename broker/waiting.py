"""Fetches that wait: each for enough new bytes in its partitions, or for its time to end (Kafka's purgatory).

A wait is registered with the partitions it reads. An append tells each of them how many bytes came; the one that has
enough fires in the loop's next round, once, so that all that is appended in one round is read at once. For a reader of
committed records bytes count once they are decided, which the marker of a transaction does for many at a time. A deadline
always fires. Nothing is polled, and a wait that fired or was cancelled has left every partition.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol


class Waitable(Protocol):
    """Something appends happen to."""

    waits: "set[FetchWait]"


class FetchWait(ABC):
    """One Fetch that waits for `wanted_bytes` more in any of its partitions, or for the deadline; then it fires."""

    __slots__ = ("_committed", "_deadline", "_loop", "_partitions", "_soon", "wanted_bytes")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        partitions: Sequence[Waitable],
        *,
        wanted_bytes: int,
        max_wait_ms: int,
        committed: bool,
    ) -> None:
        self._loop = loop
        self._partitions = partitions
        self._committed = committed
        self._soon: asyncio.Handle | None = None
        self.wanted_bytes = wanted_bytes
        for partition in self._partitions:
            partition.waits.add(self)
        self._deadline = loop.call_later(max_wait_ms / 1000, self._end)

    def appended(self, size_bytes: int, decided_bytes: int, batch: memoryview | None) -> None:
        """In one of the partitions `size_bytes` more can be read, and `decided_bytes` more of committed records.

        `batch` is what was appended, where it is at hand; its bytes are good until this returns.
        """
        self.wanted_bytes -= decided_bytes if self._committed else size_bytes
        if self.wanted_bytes <= 0:
            self.wake()

    def wake(self) -> None:
        """Look again in the loop's next round (enough came, or a partition changed under the wait)."""
        if self._soon is None:
            self._soon = self._loop.call_soon(self._end)

    def cancel(self) -> None:
        """Leave without firing."""
        self._deadline.cancel()
        if self._soon is not None:
            self._soon.cancel()
        for partition in self._partitions:
            partition.waits.discard(self)

    def _end(self) -> None:
        self.cancel()
        self._fire()

    @abstractmethod
    def _fire(self) -> None:
        """Enough came, or the time is over, or a partition changed."""
