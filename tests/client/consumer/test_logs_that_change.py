"""The log changes under its reader: the topic is made again, its beginning is deleted, its end is lost in a crash.

Nothing hangs, and no record is passed over in silence: reading goes on where the two histories part, where the log begins, or
where `auto_offset_reset` says; with "none" the user is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.consumer import Consumer
from ottla.protocol.errors import ErrorCode, KafkaError
from support.broker import BrokerProcess
from support.consuming import DEADLINE_S, make_topic, run, take, texts, until, write
from support.log_content import batches_in

pytestmark = pytest.mark.crash

SETTINGS = {"group.initial.rebalance.delay.ms": "0", "auto.create.topics.enable": "false"}
HERE = TopicPartition("t", 0)
GROUPS: dict[str, dict[str, Any]] = {
    "alone": {},
    "classic group": {"group_id": "g", "auto_commit_interval_ms": 50},
    "new group": {"group_id": "g", "auto_commit_interval_ms": 50, "group_protocol": "consumer"},
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path, SETTINGS) as running:
        make_topic(running.bootstrap, "t")
        yield running
        assert "Traceback" not in running.output


def consumer(broker: BrokerProcess, *topics: str, **how: Any) -> Consumer[Any, Any]:
    settings = {"auto_offset_reset": "earliest", "allow_auto_create_topics": False, **how}
    return Consumer(*topics, bootstrap_servers=broker.bootstrap, **settings)


async def elsewhere(work: Callable[..., None], *arguments: Any) -> None:
    """What others do; the consumer's loop goes on meanwhile."""
    await asyncio.to_thread(work, *arguments)


def delete(broker: BrokerProcess) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics(["t"])["t"].result(DEADLINE_S)


def make_again(broker: BrokerProcess) -> None:
    delete(broker)
    make_topic(broker.bootstrap, "t")


