"""The admin client of aiokafka, which speaks old versions of the admin requests (v0 and v1, not flexible)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiokafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from interop.clients import AioKafka
from interop.messages import Message, numbered

pytestmark = pytest.mark.interop

MakeTopic = Callable[..., str]
DEADLINE_S = 60
POLL_S = 0.02


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def test_a_topic_is_created_listed_described_and_deleted(bootstrap: str, topic_name: Callable[..., str]) -> None:
    topic = topic_name()

    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            created = await admin.create_topics([NewTopic(topic, 3, 1, topic_configs={"retention.ms": "60000"})])
            assert codes(created.topic_errors) == [0]
            await eventually(lambda: topic_is_listed(admin, topic), True)
            (described,) = await admin.describe_topics([topic])
            assert described["error_code"] == 0
            assert sorted(each["partition"] for each in described["partitions"]) == [0, 1, 2]

            again = await admin.create_topics([NewTopic(topic, 3, 1)])
            assert codes(again.topic_errors) == [TopicAlreadyExistsError.errno]

            deleted = await admin.delete_topics([topic])
            assert codes(deleted.topic_error_codes) == [0]
            await eventually(lambda: topic_is_listed(admin, topic), False)
            gone = await admin.delete_topics([topic])
            assert codes(gone.topic_error_codes) == [UnknownTopicOrPartitionError.errno]

    asyncio.run(run())


def test_validate_only_creates_nothing(bootstrap: str, topic_name: Callable[..., str]) -> None:
    topic = topic_name()

    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            answer = await admin.create_topics([NewTopic(topic, 3, 1)], validate_only=True)
            assert codes(answer.topic_errors) == [0]
            assert not await topic_is_listed(admin, topic)

    asyncio.run(run())


def test_partitions_are_added_and_never_taken(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)

    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            await admin.create_partitions({topic: NewPartitions(5)})
            await eventually(lambda: partition_count(admin, topic), 5)
            with pytest.raises(InvalidPartitionsError):
                await admin.create_partitions({topic: NewPartitions(3)})

    asyncio.run(run())


def test_configs_are_described_and_changed_all_at_once(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(config={"retention.ms": "1000"})

    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            assert (await config_of(admin, topic))["retention.ms"] == "1000"
            change = ConfigResource(ConfigResourceType.TOPIC, topic, {"segment.ms": "7000"})
            (answer,) = await admin.alter_configs([change])
            assert [each[0] for each in answer.resources] == [0]
            await eventually(lambda: two_configs(admin, topic), ("7000", "604800000"))

    asyncio.run(run())


def test_a_bad_config_is_refused(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()

    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            change = ConfigResource(ConfigResourceType.TOPIC, topic, {"segment.ms": "soon"})
            (answer,) = await admin.alter_configs([change])
            assert [for_code(each[0]).__name__ for each in answer.resources] == ["InvalidConfigurationError"]

    asyncio.run(run())


def test_the_brokers_configs_are_described(bootstrap: str) -> None:
    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            (node,) = (await admin.describe_cluster())["brokers"]
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(node["node_id"]))])
            assert described(answer)["node.id"] == str(node["node_id"])

    asyncio.run(run())


def test_records_are_deleted_up_to_an_offset(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    AioKafka().produce(bootstrap, topic, numbered(10))
    at = aiokafka.TopicPartition(topic, 0)

    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            assert await admin.delete_records({at: RecordsToDelete(4)}) == {at: 4}
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            assert await consumer.beginning_offsets([at]) == {at: 4}
            assert await consumer.end_offsets([at]) == {at: 10}

    asyncio.run(run())
    assert [message.offset for message in AioKafka().read(bootstrap, topic, offset=4, count=6)] == list(range(4, 10))


def test_a_consumer_below_the_first_offset_starts_over_where_its_policy_says(
    bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    AioKafka().produce(bootstrap, topic, numbered(10))
    at = aiokafka.TopicPartition(topic, 0)

    async def run() -> int:
        async with admin_of(bootstrap) as admin:
            await admin.delete_records({at: RecordsToDelete(7)})
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
            consumer.assign([at])
            consumer.seek(at, 2)
            return (await asyncio.wait_for(consumer.getone(), DEADLINE_S)).offset

    assert asyncio.run(run()) == 7


def test_offsets_are_found_by_time(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    for at_ms in (1_000, 1_100, 1_900, 1_200):
        AioKafka().produce(bootstrap, topic, [Message(value=b"x", timestamp_ms=at_ms)])
    at = aiokafka.TopicPartition(topic, 0)

    async def run() -> list[int | None]:
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            found = [(await consumer.offsets_for_times({at: asked}))[at] for asked in (1, 1_000, 1_050, 1_150, 1_901)]
            return [None if each is None else each.offset for each in found]

    assert asyncio.run(run()) == [0, 0, 1, 2, None]


def test_the_cluster_is_described(bootstrap: str) -> None:
    async def run() -> None:
        async with admin_of(bootstrap) as admin:
            cluster = await admin.describe_cluster()
            (node,) = cluster["brokers"]
            assert f"{node['host']}:{node['port']}" == bootstrap
            assert cluster["controller_id"] == node["node_id"]
            assert cluster["cluster_id"]

    asyncio.run(run())


def codes(results: list[tuple[Any, ...]]) -> list[int]:
    return [result[1] for result in results]


async def eventually(look: Callable[[], Awaitable[Any]], expected: object) -> None:
    """Apache Kafka's brokers hear of a change some milliseconds after it is made."""

    async def poll() -> None:
        while await look() != expected:  # noqa: ASYNC110  another process's state has no event to wait for
            await asyncio.sleep(POLL_S)

    await asyncio.wait_for(poll(), DEADLINE_S)


async def topic_is_listed(admin: AIOKafkaAdminClient, topic: str) -> bool:
    return topic in await admin.list_topics()


async def partition_count(admin: AIOKafkaAdminClient, topic: str) -> int:
    (described,) = await admin.describe_topics([topic])
    return len(described["partitions"])


async def config_of(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return described(answer)


async def two_configs(admin: AIOKafkaAdminClient, topic: str) -> tuple[str, str]:
    config = await config_of(admin, topic)
    return config["segment.ms"], config["retention.ms"]


def described(answer: Any) -> dict[str, str]:
    ((code, message, _kind, _name, entries),) = answer.resources
    assert code == 0, message
    return {entry[0]: entry[1] for entry in entries}
