"""The administrator's client against real brokers: ours, and Apache Kafka itself.  Both must answer alike.

Apache Kafka answers a change when its controller has it; a broker shows it a moment later.  So what was changed is
read again until it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from ottla.client.address import Address
from ottla.client.admin import (
    Admin,
    CommittedOffset,
    ConfigResource,
    ConfigSource,
    CreatedTopic,
    FeatureRange,
    FeatureUpgrade,
    GroupDescription,
    ListedOffset,
    NewTopic,
    OffsetSpec,
    QuotaEntity,
    QuotaFilter,
    ReplicaSize,
    TopicDescription,
    TopicPartition,
)
from ottla.protocol.errors import ErrorCode, KafkaError
from support.apache_kafka import ApacheKafka, needs_java
from support.broker import BrokerProcess
from support.lone_member import LoneMember

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
        async with Admin(bootstrap, timeout_s=20) as admin:
            for part in PARTS:
                await part(admin)

    asyncio.run(scenario())


async def topics_are_created(admin: Admin) -> None:
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


async def configs_are_altered(admin: Admin) -> None:
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


async def partitions_are_added(admin: Admin) -> None:
    outcomes = await admin.create_partitions({"t": 5, "assigned": 1, "absent": 2})

    assert outcomes["t"] is None
    assert refusal_of(outcomes["assigned"])[0] is ErrorCode.INVALID_PARTITIONS
    assert refusal_of(outcomes["absent"])[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def offsets_are_asked(admin: Admin) -> None:
    first, absent = TopicPartition("t", 0), TopicPartition("t", 9)

    latest = await admin.list_offsets({first: OffsetSpec.LATEST, absent: OffsetSpec.LATEST})
    youngest = await admin.list_offsets({first: OffsetSpec.MAX_TIMESTAMP})
    deleted = await admin.delete_records({first: -1, TopicPartition("t", 1): 5})

    assert latest[first] == ListedOffset(offset=0, timestamp_ms=-1, leader_epoch=0)
    assert refusal_of(latest[absent])[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert youngest[first] == ListedOffset(offset=-1, timestamp_ms=-1, leader_epoch=-1)
    assert deleted[first] == 0
    assert refusal_of(deleted[TopicPartition("t", 1)])[0] is ErrorCode.OFFSET_OUT_OF_RANGE


async def groups_are_followed(admin: Admin) -> None:
    first, second = TopicPartition("t", 0), TopicPartition("t", 1)
    assert await admin.alter_group_offsets("g", {first: CommittedOffset(0, metadata="why"), second: 0}) == {
        first: None,
        second: None,
    }
    address = (await admin.describe_cluster()).brokers[0]
    member = await LoneMember.join(Address(address.host, address.port), "h", {"t": (0, 2)}, client_id="lone-client")
    try:
        await a_group_with_a_member(admin, member)
    finally:
        await member.close()

    listed = await admin.list_groups()
    assert [(each.id, each.protocol_type, each.state, each.type) for each in listed] == [
        ("g", "", "Empty", "classic"),
        ("h", "consumer", "Empty", "classic"),
    ]
    assert [each.id for each in await admin.list_groups(states=["stable"])] == []
    assert [each.id for each in await admin.list_groups(types=["classic"])] == ["g", "h"]
    assert (await admin.list_group_offsets(["g", "h"])) == {
        "g": {first: CommittedOffset(0, metadata="why"), second: CommittedOffset(0)},
        "h": {},
    }
    assert (await admin.list_group_offsets({"g": [first, TopicPartition("t", 2)]}))["g"] == {
        first: CommittedOffset(0, metadata="why")
    }
    assert await admin.delete_group_offsets("g", [second]) == {second: None}
    assert (await admin.list_group_offsets(["g"]))["g"] == {first: CommittedOffset(0, metadata="why")}
    outcomes = await admin.delete_groups(["g", "h", "absent"])
    assert (outcomes["g"], outcomes["h"]) == (None, None)
    assert refusal_of(outcomes["absent"])[0] is ErrorCode.GROUP_ID_NOT_FOUND


async def a_group_with_a_member(admin: Admin, member: LoneMember) -> None:
    described = await admin.describe_groups(["h", "absent"])

    group = described["h"]
    assert isinstance(group, GroupDescription)
    assert (group.type, group.state, group.assignor) == ("classic", "Stable", "range")
    assert group.coordinator.node_id == 1
    (found,) = group.members
    assert (found.id, found.client_id, found.host) == (member.id, "lone-client", "/127.0.0.1")
    assert found.assignment == (TopicPartition("t", 0), TopicPartition("t", 2))
    assert refusal_of(described["absent"])[0] is ErrorCode.GROUP_ID_NOT_FOUND
    refused = await admin.alter_group_offsets("h", {TopicPartition("t", 0): 0})
    assert refusal_of(refused[TopicPartition("t", 0)])[0] is ErrorCode.UNKNOWN_MEMBER_ID
    assert refusal_of((await admin.delete_groups(["h"]))["h"])[0] is ErrorCode.NON_EMPTY_GROUP
    assert list((await admin.remove_members("h")).values()) == [None]


async def quotas_and_features_are_altered(admin: Admin) -> None:
    alice = QuotaEntity.of(user="alice", client_id=None)

    assert await admin.alter_client_quotas({alice: {"producer_byte_rate": 1024}}) == {alice: None}
    await becomes(lambda: admin.describe_client_quotas(), {alice: {"producer_byte_rate": 1024.0}})
    assert await admin.describe_client_quotas(QuotaFilter(exactly=(("user", "bob"),))) == {}
    assert refusal_of((await admin.alter_client_quotas({alice: {"x": 1}}))[alice])[0] is ErrorCode.INVALID_REQUEST
    await admin.alter_client_quotas({alice: {"producer_byte_rate": None}})
    await becomes(lambda: admin.describe_client_quotas(), {})

    features = await admin.describe_features()
    assert features.supported["metadata.version"] == FeatureRange(7, 30)
    assert features.finalized["metadata.version"] == 30
    await admin.update_features({"group.version": 0}, upgrade=FeatureUpgrade.SAFE_DOWNGRADE, validate_only=True)
    assert (await refused(admin.update_features({"group.version": 0})))[0] is ErrorCode.INVALID_UPDATE_VERSION


async def the_cluster_is_looked_into(admin: Admin) -> None:
    first = TopicPartition("t", 0)

    (log_dir,) = (await admin.describe_log_dirs())[1]  # type: ignore[misc]
    assert log_dir.error is None
    assert log_dir.replicas[first] == ReplicaSize(0, 0, False)
    quorum = await admin.describe_quorum()
    assert (quorum.leader_id, [each.node_id for each in quorum.voters]) == (1, [1])
    assert refusal_of((await admin.elect_leaders([first]))[first])[0] is ErrorCode.ELECTION_NOT_NEEDED
    assert await admin.elect_leaders() == {}
    assert await admin.alter_partition_reassignments({first: [1]}) == {first: None}
    assert await admin.list_partition_reassignments() == {}
    assert await admin.describe_producers([first]) == {first: ()}
    await admin.alter_configs(ConfigResource.GROUP, "some", {"consumer.session.timeout.ms": "46000"})
    await becomes(
        lambda: admin.list_config_resources([ConfigResource.GROUP, ConfigResource.BROKER]),
        [(ConfigResource.GROUP, "some"), (ConfigResource.BROKER, "1")],
    )
    entry = (await admin.describe_configs(ConfigResource.GROUP, "some"))["consumer.session.timeout.ms"]
    assert (entry.value, entry.source) == ("46000", ConfigSource.DYNAMIC_GROUP)
    assert [each.source for each in entry.synonyms] == [ConfigSource.DYNAMIC_GROUP, ConfigSource.DEFAULT]
    levels = await admin.describe_configs(ConfigResource.BROKER_LOGGER, "1")
    assert levels["root"].source is ConfigSource.DYNAMIC_BROKER_LOGGER


async def the_end(admin: Admin) -> None:
    cluster = await admin.describe_cluster()
    outcomes = await admin.delete_topics(["t", "assigned", "absent"])

    assert [each.node_id for each in cluster.brokers] == [1]
    assert (outcomes["t"], outcomes["assigned"]) == (None, None)
    assert refusal_of(outcomes["absent"])[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    await becomes(admin.list_topics, [])


PARTS = (
    topics_are_created,
    configs_are_altered,
    partitions_are_added,
    offsets_are_asked,
    groups_are_followed,
    quotas_and_features_are_altered,
    the_cluster_is_looked_into,
    the_end,
)


async def becomes(read: Callable[[], Awaitable[T]], expected: T) -> None:
    """Read until what is expected is there; another process has no event to wait for."""
    async with asyncio.timeout(60):
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
