"""A journal: the durable history of a state machine, and the only way to change it.

    decide (loop)          append (loop)         sync (thread, shared)      apply (loop)
    state -> records  -->  one record batch -->  on the disk           -->  machine.apply, then the answer

What a `Machine` knows (topics, configs, group offsets, ...) changes only by applying a record, and a record is
applied only when it is durable. So what has been answered survives, what a reader of the state sees survives, and a
restart arrives at the same state by applying the same records.

- `append` writes its records as one batch: after a crash all of them are there or none. Appends that wait
  together share one sync; they are applied in the order of the log.
- `decide` is for decisions that read the state: they run one at a time, each upon the state that the one
  before it has led to. Nothing is awaited between looking and deciding.
- A failed sync poisons the journal: what reached the disk is unknown, so nothing more is applied or
  accepted, until a restart finds out. A full disk only refuses that append.
- Both outlive the caller: a request that is cancelled, or whose deadline passes, does not undo what it has
  begun.

Files: an ordinary log (`storage.log`) with snapshots beside it (`journal_snapshots`). A snapshot is taken when the
log behind the last one has outgrown it, in a thread, from a copy; then the log in front of the one before last is
dropped. A start loads the newest snapshot that is whole and applies the rest of the log, of which a torn tail is cut
off. docs/format-journal.md has the picture.

One class for all machines: the cluster's catalog, and later groups and transactions. Kafka's counterparts: the
metadata log (`KafkaRaftClient` with its snapshots) and `CoordinatorRuntime`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, TypeVar

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.records import BatchBuilder
from ..storage.config import LogConfig
from ..storage.files import Files
from ..storage.log import Log
from . import journal_snapshots as snapshots
from .clock import Clock
from .flusher import Flusher
from .journal_replay import JOURNAL_LOG_CONFIG, JournalDamaged, Machine, Replay, recover, write_end

SNAPSHOT_AFTER_BYTES = 1024 * 1024
"""The log may outgrow its last snapshot by this much, or by the snapshot's own size, before the next is
taken: a start replays about a megabyte or twice the state, and a large state is not written again and again.
"""

SNAPSHOTS_KEPT = 2
LEADER_EPOCH = 0
__all__ = ("Clock", "Journal", "JournalDamaged", "JournalFailed", "Machine", "Replay")

R = TypeVar("R")
T = TypeVar("T")

log = logging.getLogger(__name__)


class JournalFailed(KafkaError):
    """The journal takes no more records; says since when and why."""

    def __init__(self, why: str) -> None:
        super().__init__(ErrorCode.KAFKA_STORAGE_ERROR, why)

    def again(self) -> JournalFailed:
        return JournalFailed(self.message)


class Journal(Generic[R]):
    """Owns a log, its snapshots, and the right to change one machine. Opened in any thread, then owned by the
    loop.
    """

    def __init__(self, journal_log: Log, machine: Machine[R], *, files: Files, directory: str, replay: Replay) -> None:
        self.machine = machine
        self.replay = replay
        self._log = journal_log
        self._files = files
        self._directory = directory
        self._applied_offset = journal_log.log_end_offset
        self._snapshot_size_bytes = replay.snapshot_size_bytes
        self._tail_bytes = replay.tail_bytes
        self._snapshot_after_bytes = SNAPSHOT_AFTER_BYTES
        self._failed: JournalFailed | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keys: set[str] = set()
        self._snapshotting: asyncio.Task[None] | None = None
        self._flusher: Flusher
        self._clock: Clock

    @classmethod
    def open(
        cls,
        directory: str,
        machine: Machine[R],
        *,
        files: Files,
        now_ms: int,
        config: LogConfig = JOURNAL_LOG_CONFIG,
        snapshot_after_bytes: int = SNAPSHOT_AFTER_BYTES,
    ) -> Journal[R]:
        """Recover the log and bring `machine`, which must be new, to the state it leads to.

        Reads the disk: before the loop runs, or in a thread. Raises JournalDamaged, OSError.
        """
        journal_log, replay = recover(directory, machine, files=files, config=config, now_ms=now_ms)
        journal = cls(journal_log, machine, files=files, directory=directory, replay=replay)
        journal._snapshot_after_bytes = snapshot_after_bytes
        return journal

    def start(self, flusher: Flusher, clock: Clock) -> None:
        """From here on records may be appended."""
        self._flusher = flusher
        self._clock = clock

    @property
    def failed(self) -> JournalFailed | None:
        """Why no more records are taken; None while they are."""
        return self._failed

    @property
    def end_offset(self) -> int:
        return self._log.log_end_offset

    # -- changing the machine

    async def append(self, records: Sequence[R]) -> None:
        """Return when `records` are durable and applied, all or none. JournalFailed, KafkaError(full disk)."""
        if records:
            await asyncio.shield(self._write(records))

    async def decide(self, decision: Callable[[], tuple[Sequence[R], T]]) -> T:
        """Call `decision` upon a state in which every earlier decision is applied; append its records; return
        the rest.

        Cancelling the caller does not stop a decision that waits its turn or for the disk.
        """
        return await asyncio.shield(self._own(self._decide(decision)))

    def submit(self, decision: Callable[[], tuple[Sequence[R], object]], *, keys: Iterable[str]) -> None:
        """Decide in the background, for nobody in particular; `keys` say what is under way until it is done."""
        held = set(keys)
        self._keys |= held
        self._own(self._decide(decision)).add_done_callback(lambda _: self._keys.difference_update(held))

    def is_under_way(self, key: str) -> bool:
        """Whether something of this key has been submitted and is not done."""
        return key in self._keys

    async def close(self) -> None:
        """Finish what is under way, then close the log. KafkaError when it is poisoned or the last sync fails."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._close_log)

    async def abandon(self) -> None:
        """Let go of the log as it is, as a crash would, once what is under way is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._log.release()

    def _close_log(self) -> None:
        self._log.close()
        write_end(self._files, self._directory, self._log.log_end_offset)

    async def _decide(self, decision: Callable[[], tuple[Sequence[R], T]]) -> T:
        async with self._turn:
            records, result = decision()
            await self.append(records)
            return result

    def _own(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._disown)
        return task

    def _disown(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, KafkaError):
            # Who asked is told, if still there; of what was submitted nobody else would hear.
            log.debug("%s: a decision was refused: %s", self._directory, error)
        elif error is not None:
            log.error("%s: a decision or a snapshot failed", self._directory, exc_info=error)

    def _write(self, records: Sequence[R]) -> asyncio.Future[None]:
        """Append now; the future is done when the records are durable and applied."""
        if self._failed is not None:
            raise self._failed.again()
        now_ms = self._clock.now_ms()
        builder = BatchBuilder()
        for record in records:
            builder.append(now_ms, None, self.machine.encode(record))
        batch = builder.build()
        appended = self._log.append(memoryview(batch), leader_epoch=LEADER_EPOCH, now_ms=now_ms)
        applied: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        end_offset = appended.last_offset + 1

        def synced(error: Exception | None) -> None:
            if self._synced(records, error, applied):
                self._applied_offset = end_offset
                self._tail_bytes += len(batch)
                self._snapshot_if_due()

        self._flusher.wait(self._log, end_offset, synced)
        return applied

    def _synced(self, records: Sequence[R], error: Exception | None, applied: asyncio.Future[None]) -> bool:
        """On the loop, in the order of the log: apply what is durable, or fail with everything behind it."""
        if error is not None:
            self._fail(f"{self._directory}: a sync failed, no more changes are taken: {error}")
        if self._failed is None:
            self._apply(records)
        if self._failed is not None:
            applied.set_exception(self._failed.again())
            return False
        applied.set_result(None)
        return True

    def _apply(self, records: Iterable[R]) -> None:
        try:
            for record in records:
                self.machine.apply(record)
        except Exception:
            # A bug of ours, and the state is neither the old nor the new one: go no further on it.
            log.exception("%s: a durable record could not be applied", self._directory)
            self._fail(f"{self._directory}: a durable record could not be applied")

    def _fail(self, why: str) -> None:
        if self._failed is None:
            log.error("%s", why)
            self._failed = JournalFailed(why)

    # -- snapshots

    def _snapshot_if_due(self) -> None:
        due = self._tail_bytes >= max(self._snapshot_after_bytes, self._snapshot_size_bytes)
        if due and self._snapshotting is None:
            self._snapshotting = self._own(self._snapshot())

    async def _snapshot(self) -> None:
        """Write down the state as it is now, and drop the log that nobody needs any more."""
        offset, now_ms = self._applied_offset, self._clock.now_ms()
        encoded = map(self.machine.encode, self.machine.snapshot())
        self._tail_bytes = 0
        try:
            written = await asyncio.to_thread(
                snapshots.write, self._files, self._directory, offset, encoded, now_ms=now_ms
            )
            self._snapshot_size_bytes = written.size_bytes
            kept = await asyncio.to_thread(self._drop_old_snapshots)
            if len(kept) == SNAPSHOTS_KEPT:
                # With one less, a damaged snapshot would leave nothing to begin from but the whole log.
                self._log.delete_before(kept[-1])
                self._log.sweep(now_ms)
        except OSError as error:
            # The log is whole without it: say so, and try again when it has grown by as much again.
            log.warning("%s: no snapshot could be written: %s", self._directory, error)
        finally:
            self._snapshotting = None

    def _drop_old_snapshots(self) -> list[int]:
        """In a thread: the offsets of those that are left, newest first."""
        offsets = snapshots.offsets_present(self._files, self._directory)
        for offset in offsets[SNAPSHOTS_KEPT:]:
            snapshots.remove(self._files, self._directory, offset)
        return offsets[:SNAPSHOTS_KEPT]
