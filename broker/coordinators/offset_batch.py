"""The batch of a commit like one before: the same group and partitions, other offsets.

Keys, sizes and metadata stay, so nearly all of the batch does. It is built once as any batch (`group_record_format`,
`BatchBuilder`), and then copied with other numbers in their places: the offset and the leader epoch of each partition, the time
of the commit in each record and twice in the header, the CRC. Byte for byte it is what would have been built.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from uuid import UUID

from ...protocol.records import RECORD_BATCH_OVERHEAD, BatchBuilder, encode_record, patch_crc
from .group_record_format import encode_record as encode_group_record
from .group_records import NEVER_MS, NO_TOPIC_ID, Committed, OffsetCommitted
from .runtime.shard import KAFKAS_SEQUENCE

BASE_TIMESTAMP_POSITION = 27  # the largest timestamp lies behind it

_TIMES = struct.Struct(">qq")  # base timestamp, max timestamp
_NUMBERS = struct.Struct(">qi")  # offset, leader epoch
_TIME = struct.Struct(">q")
_NUMBERS_AT = 2  # of a value, behind its version
_TIME_BEFORE_END = 27  # the time, and the tagged field with the topic's id
_HEADERS_BYTES = 1  # of a record, behind its value: there are none


class OffsetBatch:
    """Makes batches of commits like a given one, not compressed. Pure."""

    __slots__ = ("_names", "_places", "_template")

    @classmethod
    def of(cls, records: Sequence[OffsetCommitted]) -> OffsetBatch | None:
        """From one of the commits; None where a record has another form than nearly all have."""
        builder = BatchBuilder(base_sequence=KAFKAS_SEQUENCE)
        places, position = [], RECORD_BATCH_OVERHEAD
        for delta, record in enumerate(records):
            if record.committed.expires_at_ms != NEVER_MS or record.committed.topic_id == NO_TOPIC_ID:
                return None
            key, value = encode_group_record(record)
            assert value is not None
            builder.append(0, key, value)
            position += len(encode_record(0, delta, key, value))
            value_end = position - _HEADERS_BYTES
            places.append((value_end - len(value) + _NUMBERS_AT, value_end - _TIME_BEFORE_END))
        template = bytes(builder.build())
        assert position == len(template), "a record is encoded the same alone and in a batch"
        return cls(
            template, places, [(*each[:3], each.committed.metadata, each.committed.topic_id) for each in records]
        )

    def __init__(
        self, template: bytes, places: list[tuple[int, int]], names: list[tuple[str, str, int, str, UUID]]
    ) -> None:
        self._template = template
        self._places = places
        self._names = names

    def with_numbers(
        self, offsets: Sequence[int], epochs: Sequence[int], now_ms: int
    ) -> tuple[bytearray, list[OffsetCommitted]]:
        """The batch of a commit at `now_ms`, and its records; offsets and leader epochs in the order of the first commit's."""
        batch = bytearray(self._template)
        records = []
        for offset, epoch, (numbers_at, time_at), (group_id, topic, partition, metadata, topic_id) in zip(
            offsets, epochs, self._places, self._names, strict=True
        ):
            _NUMBERS.pack_into(batch, numbers_at, offset, epoch)
            _TIME.pack_into(batch, time_at, now_ms)
            committed = Committed(offset, epoch, metadata, now_ms, NEVER_MS, topic_id)
            records.append(OffsetCommitted(group_id, topic, partition, committed))
        _TIMES.pack_into(batch, BASE_TIMESTAMP_POSITION, now_ms, now_ms)
        patch_crc(batch, 0, len(batch))
        return batch, records
