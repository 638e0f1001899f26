"""The broker's configuration: what each setting is at this moment, and where that comes from.

Three layers, the strongest first; a topic's own settings lie over all of them:

    dynamic, this broker  >  dynamic, all brokers  >  static (flags, --set, environment, file)  >  default

A `BrokerConfig` is a value: a dynamic change makes a new one (`with_dynamic`), so whoever holds one sees one
consistent state.  Each is checked as a whole when it is made; making one is the validation of a change.

A topic setting that is not set on its topic comes from the broker settings behind it: `retention.ms` from
`log.retention.ms`, else `.minutes`, else `.hours`.  `topic` gives all of a topic's settings, `log_config`
those that its log needs, `topic_value` and `broker_value` one with its history for DescribeConfigs.

How the layers come to be from text is in `config_loading`.  Kafka's counterparts: `KafkaConfig`,
`DynamicBrokerConfig`, `LogConfig`, `ConfigHelper`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..protocol.values import dataclass
from ..storage.config import LogConfig
from .broker_settings import KAFKA_DEFAULTS
from .coordinators.consumer_groups.assignor_names import ASSIGNOR_NAMES, is_assignor
from .listeners import Listener, advertised_listeners, broker_listeners, parse_protocols
from .settings import BROKER_SETTINGS, TOPIC_SETTINGS, InvalidSetting, Setting, Value

LEAST_DEDUPE_BYTES = 1024 * 1024
DEFAULT_REQUEST_MEMORY_BYTES = 512 * 1024 * 1024
"""The bound on requests held in memory when `queued.max.request.bytes` is -1.  Kafka then has none, and a few
hundred connections that each announce 100 MB are enough to end the process."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class ConfigSource(IntEnum):
    """Where a value comes from, numbered as DescribeConfigs sends it."""

    DYNAMIC_TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5


@dataclass(frozen=True, slots=True)
class Synonym:
    """One place where a value could come from.  `text` is None where it must not be shown."""

    name: str
    text: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True)
class Described:
    """A setting's value with its history: `synonyms` lists all that was said, the strongest first."""

    setting: Setting
    value: Value
    text: str | None
    source: ConfigSource
    synonyms: tuple[Synonym, ...]


