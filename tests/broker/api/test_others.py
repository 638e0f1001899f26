"""InitProducerId, OffsetForLeaderEpoch, DescribeLogDirs, and what else has to outlast a restart, on a whole broker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from support.asking import Asker, with_broker


def test_producers_get_ids_that_nobody_has_had(tmp_path: Path) -> None:
    seen: list[int] = []

    async def test(ask: Asker) -> None:
        for version in range(6):
            answer = await ask(ApiKey.INIT_PRODUCER_ID, version, transactional_id=None)
            assert (answer.error_code, answer.producer_epoch) == (0, 0)
            seen.append(answer.producer_id)

    with_broker(tmp_path, test)
    with_broker(tmp_path, test)
    assert len(set(seen)) == 12


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"transactional_id": None, "producer_id": 5, "producer_epoch": 3}, ErrorCode.NONE),
        ({"transactional_id": None, "producer_id": 5, "producer_epoch": -1}, ErrorCode.INVALID_REQUEST),
        ({"transactional_id": None, "producer_id": -1, "producer_epoch": 3}, ErrorCode.INVALID_REQUEST),
        ({"transactional_id": None, "transaction_timeout_ms": -1}, ErrorCode.NONE),
        ({"transactional_id": ""}, ErrorCode.INVALID_REQUEST),
        (
            {"transactional_id": "x", "transaction_timeout_ms": 0},
            ErrorCode.INVALID_TRANSACTION_TIMEOUT,
        ),
        (
            {"transactional_id": "x", "transaction_timeout_ms": 900_001},
            ErrorCode.INVALID_TRANSACTION_TIMEOUT,
        ),
        ({"transactional_id": "x", "transaction_timeout_ms": 60_000}, ErrorCode.NOT_COORDINATOR),
    ],
)
def test_what_a_producer_asks_for_is_checked(tmp_path: Path, fields: dict[str, Any], code: ErrorCode) -> None:
    async def test(ask: Asker) -> None:
        answer = await ask(ApiKey.INIT_PRODUCER_ID, 4, **fields)
        assert answer.error_code == code
        assert (answer.producer_id >= 0) == (code is ErrorCode.NONE)

    with_broker(tmp_path, test)


async def end_of_epoch(ask: Asker, epoch: int, current: int = -1, topic: str = "t") -> tuple[str, int, int]:
    partition = Message(partition=0, current_leader_epoch=current, leader_epoch=epoch)
    answer = await ask(ApiKey.OFFSET_FOR_LEADER_EPOCH, 4, topics=[Message(topic=topic, partitions=[partition])])
    told = answer.topics[0].partitions[0]
    return ErrorCode(told.error_code).name, told.leader_epoch, told.end_offset


def test_a_consumer_learns_where_an_epoch_ended(tmp_path: Path) -> None:
    async def first(ask: Asker) -> None:
        await ask.create("t")
        assert await end_of_epoch(ask, 0) == ("NONE", 0, 0)
        ask.append("t", b"a", b"b")
        assert await end_of_epoch(ask, 0, current=0) == ("NONE", 0, 2)

    async def second(ask: Asker) -> None:
        assert await end_of_epoch(ask, 1) == ("NONE", 1, 2)
        ask.append("t", b"c")
        assert await end_of_epoch(ask, 0) == ("NONE", 0, 2)
        assert await end_of_epoch(ask, 1) == ("NONE", 1, 3)
        assert await end_of_epoch(ask, 0, current=0) == ("FENCED_LEADER_EPOCH", -1, -1)
        assert await end_of_epoch(ask, 0, current=2) == ("UNKNOWN_LEADER_EPOCH", -1, -1)
        assert await end_of_epoch(ask, 9) == ("NONE", -1, -1)
        assert await end_of_epoch(ask, -1) == ("NONE", -1, -1)
        assert await end_of_epoch(ask, 0, topic="nope") == ("UNKNOWN_TOPIC_OR_PARTITION", -1, -1)

    with_broker(tmp_path, first)
    with_broker(tmp_path, second)


def sizes(answer: Any) -> dict[str, dict[int, bool]]:
    """Of each partition told of: whether it has any bytes."""
    [result] = answer.results
    return {
        topic.name: {each.partition_index: each.partition_size > 0 for each in topic.partitions}
        for topic in result.topics
    }


def test_the_log_directory_is_described_with_its_disk_and_partitions(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t", 2)
        await ask.create("u")
        ask.append("t", b"a")
        answer = await ask(ApiKey.DESCRIBE_LOG_DIRS, 5, topics=None)
        [result] = answer.results
        assert result.log_dir == str(tmp_path)
        assert 0 < result.usable_bytes <= result.total_bytes
        assert sizes(answer) == {"t": {0: True, 1: False}, "u": {0: False}}

    with_broker(tmp_path, test)


def test_some_partitions_are_described_where_they_exist(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t", 2)
        asked = [Message(topic="t", partitions=[1, 1, 9]), Message(topic="nope", partitions=[0])]
        assert sizes(await ask(ApiKey.DESCRIBE_LOG_DIRS, 4, topics=asked)) == {"t": {1: False}}
        assert sizes(await ask(ApiKey.DESCRIBE_LOG_DIRS, 4, topics=[])) == {}

    with_broker(tmp_path, test)


def test_features_and_quotas_are_there_after_a_restart(tmp_path: Path) -> None:
    async def change(ask: Asker) -> None:
        down = Message(feature="group.version", max_version_level=0, upgrade_type=2)
        assert (await ask(ApiKey.UPDATE_FEATURES, 2, feature_updates=[down])).error_code == ErrorCode.NONE
        entity = [Message(entity_type="ip", entity_name="localhost")]
        ops = [Message(key="connection_creation_rate", value=10.0)]
        answer = await ask(ApiKey.ALTER_CLIENT_QUOTAS, 1, entries=[Message(entity=entity, ops=ops)])
        assert [each.error_code for each in answer.entries] == [ErrorCode.NONE]

    async def look(ask: Asker) -> None:
        told = await ask(ApiKey.API_VERSIONS, 4, client_software_name="test", client_software_version="1")
        assert "metadata.version" in [each.name for each in told.finalized_features]
        assert "group.version" not in [each.name for each in told.finalized_features]
        quotas = await ask(ApiKey.DESCRIBE_CLIENT_QUOTAS, 1, components=[], strict=False)
        assert [(each.key, each.value) for each in quotas.entries[0].values] == [("connection_creation_rate", 10.0)]

    with_broker(tmp_path, change)
    with_broker(tmp_path, look)


def test_a_host_that_nobody_knows_gets_no_quota(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        entity = [Message(entity_type="ip", entity_name="no..such..host")]
        ops = [Message(key="connection_creation_rate", value=10.0)]
        answer = await ask(ApiKey.ALTER_CLIENT_QUOTAS, 1, entries=[Message(entity=entity, ops=ops)])
        assert [each.error_code for each in answer.entries] == [ErrorCode.INVALID_REQUEST]

    with_broker(tmp_path, test)
