"""What happens by the clock: idle connections, `flush.ms`, retention sweeps, checkpoints.

One task, one tick a second; each duty has its own period. A duty that fails is logged and tried again at its next turn; it
never ends the others. Sweeping ten thousand logs is done a few at a time, so that requests pass in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..protocol.values import dataclass

if TYPE_CHECKING:
    from .app import Broker

TICK_S = 1.0
MOST_UNNOTED_BYTES = 256 * 1024 * 1024
"""A crash leaves the logs to be proven from the checkpoints on: these are written sooner where so much has come since."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Duty:
    """Something to do every `period_s`; `due_at` is a time of the loop's clock."""

    name: str
    period_s: float
    due_at: float
    perform: Callable[[], Awaitable[None]]


class Housekeeping:
    """Owns the task that performs the duties."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        now = broker.loop.time()
        config = broker.config
        checkpoint_s = config.whole("log.flush.offset.checkpoint.interval.ms") / 1000
        self.duties = [
            Duty("connections", TICK_S, now, self._connections),
            Duty("flush.ms", TICK_S, now, self._timed_flushes),
            Duty("checkpoints", checkpoint_s, now + checkpoint_s, self._checkpoints),
            Duty("checkpoints under load", TICK_S, now, self._checkpoints_if_much_came),
            Duty("retention", 0.0, now + self._retention_s, self._retention),
        ]
        self._noted_bytes = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def _retention_s(self) -> float:
        return self._broker.config.whole("log.retention.check.interval.ms") / 1000

    def start(self) -> None:
        """Begin; ends with `close`."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Perform nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        loop = self._broker.loop
        while True:
            await asyncio.sleep(TICK_S)
            for duty in self.duties:
                if duty.due_at <= loop.time():
                    await self._perform(duty)
                    duty.due_at = loop.time() + (duty.period_s or self._retention_s)

    async def _perform(self, duty: Duty) -> None:
        try:
            await duty.perform()
        except Exception:
            log.exception("%s failed; it will be tried again", duty.name)

    async def _connections(self) -> None:
        self._broker.server.tick()

    async def _timed_flushes(self) -> None:
        now_ms = self._broker.clock.now_ms()
        for partition in self._broker.partitions.timed:
            partition.flush_if_due(now_ms)

    async def _checkpoints(self) -> None:
        flushed_bytes = self._broker.flusher.flushed_bytes
        await self._broker.partitions.keep_checkpoints()
        self._noted_bytes = flushed_bytes

    async def _checkpoints_if_much_came(self) -> None:
        if self._broker.flusher.flushed_bytes - self._noted_bytes >= MOST_UNNOTED_BYTES:
            await self._checkpoints()

    async def _retention(self) -> None:
        await self._broker.sweep()
