"""Readers and writers of the values that have no fixed size; the compiled messages are made of calls to these.

A reader takes the body and a position and returns the value and the position behind it; a writer appends to a
bytearray.  Each comes in *classic* form (int16 or int32 lengths, -1 is null) and in *compact* form (KIP-482:
unsigned varint of the length and one, 0 is null).

What a reader meets is the peer's word: a length is compared with the bytes that are left before anything is
allocated for it, so a hostile count costs nothing.  It raises MalformedMessage, IndexError or struct.error; the
caller turns the latter two, a body cut short, into the first.  A writer meets our own values: what it cannot write
is our bug, and raises whatever Python raises.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from .errors import MalformedMessage
from .primitives import pack_uvarint, read_uvarint

Body = bytes | memoryview
Reader = Callable[[Body, int], tuple[Any, int]]
MessageReader = Callable[[Body, int, int], tuple[Any, int]]  # the last: how many structs it may make
Writer = Callable[[bytearray, Any], None]

MAX_STRING_BYTES = 0x7FFF  # in both forms
SHORT_ARRAY = 8  # arrays of fewer numbers are read and written in one call with their count

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")


# Lengths: of strings in int16, of everything else in int32, or compact.


def _classic_string_length(body: Body, position: int) -> tuple[int, int]:
    return _INT16.unpack_from(body, position)[0], position + 2


def _classic_length(body: Body, position: int) -> tuple[int, int]:
    return _INT32.unpack_from(body, position)[0], position + 4


def _compact_length(body: Body, position: int) -> tuple[int, int]:
    byte = body[position]
    if byte < 0x80:
        return byte - 1, position + 1
    return read_long_compact_length(body, position)


def read_long_compact_length(body: Body, position: int) -> tuple[int, int]:
    """A compact length of any size, as Java's int has it: past 2^31 it is negative, and so null."""
    length, position = read_uvarint(body, position)
    return (length - 1 + 0x80000000) % 0x100000000 - 0x80000000, position


def _put_classic_string_length(out: bytearray, length: int) -> None:
    out += _INT16.pack(length)


def put_classic_length(out: bytearray, length: int) -> None:
    """Write the length of bytes or an array; -1 for null."""
    out += _INT32.pack(length)


def put_compact_length(out: bytearray, length: int) -> None:
    """Write the length of anything, in compact form; -1 for null."""
    if length < 0x7F:
        out.append(length + 1)
    else:
        out += pack_uvarint(length + 1)


# Readers.


def string_reader(*, compact: bool, nullable: bool) -> Reader:
    """Reads a str, or None where the field may be null; what is not UTF-8 becomes U+FFFD, as in Java."""
    read_length = _compact_length if compact else _classic_string_length

    def read(body: Body, position: int) -> tuple[str | None, int]:
        length, position = read_length(body, position)
        if length < 0:
            _check_null(nullable)
            return None, position
        end = position + length
        if end > len(body) or length > MAX_STRING_BYTES:
            raise MalformedMessage(f"a string of {length} bytes, {len(body) - position} are left")
        return str(body[position:end], "utf-8", "replace"), end

    return read


def bytes_reader(*, compact: bool, nullable: bool) -> Reader:
    """Reads bytes, a copy of their own, or None where the field may be null."""
    find = _span_finder(compact=compact, nullable=nullable)

    def read(body: Body, position: int) -> tuple[bytes | None, int]:
        start, end = find(body, position)
        return (None if start < 0 else bytes(body[start:end])), end

    return read


def records_reader(*, compact: bool, nullable: bool) -> Reader:
    """Reads records as a view of the body, uncopied, or None where the field may be null."""
    find = _span_finder(compact=compact, nullable=nullable)

    def read(body: Body, position: int) -> tuple[memoryview | None, int]:
        start, end = find(body, position)
        return (None if start < 0 else memoryview(body)[start:end]), end

    return read


def _span_finder(*, compact: bool, nullable: bool) -> Callable[[Body, int], tuple[int, int]]:
    read_length = _compact_length if compact else _classic_length

    def find(body: Body, position: int) -> tuple[int, int]:
        """Start and end of what the length at `position` announces; a start of -1 for null."""
        length, position = read_length(body, position)
        if length < 0:
            _check_null(nullable)
            return -1, position
        end = position + length
        if end > len(body):
            raise MalformedMessage(f"{length} bytes in a body where {len(body) - position} are left")
        return position, end

    return find


def count_reader(min_item_bytes: int, *, compact: bool, nullable: bool) -> Callable[[Body, int], tuple[int, int]]:
    """Reads how many items follow, no more than the rest of the body can hold; -1 where the array is null."""
    read_length = _compact_length if compact else _classic_length

    def read(body: Body, position: int) -> tuple[int, int]:
        count, position = read_length(body, position)
        if count < 0:
            _check_null(nullable)
            return -1, position
        if count * min_item_bytes > len(body) - position:
            raise MalformedMessage(f"an array of {count} items in {len(body) - position} bytes")
        return count, position

    return read


