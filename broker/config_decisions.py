"""Decisions about configs: what AlterConfigs and IncrementalAlterConfigs do to the catalog, or why not.

Pure: the catalog, the configuration in force and what is asked -> the records to write, and an answer for each
resource. What is written is text as it was sent; what it means is found out by parsing it (`config`), each time it is
read.

A resource either gets all that is asked for it or nothing. AlterConfigs replaces all that is set on a resource,
IncrementalAlterConfigs (KIP-339) changes what it names. The order of the checks, and INVALID_REQUEST here and
INVALID_CONFIG there, are Kafka's (`ConfigAdminManager`, `ConfigurationControlManager`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass
from .catalog import Catalog
from .catalog_records import CatalogRecord, ConfigResource, ConfigsChanged
from .config import BrokerConfig
from .dynamic_config import check_dynamic_configs, is_list
from .resource_settings import check_client_metrics, check_group_configs
from .settings import BROKER_SETTINGS, TOPIC_SETTINGS, InvalidSetting, SettingType, format_value
from .topic_names import why_invalid


class Operation(IntEnum):
    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class Alteration:
    """One config of a resource; `operation` is as it came, and may be none of Operation."""

    name: str
    value: str | None
    operation: int = Operation.SET


@dataclass(frozen=True, slots=True)
class ResourceAlteration:
    """All that is asked for one resource; `resource_type` is as it came, and may be none of ConfigResource."""

    resource_type: int
    resource_name: str
    alterations: Sequence[Alteration]


@dataclass(frozen=True, slots=True)
class AlterResult:
    resource_type: int
    resource_name: str
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


Changes = dict[str, str | None]


def decide_incremental_alter(
    catalog: Catalog, config: BrokerConfig, requested: Sequence[ResourceAlteration]
) -> tuple[list[CatalogRecord], list[AlterResult]]:
    """Records and an answer for each resource asked about; who only validates drops the records."""
    return _decide(catalog, config, requested, _changed_by_operations)


def decide_alter(
    catalog: Catalog, config: BrokerConfig, requested: Sequence[ResourceAlteration]
) -> tuple[list[CatalogRecord], list[AlterResult]]:
    """The same for AlterConfigs, which replaces what is set."""
    return _decide(catalog, config, requested, _replaced)


Outcome = Callable[[ConfigResource, Mapping[str, str], Sequence[Alteration]], dict[str, str]]
"""What a resource has set afterwards, of what it has now and what is asked."""


def _decide(
    catalog: Catalog, config: BrokerConfig, requested: Sequence[ResourceAlteration], outcome: Outcome
) -> tuple[list[CatalogRecord], list[AlterResult]]:
    mentions = Counter((each.resource_type, each.resource_name) for each in requested)
    records: list[CatalogRecord] = []
    results: list[AlterResult] = []
    for asked in requested:
        resource_type, name = asked.resource_type, asked.resource_name
        if mentions[resource_type, name] > 1:
            results.append(named_twice(asked))
            continue
        try:
            records += _alter(catalog, config, asked, outcome)
        except KafkaError as refusal:
            results.append(AlterResult(resource_type, name, refusal.code, refusal.message))
        else:
            results.append(AlterResult(resource_type, name))
    return records, results


def named_twice(asked: ResourceAlteration) -> AlterResult:
    """The answer about a resource that comes more than once in a request."""
    return AlterResult(
        asked.resource_type,
        asked.resource_name,
        ErrorCode.INVALID_REQUEST,
        "Each resource must appear at most once.",
    )


def _alter(catalog: Catalog, config: BrokerConfig, asked: ResourceAlteration, outcome: Outcome) -> list[CatalogRecord]:
    resource, name = _checked_resource(config, asked)
    before = catalog.configs_of(resource, name)
    after = outcome(resource, before, asked.alterations)
    try:
        _CHECKS[resource](catalog, config, name, after)
    except InvalidSetting as error:
        raise KafkaError(_INVALID[resource], str(error)) from error
    changes: Changes = {key: value for key, value in after.items() if before.get(key) != value}
    changes |= dict.fromkeys(key for key in before if key not in after)
    return [ConfigsChanged(resource, name, changes)] if changes else []


def _checked_resource(config: BrokerConfig, asked: ResourceAlteration) -> tuple[ConfigResource, str]:
    """The resource, its name made canonical; what is wrong whatever the configs mean is refused here."""
    check_form(asked.alterations)
    if asked.resource_type not in _CHECKS:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {asked.resource_type}")
    for each in asked.alterations:
        if each.operation not in tuple(Operation):
            # Kafka says so of a broker's configs, and stumbles (UNKNOWN_SERVER_ERROR) over the others'.
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {each.operation}")
    resource = ConfigResource(asked.resource_type)
    if resource is ConfigResource.BROKER and asked.resource_name:
        return resource, str(_own_node_id(config, asked.resource_name))
    return resource, asked.resource_name


def check_form(alterations: Sequence[Alteration]) -> None:
    """Refuse names that come twice and values that are missing."""
    if len({each.name for each in alterations}) != len(alterations):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    without_value = [each.name for each in alterations if each.value is None and each.operation != Operation.DELETE]
    if without_value:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {', '.join(without_value)}")


def _own_node_id(config: BrokerConfig, name: str) -> int:
    try:
        node_id = int(name)
    except ValueError:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}") from None
    if node_id != config.node_id:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected broker id, expected {config.node_id}, but received {name}",
        )
    return node_id


# -- what will be set


def _replaced(resource: ConfigResource, before: Mapping[str, str], alterations: Sequence[Alteration]) -> dict[str, str]:
    return {each.name: each.value for each in alterations if each.value is not None}


def _changed_by_operations(
    resource: ConfigResource, before: Mapping[str, str], alterations: Sequence[Alteration]
) -> dict[str, str]:
    after = dict(before)
    for each in alterations:
        if each.operation == Operation.DELETE:
            after.pop(each.name, None)
        elif each.operation == Operation.SET:
            after[each.name] = each.value or ""
        else:
            after[each.name] = _changed_list(resource, before.get(each.name), each)
    return after


def _changed_list(resource: ConfigResource, before: str | None, alteration: Alteration) -> str:
    """The list with words added that it lacks, or the first of each word taken out; words are not trimmed, as in
    Kafka.
    """
    _check_is_list(resource, alteration)
    text = _default_list(resource, alteration.name) if before is None else before
    words = [word for word in text.split(",") if word]
    for word in (alteration.value or "").split(","):
        if alteration.operation == Operation.APPEND and word not in words:
            words.append(word)
        elif alteration.operation == Operation.SUBTRACT and word in words:
            words.remove(word)
    return ",".join(words)


def _check_is_list(resource: ConfigResource, alteration: Alteration) -> None:
    name, operation = alteration.name, Operation(alteration.operation)
    if resource is ConfigResource.BROKER:
        known = is_list(name)
        if known is None:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Unknown config name: {name}")
        if not known:
            verb = operation.name.lower()
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Config value {verb} is not allowed for config key: {name}")
        return
    setting = TOPIC_SETTINGS.get(name) if resource is ConfigResource.TOPIC else None
    if setting is None or setting.type is not SettingType.LIST:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG, f"Can't {operation.name} to key {name} because its type is not LIST."
        )


def _default_list(resource: ConfigResource, name: str) -> str:
    """Kafka's own default, not the one in force here: so an append does not depend on where it is decided."""
    table = TOPIC_SETTINGS if resource is ConfigResource.TOPIC else BROKER_SETTINGS
    return format_value(table[name].default) or ""


