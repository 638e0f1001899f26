"""Where partitions are, who leads them, who writes into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...protocol.apis import ApiKey
from ...protocol.errors import KafkaError
from ...protocol.messages import Message
from . import arguments
from .asking import AdminPart
from .placement import by_topic, indexes_by_topic
from .values import PartitionProducer, Reassignment, TopicPartition, raise_if_refused, refusal

_PREFERRED, _UNCLEAN = 0, 1
_NO_OFFSET = -1


class ReplicasAdmin(AdminPart):
    """What an administrator does with replicas and leaders."""

    async def elect_leaders(
        self, partitions: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, KafkaError | None]:
        """Give the lead to the preferred replicas, of these partitions or of all that are led by another.

        ELECTION_NOT_NEEDED where it has it; of all partitions those are left out.
        """
        return await self._elect(_PREFERRED, None if partitions is None else arguments.partitions(partitions))

    async def elect_unclean_leaders(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, KafkaError | None]:
        """Give the lead, where nobody has it, to a replica that may lack records that were acknowledged."""
        return await self._elect(_UNCLEAN, arguments.partitions(partitions))

    async def _elect(
        self, kind: int, partitions: Iterable[TopicPartition] | None
    ) -> dict[TopicPartition, KafkaError | None]:
        asked = None if partitions is None else indexes_by_topic(partitions)
        topics = None if asked is None else [
            Message(topic=topic, partitions=indexes) for topic, indexes in asked.items()
        ]  # fmt: skip
        request = Message(election_type=kind, topic_partitions=topics, timeout_ms=self._asking.timeout_ms)
        answer = await self._asking.change(ApiKey.ELECT_LEADERS, request)
        raise_if_refused(answer.error_code, None)
        return {
            TopicPartition(topic.topic, each.partition_id): refusal(each.error_code, each.error_message)
            for topic in answer.replica_election_results
            for each in topic.partition_result
        }

    async def alter_partition_reassignments(
        self, replicas: Mapping[TopicPartition, Sequence[int] | None]
    ) -> dict[TopicPartition, KafkaError | None]:
        """Have partitions move to these nodes, the first preferred to lead; None takes a move back."""
        wanted = {
            arguments.partition(each, "a partition of replicas"): None
            if nodes is None
            else arguments.numbers(nodes, f"replicas of {each}")
            for each, nodes in arguments.by_key(replicas, "replicas").items()
        }
        topics = by_topic(
            (each, Message(partition_index=each.partition, replicas=nodes)) for each, nodes in wanted.items()
        )
        request = Message(topics=topics, timeout_ms=self._asking.timeout_ms)
        answer = await self._asking.change(ApiKey.ALTER_PARTITION_REASSIGNMENTS, request)
        raise_if_refused(answer.error_code, answer.error_message)
        return {
            TopicPartition(topic.name, each.partition_index): refusal(each.error_code, each.error_message)
            for topic in answer.responses
            for each in topic.partitions
        }

    async def list_partition_reassignments(
        self, partitions: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, Reassignment]:
        """The moves under way, of these partitions or of all."""
        asked = None if partitions is None else indexes_by_topic(arguments.partitions(partitions))
        topics = None if asked is None else [
            Message(name=topic, partition_indexes=indexes) for topic, indexes in asked.items()
        ]  # fmt: skip
        request = Message(topics=topics, timeout_ms=self._asking.timeout_ms)
        answer = await self._asking.any(ApiKey.LIST_PARTITION_REASSIGNMENTS, request)
        raise_if_refused(answer.error_code, answer.error_message)
        return {
            TopicPartition(topic.name, each.partition_index): Reassignment(
                tuple(each.replicas), tuple(each.adding_replicas), tuple(each.removing_replicas)
            )
            for topic in answer.topics
            for each in topic.partitions
        }

    async def describe_producers(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, tuple[PartitionProducer, ...] | KafkaError]:
        """The producers with ids that each partition remembers, with their open transactions (KIP-664)."""
        wanted = arguments.partitions(partitions)

        def request(share: Sequence[TopicPartition]) -> Message:
            topics = indexes_by_topic(share).items()
            return Message(topics=[Message(name=topic, partition_indexes=indexes) for topic, indexes in topics])

        answered = await self._asking.leaders(ApiKey.DESCRIBE_PRODUCERS, wanted, request)
        return {
            partition: each
            if isinstance(each, KafkaError)
            else refusal(each.error_code, each.error_message) or tuple(map(_producer, each.active_producers))
            for partition, each in answered.items()
        }


def _producer(producer: Message) -> PartitionProducer:
    start = producer.current_txn_start_offset
    return PartitionProducer(
        producer_id=producer.producer_id,
        epoch=producer.producer_epoch,
        last_sequence=producer.last_sequence,
        last_timestamp_ms=producer.last_timestamp,
        coordinator_epoch=producer.coordinator_epoch,
        open_since_offset=None if start == _NO_OFFSET else start,
    )
