"""What groups have committed: list, alter, delete.

From version 10 of their APIs on offsets are asked for by topic id (KIP-848), before by name: both are sent, the encoder
drops what the version lacks, and ids in an answer are looked up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..connection import Connection
from . import arguments
from .asking import AdminPart
from .group_values import CommittedOffset
from .placement import indexes_by_topic
from .values import TopicPartition, refusal

GROUPS_FROM = 8
"""OffsetFetch asks about several groups from this version on."""
IDS_FROM = 10
NO_ID = UUID(int=0)
_NO_OFFSET, _NO_EPOCH, _NO_GENERATION, _DEFAULT_RETENTION = -1, -1, -1, -1

Committed = dict[TopicPartition, CommittedOffset | KafkaError]
Wanted = Collection[TopicPartition] | None


class GroupOffsetsAdmin(AdminPart):
    """What an administrator does with committed offsets."""

    async def list_group_offsets(
        self, groups: Mapping[str, Wanted] | Iterable[str], *, require_stable: bool = False
    ) -> dict[str, Committed | KafkaError]:
        """What each group has committed: of these partitions, or with None (or only names) all it has.

        Partitions without a commit are left out.  With `require_stable` what open transactions hold is waited for.
        """
        wanted = _wanted(groups)
        topic_ids = await self._ids_of({each.topic for some in wanted.values() for each in some or ()})

        async def ask(connection: Connection, share: Sequence[str]) -> Mapping[str, Committed | KafkaError]:
            asked = {group: _asked(wanted[group], topic_ids) for group in share}
            if connection.version_of(ApiKey.OFFSET_FETCH) >= GROUPS_FROM:
                messages = [Message(group_id=group, topics=topics) for group, topics in asked.items()]
                request = Message(groups=messages, require_stable=require_stable)
                answer = await connection.request(ApiKey.OFFSET_FETCH, request)
                answers = {each.group_id: each for each in answer.groups}
            else:
                answers = {}
                for group, topics in asked.items():
                    request = Message(group_id=group, topics=topics, require_stable=require_stable)
                    answers[group] = await connection.request(ApiKey.OFFSET_FETCH, request)
            names = await self._names_of(answers.values())
            return {group: refusal(each.error_code) or _committed(each, names) for group, each in answers.items()}

        return await self._asking.coordinators(wanted, ask)

    async def alter_group_offsets(
        self, group: str, offsets: Mapping[TopicPartition, CommittedOffset | int]
    ) -> dict[TopicPartition, KafkaError | None]:
        """Commit for a group that has no members; UNKNOWN_MEMBER_ID for one that has."""
        arguments.name(group, "group")
        commits = {
            arguments.partition(each, "a partition of offsets"): _commit(offset, f"the offset of {each}")
            for each, offset in arguments.by_key(offsets, "offsets").items()
        }
        topic_ids = await self._ids_of({each.topic for each in commits})

        async def ask(connection: Connection, _: Sequence[str]) -> Mapping[str, list[Message] | KafkaError]:
            request = Message(
                group_id=group,
                generation_id_or_member_epoch=_NO_GENERATION,
                member_id="",
                group_instance_id=None,
                retention_time_ms=_DEFAULT_RETENTION,
                topics=_commits(commits, topic_ids),
            )
            answer = await connection.request(ApiKey.OFFSET_COMMIT, request)
            return {group: _moved(answer.topics) or answer.topics}

        answered = (await self._asking.coordinators([group], ask))[group]
        if isinstance(answered, KafkaError):
            raise answered
        return _partition_outcomes(answered, {topic_id: name for name, topic_id in topic_ids.items()})

    async def delete_group_offsets(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, KafkaError | None]:
        """Forget what a group committed; GROUP_SUBSCRIBED_TO_TOPIC where a member reads.  KafkaError if refused."""
        arguments.name(group, "group")
        topics = [
            Message(name=name, partitions=[Message(partition_index=index) for index in indexes])
            for name, indexes in indexes_by_topic(arguments.partitions(partitions)).items()
        ]

        async def ask(connection: Connection, _: Sequence[str]) -> Mapping[str, list[Message] | KafkaError]:
            answer = await connection.request(ApiKey.OFFSET_DELETE, Message(group_id=group, topics=topics))
            return {group: refusal(answer.error_code) or answer.topics}

        answered = (await self._asking.coordinators([group], ask))[group]
        if isinstance(answered, KafkaError):
            raise answered
        return _partition_outcomes(answered, {})

    async def _ids_of(self, names: Collection[str]) -> dict[str, UUID]:
        if not names:
            return {}
        metadata = await self._asking.metadata(sorted(names))
        return {each.name: each.topic_id for each in metadata.topics}

    async def _names_of(self, answers: Iterable[Message]) -> dict[UUID, str]:
        """The names of the topics that were told by id."""
        unnamed = {topic.topic_id for each in answers for topic in each.topics if not topic.name}
        if not unnamed:
            return {}
        topics = [Message(name=None, topic_id=each) for each in sorted(unnamed)]
        metadata = await self._asking.any(ApiKey.METADATA, Message(topics=topics, allow_auto_topic_creation=False))
        return {each.topic_id: each.name for each in metadata.topics if each.error_code == ErrorCode.NONE}


def _wanted(groups: Mapping[str, Wanted] | Iterable[str]) -> dict[str, Wanted]:
    if not isinstance(groups, Mapping):
        return dict.fromkeys(arguments.names(groups, "groups"))
    return {
        arguments.name(group, "one of groups"): None
        if some is None
        else arguments.partitions(some, f"partitions of {group!r}")
        for group, some in groups.items()
    }


def _asked(wanted: Wanted, topic_ids: Mapping[str, UUID]) -> list[Message] | None:
    if wanted is None:
        return None
    return [
        Message(name=name, topic_id=topic_ids.get(name, NO_ID), partition_indexes=indexes)
        for name, indexes in indexes_by_topic(wanted).items()
    ]


def _committed(answer: Message, names: Mapping[UUID, str]) -> Committed:
    found: Committed = {}
    for topic in answer.topics:
        name = topic.name or names.get(topic.topic_id)
        if name is None:
            continue  # deleted while we asked
        for each in topic.partitions:
            outcome = refusal(each.error_code) or _offset(each)
            if outcome is not None:
                found[TopicPartition(name, each.partition_index)] = outcome
    return found


def _offset(partition: Message) -> CommittedOffset | None:
    if partition.committed_offset == _NO_OFFSET:
        return None
    epoch = partition.committed_leader_epoch
    return CommittedOffset(partition.committed_offset, None if epoch == _NO_EPOCH else epoch, partition.metadata or "")


def _commit(given: object, what: str) -> CommittedOffset:
    if not isinstance(given, CommittedOffset):
        return CommittedOffset(arguments.number(given, what, bits=64))
    arguments.number(given.offset, what, bits=64)
    if given.leader_epoch is not None:
        arguments.number(given.leader_epoch, f"leader_epoch with {what}")
    arguments.name(given.metadata, f"metadata with {what}")
    return given


def _commits(offsets: Mapping[TopicPartition, CommittedOffset], topic_ids: Mapping[str, UUID]) -> list[Message]:
    topics: dict[str, list[Message]] = defaultdict(list)
    for partition, each in offsets.items():
        topics[partition.topic].append(
            Message(
                partition_index=partition.partition,
                committed_offset=each.offset,
                committed_leader_epoch=_NO_EPOCH if each.leader_epoch is None else each.leader_epoch,
                committed_metadata=each.metadata,
            )
        )
    return [
        Message(name=name, topic_id=topic_ids.get(name, NO_ID), partitions=partitions)
        for name, partitions in topics.items()
    ]


def _moved(topics: Iterable[Message]) -> KafkaError | None:
    """A commit has no error of its own: that the coordinator moved stands at every partition."""
    for topic in topics:
        for each in topic.partitions:
            if each.error_code in (
                ErrorCode.NOT_COORDINATOR,
                ErrorCode.COORDINATOR_NOT_AVAILABLE,
                ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
            ):
                return refusal(each.error_code)
    return None


def _partition_outcomes(
    topics: Iterable[Message], names: Mapping[UUID, str]
) -> dict[TopicPartition, KafkaError | None]:
    return {
        TopicPartition(topic.name or names[topic.topic_id], each.partition_index): refusal(each.error_code)
        for topic in topics
        for each in topic.partitions
    }
