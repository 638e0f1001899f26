"""Records of a batch in the pieces that the batch is joined of: what a record costs whoever builds batches in Python.

    length  0 (attributes)  timestamp delta  offset delta  key length  key  value length  value  header count  headers

Only numbers are encoded, or looked up where they are small.  Keys and values are pieces as they are, so that their bytes move
once, when the batch is joined.

    keys of one size or none, values of one size or none, timestamps equally wide  ──►  a column at a time, at the speed of C
    others                                                                         ──►  one loop

Pure.  `record_reader` reads what is written here, and `uniform_records` reads what is alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .varints import SMALL_COUNT, small_varints, varint

Headers = Sequence[tuple[str, bytes | None]]
Column = Sequence[bytes | None]
Buffer = bytes | bytearray | memoryview

MOST_BYTES_OF_NUMBERS = 28
"""At most so many are added to key and value of a record without headers, all sizes below 128 MB: attributes 1, headers 1, the
timestamp 10, and 4 each for length, offset, key length and value length."""
UNBOUNDED = 2**63
_NULL = varint(-1)
_NO_HEADERS = varint(0)
_ATTRIBUTES = b"\0"
_BYTES_BESIDE = len(_ATTRIBUTES) + len(_NO_HEADERS)  # the numbers, the key and the value
_ENDS_OF_WIDTHS = (64, 8192, 2**20, 2**27, 2**31)
"""Numbers below are varints of 1, 2, 3, 4, 5 bytes."""
_FEWEST_ALIKE = 8
"""Fewer are added by the loop as quickly."""


class RecordPieces:
    """Records one behind the other: their `pieces`, `size_bytes` together, and the offset delta that comes next.

    `base_timestamp` is to be set before the first.
    """

    __slots__ = ("_small", "base_timestamp", "next_delta", "pieces", "size_bytes")

    def __init__(self) -> None:
        self.base_timestamp = -1
        self.next_delta = 0
        self.pieces: list[bytes] = []
        self.size_bytes = 0
        self._small = small_varints()

    def add_one(self, delta: int, timestamp: int, key: Buffer | None, value: Buffer | None, headers: Headers) -> None:
        """A record of any kind, copied; those that follow have the deltas behind `delta`."""
        small, since = self._small, timestamp - self.base_timestamp
        stamp = small[since] if 0 <= since < SMALL_COUNT else varint(since)
        number = small[delta] if delta < SMALL_COUNT else varint(delta)
        if key is None:
            key, key_bytes, key_length = b"", 0, _NULL
        else:
            key_bytes = len(key)
            key_length = small[key_bytes] if key_bytes < SMALL_COUNT else varint(key_bytes)
        if value is None:
            value, value_bytes, value_length = b"", 0, _NULL
        else:
            value_bytes = len(value)
            value_length = small[value_bytes] if value_bytes < SMALL_COUNT else varint(value_bytes)
        tail = _headers(headers) if headers else _NO_HEADERS
        body = 1 + len(stamp) + len(number) + len(key_length) + key_bytes + len(value_length) + value_bytes + len(tail)
        length = small[body] if body < SMALL_COUNT else varint(body)
        record = b"".join((length, _ATTRIBUTES, stamp, number, key_length, key, value_length, value, tail))
        self.pieces.append(record)
        self.size_bytes += len(record)
        self.next_delta = delta + 1

    def add(self, timestamps: Sequence[int], keys: Column, values: Column, room_bytes: int = UNBOUNDED) -> int:
        """As many records without headers as there is room for, from the first on, which has room always if none is before.

        How many were added.
        """
        if len(values) >= _FEWEST_ALIKE and _is_alike(keys) and _is_alike(values):
            return self._add_alike(timestamps, keys, values, room_bytes)
        return self._add_each(timestamps, keys, values, room_bytes)

    def add_values(self, timestamp: int, values: Sequence[bytes], room_bytes: int = UNBOUNDED) -> int:
        """As `add`, records of nothing but a value and of the same time."""
        count = len(values)
        if count >= _FEWEST_ALIKE and _is_alike(values):
            return self._add_alike((timestamp,) * count, (None,) * count, values, room_bytes)
        return self._add_each_value(timestamp, values, room_bytes)

    def _add_alike(self, timestamps: Sequence[int], keys: Column, values: Column, room_bytes: int) -> int:
        """Add records whose keys are of one size, and their values, in parts whose offset deltas are equally wide."""
        stamps = self._stamps(timestamps)
        if stamps is None:
            return self._add_each(timestamps, keys, values, room_bytes)
        count, added = len(values), 0
        room_bytes += self.size_bytes
        while added < count:
            part = slice(added, added + self._equally_wide(count - added))
            some = self._add_rows(timestamps[part], stamps, keys[part], values[part], room_bytes - self.size_bytes)
            added += some
            if added < part.stop:
                break
        return added

    def _stamps(self, timestamps: Sequence[int]) -> Mapping[int, bytes] | None:
        """The varints of timestamps, of which a batch has few different ones; None if they are not equally wide."""
        stamps = {each: self._number(each - self.base_timestamp) for each in set(timestamps)}
        return stamps if len(set(map(len, stamps.values()))) == 1 else None

    def _number(self, number: int) -> bytes:
        return self._small[number] if 0 <= number < SMALL_COUNT else varint(number)

    def _equally_wide(self, most: int) -> int:
        """How many of the next offset deltas are."""
        return min(most, next(end for end in _ENDS_OF_WIDTHS if self.next_delta < end) - self.next_delta)

    def _add_rows(
        self, timestamps: Sequence[int], stamps: Mapping[int, bytes], keys: Column, values: Column, room_bytes: int
    ) -> int:
        """Add records whose numbers are equally wide; as many as there is room for."""
        first, key, value = self.next_delta, keys[0], values[0]
        key_length = _NULL if key is None else self._number(len(key))
        value_length = _NULL if value is None else self._number(len(value))
        numbers = (stamps[timestamps[0]], self._number(first), key_length, value_length)
        body = _BYTES_BESIDE + sum(map(len, numbers)) + len(key or b"") + len(value or b"")
        begin = self._number(body) + _ATTRIBUTES
        size = len(begin) - len(_ATTRIBUTES) + body
        count = min(len(values), max(room_bytes // size, 0 if first else 1))
        if not count:
            return 0
        begins = {
            each: _NO_HEADERS + begin + stamp for each, stamp in stamps.items()
        }  # after the end of the one before
        columns: list[Column] = [list(map(begins.__getitem__, timestamps[:count])), self._numbers(first, first + count)]
        if key is None:
            columns.append((_NULL + value_length,) * count)
        else:
            columns += ((key_length,) * count, keys[:count], (value_length,) * count)
        if value is not None:
            columns.append(values[:count])
        self._add_columns(columns, count)
        self.size_bytes += count * size
        self.next_delta += count
        return count

    def _numbers(self, start: int, end: int) -> Sequence[bytes]:
        return self._small[start:end] if end <= SMALL_COUNT else tuple(map(varint, range(start, end)))

    def _add_columns(self, columns: Sequence[Column], count: int) -> None:
        """Row by row, each but the first beginning with the end of the one before."""
        width = len(columns)
        rows: list[Any] = [None] * (width * count)
        for place, column in enumerate(columns):
            rows[place::width] = column
        rows[0] = rows[0][len(_NO_HEADERS) :]
        self.pieces += rows
        self.pieces.append(_NO_HEADERS)

    def _add_each(self, timestamps: Iterable[int], keys: Column, values: Column, room_bytes: int) -> int:
        """Written for speed: this is what every record pays that is not like its neighbours."""
        small, first, pieces = self._small, self.next_delta, self.pieces
        delta, room = first, room_bytes
        last, stamp = None, b""
        for timestamp, key, value in zip(timestamps, keys, values, strict=True):
            if timestamp != last:
                last, stamp = timestamp, self._number(timestamp - self.base_timestamp)
            number = small[delta] if delta < SMALL_COUNT else varint(delta)
            body = _BYTES_BESIDE + len(stamp) + len(number)
            key_length = value_length = _NULL
            if key is not None:
                size = len(key)
                key_length = small[size] if size < SMALL_COUNT else varint(size)
                body += size
            if value is not None:
                size = len(value)
                value_length = small[size] if size < SMALL_COUNT else varint(size)
                body += size
            body += len(key_length) + len(value_length)
            length = small[body] if body < SMALL_COUNT else varint(body)
            room -= body + len(length)
            if room < 0 and delta:
                room += body + len(length)
                break
            if key is None:
                pieces += (length, _ATTRIBUTES, stamp, number, _NULL, value_length, value or b"", _NO_HEADERS)
            else:
                pieces += (length, _ATTRIBUTES, stamp, number, key_length, key, value_length, value or b"", _NO_HEADERS)
            delta += 1
        self.size_bytes += room_bytes - room
        self.next_delta = delta
        return delta - first

    def _add_each_value(self, timestamp: int, values: Sequence[bytes], room_bytes: int) -> int:
        """As `_add_each`, with nothing to ask of a record but how long its value is, which takes a third less time."""
        small, first, pieces = self._small, self.next_delta, self.pieces
        delta, room, stamp = first, room_bytes, self._number(timestamp - self.base_timestamp)
        fixed = _BYTES_BESIDE + len(stamp) + len(_NULL)
        for value in values:
            size = len(value)
            number = small[delta] if delta < SMALL_COUNT else varint(delta)
            value_length = small[size] if size < SMALL_COUNT else varint(size)
            body = fixed + len(number) + len(value_length) + size
            length = small[body] if body < SMALL_COUNT else varint(body)
            room -= body + len(length)
            if room < 0 and delta:
                room += body + len(length)
                break
            pieces += (length, _ATTRIBUTES, stamp, number, _NULL, value_length, value, _NO_HEADERS)
            delta += 1
        self.size_bytes += room_bytes - room
        self.next_delta = delta
        return delta - first


def encode_record(
    timestamp_delta: int, offset_delta: int, key: Buffer | None, value: Buffer | None, headers: Headers = ()
) -> bytes:
    """One record as it lies in a batch, its length first."""
    pieces = RecordPieces()
    pieces.base_timestamp = 0
    pieces.add_one(offset_delta, timestamp_delta, key, value, headers)
    return pieces.pieces[0]


def _with_length(field: bytes | None) -> tuple[bytes, bytes]:
    return (_NULL, b"") if field is None else (varint(len(field)), field)


def _headers(headers: Headers) -> bytes:
    parts = [varint(len(headers))]
    for name, content in headers:
        parts += (*_with_length(name.encode("utf-8", "surrogateescape")), *_with_length(content))
    return b"".join(parts)


def _is_alike(column: Column) -> bool:
    """Whether all are null, or none, and of one size."""
    if column[0] is None:
        return column.count(None) == len(column)
    try:
        return len(set(map(len, column))) == 1  # type: ignore[arg-type]
    except TypeError:  # a null among them
        return False
