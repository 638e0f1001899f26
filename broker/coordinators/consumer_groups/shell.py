"""Consumer groups at work: requests, deadlines and changes of topics, made into decisions, records and answers.

    a request, a deadline  -->  look at the group, decide  -->  records written and applied  -->  timers, conversions
                                                                    |  durable (shared sync)
                                                                    v
                                                                 the answer

The counterpart of `coordinator` for groups of the new protocol, and a part of it: both share the partitions of
`__consumer_offsets`, the table of deadlines and the way to the disk. A group is of one of the two kinds at any time. It
changes when somebody of the other kind joins (`migration`), which is one batch in the log.

The topics are followed here, in a picture of their own (`topic_image`); a group that is subscribed to one that has changed
looks again with the next heartbeat of a member. Expressions are matched in threads, a few at a time.

Between looking at a group and changing it nothing is awaited. Kafka's classes: `GroupCoordinatorService`,
`GroupMetadataManager`.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from ....protocol.consumer_protocol import PROTOCOL_TYPE
from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.messages import Message
from ....protocol.values import dataclass, field
from ...catalog import Catalog, CatalogListener, Topic
from ...clock import Clock
from ..group import Group
from ..group_records import GroupRecord, GroupRemoved
from ..groups_machine import GroupShard
from ..turn import TimerKey
from .classic_members import ClassicJoin, ClassicSync, heartbeat_classic, join_classic, sync_classic
from .conversions import live_group, picture_of, stored_group
from .decision import Decision, TimerChange, TimerKind
from .group import ConsumerGroup
from .heartbeat import Heartbeat, HeartbeatAnswer, heartbeat
from .leaving import leave, leave_classic, rebalance_expired, session_expired
from .member import AWAY_EPOCH, JOINING_EPOCH, LEFT_EPOCH, MemberState
from .migration import tombstones, upgrade
from .records import ConsumerGroupRecord
from .regex import resolve
from .settings import ConsumerGroupSettings
from .topic_image import TopicImage, TopicSeen
from .topic_patterns import resolved

if TYPE_CHECKING:
    from ..coordinator import GroupCoordinator

T = TypeVar("T")

TIMER_PREFIX = "consumer "
"""In front of the kinds of deadlines, which are others than those of classic groups."""
RETRY_MS = 500
"""A deadline whose records could not be written comes again after this time."""
MAX_RESOLVING = 2
"""So many threads match expressions at a time (Kafka's `group.coordinator.background.threads`)."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Plan:
    """A decision that is about to be made: the group as it is or would be, and what has to happen for it to be that."""

    group: ConsumerGroup
    records: list[GroupRecord] = field(default_factory=list)
    timers: list[TimerChange] = field(default_factory=list)
    classic: Group | None = None  # which becomes this group


class ConsumerGroups(CatalogListener):
    """The consumer groups of this node. Owned by the loop."""

    def __init__(
        self, coordinator: GroupCoordinator, catalog: Catalog, settings: ConsumerGroupSettings, *, clock: Clock
    ) -> None:
        self.settings = settings
        self._coordinator = coordinator
        self._catalog = catalog
        self._clock = clock
        # Versions go into records and must grow over restarts, too.
        self.topics = TopicImage(version=clock.now_ms())
        self._resolving = asyncio.Semaphore(MAX_RESOLVING)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Follow the topics, from those that are there."""
        for topic in self._catalog.topics.values():
            self._put(topic)
        self._catalog.subscribe(self)

    async def stop(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- shards come and go

    def on_loaded(self, shard: GroupShard) -> None:
        """Sessions begin anew, and so does the time to give up partitions."""
        for group in shard.machine.state.consumers.values():
            timeout_ms = self.settings.times_of(group.group_id).session_timeout_ms
            for member in group.members.values():
                self._start(group.group_id, TimerKind.SESSION, member.member_id, timeout_ms)
                if member.standing.state is MemberState.UNREVOKED_PARTITIONS and not member.is_classic:
                    patience_ms = member.subscription.rebalance_timeout_ms
                    self._start(group.group_id, TimerKind.REBALANCE, member.member_id, patience_ms)

    def on_unloaded(self, shard: GroupShard) -> None:
        for group in shard.machine.state.consumers.values():
            self._forget_timers(group)

    @property
    def groups(self) -> Iterator[ConsumerGroup]:
        """All groups of the new protocol that are loaded."""
        return (
            group
            for shard in self._coordinator.runtime.shards
            for group in list(shard.machine.state.consumers.values())
        )

    # --- requests of members of the new protocol

    async def heartbeat(self, group_id: str, request: Heartbeat) -> HeartbeatAnswer:
        """KafkaError: as the decisions, `GroupCoordinator.shard_of`, `Shard.write`, `GroupCoordinator.durable`."""
        shard = self._coordinator.shard_of(group_id)
        if request.member_epoch in (LEFT_EPOCH, AWAY_EPOCH):
            plan, event = _Plan(self._known(shard, group_id)), leave
        else:
            plan, event = self._plan(shard, group_id, request.member_epoch), heartbeat
        answer, end_offset = self._decide(shard, plan, lambda decision: event(decision, request))
        await self._coordinator.durable(shard, end_offset)
        return answer

    def _known(self, shard: GroupShard, group_id: str) -> ConsumerGroup:
        group = shard.machine.state.consumers.get(group_id)
        if group is None:
            kind = "is not a consumer group" if group_id in shard.machine.groups else "not found"
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} {kind}.")
        return group

    def _plan(self, shard: GroupShard, group_id: str, epoch: int) -> _Plan:
        """The group; a member that joins may make it, or convert a classic one."""
        group = shard.machine.state.consumers.get(group_id)
        if group is not None:
            return _Plan(group)
        classic = shard.machine.groups.get(group_id)
        if epoch != JOINING_EPOCH:
            kind = (
                f"Consumer group {group_id} not found."
                if classic is None
                else f"Group {group_id} is not a consumer group."
            )
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, kind)
        if classic is None:
            return _Plan(ConsumerGroup(group_id))
        removed: list[GroupRecord] = [GroupRemoved(group_id)] if group_id in shard.machine.state.groups else []
        if not classic.members:
            return _Plan(ConsumerGroup(group_id), removed, classic=classic)
        made = upgrade(picture_of(classic), self.topics, self.settings)
        log.info("group %s: a member of the consumer protocol joins, the classic group is converted", group_id)
        return _Plan(made.group, [*removed, *made.records], list(made.timers), classic)

    # --- requests of members of the classic protocol

    async def join(self, shard: GroupShard, group: ConsumerGroup, request: ClassicJoin) -> Message:
        """JoinGroup in a group that has members. KafkaError as in `heartbeat`."""
        joined, end_offset = self._decide(shard, _Plan(group), lambda decision: join_classic(decision, request))
        await self._coordinator.durable(shard, end_offset)
        return Message(
            error_code=ErrorCode.NONE,
            generation_id=joined.generation,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=joined.protocol_name,
            leader="",
            skip_assignment=False,
            member_id=joined.member_id,
            members=[],
        )

    async def sync(self, shard: GroupShard, group: ConsumerGroup, request: ClassicSync) -> Message:
        """SyncGroup. KafkaError as in `heartbeat`."""
        assignment, end_offset = self._decide(shard, _Plan(group), lambda decision: sync_classic(decision, request))
        await self._coordinator.durable(shard, end_offset)
        return Message(
            error_code=ErrorCode.NONE,
            protocol_type=request.protocol_type,
            protocol_name=request.protocol_name,
            assignment=assignment,
        )

    def heartbeat_classic(self, shard: GroupShard, group: ConsumerGroup, request: ClassicSync) -> ErrorCode:
        """Heartbeat. KafkaError as in `heartbeat`."""
        code, _ = self._decide(shard, _Plan(group), lambda decision: heartbeat_classic(decision, request))
        return code

    async def leave(
        self, shard: GroupShard, group: ConsumerGroup, leaving: Sequence[tuple[str, str | None]]
    ) -> list[ErrorCode]:
        """LeaveGroup, a code for each. KafkaError as in `heartbeat`."""
        codes, end_offset = self._decide(shard, _Plan(group), lambda decision: leave_classic(decision, leaving))
        await self._coordinator.durable(shard, end_offset)
        return codes

    # --- decisions

    def _decide(self, shard: GroupShard, plan: _Plan, event: Callable[[Decision], T]) -> tuple[T, int]:
        """Let the event happen; returns its result, which counts when all up to the offset is durable."""
        decision = Decision(plan.group, self.topics, self.settings, self._clock.now_ms())
        result = event(decision)
        records: list[GroupRecord] = [*plan.records, *decision.records]
        if decision.downgrade is not None:
            records.append(stored_group(decision.downgrade.classic, decision.now_ms))
        end_offset = shard.write(records)
        if plan.classic is not None:
            self._coordinator.classic.convert_away(shard, plan.classic)
        self._perform(shard, decision, plan)
        return result, end_offset

    def _perform(self, shard: GroupShard, decision: Decision, plan: _Plan) -> None:
        for change in (*plan.timers, *decision.timers):
            self._change_timer(decision.group_id, change)
        if decision.downgrade is not None:
            group = live_group(decision.downgrade.classic, decision.now_ms)
            log.info("group %s: the consumer group is a classic group again", group.group_id)
            self._coordinator.classic.take_over(shard, group, decision.downgrade.why)
        group_now = shard.machine.state.consumers.get(decision.group_id)
        if group_now is None:
            return
        if decision.seen_epoch is not None:
            group_now.note_topics_seen(decision.seen_epoch)
        if decision.resolve:
            group_now.is_resolving = True
            self._in_background(self._resolve(shard, decision.group_id, decision.resolve))

    # --- deadlines

    def _start(self, group_id: str, kind: TimerKind, member_id: str, after_ms: int) -> None:
        self._change_timer(group_id, TimerChange(kind, member_id, after_ms))

    def _change_timer(self, group_id: str, change: TimerChange) -> None:
        key = _key(group_id, change.kind, change.member_id)
        self._coordinator.change_timer(key, change.after_ms, unless_running=change.unless_running)

    def _forget_timers(self, group: ConsumerGroup) -> None:
        for member_id in group.members:
            for kind in TimerKind:
                self._change_timer(group.group_id, TimerChange(kind, member_id, None))

    def deadline(self, shard: GroupShard, key: TimerKey) -> None:
        """One of ours has come; nothing happens if the group is not there any more."""
        group = shard.machine.state.consumers.get(key.group_id)
        if group is None:
            return
        kind = TimerKind(key.kind.removeprefix(TIMER_PREFIX))
        event = rebalance_expired if kind is TimerKind.REBALANCE else session_expired
        try:
            self._decide(shard, _Plan(group), lambda decision: event(decision, key.member_id))
        except KafkaError as refusal:
            log.warning("group %s: %s of %s: %s", key.group_id, key.kind, key.member_id, refusal.message)
            self._start(key.group_id, kind, key.member_id, RETRY_MS)
        else:
            if key.member_id not in group.members:
                log.info("group %s: member %s is fenced, its %s is over", key.group_id, key.member_id, kind.value)

    # --- expressions

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resolve(self, shard: GroupShard, group_id: str, regexes: frozenset[str]) -> None:
        async with self._resolving:
            names, version, now_ms = self.topics.names, self.topics.version, self._clock.now_ms()
            found = await asyncio.to_thread(resolve, regexes, names, version=version, now_ms=now_ms)
        group = shard.machine.state.consumers.get(group_id)
        if group is None:
            return
        group.is_resolving = False
        try:
            self._decide(shard, _Plan(group), lambda decision: resolved(decision, found))
        except KafkaError as refusal:
            log.warning("group %s: expressions stay unresolved for now: %s", group_id, refusal.message)

    # --- topics

    def _put(self, topic: Topic) -> None:
        self.topics.put(TopicSeen(topic.name, topic.id, len(topic.partitions)))
        self._note_change(topic.name)

    def _note_change(self, name: str) -> None:
        for group in self.groups:
            if group.is_subscribed_to(name):
                group.note_topics_changed()

    def on_topic_created(self, topic: Topic) -> None:
        self._put(topic)

    def on_partitions_added(self, topic: Topic, count_before: int) -> None:
        self._put(topic)

    def on_topic_deleted(self, topic: Topic) -> None:
        self.topics.remove(topic.name)
        self._note_change(topic.name)

    # --- the end of a group

    def removal_of(self, group: ConsumerGroup) -> list[ConsumerGroupRecord]:
        """The records that remove an empty group, but for its offsets."""
        assert not group.members
        return tombstones(group)


def new_member_id() -> str:
    """An id that no member has had: 22 characters, as Kafka's `Uuid` writes itself."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def _key(group_id: str, kind: TimerKind, member_id: str) -> TimerKey:
    return TimerKey(TIMER_PREFIX + kind.value, group_id, member_id)
