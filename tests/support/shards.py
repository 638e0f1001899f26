"""What a coordinator's runtime needs around it in a test: an internal topic's logs on a disk in memory, a small machine.

async def test(house: House[...]) -> None: ...
files = in_a_house(test)             # the disk, as an ordered stop leaves it; `files.cut(...)` for another end
in_a_house(test, files)              # a restart on it
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import PartitionState, TopicCreated, TopicDeleted
from ottla.broker.config import BrokerConfig
from ottla.broker.coordinators.runtime.machine import TransactionalProducer
from ottla.broker.coordinators.runtime.runtime import CoordinatorRuntime
from ottla.broker.coordinators.runtime.shard import Shard
from ottla.broker.flusher import Flusher
from ottla.broker.partition import Partition
from ottla.broker.partition_settings import partition_settings
from ottla.protocol.compression import Codec
from ottla.protocol.errors import ErrorCode
from ottla.protocol.spare_buffers import SpareBuffers
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from support.journals import StandingClock
from support.power_cut import PowerCutFiles

TOPIC = "__machine_state"
TOPIC_ID = UUID(int=77)
LEADER_EPOCH = 0


async def no_checkpoint() -> None:
    """No checkpoint is kept."""


class InternalLogs:
    """The partitions of internal topics, as the runtime finds them. Kept by the test, so that they survive a runtime."""

    def __init__(
        self, files: PowerCutFiles, flusher: Flusher, *, topic: str, count: int, config: LogConfig | None = None
    ) -> None:
        self.files = files
        self.topic = topic
        self.flusher = flusher
        self.asked_why: list[int] = []  # partitions that are to be tried again
        self._config = config or LogConfig(retention_ms=-1, cleanup_policy=frozenset({"compact"}))
        self.partitions: list[Partition | None] = [self._open(index) for index in range(count)]
        for folder in ("/data", "/"):
            files.sync_directory(folder)

    def _open(self, index: int) -> Partition:
        directory = f"/data/{self.topic}-{index}"
        self.files.make_directory(directory)
        log = Log.open(directory, files=self.files, config=self._config, now_ms=0, clean=False)
        return Partition(
            self.topic,
            index,
            log,
            leader_epoch=LEADER_EPOCH,
            settings=partition_settings(BrokerConfig(), {}),
            flusher=self.flusher,
            keep_checkpoints=no_checkpoint,
            spares=SpareBuffers(most=1, largest_bytes=0),
        )

    def find(self, topic: str, index: int, /) -> Partition | None:
        return self.partitions[index] if topic == self.topic and index < len(self.partitions) else None

    def why_missing(self, topic: str, index: int, /) -> ErrorCode:
        self.asked_why.append(index)
        return ErrorCode.KAFKA_STORAGE_ERROR

    async def settled(self) -> None:
        return

    def log(self, index: int = 0) -> Log:
        found = self.partitions[index]
        assert found is not None
        return found.log

    def close(self) -> None:
        for each in self.partitions:
            if each is not None:
                each.log.close()


class Entry(NamedTuple):
    """A record of the small machine: a word under a key, None to remove it."""

    key: str
    word: str | None


class Words:
    """The last word of each key; a pending one counts when its transaction is committed. `poison` cannot be applied."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}
        self.pending: dict[int, list[Entry]] = {}
        self.offsets: list[int] = []

    def encode(self, record: Entry) -> tuple[bytes, bytes | None]:
        return record.key.encode(), None if record.word is None else record.word.encode()

    def decode(self, key: bytes, value: bytes | None) -> Entry | None:
        if key == b"bad":
            raise ValueError("bad is no key")
        return None if key == b"later" else Entry(key.decode(), None if value is None else value.decode())

    def apply(self, record: Entry, *, offset: int, producer: TransactionalProducer | None) -> None:
        assert record.word != "poison", "a record that cannot be applied"
        self.offsets.append(offset)
        if producer is not None:
            self.pending.setdefault(producer.producer_id, []).append(record)
        elif record.word is None:
            self.words.pop(record.key, None)
        else:
            self.words[record.key] = record.word

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        for record in self.pending.pop(producer_id, []):
            if committed and record.word is not None:
                self.words[record.key] = record.word


class House:
    """An internal topic, a runtime of `Words` over it, and what it was told as the owner."""

    def __init__(self, files: PowerCutFiles, *, count: int, codec: Codec) -> None:
        self.flusher = Flusher()
        self.logs = InternalLogs(files, self.flusher, topic=TOPIC, count=count)
        self.catalog = Catalog()
        self.loaded: list[int] = []
        self.unloaded: list[int] = []
        self.runtime: CoordinatorRuntime[Entry, Words] = CoordinatorRuntime(
            TOPIC, self, catalog=self.catalog, partitions=self.logs, codec=codec, clock=StandingClock()
        )

    def create_topic(self) -> None:
        state = PartitionState(1, 0, (1,), (1,))
        self.catalog.apply(TopicCreated(TOPIC_ID, TOPIC, (state,) * len(self.logs.partitions), {}))

    def delete_topic(self) -> None:
        self.catalog.apply(TopicDeleted(TOPIC_ID))

    @property
    def shard(self) -> Shard[Entry, Words]:
        return self.runtime.shard_at(0)

    # as the owner

    def new_machine(self, partition: int) -> Words:
        return Words()

    def on_loaded(self, shard: Shard[Entry, Words]) -> None:
        self.loaded.append(shard.index)

    def on_unloaded(self, shard: Shard[Entry, Words]) -> None:
        self.unloaded.append(shard.index)


def in_a_house(
    test: Callable[[House], Awaitable[None]],
    files: PowerCutFiles | None = None,
    *,
    count: int = 1,
    codec: Codec = Codec.NONE,
    is_there: bool = True,
    ends_in_order: bool = True,
) -> PowerCutFiles:
    """Run `test` with the topic loaded, unless it is not to be there; return the disk, after a stop in order or not."""
    files = files or PowerCutFiles()

    async def run() -> None:
        house = House(files, count=count, codec=codec)
        if is_there:
            house.create_topic()
        house.runtime.start()
        async with asyncio.timeout(60):
            await house.runtime.loaded()
            await test(house)
            await house.runtime.stop()
        await house.flusher.close()
        if ends_in_order:
            house.logs.close()

    asyncio.run(run())
    return files
