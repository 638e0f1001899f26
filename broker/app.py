"""The broker put together: the one place where its parts meet.

    start   lock and load the log directory -> replay the journal -> partitions -> listen; coordinators come behind
    stop    accept no more, answer what is being served -> finish what is under way -> close the directory, clean

`Broker` is what handlers get. It holds the parts; what it does itself is to start and stop them in the right order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from ..storage.descriptors import room_for_connections
from ..storage.directory import LogDirectory
from ..storage.loading import LoadProgress, LoadReport
from ..storage.log import Log, Removal
from ..storage.system_files import SystemFiles
from .adoption import adopt
from .api.context import RequestContext
from .catalog import Catalog, CatalogListener
from .catalog_machine import CatalogMachine
from .catalog_records import CatalogRecord, ClusterFormed, ConfigResource, NodeStarted, TopicRemoved
from .cleaner import Cleaner
from .clock import SystemClock
from .config import BrokerConfig
from .dispatch import Dispatcher
from .dynamic_config import config_in_force
from .features import first_levels
from .fetch_sessions import FetchSessions
from .flusher import Flusher
from .housekeeping import Housekeeping
from .journal import Journal
from .listeners import Listener, as_reached
from .partitions import Partitions
from .producer_ids import ProducerIds
from .server import Server
from .topic_names import CONSUMER_OFFSETS, TRANSACTION_STATE
from .waiting import Purgatory

if TYPE_CHECKING:
    from .coordination import Coordination
    from .coordinators.coordinator import GroupCoordinator
    from .coordinators.transactions.coordinator import TransactionCoordinator
    from .internal_topics import InternalTopics

CATALOG_JOURNAL = "__ottla_catalog-0"
"""The folder of the catalog's journal, beside the partitions'."""

STOP_GRACE_S = 5.0
CLOSE_THREADS = 4
LOGS_PER_TURN = 50
"""How many logs a sweep looks at before it lets requests pass."""

log = logging.getLogger(__name__)


class Broker(CatalogListener):
    """One node. Made by `await Broker.start(config)`, ended by `await broker.stop()`; its parts are for reading."""

    def __init__(self, config: BrokerConfig, directory: LogDirectory, clock: SystemClock) -> None:
        self._static_config = config
        self.config = config
        self.clock = clock
        self.directory = directory
        self.loop = asyncio.get_running_loop()
        self.catalog = Catalog()
        self.flusher = Flusher()
        self.purgatory = Purgatory(self.loop)
        self.fetch_sessions = FetchSessions(config.whole("max.incremental.fetch.session.cache.slots"), Random())
        self.fetch_max_bytes = config.whole("fetch.max.bytes")
        self.load_report: LoadReport
        self.journal: Journal[CatalogRecord]
        self.producer_ids: ProducerIds
        self.bound: dict[str, Listener] = {}
        self.partitions = Partitions(
            directory,
            self.catalog,
            config=lambda: self.config,
            flusher=self.flusher,
            clock=clock,
            forget=self._forget_topic,
            let_go=lambda logs: self.cleaner.let_go(logs),
        )
        self.cleaner = Cleaner(self.partitions, self.flusher, config=lambda: self.config, clock=clock)
        self.server = Server(
            max_frame_bytes=config.whole("socket.request.max.bytes"),
            queued_max_bytes=config.request_memory_bytes,
            max_connections=config.whole("max.connections"),
            max_connections_per_ip=config.whole("max.connections.per.ip"),
            max_connections_of_address=config.max_connections_of_address,
            room_for_connections=room_for_connections(),
            max_idle_s=config.whole("connections.max.idle.ms") / 1000,
            purgatory=self.purgatory,
        )
        self.server.dispatcher = Dispatcher(self)
        self.housekeeping = Housekeeping(self)
        self._coordination: Coordination | None = None
        self._bringing_up: asyncio.Task[None] | None = None
        self._is_open = False

    @property
    def node_id(self) -> int:
        """This node's id."""
        return self.config.node_id

    @property
    def cluster_id(self) -> str:
        """The cluster's id, 22 characters."""
        assert self.catalog.cluster_id is not None, "a started broker has formed its cluster"
        return self.catalog.cluster_id

    @classmethod
    async def start(cls, config: BrokerConfig, *, on_progress: Callable[[LoadProgress], None] | None = None) -> Broker:
        """Start a node and return when clients can connect.

        `on_progress` is called from a thread while logs are loaded. Raises LockedError, ForeignDirectory,
        CorruptCheckpoint, JournalDamaged and OSError when the data cannot be had, OSError when an address cannot.
        """
        clock = SystemClock()
        directory = await asyncio.to_thread(
            LogDirectory.open,
            str(config.data_directory),
            files=SystemFiles(),
            node_id=config.node_id,
            cluster_id=None,
            new_id=uuid.uuid4,
            now_ms=clock.now_ms(),
        )
        broker = cls(config, directory, clock)
        async with AsyncExitStack() as undo:
            await broker._open(undo, on_progress)
            undo.pop_all()
        return broker

    async def _open(self, undo: AsyncExitStack, on_progress: Callable[[LoadProgress], None] | None) -> None:
        """Part by part; `undo` lets go of those that are there, the last first, when the start fails."""
        undo.callback(self.directory.abandon)
        undo.push_async_callback(self.flusher.close)
        await asyncio.to_thread(self._load_catalog)
        undo.push_async_callback(self.journal.abandon)
        undo.push_async_callback(self.partitions.close)
        await asyncio.to_thread(self._load_logs, on_progress)
        self._tell_recovery()
        self.journal.start(self.flusher, self.clock)
        self.catalog.subscribe(self)
        await self.journal.append(self._first_records())
        await asyncio.to_thread(self.partitions.open, self.load_report.failed)
        await self.journal.append([TopicRemoved(topic_id) for topic_id in self.catalog.leaving])
        self.producer_ids = ProducerIds(self.journal, self.catalog, node_id=self.node_id)
        self._is_open = True
        undo.push_async_callback(self._end_coordination)
        undo.push_async_callback(self.server.stop, 0)
        for listener in self.config.listeners:
            host, port = await self.server.listen(listener.name, listener.host, listener.port)
            self.bound[listener.name] = replace(listener, host=host, port=port)
        await self.server.start()
        self.housekeeping.start()
        self.cleaner.start()
        if self.catalog.topics.keys() & {CONSUMER_OFFSETS, TRANSACTION_STATE}:
            self._bringing_up = asyncio.ensure_future(self._bring_up())

    def _load_catalog(self) -> None:
        """In a thread, before the logs: it holds the topics' settings."""
        self.journal = Journal.open(
            os.path.join(self.directory.path, CATALOG_JOURNAL),
            CatalogMachine(self.catalog),
            files=self.directory.files,
            now_ms=self.clock.now_ms(),
        )
        self.config = config_in_force(self._static_config, self.catalog)

    def _load_logs(self, on_progress: Callable[[LoadProgress], None] | None) -> None:
        """In a thread."""
        self.load_report = self.directory.load(
            lambda topic: self.config.log_config(self.catalog.configs_of(ConfigResource.TOPIC, topic)),
            now_ms=self.clock.now_ms(),
            threads=self.config.whole("num.recovery.threads.per.data.dir"),
            others=frozenset({CATALOG_JOURNAL}),
            on_progress=on_progress,
        )

    def _tell_recovery(self) -> None:
        """Say what the last stop left behind; a new directory has nothing to tell."""
        report, count = self.load_report, len(self.directory.logs)
        for line in report.lines():
            log.warning("%s", line)
        if report.clean:
            log.info("the last stop was clean: nothing to recover")
        elif count:
            checked_mb = report.scanned_bytes / 1_000_000
            log.info("the last stop was not clean: recovered %d logs, %.1f MB checked", count, checked_mb)

    def _first_records(self) -> list[CatalogRecord]:
        """What a start adds to the catalog: that the node is here, under new leader epochs; at first also the cluster."""
        levels = first_levels(self.catalog)
        if self.catalog.cluster_id is not None:
            return [*levels, NodeStarted(self.node_id)]
        found = [
            (each.topic, each.partition, self.directory.topic_id_of(each), each.leader_epochs.latest_epoch)
            for each in self.directory.logs
        ]
        adopted = adopt(
            found,
            node_id=self.node_id,
            new_id=uuid.uuid4,
            configs_of=self._configs_of_adopted,
        )
        if adopted:
            log.info("taking over %d topics that were found in %s", len(adopted), self.directory.path)
        return [ClusterFormed(self.directory.identity.cluster_id), *levels, *adopted, NodeStarted(self.node_id)]

    def _configs_of_adopted(self, topic: str) -> Mapping[str, str]:
        from .internal_topics import internal_configs  # seldom needed at a start

        return internal_configs(topic, self.config)

    def advertised(self, context: RequestContext) -> Listener:
        """Where clients that came in as this one did reach this node."""
        bound = self.bound[context.listener]
        advertised = {each.name: each for each in self.config.advertised_listeners}
        return as_reached(advertised.get(context.listener, bound), bound_port=bound.port, reached_at=context.reached_at)

    async def stop(self) -> list[str]:
        """Stop in order, with everything on the disk. Returns what went wrong, in words."""
        self._is_open = False
        if self._bringing_up is not None:
            await asyncio.wait([self._bringing_up])
        if self._coordination is not None:
            self._coordination.release()
        await self.server.stop(STOP_GRACE_S)
        await self.server.dispatcher.close()
        await self.housekeeping.close()
        await self._end_coordination()
        await self.cleaner.close()
        await self.partitions.close()
        problems = []
        try:
            await self.journal.close()
        except Exception as error:  # noqa: BLE001 - a journal that cannot be closed must not keep the logs from it
            problems.append(str(error))
        await self.flusher.close()
        problems += await asyncio.to_thread(self.directory.close, threads=CLOSE_THREADS)
        return problems

    # --- coordinators

    @property
    def coordination(self) -> Coordination:
        """The coordinators. They are made when they are first asked for, see `coordination`."""
        return self._coordination or self._coordinate()

    @property
    def groups(self) -> GroupCoordinator:
        """The coordinator of groups."""
        return self.coordination.groups

    @property
    def transactions(self) -> TransactionCoordinator:
        """The coordinator of transactions."""
        return self.coordination.transactions

    @property
    def internal_topics(self) -> InternalTopics:
        """Where the coordinators keep what they know."""
        return self.coordination.internal_topics

    async def _bring_up(self) -> None:
        """Import the coordinators in a thread, for requests come in already, and let them go on where the last ones stopped."""
        await asyncio.to_thread(import_module, f"{__package__}.coordination")
        if self._coordination is None and self._is_open:
            self._coordinate()

    def _coordinate(self) -> Coordination:
        from .coordination import Coordination  # here, and seldom: it is what a start does without

        self._coordination = Coordination(self)
        if self._is_open:
            self._coordination.start()
        return self._coordination

    async def _end_coordination(self) -> None:
        self._is_open = False
        if self._coordination is not None:
            await self._coordination.stop()

    # --- by the clock

    async def sweep(self) -> None:
        """Apply retention to every log, a few at a time, and remove what was deleted long enough ago."""
        removals: list[tuple[Log, Removal]] = []
        for count, partition in enumerate(self.partitions, 1):
            partition.sweep(self.clock.now_ms())
            removal = partition.log.take_removal(self.clock.now_ms())
            if removal is not None:
                removals.append((partition.log, removal))
            if count % LOGS_PER_TURN == 0:
                await asyncio.sleep(0)
        await self._remove(removals)
        await asyncio.to_thread(self.directory.sweep, self.clock.now_ms())
        self.partitions.retry()

    async def _remove(self, removals: list[tuple[Log, Removal]]) -> None:
        """Remove files in a thread: unlinking a large one takes its time."""
        for removed_from, removal in removals:
            try:
                await asyncio.to_thread(removal.run)
            except OSError as error:
                log.warning("%s: old files could not be removed yet: %s", removed_from.directory, error)
                removed_from.put_back(removal)

    def _forget_topic(self, topic_id: UUID) -> None:
        """No log of a deleted topic is left: note it, in the background."""
        removed: list[CatalogRecord] = [TopicRemoved(topic_id)]
        self.journal.submit(lambda: (removed, None), keys=())

    # --- what the catalog tells

    def on_broker_configs_changed(self, node: str) -> None:
        """Take the new settings into force; told before the partitions are, which read them."""
        self.config = config_in_force(self._static_config, self.catalog)
        self.fetch_max_bytes = self.config.whole("fetch.max.bytes")
        self.cleaner.reconfigure()
        self.server.max_connections = self.config.whole("max.connections")
        self.server.max_connections_per_ip = self.config.whole("max.connections.per.ip")
        self.server.max_connections_of_address = self.config.max_connections_of_address
