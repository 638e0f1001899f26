"""Building record batches: a producer's, and the control batches that a broker writes into a log itself.

A builder takes records, and `build` joins them (`record_pieces`), compresses them, puts the header before them and takes the
CRC.  What a record costs here is what a producer in Python can do.  `append` takes any record, and encodes it at once;
`append_if_room` asks for no more than a sum whether a record fits, and only notes it: what is noted is encoded many records
at once, when the batch is built, or its size is asked for; `append_values` spares those who have many values the call for each.

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
from .record_pieces import MOST_BYTES_OF_NUMBERS, Buffer, Headers, RecordPieces
from .record_reader import ControlType

NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
NO_LEADER_EPOCH = -1

NO_TIMESTAMP = -1

_VALUES_AT_ONCE = 256
"""So many are looked at together, of which some may have no room."""
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
        self._pieces = RecordPieces()
        self._timestamps: list[int] = []  # of the records behind those pieces, which are noted a column at a time:
        self._keys: list[bytes | None] = []  # an object for each record would have the garbage collector look at it
        self._values: list[bytes | None] = []
        self._most_bytes = RECORD_BATCH_OVERHEAD
        self._first_offset = base_offset  # that the first record would have if there were no gaps behind it
        self._max_timestamp = NO_TIMESTAMP

    @property
    def size_bytes(self) -> int:
        """With what has been appended so far, before compression."""
        self._encode_noted()
        return self._most_bytes

    @property
    def most_bytes(self) -> int:
        """`size_bytes`, or more by what noted records may take less."""
        return self._most_bytes

    def has_room(self, size_bytes: int, max_bytes: int) -> bool:
        """Whether a record of at most so many bytes would leave the batch at no more than `max_bytes`."""
        return self._most_bytes + size_bytes <= max_bytes or self.size_bytes + size_bytes <= max_bytes

    def append(
        self,
        timestamp: int,
        key: Buffer | None,
        value: Buffer | None,
        headers: Headers = (),
        *,
        offset: int | None = None,
    ) -> int:
        """Add a record and return its offset: the next one, or a given larger one (compaction leaves gaps).

        Its bytes are copied at once, so that a buffer may be used again.
        """
        next_offset = self._first_offset + self.record_count
        if offset is None:
            offset = next_offset
        assert offset >= next_offset, f"offset {offset} does not follow the last record"
        if self._timestamps:
            self._encode_noted()
        pieces = self._pieces
        if not self.record_count:
            pieces.base_timestamp = self._max_timestamp = timestamp
        elif timestamp > self._max_timestamp:
            self._max_timestamp = timestamp
        pieces.add_one(offset - self.base_offset, timestamp, key, value, headers)
        self._most_bytes = RECORD_BATCH_OVERHEAD + pieces.size_bytes
        self._first_offset += offset - next_offset
        self.record_count += 1
        return offset

    def append_if_room(self, timestamp: int, key: bytes | None, value: bytes | None, max_bytes: int) -> int:
        """Add a record without headers and return its offset; -1 if `most_bytes` would grow beyond `max_bytes`.

        -1 also if key or value is neither bytes nor None.  Written for speed: this is what each record pays.
        """
        most_bytes = self._most_bytes + MOST_BYTES_OF_NUMBERS
        if value is not None:
            if value.__class__ is not bytes:
                return -1
            most_bytes += len(value)
        if key is not None:
            if key.__class__ is not bytes:
                return -1
            most_bytes += len(key)
        if most_bytes > max_bytes:
            return -1
        self._most_bytes = most_bytes
        self._timestamps.append(timestamp)
        self._keys.append(key)
        self._values.append(value)
        count = self.record_count
        self.record_count = count + 1
        return self._first_offset + count

    def append_values(self, timestamp: int, values: Sequence[bytes], start: int, *, max_size_bytes: int) -> int:
        """Add records of nothing but a value, from `values[start]` on, until the batch would outgrow `max_size_bytes`.

        Answers the index of the first that was not added; the first is, whatever its size, into an empty batch.
        """
        self._encode_noted()
        self._take_timestamps(timestamp, timestamp)
        pieces, before = self._pieces, start
        while start < len(values):
            some = values[start : start + _VALUES_AT_ONCE]
            count, room_bytes = len(some), max_size_bytes - RECORD_BATCH_OVERHEAD - pieces.size_bytes
            added = pieces.add_values(timestamp, some, room_bytes)
            start += added
            if added < count:
                break
        self.record_count += start - before
        self._most_bytes = RECORD_BATCH_OVERHEAD + pieces.size_bytes
        return start

    def _encode_noted(self) -> None:
        if self._timestamps:
            self._take_timestamps(self._timestamps[0], max(self._timestamps))
            self._pieces.add(self._timestamps, self._keys, self._values)
            self._timestamps.clear()
            self._keys.clear()
            self._values.clear()
            self._most_bytes = RECORD_BATCH_OVERHEAD + self._pieces.size_bytes

    def _take_timestamps(self, first: int, highest: int) -> None:
        if not self._pieces.pieces:
            self._pieces.base_timestamp = self._max_timestamp = first
        self._max_timestamp = max(self._max_timestamp, highest)

    def build(self) -> bytearray:
        """The whole batch, its CRC right; the caller owns the buffer."""
        self._encode_noted()
        pieces = self._pieces.pieces
        if self.codec is not Codec.NONE:
            pieces = [compress(self.codec, b"".join(pieces), self.compression_level)]
        batch = bytearray().join((_ROOM_FOR_HEADER, *pieces))
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
            self._first_offset + self.record_count - 1 - self.base_offset,
            self._pieces.base_timestamp,
            self._max_timestamp,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            self.record_count,
        )


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
