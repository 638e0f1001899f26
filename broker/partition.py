"""One partition as its leader: appends, what acknowledges them, reads, and who waits for more.

The log (storage) knows nothing of clients; this is the thin layer that does. Everything here runs on the loop and none
of it waits: an append is a write into the page cache, a read only locates the bytes.

What `acks=all` promises is set by the topic. With `flush.messages` and `flush.ms` left alone, an append is answered when
it is on the disk. Where either was set, by the topic or the broker, Kafka's own rule holds instead: a sync every so many
messages (the append that fills the count waits for it, whatever its acks) and every so many milliseconds, and nothing
else is waited for.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

from ..protocol.batch_header import HEADER
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.spare_buffers import SpareBuffers
from ..storage.leader_epochs import LeaderEpochs
from ..storage.log import AbortedTransaction, Appended, FileSlice, Log, TransactionEnd, Verification
from .flusher import Done, Flusher
from .partition_settings import PartitionSettings
from .produce_validation import header_of_plain_batch, validate
from .topic_names import INTERNAL_TOPICS
from .waiting import FetchWait

DIRTY_LIMIT_BYTES = 64 * 1024 * 1024
"""Unsynced bytes of one log at which a background sync begins, so that the system never has to stall a writer."""

NOT_ASKED = -1
"""What a client sends as current leader epoch when it does not care."""

log = logging.getLogger(__name__)


class Partition:
    """A leader's view of one log. `waits` are the Fetches that an append may wake."""

    __slots__ = (
        "_epoch_start",
        "_flushed_ms",
        "_flusher",
        "_keep_checkpoints",
        "_spares",
        "_stable_end",
        "_undecided_bytes",
        "index",
        "is_led",
        "leader_epoch",
        "log",
        "name",
        "settings",
        "topic",
        "waits",
    )

    def __init__(
        self,
        topic: str,
        index: int,
        log: Log,
        *,
        leader_epoch: int,
        settings: PartitionSettings,
        flusher: Flusher,
        keep_checkpoints: Callable[[], Awaitable[None]],
        spares: SpareBuffers,
    ) -> None:
        """`spares` are for what is unfolded to be looked at; many partitions share them."""
        self.topic = topic
        self.index = index
        self.is_led = True
        self.name = f"{topic}-{index}"
        self.log = log
        self.leader_epoch = leader_epoch
        self.settings = settings
        self.waits: set[FetchWait] = set()
        self._flusher = flusher
        self._flushed_ms = 0
        self._keep_checkpoints = keep_checkpoints
        self._spares = spares
        self._epoch_start = log.log_end_offset
        self._stable_end = log.last_stable_offset
        self._undecided_bytes = 0  # appended since everything was stable

    @property
    def high_watermark(self) -> int:
        """The end of what consumers may read: with one replica, the log end offset."""
        return self.log.log_end_offset

    @property
    def last_stable_offset(self) -> int:
        """The end of what read_committed consumers may read."""
        return self.log.last_stable_offset

    def append(
        self, batch: memoryview, *, version: int, now_ms: int, verification: Verification | None = None
    ) -> Appended:
        """Validate and append what a client sent, patching offsets into `batch`; wakes the readers.

        `verification` comes with the first batch of a transaction. Raises KafkaError with the code for the client.
        """
        if self.topic in INTERNAL_TOPICS:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Cannot append to internal topic {self.topic}")
        appended = self.append_plain(batch, now_ms) if verification is None else None
        if appended is None:
            appended = self.append_validated(batch, version=version, now_ms=now_ms, verification=verification)
        return appended

    def append_validated(
        self, batch: memoryview, *, version: int, now_ms: int, verification: Verification | None = None
    ) -> Appended:
        """As `append`, for what is not plain, of a topic that is not internal."""
        batch = validate(
            batch, self.settings.rules, version=version, partition=self.name, now_ms=now_ms, spares=self._spares
        )
        return self.append_own(batch, now_ms=now_ms, verification=verification)

    def append_plain(self, batch: memoryview, now_ms: int) -> Appended | None:
        """As `append`, with fewer steps, for a plain batch (`header_of_plain_batch`), of a topic that is not internal.

        None where it is not plain: then nothing was done.
        """
        header = header_of_plain_batch(batch, self.settings.rules, now_ms)
        if header is None:
            return None
        appended = self.log.append_one(batch, header, self.leader_epoch, now_ms)
        self._appended(appended, len(batch), batch)
        return appended

    def append_own(self, batch: memoryview, *, now_ms: int, verification: Verification | None = None) -> Appended:
        """Append a batch that this broker has built itself: a coordinator's records.

        It is not validated, and `max.message.bytes` is for clients. Raises KafkaError: KAFKA_STORAGE_ERROR,
        RECORD_LIST_TOO_LARGE (for a segment), and what the log says of producers.
        """
        appended = self.log.append(batch, leader_epoch=self.leader_epoch, now_ms=now_ms, verification=verification)
        self._appended(appended, len(batch))
        return appended

    def append_own_one(self, batch: memoryview | bytearray, now_ms: int) -> Appended:
        """As `append_own`, with fewer steps, for one batch that gives its records their times."""
        appended = self.log.append_one(batch, HEADER.unpack_from(batch), self.leader_epoch, now_ms)
        self._appended(appended, len(batch))
        return appended

    def _appended(self, appended: Appended, size_bytes: int, batch: memoryview | None = None) -> None:
        """Wake the readers, and bound what is dirty."""
        if not appended.duplicate:
            self._tell_readers(size_bytes, batch)
        if self.log.dirty_bytes > DIRTY_LIMIT_BYTES:
            self._flusher.flush_soon(self.log)

    def end_transaction(self, end: TransactionEnd, *, now_ms: int) -> Appended:
        """Append the marker that ends a producer's transaction here; wakes the readers. KafkaError as the log's."""
        dirty_before = self.log.dirty_bytes
        appended = self.log.end_transaction(end, leader_epoch=self.leader_epoch, now_ms=now_ms)
        self._tell_readers(self.log.dirty_bytes - dirty_before)
        return appended

    def _tell_readers(self, size_bytes: int, batch: memoryview | None = None) -> None:
        if self.log.producers.open_transactions or self._undecided_bytes:
            decided_bytes = self._decided_bytes(size_bytes)
        else:
            decided_bytes, self._stable_end = size_bytes, self.log.log_end_offset
        if self.waits:
            for wait in tuple(self.waits):
                wait.appended(size_bytes, decided_bytes, batch)

    def _decided_bytes(self, size_bytes: int) -> int:
        """How many more bytes readers of committed records have, now that `size_bytes` were appended.

        While other transactions stay open it is not known how much of what is undecided became stable: all of it is
        counted, and a reader is answered with less than it would have waited for.
        """
        stable_end = self.log.last_stable_offset
        undecided_bytes = self._undecided_bytes + size_bytes
        has_moved, self._stable_end = stable_end != self._stable_end, stable_end
        self._undecided_bytes = 0 if stable_end == self.log.log_end_offset else undecided_bytes
        return undecided_bytes if has_moved else 0

    def needs_sync(self, appended: Appended, *, acks: int) -> bool:
        """Whether an append may be acknowledged only after a sync."""
        end_offset, recovery_point, settings = appended.last_offset + 1, self.log.recovery_point, self.settings
        if end_offset <= recovery_point:
            return False
        return (acks == -1 and settings.acks_all_syncs) or end_offset - recovery_point >= settings.sync_every_messages

    def when_synced(self, appended: Appended, done: Done, *, deadline: float) -> None:
        """Call `done` when the append is on the disk, when it never will be, or at `deadline` (the loop's clock)."""
        self._flusher.wait(self.log, appended.last_offset + 1, done, deadline=deadline)

    def when_durable(self, end_offset: int, done: Done, *, deadline: float = math.inf) -> None:
        """Call `done` when all in front of `end_offset` is on the disk, at once if it is, when it never will be, or at
        `deadline` (the loop's clock).
        """
        if end_offset <= self.log.recovery_point:
            done(None)
        else:
            self._flusher.wait(self.log, end_offset, done, deadline=deadline)

    def check_leader_epoch(self, current_leader_epoch: int) -> None:
        """Refuse a client whose idea of the leader is older or newer than ours (KIP-320)."""
        if current_leader_epoch in (NOT_ASKED, self.leader_epoch):
            return
        if current_leader_epoch < self.leader_epoch:
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH, f"the leader epoch of {self.name} is {self.leader_epoch}")
        raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH, f"the leader epoch of {self.name} is {self.leader_epoch}")

    @property
    def epochs(self) -> LeaderEpochs:
        """The epochs of the log with our own, which is not in the log until something is appended under it."""
        epochs = LeaderEpochs(self.log.leader_epochs.entries)
        epochs.assign(self.leader_epoch, self._epoch_start)
        return epochs

    def end_of_epoch(self, epoch: int) -> tuple[int, int]:
        """The largest epoch not beyond `epoch` and where it ends; (-1, -1) when that is not known (KIP-320)."""
        return self.epochs.end_offset_for(epoch, self.log.log_end_offset)

    def read(self, offset: int, *, max_bytes: int, min_one_batch: bool) -> FileSlice | None:
        """Locate records from `offset` on. Raises KafkaError(OFFSET_OUT_OF_RANGE); WouldWait where the disk must be waited
        for: then `warm` in a thread, and again.
        """
        return self.log.read_now(offset, max_bytes=max_bytes, min_one_batch=min_one_batch)

    def read_committed(
        self, offset: int, *, max_bytes: int, min_one_batch: bool
    ) -> tuple[FileSlice | None, list[AbortedTransaction]]:
        """As `read`, in front of the last stable offset, and the aborted transactions of what was located."""
        log = self.log
        records = log.read_now(
            offset, max_bytes=max_bytes, min_one_batch=min_one_batch, end_offset=log.last_stable_offset
        )
        return records, [] if records is None else log.aborted_transactions(records, offset, wait=False)

    def warm(self, offset: int, max_bytes: int) -> None:
        """Have the system read what locating `offset`, and what was aborted there, needs (any thread)."""
        try:
            records = self.log.read(offset, max_bytes=max_bytes)
            if records is not None:
                self.log.aborted_transactions(records, offset)
        except KafkaError as gone:
            log.debug("%s: %s", self.name, gone.message)  # the next look says it to the reader

    async def delete_before(self, offset: int) -> int:
        """Let the log begin at `offset` and return where it begins, once that is on the disk (DeleteRecords).

        Raises KafkaError: OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR.
        """
        start = self.log.delete_before(offset)
        await self._keep_checkpoints()
        self.wake_all()
        return start

    def flush_if_due(self, now_ms: int) -> None:
        """Begin a sync in the background when `flush.ms` is over since the last (called where it is set)."""
        if now_ms - self._flushed_ms >= self.settings.sync_every_ms:
            self._flushed_ms = now_ms
            self._flusher.flush_soon(self.log)

    def sweep(self, now_ms: int) -> None:
        """Apply retention. A full disk refuses the new segment that it may need; the next sweep tries again."""
        start = self.log.log_start_offset
        try:
            self.log.retire(now_ms)
        except KafkaError as error:
            log.warning("%s: retention waits: %s", self.name, error.message)
        if self.log.log_start_offset != start:
            log.info("%s: retention moved the log start offset to %d", self.name, self.log.log_start_offset)
            self.wake_all()

    def wake_all(self) -> None:
        """The partition changed under those who wait (it was deleted, its start moved): let them look."""
        for wait in tuple(self.waits):
            wait.wake()
