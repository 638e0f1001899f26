"""A coordinator's internal topic as a set of shards: one machine per partition, loaded from its log, changed by it.

    catalog: the topic appears   -->  every partition: loading (a thread) --> active, the coordinator is told
    catalog: the topic goes      -->  the coordinator is told, the shards take no more

To build a coordinator on it:

1. Write a `Machine` (machine.py): records to and from bytes, and how each changes the state.
2. Write an `Owner`: it makes empty machines, and is told of each shard that has been loaded, to begin timers, and of
   each that goes, to send away who waits.
3. Open a `CoordinatorRuntime` for the topic, `start` it when the partitions are there, `stop` it before they are closed.
4. Serve a request:    shard = runtime.shard_for(key)            # or refused, in a word that clients understand
                       end = shard.write(decide(shard.machine))  # pure decision, no await in between
                       await shard.durable(end)                  # then answer

The topic itself is made by `internal_topics.ensure`, as Kafka does when a coordinator is first looked for. Each key belongs
to one partition (placement.py), so what happens to a key happens in the order of one log; nothing is decided across
partitions. Loading is in the background, one partition after the other: the broker serves meanwhile, and refuses only what is
not loaded yet (COORDINATOR_LOAD_IN_PROGRESS, which every client takes for "in a moment").

A partition that cannot be loaded (damaged, or its disk fails) is not served until the next start; the others are.

Kafka's class: `CoordinatorRuntime`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from ....protocol.compression import Codec
from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.values import dataclass
from ...catalog import Catalog, CatalogListener, Topic
from ...clock import Clock
from ...partition import Partition
from .machine import Machine
from .placement import partition_for
from .replay import Replayed, ReplayFailed, ReplayGivenUp, replay
from .shard import Shard

R = TypeVar("R")
M = TypeVar("M", bound=Machine[Any])

log = logging.getLogger(__name__)


class Owner(Protocol[R, M]):
    """The coordinator. All of it is called on the loop and must not wait."""

    def new_machine(self, partition: int) -> M:
        """An empty state for this partition."""

    def on_loaded(self, shard: Shard[R, M]) -> None:
        """The shard is in the state of its log, and may be written to."""

    def on_unloaded(self, shard: Shard[R, M]) -> None:
        """The shard is gone, with its topic."""


class FindPartition(Protocol):
    """The broker's `Partitions`, as far as it matters here."""

    def find(self, topic: str, index: int, /) -> Partition | None: ...

    def why_missing(self, topic: str, index: int, /) -> ErrorCode: ...

    async def settled(self) -> None: ...


@dataclass(slots=True)
class _Generation:
    """The topic while it exists. One that is deleted and made again is another."""

    partition_count: int
    ended: bool = False


