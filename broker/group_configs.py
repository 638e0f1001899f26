"""What is in force for one group: its own configs over the broker's, within the broker's limits.

    set on the group (the catalog)  >  the broker setting behind it (`GROUP_SETTINGS` synonyms)  >  default

A value was between the broker's least and most when it was set; the broker may have been started with others since.
Then the nearer of the two is in force, while DescribeConfigs goes on to show what was set. Kafka's classes:
`GroupConfig`, `GroupConfigManager`.
"""

from __future__ import annotations

from typing import cast

from .catalog import Catalog
from .catalog_records import ConfigResource
from .config import BrokerConfig, Values
from .coordinators.consumer_groups.settings import GroupTimes
from .resource_settings import GROUP_SETTINGS, limits_of
from .setting import Setting, Value


def group_configs(catalog: Catalog, config: BrokerConfig, group_id: str) -> Values:
    """All group settings of this group (names as in `GROUP_SETTINGS`), whether or not it exists.

    A picture of this moment: to notice a change ask again, which costs some microseconds.
    """
    own = catalog.configs_of(ConfigResource.GROUP, group_id)
    return Values({name: _value(setting, own.get(name), config) for name, setting in GROUP_SETTINGS.items()})


def group_times(catalog: Catalog, config: BrokerConfig, group_id: str) -> GroupTimes:
    """What each decision about a consumer group needs of that."""
    own = catalog.configs_of(ConfigResource.GROUP, group_id)
    return GroupTimes(
        *(
            cast(int, _value(GROUP_SETTINGS[name], own.get(name), config))
            for name in (
                "consumer.session.timeout.ms",
                "consumer.heartbeat.interval.ms",
                "consumer.assignment.interval.ms",
            )
        )
    )


def _value(setting: Setting, text: str | None, config: BrokerConfig) -> Value:
    if text is None:
        return config[setting.synonyms[0]] if setting.synonyms else setting.default
    value = setting.parse(text)
    least, most = limits_of(setting.name, config)
    if isinstance(value, int) and least is not None and value < least:
        return least
    if isinstance(value, int) and most is not None and value > most:
        return most
    return value
