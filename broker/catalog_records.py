"""The records of the catalog: every change the cluster's metadata can undergo, and their bytes.

A record says what has been decided, never what was asked: applying it cannot fail and needs nothing but the
state before it, so that a replay after a crash, a snapshot, and a second node all arrive at the same state.
One decision is one record, or one batch of records that the journal keeps whole; there is no half-created
topic.

On disk a record is one msgpack array:

    [kind, version, field, field, ...]   a uuid is 16 bytes, a partition [leader, leader_epoch, replicas, isr]

Fields are only ever added at the end, with a default. A reader therefore takes a newer version of a kind it
knows by leaving the surplus fields alone, and an older one by filling in the defaults; `version` is there for
the reader of dumps and for the day a meaning has to change. A kind that is not known is carried as
`UnknownRecord`, unchanged and into every snapshot, so that going back one release of the broker does not lose
what the newer one wrote.

Kafka's counterparts are the records of `__cluster_metadata` (TopicRecord, PartitionRecord, ConfigRecord,
...); where Kafka writes one record per partition we write one per topic, because here they are always decided
together.
"""

from __future__ import annotations

from dataclasses import fields
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, cast
from uuid import UUID

import msgpack

from ..protocol.values import dataclass, field

NO_LEADER = -1

QuotaEntity = tuple[tuple[str, str | None], ...]
"""Whose quotas: types and names, None for the default of a type; made by `client_quotas.entity_of`, in one order."""


class ConfigResource(IntEnum):
    """What a config belongs to, numbered as in Kafka's protocol (`ConfigResource.Type`)."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


@dataclass(frozen=True, slots=True)
class PartitionState:
    """Who leads one partition, and since which epoch; the broker that opens a leader's log stamps batches
    with the epoch.
    """

    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClusterFormed:
    """The first record of a new catalog: the cluster's name for the rest of its life."""

    KIND: ClassVar[int] = 1
    cluster_id: str


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """A node has (re)started: it takes the partitions it leads under a new leader epoch.

    Kafka reaches the same by fencing and unfencing a restarted broker. The new epoch is what lets a consumer
    notice, by OffsetForLeaderEpoch, that an unclean stop has cut records nobody had acknowledged as durable.
    """

    KIND: ClassVar[int] = 2
    node_id: int


@dataclass(frozen=True, slots=True)
class TopicCreated:
    KIND: ClassVar[int] = 10
    topic_id: UUID
    name: str
    partitions: tuple[PartitionState, ...]
    configs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartitionsAdded:
    """New partitions at the end of a topic's list."""

    KIND: ClassVar[int] = 11
    topic_id: UUID
    partitions: tuple[PartitionState, ...]


@dataclass(frozen=True, slots=True)
class TopicDeleted:
    """The topic is gone, with its configs. Its logs go after that; until then its id is remembered as leaving."""

    KIND: ClassVar[int] = 12
    topic_id: UUID


@dataclass(frozen=True, slots=True)
class TopicRemoved:
    """No log of a deleted topic is left on the disk, so its id may be forgotten.

    Between the two records a crash leaves logs of a topic that does not exist: only because the id is known as leaving
    are they deleted at the next start, and not set aside as somebody's that nobody knows.
    """

    KIND: ClassVar[int] = 13
    topic_id: UUID


@dataclass(frozen=True, slots=True)
class ConfigsChanged:
    """Values set (text) and removed (None) for one resource; what is not named stays.

    `resource_name` is a topic's name, a node id in digits, a group id or a client-metrics subscription; ""
    with BROKER is the default of all brokers.
    """

    KIND: ClassVar[int] = 20
    resource: int
    resource_name: str
    changes: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class ProducerIdsAllocated:
    """Every producer id below `next_producer_id` has been given to some node and will not be given again."""

    KIND: ClassVar[int] = 30
    node_id: int
    next_producer_id: int


@dataclass(frozen=True, slots=True)
class FeatureLevelSet:
    """A finalized feature level (KIP-584); at level 0 the feature is switched off."""

    KIND: ClassVar[int] = 40
    name: str
    level: int


@dataclass(frozen=True, slots=True)
class ClientQuotasChanged:
    """Quotas set and taken away (None) for one entity; what is not named stays.

    `entity` has the name for each of its types (`user`, `client-id`, `ip`); a name of None is the type's default.
    """

    KIND: ClassVar[int] = 50
    entity: dict[str, str | None]
    changes: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class UnknownRecord:
    """A record of a later release, kept as it was read."""

    array: list[Any]


CatalogRecord = (
    ClusterFormed
    | NodeStarted
    | TopicCreated
    | PartitionsAdded
    | TopicDeleted
    | TopicRemoved
    | ConfigsChanged
    | ProducerIdsAllocated
    | FeatureLevelSet
    | ClientQuotasChanged
    | UnknownRecord
)

_KNOWN: tuple[type[CatalogRecord], ...] = (
    ClusterFormed,
    NodeStarted,
    TopicCreated,
    PartitionsAdded,
    TopicDeleted,
    TopicRemoved,
    ConfigsChanged,
    ProducerIdsAllocated,
    FeatureLevelSet,
    ClientQuotasChanged,
)
_VERSION = 0


class _Shape(NamedTuple):
    """How one kind lies in its array, behind kind and version."""

    type: type[CatalogRecord]
    names: tuple[str, ...]
    id_at: int | None
    partitions_at: int | None


def _shape(known: type[CatalogRecord]) -> _Shape:
    names = tuple(item.name for item in fields(known))
    places = {name: at for at, name in enumerate(names)}
    return _Shape(known, names, places.get("topic_id"), places.get("partitions"))


# Looked up for each record of a replay: what the dataclasses could tell is told once.
_SHAPES: dict[int, _Shape] = {cast(Any, known).KIND: _shape(known) for known in _KNOWN}


def encode_record(record: CatalogRecord) -> bytes:
    if isinstance(record, UnknownRecord):
        return cast(bytes, msgpack.packb(record.array))
    array: list[Any] = [record.KIND, _VERSION]
    array.extend(_to_msgpack(getattr(record, name)) for name in _SHAPES[record.KIND].names)
    return cast(bytes, msgpack.packb(array))


def decode_record(data: bytes | memoryview) -> CatalogRecord:
    """The record of these bytes; ValueError when they are not a record at all (the journal was damaged or is
    not ours).
    """
    try:
        array = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"not a msgpack value: {error}") from error
    if not isinstance(array, list) or len(array) < 2 or not isinstance(array[0], int):
        raise ValueError(f"not a catalog record: {array!r:.100}")
    shape = _SHAPES.get(array[0])
    if shape is None:
        return UnknownRecord(array)
    try:
        return _from_msgpack(shape, array[2 : 2 + len(shape.names)])
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"not a {shape.type.__name__} record: {array!r:.100}: {error}") from error


def _to_msgpack(value: object) -> object:
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, tuple):
        return [_to_msgpack(item) for item in value]
    if isinstance(value, PartitionState):
        return [value.leader, value.leader_epoch, list(value.replicas), list(value.isr)]
    return value


def _from_msgpack(shape: _Shape, values: list[Any]) -> CatalogRecord:
    if shape.id_at is not None:
        values[shape.id_at] = UUID(bytes=values[shape.id_at])
    if shape.partitions_at is not None:
        values[shape.partitions_at] = tuple(map(_partition, values[shape.partitions_at]))
    return shape.type(*values)


def _partition(value: list[Any]) -> PartitionState:
    leader, leader_epoch, replicas, isr = value[:4]
    return PartitionState(leader, leader_epoch, tuple(replicas), tuple(isr))
