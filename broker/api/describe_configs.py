"""DescribeConfigs: every setting of a resource, its value, and where the value comes from.

Topics and groups answer with all their settings, a broker (its own id) with all of its own, the broker "" with what
was set for all brokers together, client-metrics subscriptions and loggers with what they have. A list of names asks
for those only; names that the resource does not have are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..catalog import BROKER_DEFAULT
from ..catalog_records import ConfigResource
from ..config import BrokerConfig
from ..config_description import (
    Description,
    describe_broker,
    describe_client_metrics,
    describe_cluster_default,
    describe_group,
    describe_topic,
)
from ..topic_names import why_invalid
from .broker_loggers import describe_loggers
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

Describe = Callable[["Broker", str], Iterable[Description]]

MALFORMED = (
    "This most likely occurs because of a request being malformed by the client library or the message was sent "
    "to an incompatible broker. See the broker logs for more details."
)
"""Kafka's standing sentence for INVALID_REQUEST."""


def describe_configs(broker: Broker, context: RequestContext, request: Message) -> Message:
    """A resource of a type that Kafka does not know fails the whole request."""
    if any(each.resource_type not in _DESCRIBERS for each in request.resources):
        refusal = KafkaError(ErrorCode.INVALID_REQUEST, MALFORMED)
        return Message(results=[_refusal(each, refusal) for each in request.resources])
    return Message(results=[_describe(broker, request, each) for each in request.resources])


def _describe(broker: Broker, request: Message, asked: Message) -> Message:
    try:
        found = _DESCRIBERS[asked.resource_type](broker, asked.resource_name)
    except KafkaError as refusal:
        return _refusal(asked, refusal)
    wanted = frozenset(asked.configuration_keys or ())
    return Message(
        error_code=ErrorCode.NONE,
        error_message="",
        resource_type=asked.resource_type,
        resource_name=asked.resource_name,
        configs=[_config(request, each) for each in found if not wanted or each.name in wanted],
    )


def _refusal(asked: Message, refusal: KafkaError) -> Message:
    return Message(
        error_code=refusal.code,
        error_message=refusal.message,
        resource_type=asked.resource_type,
        resource_name=asked.resource_name,
        configs=[],
    )


def _config(request: Message, each: Description) -> Message:
    synonyms = each.synonyms if request.include_synonyms else ()
    return Message(
        name=each.name,
        value=each.text,
        read_only=each.is_read_only,
        config_source=each.source,
        is_sensitive=each.is_sensitive,
        synonyms=[Message(name=name, value=text, source=source) for name, text, source in synonyms],
        config_type=each.type,
        documentation=each.documentation if request.include_documentation or each.type == 0 else None,
    )


def _describe_topic(broker: Broker, name: str) -> Iterable[Description]:
    invalid = why_invalid(name)
    if invalid is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, invalid)
    topic = broker.catalog.topics.get(name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return describe_topic(broker.config, topic.configs)


def _describe_broker(broker: Broker, name: str) -> Iterable[Description]:
    if name == BROKER_DEFAULT:
        return describe_cluster_default(broker.catalog.broker_default_configs)
    _check_own_id(broker.config, name, or_empty=True)
    dynamic = broker.catalog.broker_configs(broker.config.node_id)
    return describe_broker(broker.config, dynamic, broker.catalog.broker_default_configs)


def _describe_loggers(broker: Broker, name: str) -> Iterable[Description]:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    _check_own_id(broker.config, name, or_empty=False)
    return describe_loggers()


def _check_own_id(config: BrokerConfig, name: str, *, or_empty: bool) -> None:
    try:
        node_id = int(name)
    except ValueError:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}") from None
    if node_id != config.node_id:
        expected = f"{config.node_id} or empty string," if or_empty else str(config.node_id)
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected broker id, expected {expected} but received {name}")


def _describe_client_metrics(broker: Broker, name: str) -> Iterable[Description]:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty")
    return describe_client_metrics(broker.catalog.configs_of(ConfigResource.CLIENT_METRICS, name))


def _describe_group(broker: Broker, name: str) -> Iterable[Description]:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Group name must not be empty")
    return describe_group(broker.config, broker.catalog.configs_of(ConfigResource.GROUP, name))


_DESCRIBERS: dict[int, Describe] = {
    ConfigResource.TOPIC: _describe_topic,
    ConfigResource.BROKER: _describe_broker,
    ConfigResource.BROKER_LOGGER: _describe_loggers,
    ConfigResource.CLIENT_METRICS: _describe_client_metrics,
    ConfigResource.GROUP: _describe_group,
}

HANDLERS: dict[ApiKey, Handler] = {ApiKey.DESCRIBE_CONFIGS: describe_configs}
