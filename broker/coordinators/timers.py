"""Deadlines by key, for thousands of sessions that are prolonged all the time.

    start(key, at_ms)      moves the key's deadline, usually to later: one dict entry, nothing in the heap moves
    due(now_ms)            the keys whose deadline has come, in order of time; they are started no more

The heap has one entry per key, at the deadline or earlier. One that comes up too early is put back at the deadline of
now. So a heartbeat costs a dict entry, and a session costs the heap a visit now and then. Pure: the time arrives as an
argument, in whatever unit and from whatever clock the caller uses throughout. Kafka's counterpart: the timing wheel of
`SystemTimer`.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """A set of deadlines. Not for several threads."""

    def __init__(self) -> None:
        self._deadlines: dict[K, int] = {}
        self._queued: dict[K, int] = {}  # when the key's entry in the heap that counts comes up
        self._heap: list[tuple[int, int, K]] = []
        self._count = 0  # tells apart entries of one time, in the order they were made

    def __contains__(self, key: K) -> bool:
        return key in self._deadlines

    def __len__(self) -> int:
        return len(self._deadlines)

    @property
    def heap_size(self) -> int:
        """Entries in the heap; those of cancelled keys stay until their time."""
        return len(self._heap)

    def start(self, key: K, at_ms: int) -> None:
        """From now on the key has this deadline and no other."""
        self._deadlines[key] = at_ms
        queued = self._queued.get(key)
        if queued is None or at_ms < queued:
            self._queue(key, at_ms)

    def cancel(self, key: K) -> None:
        """The key has no deadline; nothing happens if it had none."""
        self._deadlines.pop(key, None)

    def next_at_ms(self) -> int | None:
        """When to ask `due` next: no later than the first deadline. None without deadlines."""
        if not self._deadlines:
            return None
        return self._heap[0][0]

    def due(self, now_ms: int) -> list[K]:
        """The keys whose deadline is not after `now_ms`, earliest first."""
        found: list[K] = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, _, key = heapq.heappop(self._heap)
            if self._queued.get(key) != at_ms:
                continue  # an earlier deadline was set after this entry was made; that one has come up
            del self._queued[key]
            deadline_ms = self._deadlines.get(key)
            if deadline_ms is None:
                continue
            if deadline_ms > at_ms:
                self._queue(key, deadline_ms)
            else:
                del self._deadlines[key]
                found.append(key)
        return found

    def _queue(self, key: K, at_ms: int) -> None:
        self._queued[key] = at_ms
        self._count += 1
        heapq.heappush(self._heap, (at_ms, self._count, key))

    def check(self) -> None:
        """Assert the invariants: every deadline is in the heap, at its time or before."""
        entries = {(key, at_ms) for at_ms, _, key in self._heap}
        for key, deadline_ms in self._deadlines.items():
            assert self._queued[key] <= deadline_ms
            assert (key, self._queued[key]) in entries
