"""Reading a partition back over the wire, assigned and from a given offset, and holding it against the ledger.

What a `PartitionCopy` proves while it reads: every batch's checksum, offsets without a gap, every value whole.
What was read once must be there, the same, whenever it is read again, and the log start never goes back.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ottla.protocol.records import crc_is_valid, iter_headers, iter_records
from support.wire import Api, Connection

from .ledger import Entry, RecordId, TopicPartition, record_of
from .requests import fetch

EARLIEST, LATEST = -2, -1
FETCH_BYTES = 4 * 1024 * 1024
MAX_DECOMPRESSED_BYTES = 16 * 1024 * 1024
OFFSET_OUT_OF_RANGE = 1


class BadLog(AssertionError):
    """What a partition gives to read is not what it must be."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Log start offset and high watermark."""

    start: int
    end: int


def bounds_of(connection: Connection, partitions: list[TopicPartition]) -> dict[TopicPartition, Bounds]:
    """Where each partition begins and ends now."""
    starts, ends = (_list_offsets(connection, partitions, timestamp) for timestamp in (EARLIEST, LATEST))
    return {each: Bounds(starts[each], ends[each]) for each in partitions}


def _list_offsets(
    connection: Connection, partitions: list[TopicPartition], timestamp: int
) -> dict[TopicPartition, int]:
    asked = [
        {
            "name": each.topic,
            "partitions": [{"partition_index": each.partition, "current_leader_epoch": -1, "timestamp": timestamp}],
        }
        for each in partitions
    ]
    answer = connection.call(Api.LIST_OFFSETS, 7, replica_id=-1, isolation_level=0, topics=asked)
    found = {}
    for topic in answer["topics"]:
        for partition in topic["partitions"]:
            name = TopicPartition(topic["name"], partition["partition_index"])
            if partition["error_code"] != 0:
                raise BadLog(f"{name}: ListOffsets {timestamp} says error {partition['error_code']}")
            found[name] = partition["offset"]
    return found


@dataclass(frozen=True, slots=True)
class Batch:
    base_offset: int
    size_bytes: int
    records: list[RecordId]


def read_batches(connection: Connection, partition: TopicPartition, start: int, end: int) -> Iterator[Batch]:
    """The batches from the one that holds `start` until `end` is reached; BadLog for what must not be."""
    offset = start
    while offset < end:
        data = _fetch(connection, partition, offset)
        asked_for = offset
        for position, header in iter_headers(data):
            if not crc_is_valid(data, position, header):
                raise BadLog(f"{partition}: the batch at offset {header.base_offset} has a wrong checksum")
            records = [record_of(each.value or b"") for each in _records(data, position)]
            yield Batch(header.base_offset, header.size_bytes, records)
            offset = header.next_offset
        if offset == asked_for:
            raise BadLog(f"{partition}: Fetch at {offset} gives no whole batch but {len(data)} bytes")


def _records(data: bytes, position: int) -> Iterator:
    return iter_records(data, position, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES)


def _fetch(connection: Connection, partition: TopicPartition, offset: int) -> bytes:
    told = fetch(connection, partition, offset, max_bytes=FETCH_BYTES)
    if told["error_code"] == OFFSET_OUT_OF_RANGE:
        raise OutOfRange(partition, offset)
    if told["error_code"] != 0:
        raise BadLog(f"{partition}: Fetch at {offset} says error {told['error_code']}")
    if not told["records"]:
        raise BadLog(f"{partition}: nothing to read at {offset}, below the high watermark {told['high_watermark']}")
    return bytes(told["records"])


class OutOfRange(BadLog):
    """The offset is not in the log (any more): retention went over it while we read."""

    def __init__(self, partition: TopicPartition, offset: int) -> None:
        super().__init__(f"{partition}: offset {offset} is out of range")


@dataclass(slots=True)
class PartitionCopy:
    """What was read of one partition: the records from `start` to `end`, gapless."""

    partition: TopicPartition
    start: int = 0
    size_bytes: int = 0  # of the batches that `extend` has read
    _producers: array[int] = field(default_factory=lambda: array("q"))
    _numbers: array[int] = field(default_factory=lambda: array("q"))

    @property
    def end(self) -> int:
        return self.start + len(self._numbers)

    def record_at(self, offset: int) -> RecordId | None:
        index = offset - self.start
        if not 0 <= index < len(self._numbers):
            return None
        return RecordId(self._producers[index], self._numbers[index])

    def holds(self, entry: Entry) -> bool:
        return self.record_at(entry.offset) == entry.record

    def records(self) -> Iterator[RecordId]:
        return map(RecordId, self._producers, self._numbers)

    def extend(self, connection: Connection, end: int) -> None:
        """Read on from where the copy ends."""
        for batch in read_batches(connection, self.partition, self.end, end):
            skip = max(0, self.start - batch.base_offset) if self.end == self.start else 0
            if batch.base_offset + skip != self.end:
                raise BadLog(f"{self.partition}: a batch at {batch.base_offset}, {self.end} must follow")
            self.size_bytes += batch.size_bytes
            for record in batch.records[skip:]:
                self._producers.append(record.producer)
                self._numbers.append(record.number)

    def reread(self, connection: Connection, from_offset: int, bounds: Bounds) -> int:
        """Read again from `from_offset` to the end: what was read before must still be there, the same.

        Returns how many bytes of batches that were.
        """
        if bounds.start < self.start:
            raise BadLog(f"{self.partition}: the log start went back from {self.start} to {bounds.start}")
        again = PartitionCopy(self.partition, max(from_offset, bounds.start))
        again.extend(connection, bounds.end)
        self._must_contain(again, min(self.end, again.end))
        if again.end < self.end:
            raise BadLog(f"{self.partition}: was read up to {self.end}, ends now at {again.end}")
        self._cut(again.start)
        self._producers += again._producers
        self._numbers += again._numbers
        self._drop_front(bounds.start)
        return again.size_bytes

    def _must_contain(self, again: PartitionCopy, end: int) -> None:
        for offset in range(max(self.start, again.start), end):
            was, now = self.record_at(offset), again.record_at(offset)
            if was != now:
                raise BadLog(f"{self.partition}: offset {offset} was {was}, is now {now}")

    def _cut(self, end: int) -> None:
        if end > self.end:  # everything read so far has been deleted
            self.start = end
        del self._producers[max(0, end - self.start) :]
        del self._numbers[max(0, end - self.start) :]

    def _drop_front(self, start: int) -> None:
        count = start - self.start
        del self._producers[:count]
        del self._numbers[:count]
        self.start = start


def duplicates(copy: PartitionCopy, *, may_repeat: set[int]) -> list[tuple[int, int]]:
    """How many records each producer has in the partition more than once; BadLog where one is out of order.

    A producer that sends again may repeat some, but the first of each must be in order.
    """
    last: dict[int, int] = {}
    seen: dict[int, set[int]] = {}
    again: Counter[int] = Counter()
    for producer, number in copy.records():
        known = seen.setdefault(producer, set())
        if number in known:
            again[producer] += 1
        elif number < last.get(producer, -1) and not (producer in may_repeat and copy.start > 0):
            raise BadLog(f"{copy.partition}: {number} of producer {producer} comes after {last[producer]}")
        known.add(number)
        last[producer] = max(number, last.get(producer, -1))
    return list(again.items())
