"""Ottla, Kafka's little sister: a Kafka-compatible commit-log broker in Python, and a client for any Kafka.

    from ottla import Admin, Consumer, Producer
    from ottla.sync import Producer          # without asyncio

What is named here is imported when it is first asked for, so that starting a broker does not load the client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client.admin import Admin as Admin
    from .client.admin.values import NewTopic as NewTopic
    from .client.admin.values import TopicPartition as TopicPartition
    from .client.consumer.consumer import Consumer as Consumer
    from .client.consumer.fetched_batch import CorruptRecords as CorruptRecords
    from .client.consumer.fetched_batch import DeserializationError as DeserializationError
    from .client.consumer.fetched_batch import FetchedBatch as FetchedBatch
    from .client.consumer.listener import RebalanceListener as RebalanceListener
    from .client.consumer.offset_requests import OffsetAndMetadata as OffsetAndMetadata
    from .client.consumer.offsets import CommitFailed as CommitFailed
    from .client.consumer.record import ConsumerRecord as ConsumerRecord
    from .client.delivery import RecordMetadata as RecordMetadata
    from .client.errors import BufferFull as BufferFull
    from .client.errors import CannotConnect as CannotConnect
    from .client.errors import ClientClosed as ClientClosed
    from .client.errors import ClientError as ClientError
    from .client.errors import DeliveryTimedOut as DeliveryTimedOut
    from .client.errors import ProducerFenced as ProducerFenced
    from .client.errors import RecordTooLarge as RecordTooLarge
    from .client.errors import TransactionFailed as TransactionFailed
    from .client.producer import Producer as Producer
    from .protocol.errors import ErrorCode as ErrorCode
    from .protocol.errors import KafkaError as KafkaError

__version__ = "0.1.0"

_HOMES = {
    "Admin": "client.admin",
    "BufferFull": "client.errors",
    "CannotConnect": "client.errors",
    "ClientClosed": "client.errors",
    "ClientError": "client.errors",
    "CommitFailed": "client.consumer.offsets",
    "Consumer": "client.consumer.consumer",
    "ConsumerRecord": "client.consumer.record",
    "CorruptRecords": "client.consumer.fetched_batch",
    "DeliveryTimedOut": "client.errors",
    "DeserializationError": "client.consumer.fetched_batch",
    "ErrorCode": "protocol.errors",
    "FetchedBatch": "client.consumer.fetched_batch",
    "KafkaError": "protocol.errors",
    "OffsetAndMetadata": "client.consumer.offset_requests",
    "NewTopic": "client.admin.values",
    "Producer": "client.producer",
    "ProducerFenced": "client.errors",
    "RebalanceListener": "client.consumer.listener",
    "RecordMetadata": "client.delivery",
    "RecordTooLarge": "client.errors",
    "TopicPartition": "client.admin.values",
    "TransactionFailed": "client.errors",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
