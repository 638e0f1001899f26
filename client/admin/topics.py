"""Topics: list, describe, create, delete, give more partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from . import arguments
from .asking import AdminPart
from .values import CreatedTopic, NewTopic, PartitionDescription, TopicDescription, refusal

_NO_NUMBER = -1


class TopicsAdmin(AdminPart):
    """What an administrator does with topics."""

    async def list_topics(self, *, include_internal: bool = False) -> list[TopicDescription]:
        """All topics, by name."""
        answer = await self._asking.metadata(None)
        topics = [_topic(topic) for topic in answer.topics if topic.error_code == ErrorCode.NONE]
        return sorted(
            (topic for topic in topics if include_internal or not topic.is_internal), key=lambda topic: topic.name
        )

    async def describe_topics(self, names: Iterable[str]) -> dict[str, TopicDescription | KafkaError]:
        """Each of these topics; UNKNOWN_TOPIC_OR_PARTITION for one that does not exist (it is not created)."""
        answer = await self._asking.metadata(arguments.names(names, "names"))
        return {topic.name: refusal(topic.error_code) or _topic(topic) for topic in answer.topics}

    async def create_topics(
        self, topics: Iterable[NewTopic], *, validate_only: bool = False
    ) -> dict[str, CreatedTopic | KafkaError]:
        """Create topics, or with `validate_only` say whether they could be.

        TypeError or ValueError for what cannot be asked for, before anything is.
        """
        request = Message(
            topics=[_new_topic(topic) for topic in arguments.several(topics, "topics")],
            timeout_ms=self._asking.timeout_ms,
            validate_only=validate_only,
        )
        answer = await self._asking.change(ApiKey.CREATE_TOPICS, request)
        return {
            topic.name: refusal(topic.error_code, topic.error_message)
            or CreatedTopic(
                topic.name, topic.topic_id, _number(topic.num_partitions), _number(topic.replication_factor)
            )
            for topic in answer.topics
        }

    async def delete_topics(self, names: Iterable[str]) -> dict[str, KafkaError | None]:
        """Delete topics by name; None says that it is done."""
        names = arguments.names(names, "names")
        request = Message(
            topics=[Message(name=name) for name in names], topic_names=names, timeout_ms=self._asking.timeout_ms
        )
        answer = await self._asking.change(ApiKey.DELETE_TOPICS, request)
        return {topic.name: refusal(topic.error_code, topic.error_message) for topic in answer.responses}

    async def create_partitions(
        self, counts: Mapping[str, int], *, validate_only: bool = False
    ) -> dict[str, KafkaError | None]:
        """Give topics more partitions; `counts` says how many they shall have in all."""
        wanted = {
            arguments.name(name, "a topic of counts"): arguments.number(count, f"count of {name!r}")
            for name, count in arguments.by_key(counts, "counts").items()
        }
        request = Message(
            topics=[Message(name=name, count=count, assignments=None) for name, count in wanted.items()],
            timeout_ms=self._asking.timeout_ms,
            validate_only=validate_only,
        )
        answer = await self._asking.change(ApiKey.CREATE_PARTITIONS, request)
        return {topic.name: refusal(topic.error_code, topic.error_message) for topic in answer.results}


def _number(wire: int) -> int | None:
    return None if wire == _NO_NUMBER else wire


def _new_topic(given: NewTopic) -> Message:
    topic = arguments.instance(given, NewTopic, "one of topics")
    of = f"of NewTopic {arguments.name(topic.name, 'name of a NewTopic')!r}"
    return Message(
        name=topic.name,
        num_partitions=_NO_NUMBER
        if topic.partitions is None
        else arguments.number(topic.partitions, f"partitions {of}"),
        replication_factor=_NO_NUMBER
        if topic.replication_factor is None
        else arguments.number(topic.replication_factor, f"replication_factor {of}", bits=16),
        assignments=[
            Message(
                partition_index=arguments.number(partition, f"a partition in assignments {of}"),
                broker_ids=arguments.numbers(brokers, f"assignments[{partition}] {of}"),
            )
            for partition, brokers in arguments.by_key(topic.assignments or {}, f"assignments {of}").items()
        ],
        configs=[
            Message(
                name=arguments.name(name, f"a name in configs {of}"),
                value=arguments.config(value, f"configs[{name!r}] {of}"),
            )
            for name, value in arguments.by_key(topic.configs, f"configs {of}").items()
        ],
    )


def _topic(topic: Message) -> TopicDescription:
    partitions = sorted((_partition(each) for each in topic.partitions), key=lambda each: each.partition)
    return TopicDescription(topic.name, topic.topic_id, topic.is_internal, tuple(partitions))


def _partition(partition: Message) -> PartitionDescription:
    return PartitionDescription(
        partition=partition.partition_index,
        leader=None if partition.leader_id < 0 else partition.leader_id,
        leader_epoch=partition.leader_epoch,
        replicas=tuple(partition.replica_nodes),
        in_sync_replicas=tuple(partition.isr_nodes),
        error=partition.error_code,
    )
