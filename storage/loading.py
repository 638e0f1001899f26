"""Opening, and closing, all logs of a directory: they are handed to a few threads, outcomes come back to the caller.

A log that fails to open (its disk fails, or something in it cannot be) does not keep the others from opening: it is
reported under `failed`, and the broker answers for it with an error. Threads help where opening waits for the
disk, after a crash above all, when every log's tail is read; where everything is in memory one thread
is as good, and Python would only pass the interpreter back and forth.
"""

from __future__ import annotations

import gc
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from typing import NamedTuple

from ..protocol.errors import KafkaError
from ..protocol.values import dataclass, field
from .directory_names import TopicPartition
from .log import Log
from .recovery import RecoveryReport


class LoadProgress(NamedTuple):
    """How far loading has come: logs opened of how many, and bytes of log scanned so far."""

    opened_count: int
    total_count: int
    scanned_bytes: int


@dataclass(slots=True)
class LoadReport:
    """What loading a directory found and did."""

    clean: bool  # the directory was closed cleanly: no log was recovered
    recovered: dict[TopicPartition, RecoveryReport] = field(default_factory=dict)  # where there is something to tell
    failed: dict[TopicPartition, str] = field(default_factory=dict)  # could not be opened, and why
    set_aside: list[str] = field(default_factory=list)  # folders of strays and of unfinished moves, left alone
    notes: list[str] = field(default_factory=list)
    scanned_bytes: int = 0

    def lines(self) -> list[str]:
        """The report for a person, one finding a line."""
        said = list(self.notes)
        said += [f"{name}: left alone" for name in self.set_aside]
        for partition, report in self.recovered.items():
            said += [f"{partition}: {line}" for line in report.lines()]
        return said + [f"{partition}: cannot be opened: {why}" for partition, why in self.failed.items()]


class Task(NamedTuple):
    """A log to open. `open` is told whom to tell of scanned bytes."""

    partition: TopicPartition
    open: Callable[[Callable[[int], None]], Log]


class Outcome(NamedTuple):
    """A log that was opened, or why not."""

    partition: TopicPartition
    log: Log | None
    error: Exception | None


def open_all(
    tasks: Sequence[Task], *, threads: int, on_progress: Callable[[LoadProgress], None] | None = None
) -> tuple[list[Outcome], int]:
    """Open every log, and return the outcomes in the order of the tasks, and how many bytes were scanned.

    `on_progress` is called in the caller's thread, after each log and now and then while one is scanned.
    """
    with _collector_paused():
        if threads <= 1 or len(tasks) <= 1:
            return _open_here(tasks, on_progress or _ignore)
        return _open_in_threads(tasks, min(threads, len(tasks)), on_progress or _ignore)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """All that loading makes will stay; the garbage collector would look through it again and again for nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _open_here(tasks: Sequence[Task], on_progress: Callable[[LoadProgress], None]) -> tuple[list[Outcome], int]:
    outcomes: list[Outcome] = []
    scanned_bytes = 0

    def note(count_bytes: int) -> None:
        nonlocal scanned_bytes
        scanned_bytes += count_bytes
        on_progress(LoadProgress(len(outcomes), len(tasks), scanned_bytes))

    for task in tasks:
        outcomes.append(_open_one(task, note))
        on_progress(LoadProgress(len(outcomes), len(tasks), scanned_bytes))
    return outcomes, scanned_bytes


def _open_in_threads(
    tasks: Sequence[Task], threads: int, on_progress: Callable[[LoadProgress], None]
) -> tuple[list[Outcome], int]:
    waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    news: queue.SimpleQueue[Outcome | int | BaseException] = queue.SimpleQueue()
    for task in (*tasks, *[None] * threads):
        waiting.put(task)
    workers = [Thread(target=_work, args=(waiting, news), name=f"loading-{n}", daemon=True) for n in range(threads)]
    for worker in workers:
        worker.start()
    outcomes: dict[TopicPartition, Outcome] = {}
    scanned_bytes = 0
    while len(outcomes) < len(tasks):
        item = news.get()
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, int):
            scanned_bytes += item
        else:
            outcomes[item.partition] = item
        on_progress(LoadProgress(len(outcomes), len(tasks), scanned_bytes))
    for worker in workers:
        worker.join()
    return [outcomes[each.partition] for each in tasks], scanned_bytes


def _work(waiting: queue.SimpleQueue[Task | None], news: queue.SimpleQueue[Outcome | int | BaseException]) -> None:
    try:
        while (task := waiting.get()) is not None:
            news.put(_open_one(task, news.put))
    except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
        news.put(error)


def _open_one(task: Task, on_bytes: Callable[[int], None]) -> Outcome:
    try:
        return Outcome(task.partition, task.open(on_bytes), None)
    except Exception as error:  # noqa: BLE001 - one log that cannot be opened must not hide the others
        return Outcome(task.partition, None, error)


def close_all(logs: Sequence[Log], *, threads: int) -> list[tuple[Log, Exception]]:
    """Close every log, which makes it durable, and return those that could not be made so, and why."""
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="closing") as pool:
        errors = pool.map(_close_one, logs)
        return [(log, error) for log, error in zip(logs, errors, strict=True) if error is not None]


def _close_one(log: Log) -> Exception | None:
    try:
        log.close()
    except (OSError, KafkaError) as error:
        return error
    return None


def _ignore(_progress: LoadProgress) -> None:
    """Nobody watches."""
