"""A batch as it was fetched, decoded when somebody looks: the bulk form of consuming.

    async for batch in consumer.batches():
        for value in batch.values(): ...

Until a column or the records are asked for, the batch is a view of the broker's answer, and keeps that in memory.  The
keys and values are decoded once and kept; offsets, timestamps and headers, too, when they are asked for.  After a seek into
the middle of a batch, or with offsets that a compacted topic has lost, the batch has fewer records than its header counts:
`first_offset` is where the user wanted to begin.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any, Generic

from ...protocol.batch_header import RECORD_BATCH_OVERHEAD, BatchHeader, TimestampType
from ...protocol.columns import RecordColumns
from ...protocol.compression import Codec, decompress
from ...protocol.errors import MalformedMessage
from ...protocol.record_columns import read_columns, read_view_columns
from ...protocol.values import dataclass, field
from ..admin.values import TopicPartition
from ..errors import ClientError
from ..key_and_value import K, V
from .record import ConsumerRecord, RecordHeaders

Deserializer = Callable[[bytes], Any]
# What `_make` does, without a step through Python.
_make_record: Callable[..., ConsumerRecord[Any, Any]] = tuple.__new__
MAX_DECOMPRESSED_BYTES = 1024 * 1024 * 1024


class CorruptRecords(ClientError):
    """What was fetched is not what was written, or cannot be read; text and fields say where.  Seek to get past it."""

    def __init__(self, message: str, partition: TopicPartition | None = None, offset: int = -1) -> None:
        super().__init__(message, partition, offset)
        self.partition = partition
        self.offset = offset

    def __str__(self) -> str:
        return str(self.args[0])


class DeserializationError(Exception):
    """A deserializer raised: `record` has the bytes as they are, `field` is "key" or "value", the cause is the error.

    The position is before this record; seek to `record.offset + 1` to go on without it.
    """

    def __init__(self, record: ConsumerRecord[bytes, bytes], field_name: str, cause: Exception) -> None:
        super().__init__(record, field_name, cause)
        self.record = record
        self.field = field_name
        self.__cause__ = cause

    def __str__(self) -> str:
        what = f"{self.record.topic}-{self.record.partition} at offset {self.record.offset}"
        return f"cannot deserialize the {self.field} of {what}: {self.__cause__!r}"


@dataclass(frozen=True, slots=True)
class Deserializers:
    """What makes keys and values of bytes; None leaves the bytes."""

    key: Deserializer | None = None
    value: Deserializer | None = None


NO_DESERIALIZERS = Deserializers()


@dataclass(slots=True, eq=False)
class FetchedBatch(Generic[K, V]):
    """One batch of one partition; `first_offset` and later are wanted."""

    partition: TopicPartition
    header: BatchHeader
    data: memoryview = field(repr=False)
    first_offset: int
    deserializers: Deserializers = field(repr=False, default=NO_DESERIALIZERS)
    _columns: RecordColumns | None = field(default=None, repr=False)

    @property
    def topic(self) -> str:
        return self.partition.topic

    @property
    def last_offset(self) -> int:
        """Of the last record, even if compaction took it away."""
        return self.header.last_offset

    @property
    def next_offset(self) -> int:
        """Where to go on behind the batch; what to commit when it is done."""
        return self.header.next_offset

    @property
    def leader_epoch(self) -> int:
        return self.header.partition_leader_epoch

    @property
    def timestamp_type(self) -> TimestampType:
        return self.header.timestamp_type

    @property
    def size_bytes(self) -> int:
        """As it was fetched, compressed if it is."""
        return self.header.size_bytes

    def __len__(self) -> int:
        """How many records there are; decodes them only where the batch is not wanted from its beginning."""
        if self.first_offset <= self.header.base_offset:
            return self.header.record_count
        return len(self.columns.offsets)

    def rest(self, first_offset: int) -> FetchedBatch[K, V]:
        """The same batch from an offset on."""
        columns = None if self._columns is None else self._from(first_offset, self._columns)
        return replace(self, first_offset=first_offset, _columns=columns)

    # -- the bytes

    @property
    def columns(self) -> RecordColumns:
        """Offsets, timestamps, keys, values and headers; CorruptRecords if they cannot be read."""
        if self._columns is None:
            self._columns = self._from(self.first_offset, self._read(read_columns, self._unfolded()))
        return self._columns

    def raw_views(self) -> list[memoryview | None]:
        """The values as views of one buffer, which each of them keeps in memory; nothing is copied record by record."""
        columns = self._read(read_view_columns, bytes(self._unfolded()))
        return self._from(self.first_offset, columns).values  # type: ignore[return-value]

    def _read(self, read: Callable[[Any, BatchHeader], RecordColumns], data: bytes | memoryview) -> RecordColumns:
        try:
            return read(data, self.header)
        except MalformedMessage as error:
            raise self._corrupt(error) from error

    def _unfolded(self) -> bytes | memoryview:
        """The records' bytes: where they were received, or decompressed."""
        body = self.data[RECORD_BATCH_OVERHEAD:]
        try:
            codec = self.header.codec
            return body if codec is Codec.NONE else decompress(codec, body, max_bytes=MAX_DECOMPRESSED_BYTES)
        except MalformedMessage as error:
            raise self._corrupt(error) from error

    @staticmethod
    def _from(first_offset: int, columns: RecordColumns) -> RecordColumns:
        first = columns.first_offset
        if first is None or first >= first_offset:
            return columns
        return columns.part(bisect_left(columns.offsets, first_offset))

    def _corrupt(self, error: MalformedMessage) -> CorruptRecords:
        what = f"the batch at offset {self.header.base_offset} of {self.partition} cannot be read: {error}"
        return CorruptRecords(what, self.partition, self.header.base_offset)

    # -- what the user made of them

    def offsets(self) -> list[int]:
        return self.columns.offsets

    def timestamps(self) -> list[int]:
        """In milliseconds since 1970."""
        return self.columns.timestamps

    def headers(self) -> list[RecordHeaders]:
        return self.columns.headers

    def keys(self) -> list[K | None]:
        """All keys, deserialized; DeserializationError names the first that cannot be."""
        return self._deserialized("key", self.columns.keys, self.deserializers.key)

    def values(self) -> list[V | None]:
        """All values, deserialized; DeserializationError names the first that cannot be."""
        return self._deserialized("value", self.columns.values, self.deserializers.value)

    def records(self) -> list[ConsumerRecord[K, V]]:
        """All records; DeserializationError names the first that cannot be made."""
        return list(self._made(self.columns, self.keys(), self.values()))

    def __iter__(self) -> Iterator[ConsumerRecord[K, V]]:
        return self._made(self.columns, self.keys(), self.values())

    def records_until_failure(self) -> tuple[Iterator[ConsumerRecord[K, V]], DeserializationError | None]:
        """The records before the first that cannot be deserialized, and why it cannot.

        They are made when they are taken: a record that is not kept is gone before the garbage collector sees it.
        """
        try:
            return iter(self), None
        except DeserializationError as error:
            count = bisect_left(self.columns.offsets, error.record.offset)
            failure = error
        before = self.columns.part(0, count)
        keys = self._deserialized("key", before.keys, self.deserializers.key)
        values = self._deserialized("value", before.values, self.deserializers.value)
        return self._made(before, keys, values), failure

    def _made(self, columns: RecordColumns, keys: list[Any], values: list[Any]) -> Iterator[ConsumerRecord[K, V]]:
        rows = zip(
            repeat(self.partition.topic),
            repeat(self.partition.partition),
            columns.offsets,
            columns.timestamps,
            repeat(self.timestamp_type),
            keys,
            values,
            columns.headers,
            repeat(self.header.partition_leader_epoch),
            strict=False,  # the constants never end
        )
        return map(_make_record, repeat(ConsumerRecord), rows)

    def _deserialized(self, name: str, column: list[bytes | None], deserializer: Deserializer | None) -> list[Any]:
        if deserializer is None:
            return column
        made: list[Any] = []
        try:
            for each in column:
                made.append(None if each is None else deserializer(each))  # noqa: PERF401  its length says who failed
        except Exception as error:  # whatever the user's own code raises
            raise DeserializationError(self._raw(len(made)), name, error) from error
        return made

    def _raw(self, place: int) -> ConsumerRecord[bytes, bytes]:
        columns = self.columns.part(place, place + 1)
        (record,) = self._made(columns, columns.keys, columns.values)
        return record  # type: ignore[return-value]
