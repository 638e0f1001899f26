"""The administrator's client against real brokers: ours, and Apache Kafka itself.  Both must answer alike.

Apache Kafka answers a change when its controller has it; a broker shows it a moment later.  So what was changed is
read again until it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from ottla.client.admin import AdminClient
from ottla.client.admin_values import (
    ConfigResource,
    ConfigSource,
    CreatedTopic,
    ListedOffset,
    NewTopic,
    OffsetSpec,
    TopicDescription,
    TopicPartition,
)
from ottla.protocol.errors import ErrorCode, KafkaError
from support.apache_kafka import ApacheKafka, needs_java
from support.broker import BrokerProcess

T = TypeVar("T")


def test_ours_can_be_administered(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        administer(broker.bootstrap)


@needs_java
def test_apache_kafka_can_be_administered_in_the_same_way(tmp_path: Path) -> None:
    with ApacheKafka(tmp_path) as kafka:
        administer(kafka.bootstrap)


def administer(bootstrap: str) -> None:
    async def scenario() -> None:
        async with AdminClient(bootstrap, timeout_s=20) as admin:
            for part in (topics_are_created, configs_are_altered, partitions_are_added, offsets_are_asked, the_end):
                await part(admin)

    asyncio.run(scenario())


async def topics_are_created(admin: AdminClient) -> None:
    tried = await admin.create_topics([NewTopic("never", partitions=1)], validate_only=True)
    outcomes = await admin.create_topics(
        [
            NewTopic("t", partitions=3, replication_factor=1, configs={"retention.ms": "5000"}),
            NewTopic("assigned", assignments={0: [1], 1: [1]}),
            NewTopic("wrong", configs={"nonsense": "1"}),
            NewTopic("a name"),
        ]
    )

    assert isinstance(tried["never"], CreatedTopic)
    created = outcomes["t"]
    assert isinstance(created, CreatedTopic)
    assert (created.partitions, created.replication_factor) == (3, 1)
    assert isinstance(outcomes["assigned"], CreatedTopic)
    assert refusal_of(outcomes["wrong"]) == (ErrorCode.INVALID_CONFIG, "Unknown topic config name: nonsense")
    assert refusal_of(outcomes["a name"])[0] is ErrorCode.INVALID_TOPIC_EXCEPTION

    async def names() -> list[str]:
        return [topic.name for topic in await admin.list_topics()]

    await becomes(names, ["assigned", "t"])
    described = (await admin.describe_topics(["t"]))["t"]
    assert isinstance(described, TopicDescription)
    assert described.id == created.id
    assert [(each.partition, each.leader) for each in described.partitions] == [(0, 1), (1, 1), (2, 1)]


async def configs_are_altered(admin: AdminClient) -> None:
    await admin.alter_configs(ConfigResource.TOPIC, "t", {"segment.bytes": "2000000", "retention.ms": None})

    async def set_on_the_topic() -> dict[str, str | None]:
        configs = await admin.describe_configs(ConfigResource.TOPIC, "t")
        return {name: each.value for name, each in configs.items() if each.source is ConfigSource.DYNAMIC_TOPIC}

    await becomes(set_on_the_topic, {"segment.bytes": "2000000"})
    wrong = admin.alter_configs(ConfigResource.TOPIC, "t", {"segment.bytes": "2"})
    assert await refused(wrong) == (
        ErrorCode.INVALID_CONFIG,
        "Invalid value 2 for configuration segment.bytes: Value must be at least 1048576",
    )
    await admin.alter_configs(ConfigResource.BROKER, "1", {"log.retention.ms": "777"})

    async def set_on_the_broker() -> tuple[str | None, ConfigSource]:
        entry = (await admin.describe_configs(ConfigResource.BROKER, "1"))["log.retention.ms"]
        return entry.value, entry.source

    await becomes(set_on_the_broker, ("777", ConfigSource.DYNAMIC_BROKER))
    read_only = admin.alter_configs(ConfigResource.BROKER, "1", {"num.partitions": "7"})
    assert (await refused(read_only))[0] is ErrorCode.INVALID_REQUEST


async def partitions_are_added(admin: AdminClient) -> None:
    outcomes = await admin.create_partitions({"t": 5, "assigned": 1, "absent": 2})

    assert outcomes["t"] is None
    assert refusal_of(outcomes["assigned"])[0] is ErrorCode.INVALID_PARTITIONS
    assert refusal_of(outcomes["absent"])[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def offsets_are_asked(admin: AdminClient) -> None:
    first, absent = TopicPartition("t", 0), TopicPartition("t", 9)

    latest = await admin.list_offsets({first: OffsetSpec.LATEST, absent: OffsetSpec.LATEST})
    youngest = await admin.list_offsets({first: OffsetSpec.MAX_TIMESTAMP})
    deleted = await admin.delete_records({first: -1, TopicPartition("t", 1): 5})

    assert latest[first] == ListedOffset(offset=0, timestamp_ms=-1, leader_epoch=0)
    assert refusal_of(latest[absent])[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert youngest[first] == ListedOffset(offset=-1, timestamp_ms=-1, leader_epoch=-1)
    assert deleted[first] == 0
    assert refusal_of(deleted[TopicPartition("t", 1)])[0] is ErrorCode.OFFSET_OUT_OF_RANGE


async def the_end(admin: AdminClient) -> None:
    cluster = await admin.describe_cluster()
    outcomes = await admin.delete_topics(["t", "assigned", "absent"])

    assert [each.node_id for each in cluster.brokers] == [1]
    assert (outcomes["t"], outcomes["assigned"]) == (None, None)
    assert refusal_of(outcomes["absent"])[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    await becomes(admin.list_topics, [])


async def becomes(read: Callable[[], Awaitable[T]], expected: T) -> None:
    """Read until what is expected is there; another process has no event to wait for."""
    async with asyncio.timeout(10):
        while await read() != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def refusal_of(outcome: object) -> tuple[ErrorCode, str]:
    assert isinstance(outcome, KafkaError)
    return outcome.code, outcome.message


async def refused(change: Awaitable[None]) -> tuple[ErrorCode, str]:
    try:
        await change
    except KafkaError as error:
        return error.code, error.message
    raise AssertionError("it was not refused")
