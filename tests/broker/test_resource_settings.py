"""The settings of groups and client metrics are those of Apache Kafka 4.3.1."""

from __future__ import annotations

import pytest
from ottla.broker.resource_settings import CLIENT_METRICS_SETTINGS, GROUP_SETTINGS, check_group_configs
from ottla.broker.setting import InvalidSetting
from ottla.broker.settings import BROKER_SETTINGS

LIMITED = [name for name in GROUP_SETTINGS if "initial" not in name and GROUP_SETTINGS[name].type == 3]
DEFAULTS = {name: setting.default for name, setting in BROKER_SETTINGS.items()}


def test_the_names_types_and_defaults_are_kafkas() -> None:
    def rows(table: dict) -> dict:  # type: ignore[type-arg]
        return {name: (each.type.name, each.format(each.default)) for name, each in table.items()}

    assert rows(CLIENT_METRICS_SETTINGS) == {
        "interval.ms": ("INT", "300000"),
        "match": ("LIST", ""),
        "metrics": ("LIST", ""),
    }
    assert rows(GROUP_SETTINGS) == {
        "consumer.assignment.interval.ms": ("INT", "1000"),
        "consumer.heartbeat.interval.ms": ("INT", "5000"),
        "consumer.session.timeout.ms": ("INT", "45000"),
        "share.assignment.interval.ms": ("INT", "1000"),
        "share.auto.offset.reset": ("STRING", "latest"),
        "share.delivery.count.limit": ("INT", "5"),
        "share.heartbeat.interval.ms": ("INT", "5000"),
        "share.isolation.level": ("STRING", "read_uncommitted"),
        "share.partition.max.record.locks": ("INT", "2000"),
        "share.record.lock.duration.ms": ("INT", "30000"),
        "share.renew.acknowledge.enable": ("BOOLEAN", "true"),
        "share.session.timeout.ms": ("INT", "45000"),
        "streams.assignment.interval.ms": ("INT", "1000"),
        "streams.heartbeat.interval.ms": ("INT", "5000"),
        "streams.initial.rebalance.delay.ms": ("INT", "3000"),
        "streams.num.standby.replicas": ("INT", "0"),
        "streams.session.timeout.ms": ("INT", "45000"),
    }


def test_each_default_is_the_brokers_and_within_the_brokers_limits() -> None:
    for name, setting in GROUP_SETTINGS.items():
        for synonym in setting.synonyms:
            assert BROKER_SETTINGS[synonym].default == setting.default
        check_group_configs({name: setting.format(setting.default) or ""}, DEFAULTS)


@pytest.mark.parametrize("name", LIMITED)
def test_a_number_beyond_the_brokers_limit_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} must be less than or equal to group\\."):
        check_group_configs({name: "2147483647"}, DEFAULTS)


def test_a_number_below_the_brokers_limit_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="must be greater than or equal to"):
        check_group_configs({"share.session.timeout.ms": "1"}, DEFAULTS)
