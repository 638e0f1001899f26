"""Building record batches: a producer's, and the control batches that a broker writes into a log itself.

A builder collects records encoded, and `build` compresses them, puts the header before them and takes the CRC.
What a record costs here is what a producer in Python can do: lengths are looked up (`small_varints`), a record is one
join, a batch another; `append_values` spares those who have many values the call for each.

Offsets are deltas from `base_offset` (0 on the wire from a producer; the log writes the real one); a transaction
marker is a batch of exactly one control record.  Corresponds to `MemoryRecordsBuilder` of Kafka.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import islice

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
from .varints import SMALL_COUNT, small_varints, varint

NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
NO_LEADER_EPOCH = -1

_NULL = varint(-1)
_NO_HEADERS = varint(0)
_FIXED_BYTES = 3  # of a record with nothing but a value: attributes, no key, no headers
_ROOM_FOR_HEADER = bytes(RECORD_BATCH_OVERHEAD)
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
        self._small = small_varints()
        self._parts: list[bytes] = []
        self.size_bytes = RECORD_BATCH_OVERHEAD  # with what has been appended so far, before compression

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
        record = _encode(self._small, timestamp - self.base_timestamp, delta, key, value, headers)
        self._parts.append(record)
        self.size_bytes += len(record)
        self.last_offset_delta = delta
        self.record_count += 1
        return self.base_offset + delta

    def append_values(self, timestamp: int, values: Sequence[bytes], start: int, *, max_size_bytes: int) -> int:
        """Add records of nothing but a value, from `values[start]` on, until the batch would outgrow `max_size_bytes`.

        Answers the index of the first that was not added; the first is, whatever its size, into an empty batch.
        """
        if self.record_count == 0:
            self.base_timestamp = self.max_timestamp = timestamp
        self.max_timestamp = max(self.max_timestamp, timestamp)
        room = max_size_bytes - self.size_bytes
        delta = first = self.last_offset_delta + 1
        stamp = varint(timestamp - self.base_timestamp)
        small = self._small
        parts: list[bytes] = []
        for value in islice(values, start, None):
            size = len(value)
            number = small[delta] if delta < SMALL_COUNT else varint(delta)
            length = small[size] if size < SMALL_COUNT else varint(size)
            body = _FIXED_BYTES + len(stamp) + len(number) + len(length) + size
            prefix = small[body] if body < SMALL_COUNT else varint(body)
            room -= body + len(prefix)
            if room < 0 and delta:
                break
            parts += (prefix, b"\0", stamp, number, _NULL, length, value, _NO_HEADERS)
            delta += 1
        self._parts.append(b"".join(parts))
        self.size_bytes += len(self._parts[-1])
        self.last_offset_delta = delta - 1
        self.record_count += delta - first
        return start + delta - first

    def build(self) -> bytearray:
        """The whole batch, its CRC right; the caller owns the buffer."""
        if self.codec is Codec.NONE:
            batch = bytearray().join((_ROOM_FOR_HEADER, *self._parts))
        else:
            compressed = compress(self.codec, b"".join(self._parts), self.compression_level)
            batch = bytearray().join((_ROOM_FOR_HEADER, compressed))
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
    return _encode(small_varints(), timestamp_delta, offset_delta, key, value, headers)


def _encode(
    small: Sequence[bytes],
    timestamp_delta: int,
    offset_delta: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
) -> bytes:
    stamp = small[timestamp_delta] if 0 <= timestamp_delta < SMALL_COUNT else varint(timestamp_delta)
    number = small[offset_delta] if offset_delta < SMALL_COUNT else varint(offset_delta)
    if key is None:
        key, key_bytes, key_size = b"", 0, _NULL
    else:
        key_bytes = len(key)
        key_size = small[key_bytes] if key_bytes < SMALL_COUNT else varint(key_bytes)
    if value is None:
        value, value_bytes, value_size = b"", 0, _NULL
    else:
        value_bytes = len(value)
        value_size = small[value_bytes] if value_bytes < SMALL_COUNT else varint(value_bytes)
    tail = _headers(headers) if headers else _NO_HEADERS
    body = 1 + len(stamp) + len(number) + len(key_size) + key_bytes + len(value_size) + value_bytes + len(tail)
    prefix = small[body] if body < SMALL_COUNT else varint(body)
    return b"".join((prefix, b"\0", stamp, number, key_size, key, value_size, value, tail))


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    parts = [varint(len(headers))]
    for name, content in headers:
        encoded = name.encode("utf-8", "surrogateescape")
        parts += (varint(len(encoded)), encoded)
        parts += (_NULL,) if content is None else (varint(len(content)), content)
    return b"".join(parts)


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
