"""CreatePartitions: more partitions for topics that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import KafkaError
from ...protocol.messages import Message
from ..catalog_records import CatalogRecord
from ..topic_decisions import MorePartitions, TopicResult, decide_create_partitions
from .context import Handler, RequestContext
from .deciding import cluster_of, decide, validated

if TYPE_CHECKING:
    from ..app import Broker


async def create_partitions(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Each topic gets all it asked for or a refusal of its own; answered when the new logs are there."""
    requested = [_more(topic) for topic in request.topics]

    def decision() -> tuple[list[CatalogRecord], list[TopicResult]]:
        return decide_create_partitions(broker.catalog, requested, cluster=cluster_of(broker))

    try:
        results = await decide(
            broker, validated(decision) if request.validate_only else decision, timeout_ms=request.timeout_ms
        )
    except KafkaError as refusal:
        message = refusal.message or None
        results = [TopicResult(topic.name, refusal.code, message) for topic in request.topics]
    return Message(
        results=[
            Message(name=each.name, error_code=each.error_code, error_message=each.error_message) for each in results
        ]
    )


def _more(topic: Message) -> MorePartitions:
    if topic.assignments is None:
        return MorePartitions(topic.name, topic.count)
    return MorePartitions(topic.name, topic.count, [each.broker_ids for each in topic.assignments])


HANDLERS: dict[ApiKey, Handler] = {ApiKey.CREATE_PARTITIONS: create_partitions}
