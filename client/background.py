"""One event loop in a thread of its own, for those who have none: `ottla.sync` stands on it.

    background().run(coroutine)          # from any thread; returns what the coroutine returns, or raises what it raises

It is made at the first use, shared by the whole process, and ends with it (a daemon thread).  A caller that is
interrupted (Ctrl-C) cancels what it waits for.  After a fork the child has no such thread, and makes its own; what was
made before the fork says so instead of waiting for ever.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """A running loop, to give coroutines to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="ottla.sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    @property
    def is_running(self) -> bool:
        """Not in the child of a fork, where its thread is not."""
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """What the coroutine returns.  TimeoutError, and it is cancelled, when it takes longer than `timeout_s`.

        RuntimeError when it is called in the loop's own thread, which would wait for itself, or after a fork.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("ottla.sync waits, so it cannot be used in a callback of its own loop")
        if not self.is_running:
            work.close()
            raise RuntimeError("this client of ottla.sync was made before a fork; make one in each process")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()
            raise


_making = threading.Lock()
"""Many threads may be the first: `cache` alone would let each make a loop, and what one loop gives no other can await."""


def background() -> BackgroundLoop:
    """The one of this process."""
    with _making:
        return _made()


@cache
def _made() -> BackgroundLoop:
    return BackgroundLoop()


def _forget() -> None:
    _made.cache_clear()
    _making.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_forget)
