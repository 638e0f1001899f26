"""Reading the records of one batch, one after the other.

    record  length varint           bytes after this field
            attributes int8         unused
            timestamp_delta varlong of the batch's base_timestamp
            offset_delta varint     of the batch's base_offset
            key                     length varint (-1: null) and bytes
            value                   the same
            headers                 count varint; each a key (UTF-8, never null) and a value like the above

Everything in a batch is the peer's word.  A record must end where its length says, the batch must hold exactly the
records it counts, and neither lengths nor counts cost memory before the bytes behind them were seen; whatever is
wrong is a MalformedMessage, raised when the reader comes to it.  The CRC is not checked here: see `crc_is_valid`.
Kafka never looks whether a header's key is UTF-8: one that is not keeps its bytes as lone surrogates (PEP 383), and
a builder writes them as they were.
Corresponds to `DefaultRecord.readFrom` of Kafka.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from .batch_header import RECORD_BATCH_OVERHEAD, BatchHeader, Buffer, TimestampType, read_header
from .compression import Codec, decompress
from .errors import MalformedMessage
from .values import dataclass, field
from .varints import ONE_BYTE, read_varint, read_varlong

MIN_RECORD_BYTES = 7  # seven fields, a byte each
_CONTROL_KEY = struct.Struct(">hh")  # version, type
_END_TXN_VALUE = struct.Struct(">hi")  # version, coordinator epoch

Headers = list[tuple[str, bytes | None]]


@dataclass(slots=True)
class Record:
    """One record; `timestamp` is in milliseconds, the log's own where the batch says so."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)


class ControlType(IntEnum):
    """What a control record says of its producer's transaction; the last three are the quorum's."""

    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


@dataclass(frozen=True, slots=True)
class EndTxnMarker:
    """The marker that ends a transaction in a partition."""

    type: ControlType
    coordinator_epoch: int


def iter_records(buffer: Buffer, position: int = 0, *, max_decompressed_bytes: int) -> Iterator[Record]:
    """The records of the batch at `position`, in order; keys and values are bytes of their own.

    MalformedMessage, possibly after some records, where the batch is not what it claims to be.
    """
    header = read_header(buffer, position)
    if header.record_count < 0:
        raise MalformedMessage(f"a batch counts {header.record_count} records")
    return iter_unfolded(_records_bytes(buffer, position, header, max_decompressed_bytes), header)


def iter_unfolded(data: bytes, header: BatchHeader) -> Iterator[Record]:
    """The records of a batch whose records are unfolded already; as `iter_records`."""
    if header.record_count > len(data) // MIN_RECORD_BYTES:
        raise MalformedMessage(f"{header.record_count} records do not fit into {len(data)} bytes")
    return _iterate(data, header)


def read_end_txn_marker(record: Record) -> EndTxnMarker:
    """What a control record says; MalformedMessage unless it ends a transaction."""
    try:
        _, type_number = _CONTROL_KEY.unpack_from(record.key or b"")
        _, coordinator_epoch = _END_TXN_VALUE.unpack_from(record.value or b"")
    except struct.error:
        raise MalformedMessage("a control record is cut short") from None
    if type_number not in (ControlType.ABORT, ControlType.COMMIT):
        raise MalformedMessage(f"a control record of type {type_number} ends no transaction")
    return EndTxnMarker(ControlType(type_number), coordinator_epoch)


def _records_bytes(buffer: Buffer, position: int, header: BatchHeader, max_bytes: int) -> bytes:
    end = position + header.size_bytes
    if end > len(buffer):
        raise MalformedMessage(f"a batch of {header.size_bytes} bytes is cut short at {len(buffer) - position}")
    body = memoryview(buffer)[position + RECORD_BATCH_OVERHEAD : end]
    if header.codec is Codec.NONE:
        return bytes(body)
    return decompress(header.codec, body, max_bytes=max_bytes)


def _iterate(data: bytes, header: BatchHeader) -> Iterator[Record]:
    by_log = header.timestamp_type is TimestampType.LOG_APPEND_TIME
    position = 0
    try:
        for _ in range(header.record_count):
            record, position = _read_record(data, position, header.base_offset, header.base_timestamp)
            if by_log:
                record.timestamp = header.max_timestamp
            yield record
    except IndexError:
        raise MalformedMessage("a record is cut short") from None
    if position != len(data):
        raise MalformedMessage(f"{len(data) - position} bytes are left after the last record")


def _read_record(data: bytes, position: int, base_offset: int, base_timestamp: int) -> tuple[Record, int]:
    """One record and the position behind it.

    Nearly all varints have one byte; those are looked up in place, which more than doubles the speed of a
    consumer.  Keys and values need no check of their own: a slice past the end is short and costs nothing, and
    the record then does not end where its length says.
    """
    length, position = read_varint(data, position)
    end = position + length
    if end > len(data):
        raise MalformedMessage(f"a record of {length} bytes, {len(data) - position} are left")
    position += 1  # attributes
    if (byte := data[position]) < 0x80:
        timestamp_delta = ONE_BYTE[byte]
        position += 1
    else:
        timestamp_delta, position = read_varlong(data, position)
    if (byte := data[position]) < 0x80:
        offset_delta = ONE_BYTE[byte]
        position += 1
    else:
        offset_delta, position = read_varint(data, position)
    if (byte := data[position]) < 0x80:
        size = ONE_BYTE[byte]
        position += 1
    else:
        size, position = read_varint(data, position)
    key = None
    if size >= 0:
        key = data[position : position + size]
        position += size
    if (byte := data[position]) < 0x80:
        size = ONE_BYTE[byte]
        position += 1
    else:
        size, position = read_varint(data, position)
    value = None
    if size >= 0:
        value = data[position : position + size]
        position += size
    headers, position = read_headers(data, position) if data[position] else ([], position + 1)
    if position != end:
        raise MalformedMessage(f"a record of {length} bytes ends {position - end} bytes off")
    return Record(base_offset + offset_delta, base_timestamp + timestamp_delta, key, value, headers), position


def read_headers(data: bytes, position: int) -> tuple[Headers, int]:
    """The headers of a record, and the position behind them; IndexError or MalformedMessage where there are none."""
    count, position = read_varint(data, position)
    if not 0 <= count <= (len(data) - position) // 2:
        raise MalformedMessage(f"a record counts {count} headers")
    headers: Headers = []
    for _ in range(count):
        key, position = _read_bytes(data, position)
        if key is None:
            raise MalformedMessage("a header's key is null")
        value, position = _read_bytes(data, position)
        headers.append((key.decode("utf-8", "surrogateescape"), value))
    return headers, position


def _read_bytes(data: bytes, position: int) -> tuple[bytes | None, int]:
    size, position = read_varint(data, position)
    if size < 0:
        return None, position
    end = position + size
    if end > len(data):
        raise MalformedMessage(f"{size} bytes in a record, {len(data) - position} are left")
    return data[position:end], end
