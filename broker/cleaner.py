"""Compaction in the background: which log, when, and the steps of its cleaning between the loop and a thread.

    wait `log.cleaner.backoff.ms`  <-  nothing is due  <-  choose the dirtiest log  ->  flush, checkpoint, clean, checkpoint
                                                                 ^                                                  |
                                                                 +--------------------------------------------------+

As many workers as `log.cleaner.threads`, each a task of the loop with a thread of its own. What changes a log happens on the
loop (`storage.compaction.owner`), what takes time in the thread, in slices that leave the loop room (`cleaner_pace`).

Before a log is cleaned it is flushed, and the checkpoint of recovery points is written: then a crash finds every gap that
cleaning left in front of the recovery point, and nothing is removed for the sake of a record that might yet be lost.

A topic that is deleted, and the broker's stop, call the cleaning off (`let_go`, `close`). A log that cannot be read is
left alone until the next start, as in Kafka; a disk that is full is tried again. Kafka's class: `LogCleaner`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from ..protocol.errors import KafkaError, MalformedMessage
from ..protocol.values import dataclass, field
from ..storage.compaction.choice import Cleanable, cleanable
from ..storage.compaction.compaction import Compaction, CompactionAborted, LogDamaged
from ..storage.compaction.replacement import HalfReplaced
from ..storage.files import FileClosed
from ..storage.log import Log
from .cleaner_pace import CleanerPace, Throttle
from .cleaner_settings import CleanerSettings
from .clock import Clock
from .config import BrokerConfig
from .flusher import Flusher
from .partitions import Partitions

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    """One log that is being cleaned."""

    log: Log
    pace: CleanerPace
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Cleaner:
    """Owns the workers and their threads. Everything but the steps themselves happens on the loop."""

    def __init__(
        self, partitions: Partitions, flusher: Flusher, *, config: Callable[[], BrokerConfig], clock: Clock
    ) -> None:
        self._partitions = partitions
        self._flusher = flusher
        self._config = config
        self._clock = clock
        self._settings = CleanerSettings.of(config())
        self._throttle = Throttle(self._settings.bytes_per_second)
        self._workers: dict[int, asyncio.Task[None]] = {}
        self._jobs: dict[Log, _Job] = {}
        self._unreadable: set[Log] = set()
        self._choosing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._started = self._closed = False

    # --- its life

    def start(self) -> None:
        """Begin; ends with `close`."""
        self._started = True
        self.reconfigure()

    def reconfigure(self) -> None:
        """Take changed settings into force; a cleaning under way goes on with its own memory."""
        if not self._started or self._closed:
            return
        self._settings = CleanerSettings.of(self._config())
        self._throttle.bytes_per_second = self._settings.bytes_per_second
        for number in range(self._settings.threads):
            if number not in self._workers:
                self._workers[number] = asyncio.ensure_future(self._work(number))
        self.wake()

    def wake(self) -> None:
        """Look at once whether a log is due."""
        self._woken.set()

    async def let_go(self, logs: Iterable[Log]) -> None:
        """Return when none of these logs is being cleaned; a cleaning under way is called off. They are not begun again
        if they are no partition's by now.
        """
        wanted = set(logs)
        for job in [each for log, each in self._jobs.items() if log in wanted]:
            job.pace.call_off()
            await job.ended.wait()
        self._unreadable -= wanted

    async def close(self) -> None:
        """Call off what is under way and end the workers."""
        self._closed = True
        self.wake()
        await self.let_go(list(self._jobs))
        if self._workers:
            await asyncio.wait(list(self._workers.values()))

    # --- a worker

    async def _work(self, number: int) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix=f"cleaner-{number}") as thread:
            while not self._closed and number < self._settings.threads:
                try:
                    is_idle = not await self.clean_dirtiest(thread)
                except Exception:  # noqa: BLE001 - whatever it is, the other logs want to be cleaned
                    _log.exception("cleaning failed; it will be tried again")
                    is_idle = True
                if is_idle:
                    await self._pause()
        del self._workers[number]

    async def _pause(self) -> None:
        self._woken.clear()
        if self._closed:
            return
        try:
            await asyncio.wait_for(self._woken.wait(), self._settings.backoff_s)
        except TimeoutError:
            return

    async def clean_dirtiest(self, thread: ThreadPoolExecutor) -> bool:
        """Clean the log that needs it most; False when none does, or nothing came of it."""
        async with self._choosing:
            logs = [each.log for each in self._partitions if self._may_be_cleaned(each.log)]
            if not logs:
                return False
            chosen = await _in(thread, lambda: _dirtiest(logs, self._clock.now_ms()))
            if chosen is None or self._closed or not self._is_led(chosen):
                return False
            job = self._jobs[chosen] = _Job(chosen, CleanerPace(self._throttle))
        try:
            return await self._clean(job, thread)
        except (CompactionAborted, LogDamaged, MalformedMessage, KafkaError, OSError) as error:
            self._tell_failure(job.log, error)
            return False
        finally:
            del self._jobs[job.log]
            job.ended.set()

    def _may_be_cleaned(self, log: Log) -> bool:
        free = log not in self._jobs and log not in self._unreadable
        return log.config.compacts and free and log.poisoned is None

    def _is_led(self, log: Log) -> bool:
        partition = self._partitions.find(log.topic, log.partition)
        return partition is not None and partition.log is log

    # --- one cleaning

    async def _clean(self, job: _Job, thread: ThreadPoolExecutor) -> bool:
        log, began = job.log, time.monotonic()
        await self._flusher.flush(log)
        await self._partitions.keep_checkpoints()
        now_ms = self._clock.now_ms()
        what = await _in(thread, lambda: cleanable(log.compaction.dirt(), log.config, now_ms))
        if not what.cleanable_bytes or job.pace.is_called_off:
            return False
        compaction = log.compaction.begin(what, limits=self._settings.limits, pace=job.pace, now_ms=now_ms)
        error: Exception | None = CompactionAborted()
        try:
            await self._take_steps(log, compaction, thread)
            error = None
        except Exception as ended:
            error = ended
            raise
        finally:
            log.compaction.end(compaction, error)
        await self._partitions.keep_checkpoints()
        _tell(log, compaction, what, time.monotonic() - began)
        return True

    async def _take_steps(self, log: Log, compaction: Compaction, thread: ThreadPoolExecutor) -> None:
        await _in(thread, compaction.map_keys)
        for group in compaction.groups():
            replacement = await _in(thread, lambda: compaction.clean(group))  # noqa: B023 - called at once
            log.compaction.put_in_place(replacement)
            await _in(thread, replacement.settle)
            log.compaction.settled(replacement, self._clock.now_ms())

    def _tell_failure(self, log: Log, error: Exception) -> None:
        if isinstance(error, CompactionAborted | FileClosed):
            _log.debug("cleaning %s was called off", log.directory)
        elif isinstance(error, LogDamaged | MalformedMessage):
            self._unreadable.add(log)
            _log.error("%s cannot be cleaned and is left alone until the next start: %s", log.directory, error)
        elif not isinstance(error, HalfReplaced):  # which the log has told of, being poisoned
            _log.warning("%s could not be cleaned and will be tried again: %s", log.directory, error)


async def _in(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work)


def _dirtiest(logs: list[Log], now_ms: int) -> Log | None:
    """The log that is due and has the largest dirty part (any thread; may wait). None: none is due."""
    due: list[tuple[float, int, Log]] = []
    for number, log in enumerate(logs):
        what = _once_flushed(log, now_ms)
        if what is not None and what.is_due(log.config):
            due.append((what.ratio, -number, log))
    return max(due)[2] if due else None


def _once_flushed(log: Log, now_ms: int) -> Cleanable | None:
    """What can be cleaned as soon as everything is durable; None when the log is gone."""
    try:
        dirt = log.compaction.dirt()
    except FileClosed:
        return None
    return cleanable(replace(dirt, durable_end_offset=dirt.log_end_offset), log.config, now_ms)


def _tell(log: Log, compaction: Compaction, what: Cleanable, took_s: float) -> None:
    counts = compaction.counts
    _log.info(
        "cleaned %s from offset %d to %d in %.1f s: %.1f MB and %d records are now %.1f MB and %d records; map %d %% full",
        log.directory,
        what.first_dirty_offset,
        compaction.end_offset,
        took_s,
        counts.bytes_read / 1e6,
        counts.records_read,
        counts.bytes_written / 1e6,
        counts.records_written,
        compaction.map_fill * 100,
    )
