"""Runs of records of one form, read column by column at the speed of C.

Many topics hold records that are alike: fixed keys, fixed values, no headers.  Then every record of a run has the same
size, and each of its fields lies at the same distance from its beginning:

    record   length  attributes  timestamp delta  offset delta  key length  key  value length  value  0 (no headers)
             same    any         same width       the next one  same        any  same          any    same

A slice with a step takes one byte of every record, so that a question about thousands of records is one comparison.  Keys
and values are cut by a `Struct` that describes many records at once, which is twice as fast as a slice for each.  Nothing
needs the records as bytes: they are read where the socket put them.

What is accepted here is exactly what reading the records one by one would have made of the same bytes: lengths are
compared byte for byte, timestamps must be varints of that very width, offsets must follow each other.  A run begins with
the record that its form is taken from, and ends before the first that is different.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from .batch_header import BatchHeader
from .values import dataclass
from .varints import read_varint, read_varlong, varint

MAX_RUN = 4096
"""At most so many at once: what is looked at in vain, where records are not alike, stays small."""
_OFFSETS_AT_ONCE = (0, 64, 8192, 8192)
"""By the width of an offset delta: after so many deltas its first two bytes begin again, or the width is another."""
_RECORDS_AT_ONCE = (64, 8, 1)  # that one Struct cuts
_CODE_OF_WIDTH = " BHIIQQQQ"  # the Struct code of a number that holds a varint of so many bytes
_CONTINUED = bytes(range(0x80, 0x100))  # bytes of a varint after which others follow


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
        """The bytes that are the same in all records of a run: the lengths, the count of headers, the third of offsets."""
        lengths = (range(self.timestamp - 1), range(self.key_length, self.key), range(self.value_length, self.value))
        offset = range(self.offset + 2, self.key_length)
        return (*(at for each in (*lengths, offset) for at in each), self.size - 1)

    @property
    def layout(self) -> str:
        """A record to `struct`: the key if there is one, the value if there is one."""
        key = "" if self.key_size < 0 else f"{self.key_size}s"
        value = "" if self.value_size < 0 else f"{self.value_size}s"
        return f"{self.key}x{key}{self.value - self.value_length}x{value}1x"


@dataclass(frozen=True, slots=True)
class Run:
    """Records of one form: what is in them, and the position behind them."""

    offsets: range
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    end: int


def form_of(data: bytes | memoryview, start: int) -> Form | None:
    """The form of the record there; None if it has headers, or does not end where its length says."""
    size, timestamp = read_varint(data, start)
    end = timestamp + size
    timestamp += 1
    _, offset = read_varlong(data, timestamp)
    _, key_length = read_varint(data, offset)
    key_size, key = read_varint(data, key_length)
    value_length = key + max(0, key_size)
    value_size, value = read_varint(data, value_length)
    headers = value + max(0, value_size)
    if headers + 1 != end or data[headers]:
        return None
    places = (end, timestamp, offset, key_length, key)
    end, timestamp, offset, key_length, key = (place - start for place in places)
    return Form(end, timestamp, offset, key_length, key, key_size, value_length - start, value - start, value_size)


def read_run(data: memoryview, source: memoryview | None, start: int, count: int, header: BatchHeader) -> Run | None:
    """Of `count` records from `start` on, those that are of the form of the first; None if not even the second is.

    Keys and values are views of `source`, which has the same bytes as `data`; bytes of their own if it is None.
    IndexError or MalformedMessage where the first cannot be read.
    """
    form = form_of(data, start)
    if form is None:
        return None
    count = min(count, MAX_RUN, (len(data) - start) // form.size)
    second = start + form.size
    length_width = form.timestamp - 1
    if count < 2 or data[second : second + length_width] != data[start : start + length_width]:
        return None
    delta, _ = read_varint(data, start + form.offset)
    count = _consecutive(data, form, start, delta, _alike(data, form, start, count))
    timestamps = _timestamps(data, form, start, count, header.base_timestamp)
    count = len(timestamps)
    if count < 2:
        return None
    first_offset = header.base_offset + delta
    end = start + count * form.size
    keys, values = _cut(data, form, start, end) if source is None else _views(source, form, start, end)
    return Run(range(first_offset, first_offset + count), timestamps, keys, values, end)


def _alike(data: memoryview, form: Form, start: int, count: int) -> int:
    """How many records have the same lengths and no headers."""
    for at in form.fixed:
        byte = bytes((data[start + at],))
        column = data[start + at : start + count * form.size : form.size]
        if column != byte * count:
            count -= len(bytes(column).lstrip(byte))
    return count


def _consecutive(data: memoryview, form: Form, start: int, delta: int, count: int) -> int:
    """How many have offset deltas that follow each other from `delta` on, and are equally wide."""
    width = form.key_length - form.offset
    if width >= len(_OFFSETS_AT_ONCE) or delta < 0:
        return 0
    place = delta % _OFFSETS_AT_ONCE[width]
    count = min(count, _OFFSETS_AT_ONCE[width] - place)
    for byte in range(min(width, 2)):
        at = start + form.offset + byte
        column = data[at : start + count * form.size : form.size]
        expected = _offset_bytes(width, byte)[place : place + count]
        if column != expected:
            count = next(place for place, pair in enumerate(zip(column, expected, strict=True)) if pair[0] != pair[1])
    return count


@lru_cache(maxsize=5)
def _offset_bytes(width: int, byte: int) -> bytes:
    """One of the first two bytes of offset deltas of this width, by delta, until it begins again; 0 for another width."""
    first = 8192 if width == 3 else 0
    encoded = map(varint, range(first, first + _OFFSETS_AT_ONCE[width]))
    return bytes(each[byte] if len(each) == width else 0 for each in encoded)


def _timestamps(data: memoryview, form: Form, start: int, count: int, base: int) -> list[int]:
    """The timestamps of as many records as have varints of the form's width there.

    A batch has few different ones, so each is decoded once.
    """
    width = form.offset - form.timestamp
    if width >= len(_CODE_OF_WIDTH):
        return []
    at, end = start + form.timestamp, start + count * form.size
    columns = [bytes(data[at + byte : end : form.size]) for byte in range(width)]
    numbers = _numbers(columns)[: _equally_wide(columns)]
    if width <= 2:
        known = {each: base + (((each & 0x7F | each >> 1 & 0x3F80) >> 1) ^ -(each & 1)) for each in set(numbers)}
    else:
        known = {each: base + read_varlong(each.to_bytes(8, "little"), 0)[0] for each in set(numbers)}
    return list(map(known.__getitem__, numbers))


def _numbers(columns: list[bytes]) -> bytes | tuple[int, ...]:
    """Varints as numbers that are equal when they are: their bytes one behind the other, lowest first."""
    if len(columns) == 1:
        return columns[0]
    count, code = len(columns[0]), _CODE_OF_WIDTH[len(columns)]
    size = struct.calcsize(f"<{code}")
    padded = bytearray(count * size)
    for place, column in enumerate(columns):
        padded[place::size] = column
    return struct.unpack(f"<{count}{code}", padded)


def _equally_wide(columns: list[bytes]) -> int:
    """How many varints, a column for each of their bytes, end with the last column and not before."""
    *before, last = columns
    count = len(last)
    if not last.isascii():
        count = next(place for place, byte in enumerate(last) if byte >= 0x80)
    for column in before:
        if column.translate(None, _CONTINUED):
            count = min(count, next(place for place, byte in enumerate(column) if byte < 0x80))
    return count


def _cut(data: memoryview, form: Form, start: int, end: int) -> tuple[list[bytes | None], list[bytes | None]]:
    """Keys and values as bytes of their own."""
    count = (end - start) // form.size
    fields: list[bytes | None] = []
    layout = form.layout
    for times in _RECORDS_AT_ONCE:
        size = times * form.size
        stop = start + (end - start) // size * size
        if stop > start:
            for some in _repeated(layout, times).iter_unpack(data[start:stop]):
                fields += some
        start = stop
    if form.key_size < 0:
        return [None] * count, fields or [None] * count
    return (fields, [None] * count) if form.value_size < 0 else (fields[::2], fields[1::2])


@lru_cache(maxsize=32)
def _repeated(layout: str, times: int) -> struct.Struct:
    return struct.Struct(layout * times)


def _views(source: memoryview, form: Form, start: int, end: int) -> tuple[list[bytes | None], list[bytes | None]]:
    keys = _views_of(source, start + form.key, form.key_size, form.size, end)
    return keys, _views_of(source, start + form.value, form.value_size, form.size, end)


def _views_of(source: memoryview, at: int, size: int, step: int, end: int) -> list[bytes | None]:
    if size < 0:
        return [None] * len(range(at, end, step))
    return [source[start : start + size] for start in range(at, end, step)]  # type: ignore[misc]
