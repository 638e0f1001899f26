"""How fast the cleaner's threads go: slices of work with rests between, no more bytes a second than allowed, and a brake.

Python runs one thread at a time. A thread that computes gives way only after the interpreter's switch interval (5 ms), and a
request gives the interpreter away several times, at every system call: with a cleaner beside it each of these would cost
that long. So a cleaner works a slice and then sleeps for a moment, in which the loop gets what it waits for.

`log.cleaner.io.max.bytes.per.second` holds for all threads together, what is read and what is written. Kafka: `Throttler`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock

from ..storage.compaction.compaction import CompactionAborted, Pace

SLICE_S = 0.0005
REST_S = 0.0001


class Throttle:
    """Hands out bytes at a rate; what was taken too fast is to be waited for. May be used from several threads."""

    __slots__ = ("_free_at", "_guard", "bytes_per_second")

    def __init__(self, bytes_per_second: float) -> None:
        self.bytes_per_second = bytes_per_second
        self._free_at = 0.0
        self._guard = Lock()

    def take(self, size_bytes: int, now: float) -> float:
        """How many seconds to wait for these bytes."""
        with self._guard:
            wait_s = max(0.0, self._free_at - now)
            self._free_at = now + wait_s + size_bytes / self.bytes_per_second
            return wait_s


class CleanerPace(Pace):
    """The pace of one cleaning, which `call_off` ends (any thread)."""

    __slots__ = ("_called_off", "_now", "_sleep", "_slice_ends", "_throttle")

    def __init__(
        self,
        throttle: Throttle,
        *,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._throttle = throttle
        self._now = now
        self._sleep = sleep
        self._slice_ends = 0.0
        self._called_off = Event()

    @property
    def is_called_off(self) -> bool:
        return self._called_off.is_set()

    def call_off(self) -> None:
        """Let the cleaning end at its next rest, wherever it is; it then has changed nothing."""
        self._called_off.set()

    def moved(self, size_bytes: int) -> None:
        """Wait until so many bytes may be read or written. CompactionAborted."""
        wait_s = self._throttle.take(size_bytes, self._now())
        if wait_s:
            self._called_off.wait(wait_s)
        self.rest()

    def rest(self) -> None:
        """Sleep for a moment when a slice is over. CompactionAborted."""
        now = self._now()
        if now < self._slice_ends:
            return
        if self._called_off.is_set():
            raise CompactionAborted
        self._sleep(REST_S)
        self._slice_ends = self._now() + SLICE_S
