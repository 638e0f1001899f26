"""What DescribeConfigs tells of each setting: value, source, and all that was said about it on the way.

Pure: the configuration and what the catalog holds -> descriptions, sorted by name. For topics and brokers the
histories come from `config`; groups and client metrics have shorter ones, told here. Kafka's class: `ConfigHelper`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..protocol.values import dataclass
from .config import BrokerConfig, ConfigSource, Described
from .dynamic_config import DYNAMIC_ONLY, setting_named
from .resource_settings import CLIENT_METRICS_SETTINGS, GROUP_SETTINGS
from .settings import BROKER_SETTINGS, TOPIC_SETTINGS, Setting, Value, format_value

UNKNOWN_TYPE = 0
LOGGER_SOURCE = 6
CLIENT_METRICS_SOURCE = 7
GROUP_SOURCE = 8
"""Sources that `ConfigSource` has no need of, numbered like it as DescribeConfigs sends them."""

SynonymText = tuple[str, str | None, int]
"""Name, value (None where it must not be shown), source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One setting of one resource, ready to be sent; `text` is None where there is no value, or none to show."""

    name: str
    text: str | None
    source: int
    type: int
    synonyms: tuple[SynonymText, ...] = ()
    is_read_only: bool = False
    is_sensitive: bool = False
    documentation: str | None = None


def describe_topic(config: BrokerConfig, overrides: Mapping[str, str]) -> Iterable[Description]:
    for name, setting in sorted(TOPIC_SETTINGS.items()):
        if not setting.internal or name in overrides:
            yield _of_described(config.topic_value(name, overrides), is_read_only=False)


def describe_broker(
    config: BrokerConfig, dynamic: Mapping[str, str], cluster_default: Mapping[str, str]
) -> Iterable[Description]:
    """All settings of the broker, and what was set while it ran under names of no table."""
    for name, setting in sorted(BROKER_SETTINGS.items()):
        if not setting.internal:
            described = config.broker_value(name)
            yield _of_described(described, is_read_only=described.setting.is_read_only)
    for name in sorted((dynamic.keys() | cluster_default.keys()) - BROKER_SETTINGS.keys()):
        yield _of_unlisted(config, name, dynamic, cluster_default)


def describe_cluster_default(cluster_default: Mapping[str, str]) -> Iterable[Description]:
    """What was set for all brokers together, as it was sent."""
    for name, text in sorted(cluster_default.items()):
        setting, known = setting_named(name), _listed(name)
        shown = None if setting is None or setting.is_sensitive else text
        source = ConfigSource.DYNAMIC_DEFAULT_BROKER
        yield Description(
            name=name,
            text=shown,
            source=source,
            type=UNKNOWN_TYPE if setting is None else setting.type,
            synonyms=((name, shown, source),),
            is_read_only=known is None or known.is_read_only,
            is_sensitive=setting is None or setting.is_sensitive,
            documentation=None if known is None else known.doc,
        )


def _listed(name: str) -> Setting | None:
    """The setting of exactly this name."""
    return BROKER_SETTINGS.get(name) or DYNAMIC_ONLY.get(name)


def describe_group(config: BrokerConfig, own: Mapping[str, str]) -> Iterable[Description]:
    for name, setting in sorted(GROUP_SETTINGS.items()):
        default, synonyms = _group_default(config, setting)
        yield _with_own(name, setting, default, own, GROUP_SOURCE, synonyms)


def describe_client_metrics(own: Mapping[str, str]) -> Iterable[Description]:
    for name, setting in sorted(CLIENT_METRICS_SETTINGS.items()):
        yield _with_own(name, setting, setting.default, own, CLIENT_METRICS_SOURCE, ())


def _of_described(described: Described, *, is_read_only: bool) -> Description:
    setting = described.setting
    return Description(
        name=setting.name,
        text=described.text,
        source=described.source,
        type=setting.type,
        synonyms=tuple((each.name, each.text, int(each.source)) for each in described.synonyms),
        is_read_only=is_read_only,
        is_sensitive=setting.is_sensitive,
        documentation=setting.doc,
    )


def _of_unlisted(
    config: BrokerConfig, name: str, dynamic: Mapping[str, str], cluster_default: Mapping[str, str]
) -> Description:
    """A setting of `DYNAMIC_ONLY`, one for one listener, or one that nobody knows: its value we keep to ourselves."""
    base, known = setting_named(name), _listed(name)
    is_sensitive = base is None or base.is_sensitive
    layers = ((ConfigSource.DYNAMIC_BROKER, dynamic), (ConfigSource.DYNAMIC_DEFAULT_BROKER, cluster_default))
    synonyms: list[SynonymText] = [
        (name, None if is_sensitive else texts[name], int(source)) for source, texts in layers if name in texts
    ]
    source, text = synonyms[0][2], synonyms[0][1]
    if base is not None and base.name in BROKER_SETTINGS:
        synonyms += [(each.name, each.text, int(each.source)) for each in config.broker_value(base.name).synonyms]
    return Description(
        name=name,
        text=text,
        source=source,
        type=UNKNOWN_TYPE if base is None else base.type,
        synonyms=tuple(synonyms),
        is_read_only=known is None or known.is_read_only,
        is_sensitive=is_sensitive,
        documentation=None if known is None else known.doc,
    )


def _group_default(config: BrokerConfig, setting: Setting) -> tuple[Value, tuple[SynonymText, ...]]:
    """What a group has that sets nothing, and where that comes from."""
    if not setting.synonyms:
        return setting.default, ((setting.name, format_value(setting.default), int(ConfigSource.DEFAULT)),)
    described = config.broker_value(setting.synonyms[0])
    return described.value, tuple((each.name, each.text, int(each.source)) for each in described.synonyms)


def _with_own(
    name: str,
    setting: Setting,
    default: Value,
    own: Mapping[str, str],
    own_source: int,
    synonyms: tuple[SynonymText, ...],
) -> Description:
    text, source = format_value(default), synonyms[0][2] if synonyms else int(ConfigSource.DEFAULT)
    if name in own:
        text, source = format_value(setting.parse(own[name])), own_source
        synonyms = ((name, text, own_source), *synonyms)
    return Description(
        name=name, text=text, source=source, type=setting.type, synonyms=synonyms, documentation=setting.doc
    )
