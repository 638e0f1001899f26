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


_new = tuple.__new__  # a named tuple's own constructor would take a tenth of the time that a record gets


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
            position = record[2]
            if position > size_bytes:
                raise MalformedMessage(f"a record ends {position - size_bytes} bytes behind its batch")
            yield record
    except IndexError:
        raise MalformedMessage("a record is cut short") from None
    if position != size_bytes:
        raise MalformedMessage(f"{size_bytes - position} bytes are left after the last record")


def _read_keyed(data: bytes, start: int) -> KeyedRecord:
    """Every record of a log comes here, twice. Numbers of one byte are looked up in place, and nearly all are that short; the
    size, which often has two, is put together in place.
    """
    size = data[start]
    if size < 0x80:
        position = start + 1
        end = position + ONE_BYTE[size]
    elif (second := data[start + 1]) < 0x80:
        position = start + 2
        end = position + (size >> 1 & 0x3F | second << 6)  # a negative one ends in front of its key
        if size & 1:
            raise MalformedMessage("a record has a negative size")
    else:
        size, position = read_varint(data, start)
        end = position + size
    # The attributes byte is nobody's business.
    if (byte := data[position + 1]) < 0x80:
        timestamp_delta, rest = ONE_BYTE[byte], position + 2
    else:
        timestamp_delta, rest = read_varlong(data, position + 1)
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
        raise MalformedMessage(f"a key of {key_bytes} bytes in a record that ends in front of it")
    return _new(KeyedRecord, (start, rest, end, timestamp_delta, offset_delta, key, not data[position] & 1))


def with_timestamp_delta(data: bytes, record: KeyedRecord, timestamp_delta: int) -> bytes:
    """The record's bytes for a batch with another base timestamp."""
    body = b"\0" + varint(timestamp_delta) + data[record.rest : record.end]
    return varint(len(body)) + body