class Values(Mapping[str, Value]):
    """Parsed values by setting name.  The typed readers assert what the table promises."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def whole(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int), f"{name} is not a whole number"
        return value

    def real(self, name: str) -> float:
        value = self._values[name]
        assert isinstance(value, float), f"{name} is not a number"
        return value

    def flag(self, name: str) -> bool:
        value = self._values[name]
        assert isinstance(value, bool), f"{name} is not a boolean"
        return value

    def text(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str), f"{name} is not a text"
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        assert isinstance(value, tuple), f"{name} is not a list"
        return value


class BrokerConfig(Values):
    """All broker settings, parsed and checked together.  Raises InvalidSetting when they cannot be."""

    def __init__(
        self,
        static: Mapping[str, str] = _NOTHING,
        *,
        dynamic: Mapping[str, str] = _NOTHING,
        cluster_default: Mapping[str, str] = _NOTHING,
    ) -> None:
        self._layers = (
            (ConfigSource.DYNAMIC_BROKER, dynamic),
            (ConfigSource.DYNAMIC_DEFAULT_BROKER, cluster_default),
            (ConfigSource.STATIC_BROKER, _with_both_ids(static)),
        )
        self._static = static
        super().__init__({name: self._parsed(setting) for name, setting in BROKER_SETTINGS.items()})
        _check_together(self)
        self.listeners = self._parse_listeners()
        self.advertised_listeners = advertised_listeners(
            None if self["advertised.listeners"] is None else self.words("advertised.listeners"),
            listeners=self.listeners,
            controllers=self.words("controller.listener.names"),
        )
        self._topic_defaults = {name: self._topic_default(setting) for name, setting in TOPIC_SETTINGS.items()}

    def with_dynamic(self, *, dynamic: Mapping[str, str], cluster_default: Mapping[str, str]) -> BrokerConfig:
        """The same static settings under other dynamic ones."""
        return BrokerConfig(self._static, dynamic=dynamic, cluster_default=cluster_default)

    # -- the broker's own

    @property
    def node_id(self) -> int:
        return self.whole("node.id")

    @property
    def data_directory(self) -> Path:
        return Path(self._directories()[0])

    @property
    def request_memory_bytes(self) -> int:
        """How many bytes of requests may be held at a time; at least one request fits."""
        given = self.whole("queued.max.request.bytes")
        return given if given > 0 else max(DEFAULT_REQUEST_MEMORY_BYTES, self.whole("socket.request.max.bytes"))

    @property
    def max_connections_of_address(self) -> Mapping[str, int]:
        """The exceptions to `max.connections.per.ip`."""
        return parse_overrides(self.text("max.connections.per.ip.overrides"))

    # -- a topic's

    def topic(self, overrides: Mapping[str, str] = _NOTHING) -> Values:
        """Every topic setting for a topic on which `overrides` are set; InvalidSetting if they are wrong.

        A name that nobody knows is refused before any value is looked at, as Kafka does.
        """
        for name in overrides:
            if name not in TOPIC_SETTINGS:
                raise InvalidSetting(f"Unknown topic config name: {name}")
        if not overrides:
            return Values(self._topic_defaults)
        own = {name: TOPIC_SETTINGS[name].parse(text) for name, text in overrides.items()}
        values = Values(self._topic_defaults | own)
        _check_topic_together(values)
        return values

    def log_config(self, overrides: Mapping[str, str] = _NOTHING) -> LogConfig:
        """What the log of such a topic needs to know."""
        values = self.topic(overrides)
        chosen: dict[str, Any] = {name: values[setting] for name, setting in _LOG_CONFIG_FIELDS.items()}
        if values["internal.segment.bytes"] is not None:
            chosen["segment_bytes"] = values["internal.segment.bytes"]
        chosen["cleanup_policy"] = frozenset(values.words("cleanup.policy"))
        return LogConfig(**chosen, producer_id_expiration_ms=self.whole("producer.id.expiration.ms"))

    # -- for DescribeConfigs

    def topic_value(self, name: str, overrides: Mapping[str, str] = _NOTHING) -> Described:
        setting = TOPIC_SETTINGS[name]
        own = overrides.get(name)
        value = self._topic_defaults[name] if own is None else setting.parse(own)
        synonyms = self._synonyms(setting.synonyms)
        if own is not None:
            synonyms = (Synonym(name, setting.format(value), ConfigSource.DYNAMIC_TOPIC), *synonyms)
        return _described(setting, value, setting.format(value), synonyms)

    def broker_value(self, name: str) -> Described:
        """The value in force on this broker."""
        setting = BROKER_SETTINGS[name]
        text = None if setting.is_sensitive else setting.format(self[name])
        return _described(setting, self[name], text, self._synonyms(_broker_synonyms(name)))

    def cluster_default_value(self, name: str) -> Described | None:
        """The value set for all brokers together; None if none is."""
        text = self._layers[1][1].get(name)
        if text is None:
            return None
        setting = BROKER_SETTINGS[name]
        value = setting.parse(text)
        shown = None if setting.is_sensitive else setting.format(value)
        synonym = Synonym(name, shown, ConfigSource.DYNAMIC_DEFAULT_BROKER)
        return _described(setting, value, shown, (synonym,))

    def _synonyms(self, names: tuple[str, ...]) -> tuple[Synonym, ...]:
        """All that was said under these names, layer by layer.

        Kafka drops what precedes the first name, and by that all where only a later name has a default:
        `retention.ms` is described without synonyms while only `log.retention.hours` is known.
        """
        found = [
            Synonym(name, None if BROKER_SETTINGS[name].is_sensitive else texts[name], source)
            for source, texts in (*self._layers, (ConfigSource.DEFAULT, _DEFAULT_TEXTS))
            for name in names
            if name in texts
        ]
        first = next((at for at, synonym in enumerate(found) if synonym.name == names[0]), len(found))
        return tuple(found[first:])

    # -- making

    def _parsed(self, setting: Setting) -> Value:
        text = next((texts[setting.name] for _, texts in self._layers if setting.name in texts), None)
        return setting.default if text is None else setting.parse(text)

    def _parse_listeners(self) -> tuple[Listener, ...]:
        return broker_listeners(
            self.words("listeners"),
            protocols=parse_protocols(self.text("listener.security.protocol.map")),
            controllers=self.words("controller.listener.names"),
        )

    def _directories(self) -> tuple[str, ...]:
        return self.words("log.dir" if self["log.dirs"] is None else "log.dirs")

    def _topic_default(self, topic: Setting) -> Value:
        for name in topic.synonyms:
            value = self[name]
            if value is not None:
                return _in_topic_units(topic, name, value)
        return topic.default


_LOG_CONFIG_FIELDS = {
    field.name: setting for field in fields(LogConfig) if (setting := field.name.replace("_", ".")) in TOPIC_SETTINGS
}
"""A field of LogConfig is the topic setting of that name; the one that is the broker's is left out."""

