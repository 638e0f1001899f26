"""The records of the groups' journal: committed offsets and what a group's members have agreed upon.

A record says what has been decided; applying it cannot fail and needs nothing but the state before it, as with the
catalog's records (`catalog_records`), whose form they share:

    [kind, version, field, field, ...]      one msgpack array; fields are only ever added at the end, with a default

A commit is one record for all its partitions, so that it is there after a crash as a whole. Removing is a record too, and
says what goes rather than what is there: whatever was committed in front of it is gone, also what was still on its way
to the disk when it was decided.

Kafka's counterparts are the keys and values of `__consumer_offsets` (GroupMetadata, OffsetCommit, and their tombstones).
Where Kafka keeps of a member only the metadata of the chosen protocol we keep all that it offered, so that a group
after a restart is the group before it. docs/format-group-journal.md has the layout.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, cast
from uuid import UUID

import msgpack

NEVER_MS = -1
NO_EPOCH = -1

Protocols = tuple[tuple[str, bytes], ...]
"""The protocols (assignors) a member offers, the one it likes best first, each with its metadata."""


@dataclass(frozen=True, slots=True)
class StoredMember:
    """One member of a generation, with what the leader assigned to it."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: Protocols
    assignment: bytes


class Committed(NamedTuple):
    """One partition's committed offset; `expires_at_ms` is NEVER_MS unless the client asked for a retention of its own."""

    offset: int
    leader_epoch: int = NO_EPOCH
    metadata: str = ""
    committed_at_ms: int = 0
    expires_at_ms: int = NEVER_MS


class TopicOffsets(NamedTuple):
    """A topic's committed offsets by partition. The id tells a topic from a later one of the same name."""

    topic: str
    topic_id: UUID
    partitions: tuple[tuple[int, Committed], ...]


@dataclass(frozen=True, slots=True)
class GroupStored:
    """A generation as agreed: its members and assignments. Without members: the group is empty since then.

    `state_changed_at_ms` counts for the retention of an empty group's offsets.
    """

    KIND: ClassVar[int] = 1
    group_id: str
    generation: int
    protocol_type: str | None
    protocol_name: str | None
    leader_id: str | None
    state_changed_at_ms: int
    members: tuple[StoredMember, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupDeleted:
    """The group is gone, and every offset committed by it."""

    KIND: ClassVar[int] = 2
    group_id: str


@dataclass(frozen=True, slots=True)
class OffsetsCommitted:
    KIND: ClassVar[int] = 10
    group_id: str
    topics: tuple[TopicOffsets, ...]


@dataclass(frozen=True, slots=True)
class OffsetsDeleted:
    """These partitions have no committed offset any more; `topics` are (topic, partitions)."""

    KIND: ClassVar[int] = 11
    group_id: str
    topics: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class TopicForgotten:
    """A topic was deleted: no group has offsets in it any more."""

    KIND: ClassVar[int] = 12
    topic: str
    topic_id: UUID


@dataclass(frozen=True, slots=True)
class UnknownRecord:
    """A record of a later release, kept as it was read."""

    array: list[Any]


GroupRecord = GroupStored | GroupDeleted | OffsetsCommitted | OffsetsDeleted | TopicForgotten | UnknownRecord

_KNOWN: tuple[type[GroupRecord], ...] = (GroupStored, GroupDeleted, OffsetsCommitted, OffsetsDeleted, TopicForgotten)
_TYPE_OF_KIND: dict[int, type[GroupRecord]] = {cast(Any, known).KIND: known for known in _KNOWN}
_VERSION = 0


def encode_record(record: GroupRecord) -> bytes:
    if isinstance(record, UnknownRecord):
        return cast(bytes, msgpack.packb(record.array))
    array: list[Any] = [record.KIND, _VERSION]
    array.extend(_to_msgpack(getattr(record, item.name)) for item in fields(record))
    return cast(bytes, msgpack.packb(array))


def decode_record(data: bytes | memoryview) -> GroupRecord:
    """The record of these bytes; ValueError when they are not a record at all."""
    try:
        array = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"not a msgpack value: {error}") from error
    if not isinstance(array, list) or len(array) < 2 or not isinstance(array[0], int):
        raise ValueError(f"not a record of groups: {array!r:.100}")
    known = _TYPE_OF_KIND.get(array[0])
    if known is None:
        return UnknownRecord(array)
    try:
        return _from_msgpack(known, array[2 : 2 + len(fields(known))])
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"not a {known.__name__} record: {array!r:.100}: {error}") from error


def _to_msgpack(value: object) -> object:
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, tuple):
        return [_to_msgpack(item) for item in value]
    if isinstance(value, StoredMember):
        return [_to_msgpack(getattr(value, item.name)) for item in fields(value)]
    return value


def _from_msgpack(known: type[GroupRecord], values: list[Any]) -> GroupRecord:
    arguments = dict(zip((item.name for item in fields(known)), values, strict=False))
    if known is GroupStored:
        arguments["members"] = tuple(_member(each) for each in arguments["members"])
    elif known is OffsetsCommitted:
        arguments["topics"] = tuple(_topic_offsets(each) for each in arguments["topics"])
    elif known is OffsetsDeleted:
        arguments["topics"] = tuple((topic, tuple(partitions)) for topic, partitions in arguments["topics"])
    elif known is TopicForgotten:
        arguments["topic_id"] = UUID(bytes=arguments["topic_id"])
    return known(**arguments)


def _member(values: list[Any]) -> StoredMember:
    arguments = dict(zip((item.name for item in fields(StoredMember)), values, strict=False))
    arguments["protocols"] = tuple((name, metadata) for name, metadata in arguments["protocols"])
    return StoredMember(**arguments)


def _topic_offsets(values: list[Any]) -> TopicOffsets:
    topic, topic_id, partitions = values[:3]
    return TopicOffsets(topic, UUID(bytes=topic_id), tuple((index, Committed(*each[:5])) for index, each in partitions))
