"""The records of classic groups and committed offsets in `__consumer_offsets`, as values.

A record says what has been decided about one key; applying it cannot fail and needs nothing but the state before it. The
last record of a key counts, so the topic can be compacted; one that takes something away is a tombstone.

    OffsetCommitted, OffsetRemoved    key: group, topic, partition
    GroupStored, GroupRemoved         key: group
    ConsumerGroupRecord               groups of the new protocol (consumer_groups.records)

The bytes are in `group_record_format`. Kafka's schemas: `OffsetCommitKey`, `OffsetCommitValue`, `GroupMetadataKey`,
`GroupMetadataValue`.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from ...protocol.values import dataclass
from .consumer_groups.records import ConsumerGroupRecord

NEVER_MS = -1
NO_EPOCH = -1
NO_TOPIC_ID = UUID(int=0)
NO_TIME_MS = -1


class Committed(NamedTuple):
    """One partition's committed offset.

    `expires_at_ms` is NEVER_MS unless the client asked for a retention of its own; the topic id tells a topic from a later
    one of the same name, and is NO_TOPIC_ID where the record has none (an older Kafka's, or one that expires by itself).
    """

    offset: int
    leader_epoch: int = NO_EPOCH
    metadata: str = ""
    committed_at_ms: int = 0
    expires_at_ms: int = NEVER_MS
    topic_id: UUID = NO_TOPIC_ID

    def is_of(self, topic_id: UUID) -> bool:
        """Whether it was committed for this topic, as far as can be known."""
        return self.topic_id in (topic_id, NO_TOPIC_ID)


class OffsetCommitted(NamedTuple):
    group_id: str
    topic: str
    partition: int
    committed: Committed


class OffsetRemoved(NamedTuple):
    """The partition has no committed offset any more."""

    group_id: str
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class StoredMember:
    """One member of a generation: what it said under the protocol that was chosen, and what the leader assigned to it.

    What it offered besides is not kept, as in Kafka; it says that again when it joins.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True)
class GroupStored:
    """A generation as agreed: its members and assignments. Without members: the group is empty since then.

    `state_changed_at_ms` counts for the retention of an empty group's offsets; NO_TIME_MS where it is not known.
    """

    group_id: str
    generation: int
    protocol_type: str | None
    protocol_name: str | None
    leader_id: str | None
    state_changed_at_ms: int
    members: tuple[StoredMember, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupRemoved:
    """There is no such group any more; its offsets go by tombstones of their own."""

    group_id: str


GroupRecord = OffsetCommitted | OffsetRemoved | GroupStored | GroupRemoved | ConsumerGroupRecord
