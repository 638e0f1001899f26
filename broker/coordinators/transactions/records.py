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

from typing import NamedTuple

from ....protocol.errors import MalformedMessage
from ....protocol.messages import Message
from ....protocol.record_schemas import RecordSchema, field, structs, version_of
from ....storage.directory_names import TopicPartition
from .transaction import NO_PRODUCER_ID, Transaction, TransactionState

KEY_VERSION = 0
VALUE_VERSION = 1

KEY = RecordSchema(
    "TransactionLogKey", [field("transactional_id", "string")], versions=range(KEY_VERSION, KEY_VERSION + 1)
)
VALUE = RecordSchema(
    "TransactionLogValue",
    [
        field("producer_id", "int64"),
        field("previous_producer_id", "int64", since=1, tag=0, default=NO_PRODUCER_ID),
        field("next_producer_id", "int64", since=1, tag=1, default=NO_PRODUCER_ID),
        field("producer_epoch", "int16"),
        field("timeout_ms", "int32"),
        field("status", "int8"),
        structs(
            "partitions",
            [field("topic", "string"), field("partition_ids", "int32", is_array=True)],
            is_nullable=True,
        ),
        field("updated_ms", "int64"),
        field("started_ms", "int64"),
        field("client_version", "int16", since=1, tag=2),
    ],
    versions=range(VALUE_VERSION + 1),
    flexible_from=1,
)


class TransactionRecord(NamedTuple):
    """What is written of a transactional id: its new state; None ends it."""

    transactional_id: str
    transaction: Transaction | None


def encode_key(transactional_id: str) -> bytes:
    """A record's key."""
    return KEY.encode(Message(transactional_id=transactional_id), version=KEY_VERSION)


def decode_key(key: bytes) -> str | None:
    """The transactional id; None for a key of another version, ValueError for what cannot be a key."""
    try:
        if version_of(key) not in KEY.versions:
            return None
        _, message = KEY.decode(key)
    except MalformedMessage as error:
        raise ValueError(f"not a key: {error}") from error
    return str(message.transactional_id)


def encode_value(transaction: Transaction) -> bytes:
    """A record's value."""
    message = Message(
        producer_id=transaction.producer_id,
        previous_producer_id=transaction.previous_producer_id,
        next_producer_id=transaction.next_producer_id,
        producer_epoch=transaction.producer_epoch,
        timeout_ms=transaction.timeout_ms,
        status=transaction.state,
        partitions=_by_topic(transaction),
        updated_ms=transaction.updated_ms,
        started_ms=transaction.started_ms,
        client_version=transaction.client_version,
    )
    return VALUE.encode(message, version=VALUE_VERSION)


def _by_topic(transaction: Transaction) -> list[Message] | None:
    if transaction.state is TransactionState.EMPTY:
        return None
    by_topic: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        by_topic.setdefault(topic, []).append(partition)
    return [Message(topic=topic, partition_ids=partitions) for topic, partitions in by_topic.items()]


def decode_value(transactional_id: str, value: bytes) -> Transaction | None:
    """The state; None for a value of a later version, ValueError for what cannot be one."""
    try:
        if version_of(value) not in VALUE.versions:
            return None
        _, message = VALUE.decode(value)
    except MalformedMessage as error:
        raise ValueError(f"the state of {transactional_id!r} is damaged or cut short: {error}") from error
    return Transaction(
        transactional_id=transactional_id,
        producer_id=message.producer_id,
        previous_producer_id=message.previous_producer_id,
        next_producer_id=message.next_producer_id,
        producer_epoch=message.producer_epoch,
        timeout_ms=message.timeout_ms,
        state=TransactionState(message.status),
        partitions=frozenset(
            TopicPartition(each.topic, partition)
            for each in message.partitions or ()
            for partition in each.partition_ids
        ),
        started_ms=message.started_ms,
        updated_ms=message.updated_ms,
        client_version=message.client_version,
    )
