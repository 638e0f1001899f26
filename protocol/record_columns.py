"""The records of a batch as columns: all offsets, all keys, all values; the fast way for whoever wants whole batches.

A record made by itself (`record_reader`) costs as much for the object as for its bytes.  Here one loop fills five lists,
and who needs objects makes them from the columns at the speed of C (`map`, `zip`).  The format, and what is checked, are
`record_reader`'s: a record must end where its length says, and the batch must hold exactly what it counts.

Keys and values are slices of `source`: bytes of their own when that is bytes, views that keep it alive when it is a
memoryview.
"""

from __future__ import annotations

from typing import NamedTuple

from .batch_header import BatchHeader, TimestampType
from .errors import MalformedMessage
from .record_reader import MIN_RECORD_BYTES, read_headers
from .uniform_records import read_run
from .varints import ONE_BYTE, read_varint, read_varlong

_FIRST_PATIENCE = 2
"""So many records are read one by one before a run of uniform ones is looked for, and twice as many after each that was
short or none at all, up to a thousand: where records are not alike, looking costs next to nothing."""
_MOST_DOUBLINGS = 9
_SHORT_RUN = 8


class RecordColumns(NamedTuple):
    """Lists of equal length; timestamps in milliseconds, headers () where a record has none."""

    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[tuple[tuple[str, bytes | None], ...]]

    def part(self, start: int, end: int | None = None) -> RecordColumns:
        """The same of some of the records, by their places."""
        return RecordColumns(
            self.offsets[start:end],
            self.timestamps[start:end],
            self.keys[start:end],
            self.values[start:end],
            self.headers[start:end],
        )


def read_columns(data: bytes, header: BatchHeader, source: bytes | memoryview | None = None) -> RecordColumns:
    """The columns of a batch whose records are unfolded in `data`; MalformedMessage if it is not what it claims to be.

    `source` is what keys and values are cut from: `data` itself if None, or a view of it.
    """
    count = header.record_count
    if not 0 <= count <= len(data) // MIN_RECORD_BYTES:
        raise MalformedMessage(f"{count} records do not fit into {len(data)} bytes")
    columns = RecordColumns([], [], [], [], [])
    try:
        end = _fill(columns, data, data if source is None else source, header)
    except IndexError:
        raise MalformedMessage("a record is cut short") from None
    if end != len(data):
        raise MalformedMessage(f"{len(data) - end} bytes are left after the last record")
    if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
        return columns._replace(timestamps=[header.max_timestamp] * count)
    return columns


def _fill(columns: RecordColumns, data: bytes, source: bytes | memoryview, header: BatchHeader) -> int:
    """Read all records; the position behind the last.

    The one loop that every consumed record pays for, so it is written for speed: varints of one and two bytes are read
    in place, and an odd length, which means a negative one, is null.  A slice past the end is short and costs nothing;
    the record then does not end where its length says, or the next byte is an IndexError.  Records that are all alike
    are read as a run (`uniform_records`).
    """
    add_offset, add_timestamp = columns.offsets.append, columns.timestamps.append
    add_key, add_value, add_headers = columns.keys.append, columns.values.append, columns.headers.append
    base_offset, base_timestamp, one_byte = header.base_offset, header.base_timestamp, ONE_BYTE
    position = 0
    left = header.record_count
    patience, misses = _FIRST_PATIENCE, 0
    while left:
        left -= 1
        start_of_record = position
        byte = data[position]
        if byte < 0x80:
            end = position + 1 + one_byte[byte]
            position += 2  # the attributes, too
        elif (second := data[position + 1]) < 0x80 and not byte & 1:
            end = position + 2 + ((byte & 0x7F | second << 7) >> 1)
            position += 3
        else:
            size, position = read_varint(data, position)
            end = position + size
            position += 1
        byte = data[position]
        if byte < 0x80:
            add_timestamp(base_timestamp + one_byte[byte])
            position += 1
        else:
            delta, position = read_varlong(data, position)
            add_timestamp(base_timestamp + delta)
        byte = data[position]
        if byte < 0x80:
            add_offset(base_offset + one_byte[byte])
            position += 1
        elif (second := data[position + 1]) < 0x80 and not byte & 1:
            add_offset(base_offset + ((byte & 0x7F | second << 7) >> 1))
            position += 2
        else:
            delta, position = read_varint(data, position)
            add_offset(base_offset + delta)
        byte = data[position]
        if byte < 0x80:
            position += 1
            if byte & 1:
                add_key(None)
            else:
                start = position
                position += byte >> 1
                add_key(source[start:position])  # type: ignore[arg-type]
        else:
            size, position = read_varint(data, position)
            start = position
            position += max(0, size)
            add_key(None if size < 0 else source[start:position])  # type: ignore[arg-type]
        byte = data[position]
        if byte < 0x80:
            position += 1
            if byte & 1:
                add_value(None)
            else:
                start = position
                position += byte >> 1
                add_value(source[start:position])  # type: ignore[arg-type]
        elif (second := data[position + 1]) < 0x80 and not byte & 1:
            start = position + 2
            position = start + ((byte & 0x7F | second << 7) >> 1)
            add_value(source[start:position])  # type: ignore[arg-type]
        else:
            size, position = read_varint(data, position)
            start = position
            position += max(0, size)
            add_value(None if size < 0 else source[start:position])  # type: ignore[arg-type]
        if data[position]:
            headers, position = read_headers(data, position)
            add_headers(tuple(headers))
        else:
            position += 1
            add_headers(())
        if position != end:
            raise MalformedMessage(f"a record ends {position - end} bytes off its length")
        if patience:
            patience -= 1
            continue
        run = None
        if left and not columns.headers[-1]:
            run = read_run(data, source, start_of_record, left, columns.offsets[-1] - base_offset)
        if run is None or len(run.values) < _SHORT_RUN:
            misses += 1
            patience = _FIRST_PATIENCE << min(misses, _MOST_DOUBLINGS)
        if run is not None:
            columns.offsets.extend(range(base_offset + run.offset_deltas.start, base_offset + run.offset_deltas.stop))
            columns.timestamps.extend([base_timestamp + delta for delta in run.timestamp_deltas])
            columns.keys.extend(run.keys)
            columns.values.extend(run.values)
            columns.headers.extend([()] * len(run.values))
            left -= len(run.values)
            position = run.end
    return position
