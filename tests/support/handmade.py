"""Record batches built and read by hand, right ones and wrong ones: the tests' own view of the format.

`batch` builds a version 2 batch of which every header field may be overridden with a lie; `legacy_message_set`
the two formats before it; `read_batches` reads what a broker answers.  Nothing here is used by the package, and
nothing of the package is used here.

    base_offset int64 | size int32 (what follows) | leader_epoch int32 | magic int8 | crc uint32 (of what follows)
    attributes int16 | last_offset_delta int32 | base_timestamp int64 | max_timestamp int64
    producer_id int64 | producer_epoch int16 | base_sequence int32 | record count int32 | records
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cramjam
import crc32c

_HEAD = struct.Struct(">qiibI")
_REST = struct.Struct(">hiqqqhii")
OVERHEAD_BYTES = _HEAD.size + _REST.size  # 61

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
_GZIP_HEADER = 16
"""Added to its bits of window, zlib writes gzip's header as it was recorded; `gzip` of Python 3.13 names no system in it."""
TIMESTAMP_TYPE_BIT, TRANSACTIONAL_BIT, CONTROL_BIT, DELETE_HORIZON_BIT = 0x08, 0x10, 0x20, 0x40

# How reading bytes that are no records ends.
UNREADABLE = (LookupError, ValueError, AssertionError, OSError, EOFError, zlib.error, cramjam.DecompressionError)

TIMESTAMP_MS = 1_700_000_000_000  # 2023-11-14: whatever a broker's clock says, this is in its past


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `offset_delta` is its place in the batch unless given."""

    value: bytes | None = b"value"
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_delta: int = 0
    offset_delta: int | None = None
    attributes: int = 0
    body_size: int | None = None  # a lie about the record's length


def records(*values: bytes | None, keys: Sequence[bytes | None] | None = None) -> list[Record]:
    return [Record(value, None if keys is None else keys[at]) for at, value in enumerate(values)]


def batch(
    content: Sequence[Record] = (Record(),),
    *,
    codec: int = 0,
    timestamp: int = TIMESTAMP_MS,
    payload: bytes | None = None,
    **header: int,
) -> bytes:
    """A version 2 batch.  `payload` replaces the records' bytes; `header` overrides any of the header's fields.

    They are base_offset, size, leader_epoch, magic, crc, attributes (or-ed to the codec), last_offset_delta,
    max_timestamp, producer_id, producer_epoch, base_sequence, count.
    """
    body = b"".join(_record(each, at) for at, each in enumerate(content)) if payload is None else payload
    rest = _REST.pack(
        codec | header.pop("attributes", 0),
        header.pop("last_offset_delta", max(len(content) - 1, 0)),
        timestamp,
        header.pop("max_timestamp", timestamp + max((each.timestamp_delta for each in content), default=0)),
        header.pop("producer_id", -1),
        header.pop("producer_epoch", -1),
        header.pop("base_sequence", -1),
        header.pop("count", len(content)),
    ) + compress(codec, body)
    crc = header.pop("crc", crc32c.crc32c(rest))
    head = _HEAD.pack(
        header.pop("base_offset", 0),
        header.pop("size", len(rest) + 9),
        header.pop("leader_epoch", -1),
        header.pop("magic", 2),
        crc,
    )
    assert not header, header
    return head + rest


def _record(record: Record, at: int) -> bytes:
    body = struct.pack(">b", record.attributes) + varint(record.timestamp_delta)
    body += varint(at if record.offset_delta is None else record.offset_delta)
    body += _varint_bytes(record.key) + _varint_bytes(record.value) + varint(len(record.headers))
    for name, value in record.headers:
        body += _varint_bytes(name.encode()) + _varint_bytes(value)
    return varint(len(body) if record.body_size is None else record.body_size) + body


def control_batch(kind: int = 1, **header: int) -> bytes:
    """An end-transaction marker (1 commit, 0 abort), as only a broker may write it."""
    marker = Record(key=struct.pack(">hh", 0, kind), value=struct.pack(">hi", 0, 0))
    return batch([marker], attributes=CONTROL_BIT | TRANSACTIONAL_BIT, **header)


def legacy_message_set(magic: int, content: Sequence[Record] = (Record(),), *, timestamp: int = TIMESTAMP_MS) -> bytes:
    """Messages of version 0 or 1: offset int64, size int32, crc int32, magic, attributes, [time], key, value."""
    out = bytearray()
    for at, record in enumerate(content):
        body = struct.pack(">bb", magic, 0) + (struct.pack(">q", timestamp) if magic else b"")
        for part in (record.key, record.value):
            body += struct.pack(">i", -1 if part is None else len(part)) + (part or b"")
        out += struct.pack(">qiI", at, len(body) + 4, zlib.crc32(body)) + body
    return bytes(out)


def varint(value: int) -> bytes:
    """Zigzag, as in records."""
    coded = (value << 1) ^ (value >> 63)
    out = bytearray()
    while coded > 0x7F:
        out.append(coded & 0x7F | 0x80)
        coded >>= 7
    out.append(coded)
    return bytes(out)


def _varint_bytes(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def compress(codec: int, data: bytes) -> bytes:
    if codec == GZIP:
        return zlib.compress(data, zlib.Z_BEST_COMPRESSION, zlib.MAX_WBITS + _GZIP_HEADER)
    if codec == SNAPPY:
        return bytes(cramjam.snappy.compress_raw(data))
    if codec == LZ4:
        return _lz4_frame(data)
    if codec == ZSTD:
        return bytes(cramjam.zstd.compress(data))
    return data


def _lz4_frame(data: bytes) -> bytes:
    """Of independent blocks, each up to 64 KiB: Kafka's Java reader refuses the linked blocks others write."""
    out = bytearray(b"\x04\x22\x4d\x18\x60\x40\x82")  # magic, version 1 and independent, 64 KiB, header checksum
    for start in range(0, len(data), 1 << 16):
        block = data[start : start + (1 << 16)]
        packed = bytes(cramjam.lz4.compress_block(block, store_size=False))
        if len(packed) < len(block):
            out += struct.pack("<I", len(packed)) + packed
        else:
            out += struct.pack("<I", len(block) | 1 << 31) + block
    return bytes(out + b"\0\0\0\0")


