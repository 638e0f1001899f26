"""The admin client of kafka-python, which speaks the newest versions of the admin requests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import kafka
import pytest
from interop.clients import KafkaPython
from interop.messages import Message, numbered
from interop.waiting import eventually
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import (
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

pytestmark = pytest.mark.interop

MakeTopic = Callable[..., str]


@pytest.fixture
def admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    yield client
    client.close()


def test_a_topic_is_created_listed_described_and_deleted(
    admin: KafkaAdminClient, topic_name: Callable[..., str]
) -> None:
    topic = topic_name()
    admin.create_topics({topic: {"num_partitions": 3, "configs": {"retention.ms": "60000"}}}, wait_for_metadata=True)

    assert topic in admin.list_topics()
    (described,) = admin.describe_topics([topic])
    assert sorted(each["partition_index"] for each in described["partitions"]) == [0, 1, 2]
    topic_id = described["topic_id"]
    (by_id,) = admin.describe_topics([uuid.UUID(str(topic_id))])
    assert by_id["name"] == topic
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([topic])

    admin.delete_topics([topic])
    eventually(lambda: topic in admin.list_topics(), False)
    with pytest.raises(UnknownTopicOrPartitionError):
        admin.delete_topics([topic])


def test_a_topic_is_described_partition_by_partition(admin: KafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=3)
    page = admin.describe_topic_partitions([topic], response_partition_limit=2)
    rest = admin.describe_topic_partitions([topic], response_partition_limit=2, cursor=page["next_cursor"])
    described = [each for answer in (page, rest) for each in answer["topics"]]
    assert [each["name"] for each in described] == [topic, topic]
    assert [[each["partition_index"] for each in topic["partitions"]] for topic in described] == [[0, 1], [2]]
    assert rest["next_cursor"] is None
    assert all(each["isr_nodes"] == each["replica_nodes"] for each in described[0]["partitions"])


@pytest.mark.parametrize(
    ("topic", "refused"),
    [
        ({"num_partitions": 0}, InvalidPartitionsError),
        ({"replication_factor": 3}, InvalidReplicationFactorError),
        ({"configs": {"retention.ms": "long"}}, InvalidConfigurationError),
    ],
    ids=["no partitions", "three replicas", "bad value"],
)
def test_a_topic_that_cannot_be_is_refused(
    topic: dict[str, Any], refused: type[Exception], admin: KafkaAdminClient, topic_name: Callable[..., str]
) -> None:
    with pytest.raises(refused):
        admin.create_topics({topic_name(): topic})


def test_partitions_are_added_and_never_taken(admin: KafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    admin.create_partitions({topic: 5})
    eventually(lambda: len(admin.describe_topics([topic])[0]["partitions"]), 5)
    with pytest.raises(InvalidPartitionsError):
        admin.create_partitions({topic: 3})


@pytest.mark.parametrize("incremental", [True, False])
def test_configs_are_described_and_changed(incremental: bool, admin: KafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(config={"retention.ms": "1000"})
    assert overrides(admin, topic) == {"retention.ms": "1000"}

    admin.alter_configs([topic_resource(topic, {"segment.ms": "7000"})], incremental=incremental)
    eventually(lambda: overrides(admin, topic), {"retention.ms": "1000", "segment.ms": "7000"})

    admin.reset_configs([topic_resource(topic, {"retention.ms": None})], incremental=incremental)
    eventually(lambda: overrides(admin, topic), {"segment.ms": "7000"})


def test_a_list_of_values_is_appended_to(admin: KafkaAdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin.alter_configs([topic_resource(topic, {"cleanup.policy": (AlterConfigOp.APPEND, "compact")})])
    eventually(lambda: overrides(admin, topic), {"cleanup.policy": "delete,compact"})


def test_the_brokers_configs_are_described(admin: KafkaAdminClient) -> None:
    (node,) = admin.describe_cluster()["brokers"]
    name = str(node["broker_id"])
    answer = admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, name)], config_filter="all")
    assert answer["broker"][name]["node.id"]["value"] == name


def test_records_are_deleted_up_to_an_offset(admin: KafkaAdminClient, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    KafkaPython().produce(bootstrap, topic, numbered(10))
    at = kafka.TopicPartition(topic, 0)

    assert admin.delete_records({at: 4})[at]["low_watermark"] == 4

    assert admin.list_partition_offsets({at: OffsetSpec.EARLIEST})[at].offset == 4
    remaining = KafkaPython().read(bootstrap, topic, offset=4, count=6)
    assert [message.offset for message in remaining] == list(range(4, 10))


def test_offsets_are_listed_by_place_and_by_time(
    admin: KafkaAdminClient, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    for at_ms in (1_000, 1_100, 1_900, 1_200):
        KafkaPython().produce(bootstrap, topic, [Message(value=b"x", timestamp_ms=at_ms)])
    at = kafka.TopicPartition(topic, 0)

    def offset(spec: OffsetSpec | int) -> int:
        return admin.list_partition_offsets({at: spec})[at].offset

    assert [offset(spec) for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST, OffsetSpec.MAX_TIMESTAMP)] == [0, 4, 2]
    assert [offset(time_ms) for time_ms in (1, 1_000, 1_050, 1_150, 1_901)] == [0, 0, 1, 2, -1]
    assert [offset(spec) for spec in (OffsetSpec.EARLIEST_LOCAL, OffsetSpec.LATEST_TIERED)] == [0, -1]


def test_a_consumer_knows_first_and_last_offsets_and_times(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    KafkaPython().produce(bootstrap, topic, [Message(value=b"x", timestamp_ms=at_ms) for at_ms in (10, 20)])
    first, second = kafka.TopicPartition(topic, 0), kafka.TopicPartition(topic, 1)
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        assert consumer.beginning_offsets([first, second]) == {first: 0, second: 0}
        assert consumer.end_offsets([first, second]) == {first: 2, second: 0}
        found = consumer.offsets_for_times({first: 15, second: 15})
        assert (found[first].offset, found[first].timestamp, found[second]) == (1, 20, None)
        assert consumer.partitions_for_topic(topic) == {0, 1}
        assert topic in consumer.topics()
    finally:
        consumer.close()


def test_log_directories_tell_the_size_of_each_partition(
    admin: KafkaAdminClient, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=2)
    KafkaPython().produce(bootstrap, topic, [Message(value=b"x" * 5_000)])
    (broker,) = admin.describe_log_dirs([topic])
    (log_dir,) = broker["log_dirs"]
    (described,) = log_dir["topics"]
    sizes = {each["partition_index"]: each["partition_size"] for each in described["partitions"]}
    assert 5_000 < sizes[0] < 5_200
    assert sizes[1] == 0


def test_the_cluster_is_described(admin: KafkaAdminClient, bootstrap: str) -> None:
    cluster = admin.describe_cluster()
    (node,) = cluster["brokers"]
    assert f"{node['host']}:{node['port']}" == bootstrap
    assert cluster["cluster_id"]
    assert cluster["controller_id"] == node["broker_id"]


def topic_resource(topic: str, configs: dict[str, Any] | None) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, topic, configs)


def overrides(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    described = admin.describe_configs([topic_resource(topic, None)])["topic"][topic]
    return {name: entry["value"] for name, entry in described.items() if "TOPIC" in str(entry["config_source"])}
