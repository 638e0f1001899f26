"""Walking through the batches that one fetch brought: whole ones, in order, those that are the user's.

    the broker may begin before the offset that was asked for (batches are not cut): what lies before is passed over
    the last batch may be cut short, for answers have a size: it is fetched again
    control batches are the broker's own, and never shown
    with read_committed, batches of aborted transactions are passed over, too

Which transactions were aborted the broker says beside the records: (producer id, first offset), in order of the first
offset.  From that offset on all batches of the producer are aborted, until its ABORT marker.

A batch's CRC is checked before anybody looks inside.  Pure.  Corresponds to Java's `CompletedFetch`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from ...protocol.batch_header import CURRENT_MAGIC, BatchHeader, crc_is_valid, iter_headers, read_magic
from ...protocol.errors import MalformedMessage
from ...protocol.records import ControlType, iter_records, read_end_txn_marker
from ...protocol.values import dataclass
from ..admin.values import TopicPartition
from .fetched_batch import CorruptRecords, Deserializers, FetchedBatch

_MAX_MARKER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the whole batches of an answer end: in offsets and in bytes; the leader epoch is the last batch's."""

    next_offset: int
    leader_epoch: int
    end_position: int


def extent_of(partition: TopicPartition, records: memoryview, fetch_offset: int) -> Extent | None:
    """How far the whole batches reach; None if there is none at all.

    CorruptRecords when there are bytes and yet no batch (the broker always gives the first one whole), or of a format
    before Kafka 0.11.
    """
    if not records:
        return None
    try:
        if read_magic(records) != CURRENT_MAGIC:
            raise CorruptRecords(
                f"{partition} at offset {fetch_offset} has records in the format {read_magic(records)} of before"
                " Kafka 0.11, which is not supported",
                partition,
                fetch_offset,
            )
        whole = deque(iter_headers(records), maxlen=1)
    except MalformedMessage as error:
        raise CorruptRecords(f"{partition} at offset {fetch_offset}: {error}", partition, fetch_offset) from error
    if not whole:
        raise CorruptRecords(f"{partition} at offset {fetch_offset}: a batch is cut short", partition, fetch_offset)
    position, header = whole[0]
    end = position + header.size_bytes
    return Extent(max(header.next_offset, fetch_offset), header.partition_leader_epoch, end)


class BatchCursor:
    """Where in the batches of one answer the user is."""

    def __init__(
        self,
        partition: TopicPartition,
        records: memoryview,
        *,
        aborted: Iterable[tuple[int, int]] = (),
        committed_only: bool = False,
        check_crcs: bool = True,
        deserializers: Deserializers | None = None,
    ) -> None:
        self._partition = partition
        self._records = records
        self._headers = iter_headers(records)
        self._to_come = deque(sorted(aborted, key=lambda each: each[1]))
        self._aborting: set[int] = set()  # producers whose batches are aborted, here
        self._committed_only = committed_only
        self._check_crcs = check_crcs
        self._deserializers = deserializers or Deserializers()

    def next(self, first_offset: int) -> FetchedBatch[Any, Any] | None:
        """The next batch with something at or behind `first_offset` for the user; None at the end.

        CorruptRecords when its CRC is wrong, or a marker cannot be read.
        """
        for position, header in self._headers:
            data = self._records[position : position + header.size_bytes]
            self._check(data, header)  # before its own word that it is a control batch is believed
            if self._is_for_the_user(data, header) and header.last_offset >= first_offset:
                return FetchedBatch(self._partition, header, data, first_offset, self._deserializers)
        return None

    def _is_for_the_user(self, data: memoryview, header: BatchHeader) -> bool:
        if self._committed_only:
            self._begin_aborting(header.last_offset)
        if header.is_control:
            if self._committed_only:
                self._take_marker(data, header)
            return False
        return not (header.is_transactional and header.producer_id in self._aborting)

    def _begin_aborting(self, last_offset: int) -> None:
        while self._to_come and self._to_come[0][1] <= last_offset:
            self._aborting.add(self._to_come.popleft()[0])

    def _take_marker(self, data: memoryview, header: BatchHeader) -> None:
        try:
            record = next(iter_records(data, max_decompressed_bytes=_MAX_MARKER_BYTES), None)
            marker = None if record is None else read_end_txn_marker(record)
        except MalformedMessage:
            return  # a marker of another kind, of a log that is no user's
        if marker is not None and marker.type is ControlType.ABORT:
            self._aborting.discard(header.producer_id)

    def _check(self, data: memoryview, header: BatchHeader) -> None:
        if self._check_crcs and not crc_is_valid(data, 0, header):
            raise CorruptRecords(
                f"the CRC of the batch at offset {header.base_offset} of {self._partition} is not that of its bytes",
                self._partition,
                header.base_offset,
            )
