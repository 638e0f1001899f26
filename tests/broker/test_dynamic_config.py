"""The configuration that results from what was set while the broker runs, and how it is described."""

from __future__ import annotations

import logging

import pytest
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import ConfigResource, ConfigsChanged
from ottla.broker.config import BrokerConfig
from ottla.broker.config_description import (
    Description,
    describe_broker,
    describe_client_metrics,
    describe_cluster_default,
    describe_group,
    describe_topic,
)
from ottla.broker.dynamic_config import config_in_force

STATIC = BrokerConfig({"node.id": "1", "log.retention.hours": "2"})


def catalog_with(node: dict[str, str | None], cluster: dict[str, str | None]) -> Catalog:
    catalog = Catalog()
    catalog.apply(ConfigsChanged(ConfigResource.BROKER, "1", node))
    catalog.apply(ConfigsChanged(ConfigResource.BROKER, "", cluster))
    return catalog


def named(name: str, descriptions: object) -> Description:
    assert hasattr(descriptions, "__iter__")
    return next(each for each in descriptions if each.name == name)


def test_what_is_set_for_the_node_is_stronger_than_what_is_set_for_all() -> None:
    catalog = catalog_with({"message.max.bytes": "5"}, {"message.max.bytes": "6", "log.segment.bytes": "2000000"})
    config = config_in_force(STATIC, catalog)
    assert config["message.max.bytes"] == 5
    assert config["log.segment.bytes"] == 2_000_000


def test_what_another_node_has_set_does_not_act_here() -> None:
    catalog = Catalog()
    catalog.apply(ConfigsChanged(ConfigResource.BROKER, "2", {"message.max.bytes": "5"}))
    assert config_in_force(STATIC, catalog)["message.max.bytes"] == STATIC["message.max.bytes"]


def test_dynamic_settings_that_do_not_go_with_the_files_are_left_out_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    catalog = catalog_with({"message.max.bytes": "no number", "log.segment.bytes": "2000000"}, {})
    with caplog.at_level(logging.ERROR):
        config = config_in_force(STATIC, catalog)
    assert config["log.segment.bytes"] == STATIC["log.segment.bytes"]
    assert "no number" in caplog.text


def test_a_topics_setting_is_described_with_all_that_was_said() -> None:
    catalog = catalog_with({"log.retention.ms": "7"}, {"log.retention.ms": "8"})
    config = config_in_force(STATIC, catalog)
    described = named("retention.ms", describe_topic(config, {"retention.ms": " 6 "}))
    assert (described.text, described.source) == ("6", 1)
    assert described.synonyms == (
        ("retention.ms", "6", 1),
        ("log.retention.ms", "7", 2),
        ("log.retention.ms", "8", 3),
        ("log.retention.hours", "2", 4),
        ("log.retention.hours", "168", 5),
    )


def test_a_name_that_nobody_knows_is_described_without_its_value() -> None:
    config = config_in_force(STATIC, catalog_with({"plug.in": "secret"}, {"plug.in": "other"}))
    described = named("plug.in", describe_broker(config, {"plug.in": "secret"}, {"plug.in": "other"}))
    assert described == Description(
        name="plug.in",
        text=None,
        source=2,
        type=0,
        synonyms=(("plug.in", None, 2), ("plug.in", None, 3)),
        is_read_only=True,
        is_sensitive=True,
    )


def test_a_setting_for_one_listener_is_described_with_the_one_it_is_made_of() -> None:
    name = "listener.name.plaintext.max.connections"
    described = named(name, describe_broker(STATIC, {name: "55"}, {}))
    assert (described.text, described.source, described.type) == ("55", 2, 3)
    assert described.synonyms == ((name, "55", 2), ("max.connections", "2147483647", 5))


def test_a_rate_that_only_exists_while_the_broker_runs_is_described_where_it_is_set() -> None:
    name = "leader.replication.throttled.rate"
    assert name not in {each.name for each in describe_broker(STATIC, {}, {})}
    described = named(name, describe_broker(STATIC, {name: "1000"}, {}))
    assert (described.text, described.is_read_only, described.synonyms) == ("1000", False, ((name, "1000", 2),))


def test_what_is_set_for_all_is_described_as_it_was_sent() -> None:
    described = list(describe_cluster_default({"log.retention.ms": " 5 ", "plug.in": "secret"}))
    assert [(each.name, each.text, each.is_sensitive) for each in described] == [
        ("log.retention.ms", " 5 ", False),
        ("plug.in", None, True),
    ]


def test_internal_settings_are_described_only_where_they_are_set() -> None:
    def names(overrides: dict[str, str]) -> set[str]:
        return {each.name for each in describe_topic(STATIC, overrides)}

    assert names({"internal.segment.bytes": "1000"}) - names({}) == {"internal.segment.bytes"}


def test_a_group_has_the_brokers_defaults_until_it_has_its_own() -> None:
    config = BrokerConfig({"node.id": "1", "group.consumer.session.timeout.ms": "50000"})
    broker_said = (
        ("group.consumer.session.timeout.ms", "50000", 4),
        ("group.consumer.session.timeout.ms", "45000", 5),
    )
    described = named("consumer.session.timeout.ms", describe_group(config, {}))
    assert (described.text, described.source, described.synonyms) == ("50000", 4, broker_said)
    own = named("consumer.session.timeout.ms", describe_group(config, {"consumer.session.timeout.ms": "55000"}))
    assert (own.text, own.source) == ("55000", 8)
    assert own.synonyms == (("consumer.session.timeout.ms", "55000", 8), *broker_said)


def test_a_group_setting_without_a_brokers_is_its_own_default() -> None:
    described = named("share.auto.offset.reset", describe_group(STATIC, {}))
    assert described.synonyms == (("share.auto.offset.reset", "latest", 5),)


def test_a_client_metrics_subscription_shows_what_it_has_and_the_defaults() -> None:
    described = {each.name: (each.text, each.source) for each in describe_client_metrics({"metrics": " a , b "})}
    assert described == {"interval.ms": ("300000", 5), "match": ("", 5), "metrics": ("a,b", 7)}
