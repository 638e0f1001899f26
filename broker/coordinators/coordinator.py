"""The group coordinator: the thin shell around live groups, with their clock, their waiters and `__consumer_offsets`.

    a request, or a deadline --> a Turn (joining, syncing, rebalance) --> its outcome, performed at once:
        timers     one table of deadlines, one timer of the loop
        replies    futures of the requests that wait
        stored     a generation, written to the group's partition; when it is durable, that is the group's next event

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
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import islice
from typing import TypeVar
from uuid import UUID

from ...protocol.compression import Codec
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...storage.log import Verification
from ..catalog import Catalog, CatalogListener, Topic
from ..clock import Clock
from ..topic_names import CONSUMER_OFFSETS
from . import joining, rebalance, syncing
from .consumer_groups.classic_members import ClassicJoin, ClassicSync
from .consumer_groups.group import ConsumerGroup
from .consumer_groups.offset_checks import expire as expire_of_consumers
from .consumer_groups.settings import ConsumerGroupSettings
from .consumer_groups.shell import TIMER_PREFIX, ConsumerGroups, new_member_id
from .group import Group, GroupState, Waiter
from .group_records import NO_TIME_MS, NO_TOPIC_ID, Committed, GroupRecord, GroupStored, OffsetCommitted, OffsetRemoved
from .groups_machine import GroupsMachine
from .offsets import everything_of, expire, of_deleted_topic
from .runtime.machine import TransactionalProducer
from .runtime.runtime import CoordinatorRuntime, FindPartition
from .runtime.shard import Shard
from .settings import CoordinatorSettings
from .timers import Timers
from .turn import NO_MEMBER_ID, Outcome, TimerKey, Turn, join_refused, sync_refused

RETENTION = "retention"
RETENTION_STAGGER_MS = 50
"""Partitions are looked through one after the other, so that requests pass in between."""

RECORDS_PER_TURN = 1000
"""So many offsets of a deleted topic are removed at a time; requests pass in between."""

GroupShard = Shard[GroupRecord, GroupsMachine]
T = TypeVar("T")

log = logging.getLogger(__name__)


class GroupCoordinator(CatalogListener):
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
        self._clock = clock
        self._timers: Timers[TimerKey] = Timers()
        self._storing: dict[str, GroupStored] = {}  # the last generation of each group that is on its way to the disk
        self._forgetting: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at_ms = 0
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin to take over the groups; on the loop, once the partitions are there."""
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self._catalog.subscribe(self)
        self.consumers.start()
        self.runtime.start()

    def release(self) -> None:
        """Send away all who wait, so that the connections can be closed."""
        self._is_open = False
        if self._alarm is not None:
            self._alarm.cancel()
        for group in self.groups:
            self.turn(group, _send_away)

    async def stop(self) -> None:
        """Let go of the partitions; what was written is durable when they are closed."""
        if self._is_open:
            self.release()
        for task in self._forgetting:
            task.cancel()
        await self.forgotten()
        await self.consumers.stop()
        await self.runtime.stop()

    async def forgotten(self) -> None:
        """Return when the offsets of topics that are deleted have been removed."""
        while self._forgetting:
            await asyncio.wait(self._forgetting)

    # --- what the runtime asks and tells (runtime.Owner)

    def new_machine(self, partition: int) -> GroupsMachine:
        """Nothing is known of the partition yet."""
        return GroupsMachine()

    def on_loaded(self, shard: GroupShard) -> None:
        """Its groups go on."""
        state, groups = shard.machine.state, shard.machine.groups
        for group_id in {**state.groups, **state.offsets}:
            if group_id in state.consumers:
                continue
            stored = state.groups.get(group_id)
            group = Group(group_id, self._clock.now_ms()) if stored is None else Group.load(stored)
            groups[group_id] = group
            self.turn(group, rebalance.loaded)
        self.consumers.on_loaded(shard)
        self._in_background(self._forget_topics_gone(shard))
        stagger_ms = shard.index * RETENTION_STAGGER_MS
        self._timers.start(_retention_of(shard), self._time_ms() + self.settings.retention_check_ms + stagger_ms)
        self._set_alarm()

    def on_unloaded(self, shard: GroupShard) -> None:
        """Its groups are known here no more."""
        self._timers.cancel(_retention_of(shard))
        for group in shard.machine.groups.values():
            self._storing.pop(group.group_id, None)
            self.turn(group, _send_away)
            for key in group_timers(group):
                self._timers.cancel(key)
        shard.machine.groups.clear()
        self.consumers.on_unloaded(shard)

    # --- requests

    @property
    def groups(self) -> Iterator[Group]:
        """All classic groups that are loaded."""
        return (group for shard in self.runtime.shards for group in list(shard.machine.groups.values()))

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
        self.turn(group, lambda turn: joining.join(turn, request, waiter))
        return await waiter

    def _new_group(self, group_id: str) -> Group:
        """It is written down, empty, before anybody joins it, as in Kafka: where there is no room for that, nobody can.
        It takes the place of one of the new protocol that has no members.
        """
        shard = self.shard_of(group_id)
        group = Group(group_id, self._clock.now_ms())
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
        self.turn(group, lambda turn: syncing.sync(turn, request, waiter))
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
        return self.turn(group, lambda turn: syncing.heartbeat(turn, request))

    async def leave(self, group_id: str, leaving: Sequence[Message]) -> list[ErrorCode]:
        """The answer to LeaveGroup, a code for each. KafkaError as in `shard_of` and `settled`."""
        consumers = self.find_consumers(group_id)
        if consumers is not None:
            members = [(each.member_id, each.group_instance_id) for each in leaving]
            return await self.consumers.leave(self.shard_of(group_id), consumers, members)
        group = self.find(group_id)
        if group is None:
            return [ErrorCode.UNKNOWN_MEMBER_ID for _ in leaving]
        codes = self.turn(group, lambda turn: syncing.leave(turn, leaving))
        if not group.members:
            # That the group is empty is what a restart must know before its last member can be sure to have left.
            await self.settled(group_id)
        return codes

    def turn(self, group: Group, event: Callable[[Turn], T]) -> T:
        """Let an event happen to the group, and do what comes of it."""
        turn = Turn(group, self.settings.groups, self._clock.now_ms())
        result = event(turn)
        self._perform(group, turn.outcome)
        return result

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

    async def durable(self, shard: GroupShard, end_offset: int) -> None:
        """Return when all in front of the offset is durable. KafkaError: REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR."""
        try:
            async with asyncio.timeout(self.settings.commit_timeout_ms / 1000):
                await shard.durable(end_offset)
        except TimeoutError:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the disk has not answered in time") from None

    async def commit(
        self,
        group_id: str,
        records: Sequence[OffsetCommitted],
        *,
        producer: TransactionalProducer | None = None,
        verification: Verification | None = None,
        written: Callable[[], None] | None = None,
    ) -> None:
        """As `write`; the group is there then, if it was not: offsets may be kept for one that has no members.

        With a `producer` they are part of its transaction (see `Shard.write`). `written` is called once they are in the
        log and count, before the disk is waited for.
        """
        shard = self.shard_of(group_id)
        end_offset = shard.write(records, producer=producer, verification=verification)
        if group_id not in shard.machine.groups and group_id not in shard.machine.state.consumers:
            shard.machine.groups[group_id] = Group(group_id, self._clock.now_ms())
        if written is not None:
            written()
        await self.durable(shard, end_offset)

    async def delete(self, group: Group) -> None:
        """Remove an empty group with its offsets; return when that is durable. KafkaError as in `write`."""
        shard = self.shard_of(group.group_id)
        end_offset = shard.write(everything_of(group.group_id, shard.machine.state))
        self._let_go(shard, group)
        await self.durable(shard, end_offset)

    async def delete_consumers(self, group: ConsumerGroup) -> None:
        """The same with a group of the new protocol."""
        shard = self.shard_of(group.group_id)
        offsets = [
            each for each in everything_of(group.group_id, shard.machine.state) if isinstance(each, OffsetRemoved)
        ]
        await self.durable(shard, shard.write([*offsets, *self.consumers.removal_of(group)]))

    # --- for groups that change their protocol

    def convert_away(self, shard: GroupShard, group: Group) -> None:
        """The classic group is one of the new protocol now: who waits is to join again."""
        self.turn(group, _send_to_rejoin)
        self._let_go(shard, group)

    def take_over(self, shard: GroupShard, group: Group, why: str | None) -> None:
        """A group of the new protocol is this classic one now; with `why` it is rebalanced."""
        shard.machine.groups[group.group_id] = group
        self.turn(group, rebalance.loaded)
        if why is not None and group.state is not GroupState.PREPARING:
            self.turn(group, lambda turn: rebalance.prepare(turn, why))

    def change_timer(self, key: TimerKey, after_ms: int | None, *, unless_running: bool) -> None:
        """A deadline of theirs: `after_ms` from now, or never."""
        if after_ms is None:
            self._timers.cancel(key)
        elif not (unless_running and key in self._timers):
            self._timers.start(key, self._time_ms() + max(after_ms, 0))
            self._set_alarm()

    def _let_go(self, shard: GroupShard, group: Group) -> None:
        shard.machine.groups.pop(group.group_id, None)
        for key in group_timers(group):
            self._timers.cancel(key)

    def offsets_of(self, group_id: str) -> Iterator[tuple[Topic, dict[int, Committed]]]:
        """What the group has committed, in topics that exist. An offset in a topic that was deleted is not seen any more,
        even before it has been removed. KafkaError as in `shard_of`.
        """
        for name, partitions in self.shard_of(group_id).machine.state.offsets.get(group_id, {}).items():
            topic = self._catalog.topics.get(name)
            found = {} if topic is None else {at: each for at, each in partitions.items() if each.is_of(topic.id)}
            if topic is not None and found:
                yield topic, found

    # --- outcomes

    def _perform(self, group: Group, outcome: Outcome) -> None:
        now_ms = self._time_ms()
        for key, after_ms in outcome.timers:
            if after_ms is None:
                self._timers.cancel(key)
            else:
                self._timers.start(key, now_ms + max(after_ms, 0))
        for waiter, answer in outcome.replies:
            _answer(waiter, answer)
        for record in outcome.stored:
            self._store(group, record)
        self._set_alarm()

    def _store(self, group: Group, record: GroupStored) -> None:
        self._storing[group.group_id] = record
        self._timers.start(TimerKey("store", group.group_id), self._time_ms() + self.settings.commit_timeout_ms)

        def told(error: KafkaError | None) -> None:
            if self._storing.get(group.group_id) is record:
                del self._storing[group.group_id]
                self._timers.cancel(TimerKey("store", group.group_id))
            if error is None:
                self.turn(group, lambda turn: syncing.stored(turn, record))
            else:
                code = refusal_of(error.code)
                self.turn(group, lambda turn: syncing.not_stored(turn, record, code))

        try:
            shard = self.runtime.shard_for(group.group_id)
            end_offset = shard.write([record])
        except KafkaError as refusal:
            self._loop.call_soon(told, refusal)  # the group's next event, not a part of this one
        else:
            shard.when_durable(end_offset, told)

    # --- time

    def _time_ms(self) -> int:
        """For deadlines: a clock that only goes forward."""
        return int(self._loop.time() * 1000)

    def _set_alarm(self) -> None:
        at_ms = self._timers.next_at_ms()
        if not self._is_open or at_ms is None or (self._alarm is not None and self._alarm_at_ms <= at_ms):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at_ms = at_ms
        self._alarm = self._loop.call_at((at_ms + 1) / 1000, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        try:
            for key in self._timers.due(self._time_ms()):
                self._deadline(key)
        finally:
            self._set_alarm()

    def _deadline(self, key: TimerKey) -> None:
        try:
            if key.kind == RETENTION:
                self._expire_and_go_on(self.runtime.shard_at(int(key.group_id)))
                return
            if key.kind.startswith(TIMER_PREFIX):
                self.consumers.deadline(self.shard_of(key.group_id), key)
                return
            group = self.find(key.group_id)
        except KafkaError as refusal:
            log.info("%s of %s: %s", key.kind, key.group_id, refusal.message)
            return
        if group is None:
            return
        match key.kind:
            case "join":
                self.turn(group, rebalance.join_deadline)
            case "sync":
                self.turn(group, rebalance.sync_deadline)
            case "session":
                self.turn(group, lambda turn: rebalance.session_deadline(turn, key.member_id))
            case "store":
                self._store_deadline(group)

    def _store_deadline(self, group: Group) -> None:
        """The disk hangs; the record is in the log and counts, but nobody is kept waiting for it."""
        record = self._storing.pop(group.group_id, None)
        if record is not None:
            self.turn(group, lambda turn: syncing.not_stored(turn, record, ErrorCode.COORDINATOR_NOT_AVAILABLE))

    # --- retention and deleted topics

    def _expire_and_go_on(self, shard: GroupShard) -> None:
        self.expire_offsets(shard)
        self._timers.start(_retention_of(shard), self._time_ms() + self.settings.retention_check_ms)

    def expire_offsets(self, shard: GroupShard) -> None:
        """Remove offsets that nobody wants any more, and groups that have none left."""
        now_ms = self._clock.now_ms()
        retention_ms = self.settings.offsets_retention_ms
        state = shard.machine.state
        for consumers in list(state.consumers.values()):
            records = expire_of_consumers(consumers, state, retention_ms=retention_ms, now_ms=now_ms)
            if not self._write_expired(shard, records):
                return
        for group in list(shard.machine.groups.values()):
            records = expire(group, shard.machine.state, retention_ms=retention_ms, now_ms=now_ms)
            if not self._write_expired(shard, records):
                return
            is_idle = group.state is GroupState.EMPTY and not group.pending
            if is_idle and not shard.machine.state.knows(group.group_id):
                self._let_go(shard, group)

    def _write_expired(self, shard: GroupShard, records: Sequence[GroupRecord]) -> bool:
        try:
            shard.write(records)
        except KafkaError as refusal:
            log.warning("%r: expired offsets stay until the next look: %s", shard, refusal.message)
            return False
        return True

    def on_topic_deleted(self, topic: Topic) -> None:
        """Its offsets go with it, in every group; behind the answer, and out of sight at once."""
        now_ms = self._clock.now_ms()
        for shard in self.runtime.shards:
            self._in_background(self._forget(shard, topic.name, topic.id, now_ms))

    async def _forget_topics_gone(self, shard: GroupShard) -> None:
        """Those that were deleted just before a crash, or while another broker had the directory."""
        gone: set[tuple[str, UUID]] = set()
        for group_id in list(shard.machine.state.offsets):
            for topic, partitions in shard.machine.state.offsets.get(group_id, {}).items():
                ids = {each.topic_id for each in partitions.values()} - {NO_TOPIC_ID}
                gone |= {(topic, topic_id) for topic_id in ids if self._catalog.topic_by_id(topic_id) is None}
            await asyncio.sleep(0)
        for topic, topic_id in sorted(gone):
            await self._forget(shard, topic, topic_id, NO_TIME_MS)

    async def _forget(self, shard: GroupShard, topic: str, topic_id: UUID, deleted_at_ms: int) -> None:
        gone = of_deleted_topic(shard.machine.state, topic, topic_id, deleted_at_ms=deleted_at_ms)
        try:
            while records := list(islice(gone, RECORDS_PER_TURN)):
                shard.write(records)
                await asyncio.sleep(0)
        except KafkaError as refusal:
            log.warning("%r: offsets in the deleted topic %s stay for now: %s", shard, topic, refusal.message)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    def check(self) -> None:
        """Assert the invariants, of every group too: what waits has a deadline."""
        self._timers.check()
        for shard in self.runtime.shards:
            shard.machine.state.check()
        for group in self.groups:
            group.check()
            if group.state is GroupState.PREPARING:
                assert TimerKey("join", group.group_id) in self._timers
            if group.state is GroupState.COMPLETING:
                assert TimerKey("sync", group.group_id) in self._timers or group.group_id in self._storing
        for group_id in self._storing:
            assert TimerKey("store", group_id) in self._timers


def _classic_sync(request: Message) -> ClassicSync:
    """A SyncGroup or Heartbeat; the latter has no protocol."""
    return ClassicSync(
        request.member_id,
        request.group_instance_id,
        request.generation_id,
        getattr(request, "protocol_type", None),
        getattr(request, "protocol_name", None),
    )


def refusal_of(code: ErrorCode) -> ErrorCode:
    """What a client is told when a record of its group could not be written (Kafka's translation)."""
    match code:
        case ErrorCode.REQUEST_TIMED_OUT:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        case ErrorCode.KAFKA_STORAGE_ERROR:
            return ErrorCode.NOT_COORDINATOR
        case ErrorCode.RECORD_LIST_TOO_LARGE | ErrorCode.MESSAGE_TOO_LARGE:
            return ErrorCode.UNKNOWN_SERVER_ERROR
    return code


def group_timers(group: Group) -> Iterator[TimerKey]:
    """All deadlines that a group may have."""
    for kind in ("join", "sync", "store"):
        yield TimerKey(kind, group.group_id)
    for member_id in (*group.members, *group.pending):
        yield TimerKey("session", group.group_id, member_id)


def _retention_of(shard: GroupShard) -> TimerKey:
    return TimerKey(RETENTION, str(shard.index))


def _send_away(turn: Turn) -> None:
    for member in turn.group.members.values():
        turn.answer_join(member, join_refused(ErrorCode.NOT_COORDINATOR, member.member_id))
        turn.answer_sync(member, sync_refused(ErrorCode.NOT_COORDINATOR))


def _send_to_rejoin(turn: Turn) -> None:
    for member in turn.group.members.values():
        turn.answer_join(member, join_refused(ErrorCode.REBALANCE_IN_PROGRESS, member.member_id))
        turn.answer_sync(member, sync_refused(ErrorCode.REBALANCE_IN_PROGRESS))


def _answer(waiter: Waiter, answer: Message) -> None:
    """A request that was given up (its connection is gone) has a future that is done."""
    assert isinstance(waiter, asyncio.Future)
    if not waiter.done():
        waiter.set_result(answer)
