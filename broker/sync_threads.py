"""Threads that sync: work in, nothing out.

A `ThreadPoolExecutor` makes a future, a work item and a semaphore's dance for each task, which costs as much as all that the
loop does for a group commit. Here a task is an entry in a queue. Threads begin when more tasks than threads are under way,
and stay.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

Task = TypeVar("Task")


class SyncThreads(Generic[Task]):
    """At most `limit` threads, started as they are needed, each of which calls `perform` with a task. Owned by the loop.

    `perform` tells of a task's end, and of its failure, by itself: it does not raise.
    """

    def __init__(self, limit: int, perform: Callable[[Task], None]) -> None:
        self._limit = limit
        self._perform = perform
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, task: Task, *, under_way: int) -> None:
        """Have `task` performed; `under_way` is how many, this one included, have not ended."""
        started = len(self._threads)
        if started < under_way and started < self._limit:
            thread = threading.Thread(target=self._work, name=f"sync_{started}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._tasks.put(task)

    def close(self) -> None:
        """End the threads when what was given is done; waits for them."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _work(self) -> None:
        get, perform = self._tasks.get, self._perform
        while (task := get()) is not None:
            perform(task)
