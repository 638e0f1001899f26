"""The coordinator's table of deadlines (`timers`) under one timer of the loop, which is set to the first of them.

    start, cancel     a deadline, told as a duration; the clock is the loop's, which only goes forward
    open .. close     meanwhile the alarm rings: `ring` is called with each key whose deadline has come, in order of time

An alarm that is too early is harmless: nothing is due, and it is set again. So nothing happens to it when a deadline moves
to later or goes, which is what nearly all of them do all the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .timers import Timers

K = TypeVar("K", bound=Hashable)


class Alarm(Generic[K]):
    """Rings at deadlines. Owned by the loop."""

    def __init__(self, ring: Callable[[K], None]) -> None:
        self._ring = ring
        self._timers: Timers[K] = Timers()
        self._handle: asyncio.TimerHandle | None = None
        self._at_ms = 0
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop

    def open(self) -> None:
        """From now on there are deadlines; on the loop."""
        self._loop = asyncio.get_running_loop()
        self._is_open = True

    def close(self) -> None:
        """No deadline comes any more."""
        self._is_open = False
        if self._handle is not None:
            self._handle.cancel()

    def __contains__(self, key: K) -> bool:
        return key in self._timers

    def start(self, key: K, after_ms: int) -> None:
        """From now on the key has this deadline and no other."""
        self._timers.start(key, self._now_ms() + max(after_ms, 0))
        self._set()

    def cancel(self, key: K) -> None:
        """The key has no deadline; nothing happens if it had none."""
        self._timers.cancel(key)

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def _set(self) -> None:
        at_ms = self._timers.next_at_ms()
        if not self._is_open or at_ms is None or (self._handle is not None and self._at_ms <= at_ms):
            return
        if self._handle is not None:
            self._handle.cancel()
        self._at_ms = at_ms
        self._handle = self._loop.call_at((at_ms + 1) / 1000, self._on_time)

    def _on_time(self) -> None:
        self._handle = None
        try:
            for key in self._timers.due(self._now_ms()):
                self._ring(key)
        finally:
            self._set()

    def check(self) -> None:
        """Assert the invariants."""
        self._timers.check()