class CoordinatorRuntime(CatalogListener, Generic[R, M]):
    """The shards of one internal topic. Owned by the loop."""

    def __init__(
        self,
        topic: str,
        owner: Owner[R, M],
        *,
        catalog: Catalog,
        partitions: FindPartition,
        codec: Codec,
        clock: Clock,
    ) -> None:
        self.topic = topic
        self._owner = owner
        self._catalog = catalog
        self._partitions = partitions
        self.codec = codec
        self._clock = clock
        self._generation: _Generation | None = None
        self._shards: dict[int, Shard[R, M]] = {}
        self._failed: dict[int, str] = {}
        self._loading: asyncio.Task[None] | None = None

    # --- coming and going

    def start(self) -> None:
        """Follow the catalog, and begin to load what is there. The partitions follow the catalog already."""
        self._catalog.subscribe(self)
        topic = self._catalog.topics.get(self.topic)
        if topic is not None:
            self._begin(topic)

    async def stop(self) -> None:
        """Load no more, and take no more; what is written is durable when the logs are closed."""
        self._end(KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the broker is stopping"))
        await self.loaded()

    async def loaded(self) -> None:
        """Return when nothing is being loaded."""
        while self._loading is not None:
            await asyncio.wait([self._loading])

    # --- finding a shard

    def shard_for(self, key: str) -> Shard[R, M]:
        """The shard that this key belongs to. KafkaError: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS."""
        if self._generation is None:
            raise KafkaError(ErrorCode.NOT_COORDINATOR, f"there is no topic {self.topic} yet")
        return self.shard_at(partition_for(key, self._generation.partition_count))

    def shard_at(self, index: int) -> Shard[R, M]:
        """The shard of this partition. KafkaError as in `shard_for`."""
        shard = self._shards.get(index)
        if shard is not None:
            return shard
        generation = self._generation
        if generation is None or index in self._failed or not 0 <= index < generation.partition_count:
            why = self._failed.get(index, "there is no such partition")
            raise KafkaError(ErrorCode.NOT_COORDINATOR, f"{self.topic}-{index}: {why}")
        self._load_soon()  # its log may have been missing, for want of room
        raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, f"{self.topic}-{index} is being loaded")

    @property
    def shards(self) -> Iterator[Shard[R, M]]:
        """Those that are loaded, in the order of their partitions."""
        return (self._shards[index] for index in sorted(self._shards))

    @property
    def is_loading(self) -> bool:
        """Whether some partition is not loaded yet, and will be."""
        return self._loading is not None

    # --- what the catalog tells

    def on_topic_created(self, topic: Topic) -> None:
        if topic.name == self.topic:
            self._begin(topic)

    def on_topic_deleted(self, topic: Topic) -> None:
        if topic.name == self.topic:
            self._end(KafkaError(ErrorCode.NOT_COORDINATOR, f"the topic {self.topic} has been deleted"))

    def _begin(self, topic: Topic) -> None:
        # The count stays, as in Kafka: keys must not move under way. (Nobody adds partitions here: `topic_decisions`.)
        self._generation = _Generation(len(topic.partitions))
        self._load_soon()

    def _end(self, refusal: KafkaError) -> None:
        if self._generation is not None:
            self._generation.ended = True
        self._generation = None
        self._failed.clear()
        shards, self._shards = self._shards, {}
        for shard in shards.values():
            shard.close(refusal)
            self._owner.on_unloaded(shard)

    # --- loading

    def _load_soon(self) -> None:
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load_all())

    async def _load_all(self) -> None:
        try:
            # What is found missing now (a partition whose log cannot be made) is looked for again when it is asked for.
            await self._partitions.settled()
            generation = self._generation
            while generation is not None and await self._load_missing(generation):
                generation = self._generation
        except Exception:
            # A bug of ours, most likely in the coordinator; whoever asks for what is not loaded has it tried again.
            log.exception("%s: loading failed", self.topic)
        finally:
            self._loading = None

    async def _load_missing(self, generation: _Generation) -> bool:
        """Load what is not loaded; True when the topic has been made again meanwhile."""
        for index in range(generation.partition_count):
            partition = self._partitions.find(self.topic, index)
            if partition is None:
                self._partitions.why_missing(self.topic, index)  # has a log that could not be made tried again
            elif index not in self._shards and index not in self._failed:
                await self._load(generation, partition)
            if generation.ended:
                await self._partitions.settled()
                return True
        return False

    async def _load(self, generation: _Generation, partition: Partition) -> None:
        machine = self._owner.new_machine(partition.index)
        try:
            found = await _replayed(partition, machine, lambda: not generation.ended)
        except ReplayGivenUp:
            return
        except (ReplayFailed, OSError) as error:
            if not generation.ended:
                log.error("%s could not be loaded and is not served: %s", partition.name, error)
                self._failed[partition.index] = f"it could not be loaded: {error}"
            return
        if generation.ended:
            return
        if found.record_count:
            log.info("%s: loaded %d records, %d bytes", partition.name, found.record_count, found.size_bytes)
        if found.unknown_count:
            log.warning("%s: %d records are of kinds not known here", partition.name, found.unknown_count)
        shard: Shard[R, M] = Shard(partition, machine, codec=self.codec, clock=self._clock)
        self._shards[partition.index] = shard
        self._owner.on_loaded(shard)


async def _replayed(partition: Partition, machine: Machine[Any], is_wanted: Callable[[], bool]) -> Replayed:
    """In a thread, unless there is nothing to read: a new topic is there at once."""
    partition_log = partition.log
    if partition_log.log_start_offset == partition_log.log_end_offset:
        return Replayed(partition_log.log_end_offset)
    return await asyncio.to_thread(replay, partition_log, machine, is_wanted=is_wanted)
