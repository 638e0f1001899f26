"""What the broker has acknowledged, kept outside of it: a kill takes nothing from here.

A record is known by its producer and a number that only grows; its value can be made again from the two, so the
ledger holds three integers for each.  Entries are only ever added, by the producers' threads; whoever verifies
takes note of how many there are (`marks`), and is entitled to all of those.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_FILLER = bytes(range(256)) * 12
_SIZES = (1, 30, 100, 100, 250, 250, 700, 2000)


class TopicPartition(NamedTuple):
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class RecordId(NamedTuple):
    """Which record it is: the producer's index in its `Ledger`, and that producer's number."""

    producer: int
    number: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged record and where the broker said it lies."""

    offset: int
    record: RecordId


def value_of(record: RecordId) -> bytes:
    """The record's value, of a size and content that its number decides."""
    size_bytes = _SIZES[record.number * 31 % len(_SIZES)]
    start = record.number % 256
    return b"%d %d " % record + _FILLER[start : start + size_bytes]


def record_of(value: bytes) -> RecordId:
    """The way back; AssertionError unless the value is whole, to the byte."""
    producer, number, _ = value.split(b" ", 2)
    record = RecordId(int(producer), int(number))
    assert value == value_of(record), f"a record of another content than {record}: {value[:60]!r}"
    return record


class _Acknowledged:
    """One partition's entries, in the order in which they were acknowledged."""

    def __init__(self) -> None:
        self._offsets = array("q")
        self._producers = array("q")
        self._numbers = array("q")
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, offset: int, record: RecordId) -> None:
        with self._lock:
            self._offsets.append(offset)
            self._producers.append(record.producer)
            self._numbers.append(record.number)

    def entry(self, index: int) -> Entry:
        with self._lock:
            return Entry(self._offsets[index], RecordId(self._producers[index], self._numbers[index]))


class Ledger:
    """All that was acknowledged, by partition."""

    def __init__(self) -> None:
        self.producers: list[str] = []
        self._partitions: dict[TopicPartition, _Acknowledged] = {}
        self._lock = threading.Lock()

    def add_producer(self, name: str) -> int:
        """Its index, for `RecordId`."""
        self.producers.append(name)
        return len(self.producers) - 1

    def acknowledge(self, partition: TopicPartition, offset: int, record: RecordId) -> None:
        """The broker said that `record` lies at `offset`."""
        with self._lock:
            acknowledged = self._partitions.setdefault(partition, _Acknowledged())
        acknowledged.add(offset, record)

    @property
    def count(self) -> int:
        return sum(self.marks().values())

    def marks(self) -> dict[TopicPartition, int]:
        """How many entries each partition has now."""
        with self._lock:
            return {partition: len(entries) for partition, entries in self._partitions.items()}

    def entries(self, partition: TopicPartition, first: int, end: int) -> Iterator[Entry]:
        """The entries `first` to `end` (exclusive) of a partition."""
        with self._lock:
            acknowledged = self._partitions.get(partition)
        if acknowledged is not None:
            for index in range(first, end):
                yield acknowledged.entry(index)
