"""What is in force, and where it comes from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ottla.broker.config import DEFAULT_REQUEST_MEMORY_BYTES, BrokerConfig, ConfigSource, Synonym
from ottla.broker.setting import InvalidSetting
from ottla.storage.config import LogConfig

DAY_MS = 86_400_000


def test_without_any_setting_the_defaults_are_in_force() -> None:
    config = BrokerConfig()

    assert config.node_id == 1
    assert str(config.data_directory) == "ottla-data"
    assert config.whole("num.partitions") == 1
    assert config.flag("auto.create.topics.enable")
    assert config.log_config() == LogConfig()


def test_a_dynamic_value_of_this_broker_goes_before_one_of_all_brokers_and_before_the_file() -> None:
    static = BrokerConfig({"message.max.bytes": "1000"})
    all_brokers = static.with_dynamic(dynamic={}, cluster_default={"message.max.bytes": "2000"})
    this_broker = static.with_dynamic(
        dynamic={"message.max.bytes": "3000"}, cluster_default={"message.max.bytes": "2000"}
    )

    assert [c.whole("message.max.bytes") for c in (static, all_brokers, this_broker)] == [1000, 2000, 3000]


def test_a_change_leaves_the_configuration_it_came_from_as_it_was() -> None:
    before = BrokerConfig({"log.segment.bytes": "2000000"})

    before.with_dynamic(dynamic={"log.segment.bytes": "3000000"}, cluster_default={})

    assert before.whole("log.segment.bytes") == 2_000_000


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"num.partitions": "0"}, "Invalid value 0 for configuration num.partitions: Value must be at least 1"),
        ({"node.id": "1", "broker.id": "2"}, "You must set `node.id` to the same value as `broker.id`."),
        ({"log.roll.ms": "0"}, "log.roll.ms must be greater than or equal to 1"),
        ({"log.roll.jitter.ms": "-1"}, "log.roll.jitter.ms must be greater than or equal to 0"),
        ({"log.retention.hours": "0"}, r"log.retention.ms must be unlimited \(-1\) or"),
        ({"log.retention.ms": "0"}, r"log.retention.ms must be unlimited \(-1\) or"),
        ({"queued.max.request.bytes": "5"}, "must be larger or equal to socket.request.max.bytes"),
        ({"max.connections.per.ip": "0"}, "can be set to zero only if"),
        ({"max.connections.per.ip.overrides": "localhost:x"}, "localhost:x is not HOST:COUNT"),
        ({"log.dirs": "a,b"}, "one is supported yet"),
        ({"listener.security.protocol.map": "PLAINTEXT"}, "PLAINTEXT is not NAME:PROTOCOL"),
        ({"listener.security.protocol.map": "PLAINTEXT:FOO"}, "Invalid security protocol `FOO`"),
    ],
)
def test_settings_that_cannot_stand_together_are_refused(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidSetting, match=reason):
        BrokerConfig(settings)


def test_a_dynamic_change_is_checked_like_the_rest() -> None:
    with pytest.raises(InvalidSetting, match=r"log.roll.ms must be"):
        BrokerConfig().with_dynamic(dynamic={"log.roll.ms": "0"}, cluster_default={})


def test_node_id_and_broker_id_are_one() -> None:
    assert BrokerConfig({"broker.id": "7"}).node_id == 7
    assert BrokerConfig({"node.id": "7"}).whole("broker.id") == 7


def test_the_memory_for_requests_is_bounded_where_kafka_has_no_bound() -> None:
    large = {"socket.request.max.bytes": str(2**30)}

    assert BrokerConfig().request_memory_bytes == DEFAULT_REQUEST_MEMORY_BYTES
    assert BrokerConfig({"queued.max.request.bytes": "200000000"}).request_memory_bytes == 200_000_000
    assert BrokerConfig(large).request_memory_bytes == 2**30


def test_some_addresses_may_have_a_limit_of_their_own() -> None:
    config = BrokerConfig({"max.connections.per.ip.overrides": "127.0.0.1:5, host:0"})

    assert config.max_connections_of_address == {"127.0.0.1": 5, "host": 0}


# -- topics


@pytest.mark.parametrize(
    ("settings", "retention_ms"),
    [
        ({}, 7 * DAY_MS),
        ({"log.retention.hours": "1"}, 3_600_000),
        ({"log.retention.hours": "1", "log.retention.minutes": "5"}, 300_000),
        ({"log.retention.minutes": "5", "log.retention.ms": "7"}, 7),
        ({"log.retention.hours": "-1"}, -1),
        ({"log.retention.minutes": "-9"}, -1),
        ({"log.retention.ms": "-5"}, -1),
    ],
)
def test_retention_comes_from_the_finest_unit_that_was_given(settings: dict[str, str], retention_ms: int) -> None:
    assert BrokerConfig(settings).topic().whole("retention.ms") == retention_ms


def test_segments_roll_by_the_brokers_settings() -> None:
    config = BrokerConfig({"log.roll.hours": "2", "log.roll.jitter.ms": "9", "log.flush.scheduler.interval.ms": "8"})

    log_config = config.log_config()

    assert (log_config.segment_ms, log_config.segment_jitter_ms, log_config.flush_ms) == (7_200_000, 9, 8)


def test_what_is_set_on_a_topic_goes_before_the_brokers_settings() -> None:
    config = BrokerConfig({"log.segment.bytes": "2000000", "log.retention.bytes": "10"})

    log_config = config.log_config({"segment.bytes": " 3000000 ", "cleanup.policy": "compact, delete"})

    assert log_config == replace(
        LogConfig(),
        segment_bytes=3_000_000,
        retention_bytes=10,
        cleanup_policy=frozenset({"compact", "delete"}),
    )


def test_a_log_knows_how_long_to_remember_a_producer() -> None:
    assert BrokerConfig({"producer.id.expiration.ms": "5"}).log_config().producer_id_expiration_ms == 5


def test_kafkas_own_secret_allows_segments_smaller_than_a_mebibyte() -> None:
    assert BrokerConfig().log_config({"internal.segment.bytes": "100"}).segment_bytes == 100


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"retention.ms": "x", "foo": "y"}, "Unknown topic config name: foo"),
        ({"retention.ms": "x"}, "Invalid value x for configuration retention.ms: Not a number of type LONG"),
        (
            {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"},
            r"conflict topic config setting min.compaction.lag.ms \(10\) > max.compaction.lag.ms \(5\)",
        ),
        ({"remote.storage.enable": "true"}, "Tiered Storage functionality is disabled in the broker."),
    ],
)
def test_a_topic_is_not_given_settings_that_it_cannot_have(overrides: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidSetting, match=reason):
        BrokerConfig().topic(overrides)


# -- where it comes from


def test_a_topics_value_lists_all_that_was_said_about_it_the_strongest_first() -> None:
    config = BrokerConfig({"log.segment.bytes": "2000000"}).with_dynamic(
        dynamic={"log.segment.bytes": "3000000"}, cluster_default={"log.segment.bytes": "4000000"}
    )

    described = config.topic_value("segment.bytes", {"segment.bytes": "5000000"})

    assert (described.value, described.text, described.source) == (5_000_000, "5000000", ConfigSource.DYNAMIC_TOPIC)
    assert described.synonyms == (
        Synonym("segment.bytes", "5000000", ConfigSource.DYNAMIC_TOPIC),
        Synonym("log.segment.bytes", "3000000", ConfigSource.DYNAMIC_BROKER),
        Synonym("log.segment.bytes", "4000000", ConfigSource.DYNAMIC_DEFAULT_BROKER),
        Synonym("log.segment.bytes", "2000000", ConfigSource.STATIC_BROKER),
        Synonym("log.segment.bytes", "1073741824", ConfigSource.DEFAULT),
    )


def test_only_what_follows_the_first_synonym_is_told_as_in_kafka() -> None:
    by_hours = BrokerConfig({"log.retention.hours": "1"}).topic_value("retention.ms")
    by_both = BrokerConfig({"log.retention.hours": "1", "log.retention.ms": "5"}).topic_value("retention.ms")

    assert (by_hours.text, by_hours.source, by_hours.synonyms) == ("3600000", ConfigSource.DEFAULT, ())
    assert by_both.synonyms == (
        Synonym("log.retention.ms", "5", ConfigSource.STATIC_BROKER),
        Synonym("log.retention.hours", "1", ConfigSource.STATIC_BROKER),
        Synonym("log.retention.hours", "168", ConfigSource.DEFAULT),
    )


def test_a_brokers_value_tells_its_source() -> None:
    config = BrokerConfig({"num.partitions": " 4 "})

    described = config.broker_value("num.partitions")

    assert (described.value, described.text, described.source) == (4, "4", ConfigSource.STATIC_BROKER)
    assert config.broker_value("fetch.max.bytes").source == ConfigSource.DEFAULT
    assert config.broker_value("log.retention.ms").text is None


def test_a_brokers_value_names_the_weaker_settings_that_mean_the_same() -> None:
    config = BrokerConfig({"log.retention.minutes": "50"})

    assert config.broker_value("log.retention.minutes").synonyms == (
        Synonym("log.retention.minutes", "50", ConfigSource.STATIC_BROKER),
        Synonym("log.retention.hours", "168", ConfigSource.DEFAULT),
    )
    assert config.broker_value("log.retention.hours").synonyms == (
        Synonym("log.retention.hours", "168", ConfigSource.DEFAULT),
    )


def test_a_password_is_never_shown() -> None:
    config = BrokerConfig({"ssl.key.password": "secret"}).with_dynamic(
        dynamic={}, cluster_default={"ssl.key.password": "secret"}
    )

    described = (config.broker_value("ssl.key.password"), config.cluster_default_value("ssl.key.password"))

    for each in described:
        assert each is not None
        assert each.text is None
        assert all(synonym.text is None for synonym in each.synonyms)


def test_what_is_set_for_all_brokers_is_described_apart() -> None:
    config = BrokerConfig({"message.max.bytes": "1"}).with_dynamic(
        dynamic={"message.max.bytes": "2"}, cluster_default={"message.max.bytes": "3"}
    )

    described = config.cluster_default_value("message.max.bytes")

    assert described is not None
    assert (described.text, described.source) == ("3", ConfigSource.DYNAMIC_DEFAULT_BROKER)
    assert config.cluster_default_value("log.segment.bytes") is None
