"""An event loop in virtual time: when nobody can go on, time moves to the next timer at once.

    run_virtually(scenario())

The real asyncio runs, tasks, timers and futures; only the clock and the waiting are replaced, so an hour of backoffs
takes milliseconds and happens the same way every time.  There are no sockets and no threads in it: everything comes
from timers.  When everybody waits and no timer is set, nothing will ever happen, and that is a failure.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MOST_S = 24 * 3600.0
"""A scenario that needs more virtual time hangs."""


class Deadlock(AssertionError):
    """Everybody waits for ever."""


class _Waiting(selectors.BaseSelector):
    """Knows the loop's own wake-up socket and nothing else; waiting is to move the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, -1, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self.register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("everybody waits, and no timer is set")
        self._loop.pass_time(timeout)
        return []

    def get_map(self) -> Any:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at time 0."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Waiting(self))

    def time(self) -> float:
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        self._now_s += max(0.0, seconds)
        if self._now_s > MOST_S:
            raise Deadlock(f"still not done after {MOST_S:g} s of virtual time")


def run_virtually(scenario: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own; an exception that only the loop's handler hears of is a failure, too."""
    unheard: list[dict[str, Any]] = []
    loop = VirtualLoop()
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    try:
        asyncio.set_event_loop(loop)
        result = loop.run_until_complete(scenario)
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        assert not left, f"tasks are left behind: {left}"
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert not unheard, f"errors nobody heard of: {unheard}"
    return result
