"""Broker settings changed while the broker runs: what may be, and the configuration that results.

What was changed is kept in the catalog, for one node or for all; what is in force is a `BrokerConfig` made anew from
it whenever it changes (KIP-226). Names that no table knows are kept too, as Kafka does for its plug-ins: they act on
nothing, and because nobody knows what they hold, their values are never shown. A setting may be given for one
listener only (`listener.name.<listener>.<setting>`). Kafka's class: `DynamicBrokerConfig`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from .catalog import BROKER_DEFAULT, Catalog
from .config import BrokerConfig
from .setting import at_least
from .settings import BROKER_SETTINGS, InvalidSetting, Setting, SettingType, Update

_FOR_LISTENER = re.compile(r"listener\.name\.[^.]+\.(.+)")
_FOR_LISTENERS_ONLY = re.compile(r"ssl\.(?:keystore|truststore)\..+|ssl\.key\.password")

NO_RATE_LIMIT = 2**63 - 1


def _rate(name: str, doc: str) -> Setting:
    return Setting(
        name=name,
        type=SettingType.LONG,
        default=NO_RATE_LIMIT,
        check=at_least(0),
        update=Update.CLUSTER_WIDE,
        doc=doc,
    )


DYNAMIC_ONLY: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        _rate("leader.replication.throttled.rate", "Bytes per second of throttled copying on the leader's side."),
        _rate("follower.replication.throttled.rate", "Bytes per second of throttled copying on the follower's side."),
        _rate("replica.alter.log.dirs.io.max.bytes.per.second", "Bytes per second of moving logs between directories."),
    )
}
"""Settings that no file knows: they are set while the broker runs, and described where they are set."""

log = logging.getLogger(__name__)


def setting_named(name: str) -> Setting | None:
    """The setting of this name, also of a name for one listener; None for one that nobody knows."""
    for_listener = _FOR_LISTENER.fullmatch(name)
    return BROKER_SETTINGS.get(for_listener[1] if for_listener else name) or DYNAMIC_ONLY.get(name)


def is_list(name: str) -> bool | None:
    """Whether the setting holds a list; None for one that nobody knows."""
    setting = BROKER_SETTINGS.get(name)
    return None if setting is None else setting.type is SettingType.LIST


def check_dynamic_configs(catalog: Catalog, config: BrokerConfig, *, node: str, configs: Mapping[str, str]) -> None:
    """Refuse a set of configs that this node, or with "" all nodes, cannot have: InvalidSetting."""
    _refuse_any("Cannot update these configs dynamically", filter(_is_fixed, configs))
    _refuse_any(
        "These security configs can be dynamically updated only per-listener using the listener prefix",
        filter(_FOR_LISTENERS_ONLY.fullmatch, configs),
    )
    for name, text in configs.items():
        setting = setting_named(name)
        if setting is not None:
            setting.parse(text)
    if node == BROKER_DEFAULT:
        _refuse_any(
            "Cannot update these configs at default cluster level, broker id must be specified",
            filter(_is_for_one_broker, configs),
        )
        config.with_dynamic(dynamic=catalog.broker_configs(config.node_id), cluster_default=configs)
    else:
        config.with_dynamic(dynamic=configs, cluster_default=catalog.broker_default_configs)


def config_in_force(config: BrokerConfig, catalog: Catalog) -> BrokerConfig:
    """`config` under the dynamic configs that the catalog holds for it.

    What was possible when it was set may no longer be, under other static settings: then the broker starts without
    any of it and says so, rather than not at all.
    """
    dynamic, cluster_default = catalog.broker_configs(config.node_id), catalog.broker_default_configs
    try:
        return config.with_dynamic(dynamic=dynamic, cluster_default=cluster_default)
    except InvalidSetting as error:
        log.error("the configs set while the broker ran do not go with its settings and are ignored: %s", error)
        return config.with_dynamic(dynamic={}, cluster_default={})


def _is_fixed(name: str) -> bool:
    setting = BROKER_SETTINGS.get(name)
    return setting is not None and setting.is_read_only


def _is_for_one_broker(name: str) -> bool:
    setting = setting_named(name)
    if setting is None:
        return _FOR_LISTENER.fullmatch(name) is not None
    return setting.update is not Update.CLUSTER_WIDE


def _refuse_any(why: str, names: filter[str]) -> None:
    refused = ", ".join(sorted(names))
    if refused:
        raise InvalidSetting(f"{why}: [{refused}]")
