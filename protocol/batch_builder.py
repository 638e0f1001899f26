"""Building record batches: a producer's, and the control batches that a broker writes into a log itself.

A builder collects records encoded, and `build` compresses them, puts the header before them and takes the CRC.
Offsets are deltas from `base_offset` (0 on the wire from a producer; the log writes the real one); a transaction
marker is a batch of exactly one control record.  Corresponds to `MemoryRecordsBuilder` of Kafka.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .batch_header import (
    CONTROL_BIT,
    CURRENT_MAGIC,
    HEADER,
    LOG_OVERHEAD,
    RECORD_BATCH_OVERHEAD,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    TimestampType,
    patch_crc,
)
from .compression import Codec, compress
from .record_reader import ControlType
from .varints import varint

NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
NO_LEADER_EPOCH = -1

_NULL = varint(-1)
_CONTROL_KEY = struct.Struct(">hh")  # version, type
_END_TXN_VALUE = struct.Struct(">hi")  # version, coordinator epoch


class BatchBuilder:
    """Collects records and builds one batch of them.

    `size_bytes` bounds the size of the batch from above, uncompressed.
    """

    def __init__(
        self,
        codec: Codec = Codec.NONE,
        *,
        base_offset: int = 0,
        leader_epoch: int = NO_LEADER_EPOCH,
        timestamp_type: TimestampType = TimestampType.CREATE_TIME,
        producer_id: int = NO_PRODUCER_ID,
        producer_epoch: int = NO_PRODUCER_EPOCH,
        base_sequence: int = NO_SEQUENCE,
        is_transactional: bool = False,
        is_control: bool = False,
        compression_level: int | None = None,
    ) -> None:
        self.codec = codec
        self.base_offset = base_offset
        self.leader_epoch = leader_epoch
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.base_sequence = base_sequence
        self.compression_level = compression_level
        self.attributes = (
            codec
            | (TIMESTAMP_TYPE_BIT if timestamp_type is TimestampType.LOG_APPEND_TIME else 0)
            | (TRANSACTIONAL_BIT if is_transactional else 0)
            | (CONTROL_BIT if is_control else 0)
        )
        self.record_count = 0
        self.last_offset_delta = -1
        self.base_timestamp = -1
        self.max_timestamp = -1
        self._records = bytearray()

    @property
    def size_bytes(self) -> int:
        """The size of the batch with what has been appended so far, before compression."""
        return RECORD_BATCH_OVERHEAD + len(self._records)

    def append(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        *,
        offset: int | None = None,
    ) -> int:
        """Add a record and return its offset: the next one, or a given larger one (compaction leaves gaps)."""
        delta = self.last_offset_delta + 1 if offset is None else offset - self.base_offset
        assert delta > self.last_offset_delta, f"offset {offset} does not follow the last record"
        if self.record_count == 0:
            self.base_timestamp = self.max_timestamp = timestamp
        elif timestamp > self.max_timestamp:
            self.max_timestamp = timestamp
        self._records += encode_record(timestamp - self.base_timestamp, delta, key, value, headers)
        self.last_offset_delta = delta
        self.record_count += 1
        return self.base_offset + delta

    def build(self) -> bytearray:
        """The whole batch, its CRC right; the caller owns the buffer."""
        if self.codec is Codec.NONE:
            records: bytes | bytearray = self._records
        else:
            records = compress(self.codec, self._records, self.compression_level)
        batch = bytearray(RECORD_BATCH_OVERHEAD)
        batch += records
        self._write_header(batch)
        patch_crc(batch, 0, len(batch))
        return batch

    def _write_header(self, batch: bytearray) -> None:
        HEADER.pack_into(
            batch,
            0,
            self.base_offset,
            len(batch) - LOG_OVERHEAD,
            self.leader_epoch,
            CURRENT_MAGIC,
            0,
            self.attributes,
            self.last_offset_delta,
            self.base_timestamp,
            self.max_timestamp,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            self.record_count,
        )


def encode_record(
    timestamp_delta: int,
    offset_delta: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> bytes:
    """One record as it lies in a batch, its length first."""
    parts = [b"\0", varint(timestamp_delta), varint(offset_delta)]
    parts += (_NULL,) if key is None else (varint(len(key)), key)
    parts += (_NULL,) if value is None else (varint(len(value)), value)
    parts.append(varint(len(headers)))
    for name, content in headers:
        encoded = name.encode("utf-8", "surrogateescape")
        parts += (varint(len(encoded)), encoded)
        parts += (_NULL,) if content is None else (varint(len(content)), content)
    body = b"".join(parts)
    return varint(len(body)) + body


def build_end_txn_marker(
    marker: ControlType,
    *,
    timestamp: int,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
    base_offset: int = 0,
    leader_epoch: int = NO_LEADER_EPOCH,
) -> bytearray:
    """The control batch that commits or aborts a producer's transaction in a partition."""
    assert marker in (ControlType.COMMIT, ControlType.ABORT), marker
    builder = BatchBuilder(
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        is_transactional=True,
        is_control=True,
    )
    builder.append(timestamp, _CONTROL_KEY.pack(0, marker), _END_TXN_VALUE.pack(0, coordinator_epoch))
    return builder.build()
