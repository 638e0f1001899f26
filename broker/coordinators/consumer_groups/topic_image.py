"""The topics as the consumer groups see them: names, ids, partition counts, and a hash that changes when they do.

A group remembers one number, the hash over all topics it is subscribed to; when the number differs from what was
written, somebody has to get an assignment anew. The hash is Kafka's (KIP-1101), byte for byte, so that a group that
moves between the two brokers with its records is not rebalanced for the move:

    topic   XXH3-64 of: magic 0, id (two int64), name (UTF-16 code units, then their count), partition count, each index
    group   XXH3-64 of the topics' hashes in the order of their names; 0 without topics

all numbers little-endian; a topic that is not there does not count. We have no racks; Kafka puts them behind each index.

`version` grows with every change, `created_version` is that of the last change that brought a new topic.
Kafka's classes: `CoordinatorMetadataImage`, `Utils.computeTopicHash` and `computeGroupHash`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from uuid import UUID

from ....protocol.values import dataclass

_HASH_MAGIC = b"\0"
_NUMBER = struct.Struct("<q")
_UNSIGNED = struct.Struct("<Q")
_COUNT = struct.Struct("<i")
_IDS = struct.Struct(">QQ")


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """One topic."""

    name: str
    id: UUID
    partition_count: int


class TopicImage:
    """Read by decisions; changed, on the loop, by whoever watches the catalog."""

    def __init__(self, version: int = 0) -> None:
        self.version = version
        self.created_version = version
        self._topics: dict[str, TopicSeen] = {}
        self._names: dict[UUID, str] = {}
        self._hashes: dict[str, int] = {}

    def put(self, topic: TopicSeen) -> None:
        """The topic is new, or has more partitions, or another id than before."""
        before = self._topics.get(topic.name)
        self.version += 1
        if before is None or before.id != topic.id:
            self.created_version = self.version
            if before is not None:
                del self._names[before.id]
        self._topics[topic.name] = topic
        self._names[topic.id] = topic.name
        self._hashes.pop(topic.name, None)

    def remove(self, name: str) -> None:
        """The topic is gone; nothing happens if it was not there."""
        topic = self._topics.pop(name, None)
        if topic is not None:
            self.version += 1
            del self._names[topic.id]
            self._hashes.pop(name, None)

    @property
    def names(self) -> list[str]:
        return list(self._topics)

    def id_of(self, name: str) -> UUID | None:
        topic = self._topics.get(name)
        return None if topic is None else topic.id

    def name_of(self, topic_id: UUID) -> str | None:
        return self._names.get(topic_id)

    def partition_count(self, topic_id: UUID) -> int:
        """How many partitions; 0 for a topic that is not there."""
        name = self._names.get(topic_id)
        return 0 if name is None else self._topics[name].partition_count

    def ids_of(self, names: Iterable[str]) -> set[UUID]:
        """The ids of those that exist."""
        return {topic.id for name in names if (topic := self._topics.get(name)) is not None}

    def hash_of(self, names: Iterable[str]) -> int:
        """The hash of a group that is subscribed to these."""
        hashes = [self._hash_of_topic(name) for name in sorted(names) if name in self._topics]
        return _xxh3(b"".join(map(_NUMBER.pack, hashes))) if hashes else 0

    def _hash_of_topic(self, name: str) -> int:
        found = self._hashes.get(name)
        if found is None:
            found = self._hashes[name] = _topic_hash(self._topics[name])
        return found


def _topic_hash(topic: TopicSeen) -> int:
    high, low = _IDS.unpack(topic.id.bytes)
    text = topic.name.encode("utf-16-le")
    parts = [_HASH_MAGIC, _UNSIGNED.pack(high), _UNSIGNED.pack(low), text, _COUNT.pack(len(text) // 2)]
    parts.append(_COUNT.pack(topic.partition_count))
    parts.extend(map(_COUNT.pack, range(topic.partition_count)))
    return _xxh3(b"".join(parts))


def _xxh3(data: bytes) -> int:
    """As a signed number, as Java has it."""
    import xxhash  # a broker without such groups has no need of it

    value = xxhash.xxh3_64_intdigest(data)
    return value - (1 << 64) if value >> 63 else value
