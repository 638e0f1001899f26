"""ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments: answered, where nothing can move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..replica_decisions import ElectionType, check_election, check_reassignment, why_no_election
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker


def elect_leaders(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Asked about all partitions, those that need no election are left out, and their topics are not."""
    try:
        check_election(request.election_type)
    except KafkaError as refusal:
        return _all_refused(request, refusal)
    if request.topic_partitions is None:
        results = [Message(topic=name, partition_result=[]) for name in broker.catalog.topics]
        return Message(error_code=ErrorCode.NONE, replica_election_results=results)
    kind = ElectionType(request.election_type)
    results = [
        Message(
            topic=each.topic,
            partition_result=[
                _result(index, why_no_election(broker.catalog, each.topic, index, kind)) for index in each.partitions
            ],
        )
        for each in request.topic_partitions
    ]
    return Message(error_code=ErrorCode.NONE, replica_election_results=results)


def _all_refused(request: Message, refusal: KafkaError) -> Message:
    results = [
        Message(topic=each.topic, partition_result=[_result(index, refusal) for index in each.partitions])
        for each in request.topic_partitions or []
    ]
    return Message(error_code=refusal.code, replica_election_results=results)


def _result(index: int, refusal: KafkaError) -> Message:
    return Message(partition_id=index, error_code=refusal.code, error_message=refusal.message)


def alter_partition_reassignments(broker: Broker, context: RequestContext, request: Message) -> Message:
    responses = [
        Message(name=topic.name, partitions=[_reassigned(broker, topic.name, each) for each in topic.partitions])
        for topic in request.topics
    ]
    return Message(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_code=ErrorCode.NONE,
        error_message=None if responses else "",  # as Kafka has it
        responses=responses,
    )


def _reassigned(broker: Broker, topic: str, asked: Message) -> Message:
    index = asked.partition_index
    try:
        check_reassignment(broker.catalog, topic, index, asked.replicas, node_ids=[broker.node_id])
    except KafkaError as refusal:
        return Message(partition_index=index, error_code=refusal.code, error_message=refusal.message or None)
    return Message(partition_index=index, error_code=ErrorCode.NONE, error_message=None)


def list_partition_reassignments(broker: Broker, context: RequestContext, request: Message) -> Message:
    """None is ever under way."""
    return Message(error_code=ErrorCode.NONE, error_message=None, topics=[])


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.ELECT_LEADERS: elect_leaders,
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: alter_partition_reassignments,
    ApiKey.LIST_PARTITION_REASSIGNMENTS: list_partition_reassignments,
}
