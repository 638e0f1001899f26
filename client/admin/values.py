"""Topics, partitions and offsets as an administrator says and hears them, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from uuid import UUID

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.values import dataclass, field


class OffsetSpec(IntEnum):
    """Offsets that can be asked for instead of a timestamp; a timestamp is any number from 0 on."""

    LATEST = -1
    EARLIEST = -2
    MAX_TIMESTAMP = -3


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to create.  Partitions and replication factor left at None are the broker's default.

    `assignments` names the brokers of each partition; then the two numbers stay None.  Values of `configs` are written as
    str says them, but for a bool: true or false.
    """

    name: str
    partitions: int | None = None
    replication_factor: int | None = None
    configs: Mapping[str, str | int | float] = field(default_factory=dict)
    assignments: Mapping[int, Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class CreatedTopic:
    """What became of a NewTopic; the counts are None with brokers that do not tell them."""

    name: str
    id: UUID
    partitions: int | None
    replication_factor: int | None


@dataclass(frozen=True, slots=True)
class PartitionDescription:
    """A partition and who has it.  `leader` is None while nobody leads it, which `error` then explains."""

    partition: int
    leader: int | None
    leader_epoch: int
    replicas: tuple[int, ...]
    in_sync_replicas: tuple[int, ...]
    error: ErrorCode | int


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic and its partitions, in order."""

    name: str
    id: UUID
    is_internal: bool
    partitions: tuple[PartitionDescription, ...]


@dataclass(frozen=True, slots=True)
class ListedOffset:
    """An offset that was asked for; all are -1 where there is none, for instance no record so young."""

    offset: int
    timestamp_ms: int
    leader_epoch: int


@dataclass(frozen=True, slots=True)
class Reassignment:
    """A partition on its way: all its replicas now, and those that come and go."""

    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PartitionProducer:
    """A producer that a partition remembers.  `open_since_offset` is where its open transaction began, None without one."""

    producer_id: int
    epoch: int
    last_sequence: int
    last_timestamp_ms: int
    coordinator_epoch: int
    open_since_offset: int | None


def raise_if_refused(code: int, message: str | None) -> None:
    """Raise the broker's refusal, if it is one."""
    error = refusal(code, message)
    if error is not None:
        raise error


def refusal(code: int, message: str | None = None) -> KafkaError | None:
    """The broker's refusal as an error to hand on; None when there is none."""
    if code == ErrorCode.NONE:
        return None
    known = ErrorCode(code) if code in ErrorCode.__members__.values() else ErrorCode.UNKNOWN_SERVER_ERROR
    return KafkaError(known, message or (known.name if known == code else f"error {code}"))
