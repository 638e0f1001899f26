"""What takes committed offsets away: time, and the end of their topic. With its last offset an empty group goes, too.

    time       each partition is looked through every `offsets.retention.check.interval.ms`, one after the other; what is to
               go, and when, `offsets.expire` and `consumer_groups.offset_checks.expire` decide
    a topic    its offsets go in the background behind the answer to DeleteTopics, in every group; they are out of sight at
               once, because an offset knows the id of its topic. What a crash left of that goes when the partition is loaded

Kafka's methods: `cleanupExpiredOffsets`, `onPartitionsDeleted`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from itertools import islice
from uuid import UUID

from ...protocol.errors import KafkaError
from ..catalog import Catalog, CatalogListener, Topic
from ..clock import Clock
from .alarm import Alarm
from .classic_groups import ClassicGroups
from .consumer_groups.offset_checks import expire as expire_of_consumers
from .group import GroupState
from .group_records import NO_TIME_MS, NO_TOPIC_ID, GroupRecord
from .groups_machine import GroupShard, GroupsMachine
from .offsets import expire, of_deleted_topic
from .runtime.runtime import CoordinatorRuntime
from .settings import CoordinatorSettings
from .turn import TimerKey

RETENTION = "retention"
RETENTION_STAGGER_MS = 50
"""Partitions are looked through one after the other, so that requests pass in between."""

RECORDS_PER_TURN = 1000
"""So many offsets of a deleted topic are removed at a time; requests pass in between."""

log = logging.getLogger(__name__)


class OffsetsRemoval(CatalogListener):
    """Removes offsets, and groups that have none left. Owned by the loop; a part of the coordinator."""

    def __init__(
        self,
        runtime: CoordinatorRuntime[GroupRecord, GroupsMachine],
        classic: ClassicGroups,
        alarm: Alarm[TimerKey],
        settings: CoordinatorSettings,
        *,
        catalog: Catalog,
        clock: Clock,
    ) -> None:
        self._runtime = runtime
        self._classic = classic
        self._alarm = alarm
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._forgetting: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Follow the catalog."""
        self._catalog.subscribe(self)

    async def stop(self) -> None:
        """Nothing is removed any more."""
        for task in self._forgetting:
            task.cancel()
        await self.forgotten()

    async def forgotten(self) -> None:
        """Return when the offsets of topics that are deleted have been removed."""
        while self._forgetting:
            await asyncio.wait(self._forgetting)

    def on_loaded(self, shard: GroupShard) -> None:
        """The partition's offsets are looked after from now on."""
        self._in_background(self._forget_topics_gone(shard))
        stagger_ms = shard.index * RETENTION_STAGGER_MS
        self._alarm.start(_retention_of(shard), self._settings.retention_check_ms + stagger_ms)

    def on_unloaded(self, shard: GroupShard) -> None:
        self._alarm.cancel(_retention_of(shard))

    # --- time

    def deadline(self, key: TimerKey) -> None:
        """It is time to look through a partition. KafkaError: it is not there."""
        shard = self._runtime.shard_at(int(key.group_id))
        self.expire(shard)
        self._alarm.start(key, self._settings.retention_check_ms)

    def expire(self, shard: GroupShard) -> None:
        """Remove offsets that nobody wants any more, and groups that have none left."""
        now_ms = self._clock.now_ms()
        retention_ms = self._settings.offsets_retention_ms
        state = shard.machine.state
        for consumers in list(state.consumers.values()):
            records = expire_of_consumers(consumers, state, retention_ms=retention_ms, now_ms=now_ms)
            if not _write_expired(shard, records):
                return
        for group in list(shard.machine.groups.values()):
            records = expire(group, shard.machine.state, retention_ms=retention_ms, now_ms=now_ms)
            if not _write_expired(shard, records):
                return
            is_idle = group.state is GroupState.EMPTY and not group.pending
            if is_idle and not shard.machine.state.knows(group.group_id):
                self._classic.let_go(shard, group)

    # --- topics that are deleted

    def on_topic_deleted(self, topic: Topic) -> None:
        """Its offsets go with it, in every group; behind the answer, and out of sight at once."""
        now_ms = self._clock.now_ms()
        for shard in self._runtime.shards:
            self._in_background(_forget(shard, topic.name, topic.id, now_ms))

    async def _forget_topics_gone(self, shard: GroupShard) -> None:
        """Those that were deleted just before a crash, or while another broker had the directory."""
        gone: set[tuple[str, UUID]] = set()
        for group_id in list(shard.machine.state.offsets):
            for topic, partitions in shard.machine.state.offsets.get(group_id, {}).items():
                ids = {each.topic_id for each in partitions.values()} - {NO_TOPIC_ID}
                gone |= {(topic, topic_id) for topic_id in ids if self._catalog.topic_by_id(topic_id) is None}
            await asyncio.sleep(0)
        for topic, topic_id in sorted(gone):
            await _forget(shard, topic, topic_id, NO_TIME_MS)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)


def _retention_of(shard: GroupShard) -> TimerKey:
    return TimerKey(RETENTION, str(shard.index))


def _write_expired(shard: GroupShard, records: Sequence[GroupRecord]) -> bool:
    try:
        shard.write(records)
    except KafkaError as refusal:
        log.warning("%r: expired offsets stay until the next look: %s", shard, refusal.message)
        return False
    return True


async def _forget(shard: GroupShard, topic: str, topic_id: UUID, deleted_at_ms: int) -> None:
    gone = of_deleted_topic(shard.machine.state, topic, topic_id, deleted_at_ms=deleted_at_ms)
    try:
        while records := list(islice(gone, RECORDS_PER_TURN)):
            shard.write(records)
            await asyncio.sleep(0)
    except KafkaError as refusal:
        log.warning("%r: offsets in the deleted topic %s stay for now: %s", shard, topic, refusal.message)