def number_array_reader(format_: str, *, compact: bool, nullable: bool) -> Reader:
    """Reads a list of numbers of one struct format."""
    size = struct.calcsize(">" + format_)
    read_count = count_reader(size, compact=compact, nullable=nullable)

    def read(body: Body, position: int) -> tuple[list[Any] | None, int]:
        count, position = read_count(body, position)
        if count < 0:
            return None, position
        return list(struct.unpack_from(f">{count}{format_}", body, position)), position + count * size

    return read


def array_reader(read_item: Reader, min_item_bytes: int, *, compact: bool, nullable: bool) -> Reader:
    """Reads a list of whatever `read_item` reads."""
    read_count = count_reader(min_item_bytes, compact=compact, nullable=nullable)

    def read(body: Body, position: int) -> tuple[list[Any] | None, int]:
        count, position = read_count(body, position)
        if count < 0:
            return None, position
        items = []
        for _ in range(count):
            item, position = read_item(body, position)
            items.append(item)
        return items, position

    return read


def read_uuid(body: Body, position: int) -> tuple[UUID, int]:
    """A UUID, 16 bytes."""
    raw = bytes(body[position : position + 16])
    if len(raw) < 16:
        raise MalformedMessage("a UUID is cut short")
    return uuid_of(raw), position + 16


@lru_cache(maxsize=4096)
def uuid_of(raw: bytes) -> UUID:
    """The UUID of 16 bytes; making one is slow, and the same topic ids come again and again."""
    return UUID(bytes=raw)


def read_tags(
    body: Body, position: int, left: int, known: Mapping[int, tuple[str, MessageReader]]
) -> tuple[dict[str, Any], int]:
    """The known tagged fields by name, the last one of a tag counting; unknown ones are stepped over.

    Like Kafka's this believes a known field itself, not the size before it.
    """
    found = {}
    count, position = read_uvarint(body, position)
    for _ in range(count):
        tag, position = read_uvarint(body, position)
        size, position = read_uvarint(body, position)
        if tag in known:
            name, read = known[tag]
            found[name], position = read(body, position, left)
        elif size > len(body) - position:
            raise MalformedMessage(f"a tagged field of {size} bytes, {len(body) - position} are left")
        else:
            position += size
    return found, position


def _check_null(nullable: bool) -> None:
    if not nullable:
        raise MalformedMessage("null in a field that cannot be null")


# Writers.


def string_writer(*, compact: bool, nullable: bool) -> Writer:
    """Writes a str, or None where the field may be null."""
    put_length = put_compact_length if compact else _put_classic_string_length

    def write(out: bytearray, value: str | None) -> None:
        if value is None:
            _put_null(put_length, out, nullable)
            return
        data = value.encode()
        if len(data) > MAX_STRING_BYTES:
            raise ValueError(f"a string of {len(data)} bytes")
        put_length(out, len(data))
        out += data

    return write


def bytes_writer(*, compact: bool, nullable: bool) -> Writer:
    """Writes bytes, or None where the field may be null."""
    put_length = put_compact_length if compact else put_classic_length

    def write(out: bytearray, value: bytes | bytearray | memoryview | None) -> None:
        if value is None:
            _put_null(put_length, out, nullable)
            return
        put_length(out, len(value))
        out += value

    return write


def number_array_writer(format_: str, *, compact: bool, nullable: bool) -> Writer:
    """Writes a sequence of numbers of one struct format."""
    put_length = put_compact_length if compact else put_classic_length

    def write(out: bytearray, values: Sequence[Any] | None) -> None:
        if values is None:
            _put_null(put_length, out, nullable)
            return
        count = len(values)
        put_length(out, count)
        out += struct.pack(f">{count}{format_}", *values)

    return write


def array_writer(write_item: Writer, *, compact: bool, nullable: bool) -> Writer:
    """Writes a sequence of whatever `write_item` writes."""
    put_length = put_compact_length if compact else put_classic_length

    def write(out: bytearray, items: Sequence[Any] | None) -> None:
        if items is None:
            _put_null(put_length, out, nullable)
            return
        put_length(out, len(items))
        for item in items:
            write_item(out, item)

    return write


def write_uuid(out: bytearray, value: UUID) -> None:
    """A UUID, 16 bytes."""
    out += value.bytes


def write_tags(out: bytearray, fields: Iterable[tuple[int, bytes]]) -> None:
    """Tagged fields, in the order of their tags."""
    pairs = list(fields)
    out += pack_uvarint(len(pairs))
    for tag, data in pairs:
        out += pack_uvarint(tag) + pack_uvarint(len(data)) + data


def _put_null(put_length: Callable[[bytearray, int], None], out: bytearray, nullable: bool) -> None:
    if not nullable:
        raise TypeError("None in a field that cannot be null")
    put_length(out, -1)
