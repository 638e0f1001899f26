"""What a load costs its own process: all of its threads, and the one that used most, whose time ends before the machine's does.

A client that has several threads is at its limit when one of them never rests, whatever the others do; and when all of them
together use every processor.  A thread's time is the first figure of `/proc/self/task/<id>/schedstat`, on the processor, in
nanoseconds; that of one that ends meanwhile is counted in the sum only.  Waiting for a processor is not counted: whoever
takes it, the broker or the machine's other work, could take less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

THREADS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor seconds of this process within `seconds`; those of its busiest thread are None where nobody tells."""

    seconds: float
    all_s: float
    busiest_s: float | None

    def share(self, processors: int) -> float | None:
        """Of the time there was, what this process needed at least, 0 to 1: with 1 no broker could be faster."""
        if self.busiest_s is None:
            return None
        return max(self.busiest_s, self.all_s / processors) / self.seconds


class SpendWatch:
    """Runs from when it is made."""

    def __init__(self, threads: Path = THREADS) -> None:
        self._threads = threads
        self._by_thread = dict(_by_thread(threads))
        self._all_s = time.process_time()
        self._clock_s = time.perf_counter()

    def spent(self) -> Spent:
        seconds = time.perf_counter() - self._clock_s
        all_s = time.process_time() - self._all_s
        used = [now - self._by_thread.get(name, 0.0) for name, now in _by_thread(self._threads)]
        return Spent(seconds, all_s, max(used, default=None))


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _by_thread(threads: Path) -> Iterator[tuple[str, float]]:
    """Name and seconds of each that is there; one may end while this looks."""
    for schedstat in threads.glob("*/schedstat"):
        try:
            on_processor_ns = int(schedstat.read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield schedstat.parent.name, on_processor_ns / 1e9
