"""The records of a batch as columns: all offsets, all keys, all values; the fast way for whoever wants whole batches.

A record made by itself (`record_reader`) costs as much for the object as for its bytes.  Here five lists are filled, and
who needs objects makes them from the columns at the speed of C (`map`, `zip`).  The format, and what is checked, are
`record_reader`'s: a record must end where its length says, and the batch must hold exactly what it counts.

    records that are alike  ──►  runs (`uniform_records`), read where they are
    others                  ──►  one loop, over bytes: a batch that is a view is copied when the first of them comes

Keys and values are bytes of their own, or views of `source`, which they keep alive.
"""

from __future__ import annotations

from typing import NamedTuple

from .batch_header import BatchHeader, TimestampType
from .errors import MalformedMessage
from .record_reader import MIN_RECORD_BYTES, read_headers
from .uniform_records import Run, read_run
from .values import dataclass, field
from .varints import ONE_BYTE, read_varint, read_varlong

_FIRST_PATIENCE = 2
"""So many records are read one by one where no run was found before one is looked for again, and twice as many after each
that was short or none at all, up to a thousand: where records are not alike, looking costs next to nothing."""
_MOST_DOUBLINGS = 9
_SHORT_RUN = 8
_FEWEST_TO_LOOK_AT = 16
"""Reading fewer than these one by one takes less time than finding out whether they are alike."""


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

    def extend(self, run: Run, count: int) -> None:
        """Add so many records that are alike and have no headers."""
        self.offsets.extend(run.offsets)
        self.timestamps.extend(run.timestamps)
        self.keys.extend(run.keys)
        self.values.extend(run.values)
        self.headers.extend([()] * count)


def read_columns(data: bytes | memoryview, header: BatchHeader) -> RecordColumns:
    """The columns of a batch whose records are unfolded in `data`; MalformedMessage if it is not what it claims to be.

    Keys and values are bytes of their own.
    """
    return _read(data, header, None)


def read_view_columns(data: bytes, header: BatchHeader) -> RecordColumns:
    """As `read_columns`, but keys and values are views of `data`, which each of them keeps in memory."""
    return _read(data, header, memoryview(data))


def _read(data: bytes | memoryview, header: BatchHeader, source: memoryview | None) -> RecordColumns:
    count = header.record_count
    if not 0 <= count <= len(data) // MIN_RECORD_BYTES:
        raise MalformedMessage(f"{count} records do not fit into {len(data)} bytes")
    reader = _Reader(header, data, source, left=count)
    try:
        reader.read()
    except IndexError:
        raise MalformedMessage("a record is cut short") from None
    rest = len(reader.data) - reader.position
    if rest:
        raise MalformedMessage(f"{rest} bytes are left after the last record")
    if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
        return reader.columns._replace(timestamps=[header.max_timestamp] * count)
    return reader.columns


@dataclass(slots=True)
class _Reader:
    """A batch that is being read: `left` records, the next of them at `position`."""

    header: BatchHeader
    data: bytes | memoryview
    source: memoryview | None  # of `data`, which is bytes then: keys and values are to be views of it
    left: int
    position: int = 0
    columns: RecordColumns = field(default_factory=lambda: RecordColumns([], [], [], [], []))

    def read(self) -> None:
        """Read all records, in runs as long as there are any."""
        if self.left < _FEWEST_TO_LOOK_AT:
            self._read_each(self.left)
        misses = 0
        while self.left:
            if self._read_run() < _SHORT_RUN:
                self._read_each(min(self.left, _FIRST_PATIENCE << min(misses, _MOST_DOUBLINGS)))
                misses += 1

    def _read_run(self) -> int:
        """Read the records that are alike, if the next ones are; how many."""
        run = read_run(memoryview(self.data), self.source, self.position, self.left, self.header)
        if run is None:
            return 0
        count = len(run.values)
        self.columns.extend(run, count)
        self.position = run.end
        self.left -= count
        return count

    def _read_each(self, count: int) -> None:
        """Read so many records one by one.

        The one loop that every record pays for that is not like its neighbours, so it is written for speed: varints of one
        and two bytes are read in place, and an odd length, which means a negative one, is null.  A slice past the end is
        short and costs nothing; the record then does not end where its length says, or the next byte is an IndexError.
        """
        if isinstance(self.data, memoryview):  # an index into it, and a slice of it, cost twice what those of bytes do
            self.data, self.position = bytes(self.data[self.position :]), 0
        header, columns, data, position = self.header, self.columns, self.data, self.position
        source = self.source or data
        add_offset, add_timestamp = columns.offsets.append, columns.timestamps.append
        add_key, add_value, add_headers = columns.keys.append, columns.values.append, columns.headers.append
        base_offset, base_timestamp, one_byte = header.base_offset, header.base_timestamp, ONE_BYTE
        for _ in range(count):
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
        self.position = position
        self.left -= count
