"""AlterConfigs and IncrementalAlterConfigs.

What changes is decided in `config_decisions`; those who act on configs (partitions, the broker) are told by the
catalog when the change is durable, and act at once. Loggers (IncrementalAlterConfigs only) are not configs: their
levels are changed on the spot and forgotten at the next start, as in Kafka.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import KafkaError
from ...protocol.messages import Message
from ..catalog import Catalog
from ..catalog_records import CatalogRecord, ConfigResource
from ..config import BrokerConfig
from ..config_decisions import (
    Alteration,
    AlterResult,
    ResourceAlteration,
    decide_alter,
    decide_incremental_alter,
    named_twice,
)
from .broker_loggers import alter_loggers
from .context import Handler, RequestContext
from .deciding import decide, validated

if TYPE_CHECKING:
    from ..app import Broker

Decide = Callable[[Catalog, BrokerConfig, Sequence[ResourceAlteration]], tuple[list[CatalogRecord], list[AlterResult]]]


async def alter_configs(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Replace all that is set on each resource."""
    requested = [
        ResourceAlteration(
            each.resource_type,
            each.resource_name,
            [Alteration(config.name, config.value) for config in each.configs],
        )
        for each in request.resources
    ]
    results = await _alter(broker, requested, decide_alter, validate_only=request.validate_only)
    return _response(results)


async def incremental_alter_configs(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Change what is named on each resource."""
    requested = [
        ResourceAlteration(
            each.resource_type,
            each.resource_name,
            [Alteration(config.name, config.value, config.config_operation) for config in each.configs],
        )
        for each in request.resources
    ]
    validate_only = request.validate_only
    others = [each for each in requested if each.resource_type != ConfigResource.BROKER_LOGGER]
    altered = iter(await _alter(broker, others, decide_incremental_alter, validate_only=validate_only))
    named = Counter(each.resource_name for each in requested if each.resource_type == ConfigResource.BROKER_LOGGER)
    results = []
    for each in requested:
        if each.resource_type != ConfigResource.BROKER_LOGGER:
            results.append(next(altered))
        elif named[each.resource_name] > 1:
            results.append(named_twice(each))
        else:
            results.append(alter_loggers(broker.node_id, each, validate_only=validate_only))
    return _response(results)


async def _alter(
    broker: Broker, requested: Sequence[ResourceAlteration], decide_on: Decide, *, validate_only: bool
) -> list[AlterResult]:
    def decision() -> tuple[list[CatalogRecord], list[AlterResult]]:
        return decide_on(broker.catalog, broker.config, requested)

    # These requests carry no timeout of their own: the broker's is used.
    timeout_ms = broker.config.whole("request.timeout.ms")
    try:
        return await decide(broker, validated(decision) if validate_only else decision, timeout_ms=timeout_ms)
    except KafkaError as refusal:
        return [
            AlterResult(each.resource_type, each.resource_name, refusal.code, refusal.message) for each in requested
        ]


def _response(results: Sequence[AlterResult]) -> Message:
    return Message(
        responses=[
            Message(
                error_code=each.error_code,
                error_message=each.error_message,
                resource_type=each.resource_type,
                resource_name=each.resource_name,
            )
            for each in results
        ]
    )


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.ALTER_CONFIGS: alter_configs,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: incremental_alter_configs,
}
