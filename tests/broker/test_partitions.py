"""Partitions over a real log directory on a disk in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from uuid import UUID

import pytest
from ottla.broker.adoption import adopt
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import (
    ConfigResource,
    ConfigsChanged,
    PartitionsAdded,
    PartitionState,
    TopicCreated,
    TopicDeleted,
    TopicRemoved,
)
from ottla.broker.config import BrokerConfig
from ottla.broker.flusher import Flusher
from ottla.broker.partitions import Partitions
from ottla.protocol.errors import ErrorCode
from ottla.storage.directory import LogDirectory
from ottla.storage.log import Log
from support.batches import batch
from support.power_cut import PowerCutFiles

STATE = PartitionState(leader=1, leader_epoch=0, replicas=(1,), isr=(1,))
ID = UUID(int=1)
OTHER_ID = UUID(int=2)
NO_SUCH_ID = UUID(int=3)


class Clock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return 1_000


class House:
    """A catalog, a directory on `files`, and the partitions between them."""

    def __init__(self, files: PowerCutFiles, catalog: Catalog) -> None:
        self.files = files
        self.catalog = catalog
        self.flusher = Flusher()
        config = BrokerConfig()
        ids = iter(range(1, 1000))
        self.directory = LogDirectory.open(
            "/data", files=files, node_id=1, cluster_id="c", new_id=lambda: UUID(int=next(ids)), now_ms=0
        )
        self.report = self.directory.load(lambda topic: config.log_config(), now_ms=0)
        self.let_go_of: list[Log] = []

        async def let_go(logs: list[Log]) -> None:
            self.let_go_of += logs

        self.partitions = Partitions(
            self.directory,
            catalog,
            config=lambda: config,
            flusher=self.flusher,
            clock=Clock(),  # type: ignore[arg-type]
            forget=lambda topic_id: catalog.apply(TopicRemoved(topic_id)),
            let_go=let_go,
        )
        self.partitions.open(self.report.failed)

    def folders(self) -> list[str]:
        return sorted(self.files.list_directories("/data"))

    async def close(self) -> None:
        await self.partitions.close()
        await self.flusher.close()


def in_a_house(
    test: Callable[[House], Awaitable[None]], files: PowerCutFiles | None = None, catalog: Catalog | None = None
) -> None:
    async def run() -> None:
        house = House(files or PowerCutFiles(), catalog or Catalog())
        await test(house)
        await house.close()

    asyncio.run(run())


def created(partitions: int = 2, topic_id: UUID = ID) -> TopicCreated:
    return TopicCreated(topic_id, "t", (STATE,) * partitions)


def test_a_created_topic_has_its_partitions_when_all_is_settled() -> None:
    async def test(house: House) -> None:
        house.catalog.apply(created(2))
        assert house.partitions.find("t", 0) is None
        await house.partitions.settled()
        assert house.partitions.find("t", 1) is house.partitions.find(ID, 1) is not None
        assert house.partitions.find("t", 2) is None
        assert house.folders() == ["t-0", "t-1"]

    in_a_house(test)


def test_added_partitions_and_new_settings_arrive() -> None:
    async def test(house: House) -> None:
        house.catalog.apply(created(1))
        house.catalog.apply(PartitionsAdded(ID, (STATE,)))
        house.catalog.apply(ConfigsChanged(ConfigResource.TOPIC, "t", {"max.message.bytes": "77"}))
        await house.partitions.settled()
        found = [house.partitions.find("t", index) for index in (0, 1)]
        assert [each.settings.rules.max_message_bytes for each in found if each] == [77, 77]

    in_a_house(test)


def test_a_deleted_topic_is_gone_at_once_and_forgotten_when_its_logs_are() -> None:
    async def test(house: House) -> None:
        house.catalog.apply(created())
        await house.partitions.settled()
        house.catalog.apply(TopicDeleted(ID))
        assert house.partitions.find("t", 0) is house.partitions.find(ID, 0) is None
        assert house.catalog.leaving == {ID}
        await house.partitions.settled()
        assert [each.partition for each in house.let_go_of] == [0, 1], (
            "the cleaner, for one, must not use them any more"
        )
        assert not house.catalog.leaving
        assert all(name.endswith("-delete") for name in house.folders())

    in_a_house(test)


def test_a_topic_deleted_while_it_is_made_leaves_nothing() -> None:
    async def test(house: House) -> None:
        house.catalog.apply(created())
        house.catalog.apply(TopicDeleted(ID))
        house.catalog.apply(created(1, OTHER_ID))
        await house.partitions.settled()
        assert house.partitions.find(OTHER_ID, 0) is house.partitions.find("t", 0) is not None
        assert [name for name in house.folders() if not name.endswith("-delete")] == ["t-0"]

    in_a_house(test)


def after_a_kill(first: Callable[[House], Awaitable[None]]) -> PowerCutFiles:
    """The disk as the next process finds it after `first` was killed."""
    files = PowerCutFiles()

    async def run() -> None:
        house = House(files, Catalog())
        await first(house)
        await house.close()

    asyncio.run(run())
    return files.kill()


async def make_topic(house: House) -> None:
    house.catalog.apply(created())
    await house.partitions.settled()
    partition = house.partitions.find("t", 0)
    assert partition is not None
    partition.append(memoryview(batch(b"v", timestamp=1_000)), version=9, now_ms=1_000)
    await house.flusher.flush(partition.log)


def test_a_kill_in_the_middle_of_a_deletion_is_completed_at_the_next_start() -> None:
    catalog = Catalog()
    catalog.apply(created())
    catalog.apply(TopicDeleted(ID))

    async def test(house: House) -> None:
        assert all(name.endswith("-delete") for name in house.folders())
        assert len(house.folders()) == 2

    in_a_house(test, after_a_kill(make_topic), catalog)


def test_logs_of_a_topic_that_nobody_knows_are_set_aside() -> None:
    async def test(house: House) -> None:
        assert all(name.endswith("-stray") for name in house.folders())
        assert len(house.folders()) == 2

    in_a_house(test, after_a_kill(make_topic))


def test_logs_of_an_earlier_topic_of_the_same_name_are_not_taken_for_the_new_one() -> None:
    catalog = Catalog()
    catalog.apply(created(1, OTHER_ID))

    async def test(house: House) -> None:
        partition = house.partitions.find("t", 0)
        assert partition is not None
        assert partition.high_watermark == 0

    in_a_house(test, after_a_kill(make_topic), catalog)


def test_a_topic_whose_logs_were_not_made_before_a_kill_gets_them_at_the_next_start() -> None:
    catalog = Catalog()
    catalog.apply(created(3))

    async def test(house: House) -> None:
        partitions = [house.partitions.find("t", index) for index in range(3)]
        assert [each.high_watermark for each in partitions if each] == [1, 0, 0]

    in_a_house(test, after_a_kill(make_topic), catalog)


def test_a_full_disk_keeps_a_topic_offline_until_there_is_room() -> None:
    async def test(house: House) -> None:
        house.files.fill_disk(10)
        house.catalog.apply(created(1))
        await house.partitions.settled()
        assert house.partitions.find("t", 0) is None
        assert house.partitions.why_missing("t", 0) is ErrorCode.KAFKA_STORAGE_ERROR
        house.files.free_disk()
        house.partitions.retry()
        await house.partitions.settled()
        assert house.partitions.find("t", 0) is not None
        assert house.partitions.why_missing("t", 1) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    in_a_house(test)


@pytest.mark.parametrize(
    ("topic", "code"),
    [("u", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), (NO_SUCH_ID, ErrorCode.UNKNOWN_TOPIC_ID)],
)
def test_what_never_was_is_named_by_how_it_was_asked_for(topic: str | UUID, code: ErrorCode) -> None:
    async def test(house: House) -> None:
        assert house.partitions.why_missing(topic, 0) is code

    in_a_house(test)


def test_an_acknowledged_start_offset_survives_a_power_cut() -> None:
    files = PowerCutFiles()

    async def run() -> None:
        house = House(files, Catalog())
        await make_topic(house)
        partition = house.partitions.find("t", 0)
        assert partition is not None
        assert await partition.delete_before(1) == 1
        await house.close()

    asyncio.run(run())
    catalog = Catalog()
    catalog.apply(created())

    async def test(house: House) -> None:
        partition = house.partitions.find("t", 0)
        assert partition is not None
        assert partition.log.log_start_offset == 1

    in_a_house(test, files.cut(Random(7)), catalog)


def test_found_logs_become_topics_with_their_ids_and_the_gaps_filled() -> None:
    records = adopt(
        [("b", 2, ID, 4), ("a", 0, None, -1), ("b", 0, ID, 1)],
        node_id=1,
        new_id=lambda: OTHER_ID,
        configs_of=lambda topic: {"cleanup.policy": "compact"} if topic == "a" else {},
    )
    assert records == [
        TopicCreated(OTHER_ID, "a", (STATE,), {"cleanup.policy": "compact"}),
        TopicCreated(
            ID, "b", tuple(PartitionState(leader=1, leader_epoch=e, replicas=(1,), isr=(1,)) for e in (1, 0, 4))
        ),
    ]
