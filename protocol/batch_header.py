"""The 61-byte header of a record batch: one struct, read in one go and patched in place.

    0  base_offset int64          where the log put the batch; outside the checksum
    8  batch_length int32         bytes after this field
    12 partition_leader_epoch int32                      ; outside the checksum
    16 magic int8                 2; the older layouts, 0 and 1, are refused
    17 crc uint32                 CRC-32C of everything from 21 to the end
    21 attributes int16           codec (bits 0-2), timestamp type (3), transactional (4), control (5),
                                  delete horizon (6)
    23 last_offset_delta int32    the last record's offset, even after compaction took that record away
    27 base_timestamp int64
    35 max_timestamp int64
    43 producer_id int64          -1: not idempotent; so are the next two
    51 producer_epoch int16
    53 base_sequence int32
    57 record_count int32
    61 the records

The broker treats a batch as cargo: it checks the CRC once, when the batch is produced, and writes offset and
leader epoch into the buffer it received.  Nothing here looks at a record, and nothing copies the batch.
Corresponds to `DefaultRecordBatch` of Kafka; docs/format-record-batch.md has the whole format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from .checksum import crc32c
from .compression import Codec
from .errors import MalformedMessage

Buffer = bytes | bytearray | memoryview
WritableBuffer = bytearray | memoryview

RECORD_BATCH_OVERHEAD = 61
LOG_OVERHEAD = 12  # base offset and length: what precedes the bytes that batch_length counts
BATCH_LENGTH_POSITION = 8
MAGIC_POSITION = 16
CRC_POSITION = 17
ATTRIBUTES_POSITION = 21
MAX_TIMESTAMP_POSITION = 35
PRODUCER_POSITION = 43
CURRENT_MAGIC = 2

HEADER = struct.Struct(">qiibIhiqqqhii")
_BASE_OFFSET = struct.Struct(">q")
_BATCH_LENGTH = struct.Struct(">i")
_LEADER_EPOCH = struct.Struct(">i")
PLACE = struct.Struct(">qii")
"""What a batch begins with: base offset, length, leader epoch."""
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_MAX_TIMESTAMP = struct.Struct(">q")
_PRODUCER = struct.Struct(">qhi")  # id, epoch, base sequence

CODEC_MASK = 0x07
TIMESTAMP_TYPE_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40

_CODECS = tuple(Codec)  # by number
_SEQUENCE_COUNT = 2**31  # sequences run from 0 to 2^31 - 1 and begin again


class TimestampType(IntEnum):
    """Who gave the records their timestamps: the producer, or the log."""

    CREATE_TIME = 0
    LOG_APPEND_TIME = 1


class BatchHeader(NamedTuple):
    """A batch's header as values; `size_bytes` is the whole batch, `LOG_OVERHEAD` included."""

    base_offset: int
    size_bytes: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def last_offset(self) -> int:
        """The offset of the last record, inclusive."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """The offset that follows the batch."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """The sequence of the last record, which wraps at 2^31; -1 when the batch has none."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) % _SEQUENCE_COUNT

    @property
    def codec(self) -> Codec:
        """How the records are compressed; MalformedMessage for 5, 6 and 7, which mean nothing."""
        number = self.attributes & CODEC_MASK
        if number >= len(_CODECS):
            raise MalformedMessage(f"unknown compression type {number}")
        return _CODECS[number]

    @property
    def timestamp_type(self) -> TimestampType:
        """Whether the records' timestamps are the producer's or the log's."""
        return TimestampType.LOG_APPEND_TIME if self.attributes & TIMESTAMP_TYPE_BIT else TimestampType.CREATE_TIME

    @property
    def is_transactional(self) -> bool:
        """Whether the batch belongs to a transaction."""
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        """Whether the records are markers of the broker's own, not for consumers."""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def has_delete_horizon(self) -> bool:
        """Whether compaction has put the time at which tombstones may go into `base_timestamp`."""
        return bool(self.attributes & DELETE_HORIZON_BIT)


