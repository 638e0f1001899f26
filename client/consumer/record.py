"""A consumed record, as the user is given it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Generic, NamedTuple

from ...protocol.batch_header import TimestampType
from ..admin.values import TopicPartition
from ..key_and_value import K, V

RecordHeaders = tuple[tuple[str, bytes | None], ...]


class ConsumerRecord(NamedTuple, Generic[K, V]):
    """One record; `timestamp` in milliseconds since 1970, given by the producer or the log as `timestamp_type` says.

    Key and value are what the deserializers made of the bytes; null stays None and is not shown to them.  The names are
    aiokafka's.  A named tuple, because a million of them a second are made.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: TimestampType
    key: K | None
    value: V | None
    headers: RecordHeaders
    leader_epoch: int

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    @property
    def time(self) -> datetime:
        """The timestamp as a time in UTC."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)
