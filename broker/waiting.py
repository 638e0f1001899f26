"""Fetches that wait: each for enough new bytes in its partitions, or for its time to end (Kafka's purgatory).

    begin --> in the partitions' `waits` --append--> enough? --> due --> fires, having left everything
         |                                                        ^
         +--> in line with those who wait as long --time is over--+

An append tells each wait of its partition how many bytes came; for a reader of committed records bytes count once they are
decided, which the marker of a transaction does for many at a time.  What is due fires in the loop's next round, once, so that
all that is appended in one round is read at once.  A request that came alone is all that its round appends: the one reader
that it makes due is answered at once, in front of the producer.  Several are left for the next round, for no producer shall
wait for all of them.

Times end in lines: those who wait equally long stand in one, in the order in which they came, which is that in which their
times end.  So a line needs one timer, for its first, and a wait that is over before its time, as nearly all are, costs none.

Nothing is polled, and a wait that fired or was cancelled has left its partitions and its line.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Protocol

MOST_IDLE_LINES = 16
"""Lines in which nobody stands, and which keep their place; clients may think of any number of times to wait."""
TIMER_S = 0.001
"""By how much a loop's timer may be early."""

log = logging.getLogger(__name__)


class Waitable(Protocol):
    """Something appends happen to."""

    waits: set[FetchWait]


class Purgatory:
    """Who is due, and whose time ends when. Owned by the loop.

    `is_alone`: a request that came alone is being served.  Whoever says so says when it is served, too, and then calls
    `release` if anybody is `due`.
    """

    __slots__ = ("_loop", "due", "is_alone", "lines")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.due: deque[FetchWait] = deque()
        self.lines: dict[int, Line] = {}
        self.is_alone = False

    def make_due(self, wait: FetchWait) -> None:
        """Let it fire soon."""
        self.due.append(wait)
        if len(self.due) == 1 and not self.is_alone:
            self._loop.call_soon(self._fire)

    def release(self) -> None:
        """See to those that a request alone made due."""
        if len(self.due) == 1:
            self._fire()
        else:
            self._loop.call_soon(self._fire)

    def forget(self, wait: FetchWait) -> None:
        """If it is due, it is not to fire."""
        if wait in self.due:
            self.due.remove(wait)

    def _fire(self) -> None:
        due = self.due
        while due:
            wait = due.popleft()
            try:
                wait.fire()
            except Exception:  # a bug of ours ends the connection of the reader, and no other
                log.exception("a Fetch that waited failed in the broker")
                wait.fail()

    def line(self, max_wait_ms: int) -> Line:
        """A line for those who wait so long; there is none."""
        line = self.lines[max_wait_ms] = Line(self._loop, max_wait_ms)
        return line

    def tidy(self, line: Line) -> None:
        """Nobody stands in it any more, and there are many."""
        line.close()
        del self.lines[line.max_wait_ms]


class Line:
    """Those who wait equally long, in the order in which their times end, and one timer, which may ring for one that left."""

    __slots__ = ("_loop", "_timer", "ends", "max_wait_ms")

    def __init__(self, loop: asyncio.AbstractEventLoop, max_wait_ms: int) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.max_wait_ms = max_wait_ms
        self.ends: dict[FetchWait, float] = {}

    def stand(self, wait: FetchWait) -> None:
        """At the end of the line."""
        self.ends[wait] = end = self._loop.time() + self.max_wait_ms / 1000
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._ring)

    def close(self) -> None:
        """It is not needed any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time() + TIMER_S
        for wait, end in self.ends.items():
            if end > now:
                self._timer = self._loop.call_at(end, self._ring)
                break
            wait.wake()


class FetchWait(ABC):
    """One Fetch that waits for `wanted_bytes` more in any of its partitions, or for its time to end; then it fires.

    It may `begin` again once it has fired.
    """

    __slots__ = ("_committed", "_is_over", "_line", "_partitions", "_purgatory", "wanted_bytes")

    def __init__(self, purgatory: Purgatory, *, committed: bool) -> None:
        self._purgatory = purgatory
        self._committed = committed
        self._is_over = True  # it is due, has fired or was cancelled
        self._partitions: Sequence[Waitable] = ()
        self._line: Line
        self.wanted_bytes = 0

    def begin(self, partitions: Sequence[Waitable], wanted_bytes: int, max_wait_ms: int) -> None:
        """Wait, from now on."""
        self._is_over = False
        self._partitions = partitions
        self.wanted_bytes = wanted_bytes
        for partition in partitions:
            partition.waits.add(self)
        purgatory = self._purgatory
        self._line = line = purgatory.lines.get(max_wait_ms) or purgatory.line(max_wait_ms)
        line.stand(self)

    def appended(self, size_bytes: int, decided_bytes: int, batch: memoryview | None) -> None:
        """In one of the partitions `size_bytes` more can be read, and `decided_bytes` more of committed records.

        `batch` is what was appended, where it is at hand; its bytes are good until this returns.
        """
        self.wanted_bytes -= decided_bytes if self._committed else size_bytes
        if self.wanted_bytes <= 0:
            self.wake()

    def wake(self) -> None:
        """Fire soon (enough came, the time is over, or a partition changed under the wait)."""
        if not self._is_over:
            self._is_over = True
            self._purgatory.make_due(self)

    def cancel(self) -> None:
        """Leave without firing."""
        if self._is_over:
            self._purgatory.forget(self)
        self._is_over = True
        self._leave()

    def fire(self) -> None:
        """Leave, and answer: it is due."""
        self._leave()
        self._fire()

    def _leave(self) -> None:
        line = self._line
        if line.ends.pop(self, None) is None:
            return  # it has left before: it fired, and then its connection ended
        for partition in self._partitions:
            partition.waits.discard(self)
        if not line.ends and len(self._purgatory.lines) > MOST_IDLE_LINES:
            self._purgatory.tidy(line)

    @abstractmethod
    def _fire(self) -> None:
        """Enough came, or the time is over, or a partition changed."""

    @abstractmethod
    def fail(self) -> None:
        """Answering failed in a way that nobody expected: end the reader's connection."""
