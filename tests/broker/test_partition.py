import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

import pytest
from ottla.broker.config import BrokerConfig
from ottla.broker.flusher import Flusher
from ottla.broker.partition import Partition
from ottla.broker.partition_settings import partition_settings
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.record_reader import EndTxnMarker
from ottla.protocol.records import BatchBuilder, ControlType
from ottla.protocol.spare_buffers import SpareBuffers
from ottla.storage.config import LogConfig
from ottla.storage.log import Appended, FileSlice, Log, TransactionEnd
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
        partition = Partition(
            "t",
            0,
            log,
            leader_epoch=3,
            settings=settings,
            flusher=flusher,
            keep_checkpoints=nothing,
            spares=SpareBuffers(most=1, largest_bytes=0),
        )
        await test(partition)
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


def append_in_transaction(partition: Partition, producer_id: int, sequence: int = 0) -> Appended:
    builder = BatchBuilder(producer_id=producer_id, producer_epoch=0, base_sequence=sequence, is_transactional=True)
    builder.append(NOW_MS, None, b"in a transaction")
    return partition.append(memoryview(builder.build()), version=9, now_ms=NOW_MS)


def end(partition: Partition, producer_id: int, how: ControlType) -> Appended:
    return partition.end_transaction(TransactionEnd(producer_id, 0, EndTxnMarker(how, 0), 1, NOW_MS), now_ms=NOW_MS)


def read_committed(partition: Partition, offset: int) -> tuple[FileSlice | None, list[tuple[int, int, int]]]:
    records, aborted = partition.read_committed(offset, max_bytes=10_000, min_one_batch=True)
    return records, [(each.producer_id, each.first_offset, each.last_offset) for each in aborted]


def test_readers_of_committed_records_stop_in_front_of_the_first_open_transaction() -> None:
    async def test(partition: Partition) -> None:
        append(partition, b"a")
        append_in_transaction(partition, 1)
        append(partition, b"b")
        assert (partition.last_stable_offset, partition.high_watermark) == (1, 3)
        records, _ = read_committed(partition, 0)
        whole = partition.read(0, max_bytes=10_000, min_one_batch=True)
        assert records is not None
        assert whole is not None
        assert records.size_bytes < whole.size_bytes
        assert read_committed(partition, 1) == (None, [])
        end(partition, 1, ControlType.COMMIT)
        assert partition.last_stable_offset == 4

    with_a_partition(test)


def test_readers_of_committed_records_are_told_what_was_aborted_in_their_part() -> None:
    async def test(partition: Partition) -> None:
        append_in_transaction(partition, 1)
        append_in_transaction(partition, 2)
        end(partition, 2, ControlType.COMMIT)
        end(partition, 1, ControlType.ABORT)
        append(partition, b"a")
        assert read_committed(partition, 0)[1] == [(1, 0, 3)]
        assert read_committed(partition, 3)[1] == [(1, 0, 3)]
        assert read_committed(partition, 4)[1] == []

    with_a_partition(test)


class Wait:
    """A reader's wait, as the partition sees it."""

    def __init__(self, partition: Partition) -> None:
        self.appended_bytes = self.decided_bytes = 0
        partition.waits.add(self)  # type: ignore[arg-type]

    def appended(self, size_bytes: int, decided_bytes: int, batch: memoryview | None) -> None:
        self.appended_bytes += size_bytes
        self.decided_bytes += decided_bytes


def test_bytes_count_for_readers_of_committed_records_once_they_are_decided() -> None:
    async def test(partition: Partition) -> None:
        wait = Wait(partition)
        append(partition, b"a")
        assert wait.decided_bytes == wait.appended_bytes > 0
        before = wait.decided_bytes
        append_in_transaction(partition, 1)
        append(partition, b"b")
        assert wait.decided_bytes == before < wait.appended_bytes
        end(partition, 1, ControlType.ABORT)
        assert wait.decided_bytes == wait.appended_bytes == partition.log.size_bytes

    with_a_partition(test)


def test_an_end_that_decides_only_a_part_wakes_readers_of_committed_records_too() -> None:
    async def test(partition: Partition) -> None:
        wait = Wait(partition)
        append_in_transaction(partition, 1)
        append_in_transaction(partition, 2)
        end(partition, 2, ControlType.COMMIT)
        assert wait.decided_bytes == 0
        end(partition, 1, ControlType.COMMIT)
        assert wait.decided_bytes == wait.appended_bytes
        append_in_transaction(partition, 1, sequence=1)
        append_in_transaction(partition, 2, sequence=1)
        before = wait.decided_bytes
        end(partition, 1, ControlType.COMMIT)
        assert partition.last_stable_offset == partition.high_watermark - 2
        assert wait.decided_bytes > before

    with_a_partition(test)
