"""Producer states from the log: the newest snapshot that checks, then the batches behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..protocol.batch_header import BatchHeader
from ..protocol.record_reader import EndTxnMarker, iter_records, read_end_txn_marker
from .producers import ProducedBatch, ProducerStates
from .segment import Segment
from .snapshots import Snapshots

MAX_CONTROL_BYTES = 1 << 20  # a control batch holds one small record


def rebuild_producers(
    segments: Iterable[Segment],
    producers: ProducerStates,
    snapshots: Snapshots,
    end_offset: int,
    complain: Callable[[str], None],
) -> None:
    """Set `producers` to what they are at `end_offset`, the log's end."""
    producers.clear(0)
    snapshots.restore(producers, complain)
    for segment in segments:
        _replay_segment(segment, producers, end_offset)
    producers.end_offset = end_offset


def _replay_segment(segment: Segment, producers: ProducerStates, end_offset: int) -> None:
    if not producers.end_offset < segment.next_offset or segment.base_offset >= end_offset:
        return
    place = segment.locate(max(producers.end_offset, segment.base_offset))
    if place is None:
        return
    for position, header in segment.headers(place.position):
        if header.base_offset >= end_offset:
            return
        if header.producer_id >= 0:
            producers.replay(_produced(header), _read_marker(segment, position, header))


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
