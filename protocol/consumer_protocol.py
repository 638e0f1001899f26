"""What the members of a classic consumer group tell each other through the coordinator: subscriptions and assignments.

    subscription   version int16  [topic string]  user data bytes?
                   from v1  [topic string [partition int32]]   the partitions the member owns
                   from v2  generation int32                   in which it came to own them; -1: none
                   from v3  rack string?
    assignment     version int16  [topic string [partition int32]]  user data bytes?          all versions alike

We write version 3, as Java does since 3.5, topics and owned partitions in order.  A reader of Kafka's takes a newer
version for the newest it knows and leaves the rest unread, and so does this one.  The coordinator never looks inside,
thus the bytes must be those of all other clients, or a mixed group falls apart.

Source: ConsumerProtocolSubscription.json, ConsumerProtocolAssignment.json, Java's `ConsumerProtocol`; KIP-429, KIP-792,
KIP-881.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from .errors import MalformedMessage
from .primitives import INT16, INT32, Frame, pack_classic_string, read_classic_count, read_classic_string
from .values import dataclass, field

PROTOCOL_TYPE = "consumer"
"""Of classic groups of consumers; Kafka Connect has another, and its own metadata."""
HIGHEST_VERSION = 3
NO_GENERATION = -1

Partitions = Mapping[str, tuple[int, ...]]
"""Partitions of topics; the writer keeps their order."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a member wants and what it has; `generation` is that of `owned`."""

    topics: tuple[str, ...]
    user_data: bytes | None = None
    owned: Partitions = field(default_factory=dict)
    generation: int = NO_GENERATION
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the leader gives to a member."""

    partitions: Partitions
    user_data: bytes | None = None


def encode_subscription(subscription: Subscription, version: int = HIGHEST_VERSION) -> bytes:
    """In version 0 to 3; what the version does not have is left out."""
    out = bytearray(INT16.pack(version))
    topics = sorted(subscription.topics)
    out += INT32.pack(len(topics)) + b"".join(map(pack_classic_string, topics))
    out += pack_user_data(subscription.user_data)
    if version >= 1:
        owned = {topic: tuple(sorted(indexes)) for topic, indexes in sorted(subscription.owned.items())}
        out += pack_partitions(owned)
    if version >= 2:
        out += INT32.pack(subscription.generation)
    if version >= 3:
        out += pack_classic_string(subscription.rack)
    return bytes(out)


def decode_subscription(data: Frame) -> Subscription:
    """MalformedMessage where it is cut short or of a negative version."""
    try:
        version, position = _version(data)
        topics, position = _read_topics(data, position)
        user_data, position = _read_user_data(data, position)
        owned: Partitions = {}
        generation, rack = NO_GENERATION, None
        if version >= 1:
            owned, position = read_partitions(data, position)
        if version >= 2:
            (generation,) = INT32.unpack_from(data, position)
            position += INT32.size
        if version >= 3:
            rack, _ = read_classic_string(data, position)
    except (struct.error, IndexError):
        raise MalformedMessage(f"a subscription is cut short at {len(data)} bytes") from None
    return Subscription(topics, user_data, owned, generation, rack)


def encode_assignment(assignment: Assignment, version: int = HIGHEST_VERSION) -> bytes:
    """In any version, which changes nothing but the number."""
    return INT16.pack(version) + pack_partitions(assignment.partitions) + pack_user_data(assignment.user_data)


def decode_topics(data: Frame) -> tuple[str, ...]:
    """The topics of a subscription, which all versions have alike; MalformedMessage up to the user data behind them."""
    try:
        _, position = _version(data)
        topics, position = _read_topics(data, position)
        _read_user_data(data, position)
    except (struct.error, IndexError):
        raise MalformedMessage(f"a subscription is cut short at {len(data)} bytes") from None
    return topics


def version_of(data: Frame) -> int:
    """The version that a subscription or an assignment is read as; MalformedMessage as when it is read."""
    try:
        version, _ = _version(data)
    except struct.error:
        raise MalformedMessage(f"{len(data)} bytes have no version") from None
    return min(version, HIGHEST_VERSION)


def decode_assignment(data: Frame) -> Assignment:
    """MalformedMessage where it is cut short or of a negative version; no bytes at all are no partitions."""
    if not data:
        return Assignment({})
    try:
        _, position = _version(data)
        partitions, position = read_partitions(data, position)
        user_data, _ = _read_user_data(data, position)
    except (struct.error, IndexError):
        raise MalformedMessage(f"an assignment is cut short at {len(data)} bytes") from None
    return Assignment(partitions, user_data)


def pack_partitions(partitions: Partitions) -> bytes:
    """An array of topics, each with an array of partitions."""
    out = bytearray(INT32.pack(len(partitions)))
    for topic, indexes in partitions.items():
        out += pack_classic_string(topic)
        out += struct.pack(f">i{len(indexes)}i", len(indexes), *indexes)
    return bytes(out)


def read_partitions(data: Frame, position: int) -> tuple[dict[str, tuple[int, ...]], int]:
    """What `pack_partitions` wrote, and the position behind it; a topic that comes twice has all its partitions."""
    topic_count, position = read_classic_count(data, position)
    partitions: dict[str, tuple[int, ...]] = {}
    for _ in range(topic_count):
        topic, position = _read_topic(data, position)
        count, position = read_classic_count(data, position)
        partitions[topic] = partitions.get(topic, ()) + struct.unpack_from(f">{count}i", data, position)
        position += count * INT32.size
    return partitions, position


def pack_user_data(user_data: bytes | None) -> bytes:
    return INT32.pack(-1) if user_data is None else INT32.pack(len(user_data)) + user_data


def _version(data: Frame) -> tuple[int, int]:
    (version,) = INT16.unpack_from(data)
    if version < 0:
        raise MalformedMessage(f"a member speaks version {version} of the consumer protocol")
    return version, INT16.size


def _read_topics(data: Frame, position: int) -> tuple[tuple[str, ...], int]:
    count, position = read_classic_count(data, position)
    topics = []
    for _ in range(count):
        topic, position = _read_topic(data, position)
        topics.append(topic)
    return tuple(topics), position


def _read_topic(data: Frame, position: int) -> tuple[str, int]:
    topic, position = read_classic_string(data, position)
    if topic is None:
        raise MalformedMessage("a topic is null")
    return topic, position


def _read_user_data(data: Frame, position: int) -> tuple[bytes | None, int]:
    (size,) = INT32.unpack_from(data, position)
    position += INT32.size
    if size < 0:
        return None, position
    if size > len(data) - position:
        raise MalformedMessage(f"user data of {size} bytes, {len(data) - position} are left")
    return bytes(data[position : position + size]), position + size


def by_topic(partitions: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """Pairs of topic and partition, gathered; in the order they come."""
    gathered: dict[str, list[int]] = {}
    for topic, partition in partitions:
        gathered.setdefault(topic, []).append(partition)
    return {topic: tuple(indexes) for topic, indexes in gathered.items()}