def decompress(codec: int, data: bytes) -> bytes:
    if codec == GZIP:
        return gzip.decompress(data)
    if codec == SNAPPY:
        return _snappy(data)
    if codec == LZ4:
        return bytes(cramjam.lz4.decompress(data))
    if codec == ZSTD:
        return bytes(cramjam.zstd.decompress(data))
    return data


def _snappy(data: bytes) -> bytes:
    """Raw, or in the frames of xerial's Java library: 16 bytes of header, then int32 size and a raw block each."""
    if not data.startswith(b"\x82SNAPPY\0"):
        return bytes(cramjam.snappy.decompress_raw(data))
    out, position = bytearray(), 16
    while position < len(data):
        (size,) = struct.unpack_from(">i", data, position)
        out += bytes(cramjam.snappy.decompress_raw(data[position + 4 : position + 4 + size]))
        position += 4 + size
    return bytes(out)


# --- reading ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ReadBatch:
    """A batch as read; `records` are dicts by name, their values and keys bytes."""

    base_offset: int
    size: int
    leader_epoch: int
    magic: int
    crc_is_valid: bool
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int
    records: list[dict[str, Any]] = field(default_factory=list)


def read_batches(data: bytes) -> tuple[list[ReadBatch], bytes]:
    """The whole batches in a fetch response, and what is left of one that was cut."""
    found, position = [], 0
    while len(data) - position >= OVERHEAD_BYTES:
        size = struct.unpack_from(">i", data, position + 8)[0]
        end = position + 12 + size
        if end > len(data):
            break
        found.append(_read_batch(data[position:end]))
        position = end
    return found, data[position:]


def _read_batch(data: bytes) -> ReadBatch:
    base_offset, size, leader_epoch, magic, crc = _HEAD.unpack_from(data)
    rest = _REST.unpack_from(data, _HEAD.size)
    read = ReadBatch(base_offset, size, leader_epoch, magic, crc == crc32c.crc32c(data[_HEAD.size :]), *rest)
    try:
        read.records = _read_records(decompress(read.attributes & 7, data[OVERHEAD_BYTES:]), read.count)
    except UNREADABLE:
        read.records = [{"unreadable": data[OVERHEAD_BYTES:]}]
    return read


def _read_records(body: bytes, count: int) -> list[dict[str, Any]]:
    found, position = [], 0
    for _ in range(count):
        record, position = _read_record(body, position)
        found.append(record)
    assert position == len(body), "bytes after the last record"
    return found


def _read_record(body: bytes, position: int) -> tuple[dict[str, Any], int]:
    size, position = _read_varint(body, position)
    end = position + size
    attributes, position = body[position], position + 1
    timestamp_delta, position = _read_varint(body, position)
    offset_delta, position = _read_varint(body, position)
    key, position = _read_bytes(body, position)
    value, position = _read_bytes(body, position)
    count, position = _read_varint(body, position)
    headers = []
    for _ in range(count):
        name, position = _read_bytes(body, position)
        data, position = _read_bytes(body, position)
        headers.append([(name or b"").decode(), data])
    assert position == end, "a record's length is wrong"
    return {
        "attributes": attributes,
        "timestamp_delta": timestamp_delta,
        "offset_delta": offset_delta,
        "key": key,
        "value": value,
        "headers": headers,
    }, position


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    coded = shift = 0
    while True:
        byte = body[position]
        position += 1
        coded |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (coded >> 1) ^ -(coded & 1), position
        shift += 7


def _read_bytes(body: bytes, position: int) -> tuple[bytes | None, int]:
    size, position = _read_varint(body, position)
    return (None, position) if size < 0 else (body[position : position + size], position + size)
