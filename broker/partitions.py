"""The partitions this node leads: as many as the catalog says, each with its log in the log directory.

The catalog decides, this follows: it listens to the records applied and makes, changes or deletes logs accordingly.
Making and deleting waits for the disk, so it happens in one thread, change after change in the order of the records;
`settled` says when all that was decided so far is done, so that CreateTopics answers when the topic can be used. What
failed (a full disk) is tried again by `retry`; until then the partition is not there.

A crash can leave the directory behind the catalog, never ahead of it, for a record is durable before its logs are made:
at start a log that is missing is made, and one of a topic that is leaving is deleted. A log of a topic that the catalog never
heard of is not ours to delete: it is set aside for a person to judge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar
from uuid import UUID

from ..protocol.compression import UNFOLDED_SPARE_BYTES
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.produce import TopicKey
from ..protocol.spare_buffers import SpareBuffers
from ..storage.config import NEVER
from ..storage.directory import LogDirectory
from ..storage.directory_names import TopicPartition
from ..storage.log import Log
from .catalog import Catalog, CatalogListener, Topic
from .clock import SystemClock
from .config import BrokerConfig
from .flusher import Flusher
from .partition import Partition
from .partition_settings import PartitionSettings, partition_settings

T = TypeVar("T")

RETRY_S = 1.0

log = logging.getLogger(__name__)


class Partitions(CatalogListener):
    """Finds partitions by topic (name or id) and index, and follows the catalog. Owned by the loop."""

    def __init__(
        self,
        directory: LogDirectory,
        catalog: Catalog,
        *,
        config: Callable[[], BrokerConfig],
        flusher: Flusher,
        clock: SystemClock,
        forget: Callable[[UUID], None],
        let_go: Callable[[list[Log]], Awaitable[None]],
    ) -> None:
        """`forget` is told of each deleted topic of which no log is left; `let_go` returns when nobody else uses those logs."""
        self._forget = forget
        self._let_go = let_go
        self._directory = directory
        self._catalog = catalog
        self._config = config
        self._flusher = flusher
        self._clock = clock
        self._spares = SpareBuffers(most=1, largest_bytes=UNFOLDED_SPARE_BYTES)
        self._topics: dict[TopicKey, list[Partition | None]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="partitions")
        self._last_change: asyncio.Task[None] | None = None
        self._undeleted: list[Log] = []
        self._checkpointing = asyncio.Lock()
        self._next_checkpoint: asyncio.Task[None] | None = None
        self._broken: frozenset[TopicPartition] = frozenset()
        self._offline = False  # logs of existing partitions are missing, after a failure
        self._retry: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[Partition]:
        for key, partitions in tuple(self._topics.items()):
            if isinstance(key, str):
                yield from (each for each in partitions if each is not None)

    @property
    def timed(self) -> Iterator[Partition]:
        """Those whose topic asks for a sync by the clock (`flush.ms`)."""
        return (each for each in self if each.settings.sync_every_ms < NEVER and each.log.dirty_bytes)

    @property
    def count(self) -> int:
        """How many partitions are led."""
        return sum(1 for _ in self)

    def find(self, topic: TopicKey, index: int) -> Partition | None:
        """The partition; None where there is no such topic or index, or its log could not be made yet."""
        partitions = self._topics.get(topic)
        if partitions is None or not 0 <= index < len(partitions):
            return None
        return partitions[index]

    def why_missing(self, topic: TopicKey, index: int) -> ErrorCode:
        """What to tell a client for whose topic and index there is no partition.

        One that exists, and whose log could not be made or opened, is a matter of the disk; then it is tried again.
        """
        partitions = self._topics.get(topic)
        if partitions is None:
            return ErrorCode.UNKNOWN_TOPIC_ID if isinstance(topic, UUID) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if not 0 <= index < len(partitions) or not self._offline:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION  # there is none, or it is just being made
        self._retry_soon()
        return ErrorCode.KAFKA_STORAGE_ERROR

    def open(self, broken: Iterable[TopicPartition]) -> None:
        """Take over the logs that the directory has loaded, make those that are missing, and follow the catalog.

        `broken` are those that could not be loaded: they are not there until the next start, and their files are not
        touched. Called once, before the listeners are open; waits for the disk. OSError: a log could not be made.
        """
        self._broken = frozenset(broken)
        self._offline = bool(self._broken)
        for topic in self._catalog.topics.values():
            indexes = range(len(topic.partitions))
            logs = {index: self._kept(topic, self._directory.get(topic.name, index)) for index in indexes}
            self._configure_adopted(topic, logs.values())
            missing = self._missing(topic, [index for index, each in logs.items() if each is None])
            if missing:
                logs.update(zip(missing, self._create_logs(topic, missing), strict=True))
            settings = self._settings(topic)
            self._topics[topic.name] = self._topics[topic.id] = [
                None if found is None else self._partition(topic, index, found, settings)
                for index, found in logs.items()
            ]
        for stray in self._directory.logs:
            if self.find(stray.topic, stray.partition) is None:
                self._put_away(stray)
        self._catalog.subscribe(self)

    def _configure_adopted(self, topic: Topic, logs: Iterable[Log | None]) -> None:
        """Logs of a topic that has just been adopted were opened before it had its settings."""
        if not topic.configs:
            return
        config = self._config().log_config(topic.configs)
        for each in logs:
            if each is not None:
                each.update_config(config)

    def _put_away(self, stray: Log) -> None:
        if self._directory.topic_id_of(stray) in self._catalog.leaving:
            self._directory.delete_log(stray, now_ms=self._clock.now_ms())
            return
        log.warning("%s belongs to no topic: it is set aside", stray.directory)
        self._directory.set_aside(stray, now_ms=self._clock.now_ms())

    def _kept(self, topic: Topic, found: Log | None) -> Log | None:
        """The log if it is this topic's; one of an earlier topic of the same name goes."""
        if found is None:
            return None
        topic_id = self._directory.topic_id_of(found)
        if topic_id is None:
            self._directory.adopt(found, topic.id)
        elif topic_id != topic.id:
            self._directory.delete_log(found, now_ms=self._clock.now_ms())
            return None
        return found

    async def settled(self) -> None:
        """Return when every change decided so far is done, or has failed and was logged."""
        if self._last_change is not None:
            await asyncio.wait([self._last_change])

    def retry(self) -> None:
        """Try again to make what could not be made, and to delete what could not be deleted."""
        self._retry = None
        self._offline = bool(self._broken)
        for topic in self._catalog.topics.values():
            if None in self._topics[topic.id]:
                self._change(partial(self._make, topic))
        if self._undeleted:
            logs, self._undeleted = self._undeleted, []
            self._change(lambda: self._delete(logs))

    def _retry_soon(self) -> None:
        """Somebody asked for what could not be made: try again, at most once in RETRY_S."""
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self.retry)

    async def close(self) -> None:
        """Finish the changes under way and end the thread; the logs are closed by their directory."""
        if self._retry is not None:
            self._retry.cancel()
        await self.settled()
        self._thread.shutdown(wait=True)

    async def keep_checkpoints(self) -> None:
        """Note on the disk how far each log is known to be there, and where it begins.

        Calls that come while one writes share the next. Raises KafkaError(KAFKA_STORAGE_ERROR).
        """
        if self._next_checkpoint is None:
            self._next_checkpoint = asyncio.ensure_future(self._checkpoint())
        await asyncio.shield(self._next_checkpoint)

    async def _checkpoint(self) -> None:
        async with self._checkpointing:
            self._next_checkpoint = None
            checkpoint = self._directory.begin_checkpoint()
            try:
                await asyncio.to_thread(checkpoint.run)
            except OSError as error:
                raise KafkaError(
                    ErrorCode.KAFKA_STORAGE_ERROR, f"the checkpoints could not be written: {error}"
                ) from error

    # --- what the catalog tells (CatalogListener)

    def on_topic_created(self, topic: Topic) -> None:
        self._topics[topic.name] = self._topics[topic.id] = [None] * len(topic.partitions)
        self._change(lambda: self._make(topic))

    def on_partitions_added(self, topic: Topic, count_before: int) -> None:
        self._topics[topic.id].extend([None] * (len(topic.partitions) - count_before))
        self._change(lambda: self._make(topic))

    def on_topic_deleted(self, topic: Topic) -> None:
        partitions = [each for each in self._topics.pop(topic.id) if each is not None]
        del self._topics[topic.name]
        for partition in partitions:
            partition.is_led = False
            partition.wake_all()
        self._change(partial(self._leave, topic.id, [each.log for each in partitions]))

    def on_topic_configs_changed(self, topic: Topic) -> None:
        settings, log_config = self._settings(topic), self._config().log_config(topic.configs)
        for partition in self._topics[topic.id]:
            if partition is not None:
                partition.settings = settings
                partition.log.update_config(log_config)

    def on_broker_configs_changed(self, node: str) -> None:
        """The broker's settings are the defaults of every topic's."""
        for topic in self._catalog.topics.values():
            self.on_topic_configs_changed(topic)

    # --- making and deleting, one change after the other

    def _change(self, change: Callable[[], object]) -> None:
        before = self._last_change
        self._last_change = asyncio.ensure_future(self._in_turn(before, change))

    async def _in_turn(self, before: asyncio.Task[None] | None, change: Callable[[], object]) -> None:
        if before is not None:
            await asyncio.wait([before])
        await change()  # type: ignore[misc]

    async def _make(self, topic: Topic) -> None:
        partitions = self._topics.get(topic.id, [])
        missing = self._missing(topic, [index for index, each in enumerate(partitions) if each is None])
        if not missing:
            return
        try:
            logs = await self._in_thread(lambda: self._create_logs(topic, missing))
        except OSError as error:
            log.error("the logs of topic %s could not be made and will be tried again: %s", topic.name, error)
            self._offline = True
            return
        if topic.id not in self._topics:
            await self._delete(logs)  # the topic was deleted meanwhile
            return
        now = self._catalog.topics[topic.name]
        settings = self._settings(now)
        for index, made in zip(missing, logs, strict=True):
            partitions[index] = self._partition(now, index, made, settings)

    def _missing(self, topic: Topic, absent: list[int]) -> list[int]:
        """Of the partitions without a log, those for which one may be made."""
        return [index for index in absent if TopicPartition(topic.name, index) not in self._broken]

    async def _leave(self, topic_id: UUID, logs: list[Log]) -> None:
        await self._delete(logs)
        if not any(self._directory.get(each.topic, each.partition) is each for each in logs):
            self._forget(topic_id)

    async def _delete(self, logs: list[Log]) -> None:
        await self._let_go(logs)
        await self._flusher.settled_of(logs)
        try:
            await self._in_thread(lambda: self._directory.delete_logs(logs, now_ms=self._clock.now_ms()))
        except OSError as error:
            log.error("deleted logs could not be put away and will be tried again: %s", error)
            self._undeleted += [each for each in logs if self._directory.get(each.topic, each.partition) is each]

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _create_logs(self, topic: Topic, indexes: list[int]) -> list[Log]:
        config = self._config().log_config(topic.configs)
        return self._directory.create_logs(topic.name, indexes, topic.id, config, now_ms=self._clock.now_ms())

    def _settings(self, topic: Topic) -> PartitionSettings:
        """Of all its partitions: for thousands of them it would take long to look it up for each."""
        return partition_settings(self._config(), topic.configs)

    def _partition(self, topic: Topic, index: int, partition_log: Log, settings: PartitionSettings) -> Partition:
        return Partition(
            topic.name,
            index,
            partition_log,
            leader_epoch=topic.partitions[index].leader_epoch,
            settings=settings,
            flusher=self._flusher,
            keep_checkpoints=self.keep_checkpoints,
            spares=self._spares,
        )