def delete_records(broker: BrokerProcess, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    wanted = confluent_kafka.TopicPartition("t", 0, before)
    (done,) = admin.delete_records([wanted]).values()
    done.result(DEADLINE_S)


def write_one_by_one(broker: BrokerProcess, values: list[str]) -> None:
    """Each in a batch of its own."""
    for value in values:
        write(broker.bootstrap, "t", [value])


def log_file(broker: BrokerProcess) -> Path:
    return broker.log_directory / "t-0" / f"{0:020}.log"


def crash_and_lose(broker: BrokerProcess, size_bytes: int) -> None:
    """Killed, and what the log has beyond `size_bytes` had not come to the disk."""
    broker.kill()
    with log_file(broker).open("r+b") as file:
        file.truncate(size_bytes)
    broker.start()


# -- the topic is made again


@pytest.mark.parametrize("kind", GROUPS)
def test_a_topic_that_is_made_again_is_read_from_its_beginning(broker: BrokerProcess, kind: str) -> None:
    old, new = texts("old", 5), texts("new", 12)
    write(broker.bootstrap, "t", old)

    async def scenario() -> None:
        async with consumer(broker, "t", **GROUPS[kind]) as reader:
            assert await take(reader, 5) == old
            await elsewhere(make_again, broker)
            await elsewhere(write_one_by_one, broker, new)
            assert await take(reader, 12) == new

    run(scenario())


@pytest.mark.parametrize("kind", GROUPS)
def test_a_topic_that_was_missed_and_comes_again_is_read_from_its_beginning(broker: BrokerProcess, kind: str) -> None:
    """By the time it is made again, the reader knows that there is none."""
    write(broker.bootstrap, "t", texts("old", 5))

    async def scenario() -> None:
        async with consumer(broker, "t", metadata_max_age_ms=200, **GROUPS[kind]) as reader:
            await take(reader, 5)
            waiting = asyncio.create_task(take(reader, 12))
            await elsewhere(delete, broker)
            await until(lambda: not reader.assignment())
            await elsewhere(make_topic, broker.bootstrap, "t")
            await elsewhere(write_one_by_one, broker, texts("new", 12))
            assert await waiting == texts("new", 12)

    run(scenario())


def test_without_a_strategy_the_user_is_told_that_the_topic_is_another(broker: BrokerProcess) -> None:
    write(broker.bootstrap, "t", texts("old", 2))

    async def scenario() -> None:
        async with consumer(broker, auto_offset_reset="none") as reader:
            reader.assign([HERE])
            reader.seek(HERE, 0)
            assert await take(reader, 2) == ["old0", "old1"]
            await elsewhere(make_again, broker)
            await elsewhere(write_one_by_one, broker, texts("new", 4))
            with pytest.raises(KafkaError, match="made again") as caught:
                await reader.getone()
            assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
            reader.seek(HERE, 1)
            assert await take(reader, 3) == ["new1", "new2", "new3"]

    run(scenario())


# -- its beginning is deleted


@pytest.mark.parametrize(("strategy", "expected"), [("earliest", ["6", "7"]), ("latest", ["10"]), ("none", None)])
def test_records_deleted_from_under_a_reader_are_passed_over_by_its_strategy(
    broker: BrokerProcess, strategy: str, expected: list[str] | None
) -> None:
    write_one_by_one(broker, texts("", 10))

    async def scenario() -> None:
        async with consumer(broker, auto_offset_reset=strategy, max_partition_fetch_bytes=1) as reader:
            reader.assign([HERE])
            reader.seek(HERE, 0)
            assert await take(reader, 2) == ["0", "1"]
            reader.pause(HERE)
            await elsewhere(delete_records, broker, 6)
            reader.seek(HERE, 2)  # what was fetched before is of no use now
            reader.resume(HERE)
            if expected is None:
                with pytest.raises(KafkaError, match="no offset 2"):
                    await reader.getone()
                return
            if strategy == "latest":
                assert await reader.getmany(timeout_ms=100) == {}
                while await reader.position(HERE) != 10:
                    await reader.getmany(timeout_ms=10)
                await elsewhere(write_one_by_one, broker, ["10"])
            assert await take(reader, len(expected)) == expected

    run(scenario())


# -- its end is lost


@pytest.mark.parametrize("strategy", ["earliest", "latest"])
@pytest.mark.parametrize("comes_back", ["at once", "when the log is longer than before"])
def test_a_reader_beyond_the_end_goes_on_where_the_histories_part(
    broker: BrokerProcess, strategy: str, comes_back: str
) -> None:
    """With acks=1 an acknowledged record may be lost; what is written in its place is read (KIP-320)."""
    write_one_by_one(broker, texts("kept", 6))
    kept_bytes = len(batches_in(log_file(broker)))
    write_one_by_one(broker, texts("lost", 4))
    again = texts("again", 9)

    async def scenario() -> None:
        async with consumer(broker, auto_offset_reset=strategy) as reader:
            reader.assign([HERE])
            reader.seek(HERE, 0)
            assert await take(reader, 10) == texts("kept", 6) + texts("lost", 4)
            if comes_back != "at once":
                reader.pause(HERE)
            await elsewhere(crash_and_lose, broker, kept_bytes)
            await elsewhere(write_one_by_one, broker, again)
            reader.resume(HERE)
            assert await take(reader, len(again)) == again

    run(scenario())


def test_without_a_strategy_the_user_is_told_what_was_lost(broker: BrokerProcess) -> None:
    write_one_by_one(broker, texts("kept", 2))
    kept_bytes = len(batches_in(log_file(broker)))
    write_one_by_one(broker, texts("lost", 2))

    async def scenario() -> None:
        async with consumer(broker, auto_offset_reset="none") as reader:
            reader.assign([HERE])
            reader.seek(HERE, 0)
            await take(reader, 4)
            await elsewhere(crash_and_lose, broker, kept_bytes)
            with pytest.raises(KafkaError, match="cut back to offset 2; this consumer had read up to 4"):
                await reader.getone()
            reader.seek(HERE, 2)
            await elsewhere(write_one_by_one, broker, ["again"])
            assert await take(reader, 1) == ["again"]

    run(scenario())


@pytest.mark.parametrize("kind", ["classic group", "new group"])
def test_a_group_that_had_committed_beyond_the_end_goes_on_where_the_histories_part(
    broker: BrokerProcess, kind: str
) -> None:
    write_one_by_one(broker, texts("kept", 3))
    kept_bytes = len(batches_in(log_file(broker)))
    write_one_by_one(broker, texts("lost", 3))

    async def scenario() -> None:
        async with consumer(broker, "t", **GROUPS[kind]) as reader:
            await take(reader, 6)
            await reader.commit()
        await elsewhere(crash_and_lose, broker, kept_bytes)
        await elsewhere(write_one_by_one, broker, texts("again", 5))
        async with consumer(broker, "t", **GROUPS[kind]) as reader:
            assert await take(reader, 5) == texts("again", 5)

    run(scenario())
