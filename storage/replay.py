"""Producer states from the log: the newest snapshot that checks, then the batches behind it.

After a crash the transaction indexes are made again on the way. What was in them on the disk is known only up to the
recovery point: a flush that moves it syncs the indexes of the segments that were sealed by then, and a log that is
closed syncs all. So a snapshot that is not behind the recovery point is where both can begin: the index entries in
front of it are believed, those behind it are forgotten and noted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..protocol.batch_header import BatchHeader
from ..protocol.record_reader import EndTxnMarker, iter_records, read_end_txn_marker
from .producers import ProducedBatch, ProducerStates
from .segment import Segment
from .snapshots import Snapshots
from .txn_index import AbortedTransaction

MAX_CONTROL_BYTES = 1 << 20  # a control batch holds one small record

Complain = Callable[[str], None]


def rebuild_producers(
    segments: Iterable[Segment], producers: ProducerStates, snapshots: Snapshots, end_offset: int, complain: Complain
) -> None:
    """Set `producers` to what they are at `end_offset`, the log's end."""
    _restore(producers, snapshots, end_offset, complain)
    for segment in segments:
        _replay_segment(segment, producers, end_offset, _ignore)
    producers.end_offset = end_offset


def rebuild_with_indexes(
    segments: Iterable[Segment],
    producers: ProducerStates,
    snapshots: Snapshots,
    end_offset: int,
    recovery_point: int,
    complain: Complain,
) -> None:
    """As `rebuild_producers`, and the transaction indexes with them, from the recovery point on or from before it."""
    _restore(producers, snapshots, min(recovery_point, end_offset), complain)
    for segment in segments:
        if segment.next_offset < producers.end_offset:
            continue
        index = segment.txn_index
        index.truncate(producers.end_offset)
        _replay_segment(segment, producers, end_offset, index.append)
        index.unsynced = index.entry_count > 0
        segment.files.try_write_txn_index()
    producers.end_offset = end_offset


def _restore(producers: ProducerStates, snapshots: Snapshots, up_to: int, complain: Complain) -> None:
    producers.clear(0)
    snapshots.restore(producers, up_to, complain)


def _replay_segment(
    segment: Segment, producers: ProducerStates, end_offset: int, on_abort: Callable[[AbortedTransaction], None]
) -> None:
    if not producers.end_offset < segment.next_offset or segment.base_offset >= end_offset:
        return
    place = segment.locate(max(producers.end_offset, segment.base_offset))
    if place is None:
        return
    for position, header in segment.headers(place.position):
        if header.base_offset >= end_offset:
            return
        if header.producer_id < 0:
            continue
        aborted = producers.replay(_produced(header), _read_marker(segment, position, header))
        if aborted is not None:
            on_abort(aborted)


def _ignore(_aborted: AbortedTransaction) -> None:
    """The index has it."""


def _produced(header: BatchHeader) -> ProducedBatch:
    return ProducedBatch(
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.base_offset,
        header.last_offset,
        header.max_timestamp,
        header.attributes,
    )


def _read_marker(segment: Segment, position: int, header: BatchHeader) -> EndTxnMarker | None:
    if not header.is_control or not header.record_count:
        return None
    batch = segment.log.read(header.size_bytes, position)
    record = next(iter_records(batch, max_decompressed_bytes=MAX_CONTROL_BYTES), None)
    return None if record is None else read_end_txn_marker(record)
