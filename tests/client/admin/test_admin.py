"""What the administrator's client sends, whom it asks, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from uuid import UUID

import pytest
from ottla.client.admin import (
    Admin,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    CreatedTopic,
    ListedOffset,
    NewTopic,
    OffsetSpec,
    PartitionDescription,
    TopicPartition,
)
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.messages import Message
from support.scripted_broker import Script, ScriptedBroker

T = TypeVar("T")
TOPIC_ID = UUID(int=7)


def ask(scripts: Mapping[ApiKey, Script], question: Callable[[Admin], Awaitable[T]]) -> tuple[T, ScriptedBroker]:
    """Put a question to a broker with these scripts, which is also the leader of everything."""

    async def scenario() -> tuple[T, ScriptedBroker]:
        async with ScriptedBroker() as broker:
            broker.scripts = {ApiKey.METADATA: metadata_of(broker), **scripts}
            async with Admin([broker.address], timeout_s=5) as admin:
                return await question(admin), broker

    return asyncio.run(scenario())


def metadata_of(broker: ScriptedBroker) -> Script:
    """A cluster of one with the topic `t` of two partitions; the second has no leader."""

    def answer(request: Message) -> Message:
        partitions = [
            Message(partition_index=1, leader_id=-1, error_code=ErrorCode.LEADER_NOT_AVAILABLE, replica_nodes=[1]),
            Message(partition_index=0, leader_id=1, leader_epoch=3, replica_nodes=[1], isr_nodes=[1]),
        ]
        known = Message(name="t", topic_id=TOPIC_ID, partitions=partitions)
        hidden = Message(name="__hidden", is_internal=True, partitions=[])
        asked = ["t", "__hidden"] if request.topics is None else [topic.name for topic in request.topics]
        found = {"t": known, "__hidden": hidden}
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return Message(
            brokers=[Message(node_id=1, host=broker.address.host, port=broker.address.port)],
            topics=[found.get(name) or Message(name=name, error_code=unknown, partitions=[]) for name in asked],
        )

    return answer


def test_topics_are_created_each_with_an_outcome_of_its_own() -> None:
    def script(request: Message) -> Message:
        return Message(
            topics=[
                Message(name="a", topic_id=TOPIC_ID, num_partitions=4, replication_factor=1),
                Message(name="b", error_code=ErrorCode.TOPIC_ALREADY_EXISTS, error_message="Topic 'b' already exists."),
            ]
        )

    new = [
        NewTopic("a", partitions=4, configs={"retention.ms": 5, "preallocate": True}),
        NewTopic("b", assignments={0: [1]}),
    ]

    outcomes, broker = ask({ApiKey.CREATE_TOPICS: script}, lambda admin: admin.create_topics(new))

    assert outcomes["a"] == CreatedTopic("a", TOPIC_ID, partitions=4, replication_factor=1)
    refused = outcomes["b"]
    assert isinstance(refused, KafkaError)
    assert (refused.code, refused.message) == (ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'b' already exists.")
    (request,) = broker.asked_for(ApiKey.CREATE_TOPICS)
    assert [(t.num_partitions, t.replication_factor) for t in request.topics] == [(4, -1), (-1, -1)]
    assert request.topics[0].configs == [
        Message(name="retention.ms", value="5"),
        Message(name="preallocate", value="true"),
    ]
    assert request.topics[1].assignments == [Message(partition_index=0, broker_ids=[1])]
    assert not request.validate_only


def test_listing_leaves_out_internal_topics_unless_asked() -> None:
    some, _ = ask({}, lambda admin: admin.list_topics())
    every, _ = ask({}, lambda admin: admin.list_topics(include_internal=True))

    assert [topic.name for topic in some] == ["t"]
    assert [topic.name for topic in every] == ["__hidden", "t"]


def test_describing_a_topic_does_not_create_it() -> None:
    described, broker = ask({}, lambda admin: admin.describe_topics(["t", "absent"]))

    topic, absent = described["t"], described["absent"]
    assert isinstance(absent, KafkaError)
    assert absent.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert not isinstance(topic, KafkaError)
    assert topic.partitions == (
        PartitionDescription(0, 1, 3, (1,), (1,), ErrorCode.NONE),
        PartitionDescription(1, None, -1, (1,), (), ErrorCode.LEADER_NOT_AVAILABLE),
    )
    assert not broker.asked_for(ApiKey.METADATA)[0].allow_auto_topic_creation


def test_topics_are_deleted_by_name() -> None:
    def script(request: Message) -> Message:
        codes = {"gone": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        return Message(
            responses=[Message(name=t.name, error_code=codes.get(t.name, ErrorCode.NONE)) for t in request.topics]
        )

    outcomes, _ = ask({ApiKey.DELETE_TOPICS: script}, lambda admin: admin.delete_topics(["t", "gone"]))

    assert outcomes["t"] is None
    assert outcomes["gone"] is not None
    assert outcomes["gone"].code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_partitions_are_added_up_to_a_count() -> None:
    outcomes, broker = ask(
        {ApiKey.CREATE_PARTITIONS: lambda _: Message(results=[Message(name="t")])},
        lambda admin: admin.create_partitions({"t": 6}),
    )

    assert outcomes == {"t": None}
    (request,) = broker.asked_for(ApiKey.CREATE_PARTITIONS)
    assert request.topics == [Message(name="t", count=6, assignments=None)]


def test_configs_tell_their_value_and_source() -> None:
    entry = Message(name="retention.ms", value="5", config_source=1, read_only=False, is_sensitive=False)
    odd = Message(name="odd", value=None, config_source=99, read_only=True, is_sensitive=True)
    script: Script = lambda _: Message(results=[Message(configs=[entry, odd])])  # noqa: E731

    configs, _ = ask({ApiKey.DESCRIBE_CONFIGS: script}, lambda admin: admin.describe_configs(ConfigResource.TOPIC, "t"))

    assert configs == {
        "retention.ms": ConfigEntry("retention.ms", "5", ConfigSource.DYNAMIC_TOPIC, False, False),
        "odd": ConfigEntry("odd", None, ConfigSource.UNKNOWN, True, True),
    }


def test_a_config_is_set_or_set_back() -> None:
    _, broker = ask(
        {ApiKey.INCREMENTAL_ALTER_CONFIGS: lambda _: Message(responses=[Message()])},
        lambda admin: admin.alter_configs(ConfigResource.BROKER, "1", {"a": "1", "b": None}),
    )

    (request,) = broker.asked_for(ApiKey.INCREMENTAL_ALTER_CONFIGS)
    assert request.resources[0].configs == [
        Message(name="a", config_operation=0, value="1"),
        Message(name="b", config_operation=1, value=None),
    ]


def test_a_refused_change_of_configs_is_raised_with_the_brokers_words() -> None:
    refused = Message(error_code=ErrorCode.INVALID_CONFIG, error_message="Invalid value x")

    with pytest.raises(KafkaError, match="Invalid value x"):
        ask(
            {ApiKey.INCREMENTAL_ALTER_CONFIGS: lambda _: Message(responses=[refused])},
            lambda admin: admin.alter_configs(ConfigResource.TOPIC, "t", {"a": "x"}),
        )


def test_the_configs_of_a_broker_that_is_not_there_are_refused_naming_those_that_are() -> None:
    with pytest.raises(KafkaError, match="no broker 9 in the cluster, known are: 1"):
        ask({}, lambda admin: admin.describe_configs(ConfigResource.BROKER, "9"))


def test_offsets_are_asked_of_the_leader_and_what_has_none_is_refused() -> None:
    def script(request: Message) -> Message:
        (partition,) = request.topics[0].partitions
        assert partition.timestamp == -1
        answer = Message(partition_index=0, offset=42, timestamp=-1, leader_epoch=3)
        return Message(topics=[Message(name="t", partitions=[answer])])

    wanted = {TopicPartition(name, partition): OffsetSpec.LATEST for name, partition in (("t", 0), ("t", 1), ("u", 0))}

    outcomes, _ = ask({ApiKey.LIST_OFFSETS: script}, lambda admin: admin.list_offsets(wanted))

    assert outcomes[TopicPartition("t", 0)] == ListedOffset(42, -1, 3)
    leaderless, unknown = outcomes[TopicPartition("t", 1)], outcomes[TopicPartition("u", 0)]
    assert isinstance(leaderless, KafkaError)
    assert leaderless.code is ErrorCode.LEADER_NOT_AVAILABLE
    assert isinstance(unknown, KafkaError)
    assert unknown.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_deleting_records_answers_the_new_start_of_each_log() -> None:
    def script(request: Message) -> Message:
        (partition,) = request.topics[0].partitions
        return Message(
            topics=[Message(name="t", partitions=[Message(partition_index=0, low_watermark=partition.offset)])]
        )

    outcomes, _ = ask({ApiKey.DELETE_RECORDS: script}, lambda admin: admin.delete_records({TopicPartition("t", 0): 17}))

    assert outcomes == {TopicPartition("t", 0): 17}


def test_the_cluster_is_described() -> None:
    answer = Message(
        cluster_id="abc",
        controller_id=-1,
        endpoint_type=1,
        brokers=[Message(broker_id=1, host="h", port=9, rack=None)],
    )

    cluster, _ = ask({ApiKey.DESCRIBE_CLUSTER: lambda _: answer}, lambda admin: admin.describe_cluster())

    assert (cluster.cluster_id, cluster.controller_id) == ("abc", None)
    assert [(each.node_id, each.host, each.port) for each in cluster.brokers] == [(1, "h", 9)]


def test_an_error_that_is_unknown_here_keeps_its_number() -> None:
    with pytest.raises(KafkaError, match="error 9999"):
        ask(
            {ApiKey.DESCRIBE_CLUSTER: lambda _: Message(error_code=9999, brokers=[], cluster_id="")},
            lambda admin: admin.describe_cluster(),
        )