# -- whether it may be


def _check_topic(catalog: Catalog, config: BrokerConfig, name: str, configs: Mapping[str, str]) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed.")
    invalid = why_invalid(name)
    if invalid is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, invalid)
    config.topic(configs)
    if name not in catalog.topics:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")


def _check_broker(catalog: Catalog, config: BrokerConfig, name: str, configs: Mapping[str, str]) -> None:
    check_dynamic_configs(catalog, config, node=name, configs=configs)


def _check_group(catalog: Catalog, config: BrokerConfig, name: str, configs: Mapping[str, str]) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
    check_group_configs(configs, config)


def _check_client_metrics(catalog: Catalog, config: BrokerConfig, name: str, configs: Mapping[str, str]) -> None:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Subscription name can't be empty")
    check_client_metrics(configs)


Check = Callable[[Catalog, BrokerConfig, str, Mapping[str, str]], None]

_CHECKS: dict[int, Check] = {
    ConfigResource.TOPIC: _check_topic,
    ConfigResource.BROKER: _check_broker,
    ConfigResource.GROUP: _check_group,
    ConfigResource.CLIENT_METRICS: _check_client_metrics,
}

_INVALID = {
    ConfigResource.TOPIC: ErrorCode.INVALID_CONFIG,
    ConfigResource.BROKER: ErrorCode.INVALID_REQUEST,
    ConfigResource.GROUP: ErrorCode.INVALID_CONFIG,
    ConfigResource.CLIENT_METRICS: ErrorCode.INVALID_CONFIG,
}
"""With which code Kafka refuses a value that does not parse."""
