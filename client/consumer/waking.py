"""A wake-up call between tasks: `set` wakes whoever waits, and is remembered until the next `clear`."""

from __future__ import annotations

import asyncio
import logging

log = logging.getLogger(__name__)


class Wake:
    """An event that can be waited for with a time limit, and by many."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it was set within the time."""
        if self._event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


def ended(task: asyncio.Task[None]) -> None:
    """For tasks that end only when they are cancelled: say loudly when one ends otherwise, which is a bug of ours."""
    if not task.cancelled() and task.exception() is not None:
        log.error("the task %s ended", task.get_name(), exc_info=task.exception())
