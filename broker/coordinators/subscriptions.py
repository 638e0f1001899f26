"""Which topics consumers read, from the metadata they join with.

The coordinator hands members' metadata through without looking, but for one question: may the offsets of a topic be
dropped, or does somebody still read it? For that the beginning of a consumer's subscription is read, which is the same in
all its versions:

    int16 version, int32 count of topics, each topic as int16 length and bytes, int32 length of the user data (-1: none)
    and these; what follows is not our business

Kafka's schema: `ConsumerProtocolSubscription`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

CONSUMER_PROTOCOL = "consumer"
"""The protocol type of consumers; Kafka Connect has another, and its own metadata."""

_HEAD = struct.Struct(">hi")
_LENGTH = struct.Struct(">h")
_USER_DATA_LENGTH = struct.Struct(">i")


def subscribed_topics_of(metadata: Iterable[bytes]) -> frozenset[str] | None:
    """All topics of these members; None when one of them cannot be read."""
    try:
        return frozenset(topic for each in metadata for topic in _topics(each))
    except (struct.error, ValueError):
        return None


def _topics(metadata: bytes) -> Iterator[str]:
    version, count = _HEAD.unpack_from(metadata)
    if version < 0 or not 0 <= count <= len(metadata):
        raise ValueError(f"a subscription of version {version} with {count} topics in {len(metadata)} bytes")
    position = _HEAD.size
    for _ in range(count):
        (size_bytes,) = _LENGTH.unpack_from(metadata, position)
        position += _LENGTH.size
        if not 0 <= size_bytes <= len(metadata) - position:
            raise ValueError(f"a topic of {size_bytes} bytes at {position} of {len(metadata)}")
        yield metadata[position : position + size_bytes].decode()
        position += size_bytes
    (size_bytes,) = _USER_DATA_LENGTH.unpack_from(metadata, position)
    if size_bytes > len(metadata) - position - _USER_DATA_LENGTH.size:
        raise ValueError(f"user data of {size_bytes} bytes at {position} of {len(metadata)}")
