"""The records of `__transaction_state`: Kafka's `TransactionLogKey` and `TransactionLogValue`.

    key     version int16 (0), transactional id: string
    value   version int16, then
            producer id int64, producer epoch int16, timeout int32 ms, status int8 (`TransactionState`),
            partitions: null in state Empty, else an array of (topic: string, array of partition int32),
            last update int64 ms, start int64 ms (-1: none)

We write version 1, whose strings and arrays are the compact ones and which ends with tagged fields, each left out at
its default: 0 the former producer id (-1), 1 the next producer id (-1), 2 the client's transaction version (0). Version 0
is read, too; so is any tagged field, and one that is not known is passed over. A value of null ends the id. Tag 3 of
later releases, the epoch that goes with the next producer id, is one of those.

DumpLogSegments reads them with `--transaction-log-decoder`. Kafka's class: `TransactionLog`.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ....protocol.errors import MalformedMessage
from ....protocol.primitives import pack_uvarint, read_uvarint
from ....storage.directory_names import TopicPartition
from .transaction import NO_PRODUCER_ID, Transaction, TransactionState

KEY_VERSION = 0
VALUE_VERSION = 1
PREVIOUS_ID_TAG, NEXT_ID_TAG, CLIENT_VERSION_TAG = range(3)

_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")
_HEAD = struct.Struct(">hqhib")
_TIMES = struct.Struct(">qq")


class TransactionRecord(NamedTuple):
    """What is written of a transactional id: its new state; None ends it."""

    transactional_id: str
    transaction: Transaction | None


def encode_key(transactional_id: str) -> bytes:
    """A record's key."""
    name = transactional_id.encode()
    return _INT16.pack(KEY_VERSION) + _INT16.pack(len(name)) + name


def decode_key(key: bytes) -> str | None:
    """The transactional id; None for a key of another version, ValueError for what cannot be a key."""
    if len(key) < 2 * _INT16.size:
        raise ValueError(f"a key of {len(key)} bytes")
    if _INT16.unpack_from(key)[0] != KEY_VERSION:
        return None
    (size,) = _INT16.unpack_from(key, _INT16.size)
    name = key[2 * _INT16.size :]
    if len(name) != size:
        raise ValueError(f"a key that names an id of {size} bytes and has {len(name)}")
    return name.decode()


def encode_value(transaction: Transaction) -> bytes:
    """A record's value."""
    out = bytearray(
        _HEAD.pack(
            VALUE_VERSION,
            transaction.producer_id,
            transaction.producer_epoch,
            transaction.timeout_ms,
            transaction.state,
        )
    )
    out += _encode_partitions(transaction)
    out += _TIMES.pack(transaction.updated_ms, transaction.started_ms)
    out += _encode_tags(transaction)
    return bytes(out)


def _encode_partitions(transaction: Transaction) -> bytes:
    if transaction.state is TransactionState.EMPTY:
        return b"\0"
    by_topic: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        by_topic.setdefault(topic, []).append(partition)
    out = bytearray(pack_uvarint(len(by_topic) + 1))
    for topic, partitions in by_topic.items():
        name = topic.encode()
        out += pack_uvarint(len(name) + 1) + name + pack_uvarint(len(partitions) + 1)
        out += b"".join(_INT32.pack(each) for each in partitions) + b"\0"
    return bytes(out)


def _encode_tags(transaction: Transaction) -> bytes:
    tags = []
    if transaction.previous_producer_id != NO_PRODUCER_ID:
        tags.append((PREVIOUS_ID_TAG, _INT64.pack(transaction.previous_producer_id)))
    if transaction.next_producer_id != NO_PRODUCER_ID:
        tags.append((NEXT_ID_TAG, _INT64.pack(transaction.next_producer_id)))
    if transaction.client_version:
        tags.append((CLIENT_VERSION_TAG, _INT16.pack(transaction.client_version)))
    return pack_uvarint(len(tags)) + b"".join(pack_uvarint(tag) + pack_uvarint(len(data)) + data for tag, data in tags)


def decode_value(transactional_id: str, value: bytes) -> Transaction | None:
    """The state; None for a value of a later version, ValueError for what cannot be one."""
    try:
        (version,) = _INT16.unpack_from(value)
        if version not in (0, VALUE_VERSION):
            return None
        return _Reader(value, version).transaction(transactional_id)
    except (struct.error, IndexError, MalformedMessage) as error:
        raise ValueError(f"the state of {transactional_id!r} is cut short") from error


class _Reader:
    """Walks one value. struct.error and IndexError where it ends too early."""

    def __init__(self, data: bytes, version: int) -> None:
        self._data = memoryview(data)
        self._version = version
        self._at = _HEAD.size

    def transaction(self, transactional_id: str) -> Transaction:
        _, producer_id, producer_epoch, timeout_ms, state = _HEAD.unpack_from(self._data)
        partitions = self._partitions()
        updated_ms, started_ms = self._take(_TIMES)
        tags = self._tags() if self._version >= 1 else {}
        return Transaction(
            transactional_id=transactional_id,
            producer_id=producer_id,
            previous_producer_id=_tagged(tags, PREVIOUS_ID_TAG, _INT64, NO_PRODUCER_ID),
            next_producer_id=_tagged(tags, NEXT_ID_TAG, _INT64, NO_PRODUCER_ID),
            producer_epoch=producer_epoch,
            timeout_ms=timeout_ms,
            state=TransactionState(state),
            partitions=partitions,
            started_ms=started_ms,
            updated_ms=updated_ms,
            client_version=_tagged(tags, CLIENT_VERSION_TAG, _INT16, 0),
        )

    def _partitions(self) -> frozenset[TopicPartition]:
        found: set[TopicPartition] = set()
        for _ in range(self._count()):
            topic = self._text()
            found.update(TopicPartition(topic, self._take(_INT32)[0]) for _ in range(self._count()))
            if self._version >= 1:
                self._tags()
        return frozenset(found)

    def _tags(self) -> dict[int, bytes]:
        tags = {}
        for _ in range(self._uvarint()):
            tag = self._uvarint()
            tags[tag] = self._bytes(self._uvarint())
        return tags

    def _count(self) -> int:
        return self._uvarint() - 1 if self._version >= 1 else self._take(_INT32)[0]

    def _text(self) -> str:
        size = self._uvarint() - 1 if self._version >= 1 else self._take(_INT16)[0]
        return self._bytes(size).decode()

    def _uvarint(self) -> int:
        value, self._at = read_uvarint(self._data, self._at)
        return value

    def _take(self, layout: struct.Struct) -> tuple[int, ...]:
        values = layout.unpack_from(self._data, self._at)
        self._at += layout.size
        return values

    def _bytes(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        if len(data) != size:
            raise IndexError(size)
        self._at += size
        return bytes(data)


def _tagged(tags: dict[int, bytes], tag: int, layout: struct.Struct, default: int) -> int:
    value: int = layout.unpack(tags[tag])[0] if tag in tags else default
    return value
