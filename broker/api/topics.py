"""CreateTopics and DeleteTopics.

What is created or deleted, and what is refused, is decided in `topic_decisions` and `topic_deletion`; here requests
become values and results become responses. Both answer when the partitions' logs are there, or gone from sight.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..catalog import Topic
from ..catalog_records import CatalogRecord
from ..config import BrokerConfig
from ..settings import TOPIC_SETTINGS, InvalidSetting
from ..topic_decisions import CheckConfigs, NewTopic, TopicResult, decide_create_topics
from ..topic_deletion import DeleteResult, TopicReference, decide_delete_topics
from .context import Handler, RequestContext
from .deciding import cluster_of, decide, validated

if TYPE_CHECKING:
    from ..app import Broker

IDS_FROM = 6
"""DeleteTopics names topics by id or name from this version on."""
DISABLED_CODE_FROM = 3
UNKNOWN_COUNT = -1


def new_topic_id() -> uuid.UUID:
    """Random, and none whose text (base64) begins with a dash: tools would take it for an option, as Kafka found."""
    while True:
        topic_id = uuid.uuid4()
        if topic_id.bytes[0] >> 2 != 62:  # 62 is the dash in URL-safe base64
            return topic_id


def configs_checker(config: BrokerConfig) -> CheckConfigs:
    """Refuses configs that no topic of this broker can have."""

    def check(configs: Mapping[str, str]) -> None:
        try:
            config.topic(configs)
        except InvalidSetting as error:
            raise KafkaError(ErrorCode.INVALID_CONFIG, str(error)) from error

    return check


async def create_topics(broker: Broker, context: RequestContext, request: Message) -> Message:
    requested = [_new_topic(topic) for topic in request.topics]

    def decision() -> tuple[list[CatalogRecord], list[TopicResult]]:
        return decide_create_topics(
            broker.catalog,
            requested,
            cluster=cluster_of(broker),
            check_configs=configs_checker(broker.config),
            new_id=new_topic_id,
        )

    try:
        results = await decide(
            broker, validated(decision) if request.validate_only else decision, timeout_ms=request.timeout_ms
        )
    except KafkaError as refusal:
        message = refusal.message or None
        results = [TopicResult(topic.name, refusal.code, message) for topic in request.topics]
    return Message(topics=[_created(broker.config, result) for result in results])


def _new_topic(topic: Message) -> NewTopic:
    return NewTopic(
        topic.name,
        topic.num_partitions,
        topic.replication_factor,
        [(each.partition_index, each.broker_ids) for each in topic.assignments],
        [(each.name, each.value) for each in topic.configs],
    )


def _created(config: BrokerConfig, result: TopicResult) -> Message:
    topic = result.topic
    if topic is None:
        return Message(
            name=result.name,
            error_code=result.error_code,
            error_message=result.error_message,
            num_partitions=UNKNOWN_COUNT,
            replication_factor=UNKNOWN_COUNT,
            configs=[],
        )
    return Message(
        name=topic.name,
        topic_id=topic.id,
        error_code=ErrorCode.NONE,
        error_message=None,
        num_partitions=len(topic.partitions),
        replication_factor=len(topic.partitions[0].replicas),
        configs=_configs_of(config, topic),
    )


def _configs_of(config: BrokerConfig, topic: Topic) -> list[Message]:
    """All settings of the new topic; those set on it as they were sent, like Kafka."""
    shown = [name for name, each in TOPIC_SETTINGS.items() if not each.internal or name in topic.configs]
    described = [config.topic_value(name, topic.configs) for name in shown]
    return [
        Message(
            name=each.setting.name,
            value=topic.configs.get(each.setting.name, each.text),
            read_only=False,
            config_source=each.source,
            is_sensitive=each.setting.is_sensitive,
        )
        for each in described
    ]


async def delete_topics(broker: Broker, context: RequestContext, request: Message) -> Message:
    references = _references(context, request)
    if not broker.config.flag("delete.topic.enable"):
        code = ErrorCode.TOPIC_DELETION_DISABLED
        if context.api_version < DISABLED_CODE_FROM:
            code = ErrorCode.INVALID_REQUEST
        return Message(responses=[_deleted(_failed(each, code)) for each in references])
    try:
        results = await decide(
            broker, lambda: decide_delete_topics(broker.catalog, references), timeout_ms=request.timeout_ms
        )
    except KafkaError as refusal:
        results = [_failed(each, refusal.code, refusal.message or None) for each in references]
    return Message(responses=[_deleted(result) for result in results])


def _references(context: RequestContext, request: Message) -> list[TopicReference]:
    if context.api_version < IDS_FROM:
        return [TopicReference(name) for name in request.topic_names]
    return [TopicReference(topic.name, topic.topic_id) for topic in request.topics]


def _failed(reference: TopicReference, code: ErrorCode, message: str | None = None) -> DeleteResult:
    return DeleteResult(reference.name, reference.topic_id, code, message)


def _deleted(result: DeleteResult) -> Message:
    return Message(
        name=result.name,
        topic_id=result.topic_id,
        error_code=result.error_code,
        error_message=result.error_message,
    )


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.CREATE_TOPICS: create_topics,
    ApiKey.DELETE_TOPICS: delete_topics,
}
