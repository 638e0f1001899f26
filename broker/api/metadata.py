"""Metadata: who the nodes are, and which of them leads which partition.

What topics a request means depends on its version: all of them is an empty list in version 0 and null from 1 on; ids
(KIP-516) count from 12, and where one is given, names do not count at all.

A topic that does not exist is created when client and broker allow it. That happens behind the answer, which says
UNKNOWN_TOPIC_OR_PARTITION: clients ask again soon, and the answer waits for no disk (as in Kafka). The broker's own
topics are not created so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ..catalog import Topic
from ..catalog_records import CatalogRecord
from ..topic_names import is_internal, is_reserved, why_invalid
from .cluster import CLUSTER_OPERATIONS, NO_CONTROLLER, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker
    from ..topic_decisions import TopicResult

IDS_FROM = 12
NO_ID = UUID(int=0)


def metadata(broker: Broker, context: RequestContext, request: Message) -> Message:
    if _is_malformed(context, request):
        return _refusal(request)
    unknown_ids, found, missing = _topics_asked_for(broker, context, request)
    if missing and request.allow_auto_topic_creation and broker.config.flag("auto.create.topics.enable"):
        _create_behind_the_answer(broker, missing)
    operations = TOPIC_OPERATIONS if request.include_topic_authorized_operations else OPERATIONS_NOT_ASKED
    address = broker.advertised(context)
    node_id = broker.node_id
    return Message(
        brokers=[Message(node_id=node_id, host=address.host, port=address.port, rack=broker.config["broker.rack"])],
        cluster_id=broker.cluster_id,
        controller_id=node_id,
        topics=[
            *(_unknown_id(topic_id) for topic_id in unknown_ids),
            *(_topic(topic, operations) for topic in found),
            *(_missing(name, operations) for name in missing),
        ],
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else OPERATIONS_NOT_ASKED
        ),
        error_code=ErrorCode.NONE,
    )


def _is_malformed(context: RequestContext, request: Message) -> bool:
    """A topic without a name needs an id, and before version 12 a name is needed and an id refused.

    (Kafka stumbles over the first of these from version 12 on, with UNKNOWN_SERVER_ERROR.)
    """
    asked = request.topics or []
    if context.api_version < IDS_FROM:
        return any(each.name is None or each.topic_id != NO_ID for each in asked)
    return any(each.name is None and each.topic_id == NO_ID for each in asked)


def _refusal(request: Message) -> Message:
    code = ErrorCode.INVALID_REQUEST
    return Message(
        brokers=[],
        cluster_id=None,
        controller_id=NO_CONTROLLER,
        topics=[
            Message(error_code=code, name=each.name or "", topic_id=each.topic_id, partitions=[])
            for each in request.topics
        ],
        error_code=code,
    )


def _topics_asked_for(
    broker: Broker, context: RequestContext, request: Message
) -> tuple[list[UUID], Iterable[Topic], list[str]]:
    """Ids that are unknown, topics that exist, names that do not; each once."""
    catalog, asked = broker.catalog, request.topics
    if asked is None or (context.api_version == 0 and not asked):
        return [], catalog.topics.values(), []
    ids = dict.fromkeys(each.topic_id for each in asked if each.topic_id != NO_ID)
    if ids:
        by_id = {topic_id: catalog.topic_by_id(topic_id) for topic_id in ids}
        unknown = [topic_id for topic_id, topic in by_id.items() if topic is None]
        return unknown, [topic for topic in by_id.values() if topic is not None], []
    names = dict.fromkeys(each.name for each in asked)
    found = [catalog.topics[name] for name in names if name in catalog.topics]
    return [], found, [name for name in names if name not in catalog.topics]


def _topic(topic: Topic, operations: int) -> Message:
    return Message(
        error_code=ErrorCode.NONE,
        name=topic.name,
        topic_id=topic.id,
        is_internal=is_internal(topic.name),
        partitions=[
            Message(
                error_code=ErrorCode.NONE,
                partition_index=index,
                leader_id=state.leader,
                leader_epoch=state.leader_epoch,
                replica_nodes=state.replicas,
                isr_nodes=state.isr,
                offline_replicas=[],
            )
            for index, state in enumerate(topic.partitions)
        ],
        topic_authorized_operations=operations,
    )


def _unknown_id(topic_id: UUID) -> Message:
    return Message(
        error_code=ErrorCode.UNKNOWN_TOPIC_ID,
        name=None,
        topic_id=topic_id,
        partitions=[],
        topic_authorized_operations=OPERATIONS_NOT_ASKED,
    )


def _missing(name: str, operations: int) -> Message:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if why_invalid(name) is not None:
        code = ErrorCode.INVALID_TOPIC_EXCEPTION
    return Message(
        error_code=code,
        name=name,
        topic_id=NO_ID,
        is_internal=is_internal(name),
        partitions=[],
        topic_authorized_operations=operations,
    )


def _create_behind_the_answer(broker: Broker, names: Iterable[str]) -> None:
    """Together, as one CreateTopics would; not again what is being created already."""
    wanted = [name for name in names if _may_be_created(name) and not broker.journal.is_under_way(_key(name))]
    if not wanted:
        return
    # Here, and seldom: hardly a Metadata makes topics, and every broker's first answer is one.
    from ..topic_decisions import NewTopic, decide_create_topics
    from .deciding import cluster_of
    from .topics import configs_checker, new_topic_id

    def decision() -> tuple[list[CatalogRecord], list[TopicResult]]:
        return decide_create_topics(
            broker.catalog,
            [NewTopic(name) for name in wanted],
            cluster=cluster_of(broker),
            check_configs=configs_checker(broker.config),
            new_id=new_topic_id,
        )

    broker.journal.submit(decision, keys=map(_key, wanted))


def _may_be_created(name: str) -> bool:
    return why_invalid(name) is None and not is_reserved(name) and not is_internal(name)


def _key(name: str) -> str:
    return f"create {name}"


HANDLERS: dict[ApiKey, Handler] = {ApiKey.METADATA: metadata}
