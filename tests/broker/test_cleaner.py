"""The cleaner over real logs on a disk in memory: which it cleans, and what calls it off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import ConfigResource, ConfigsChanged, PartitionState, TopicCreated, TopicDeleted
from ottla.broker.cleaner import Cleaner
from ottla.broker.cleaner_settings import CleanerSettings
from ottla.broker.config import BrokerConfig
from ottla.broker.flusher import Flusher
from ottla.broker.partitions import Partitions
from ottla.broker.setting import InvalidSetting
from ottla.storage.checkpoint import CLEANER_FILE
from ottla.storage.directory import LogDirectory
from ottla.storage.log import Log
from support.batches import batch
from support.compacting import records
from support.power_cut import PowerCutFiles

STATE = PartitionState(leader=1, leader_epoch=0, replicas=(1,), isr=(1,))
COMPACTED = {"cleanup.policy": "compact", "internal.segment.bytes": "600"}
DEADLINE_S = 60


class Clock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return 1_000_000


class House:
    """A catalog, a log directory in memory, partitions, and a cleaner."""

    def __init__(self, files: PowerCutFiles, settings: Mapping[str, str]) -> None:
        self.files = files
        self.catalog = Catalog()
        self.flusher = Flusher()
        self.config = BrokerConfig(settings)
        self._topic_count = 0
        self.directory = LogDirectory.open(
            "/data", files=files, node_id=1, cluster_id="c", new_id=lambda: UUID(int=7), now_ms=0
        )
        self.directory.load(lambda topic: self.config.log_config(), now_ms=0)
        self.partitions = Partitions(
            self.directory,
            self.catalog,
            config=lambda: self.config,
            flusher=self.flusher,
            clock=Clock(),  # type: ignore[arg-type]
            forget=lambda topic_id: None,
            let_go=lambda logs: self.cleaner.let_go(logs),
        )
        self.partitions.open(())
        self.cleaner = Cleaner(self.partitions, self.flusher, config=lambda: self.config, clock=Clock())
        self.thread = ThreadPoolExecutor(1)

    async def topic(self, name: str, configs: Mapping[str, str], *, records: int, keys: int = 5) -> Log:
        """A topic of one partition that was written to; each batch is one record."""
        self._topic_count += 1
        self.catalog.apply(TopicCreated(UUID(int=self._topic_count), name, (STATE,), dict(configs)))
        if configs:
            self.catalog.apply(ConfigsChanged(ConfigResource.TOPIC, name, dict(configs)))
        await self.partitions.settled()
        partition = self.partitions.find(name, 0)
        assert partition is not None
        for number in range(records):
            partition.log.append(batch(b"%d" % number, key=b"%d" % (number % keys)), leader_epoch=0, now_ms=0)
        return partition.log

    async def clean(self) -> bool:
        return await self.cleaner.clean_dirtiest(self.thread)

    async def close(self) -> None:
        await self.cleaner.close()
        self.thread.shutdown()
        await self.partitions.close()
        await self.flusher.close()


def in_a_house(test: Callable[[House], Awaitable[None]], **settings: str) -> None:
    async def run() -> None:
        house = House(PowerCutFiles(), {name.replace("_", "."): value for name, value in settings.items()})
        try:
            await asyncio.wait_for(test(house), DEADLINE_S)
        finally:
            await house.close()

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    """Return when it holds; the caller's deadline is the test's."""
    while not condition():  # noqa: ASYNC110 - it is about to hold, and nobody tells
        await asyncio.sleep(0.001)


def test_a_dirty_log_is_cleaned_and_the_checkpoint_says_how_far() -> None:
    async def test(house: House) -> None:
        log = await house.topic("t", COMPACTED, records=40)
        size_bytes = log.size_bytes
        assert log.segment_count > 3
        assert await house.clean()
        assert log.cleaned_to is not None
        assert log.size_bytes < size_bytes
        assert log.recovery_point >= log.cleaned_to, "only what is durable is cleaned"
        assert house.files.read_bytes(f"/data/{CLEANER_FILE}") == b"0\n1\nt 0 %d\n" % log.cleaned_to
        newest = {record.key: record.value for record in records(log)}
        assert newest == {b"%d" % key: b"%d" % (35 + key) for key in range(5)}
        assert not await house.clean(), "there is nothing more to do"

    in_a_house(test)


def test_the_dirtiest_is_cleaned_first_and_others_after_it() -> None:
    async def test(house: House) -> None:
        half_clean = await house.topic("half", COMPACTED, records=40)
        assert await house.clean()
        for number in range(200):
            half_clean.append(batch(b"more", key=b"%d" % number), leader_epoch=0, now_ms=0)
        dirty = await house.topic("dirty", COMPACTED, records=40)
        cleaned_to = half_clean.cleaned_to
        assert await house.clean()
        assert dirty.cleaned_to is not None
        assert half_clean.cleaned_to == cleaned_to
        assert await house.clean()
        assert half_clean.cleaned_to > cleaned_to

    in_a_house(test)


def test_a_log_that_is_not_dirty_enough_or_not_compacted_is_left_alone() -> None:
    async def test(house: House) -> None:
        await house.topic("kept", {"internal.segment.bytes": "600"}, records=40)
        await house.topic("clean", COMPACTED | {"min.cleanable.dirty.ratio": "1.0"}, records=40)
        await house.topic("young", COMPACTED, records=2)
        assert not await house.clean()

    in_a_house(test)


def test_a_log_that_cannot_be_read_does_not_keep_the_others_from_being_cleaned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(house: House) -> None:
        rotten = await house.topic("rotten", COMPACTED, records=40)
        sound = await house.topic("sound", COMPACTED, records=40)
        before = records(rotten)
        house.files.flip("/data/rotten-0/00000000000000000000.log", 66)
        while await house.clean() or sound.cleaned_to is None:
            pass
        assert rotten.cleaned_to is None
        assert "its checksum is wrong" in caplog.text
        assert len(records(rotten)) == len(before), "nothing was touched"
        assert not [name for name in house.files.list_files("/data/rotten-0") if name.endswith((".cleaned", ".swap"))]

    in_a_house(test)


def test_on_a_full_disk_it_is_tried_again() -> None:
    async def test(house: House) -> None:
        log = await house.topic("t", COMPACTED, records=40)
        await house.flusher.flush(log)
        await house.partitions.keep_checkpoints()
        house.files.fill_disk(50)
        assert not await house.clean()
        assert log.poisoned is None
        house.files.free_disk()
        assert await house.clean()

    in_a_house(test)


def test_deleting_a_topic_calls_its_cleaning_off() -> None:
    async def test(house: House) -> None:
        log = await house.topic("t", COMPACTED, records=40)
        cleaning = asyncio.ensure_future(house.clean())
        await until(lambda: log.compaction.under_way)
        house.catalog.apply(TopicDeleted(UUID(int=1)))
        await house.partitions.settled()
        assert not await cleaning
        assert house.directory.get("t", 0) is None

    in_a_house(test, log_cleaner_io_max_bytes_per_second="0.001")


def test_stopping_calls_a_cleaning_off_and_ends_the_workers() -> None:
    async def test(house: House) -> None:
        log = await house.topic("t", COMPACTED, records=40)
        house.cleaner.start()
        await until(lambda: log.compaction.under_way)
        await house.cleaner.close()
        assert log.compaction.under_way is None
        assert log.cleaned_to is None

    in_a_house(test, log_cleaner_io_max_bytes_per_second="0.001")


def test_workers_clean_by_themselves_and_as_many_as_it_is_told() -> None:
    async def test(house: House) -> None:
        logs = [await house.topic(f"t{number}", COMPACTED, records=40) for number in range(4)]
        house.cleaner.start()
        await until(lambda: all(log.cleaned_to is not None for log in logs))
        house.config = BrokerConfig({"log.cleaner.threads": "3", "log.cleaner.backoff.ms": "1"})
        house.cleaner.reconfigure()
        more = await house.topic("more", COMPACTED, records=40)
        await until(lambda: more.cleaned_to is not None)

    in_a_house(test, log_cleaner_backoff_ms="1")


def test_switched_off_it_does_nothing() -> None:
    assert CleanerSettings.of(BrokerConfig({"log.cleaner.enable": "false"})).threads == 0


def test_threads_share_memory_and_buffers() -> None:
    settings = CleanerSettings.of(BrokerConfig({"log.cleaner.threads": "4"}))
    assert settings.limits.map_bytes == 32 * 1024 * 1024
    assert settings.limits.buffer_bytes == 64 * 1024


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"log.cleaner.dedupe.buffer.size": "1048576"}, "at least 1MB per cleaner thread"),
        ({"log.cleaner.threads": "200"}, "at least 1MB per cleaner thread"),
        ({"log.cleaner.threads": "0"}, "at least 1"),
        ({"log.cleaner.io.max.bytes.per.second": "0"}, "greater than 0"),
    ],
)
def test_settings_with_which_nothing_would_ever_be_cleaned_are_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidSetting, match=why):
        BrokerConfig(settings)
