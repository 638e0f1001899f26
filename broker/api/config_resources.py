"""ListConfigResources: what there is whose configs can be described (KIP-1142).

Version 0, called ListClientMetricsResources once, lists the subscriptions to client metrics only. Groups and
subscriptions are listed when something is set on them, topics and nodes always.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ..catalog_records import ConfigResource
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

TYPES_FROM = 1
ORDER = (
    ConfigResource.GROUP,
    ConfigResource.CLIENT_METRICS,
    ConfigResource.BROKER_LOGGER,
    ConfigResource.BROKER,
    ConfigResource.TOPIC,
)


def list_config_resources(broker: Broker, context: RequestContext, request: Message) -> Message:
    """No types asked for is all types; one that nobody knows fails the request."""
    kinds = set(request.resource_types) or set(ORDER)
    if context.api_version < TYPES_FROM:
        kinds = {ConfigResource.CLIENT_METRICS}
    if not kinds <= set(ORDER):
        return Message(error_code=ErrorCode.UNSUPPORTED_VERSION, config_resources=[])
    listed = [
        Message(resource_name=name, resource_type=kind)
        for kind in ORDER
        if kind in kinds
        for name in _names(broker, kind)
    ]
    return Message(error_code=ErrorCode.NONE, config_resources=listed)


def _names(broker: Broker, kind: ConfigResource) -> Iterable[str]:
    if kind in (ConfigResource.BROKER, ConfigResource.BROKER_LOGGER):
        return [str(broker.node_id)]
    if kind is ConfigResource.TOPIC:
        return sorted(broker.catalog.topics)
    return sorted(broker.catalog.resource_names(kind))


HANDLERS: dict[ApiKey, Handler] = {ApiKey.LIST_CONFIG_RESOURCES: list_config_resources}
