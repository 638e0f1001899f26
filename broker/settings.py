"""All settings by name: the one place to look them up.

Everything that takes or shows a setting reads these two: the file, the flags, the environment, `--set`,
CreateTopics, DescribeConfigs and AlterConfigs, the documentation.  `BROKER_SETTINGS` holds all that Kafka
knows: `broker_settings` act here, `kafka_settings` are accepted and do nothing.
"""

from __future__ import annotations

from .broker_settings import acting_settings
from .kafka_settings import kafka_only_settings
from .setting import InvalidSetting, Setting, SettingType, Update, Value, format_value
from .topic_settings import TOPIC_SETTINGS

__all__ = [
    "BROKER_SETTINGS",
    "TOPIC_SETTINGS",
    "InvalidSetting",
    "Setting",
    "SettingType",
    "Update",
    "Value",
    "format_value",
]


def _broker_settings() -> dict[str, Setting]:
    kafka_only = {setting.name: setting for setting in kafka_only_settings()}
    return dict(sorted((kafka_only | acting_settings()).items()))


BROKER_SETTINGS: dict[str, Setting] = _broker_settings()
