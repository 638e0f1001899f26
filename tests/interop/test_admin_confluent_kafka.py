"""The admin client of confluent-kafka (librdkafka): topics, partitions, configs, records, offsets, the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from interop.clients import ConfluentKafka
from interop.messages import Message, numbered
from interop.waiting import eventually

pytestmark = pytest.mark.interop

MakeTopic = Callable[..., str]
DEADLINE_S = 60


@pytest.fixture
def admin(bootstrap: str) -> Iterator[AdminClient]:
    return AdminClient({"bootstrap.servers": bootstrap})


def test_a_topic_is_created_listed_described_and_deleted(admin: AdminClient, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    create(admin, NewTopic(topic, num_partitions=3, replication_factor=1, config={"retention.ms": "60000"}))

    listed = admin.list_topics(timeout=DEADLINE_S).topics[topic]
    assert sorted(listed.partitions) == [0, 1, 2]
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(DEADLINE_S)
    assert str(described.topic_id) not in ("", "AAAAAAAAAAAAAAAAAAAAAA")
    assert not described.is_internal
    for partition in described.partitions:
        assert partition.leader.id == partition.replicas[0].id == partition.isr[0].id
    assert config_of(admin, topic)["retention.ms"].value == "60000"

    delete(admin, topic)
    eventually(lambda: topic in admin.list_topics(timeout=DEADLINE_S).topics, False)
    assert refusal(lambda: described_of(admin, topic)) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_topic_may_leave_its_numbers_to_the_broker(admin: AdminClient, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    create(admin, NewTopic(topic))
    assert len(described_of(admin, topic).partitions) == 1


def test_a_topic_created_again_has_another_id(admin: AdminClient, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    ids = []
    for _ in range(2):
        create(admin, NewTopic(topic))
        ids.append(str(described_of(admin, topic).topic_id))
        delete(admin, topic)
    assert ids[0] != ids[1]


def test_validate_only_creates_nothing(admin: AdminClient, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    admin.create_topics([NewTopic(topic)], validate_only=True)[topic].result(DEADLINE_S)
    assert refusal(lambda: described_of(admin, topic)) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_replicas_may_be_assigned_by_hand(admin: AdminClient, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    (node,) = admin.list_topics(timeout=DEADLINE_S).brokers
    create(admin, NewTopic(topic, 2, replica_assignment=[[node], [node]]))
    assert [each.leader.id for each in described_of(admin, topic).partitions] == [node, node]


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (lambda name: NewTopic(name, 0), KafkaError.INVALID_PARTITIONS),
        (lambda name: NewTopic(name, 1, 3), KafkaError.INVALID_REPLICATION_FACTOR),
        (lambda name: NewTopic(name, 1, replica_assignment=[[999]]), KafkaError.INVALID_REPLICA_ASSIGNMENT),
        (lambda name: NewTopic(name, config={"no.such.setting": "1"}), KafkaError.INVALID_CONFIG),
        (lambda name: NewTopic(name, config={"retention.ms": "long"}), KafkaError.INVALID_CONFIG),
        (lambda name: NewTopic(f"{name} with spaces"), KafkaError.TOPIC_EXCEPTION),
        (lambda name: NewTopic("x" * 250), KafkaError.TOPIC_EXCEPTION),
    ],
    ids=["no partitions", "three replicas", "unknown node", "unknown setting", "bad value", "spaces", "too long"],
)
def test_a_topic_that_cannot_be_is_refused(
    topic: Callable[[str], NewTopic], code: int, admin: AdminClient, topic_name: Callable[..., str]
) -> None:
    assert refusal(lambda: create(admin, topic(topic_name()))) == code


def test_a_topic_that_exists_is_not_created_again(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    assert refusal(lambda: create(admin, NewTopic(topic))) == KafkaError.TOPIC_ALREADY_EXISTS


def test_a_topic_that_is_not_there_is_not_deleted(admin: AdminClient, topic_name: Callable[..., str]) -> None:
    assert refusal(lambda: delete(admin, topic_name())) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_partitions_are_added_and_never_taken(admin: AdminClient, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    admin.create_partitions([NewPartitions(topic, 5)], validate_only=True)[topic].result(DEADLINE_S)
    assert len(described_of(admin, topic).partitions) == 2

    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(DEADLINE_S)

    assert len(described_of(admin, topic).partitions) == 5
    assert ConfluentKafka().produce(bootstrap, topic, numbered(1), partition=4) == [0]
    for count in (5, 1):
        fewer = admin.create_partitions([NewPartitions(topic, count)])[topic]
        assert refusal(lambda fewer=fewer: fewer.result(DEADLINE_S)) == KafkaError.INVALID_PARTITIONS


def test_a_topics_configs_say_value_and_source(admin: AdminClient, make_topic: MakeTopic) -> None:
    config = config_of(admin, make_topic(config={"segment.bytes": "1048576"}))
    assert (config["segment.bytes"].value, config["segment.bytes"].source) == (
        "1048576",
        ConfigSource.DYNAMIC_TOPIC_CONFIG.value,
    )
    assert (config["retention.bytes"].value, config["retention.bytes"].source) == (
        "-1",
        ConfigSource.DEFAULT_CONFIG.value,
    )
    assert config["cleanup.policy"].value == "delete"
    assert "log.segment.bytes" in config["segment.bytes"].synonyms


def test_configs_change_one_by_one(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(config={"retention.ms": "1000", "segment.ms": "5000"})

    change(admin, topic, ("retention.ms", "2000", AlterConfigOpType.SET))
    change(admin, topic, ("cleanup.policy", "compact", AlterConfigOpType.APPEND))
    appended = {"retention.ms": "2000", "segment.ms": "5000", "cleanup.policy": "delete,compact"}
    eventually(lambda: overrides(admin, topic), appended)

    change(admin, topic, ("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT))
    change(admin, topic, ("segment.ms", None, AlterConfigOpType.DELETE))
    eventually(lambda: overrides(admin, topic), {"retention.ms": "2000", "cleanup.policy": "compact"})


def test_configs_change_all_at_once(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(config={"retention.ms": "1000"})
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"segment.ms": "7000"})
    admin.alter_configs([resource])[resource].result(DEADLINE_S)
    eventually(lambda: overrides(admin, topic), {"segment.ms": "7000"})


@pytest.mark.parametrize(("name", "value"), [("retention.ms", "long"), ("no.such.setting", "1")])
def test_a_bad_change_of_configs_is_refused_and_changes_nothing(
    name: str, value: str, admin: AdminClient, make_topic: MakeTopic
) -> None:
    topic = make_topic(config={"segment.ms": "5000"})
    change_it = lambda: change(  # noqa: E731
        admin, topic, ("retention.bytes", "9", AlterConfigOpType.SET), (name, value, AlterConfigOpType.SET)
    )
    assert refusal(change_it) == KafkaError.INVALID_CONFIG
    assert overrides(admin, topic) == {"segment.ms": "5000"}


def test_a_changed_config_acts_at_once(admin: AdminClient, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    big = [Message(value=b"x" * 2_000)]
    ConfluentKafka().produce(bootstrap, topic, big)
    change(admin, topic, ("max.message.bytes", "1000", AlterConfigOpType.SET))
    eventually(lambda: overrides(admin, topic), {"max.message.bytes": "1000"})
    assert refusal(lambda: ConfluentKafka().produce(bootstrap, topic, big)) == KafkaError.MSG_SIZE_TOO_LARGE


def test_the_brokers_configs_are_described_and_changed(admin: AdminClient) -> None:
    (node,) = admin.list_topics(timeout=DEADLINE_S).brokers
    resource = ConfigResource(ResourceType.BROKER, str(node))
    before = admin.describe_configs([resource])[resource].result(DEADLINE_S)
    assert before["node.id"].value == str(node)
    assert before["node.id"].is_read_only
    assert not before["log.retention.ms"].is_read_only

    def change_retention(operation: AlterConfigOpType, value: str | None) -> None:
        entry = ConfigEntry("log.retention.ms", value, incremental_operation=operation)
        asked = ConfigResource(ResourceType.BROKER, str(node), incremental_configs=[entry])
        admin.incremental_alter_configs([asked])[asked].result(DEADLINE_S)

    def retention() -> tuple[str | None, int]:
        entry = admin.describe_configs([resource])[resource].result(DEADLINE_S)["log.retention.ms"]
        return entry.value, entry.source

    undone = retention()
    try:
        change_retention(AlterConfigOpType.SET, "123456789")
        eventually(retention, ("123456789", ConfigSource.DYNAMIC_BROKER_CONFIG.value))
    finally:
        change_retention(AlterConfigOpType.DELETE, None)
    eventually(retention, undone)


def test_records_are_deleted_up_to_an_offset(admin: AdminClient, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    client = ConfluentKafka()
    client.produce(bootstrap, topic, numbered(10))
    asked = TopicPartition(topic, 0, 4)

    assert admin.delete_records([asked])[asked].result(DEADLINE_S).low_watermark == 4

    assert offset(admin, topic, OffsetSpec.earliest()).offset == 4
    assert [message.offset for message in client.read(bootstrap, topic, offset=4, count=6)] == list(range(4, 10))
    with pytest.raises(KafkaException) as refused:
        client.read(bootstrap, topic, offset=3, count=1)
    # "no offset reset policy": what librdkafka makes of an offset that is out of range
    assert refused.value.args[0].code() == KafkaError._AUTO_OFFSET_RESET
    beyond = TopicPartition(topic, 0, 11)
    assert refusal(lambda: admin.delete_records([beyond])[beyond].result(DEADLINE_S)) == KafkaError.OFFSET_OUT_OF_RANGE
    everything = TopicPartition(topic, 0, -1)
    assert admin.delete_records([everything])[everything].result(DEADLINE_S).low_watermark == 10


def test_offsets_are_listed_by_place_and_by_time(admin: AdminClient, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    start_ms = int(time.time() * 1000) - 10_000
    times = [start_ms, start_ms + 100, start_ms + 900, start_ms + 200]
    for at in times:
        ConfluentKafka().produce(bootstrap, topic, [Message(value=b"x", timestamp_ms=at)])

    assert offset(admin, topic, OffsetSpec.earliest()).offset == 0
    assert offset(admin, topic, OffsetSpec.latest()).offset == 4
    newest = offset(admin, topic, OffsetSpec.max_timestamp())
    assert (newest.offset, newest.timestamp) == (2, times[2])
    for asked, found in [
        (start_ms - 5, 0),
        (start_ms, 0),
        (start_ms + 1, 1),
        (start_ms + 150, 2),
        (start_ms + 901, -1),
    ]:
        assert offset(admin, topic, OffsetSpec.for_timestamp(asked)).offset == found, asked - start_ms


def test_an_empty_partition_has_no_offset_for_a_time(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    assert offset(admin, topic, OffsetSpec.latest()).offset == 0
    assert offset(admin, topic, OffsetSpec.max_timestamp()).offset == -1
    assert offset(admin, topic, OffsetSpec.for_timestamp(1)).offset == -1


def test_the_cluster_is_described(admin: AdminClient, bootstrap: str) -> None:
    cluster = admin.describe_cluster().result(DEADLINE_S)
    (node,) = cluster.nodes
    assert f"{node.host}:{node.port}" == bootstrap
    assert cluster.controller.id == node.id
    assert cluster.cluster_id == admin.list_topics(timeout=DEADLINE_S).cluster_id != ""


def create(admin: AdminClient, topic: NewTopic) -> None:
    admin.create_topics([topic])[topic.topic].result(DEADLINE_S)
    eventually(lambda: topic.topic in admin.list_topics(timeout=DEADLINE_S).topics, True)


def delete(admin: AdminClient, topic: str) -> None:
    admin.delete_topics([topic])[topic].result(DEADLINE_S)


def described_of(admin: AdminClient, topic: str) -> object:
    return admin.describe_topics(TopicCollection([topic]))[topic].result(DEADLINE_S)


def config_of(admin: AdminClient, topic: str) -> dict[str, ConfigEntry]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(DEADLINE_S)


def overrides(admin: AdminClient, topic: str) -> dict[str, str]:
    of_topic = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {name: entry.value for name, entry in config_of(admin, topic).items() if entry.source == of_topic}


def change(admin: AdminClient, topic: str, *changes: tuple[str, str | None, AlterConfigOpType]) -> None:
    entries = [ConfigEntry(name, value, incremental_operation=how) for name, value, how in changes]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(DEADLINE_S)


def offset(admin: AdminClient, topic: str, spec: OffsetSpec) -> object:
    at = TopicPartition(topic, 0)
    return admin.list_offsets({at: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)[at].result(DEADLINE_S)


def refusal(attempt: Callable[[], object]) -> int:
    """The code of the error that the attempt ends with."""
    with pytest.raises(KafkaException) as refused:
        attempt()
    return refused.value.args[0].code()
