"""Which batches and records of a log outlive its cleaning, and the bytes they leave. Pure.

A record stays when

- its offset is beyond what the offset map covers, or
- it has a key, no newer record of that key is in the map, and it is no tombstone whose time is over.

Records of an aborted transaction go. A tombstone's time begins when it is first cleaned: its batch is given a *delete
horizon*, now + `delete.retention.ms`, which is written in the place of the base timestamp (bit 6 of the attributes says
so) and stays. A transaction's marker goes the same way, once no record of the transaction is left.

A batch that loses records keeps its base offset, its last offset and its sequences: what is in it was numbered when it was
whole. A batch without any record left goes too, but it stays as an empty header when it is the last one that a producer
wrote here, for its sequence (and for a producer without data, its epoch) must survive; and when it is the very last of
what is being cleaned, so that the log does not seem to end sooner.

Byte for byte what Apache Kafka does: `Cleaner.cleanInto`, `MemoryRecords.filterTo`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple

from ...protocol.batch_header import (
    CODEC_MASK,
    DELETE_HORIZON_BIT,
    HEADER,
    LOG_OVERHEAD,
    RECORD_BATCH_OVERHEAD,
    BatchHeader,
    Buffer,
    TimestampType,
    patch_crc,
)
from ...protocol.compression import Codec, compress
from ...protocol.errors import MalformedMessage
from ...protocol.keyed_records import KeyedRecord, iter_keyed, unfolded_records, with_timestamp_delta
from ..txn_index import AbortedTransaction
from .offset_map import OffsetMap
from .transactions import Transactions

MAX_DECOMPRESSED_BYTES = 2**31 - 1
RECORDS_AT_A_TIME = 64  # between two looks at the clock: a fraction of a millisecond
NO_TIMESTAMP = -1

_CONTROL_KEY = struct.Struct(">hh")  # version, type


class LastRecord(NamedTuple):
    """Where a producer that is known here wrote last: its last data offset (-1: it has none), its epoch."""

    data_offset: int
    epoch: int


class Counts:
    """What went in and what came out."""

    __slots__ = ("bytes_read", "bytes_written", "records_read", "records_written")

    def __init__(self) -> None:
        self.bytes_read = self.bytes_written = self.records_read = self.records_written = 0


class Survival:
    """Judges the batches of a log one after the other, from its first on."""

    def __init__(
        self,
        latest: OffsetMap,
        transactions: Transactions,
        *,
        last_records: Mapping[int, LastRecord],
        end_offset: int,
        now_ms: int,
        delete_retention_ms: int,
        rest: Callable[[], None],
    ) -> None:
        """`end_offset` is where this cleaning ends. `rest` is called again and again, to let others have the processor."""
        self._latest = latest
        self._transactions = transactions
        self._last_records = last_records
        self._end_offset = end_offset
        self._now_ms = now_ms
        self._delete_retention_ms = delete_retention_ms
        self._rest = rest
        self.counts = Counts()

    def survivor(self, batch: Buffer, header: BatchHeader) -> Buffer | None:
        """What is left of a whole batch: itself, a smaller one, or nothing. MalformedMessage: it cannot be read."""
        needless = self._is_needless(batch, header)
        self.counts.records_read += header.record_count
        kept = self._survivor(batch, header, needless)
        self.counts.bytes_read += header.size_bytes
        self.counts.bytes_written += len(kept) if kept is not None else 0
        return kept

    def take_kept_aborts(self) -> list[AbortedTransaction]:
        """The aborted transactions whose markers were kept since the last call."""
        kept, self._transactions.kept_aborts = self._transactions.kept_aborts, []
        return kept

    def _is_needless(self, batch: Buffer, header: BatchHeader) -> bool:
        if header.is_control:
            return self._transactions.is_needless(header, control_type(batch, header))
        return self._transactions.is_aborted(header)

    def _survivor(self, batch: Buffer, header: BatchHeader, needless: bool) -> Buffer | None:
        goes = needless and (not header.is_control or self._is_over(header))
        must_stay = self._is_last_of_producer(header) or header.next_offset == self._end_offset
        if goes or not header.record_count:
            return empty_batch(header) if must_stay else None
        data = unfolded_records(batch, header, max_bytes=MAX_DECOMPRESSED_BYTES)
        kept = self._kept_records(data, header)
        if not kept:
            return empty_batch(header) if must_stay else None
        self.counts.records_written += len(kept)
        is_marker = needless and header.is_control
        dies_later = is_marker or not all(record.has_value for record in kept)
        if not dies_later or header.has_delete_horizon:
            if len(kept) == header.record_count:
                return batch
            return rebuilt(data, header, kept, header.base_timestamp if header.has_delete_horizon else None)
        return rebuilt(data, header, kept, self._now_ms + self._delete_retention_ms)

    def _is_over(self, header: BatchHeader) -> bool:
        return header.has_delete_horizon and header.base_timestamp <= self._now_ms

    def _is_last_of_producer(self, header: BatchHeader) -> bool:
        last = self._last_records.get(header.producer_id) if header.producer_id >= 0 else None
        if last is None:
            return False
        if last.data_offset >= 0:
            return header.last_offset == last.data_offset
        return header.is_control and header.producer_epoch == last.epoch

    def _kept_records(self, data: bytes, header: BatchHeader) -> list[KeyedRecord]:
        records = iter_keyed(data, header.record_count)
        if header.is_control:
            return list(records)
        covered = self._latest.latest_offset - header.base_offset  # offset deltas up to here are in the map
        base_offset, newest, tombstones_stay = header.base_offset, self._latest.get, not self._is_over(header)
        kept: list[KeyedRecord] = []
        while some := list(islice(records, RECORDS_AT_A_TIME)):
            kept += [
                record
                for record in some
                if record.offset_delta > covered
                or (
                    record.key is not None
                    and (tombstones_stay or record.has_value)
                    and newest(record.key) <= base_offset + record.offset_delta
                )
            ]
            self._rest()
        return kept


def control_type(batch: Buffer, header: BatchHeader) -> int | None:
    """The type (a ControlType, or one that is not known here) that a control batch's record has; None: it is empty."""
    if not header.record_count:
        return None
    first = next(iter_keyed(unfolded_records(batch, header, max_bytes=MAX_DECOMPRESSED_BYTES), header.record_count))
    if first.key is None or len(first.key) < _CONTROL_KEY.size:
        raise MalformedMessage("a control record has no type")
    return int(_CONTROL_KEY.unpack_from(first.key)[1])


