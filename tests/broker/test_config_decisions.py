"""What AlterConfigs and IncrementalAlterConfigs decide; refusals in Apache Kafka 4.3.1's words, as it gave them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import ConfigResource, ConfigsChanged, PartitionState, TopicCreated
from ottla.broker.config import BrokerConfig
from ottla.broker.config_decisions import (
    Alteration,
    AlterResult,
    Operation,
    ResourceAlteration,
    decide_alter,
    decide_incremental_alter,
)
from ottla.protocol.errors import ErrorCode

TOPIC, BROKER, GROUP, CLIENT_METRICS = (
    ConfigResource.TOPIC,
    ConfigResource.BROKER,
    ConfigResource.GROUP,
    ConfigResource.CLIENT_METRICS,
)
CONFIG = BrokerConfig({"node.id": "1"})


def catalog_with(**configs: str) -> Catalog:
    """A catalog with a topic t, on which these are set (dots are written as underscores)."""
    catalog = Catalog()
    texts = {name.replace("_", "."): text for name, text in configs.items()}
    catalog.apply(TopicCreated(UUID(int=1), "t", (PartitionState(1, 0, (1,), (1,)),), texts))
    return catalog


def setting(name: str, value: str | None) -> Alteration:
    return Alteration(name, value)


def change(*alterations: Alteration, resource: int = TOPIC, name: str = "t", catalog: Catalog | None = None) -> Any:
    """The changes decided on for one resource, or the refusal as (code, message)."""
    catalog = catalog or catalog_with()
    asked = ResourceAlteration(resource, name, alterations)
    records, [result] = decide_incremental_alter(catalog, CONFIG, [asked])
    if result.error_code is not ErrorCode.NONE:
        assert records == []
        return result.error_code.name, result.error_message
    return {} if not records else records[0].changes


def operate(operation: int, name: str, value: str | None) -> Alteration:
    return Alteration(name, value, operation)


# -- a topic's


def test_a_value_is_set_as_it_was_sent() -> None:
    assert change(setting("retention.ms", " 5000 ")) == {"retention.ms": " 5000 "}


def test_what_is_already_so_writes_nothing() -> None:
    assert change(setting("retention.ms", "5"), catalog=catalog_with(retention_ms="5")) == {}
    assert change(operate(Operation.DELETE, "segment.ms", None)) == {}
    assert change() == {}


def test_a_deleted_config_is_back_at_its_default() -> None:
    assert change(operate(Operation.DELETE, "retention.ms", "ignored"), catalog=catalog_with(retention_ms="5")) == {
        "retention.ms": None
    }


@pytest.mark.parametrize(
    ("before", "operation", "value", "after"),
    [
        (None, Operation.APPEND, "compact", "delete,compact"),
        ("compact", Operation.APPEND, "compact,delete", "compact,delete"),
        ("compact,delete", Operation.SUBTRACT, "delete,unknown", "compact"),
        ("compact", Operation.SUBTRACT, "compact", ""),
        ("", Operation.APPEND, "compact , delete", "compact , delete"),
        (None, Operation.SUBTRACT, "delete", ""),
    ],
)
def test_lists_grow_and_shrink_word_by_word(before: str | None, operation: Operation, value: str, after: str) -> None:
    catalog = catalog_with() if before is None else catalog_with(cleanup_policy=before)
    changes = change(operate(operation, "cleanup.policy", value), catalog=catalog)
    assert changes == ({} if before == after else {"cleanup.policy": after})


NOT_A_LIST = "Can't {} to key {} because its type is not LIST."


@pytest.mark.parametrize(
    ("alteration", "code", "message"),
    [
        (setting("nope", "1"), "INVALID_CONFIG", "Unknown topic config name: nope"),
        (
            setting("retention.ms", "x"),
            "INVALID_CONFIG",
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (setting("retention.ms", None), "INVALID_REQUEST", "Null value not supported for : retention.ms"),
        (
            operate(Operation.APPEND, "segment.ms", None),
            "INVALID_REQUEST",
            "Null value not supported for : segment.ms",
        ),
        (
            operate(Operation.APPEND, "retention.ms", "1"),
            "INVALID_CONFIG",
            NOT_A_LIST.format("APPEND", "retention.ms"),
        ),
        (
            operate(Operation.SUBTRACT, "nope", "1"),
            "INVALID_CONFIG",
            NOT_A_LIST.format("SUBTRACT", "nope"),
        ),
        (
            operate(Operation.APPEND, "cleanup.policy", "foo"),
            "INVALID_CONFIG",
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        (operate(4, "cleanup.policy", "compact"), "INVALID_REQUEST", "Unknown operations type 4"),
        (operate(-1, "cleanup.policy", "compact"), "INVALID_REQUEST", "Unknown operations type -1"),
    ],
)
def test_a_topics_config_is_refused_as_kafka_refuses_it(alteration: Alteration, code: str, message: str) -> None:
    assert change(alteration) == (code, message)


def test_deleting_what_nobody_knows_is_allowed() -> None:
    assert change(operate(Operation.DELETE, "nope", None)) == {}


def test_configs_that_do_not_go_together_are_refused_together() -> None:
    assert change(setting("min.compaction.lag.ms", "100"), setting("max.compaction.lag.ms", "10")) == (
        "INVALID_CONFIG",
        "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (10)",
    )


def test_a_name_given_twice_is_refused() -> None:
    assert change(setting("retention.ms", "1"), operate(Operation.DELETE, "retention.ms", None)) == (
        "INVALID_REQUEST",
        "Error due to duplicate config keys",
    )


@pytest.mark.parametrize(
    ("name", "alterations", "code", "message"),
    [
        ("nope", [], "UNKNOWN_TOPIC_OR_PARTITION", "The topic 'nope' does not exist."),
        (
            "nope",
            [setting("retention.ms", "x")],
            "INVALID_CONFIG",
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            "a b",
            [],
            "INVALID_TOPIC_EXCEPTION",
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        ("", [], "INVALID_REQUEST", "Default topic resources are not allowed."),
    ],
)
def test_a_topic_must_be_there(name: str, alterations: list[Alteration], code: str, message: str) -> None:
    assert change(*alterations, name=name) == (code, message)


# -- a broker's


def test_a_broker_keeps_what_is_set_for_it_under_its_id() -> None:
    [record], _ = decide_incremental_alter(
        catalog_with(), CONFIG, [ResourceAlteration(BROKER, "01", [setting("log.retention.ms", "5")])]
    )
    assert record == ConfigsChanged(BROKER, "1", {"log.retention.ms": "5"})


@pytest.mark.parametrize(
    ("name", "alteration", "code", "message"),
    [
        (
            "1",
            setting("num.partitions", "3"),
            "INVALID_REQUEST",
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (
            "",
            setting("num.partitions", "3"),
            "INVALID_REQUEST",
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (
            "1",
            setting("log.retention.ms", "x"),
            "INVALID_REQUEST",
            "Invalid value x for configuration log.retention.ms: Not a number of type LONG",
        ),
        (
            "1",
            setting("leader.replication.throttled.rate", "x"),
            "INVALID_REQUEST",
            "Invalid value x for configuration leader.replication.throttled.rate: Not a number of type LONG",
        ),
        (
            "",
            setting("listeners", "PLAINTEXT://:1"),
            "INVALID_REQUEST",
            "Cannot update these configs at default cluster level, broker id must be specified: [listeners]",
        ),
        (
            "1",
            setting("ssl.keystore.password", "x"),
            "INVALID_REQUEST",
            "These security configs can be dynamically updated only per-listener using the listener prefix: "
            "[ssl.keystore.password]",
        ),
        (
            "1",
            setting("listener.name.plaintext.max.connections", "x"),
            "INVALID_REQUEST",
            "Invalid value x for configuration max.connections: Not a number of type INT",
        ),
        (
            "1",
            operate(Operation.APPEND, "log.retention.ms", "1"),
            "INVALID_CONFIG",
            "Config value append is not allowed for config key: log.retention.ms",
        ),
        ("1", operate(Operation.APPEND, "nope", "1"), "INVALID_CONFIG", "Unknown config name: nope"),
        ("x", setting("a", "b"), "INVALID_REQUEST", "Node id must be an integer, but it is: x"),
        ("2", setting("a", "b"), "INVALID_REQUEST", "Unexpected broker id, expected 1, but received 2"),
    ],
)
def test_a_brokers_config_is_refused_as_kafka_refuses_it(
    name: str, alteration: Alteration, code: str, message: str
) -> None:
    assert change(alteration, resource=BROKER, name=name) == (code, message)


@pytest.mark.parametrize("name", ["1", ""])
def test_a_broker_keeps_names_that_nobody_knows(name: str) -> None:
    assert change(setting("plug.in", "x"), resource=BROKER, name=name) == {"plug.in": "x"}


def test_a_brokers_list_may_be_appended_to() -> None:
    appended = operate(Operation.APPEND, "log.cleanup.policy", "compact")
    assert change(appended, resource=BROKER, name="") == {"log.cleanup.policy": "delete,compact"}


def test_what_a_node_has_must_go_with_what_all_have() -> None:
    catalog = catalog_with()
    catalog.apply(
        ConfigsChanged(BROKER, "", {"max.connections.per.ip": "0", "max.connections.per.ip.overrides": "a:1"})
    )
    changes = change(setting("max.connections.per.ip.overrides", ""), resource=BROKER, name="1", catalog=catalog)
    assert changes[0] == "INVALID_REQUEST"


# -- others


@pytest.mark.parametrize(
    ("resource", "name", "alteration", "code", "message"),
    [
        (GROUP, "", setting("a", "b"), "INVALID_REQUEST", "Default group resources are not allowed."),
        (GROUP, "g", setting("nope", "1"), "INVALID_CONFIG", "Unknown group config name: nope"),
        (
            GROUP,
            "g",
            setting("consumer.session.timeout.ms", "1"),
            "INVALID_CONFIG",
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            GROUP,
            "g",
            setting("consumer.heartbeat.interval.ms", "60000"),
            "INVALID_CONFIG",
            "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms",
        ),
        (
            GROUP,
            "g",
            setting("share.auto.offset.reset", "by_duration:xx"),
            "INVALID_CONFIG",
            "Invalid value by_duration:xx for configuration share.auto.offset.reset: Invalid value `by_duration:xx` for "
            "configuration share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format "
            "'by_duration:<PnDTnHnMn.nS>'.",
        ),
        (CLIENT_METRICS, "", setting("a", "b"), "INVALID_REQUEST", "Subscription name can't be empty"),
        (
            CLIENT_METRICS,
            "m",
            setting("nope", "1"),
            "INVALID_REQUEST",
            "Unknown client metrics configuration: nope",
        ),
        (
            CLIENT_METRICS,
            "m",
            setting("interval.ms", "1"),
            "INVALID_REQUEST",
            "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        (
            CLIENT_METRICS,
            "m",
            setting("match", "client_id=["),
            "INVALID_CONFIG",
            "Illegal client matching pattern: client_id=[",
        ),
        (
            CLIENT_METRICS,
            "m",
            operate(Operation.APPEND, "metrics", "x"),
            "INVALID_CONFIG",
            NOT_A_LIST.format("APPEND", "metrics"),
        ),
        (0, "x", setting("a", "b"), "INVALID_REQUEST", "Unknown resource type 0"),
        (127, "x", setting("a", "b"), "INVALID_REQUEST", "Unknown resource type 127"),
    ],
)
def test_other_resources_refuse_as_kafka_refuses(
    resource: int, name: str, alteration: Alteration, code: str, message: str
) -> None:
    assert change(alteration, resource=resource, name=name) == (code, message)


@pytest.mark.parametrize("text", ["earliest", "latest", "by_duration:PT1H", "by_duration:P2DT3H4M5.5S"])
def test_a_share_group_may_begin_in_these_ways(text: str) -> None:
    assert change(setting("share.auto.offset.reset", text), resource=GROUP, name="g") != {}


def test_a_client_metrics_subscription_is_kept() -> None:
    wanted = [setting("interval.ms", "1000"), setting("match", "client_id=a.*"), setting("metrics", "a,b")]
    assert change(*wanted, resource=CLIENT_METRICS, name="m") == {each.name: each.value for each in wanted}


# -- whole requests


def test_each_resource_is_decided_by_itself() -> None:
    records, results = decide_incremental_alter(
        catalog_with(),
        CONFIG,
        [
            ResourceAlteration(TOPIC, "t", [setting("retention.ms", "1")]),
            ResourceAlteration(TOPIC, "nope", [setting("retention.ms", "1")]),
            ResourceAlteration(BROKER, "", [setting("log.retention.ms", "2")]),
        ],
    )
    assert len(records) == 2
    assert [each.error_code for each in results] == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.NONE,
    ]


def test_a_resource_asked_for_twice_is_refused_each_time() -> None:
    twice = [ResourceAlteration(TOPIC, "t", [setting("retention.ms", str(n))]) for n in range(2)]
    records, results = decide_incremental_alter(catalog_with(), CONFIG, twice)
    refusal = AlterResult(TOPIC, "t", ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    assert (records, results) == ([], [refusal] * 2)


# -- AlterConfigs


def test_altering_replaces_all_that_is_set() -> None:
    catalog = catalog_with(retention_ms="5", segment_ms="6")
    [record], _ = decide_alter(catalog, CONFIG, [ResourceAlteration(TOPIC, "t", [setting("retention.ms", "7")])])
    assert record == ConfigsChanged(TOPIC, "t", {"retention.ms": "7", "segment.ms": None})


def test_altering_to_nothing_removes_everything() -> None:
    [record], _ = decide_alter(catalog_with(retention_ms="5"), CONFIG, [ResourceAlteration(TOPIC, "t", [])])
    assert record == ConfigsChanged(TOPIC, "t", {"retention.ms": None})


def test_altering_loggers_is_refused() -> None:
    _, [result] = decide_alter(catalog_with(), CONFIG, [ResourceAlteration(8, "1", [])])
    assert result.error_message == "Unknown resource type 8"
