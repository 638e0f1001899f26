"""The group coordinator: what handlers ask of groups and offsets, of either kind of group, over `__consumer_offsets`.

    classic (classic_groups)             groups of the classic protocol, at work
    consumers (consumer_groups.shell)    groups of the new one; a group changes from one to the other (`convert_away`,
                                         `take_over`)
    removal (offsets_removal)            what takes offsets away again
    alarm                                one table of deadlines for all three

A group belongs to one partition of the topic and lives in that partition's machine (`groups_machine`). Before the
partition is loaded, requests about its groups are refused for the moment; when it is, its groups go on and their members'
sessions begin anew. Owned by the loop: between looking at a group and changing it nothing is awaited. Live groups are
volatile, what is durable lies in the machine's `state`, changed by records only. Who waits for an answer waits no longer
than a deadline of its group; who waits for the disk, `offsets.commit.timeout.ms`.

    start               the topic's partitions are loaded, in the background
    release             all who wait are sent away, nothing is taken any more: first thing when the broker stops
    stop                nothing is loaded or written any more; the partitions can be closed

Kafka's classes: `GroupCoordinatorService`, `GroupCoordinatorShard`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ...protocol.compression import Codec
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...storage.log import Verification
from ..catalog import Catalog, Topic
from ..clock import Clock
from ..topic_names import CONSUMER_OFFSETS
from . import joining, syncing
from .alarm import Alarm
from .classic_groups import ClassicGroups
from .consumer_groups.classic_members import ClassicJoin, ClassicSync
from .consumer_groups.group import ConsumerGroup
from .consumer_groups.settings import ConsumerGroupSettings
from .consumer_groups.shell import TIMER_PREFIX, ConsumerGroups, new_member_id
from .group import Group, Member
from .group_records import Committed, GroupRecord, OffsetCommitted, OffsetRemoved
from .groups_machine import GroupShard, GroupsMachine
from .offsets import everything_of
from .offsets_removal import RETENTION, OffsetsRemoval
from .runtime.machine import TransactionalProducer
from .runtime.runtime import CoordinatorRuntime, FindPartition
from .runtime.shard import Told
from .settings import CoordinatorSettings
from .turn import NO_MEMBER_ID, TimerKey, Turn, join_refused, sync_refused

T = TypeVar("T")

log = logging.getLogger(__name__)


class GroupCoordinator:
    """All groups of this node. For handlers: `find`, `join`, `sync`, `turn`, `write`, and everything to read."""

    def __init__(
        self,
        catalog: Catalog,
        partitions: FindPartition,
        settings: CoordinatorSettings,
        consumer_settings: ConsumerGroupSettings,
        *,
        codec: Codec,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.runtime: CoordinatorRuntime[GroupRecord, GroupsMachine] = CoordinatorRuntime(
            CONSUMER_OFFSETS, self, catalog=catalog, partitions=partitions, codec=codec, clock=clock
        )
        self.consumers = ConsumerGroups(self, catalog, consumer_settings, clock=clock)
        self._catalog = catalog
        self._alarm: Alarm[TimerKey] = Alarm(self._deadline)
        self.classic = ClassicGroups(self.runtime, self._alarm, settings, clock=clock)
        self.removal = OffsetsRemoval(self.runtime, self.classic, self._alarm, settings, catalog=catalog, clock=clock)
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin to take over the groups; on the loop, once the partitions are there."""
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self._alarm.open()
        self.removal.start()
        self.consumers.start()
        self.runtime.start()

    def release(self) -> None:
        """Send away all who wait, so that the connections can be closed."""
        self._is_open = False
        self._alarm.close()
        self.classic.release()

    async def stop(self) -> None:
        """Let go of the partitions; what was written is durable when they are closed."""
        if self._is_open:
            self.release()
        await self.removal.stop()
        await self.consumers.stop()
        await self.runtime.stop()

    # --- what the runtime asks and tells (runtime.Owner)

    def new_machine(self, partition: int) -> GroupsMachine:
        """Nothing is known of the partition yet."""
        return GroupsMachine()

    def on_loaded(self, shard: GroupShard) -> None:
        """Its groups go on."""
        self.classic.on_loaded(shard)
        self.consumers.on_loaded(shard)
        self.removal.on_loaded(shard)

    def on_unloaded(self, shard: GroupShard) -> None:
        """Its groups are known here no more."""
        self.removal.on_unloaded(shard)
        self.classic.on_unloaded(shard)
        self.consumers.on_unloaded(shard)

    # --- requests

    @property
    def codec(self) -> Codec:
        """How records of groups are compressed."""
        return self.runtime.codec

    def check_open(self) -> None:
        """KafkaError when the broker is stopping."""
        if not self._is_open:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the broker is stopping")

    def shard_of(self, group_id: str) -> GroupShard:
        """The group's partition. KafkaError: COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS."""
        self.check_open()
        return self.runtime.shard_for(group_id)

    def find(self, group_id: str) -> Group | None:
        """The classic group, if there is one. KafkaError as in `shard_of`."""
        return self.shard_of(group_id).machine.groups.get(group_id)

    def find_consumers(self, group_id: str) -> ConsumerGroup | None:
        """The group of the new protocol, if there is one. KafkaError as in `shard_of`."""
        return self.shard_of(group_id).machine.state.consumers.get(group_id)

    async def join(self, group_id: str, request: joining.Join) -> Message:
        """The answer to JoinGroup: at once, or when the generation begins. KafkaError as in `shard_of` and `Shard.write`."""
        consumers = self.find_consumers(group_id)
        if consumers is not None and consumers.members:
            return await self._join_consumers(consumers, request)
        group = self.find(group_id)
        if group is None:
            if request.member_id != NO_MEMBER_ID:
                return join_refused(ErrorCode.UNKNOWN_MEMBER_ID, request.member_id)
            group = self._new_group(group_id)
        waiter: asyncio.Future[Message] = self._loop.create_future()
        self.classic.turn(group, lambda turn: joining.join(turn, request, waiter))
        return await waiter

    def _new_group(self, group_id: str) -> Group:
        """It is written down, empty, before anybody joins it, as in Kafka: where there is no room for that, nobody can.
        It takes the place of one of the new protocol that has no members.
        """
        shard = self.shard_of(group_id)
        group = self.classic.new(group_id)
        consumers = shard.machine.state.consumers.get(group_id)
        removal = [] if consumers is None else self.consumers.removal_of(consumers)
        shard.write([*removal, group.as_stored({})])
        shard.machine.groups[group_id] = group
        return group

    async def sync(self, group_id: str, request: Message) -> Message:
        """The answer to SyncGroup: at once, or when the leader's assignment is durable. KafkaError as in `shard_of`."""
        consumers = self.find_consumers(group_id)
        if consumers is not None:
            return await self.consumers.sync(self.shard_of(group_id), consumers, _classic_sync(request))
        group = self.find(group_id)
        if group is None:
            return sync_refused(ErrorCode.UNKNOWN_MEMBER_ID)
        waiter: asyncio.Future[Message] = self._loop.create_future()
        self.classic.turn(group, lambda turn: syncing.sync(turn, request, waiter))
        return await waiter

    async def _join_consumers(self, group: ConsumerGroup, request: joining.Join) -> Message:
        new_id = new_member_id()
        asked = ClassicJoin(
            request.member_id,
            request.instance_id,
            request.client_id,
            request.client_host,
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
            request.protocol_type,
            request.protocols,
            new_id,
            request.must_know_its_id,
        )
        try:
            return await self.consumers.join(self.shard_of(group.group_id), group, asked)
        except KafkaError as refusal:
            if refusal.code is ErrorCode.MEMBER_ID_REQUIRED:
                return join_refused(refusal.code, new_id)
            raise

    def heartbeat(self, group_id: str, request: Message) -> ErrorCode:
        """The answer to Heartbeat. KafkaError as in `shard_of`, and when it is refused."""
        consumers = self.find_consumers(group_id)
        if consumers is not None:
            return self.consumers.heartbeat_classic(self.shard_of(group_id), consumers, _classic_sync(request))
        group = self.find(group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return self.classic.turn(group, lambda turn: syncing.heartbeat(turn, request))

    async def leave(self, group_id: str, leaving: Sequence[Message]) -> list[ErrorCode]:
        """The answer to LeaveGroup, a code for each. KafkaError as in `shard_of` and `settled`."""
        consumers = self.find_consumers(group_id)
        if consumers is not None:
            members = [(each.member_id, each.group_instance_id) for each in leaving]
            return await self.consumers.leave(self.shard_of(group_id), consumers, members)
        group = self.find(group_id)
        if group is None:
            return [ErrorCode.UNKNOWN_MEMBER_ID for _ in leaving]
        codes = self.classic.turn(group, lambda turn: syncing.leave(turn, leaving))
        if not group.members:
            # That the group is empty is what a restart must know before its last member can be sure to have left.
            await self.settled(group_id)
        return codes

    def turn(self, group: Group, event: Callable[[Turn], T]) -> T:
        """Let an event happen to the classic group, and do what comes of it."""
        return self.classic.turn(group, event)

    def keep_alive(self, group: Group, member: Member) -> None:
        """The member of a classic group has shown that it lives."""
        self._alarm.start(TimerKey("session", group.group_id, member.member_id), member.session_timeout_ms)

    async def write(self, group_id: str, records: Sequence[GroupRecord]) -> None:
        """Write and apply at once, and return when that is durable. KafkaError: as `shard_of`, `Shard.write`, `settled`."""
        shard = self.shard_of(group_id)
        await self.durable(shard, shard.write(records))

    async def settled(self, group_id: str) -> None:
        """Return when all that was written about the group, and what its state tells, is durable.

        KafkaError: as `shard_of`, REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR.
        """
        shard = self.shard_of(group_id)
        await self.durable(shard, shard.end_offset)

    def is_settled(self, group_id: str) -> bool:
        """Whether `settled` would return at once. KafkaError as in `shard_of`."""
        shard = self.shard_of(group_id)
        return shard.is_durable(shard.end_offset)

    async def durable(self, shard: GroupShard, end_offset: int) -> None:
        """Return when all in front of the offset is durable. KafkaError: REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR."""
        await shard.durable(end_offset, deadline=self._disk_deadline())

    def when_durable(self, shard: GroupShard, end_offset: int, told: Told) -> None:
        """As `durable`, told by a call."""
        shard.when_durable(end_offset, told, deadline=self._disk_deadline())

    def _disk_deadline(self) -> float:
        return self._loop.time() + self.settings.commit_timeout_ms / 1000

    async def commit(
        self,
        group_id: str,
        records: Sequence[OffsetCommitted],
        *,
        producer: TransactionalProducer | None = None,
        verification: Verification | None = None,
    ) -> None:
        """Write and apply at once, and return when that is durable. KafkaError as in `write`.

        The group is there then, if it was not: offsets may be kept for one that has no members. With a `producer` they are
        part of its transaction (see `Shard.write`).
        """
        shard = self.shard_of(group_id)
        end_offset = shard.write(records, producer=producer, verification=verification)
        self.note_group(shard, group_id)
        await self.durable(shard, end_offset)

    def note_group(self, shard: GroupShard, group_id: str) -> None:
        """Something was committed for the group: it is there from now on."""
        if group_id not in shard.machine.groups and group_id not in shard.machine.state.consumers:
            shard.machine.groups[group_id] = self.classic.new(group_id)

    async def delete(self, group: Group) -> None:
        """Remove an empty group with its offsets; return when that is durable. KafkaError as in `write`."""
        shard = self.shard_of(group.group_id)
        end_offset = shard.write(everything_of(group.group_id, shard.machine.state))
        self.classic.let_go(shard, group)
        await self.durable(shard, end_offset)

    async def delete_consumers(self, group: ConsumerGroup) -> None:
        """The same with a group of the new protocol."""
        shard = self.shard_of(group.group_id)
        offsets = [
            each for each in everything_of(group.group_id, shard.machine.state) if isinstance(each, OffsetRemoved)
        ]
        await self.durable(shard, shard.write([*offsets, *self.consumers.removal_of(group)]))

    def offsets_of(self, group_id: str) -> Iterator[tuple[Topic, dict[int, Committed]]]:
        """What the group has committed, in topics that exist. An offset in a topic that was deleted is not seen any more,
        even before it has been removed. KafkaError as in `shard_of`.
        """
        for name, partitions in self.shard_of(group_id).machine.state.offsets.get(group_id, {}).items():
            topic = self._catalog.topics.get(name)
            found = {} if topic is None else {at: each for at, each in partitions.items() if each.is_of(topic.id)}
            if topic is not None and found:
                yield topic, found

    # --- deadlines

    def change_timer(self, key: TimerKey, after_ms: int | None, *, unless_running: bool) -> None:
        """A deadline of the consumer groups: `after_ms` from now, or never."""
        if after_ms is None:
            self._alarm.cancel(key)
        elif not (unless_running and key in self._alarm):
            self._alarm.start(key, after_ms)

    def _deadline(self, key: TimerKey) -> None:
        try:
            if key.kind == RETENTION:
                self.removal.deadline(key)
                return
            if key.kind.startswith(TIMER_PREFIX):
                self.consumers.deadline(self.shard_of(key.group_id), key)
                return
            group = self.find(key.group_id)
        except KafkaError as refusal:
            log.info("%s of %s: %s", key.kind, key.group_id, refusal.message)
            return
        if group is not None:
            self.classic.deadline(group, key)

    def check(self) -> None:
        """Assert the invariants, of every group too: what waits has a deadline."""
        self._alarm.check()
        for shard in self.runtime.shards:
            shard.machine.state.check()
        self.classic.check()


def _classic_sync(request: Message) -> ClassicSync:
    """A SyncGroup or Heartbeat; the latter has no protocol."""
    return ClassicSync(
        request.member_id,
        request.group_instance_id,
        request.generation_id,
        getattr(request, "protocol_type", None),
        getattr(request, "protocol_name", None),
    )