def rebuilt(data: bytes, header: BatchHeader, kept: list[KeyedRecord], delete_horizon_ms: int | None) -> bytearray:
    """A batch of `kept`, some of the records in `data`, with that horizon, or none."""
    times = [_timestamp(header, record) for record in kept]
    base_timestamp = times[0] if delete_horizon_ms is None else delete_horizon_ms
    by_log = header.timestamp_type is TimestampType.LOG_APPEND_TIME
    if base_timestamp == header.base_timestamp and not by_log:
        records = b"".join([data[each.start : each.end] for each in kept])
    else:
        records = b"".join(
            [with_timestamp_delta(data, each, time - base_timestamp) for each, time in zip(kept, times, strict=True)]
        )
    body = records if header.codec is Codec.NONE else compress(header.codec, records)
    return _assemble(
        header._replace(
            attributes=header.attributes | DELETE_HORIZON_BIT if delete_horizon_ms is not None else header.attributes,
            base_timestamp=base_timestamp,
            max_timestamp=header.max_timestamp if by_log else max(times),
            record_count=len(kept),
        ),
        body,
    )


def empty_batch(header: BatchHeader) -> bytearray:
    """The batch without records: what its producer, and whoever looks for its offsets, still needs of it."""
    attributes = header.attributes & ~(CODEC_MASK | DELETE_HORIZON_BIT)
    return _assemble(header._replace(attributes=attributes, base_timestamp=NO_TIMESTAMP, record_count=0), b"")


def _timestamp(header: BatchHeader, record: KeyedRecord) -> int:
    if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
        return header.max_timestamp
    return header.base_timestamp + record.timestamp_delta


def _assemble(header: BatchHeader, records: bytes) -> bytearray:
    batch = bytearray(RECORD_BATCH_OVERHEAD + len(records))
    HEADER.pack_into(batch, 0, header.base_offset, len(batch) - LOG_OVERHEAD, *header[2:])
    batch[RECORD_BATCH_OVERHEAD:] = records
    patch_crc(batch, 0, len(batch))
    return batch
