"""What survives of groups: committed offsets and agreed generations; a state that only records change.

    a decision (offsets, rebalance, ...) --> records --> journal: durable --> GroupsState.apply --> the answer

The state decides nothing and refuses nothing: what reaches `apply` is history. What is only in motion (who has joined a
rebalance that is not over, when a session ends) is not here but in the live groups (`group`), and a crash forgets it, as
Kafka does: the members join again.

Kept per group:   groups[id]    the last GroupStored of a group that has had members
                  offsets[id]   topic -> id of the topic, partition -> Committed; no empty dict is kept
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from .group_records import (
    Committed,
    GroupDeleted,
    GroupRecord,
    GroupStored,
    OffsetsCommitted,
    OffsetsDeleted,
    TopicForgotten,
    TopicOffsets,
    UnknownRecord,
    decode_record,
    encode_record,
)


@dataclass(slots=True)
class CommittedTopic:
    """A group's offsets in one topic."""

    topic_id: UUID
    partitions: dict[int, Committed] = field(default_factory=dict)


class GroupsState:
    """The state, and how each record changes it. Read everything; change nothing but by `apply`."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupStored] = {}
        self.offsets: dict[str, dict[str, CommittedTopic]] = {}
        self._unknown: list[UnknownRecord] = []

    def committed(self, group_id: str, topic: str, partition: int) -> Committed | None:
        """What the group committed last for this partition."""
        found = self.offsets.get(group_id, {}).get(topic)
        return None if found is None else found.partitions.get(partition)

    def apply(self, record: GroupRecord) -> None:
        """Change the state by one record, in the order of the journal."""
        match record:
            case OffsetsCommitted():
                self._offsets_committed(record)
            case GroupStored():
                self.groups[record.group_id] = record
            case GroupDeleted():
                self.groups.pop(record.group_id, None)
                self.offsets.pop(record.group_id, None)
            case OffsetsDeleted():
                self._offsets_deleted(record)
            case TopicForgotten():
                self._topic_forgotten(record)
            case UnknownRecord():
                self._unknown.append(record)

    def snapshot(self) -> Iterator[GroupRecord]:
        """The shortest history of this state. Called on the loop's thread, may be consumed on another at leisure."""
        offsets = [
            (
                group_id,
                [(topic, each.topic_id, tuple(each.partitions.items())) for topic, each in topics.items()],
            )
            for group_id, topics in self.offsets.items()
        ]
        return _history(list(self.groups.values()), offsets, list(self._unknown))

    def _offsets_committed(self, record: OffsetsCommitted) -> None:
        topics = self.offsets.setdefault(record.group_id, {})
        for topic, topic_id, partitions in record.topics:
            found = topics.get(topic)
            if found is None or found.topic_id != topic_id:
                # Offsets of an earlier topic of this name mean nothing in this one.
                found = topics[topic] = CommittedTopic(topic_id)
            found.partitions.update(partitions)

    def _offsets_deleted(self, record: OffsetsDeleted) -> None:
        topics = self.offsets.get(record.group_id, {})
        for topic, partitions in record.topics:
            found = topics.get(topic)
            if found is None:
                continue
            for partition in partitions:
                found.partitions.pop(partition, None)
            if not found.partitions:
                del topics[topic]
        if not topics:
            self.offsets.pop(record.group_id, None)

    def _topic_forgotten(self, record: TopicForgotten) -> None:
        for group_id, topics in list(self.offsets.items()):
            found = topics.get(record.topic)
            if found is not None and found.topic_id == record.topic_id:
                del topics[record.topic]
                if not topics:
                    del self.offsets[group_id]

    def check(self) -> None:
        """Assert the invariants."""
        assert all(self.offsets.values()), "a group without offsets is kept among those that have some"
        assert all(each.partitions for topics in self.offsets.values() for each in topics.values())
        assert all(group_id == stored.group_id for group_id, stored in self.groups.items())


def _history(
    groups: list[GroupStored],
    offsets: list[tuple[str, list[tuple[str, UUID, tuple[tuple[int, Committed], ...]]]]],
    unknown: list[UnknownRecord],
) -> Iterator[GroupRecord]:
    yield from groups
    for group_id, topics in offsets:
        for topic in topics:
            yield OffsetsCommitted(group_id, (TopicOffsets(*topic),))
    yield from unknown


class GroupsMachine:
    """What a `Journal` needs to know of the state."""

    def __init__(self, state: GroupsState) -> None:
        self.state = state

    def encode(self, record: GroupRecord) -> bytes:
        return encode_record(record)

    def decode(self, data: bytes) -> GroupRecord:
        return decode_record(data)

    def apply(self, record: GroupRecord) -> None:
        self.state.apply(record)

    def snapshot(self) -> Iterator[GroupRecord]:
        return self.state.snapshot()
