"""Finding a record by its time. Here, and only here, storage looks into batches.
 The time index says from which offset on to look, the offset index where that is, headers say which batch
has a record that late, and its records say which one it is. Kafka: `LogSegment.findOffsetByTimestamp`.
"""

from __future__ import annotations

from ..protocol.record_reader import iter_records
from .batches import Located
from .index import TimestampOffset
from .segment import Segment

# What is in the log was accepted under the broker's own bound, which may have been another then.
MAX_DECOMPRESSED_BYTES = 2**31 - 1


def first_at_or_after(segment: Segment, timestamp_ms: int, log_start_offset: int) -> TimestampOffset | None:
    """The first record from `log_start_offset` on whose timestamp is at least `timestamp_ms`."""
    entry = segment.time_index.lookup(timestamp_ms)
    from_offset = max(entry.offset if entry else segment.base_offset, log_start_offset)
    place = segment.locate(from_offset)
    if place is None:
        return None
    for batch in segment.headers(place.position):
        if batch.header.max_timestamp >= timestamp_ms:
            found = _first_in(segment, batch, timestamp_ms, log_start_offset)
            if found is not None:
                return found
    return None


def _first_in(segment: Segment, batch: Located, timestamp_ms: int, log_start_offset: int) -> TimestampOffset | None:
    data = segment.log.read(batch.header.size_bytes, batch.position)
    for record in iter_records(data, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES):
        if record.timestamp >= timestamp_ms and record.offset >= log_start_offset:
            return TimestampOffset(record.timestamp, record.offset)
    return None
