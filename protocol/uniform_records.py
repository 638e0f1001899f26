"""Runs of records of one form, read column by column at the speed of C.

Many topics hold records that are alike: fixed keys, fixed values, no headers.  Then every record of a run has the same
size, and each of its fields lies at the same distance from its beginning:

    record   length  attributes  timestamp delta  offset delta  key length  key  value length  value  0 (no headers)
             same    any         same width       the next one  same        any  same          any    same

A slice with a step takes one byte of every record, so that a question about thousands of records is one comparison.  What
is accepted here is exactly what reading the records one by one would have made of the same bytes: lengths are compared
byte for byte, timestamps must be varints of that very width, offsets must follow each other.  A run ends at the first
record that is different.  The one before the run was read by `record_columns`, and is where the form is taken from.
"""

from __future__ import annotations

from functools import lru_cache

from .values import dataclass
from .varints import ONE_BYTE, read_varint, read_varlong, varint

MAX_RUN = 4096
"""At most so many at once: what is looked at in vain, where records are not alike, stays small."""
_MAX_OFFSET_DELTA = 8192  # two bytes


@dataclass(frozen=True, slots=True)
class Form:
    """Where the fields of a record lie, counted from its beginning; sizes are -1 for null."""

    size: int
    timestamp: int
    offset: int
    key_length: int
    key: int
    key_size: int
    value_length: int
    value: int
    value_size: int

    @property
    def fixed(self) -> tuple[int, ...]:
        """The bytes that are the same in all records of the form: the lengths, and the count of headers."""
        lengths = (range(self.timestamp - 1), range(self.key_length, self.key), range(self.value_length, self.value))
        return (*(at for each in lengths for at in each), self.size - 1)


@dataclass(frozen=True, slots=True)
class Run:
    """Records that follow one of the form: what is in them, and the position behind them."""

    offset_deltas: range
    timestamp_deltas: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    end: int


def form_of(data: bytes, start: int) -> Form:
    """The form of a record that can be read and has no headers."""
    size, timestamp = read_varint(data, start)
    end = timestamp + size
    timestamp += 1
    _, offset = read_varlong(data, timestamp)
    _, key_length = read_varint(data, offset)
    key_size, key = read_varint(data, key_length)
    value_length = key + max(0, key_size)
    value_size, value = read_varint(data, value_length)
    places = (end, timestamp, offset, key_length, key)
    end, timestamp, offset, key_length, key = (place - start for place in places)
    return Form(end, timestamp, offset, key_length, key, key_size, value_length - start, value - start, value_size)


def read_run(data: bytes, source: bytes | memoryview, start: int, count: int, last_delta: int) -> Run | None:
    """Of the `count` records behind the one at `start`, as many as are of its form; None if the next one is not.

    `last_delta` is the offset delta of the record at `start`.
    """
    form = form_of(data, start)
    first = start + form.size
    most = min(count, MAX_RUN, (len(data) - first) // form.size)
    length_width = form.timestamp - 1
    if most <= 0 or data[first : first + length_width] != data[start : start + length_width]:
        return None
    count = _offsets_run(data, form, first, last_delta, _fixed_run(data, form, start, first, most))
    timestamps = _timestamps(data, form, first, count)
    count = len(timestamps)
    if not count:
        return None
    end = first + count * form.size
    return Run(
        range(last_delta + 1, last_delta + 1 + count),
        timestamps,
        _column(source, first + form.key, form.key_size, form.size, end, count),
        _column(source, first + form.value, form.value_size, form.size, end, count),
        end,
    )


def _fixed_run(data: bytes, form: Form, start: int, first: int, most: int) -> int:
    """How many records have the same lengths and no headers."""
    for at in form.fixed:
        column = data[first + at : first + most * form.size : form.size]
        most = len(column) - len(column.lstrip(data[start + at : start + at + 1]))
    return most


def _offsets_run(data: bytes, form: Form, first: int, last_delta: int, most: int) -> int:
    """How many have offsets that follow each other."""
    width = form.key_length - form.offset
    if width > 2:
        return 0
    limit = 64 if width == 1 else _MAX_OFFSET_DELTA
    most = min(most, limit - 1 - last_delta)
    for byte in range(width):
        at = first + form.offset + byte
        column = data[at : first + max(0, most) * form.size : form.size]
        expected = _offset_bytes(width, byte)[last_delta + 1 : last_delta + 1 + len(column)]
        if column != expected:
            most = next(place for place, pair in enumerate(zip(column, expected, strict=True)) if pair[0] != pair[1])
    return max(0, most)


@lru_cache(maxsize=3)
def _offset_bytes(width: int, byte: int) -> bytes:
    """One of the bytes of all offset deltas that have this width, by delta; 0 for those of another width."""
    encoded = map(varint, range(64 if width == 1 else _MAX_OFFSET_DELTA))
    return bytes(each[byte] if len(each) == width else 0 for each in encoded)


def _timestamps(data: bytes, form: Form, first: int, count: int) -> list[int]:
    """The timestamp deltas of as many records as have varints of the form's width there."""
    width = form.offset - form.timestamp
    at, end = first + form.timestamp, first + count * form.size
    if width == 1:
        column = data[at : end : form.size]
        return [ONE_BYTE[byte] for byte in (column if column.isascii() else column[: _first_not_ascii(column)])]
    if width == 2:
        low, high = data[at : end : form.size], data[at + 1 : end : form.size]
        pairs = zip(low, high, strict=True)
        deltas = [((a & 0x7F | b << 7) >> 1) ^ -(a & 1) for a, b in pairs if a >= 0x80 > b]
        return deltas if len(deltas) == count else _timestamps_one_by_one(data, form, at, count)
    return _timestamps_one_by_one(data, form, at, count)


def _first_not_ascii(column: bytes) -> int:
    return next(place for place, byte in enumerate(column) if byte >= 0x80)


def _timestamps_one_by_one(data: bytes, form: Form, at: int, count: int) -> list[int]:
    width = form.offset - form.timestamp
    deltas: list[int] = []
    for position in range(at, at + count * form.size, form.size):
        delta, end = read_varlong(data, position)
        if end - position != width:
            break
        deltas.append(delta)
    return deltas


def _column(source: bytes | memoryview, at: int, size: int, step: int, end: int, count: int) -> list[bytes | None]:
    if size < 0:
        return [None] * count
    return [source[start : start + size] for start in range(at, end, step)]  # type: ignore[misc]
