"""Group commit: everything that waits for a log's bytes to reach the disk shares that log's next sync.

    append, append, append ... --> wait(log, end_offset, done)
                                        |  at most one flush of a log is under way
                         begin_flush (loop)  ->  Flush.run (thread)  ->  finish_flush (loop)  ->  done(None)

A flush begins after the loop's present round, so that all the appends of one round share it; what is appended while it
runs waits for the next. Under load a sync is shared by many requests; a lone request pays for one sync and no timer.
Several threads sync several logs at once, because a file system merges the syncs that are under way together. Of all that have
ended when the loop looks it is told by one wake-up.

Whoever gives a deadline is told when it is over, by a timer of the flusher's own: what else happens by the clock may itself be
waiting for the disk that hangs.

A failed sync poisons its log (`finish_flush`): all who wait are told, and nothing is acknowledged any more.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable

from ..storage.log import Flush, Log
from .sync_threads import SyncThreads
from .telling import teller

Done = Callable[[Exception | None], None]
"""Called on the loop: None when the bytes are on the disk, else why they never will be."""

SYNC_THREADS = 8
"""With 20 logs that each want a sync all the time, 8 give more of them than 4, at less processor time for each."""
EXPIRY_PERIOD_S = 1.0
"""How late a deadline may be told."""

_log = logging.getLogger(__name__)


class _Line:
    """Who waits for one log. `waiting` are those that the flush under way may not cover."""

    __slots__ = ("log", "running", "scheduled", "waiting")

    def __init__(self, log: Log) -> None:
        self.log = log
        self.waiting: list[tuple[int, float, Done]] = []  # end offset, deadline, whom to tell
        self.running = False
        self.scheduled = False


_Ran = tuple[_Line, Flush, Exception | None]


class Flusher:
    """Owns the sync threads and the lines; everything but `Flush.run` happens on the loop."""

    def __init__(self, *, expiry_period_s: float = EXPIRY_PERIOD_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._expiry_period_s = expiry_period_s
        self._expiry: asyncio.TimerHandle | None = None  # set while somebody waits with a deadline
        self._threads: SyncThreads[tuple[_Line, Flush]] = SyncThreads(SYNC_THREADS, self._run)
        self._under_way = 0
        self.flushed_bytes = 0
        """What became durable here, ever."""
        self._lines: dict[Log, _Line] = {}
        self._scheduled: list[_Line] = []  # they begin in the loop's next round
        self._ran: deque[_Ran] = deque()  # flushes that have ended and the loop is to hear of
        self._is_told = False  # that there are such: it will look
        self._ended: asyncio.Future[None] | None = None

    def wait(self, log: Log, end_offset: int, done: Done, *, deadline: float = math.inf) -> None:
        """Call `done` when everything before `end_offset` is on the disk or never will be, or at `deadline`.

        The deadline is a time of the loop's clock; it is looked at every second or so.
        """
        line = self._line(log)
        line.waiting.append((end_offset, deadline, done))
        if self._expiry is None and deadline < math.inf:
            self._expire_later()
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
        """Tell those whose deadline is over (TimeoutError): the disk hangs."""
        for line in tuple(self._lines.values()):
            late = [each for each in line.waiting if each[1] <= now]
            if late:
                line.waiting = [each for each in line.waiting if each[1] > now]
                for _, _, done in late:
                    self._isolated(done, TimeoutError(f"{line.log.directory}: the disk has not answered in time"))

    def _expire_later(self) -> None:
        self._expiry = self._loop.call_later(self._expiry_period_s, self._expire_now)

    def _expire_now(self) -> None:
        self._expiry = None
        self.expire(self._loop.time())
        if self._expiry is None and any(each[1] < math.inf for line in self._lines.values() for each in line.waiting):
            self._expire_later()

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
        if self._expiry is not None:
            self._expiry.cancel()
        self._threads.close()

    def _line(self, log: Log) -> _Line:
        line = self._lines.get(log)
        if line is None:
            line = self._lines[log] = _Line(log)
        return line

    def _schedule(self, line: _Line) -> None:
        if not line.running and not line.scheduled:
            line.scheduled = True
            self._scheduled.append(line)
            if len(self._scheduled) == 1:
                self._loop.call_soon(self._begin_all)

    def _begin_all(self) -> None:
        scheduled, self._scheduled = self._scheduled, []
        for line in scheduled:
            self._isolated(self._begin, line)

    def _begin(self, line: _Line) -> None:
        line.scheduled = False
        flush = line.log.begin_flush()
        if flush is None:
            poisoned = line.log.poisoned
            self._tell(line, line.log.log_end_offset, None if poisoned is None else poisoned.again())
            return
        line.running = True
        self._under_way += 1
        self._threads.run((line, flush), under_way=self._under_way)

    def _run(self, task: tuple[_Line, Flush]) -> None:
        """In a sync thread."""
        line, flush = task
        try:
            flush.run()
        except Exception as failed:  # noqa: BLE001 - whatever it was, the log must not be believed, and the loop must hear
            # No name of this frame keeps it, for it holds the frames, and they hold what was open.
            self._has_run(line, flush, failed)
        else:
            self._has_run(line, flush, None)

    def _has_run(self, line: _Line, flush: Flush, error: Exception | None) -> None:
        """In a sync thread: let the loop hear of it."""
        # Waking the loop is a system call: one for all that end before it looks. Whoever finds `_is_told` set has put his end
        # in front of its being cleared, which is in front of the look.
        self._ran.append((line, flush, error))
        if not self._is_told:
            self._is_told = True
            self._loop.call_soon_threadsafe(self._finish_all)

    def _finish_all(self) -> None:
        self._is_told = False
        while self._ran:
            self._isolated(self._finish, *self._ran.popleft())

    def _finish(self, line: _Line, flush: Flush, error: Exception | None) -> None:
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
                self._isolated(each[2], error)
        if line.waiting:
            self._schedule(line)
        elif not line.scheduled:
            del self._lines[line.log]
            if self._ended is not None:
                self._ended.set_result(None)
                self._ended = None

    def _isolated(self, step: Callable[..., None], *args: object) -> None:
        """Take a step; a bug in it is told as asyncio tells of one in a call of its own, and is no concern of the next."""
        try:
            step(*args)
        except Exception as bug:  # noqa: BLE001 - it is told
            self._loop.call_exception_handler({"message": f"a step of the flusher failed: {step}", "exception": bug})