def read_magic(buffer: Buffer, position: int = 0) -> int:
    """The format of the batch at `position`, at the same place in all formats; MalformedMessage if cut short."""
    if len(buffer) <= position + MAGIC_POSITION:
        raise MalformedMessage(f"{len(buffer) - position} bytes are no batch")
    return buffer[position + MAGIC_POSITION]


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`; the batch itself need not be there whole, and its CRC is not checked.

    MalformedMessage if fewer than 61 bytes are left or the batch claims to be shorter than its header.
    """
    try:
        values = HEADER.unpack_from(buffer, position)
    except struct.error:
        raise MalformedMessage(f"a batch header needs 61 bytes, {len(buffer) - position} are left") from None
    size_bytes = values[1] + LOG_OVERHEAD
    if size_bytes < RECORD_BATCH_OVERHEAD:
        raise MalformedMessage(f"a batch of {size_bytes} bytes is shorter than its header")
    return BatchHeader._make((values[0], size_bytes, *values[2:]))


def iter_headers(buffer: Buffer, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """Each whole batch's position and header, in order; ends quietly at a batch that is cut short.

    MalformedMessage where a batch claims to be shorter than its header, for there is no way on from there.
    """
    end = len(buffer)
    while end - position >= RECORD_BATCH_OVERHEAD:
        header = read_header(buffer, position)
        following = position + header.size_bytes
        if following > end:
            return
        yield position, header
        position = following


def crc_is_valid(buffer: Buffer, position: int, header: BatchHeader) -> bool:
    """Whether the bytes of the batch are those its CRC was taken of; False also when the batch is cut short."""
    if position + header.size_bytes > len(buffer):
        return False
    return _crc_of(buffer, position, header.size_bytes) == header.crc


def patch_offsets(buffer: WritableBuffer, position: int, base_offset: int, leader_epoch: int) -> None:
    """Write where the log puts the batch, in place; both lie outside the CRC, which stays right."""
    _BASE_OFFSET.pack_into(buffer, position, base_offset)
    _LEADER_EPOCH.pack_into(buffer, position + LOG_OVERHEAD, leader_epoch)


def patch_log_append_time(buffer: WritableBuffer, position: int, size_bytes: int, max_timestamp: int) -> None:
    """Give all records of the batch the log's time, in place: one bit, one timestamp, and a new CRC."""
    _patch_attributes(buffer, position, set_bits=TIMESTAMP_TYPE_BIT)
    patch_max_timestamp(buffer, position, size_bytes, max_timestamp)


def patch_create_time(buffer: WritableBuffer, position: int, size_bytes: int, max_timestamp: int) -> None:
    """Keep the records' own times and put `max_timestamp` right, in place, with a new CRC."""
    _patch_attributes(buffer, position, clear_bits=TIMESTAMP_TYPE_BIT)
    patch_max_timestamp(buffer, position, size_bytes, max_timestamp)


def patch_max_timestamp(buffer: WritableBuffer, position: int, size_bytes: int, max_timestamp: int) -> None:
    """Write the largest timestamp, in place, and take the CRC anew."""
    _MAX_TIMESTAMP.pack_into(buffer, position + MAX_TIMESTAMP_POSITION, max_timestamp)
    patch_crc(buffer, position, size_bytes)


def patch_producer(
    buffer: WritableBuffer, position: int, size_bytes: int, *, producer_id: int, epoch: int, base_sequence: int
) -> None:
    """Write which producer's batch it is and where it stands in its sequence, in place, and take the CRC anew."""
    _PRODUCER.pack_into(buffer, position + PRODUCER_POSITION, producer_id, epoch, base_sequence)
    patch_crc(buffer, position, size_bytes)


def patch_crc(buffer: WritableBuffer, position: int, size_bytes: int) -> None:
    """Take the CRC of the batch as it is and write it, in place."""
    _CRC.pack_into(buffer, position + CRC_POSITION, _crc_of(buffer, position, size_bytes))


def with_records(batch: Buffer, records: Buffer, codec: Codec) -> bytearray:
    """A new batch: the header of `batch` over `records` compressed with `codec`, length and CRC made right."""
    made = bytearray(memoryview(batch)[:RECORD_BATCH_OVERHEAD])
    made += records
    _BATCH_LENGTH.pack_into(made, BATCH_LENGTH_POSITION, len(made) - LOG_OVERHEAD)
    _patch_attributes(made, 0, clear_bits=CODEC_MASK)
    _patch_attributes(made, 0, set_bits=codec)
    patch_crc(made, 0, len(made))
    return made


def _crc_of(buffer: Buffer, position: int, size_bytes: int) -> int:
    return crc32c(memoryview(buffer)[position + ATTRIBUTES_POSITION : position + size_bytes])


def _patch_attributes(buffer: WritableBuffer, position: int, *, set_bits: int = 0, clear_bits: int = 0) -> None:
    (attributes,) = _ATTRIBUTES.unpack_from(buffer, position + ATTRIBUTES_POSITION)
    _ATTRIBUTES.pack_into(buffer, position + ATTRIBUTES_POSITION, (attributes | set_bits) & ~clear_bits)
