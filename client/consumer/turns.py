"""The loop's turns while a user takes records that are there already, one after the other, and never waits.

Nothing of that gives the loop its turn by itself: all that was fetched, some megabytes, would be handed out before any
other task of the application had one, and before the group's next heartbeat.  So, once in a while, asking for a record
waits for one round of the loop.
"""

from __future__ import annotations

import asyncio

EVERY_S = 0.01
RECORDS_PER_LOOK = 32
"""The clock is looked at after so many records: a look costs about what handing out one of them does."""


class Turns:
    """Says when one is due, and gives it.  Owned by the loop."""

    def __init__(self) -> None:
        self._due_s = 0.0

    @property
    def is_due(self) -> bool:
        return asyncio.get_running_loop().time() >= self._due_s

    async def give(self) -> None:
        """Return when everything that is ready has run."""
        await asyncio.sleep(0)
        self._due_s = asyncio.get_running_loop().time() + EVERY_S
