"""A log's side of its cleaning: what its owner does between the steps that threads do. None of it waits.

At most one cleaning of a log is under way. Meanwhile the log is appended to, flushed and read as ever, and segments come;
but none goes except by the cleaning: retention waits for its end, and whoever wants to truncate, close or delete the log
calls it off first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..log_parts import LogParts
from ..producers import ProducerStates
from ..segment import Segment
from .choice import Cleanable, LogDirt, SegmentDirt
from .compaction import Compaction, CompactionAborted, Limits, Pace
from .replacement import HalfReplaced, Replacement
from .survival import LastRecord

if TYPE_CHECKING:
    from ..log import Log


class LogCompaction:
    """The cleaning of one log; its owner's."""

    __slots__ = ("_log", "_parts", "_replaced_count", "under_way")

    def __init__(self, log: Log, parts: LogParts) -> None:
        self._log = log
        self._parts = parts
        self._replaced_count = 0
        self.under_way: Compaction | None = None

    def dirt(self) -> LogDirt:
        """What there is to clean (any thread; may wait). FileClosed: the log is gone."""
        log = self._log
        return LogDirt(
            [_dirt_of(each) for each in self._parts.segments.all],
            log_start_offset=log.log_start_offset,
            log_end_offset=log.log_end_offset,
            stable_end_offset=log.last_stable_offset,
            durable_end_offset=log.recovery_point,
            cleaned_to=log.cleaned_to,
        )

    def begin(self, what: Cleanable, *, limits: Limits, pace: Pace, now_ms: int) -> Compaction:
        """Take note of what is to be cleaned. Then its steps, then `end`, whatever came of them.

        The checkpoint of recovery points must promise everything before `what.first_uncleanable_offset` by now.
        Raises KafkaError where the log is poisoned, CompactionAborted when retention was there first.
        """
        assert self.under_way is None, "it is being cleaned already"
        self._parts.durability.check_writable()
        segments = [each for each in self._parts.segments.all if each.base_offset < what.first_uncleanable_offset]
        if not segments or segments[-1].next_offset <= what.first_dirty_offset:
            raise CompactionAborted
        assert self._parts.segments.active not in segments
        self.under_way = Compaction(
            files=self._parts.files,
            directory=self._log.directory,
            segments=segments,
            txn_indexes=[each.txn_index for each in segments],
            config=self._log.config,
            what=what,
            last_records=_last_records(self._log.producers),
            limits=limits,
            pace=pace,
            now_ms=now_ms,
        )
        return self.under_way

    def put_in_place(self, replacement: Replacement) -> None:
        """Let readers find the new segment; those that are on the old ones finish there. Then `settle`, then `settled`."""
        parts = self._parts
        self._replaced_count += 1
        replacement.number = self._replaced_count
        parts.segments.replace(replacement.old, replacement.new)
        parts.durability.gone(replacement.old)
        gone = {each.base_offset for each in replacement.old[1:]}
        replacement.snapshots = parts.snapshots.forget(gone.__contains__)

    def settled(self, replacement: Replacement, now_ms: int) -> None:
        """The replacement is settled: its old files go after `file.delete.delay.ms`."""
        self._parts.deleted.add_replaced(replacement.old, due_ms=now_ms + self._log.config.file_delete_delay_ms)

    def end(self, compaction: Compaction, error: Exception | None = None) -> None:
        """The cleaning is over: done, or ended by an error; HalfReplaced poisons the log."""
        assert self.under_way is compaction
        self.under_way = None
        if isinstance(error, HalfReplaced):
            self._parts.durability.poison(f"{error} while putting a cleaned segment in place")
        elif error is None:
            self._log.cleaned_to = compaction.end_offset


def _dirt_of(segment: Segment) -> SegmentDirt:
    return SegmentDirt(
        segment.base_offset, segment.size_bytes, segment.first_timestamp(), segment.largest_timestamp.timestamp
    )


def _last_records(producers: ProducerStates) -> dict[int, LastRecord]:
    return {
        producer_id: LastRecord(producer.batches[-1].last_offset if producer.batches else -1, producer.epoch)
        for producer_id, producer in producers
    }