OURS_ALONE = frozenset(name for name, default in KAFKA_DEFAULTS.items() if default is None)

_DEFAULT_TEXTS: Mapping[str, str] = {
    name: text
    for name, setting in BROKER_SETTINGS.items()
    if name not in OURS_ALONE and (text := setting.format(setting.default)) is not None
}
"""Defaults that are told among a value's synonyms: Kafka's tools know of none where only we have one."""

_SYNONYM_GROUPS = [topic.synonyms for topic in TOPIC_SETTINGS.values() if len(topic.synonyms) > 1]


def _broker_synonyms(name: str) -> tuple[str, ...]:
    """The name itself, and the weaker ones that mean the same."""
    return next((group[group.index(name) :] for group in _SYNONYM_GROUPS if name in group), (name,))


def _described(setting: Setting, value: Value, text: str | None, synonyms: tuple[Synonym, ...]) -> Described:
    source = synonyms[0].source if synonyms else ConfigSource.DEFAULT
    return Described(setting, value, text, source, synonyms)


_UNITS_MS = {"hours": 3_600_000, "minutes": 60_000}


def _in_topic_units(topic: Setting, name: str, value: Value) -> Value:
    """A broker's value as the topic setting counts it; any negative retention is Kafka's "never"."""
    unit_ms = _UNITS_MS.get(name.rpartition(".")[2])
    if unit_ms is not None:
        assert isinstance(value, int), f"{name} is a number"
        value = value * unit_ms
    if topic.name == "retention.ms":
        assert isinstance(value, int), f"{name} is a number"
        return max(value, -1)
    return value


# -- rules between settings


def _with_both_ids(static: Mapping[str, str]) -> Mapping[str, str]:
    """`broker.id` and `node.id` are one thing; whoever gives one has given the other."""
    node, broker = static.get("node.id"), static.get("broker.id")
    if node is None and broker is not None:
        return {**static, "node.id": broker}
    if broker is None and node is not None:
        return {**static, "broker.id": node}
    return static


