"""A group has what was set on it, else what the broker says, and never more than the broker allows."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import ConfigResource, ConfigsChanged
from ottla.broker.config import BrokerConfig
from ottla.broker.group_configs import group_configs
from ottla.broker.resource_settings import GROUP_SETTINGS


def catalog_with(configs: Mapping[str, str | None]) -> Catalog:
    catalog = Catalog()
    catalog.apply(ConfigsChanged(ConfigResource.GROUP, "g", dict(configs)))
    return catalog


def test_a_group_nobody_configured_has_the_brokers_settings() -> None:
    config = BrokerConfig({"group.consumer.session.timeout.ms": "50000"})

    found = group_configs(Catalog(), config, "g")

    assert set(found) == set(GROUP_SETTINGS)
    assert found.whole("consumer.session.timeout.ms") == 50_000
    assert found.whole("consumer.heartbeat.interval.ms") == 5_000
    assert found.text("share.auto.offset.reset") == "latest"


def test_what_is_set_on_a_group_is_that_groups_alone_until_it_is_taken_back() -> None:
    catalog, config = catalog_with({"consumer.session.timeout.ms": "47000"}), BrokerConfig()

    assert group_configs(catalog, config, "g").whole("consumer.session.timeout.ms") == 47_000
    assert group_configs(catalog, config, "other").whole("consumer.session.timeout.ms") == 45_000

    catalog.apply(ConfigsChanged(ConfigResource.GROUP, "g", {"consumer.session.timeout.ms": None}))
    assert group_configs(catalog, config, "g").whole("consumer.session.timeout.ms") == 45_000


def test_a_value_beyond_what_the_broker_allows_by_now_is_taken_to_the_limit() -> None:
    catalog = catalog_with({"consumer.session.timeout.ms": "47000", "consumer.heartbeat.interval.ms": "6000"})
    config = BrokerConfig(
        {"group.consumer.max.session.timeout.ms": "46000", "group.consumer.min.heartbeat.interval.ms": "7000",
         "group.consumer.heartbeat.interval.ms": "8000"}
    )  # fmt: skip

    found = group_configs(catalog, config, "g")

    assert found.whole("consumer.session.timeout.ms") == 46_000
    assert found.whole("consumer.heartbeat.interval.ms") == 7_000
