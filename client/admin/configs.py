"""Configs of topics, brokers, their loggers, groups and subscriptions to client metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from . import arguments
from .asking import AdminPart
from .config_values import ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym
from .values import raise_if_refused

_SET, _DELETE = 0, 1
_OF_ONE_BROKER = (ConfigResource.BROKER, ConfigResource.BROKER_LOGGER)


class ConfigsAdmin(AdminPart):
    """What an administrator does with configs."""

    async def describe_configs(self, resource: ConfigResource, name: str) -> dict[str, ConfigEntry]:
        """The configs of one resource, by config name; KafkaError if refused.

        `name` is a topic, a node id ("" for what is set on all brokers), a group, a subscription.
        """
        resource, name = _resource(resource, name)
        request = Message(
            resources=[Message(resource_type=resource, resource_name=name, configuration_keys=None)],
            include_synonyms=True,
        )
        answer = await self._ask(resource, name, ApiKey.DESCRIBE_CONFIGS, request)
        (result,) = answer.results
        raise_if_refused(result.error_code, result.error_message)
        return {entry.name: _config_entry(entry) for entry in result.configs}

    async def alter_configs(
        self,
        resource: ConfigResource,
        name: str,
        changes: Mapping[str, str | int | float | None],
        *,
        validate_only: bool = False,
    ) -> None:
        """Set configs of one resource, or with None set them back to the default; KafkaError if refused.

        A number is set as `str` says it, a bool as true or false.
        """
        resource, name = _resource(resource, name)
        configs = [_change(*each) for each in arguments.by_key(changes, "changes").items()]
        request = Message(
            resources=[Message(resource_type=resource, resource_name=name, configs=configs)],
            validate_only=validate_only,
        )
        answer = await self._ask(resource, name, ApiKey.INCREMENTAL_ALTER_CONFIGS, request)
        (result,) = answer.responses
        raise_if_refused(result.error_code, result.error_message)

    async def list_config_resources(self, resources: Iterable[ConfigResource] = ()) -> list[tuple[ConfigResource, str]]:
        """What there is of these kinds, or of every kind, whose configs can be described."""
        request = Message(
            resource_types=[int(ConfigResource(each)) for each in arguments.several(resources, "resources")]
        )
        answer = await self._asking.any(ApiKey.LIST_CONFIG_RESOURCES, request)
        raise_if_refused(answer.error_code, None)
        known = set(ConfigResource)
        return [
            (ConfigResource(each.resource_type), each.resource_name)
            for each in answer.config_resources
            if each.resource_type in known
        ]

    async def _ask(self, resource: ConfigResource, name: str, key: ApiKey, request: Message) -> Message:
        """A broker answers for its own configs; for all other resources, and all brokers (no name), any does."""
        if resource not in _OF_ONE_BROKER or not name:
            ask = self._asking.any if key is ApiKey.DESCRIBE_CONFIGS else self._asking.change
            return await ask(key, request)
        ask_node = self._asking.node if key is ApiKey.DESCRIBE_CONFIGS else self._asking.change_node
        if not (name.isascii() and name.isdigit()):
            raise KafkaError(ErrorCode.BROKER_NOT_AVAILABLE, f"no broker {name} in the cluster: a node id is a number")
        return await ask_node(int(name), key, request)


def _resource(resource: ConfigResource, name: object) -> tuple[ConfigResource, str]:
    return ConfigResource(resource), arguments.name(name, "name")


def _change(name: object, value: object) -> Message:
    return Message(
        name=arguments.name(name, "a name in changes"),
        config_operation=_DELETE if value is None else _SET,
        value=None if value is None else arguments.config(value, f"changes[{name!r}]"),
    )


def _config_entry(entry: Message) -> ConfigEntry:
    return ConfigEntry(
        name=entry.name,
        value=entry.value,
        source=ConfigSource(entry.config_source),
        is_read_only=entry.read_only,
        is_sensitive=entry.is_sensitive,
        synonyms=tuple(ConfigSynonym(each.name, each.value, ConfigSource(each.source)) for each in entry.synonyms),
    )
