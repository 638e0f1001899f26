"""A log gets shorter: at its front for good, by retention and DeleteRecords; at its end, by truncation.

    0.log [======]   368.log [=========]   811.log [=====
    `delete_before`, `retire` -->                 <-- `truncate`

**The front.** Only whole segments go, and the log begins inside one where DeleteRecords said so. A segment's way out:

    renamed to `.deleted`      now; from here on no opening of the log takes it for a part of it
    removed                    after `file.delete.delay.ms`, so that readers that were handed a slice can finish it

Names of what stays are durable before the first name of what goes is given up: the log's end may be in a file that is new.
A new start of the log is durable when its owner has written the log directory's checkpoint. While the log is being cleaned
nothing goes here.

**The end.** What is cut off goes at once, the newest segment first, so that a crash in the middle leaves a log without a gap.
When that is over it is durable; when it fails nobody knows what is left, and the log is poisoned.

Kafka's counterparts: `UnifiedLog.maybeIncrementLogStartOffset`, `deleteOldSegments`, `truncateTo`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..protocol.errors import ErrorCode, KafkaError
from .deletion import SweepResult
from .flush import leave_sync_mark
from .log_parts import LogParts
from .names import Mark
from .replay import rebuild_producers
from .retention import expired_count
from .segment import Segment

if TYPE_CHECKING:
    from .log import Log

_log = logging.getLogger(__name__)


def delete_before(log: Log, offset: int) -> None:
    """Let the log begin at `offset`, unless it begins behind it. KafkaError(OFFSET_OUT_OF_RANGE): it ends in front of it."""
    if offset > log.log_end_offset:
        raise KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"Cannot increment the log start offset to {offset} of partition {log.topic}-{log.partition} since "
            f"it is larger than the high watermark {log.log_end_offset}",
        )
    if offset > log.log_start_offset:
        log.log_start_offset = offset
        log.leader_epochs.truncate_start(offset)


def retire(log: Log, parts: LogParts, now_ms: int) -> SweepResult:
    """Apply retention, forget silent producers, mend indexes. KafkaError: the disk refuses."""
    if log.poisoned is not None:
        return SweepResult(0, 0, 0, 0)
    try:
        _mend_indexes(log, parts)
        count, freed_bytes = (0, 0) if log.is_being_compacted else _apply_retention(log, parts, now_ms)
    except OSError as error:
        raise parts.durability.refusal(error) from error
    forgotten = log.producers.expire(now_ms, log.config.producer_id_expiration_ms)
    return SweepResult(count, freed_bytes, 0, forgotten)


def _mend_indexes(log: Log, parts: LogParts) -> None:
    for segment in parts.segments:
        if segment.index_lies:
            _log.warning("%s: its indexes do not lead to its batches and are built again", segment.log.path)
            segment.rebuild_indexes(log.config.index_interval_bytes)
            if segment is not parts.segments.active:
                parts.durability.sealed(segment)


def _apply_retention(log: Log, parts: LogParts, now_ms: int) -> tuple[int, int]:
    ages = parts.segments.ages()
    count = expired_count(ages, config=log.config, log_start_offset=log.log_start_offset, now_ms=now_ms)
    if count == len(ages):
        log.roll(now_ms)
    if count:
        # The old names may go only when those that stay are sure to: the log's end may be in one of them.
        parts.files.sync_directory(log.directory)
        _delete(log, parts, parts.segments.drop_first(count), now_ms)
    return count, sum(each.size_bytes for each in ages[:count])


def _delete(log: Log, parts: LogParts, gone: list[Segment], now_ms: int) -> None:
    first_offset = parts.segments.first.base_offset
    delete_before(log, first_offset)
    parts.durability.gone(gone)
    parts.deleted.add(gone, due_ms=now_ms + log.config.file_delete_delay_ms)
    parts.snapshots.drop(lambda offset: offset < first_offset)


def sweep(log: Log, parts: LogParts, now_ms: int) -> SweepResult:
    """As `retire`, and removes the files whose delay is over, which may wait for the disk."""
    retired = retire(log, parts, now_ms)
    removal = log.take_removal(now_ms)
    if removal is None:
        return retired
    try:
        return retired._replace(removed_segments=removal.run())
    except OSError as error:
        log.put_back(removal)
        raise parts.durability.refusal(error) from error


def truncate(log: Log, parts: LogParts, offset: int) -> None:
    """Drop everything from `offset` on, and the whole batch that holds it; waits for the disk. KafkaError: see above."""
    parts.durability.check_writable()
    assert not log.is_being_compacted, "its owner calls that off first"
    if offset >= log.log_end_offset:
        return
    try:
        _truncate(log, parts, max(offset, parts.segments.first.base_offset))
    except OSError as error:
        leave_sync_mark(parts.files, log.directory)
        parts.durability.poison(f"truncating to {offset} failed: {error}")
        raise parts.durability.refusal(error) from error


def _truncate(log: Log, parts: LogParts, offset: int) -> None:
    gone = parts.segments.drop_behind(offset)
    parts.durability.gone(gone)
    for segment in gone:
        segment.files.remove(Mark.LIVE)
    active = parts.segments.active
    active.truncate(offset)
    active.unsynced = True
    log.log_end_offset = end_offset = active.next_offset
    log.log_start_offset = min(log.log_start_offset, end_offset)
    if log.cleaned_to is not None:
        log.cleaned_to = min(log.cleaned_to, end_offset)
    parts.durability.truncated(end_offset)
    log.leader_epochs.truncate_end(end_offset)
    parts.snapshots.drop(lambda snapshot: snapshot > end_offset)
    rebuild_producers(parts.segments, log.producers, parts.snapshots, end_offset, _log.warning)
    active.log.sync()
    parts.files.replace_bytes(*parts.durability.take_epochs())  # syncs the folder, too
