"""Questions about offsets, and what the answers say: committed ones, the log's own, and the ends of epochs.  Pure.

Each comes as a request to be sent and a reader of its answer; whom to send it to, and when again, is `offsets`' work.
From version 10 on OffsetCommit and OffsetFetch name topics by their ids alone: then the ids must be known, and are read
back with the same metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...protocol.values import dataclass
from ..admin.values import TopicPartition, refusal
from ..metadata import NO_ID, Metadata

NO_OFFSET = -1
BY_NAME_UNTIL = 9
"""The last version of OffsetCommit and OffsetFetch in which topics have names."""


@dataclass(frozen=True, slots=True)
class OffsetAndMetadata:
    """A committed offset: of the record to be read next, with a text of the user's own."""

    offset: int
    metadata: str = ""
    leader_epoch: int = -1


@dataclass(frozen=True, slots=True)
class OffsetAndTimestamp:
    """An offset that was found by its time; the timestamp in milliseconds is that of its record."""

    offset: int
    timestamp: int
    leader_epoch: int = -1


@dataclass(frozen=True, slots=True)
class Committer:
    """In whose name offsets are committed; outside of a group's rebalances generation and member are empty."""

    group_id: str
    generation: int = -1
    member_id: str = ""
    instance_id: str | None = None


Partitions = Iterable[TopicPartition]


def ids_are_known(partitions: Partitions, metadata: Metadata) -> bool:
    """Whether topics can go by id."""
    return all(_id_of(each.topic, metadata) != NO_ID for each in partitions)


def topics_of(partitions: Partitions, metadata: Metadata) -> dict[str, UUID]:
    """Their topics by name, each with its id; NO_ID where none is known."""
    return {each.topic: _id_of(each.topic, metadata) for each in partitions}


def _id_of(topic: str, metadata: Metadata) -> UUID:
    known = metadata.topics.get(topic)
    return NO_ID if known is None else known.id


def _by_topic(partitions: Mapping[TopicPartition, Message]) -> dict[str, list[Message]]:
    topics: dict[str, list[Message]] = {}
    for id_, each in partitions.items():
        topics.setdefault(id_.topic, []).append(each)
    return topics


def _name_of(topic: Message, names: Mapping[UUID, str]) -> str:
    return str(topic.name or names.get(topic.topic_id, ""))


def _names(partitions: Partitions, metadata: Metadata) -> dict[UUID, str]:
    return {_id_of(each.topic, metadata): each.topic for each in partitions}


# -- OffsetCommit


def commit_request(
    offsets: Mapping[TopicPartition, OffsetAndMetadata], committer: Committer, metadata: Metadata
) -> Message:
    partitions = {
        id_: Message(
            partition_index=id_.partition,
            committed_offset=each.offset,
            committed_leader_epoch=each.leader_epoch,
            committed_metadata=each.metadata,
        )
        for id_, each in offsets.items()
    }
    return Message(
        group_id=committer.group_id,
        generation_id_or_member_epoch=committer.generation,
        member_id=committer.member_id,
        group_instance_id=committer.instance_id,
        topics=[
            Message(name=topic, topic_id=_id_of(topic, metadata), partitions=each)
            for topic, each in _by_topic(partitions).items()
        ],
    )


def read_commit(answer: Message, partitions: Partitions, metadata: Metadata) -> dict[TopicPartition, ErrorCode | int]:
    """What was said of each partition."""
    names = _names(partitions, metadata)
    return {
        TopicPartition(_name_of(topic, names), each.partition_index): each.error_code
        for topic in answer.topics
        for each in topic.partitions
    }


# -- OffsetFetch


def fetch_request(partitions: Partitions, committer: Committer, metadata: Metadata, *, stable: bool) -> Message:
    """In the form of all versions at once: one group, and from version 8 on a list of groups."""
    indexes: dict[str, list[int]] = {}
    for each in partitions:
        indexes.setdefault(each.topic, []).append(each.partition)
    is_member = committer.generation >= 0  # whoever has left, or was not let in yet, asks as one from outside
    group = Message(
        group_id=committer.group_id,
        member_id=committer.member_id if is_member else None,
        member_epoch=committer.generation if is_member else -1,
        topics=[
            Message(name=topic, topic_id=_id_of(topic, metadata), partition_indexes=each)
            for topic, each in indexes.items()
        ],
    )
    named = [Message(name=topic, partition_indexes=each) for topic, each in indexes.items()]
    return Message(group_id=committer.group_id, topics=named, groups=[group], require_stable=stable)


def read_fetch(
    answer: Message, partitions: Partitions, metadata: Metadata
) -> dict[TopicPartition, OffsetAndMetadata | KafkaError | None]:
    """What is committed of each; None where nothing is.  KafkaError when the whole question was refused."""
    group = answer.groups[0] if answer.groups else answer
    _raise_if_refused(group.error_code)
    names = _names(partitions, metadata)
    return {
        TopicPartition(_name_of(topic, names), each.partition_index): _committed(each)
        for topic in group.topics
        for each in topic.partitions
    }


def _committed(each: Message) -> OffsetAndMetadata | KafkaError | None:
    error = refusal(each.error_code)
    if error is not None:
        return error
    if each.committed_offset < 0:
        return None
    return OffsetAndMetadata(each.committed_offset, each.metadata or "", each.committed_leader_epoch)


def _raise_if_refused(code: ErrorCode | int) -> None:
    error = refusal(code)
    if error is not None:
        raise error


# -- ListOffsets


def list_request(wanted: Mapping[TopicPartition, int], metadata: Metadata, *, committed_only: bool) -> Message:
    """`wanted` has timestamps in milliseconds, or the negative numbers of OffsetSpec."""
    partitions = {
        id_: Message(partition_index=id_.partition, current_leader_epoch=_epoch(id_, metadata), timestamp=timestamp)
        for id_, timestamp in wanted.items()
    }
    topics = [Message(name=topic, partitions=each) for topic, each in _by_topic(partitions).items()]
    return Message(replica_id=-1, isolation_level=1 if committed_only else 0, topics=topics)


def read_list(answer: Message) -> dict[TopicPartition, OffsetAndTimestamp | KafkaError]:
    """The offset is -1 where there is no record so young."""
    return {
        TopicPartition(topic.name, each.partition_index): refusal(each.error_code)
        or OffsetAndTimestamp(each.offset, each.timestamp, each.leader_epoch)
        for topic in answer.topics
        for each in topic.partitions
    }


def _epoch(id_: TopicPartition, metadata: Metadata) -> int:
    known = metadata.partition(id_.topic, id_.partition)
    return -1 if known is None else known.leader_epoch


# -- OffsetForLeaderEpoch


def epochs_request(wanted: Mapping[TopicPartition, int], metadata: Metadata) -> Message:
    """`wanted` has the leader epoch of the last record that was read."""
    partitions = {
        id_: Message(partition=id_.partition, current_leader_epoch=_epoch(id_, metadata), leader_epoch=epoch)
        for id_, epoch in wanted.items()
    }
    topics = [Message(topic=topic, partitions=each) for topic, each in _by_topic(partitions).items()]
    return Message(replica_id=-1, topics=topics)


def read_epochs(answer: Message) -> dict[TopicPartition, tuple[int, int] | KafkaError]:
    """The largest epoch up to the one asked about, and the offset where it ends."""
    return {
        TopicPartition(topic.topic, each.partition): refusal(each.error_code) or (each.leader_epoch, each.end_offset)
        for topic in answer.topics
        for each in topic.partitions
    }
