"""Group commit: everything that waits for a log's bytes to reach the disk shares that log's next sync.

    append, append, append ... --> wait(log, end_offset, done)
                                        |  at most one flush of a log is under way
                         begin_flush (loop)  ->  Flush.run (thread)  ->  finish_flush (loop)  ->  done(None)

A flush begins after the loop's present round, so that all the appends of one round share it; what is appended while it
runs waits for the next. Under load a sync is shared by many requests; a lone request pays for one sync and no timer.
Several threads sync several logs at once, because a file system merges the syncs that are under way together.

A failed sync poisons its log (`finish_flush`): all who wait are told, and nothing is acknowledged any more.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable

from ..storage.log import Flush, Log
from .sync_threads import SyncThreads
from .telling import teller

Done = Callable[[Exception | None], None]
"""Called on the loop: None when the bytes are on the disk, else why they never will be."""

SYNC_THREADS = 4

_log = logging.getLogger(__name__)


class _Line:
    """Who waits for one log. `waiting` are those that the flush under way may not cover."""

    __slots__ = ("log", "running", "scheduled", "waiting")

    def __init__(self, log: Log) -> None:
        self.log = log
        self.waiting: list[tuple[int, float, Done]] = []  # end offset, deadline, whom to tell
        self.running = False
        self.scheduled = False


class Flusher:
    """Owns the sync threads and the lines; everything but `Flush.run` happens on the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads: SyncThreads[tuple[_Line, Flush]] = SyncThreads(SYNC_THREADS, self._run)
        self._under_way = 0
        self.flushed_bytes = 0
        """What became durable here, ever."""
        self._lines: dict[Log, _Line] = {}
        self._ended: asyncio.Future[None] | None = None

    def wait(self, log: Log, end_offset: int, done: Done, *, deadline: float = math.inf) -> None:
        """Call `done` when everything before `end_offset` is on the disk or never will be, or at `deadline`.

        The deadline is a time of the loop's clock; it is looked at by `expire`.
        """
        line = self._line(log)
        line.waiting.append((end_offset, deadline, done))
        self._schedule(line)

    def flush_soon(self, log: Log) -> None:
        """Sync in the background; nobody waits."""
        self._schedule(self._line(log))

    async def flush(self, log: Log) -> None:
        """Return when everything appended so far is on the disk; raise what the sync raised."""
        future: asyncio.Future[None] = self._loop.create_future()
        self.wait(log, log.log_end_offset, teller(future))
        await future

    def expire(self, now: float) -> None:
        """Tell those whose deadline is over (TimeoutError); called every second or so, for a disk that hangs."""
        for line in tuple(self._lines.values()):
            late = [each for each in line.waiting if each[1] <= now]
            if late:
                line.waiting = [each for each in line.waiting if each[1] > now]
                for _, _, done in late:
                    done(TimeoutError(f"{line.log.directory}: the disk has not answered in time"))

    async def settled(self) -> None:
        """Return when no flush is wanted or under way."""
        while self._lines:
            await self._next_end()

    async def _next_end(self) -> None:
        """Return when another log has nothing more to sync."""
        self._ended = self._ended or self._loop.create_future()
        await asyncio.shield(self._ended)

    async def settled_of(self, logs: Iterable[Log]) -> None:
        """Return when no flush of these logs is wanted or under way."""
        while any(log in self._lines for log in logs):
            await self._next_end()

    async def close(self) -> None:
        """Finish what is wanted, then end the threads."""
        await self.settled()
        self._threads.close()

    def _line(self, log: Log) -> _Line:
        line = self._lines.get(log)
        if line is None:
            line = self._lines[log] = _Line(log)
        return line

    def _schedule(self, line: _Line) -> None:
        if not line.running and not line.scheduled:
            line.scheduled = True
            self._loop.call_soon(self._begin, line)

    def _begin(self, line: _Line) -> None:
        line.scheduled = False
        flush = line.log.begin_flush()
        if flush is None:
            self._tell(line, line.log.log_end_offset, line.log.poisoned)
            return
        line.running = True
        self._under_way += 1
        self._threads.run((line, flush), under_way=self._under_way)

    def _run(self, task: tuple[_Line, Flush]) -> None:
        """In a sync thread."""
        line, flush = task
        error: Exception | None = None
        try:
            flush.run()
        except Exception as failed:  # noqa: BLE001 - whatever it was, the log must not be believed, and the loop must hear
            error = failed
        self._loop.call_soon_threadsafe(self._ran, line, flush, error)

    def _ran(self, line: _Line, flush: Flush, error: Exception | None) -> None:
        line.running = False
        self._under_way -= 1
        self.flushed_bytes += line.log.finish_flush(flush, error)
        if error is not None and line.log.poisoned is None:
            _log.warning("%s: a flush found no room and will be tried again: %s", line.log.directory, error)
        self._tell(line, flush.end_offset, error)

    def _tell(self, line: _Line, end_offset: int, error: Exception | None) -> None:
        """Answer those that are covered (after an error: all); begin again for the others."""
        waiting, line.waiting = line.waiting, []
        for each in waiting:
            if error is None and each[0] > end_offset:
                line.waiting.append(each)
            else:
                each[2](error)
        if line.waiting:
            self._schedule(line)
        elif not line.scheduled:
            del self._lines[line.log]
            if self._ended is not None:
                self._ended.set_result(None)
                self._ended = None
