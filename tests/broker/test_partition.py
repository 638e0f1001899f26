import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

import pytest
from ottla.broker.config import BrokerConfig
from ottla.broker.flusher import Flusher
from ottla.broker.partition import Partition
from ottla.broker.partition_settings import partition_settings
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.storage.config import LogConfig
from ottla.storage.log import Appended, Log
from support.batches import batch
from support.power_cut import PowerCutFiles

NOW_MS = 1_000


def with_a_partition(
    test: Callable[[Partition], Awaitable[None]], configs: Mapping[str, str] = {}, static: Mapping[str, str] = {}
) -> None:
    async def run() -> None:
        files = PowerCutFiles()
        files.make_directory("/data/t-0")
        log = Log.open("/data/t-0", files=files, config=LogConfig(), now_ms=0, clean=False)
        flusher = Flusher()
        settings = partition_settings(BrokerConfig(static), configs)
        await test(Partition("t", 0, log, leader_epoch=3, settings=settings, flusher=flusher, keep_checkpoints=nothing))
        await flusher.close()

    asyncio.run(run())


async def nothing() -> None:
    """No checkpoint is kept."""


def append(partition: Partition, *values: bytes) -> Appended:
    return partition.append(memoryview(batch(*values)), version=9, now_ms=NOW_MS)


def test_acks_all_waits_for_a_sync_by_default_and_acks_1_does_not() -> None:
    async def test(partition: Partition) -> None:
        appended = append(partition, b"a")
        assert partition.needs_sync(appended, acks=-1)
        assert not partition.needs_sync(appended, acks=1)

    with_a_partition(test)


def test_what_is_on_the_disk_already_waits_for_nothing() -> None:
    async def test(partition: Partition) -> None:
        appended = append(partition, b"a")
        done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        partition.when_synced(appended, done.set_result, deadline=math.inf)
        assert await done is None
        assert not partition.needs_sync(appended, acks=-1)

    with_a_partition(test)


def test_flush_messages_of_1_makes_every_append_wait_whatever_its_acks() -> None:
    async def test(partition: Partition) -> None:
        appended = append(partition, b"a")
        assert partition.needs_sync(appended, acks=1)
        assert partition.needs_sync(appended, acks=-1)

    with_a_partition(test, {"flush.messages": "1"})


def test_flush_messages_of_3_makes_the_third_message_wait() -> None:
    async def test(partition: Partition) -> None:
        assert not partition.needs_sync(append(partition, b"a", b"b"), acks=-1)
        assert partition.needs_sync(append(partition, b"c"), acks=-1)

    with_a_partition(test, {"flush.messages": "3"})


@pytest.mark.parametrize("name", ["log.flush.interval.messages", "log.flush.interval.ms"])
def test_a_choice_of_the_broker_counts_like_one_of_the_topic(name: str) -> None:
    async def test(partition: Partition) -> None:
        assert not partition.needs_sync(append(partition, b"a"), acks=-1)

    with_a_partition(test, static={name: "1000000"})


@pytest.mark.parametrize(("epoch", "code"), [(2, ErrorCode.FENCED_LEADER_EPOCH), (4, ErrorCode.UNKNOWN_LEADER_EPOCH)])
def test_another_leader_epoch_is_refused(epoch: int, code: ErrorCode) -> None:
    async def test(partition: Partition) -> None:
        with pytest.raises(KafkaError) as refused:
            partition.check_leader_epoch(epoch)
        assert refused.value.code is code

    with_a_partition(test)


def test_the_own_leader_epoch_and_none_pass() -> None:
    async def test(partition: Partition) -> None:
        partition.check_leader_epoch(3)
        partition.check_leader_epoch(-1)

    with_a_partition(test)
