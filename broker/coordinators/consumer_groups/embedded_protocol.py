"""The consumers' embedded protocol: what classic members put into JoinGroup, and are given in SyncGroup.

The coordinator of classic groups hands both through unread; where the two protocols meet it must speak this one.

    subscription   int16 version, topics, user data, from v1 owned partitions, from v2 generation, from v3 rack
    assignment     int16 version, partitions, user data; the same in all versions

in the old encoding (int16 string sizes, int32 counts, -1 is null). A version that is not known is read as the newest that
is: later ones only add at the end. Kafka's classes: `ConsumerProtocol` and the generated messages of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ....protocol.primitives import INT16, INT32
from .record_codec import Reader

NEWEST_VERSION = 3

TopicPartitions = dict[str, frozenset[int]]


@dataclass(frozen=True, slots=True)
class ClassicSubscription:
    """What a classic consumer wants; `owned` is None when its version does not say."""

    version: int
    topics: frozenset[str]
    owned: TopicPartitions | None
    rack_id: str | None


@dataclass(frozen=True, slots=True)
class ClassicAssignment:
    partitions: TopicPartitions
    user_data: bytes | None


def read_subscription(metadata: bytes) -> ClassicSubscription:
    """ValueError, IndexError or struct.error when it is malformed."""
    reader = Reader(metadata)
    version = _version(reader)
    topics = frozenset(_text(reader) for _ in range(_count(reader)))
    _nullable_bytes(reader)
    owned = _partitions(reader) if version >= 1 else None
    if version >= 2:
        reader.int32()
    rack_id = _nullable_text(reader) if version >= 3 else None
    return ClassicSubscription(version, topics, owned, rack_id or None)


def read_assignment(assignment: bytes) -> ClassicAssignment:
    """ValueError, IndexError or struct.error when it is malformed. No bytes at all: a member that has not synced yet."""
    if not assignment:
        return ClassicAssignment({}, None)
    reader = Reader(assignment)
    _version(reader)
    return ClassicAssignment(_partitions(reader), _nullable_bytes(reader))


def write_assignment(version: int, partitions: Mapping[str, Iterable[int]]) -> bytes:
    """The assignment in this version, without user data."""
    out = bytearray(INT16.pack(min(version, NEWEST_VERSION)))
    out += INT32.pack(len(partitions))
    for topic, indexes in partitions.items():
        name, ordered = topic.encode(), sorted(indexes)
        out += INT16.pack(len(name)) + name + INT32.pack(len(ordered))
        for index in ordered:
            out += INT32.pack(index)
    return bytes(out + INT32.pack(-1))


def _version(reader: Reader) -> int:
    version = reader.int16()
    if version < 0:
        raise ValueError(f"version {version} of the embedded protocol")
    return min(version, NEWEST_VERSION)


def _partitions(reader: Reader) -> TopicPartitions:
    found: TopicPartitions = {}
    for _ in range(_count(reader)):
        topic = _text(reader)
        found[topic] = found.get(topic, frozenset()) | {reader.int32() for _ in range(_count(reader))}
    return found


def _count(reader: Reader) -> int:
    count = reader.int32()
    if not 0 <= count <= len(reader.data):
        raise ValueError(f"{count} items in {len(reader.data)} bytes")
    return count


def _text(reader: Reader) -> str:
    text = _nullable_text(reader)
    if text is None:
        raise ValueError("null where there is none")
    return text


def _nullable_text(reader: Reader) -> str | None:
    size = reader.int16()
    return None if size < 0 else reader.take(size).decode()


def _nullable_bytes(reader: Reader) -> bytes | None:
    size = reader.int32()
    return None if size < 0 else reader.take(size)
