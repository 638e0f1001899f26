"""The records of a batch as compaction sees them: key, offset, whether there is a value, and where the bytes are.

Compaction decides by the key and copies the rest unread, so this takes a record apart only as far as its value's
length: headers and value are cargo. The records are unfolded already; their layout is in `record_reader`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .batch_header import RECORD_BATCH_OVERHEAD, BatchHeader, Buffer
from .compression import Codec, decompress
from .errors import MalformedMessage
from .varints import ONE_BYTE, read_varint, read_varlong, varint


class KeyedRecord(NamedTuple):
    """One record at `start` to `end` (exclusive) of the unfolded records; from `rest` on nothing depends on the batch's
    base timestamp.
    """

    start: int
    rest: int
    end: int
    timestamp_delta: int
    offset_delta: int
    key: bytes | None
    has_value: bool


def unfolded_records(batch: Buffer, header: BatchHeader, *, max_bytes: int) -> bytes:
    """The records of a whole batch, decompressed. MalformedMessage: they are not of the codec, or more than `max_bytes`."""
    body = memoryview(batch)[RECORD_BATCH_OVERHEAD : header.size_bytes]
    return bytes(body) if header.codec is Codec.NONE else decompress(header.codec, body, max_bytes=max_bytes)


def iter_keyed(data: bytes, count: int) -> Iterator[KeyedRecord]:
    """Each of `count` records in `data`, which holds nothing else. MalformedMessage where that is not so."""
    position, size_bytes = 0, len(data)
    try:
        for _ in range(count):
            record = _read_keyed(data, position)
            position = record.end
            if position > size_bytes:
                raise MalformedMessage(f"a record ends {position - size_bytes} bytes behind its batch")
            yield record
    except IndexError:
        raise MalformedMessage("a record is cut short") from None
    if position != size_bytes:
        raise MalformedMessage(f"{size_bytes - position} bytes are left after the last record")


def _read_keyed(data: bytes, start: int) -> KeyedRecord:
    """Nearly all numbers have one byte, and are looked up in place: every record of a log comes here, twice."""
    if (byte := data[start]) < 0x80:
        size, position = ONE_BYTE[byte], start + 1
    else:
        size, position = read_varint(data, start)
    end = position + size
    position += 1  # attributes
    if (byte := data[position]) < 0x80:
        timestamp_delta, rest = ONE_BYTE[byte], position + 1
    else:
        timestamp_delta, rest = read_varlong(data, position)
    if (byte := data[rest]) < 0x80:
        offset_delta, position = ONE_BYTE[byte], rest + 1
    else:
        offset_delta, position = read_varint(data, rest)
    if (byte := data[position]) < 0x80:
        key_bytes, position = ONE_BYTE[byte], position + 1
    else:
        key_bytes, position = read_varint(data, position)
    key = None
    if key_bytes >= 0:
        key = data[position : position + key_bytes]
        position += key_bytes
    if position >= end:
        raise MalformedMessage(f"a key of {key_bytes} bytes in a record of {size}")
    value_bytes, _ = read_varint(data, position)
    return KeyedRecord(start, rest, end, timestamp_delta, offset_delta, key, value_bytes >= 0)


def with_timestamp_delta(data: bytes, record: KeyedRecord, timestamp_delta: int) -> bytes:
    """The record's bytes for a batch with another base timestamp."""
    body = b"\0" + varint(timestamp_delta) + data[record.rest : record.end]
    return varint(len(body)) + body
