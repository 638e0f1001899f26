"""What one log has that the disk may not have, and what became of the attempts to change that.

`recovery_point`: everything before it is on the disk, under its name. It moves only when a flush that
covers it has finished well, and back only when the log is truncated.

`poisoned`: why the log takes no more writes. After a sync failed nobody knows what the disk has, and asking
again proves nothing; the same holds for a write that failed for another reason than a full disk.

Belongs to the log's owner, like the log. Only `Flush.run` is for another thread.
"""

from __future__ import annotations

import logging
import os

from ..protocol.errors import ErrorCode, KafkaError
from .checkpoint import encode_epochs
from .files import Files, is_disk_full
from .flush import Flush, NoRoom
from .leader_epochs import LeaderEpochs
from .names import LEADER_EPOCH_FILE
from .segment import Segment
from .segments import Segments
from .snapshots import Snapshots

_log = logging.getLogger(__name__)


class Durability:
    """The log's dirt, its flushes under way, and its poison."""

    __slots__ = (
        "_directory",
        "_epochs",
        "_files",
        "_flushes",
        "_sealed",
        "_segments",
        "_snapshots",
        "appended_bytes",
        "flushed_bytes",
        "names_changed",
        "poisoned",
        "recovery_point",
    )

    def __init__(
        self,
        files: Files,
        directory: str,
        segments: Segments,
        snapshots: Snapshots,
        epochs: LeaderEpochs,
        *,
        recovery_point: int,
        names_changed: bool,
    ) -> None:
        self._files = files
        self._directory = directory
        self._segments = segments
        self._snapshots = snapshots
        self._epochs = epochs
        self._sealed = [each for each in segments if each.unsynced and each is not segments.active]
        self._flushes: list[Flush] = []
        self.recovery_point = recovery_point
        self.poisoned: KafkaError | None = None
        self.appended_bytes = 0  # ever, since the log was opened
        self.flushed_bytes = 0  # how much of that a finished flush covers
        self.names_changed = names_changed  # files were created, renamed or removed

    # --- what got dirty

    def sealed(self, segment: Segment) -> None:
        """A segment will not grow any more: its indexes were completed, and are to be synced, too."""
        segment.unsynced = True
        self._sealed.append(segment)
        self.names_changed = True

    def gone(self, segments: list[Segment]) -> None:
        """Segments were deleted: there is nothing to sync in them."""
        self._sealed = [segment for segment in self._sealed if segment not in segments]
        self.names_changed = True

    def truncated(self, end_offset: int) -> None:
        """The log now ends here; what flushes under way sync behind it is not what will be there."""
        self.recovery_point = min(self.recovery_point, end_offset)
        for flush in self._flushes:
            flush.end_offset = min(flush.end_offset, end_offset)

    # --- flushes

    def begin(self) -> Flush | None:
        """Hand everything dirty over to a flush; None when there is nothing, or the log is poisoned."""
        active = self._segments.active
        is_dirty = active.unsynced or self._sealed or self.names_changed or self._epochs.dirty
        if self.poisoned is not None or not is_dirty:
            return None
        for segment in self._sealed:
            segment.unsynced = False
        flush = Flush(
            end_offset=active.next_offset,
            appended_bytes=self.appended_bytes,
            files=self._files,
            directory=self._directory,
            sealed=self._sealed,
            active=active if active.unsynced else None,
            snapshots=self._snapshots.take_unsynced(),
            epochs=self.take_epochs() if self._epochs.dirty else None,
            names=self.names_changed,
        )
        self._sealed = []
        active.unsynced = self.names_changed = False
        self._flushes.append(flush)
        return flush

    def take_epochs(self) -> tuple[str, bytes]:
        """The leader epoch file's path and content, which the caller is about to write."""
        self._epochs.dirty = False
        return os.path.join(self._directory, LEADER_EPOCH_FILE), encode_epochs(self._epochs.entries)

    def finish(self, flush: Flush, error: Exception | None) -> int:
        """A flush is over; perhaps it was over before, for `run_all` does not wait for those under way.

        Returns how many bytes are on the disk now that were not known to be.
        """
        if flush in self._flushes:
            self._flushes.remove(flush)
        if isinstance(error, NoRoom):
            self._epochs.dirty = self.names_changed = True
            self._sealed = [*flush.sealed, *self._sealed]  # an index may still wait for room
            return 0
        if error is not None:
            self.poison(f"sync failed: {error}")
        if self.poisoned is not None:
            return 0  # also a sync that worked proves nothing after one that did not
        if flush.end_offset > self.recovery_point:
            self.recovery_point = flush.end_offset
        gained_bytes = flush.appended_bytes - self.flushed_bytes
        if gained_bytes <= 0:
            return 0
        self.flushed_bytes += gained_bytes
        return gained_bytes

    def run_all(self) -> None:
        """Make everything durable, what others have begun included. KafkaError when that fails."""
        for flush in list(self._flushes):
            self._run(flush)  # perhaps for the second time: there is no waiting for another thread here
        last = self.begin()
        if last is not None:
            self._run(last)

    def _run(self, flush: Flush) -> None:
        try:
            flush.run()
        except OSError as error:
            self.finish(flush, error)
            raise self.refusal(error) from error
        self.finish(flush, None)

    # --- poison

    def check_writable(self) -> None:
        """Raise the log's KafkaError if it is poisoned."""
        if self.poisoned is not None:
            raise self.poisoned.again()

    def refusal(self, error: OSError, *, poisons: bool = False) -> KafkaError:
        """What to raise for `error`. It poisons the log if so said and the disk was not just full."""
        if poisons and not is_disk_full(error):
            self.poison(str(error))
        if self.poisoned is not None:
            return self.poisoned.again()
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self._directory}: {error}")

    def poison(self, reason: str) -> None:
        """Take no more writes."""
        if self.poisoned is not None:
            return
        self.poisoned = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{self._directory} takes no more writes: {reason}")
        _log.error("%s", self.poisoned.message)
        for flush in self._flushes:
            # The system may call clean what it could not write; what these sync proves nothing.
            flush.distrusted = True