def _check_together(config: BrokerConfig) -> None:
    """Kafka's rules between settings, in its words; and the one of ours, on directories."""
    if config["broker.id"] not in (-1, config["node.id"]):
        raise InvalidSetting("You must set `node.id` to the same value as `broker.id`.")
    _check_times(config)
    _check_consumer_groups(config)
    queued_bytes = config.whole("queued.max.request.bytes")
    if 0 < queued_bytes < config.whole("socket.request.max.bytes"):
        raise InvalidSetting("queued.max.request.bytes must be larger or equal to socket.request.max.bytes")
    overrides = parse_overrides(config.text("max.connections.per.ip.overrides"))
    if config["max.connections.per.ip"] == 0 and not overrides:
        raise InvalidSetting(
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
        )
    _check_cleaner(config)
    directories = config.words("log.dir" if config["log.dirs"] is None else "log.dirs")
    if len(directories) > 1:
        raise InvalidSetting(f"log.dirs names {len(directories)} directories: one is supported yet")


def _check_cleaner(config: BrokerConfig) -> None:
    threads = config.whole("log.cleaner.threads")
    if threads and config.whole("log.cleaner.dedupe.buffer.size") // threads <= LEAST_DEDUPE_BYTES:
        raise InvalidSetting("log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")
    if config.flag("log.cleaner.enable") and not threads:
        raise InvalidSetting("Log cleaner threads should be at least 1")
    for name in ("log.cleaner.io.buffer.load.factor", "log.cleaner.io.max.bytes.per.second"):
        if not config.real(name) > 0:
            raise InvalidSetting(f"{name} must be greater than 0: nothing would ever be cleaned")


def _check_consumer_groups(config: BrokerConfig) -> None:
    for what in ("heartbeat.interval", "session.timeout", "assignment.interval"):
        name, least, most = (f"group.consumer.{bound}{what}.ms" for bound in ("", "min.", "max."))
        if config.whole(most) < config.whole(least):
            raise InvalidSetting(f"{most} must be greater than or equal to {least}")
        if config.whole(name) < config.whole(least):
            raise InvalidSetting(f"{name} must be greater than or equal to {least}")
        if config.whole(name) > config.whole(most):
            raise InvalidSetting(f"{name} must be less than or equal to {most}")
    heartbeat, session = "group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms"
    if config.whole(heartbeat) >= config.whole(session):
        raise InvalidSetting(f"{heartbeat} must be less than {session}")
    unknown = [each for each in config.words("group.consumer.assignors") if not is_assignor(each)]
    if unknown:
        known = " and ".join(ASSIGNOR_NAMES)
        raise InvalidSetting(f"group.consumer.assignors: there is no assignor {unknown[0]}; {known} are known")


def _check_times(config: BrokerConfig) -> None:
    for name, least in (("log.roll.ms", 1), ("log.roll.jitter.ms", 0)):
        value = config[name]
        if isinstance(value, int) and value < least:
            raise InvalidSetting(f"{name} must be greater than or equal to {least}")
    retentions = (config[name] for name in TOPIC_SETTINGS["retention.ms"].synonyms)
    if next((value for value in retentions if value is not None), None) == 0:
        raise InvalidSetting("log.retention.ms must be unlimited (-1) or, greater than or equal to 1")


def _check_topic_together(values: Values) -> None:
    shortest, longest = values.whole("min.compaction.lag.ms"), values.whole("max.compaction.lag.ms")
    if shortest > longest:
        raise InvalidSetting(
            f"conflict topic config setting min.compaction.lag.ms ({shortest}) > max.compaction.lag.ms ({longest})"
        )
    if values.flag("remote.storage.enable"):
        raise InvalidSetting(
            "Tiered Storage functionality is disabled in the broker."
            " Topic cannot be configured with remote log storage."
        )


def parse_overrides(text: str) -> Mapping[str, int]:
    """`max.connections.per.ip.overrides`: HOST:COUNT, separated by commas."""
    overrides = {}
    for entry in filter(None, re.split(r"\s*,\s*", text)):
        host, _, count = entry.rpartition(":")
        if not host or not re.fullmatch(r"[0-9]{1,9}", count):
            raise InvalidSetting(
                f"Invalid value {text} for configuration max.connections.per.ip.overrides: {entry} is not HOST:COUNT"
            )
        overrides[host] = int(count)
    return overrides
