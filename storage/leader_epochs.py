"""Which leader epoch began at which offset: what KIP-101 and KIP-320 need to find where two histories part.

    epoch 3 from 0, epoch 5 from 120, epoch 6 from 480
    -> epoch 5 ends at 480; epoch 4, which never wrote, is answered as epoch 3, which ends at 120

Epochs and start offsets both grow from entry to entry. The entries are in every batch of the log, too, so
the file (`leader-epoch-checkpoint`) may be written late: before the recovery point passes the entry's
offset, at the latest. Until then recovery finds it in the batches it scans. `dirty` says that the file is
behind.

Kafka's class: `LeaderEpochFileCache`.
"""

from __future__ import annotations

from bisect import bisect_right

from .checkpoint import EpochEntry

UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class LeaderEpochs:
    """The epochs of one log, oldest first."""

    __slots__ = ("_entries", "dirty", "latest_epoch")

    def __init__(self, entries: list[EpochEntry] | None = None) -> None:
        self._entries: list[EpochEntry] = entries or []
        self.dirty = False
        self.latest_epoch = UNDEFINED_EPOCH
        """The newest epoch, -1 when there is none."""
        self._note_latest()

    def _note_latest(self) -> None:
        self.latest_epoch = self._entries[-1].epoch if self._entries else UNDEFINED_EPOCH

    @property
    def entries(self) -> list[EpochEntry]:
        return list(self._entries)

    def first_offset(self, default: int) -> int:
        """Where the oldest known epoch begins; the default if none is known."""
        return self._entries[0].start_offset if self._entries else default

    def assign(self, epoch: int, start_offset: int) -> None:
        """Epoch `epoch` writes from `start_offset` on. Entries that contradict it, later ones, go."""
        assert epoch >= 0, epoch
        assert start_offset >= 0, start_offset
        last = self._entries[-1] if self._entries else None
        if last is not None and last.epoch == epoch and last.start_offset <= start_offset:
            return
        while self._entries and (self._entries[-1].epoch >= epoch or self._entries[-1].start_offset >= start_offset):
            self._entries.pop()
        self._entries.append(EpochEntry(epoch, start_offset))
        self.latest_epoch = epoch
        self.dirty = True

    def end_offset_for(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """The largest epoch not beyond `epoch` and where it ends; (-1, -1) when that is not known."""
        if epoch == UNDEFINED_EPOCH or not self._entries:
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        if epoch == self._entries[-1].epoch:
            return epoch, log_end_offset
        higher = bisect_right(self._entries, epoch, key=lambda entry: entry.epoch)
        if higher == len(self._entries):
            return UNDEFINED_EPOCH, UNDEFINED_OFFSET
        floor_epoch = self._entries[higher - 1].epoch if higher else epoch
        return floor_epoch, self._entries[higher].start_offset

    def epoch_for_offset(self, offset: int) -> int:
        """The epoch that wrote `offset`, -1 when that is not known."""
        higher = bisect_right(self._entries, offset, key=lambda entry: entry.start_offset)
        return self._entries[higher - 1].epoch if higher else UNDEFINED_EPOCH

    def truncate_end(self, end_offset: int) -> None:
        """Forget epochs that begin at `end_offset` or behind it."""
        while self._entries and self._entries[-1].start_offset >= end_offset:
            self._entries.pop()
            self.dirty = True
        self._note_latest()

    def truncate_start(self, start_offset: int) -> None:
        """Forget epochs that end before `start_offset`; the one that covers it now begins there."""
        covered = bisect_right(self._entries, start_offset, key=lambda entry: entry.start_offset)
        if covered and self._entries[covered - 1].start_offset != start_offset:
            self._entries[:covered] = [EpochEntry(self._entries[covered - 1].epoch, start_offset)]
            self.dirty = True
        elif covered > 1:
            del self._entries[: covered - 1]
            self.dirty = True
