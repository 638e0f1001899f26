"""CreateTopics, DeleteTopics, CreatePartitions and DeleteRecords on a whole broker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from ottla.broker.api.topics import new_topic_id
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from ottla.storage.partition_metadata import format_uuid
from support.asking import Asker, with_broker


def topic(name: str, partitions: int = 1, factor: int = 1) -> Message:
    return Message(name=name, num_partitions=partitions, replication_factor=factor, assignments=[], configs=[])


def test_a_created_topic_can_be_written_to_at_once(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        created = await ask.create("t", 2, retention_ms="1000")
        assert (created.num_partitions, created.replication_factor, len(created.configs)) == (2, 1, 33)
        ask.append("t", b"a")
        assert ask.broker.partitions.find("t", 1) is not None
        assert (tmp_path / "t-1" / "partition.metadata").exists()

    with_broker(tmp_path, test)


def test_topics_and_their_configs_are_there_after_a_restart_under_a_new_leader_epoch(tmp_path: Path) -> None:
    kept: dict[str, Any] = {}

    async def before(ask: Asker) -> None:
        kept["id"] = (await ask.create("t", 2, retention_ms="1000")).topic_id
        await ask.create("gone")
        await ask(ApiKey.DELETE_TOPICS, 5, topic_names=["gone"], timeout_ms=1000)
        ask.append("t", b"a")

    async def after(ask: Asker) -> None:
        assert await ask.names() == {"t"}
        found = ask.broker.catalog.topics["t"]
        assert (found.id, dict(found.configs)) == (kept["id"], {"retention.ms": "1000"})
        assert [state.leader_epoch for state in found.partitions] == [1, 1]
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        assert partition.high_watermark == 1

    with_broker(tmp_path, before)
    with_broker(tmp_path, after)


def test_a_validated_topic_is_answered_as_if_created_and_is_not_there(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        answer = await ask(ApiKey.CREATE_TOPICS, 7, topics=[topic("t", 3)], timeout_ms=1000, validate_only=True)
        assert (answer.topics[0].error_code, answer.topics[0].num_partitions) == (0, 3)
        assert await ask.names() == set()

    with_broker(tmp_path, test)


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_without_time_nothing_is_created_or_deleted(tmp_path: Path, timeout_ms: int) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        created = await ask(ApiKey.CREATE_TOPICS, 7, topics=[topic("u"), topic("a b")], timeout_ms=timeout_ms)
        deleted = await ask(ApiKey.DELETE_TOPICS, 5, topic_names=["t"], timeout_ms=timeout_ms)
        grown = await ask(
            ApiKey.CREATE_PARTITIONS,
            3,
            topics=[Message(name="t", count=2, assignments=None)],
            timeout_ms=timeout_ms,
        )
        answers = [*created.topics, *deleted.responses, *grown.results]
        assert {(each.error_code, each.error_message) for each in answers} == {(ErrorCode.REQUEST_TIMED_OUT, None)}
        assert await ask.names() == {"t"}

    with_broker(tmp_path, test)


def test_a_topic_that_is_slow_to_be_created_is_answered_as_late_and_comes_all_the_same(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        release = asyncio.Event()

        class Held:
            """The journal, with its disk taking its time."""

            async def decide(self, decision: Any) -> Any:
                task = asyncio.ensure_future(self._late(decision))
                return await asyncio.shield(task)

            async def _late(self, decision: Any) -> Any:
                await release.wait()
                return await journal.decide(decision)

        journal = ask.broker.journal
        ask.broker.journal = Held()  # type: ignore[assignment]
        answer = await ask(ApiKey.CREATE_TOPICS, 7, topics=[topic("t")], timeout_ms=1)
        ask.broker.journal = journal
        assert answer.topics[0].error_code == ErrorCode.REQUEST_TIMED_OUT
        release.set()
        while await ask.names() != {"t"}:
            await journal.decide(lambda: ([], None))

    with_broker(tmp_path, test, {"request.timeout.ms": "20"})


def test_two_who_create_the_same_topic_get_one_topic(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        created = await asyncio.gather(*(ask.create("t") for _ in range(5)))
        codes = sorted(each.error_code for each in created)
        assert codes == [ErrorCode.NONE] + [ErrorCode.TOPIC_ALREADY_EXISTS] * 4

    with_broker(tmp_path, test)


def test_a_request_that_is_too_large_refuses_every_topic_in_it(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        answer = await ask(ApiKey.CREATE_TOPICS, 7, topics=[topic("h", 10_001), topic("t")], timeout_ms=1000)
        assert [each.error_code for each in answer.topics] == [ErrorCode.POLICY_VIOLATION] * 2

    with_broker(tmp_path, test)


def test_a_deleted_topic_is_gone_with_its_records_and_may_be_created_anew(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        first = await ask.create("t")
        ask.append("t", b"a")
        answer = await ask(
            ApiKey.DELETE_TOPICS, 6, topics=[Message(name=None, topic_id=first.topic_id)], timeout_ms=1000
        )
        assert answer.responses[0].name == "t"
        assert not (tmp_path / "t-0").exists()
        second = await ask.create("t")
        assert second.topic_id != first.topic_id
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        assert partition.high_watermark == 0

    with_broker(tmp_path, test)


@pytest.mark.parametrize(("version", "code"), [(1, ErrorCode.INVALID_REQUEST), (5, ErrorCode.TOPIC_DELETION_DISABLED)])
def test_deletion_may_be_forbidden(tmp_path: Path, version: int, code: ErrorCode) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        answer = await ask(ApiKey.DELETE_TOPICS, version, topic_names=["t"], timeout_ms=1000)
        assert answer.responses[0].error_code == code
        assert await ask.names() == {"t"}

    with_broker(tmp_path, test, {"delete.topic.enable": "false"})


def test_added_partitions_can_be_written_to_at_once(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        more = [Message(name="t", count=3, assignments=None), Message(name="nope", count=3, assignments=None)]
        validated = await ask(ApiKey.CREATE_PARTITIONS, 3, topics=more, timeout_ms=1000, validate_only=True)
        assert ask.broker.partitions.find("t", 2) is None
        answer = await ask(ApiKey.CREATE_PARTITIONS, 3, topics=more, timeout_ms=1000)
        assert [each.error_code for each in answer.results] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
        assert validated == answer
        assert ask.broker.partitions.find("t", 2) is not None

    with_broker(tmp_path, test)


async def delete_records(ask: Asker, topic_name: str, offset: int, index: int = 0) -> tuple[int, str]:
    partition = Message(partition_index=index, offset=offset)
    answer = await ask(
        ApiKey.DELETE_RECORDS, 2, topics=[Message(name=topic_name, partitions=[partition])], timeout_ms=1000
    )
    told = answer.topics[0].partitions[0]
    return told.low_watermark, ErrorCode(told.error_code).name


def test_records_are_deleted_up_to_an_offset(tmp_path: Path) -> None:
    async def before(ask: Asker) -> None:
        await ask.create("t")
        ask.append("t", *[b"x"] * 10)
        assert await delete_records(ask, "t", 3) == (3, "NONE")
        assert await delete_records(ask, "t", 1) == (3, "NONE")
        assert await delete_records(ask, "t", 11) == (-1, "OFFSET_OUT_OF_RANGE")
        assert await delete_records(ask, "t", -2) == (-1, "OFFSET_OUT_OF_RANGE")
        assert await delete_records(ask, "t", -1) == (10, "NONE")

    async def after(ask: Asker) -> None:
        assert await delete_records(ask, "t", 0) == (10, "NONE")

    with_broker(tmp_path, before)
    with_broker(tmp_path, after)


def test_records_are_not_deleted_where_compaction_keeps_them(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("compacted", cleanup_policy="compact")
        await ask.create("both", cleanup_policy="compact,delete")
        await ask.create("neither", cleanup_policy="")
        assert await delete_records(ask, "compacted", 0) == (-1, "POLICY_VIOLATION")
        assert await delete_records(ask, "both", 0) == (0, "NONE")
        assert await delete_records(ask, "neither", 0) == (0, "NONE")

    with_broker(tmp_path, test)


def test_records_of_partitions_that_are_not_there_or_are_the_brokers_own_are_not_deleted(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        await ask.create("__consumer_offsets")
        assert await delete_records(ask, "t", 0, index=1) == (-1, "UNKNOWN_TOPIC_OR_PARTITION")
        assert await delete_records(ask, "t", 0, index=-1) == (-1, "UNKNOWN_TOPIC_OR_PARTITION")
        assert await delete_records(ask, "nope", 0) == (-1, "UNKNOWN_TOPIC_OR_PARTITION")
        assert await delete_records(ask, "__consumer_offsets", 0) == (-1, "INVALID_TOPIC_EXCEPTION")

    with_broker(tmp_path, test)


def test_every_new_topic_id_can_stand_on_a_command_line() -> None:
    assert not any(format_uuid(new_topic_id()).startswith("-") for _ in range(500))
