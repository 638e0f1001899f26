"""Classic groups at work: one event of one group at a time, and what comes of it, done at once.

    a request, or a deadline --> a Turn (joining, syncing, rebalance) --> its outcome
        timers     deadlines in the coordinator's table (alarm)
        replies    futures of the requests that wait
        stored     a generation, written to the group's partition; when it is durable, that is the group's next event

A generation that is on its way to the disk has a deadline, too (`offsets.commit.timeout.ms`): the record is in the log and
counts, but nobody is kept waiting for a disk that hangs. Between looking at a group and changing it nothing is awaited.

A live group comes when its partition is loaded, with its first member or commit, or when a group of the new protocol becomes
a classic one; it goes with its partition, when it is deleted or has nothing left, or the other way around.

The counterpart for groups of the new protocol is `consumer_groups.shell`. Kafka's class: `GroupMetadataManager`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..clock import Clock
from . import rebalance, syncing
from .alarm import Alarm
from .group import Group, GroupState, Waiter
from .group_records import GroupRecord, GroupStored
from .groups_machine import GroupShard, GroupsMachine
from .refusals import refusal_of
from .runtime.runtime import CoordinatorRuntime
from .settings import CoordinatorSettings
from .turn import Outcome, TimerKey, Turn, join_refused, sync_refused

T = TypeVar("T")


class ClassicGroups:
    """The classic groups of this node. Owned by the loop; a part of the coordinator."""

    def __init__(
        self,
        runtime: CoordinatorRuntime[GroupRecord, GroupsMachine],
        alarm: Alarm[TimerKey],
        settings: CoordinatorSettings,
        *,
        clock: Clock,
    ) -> None:
        self._runtime = runtime
        self._alarm = alarm
        self._settings = settings
        self._clock = clock
        self._storing: dict[str, GroupStored] = {}  # the last generation of each group that is on its way to the disk

    def __iter__(self) -> Iterator[Group]:
        """All that are loaded."""
        return (group for shard in self._runtime.shards for group in list(shard.machine.groups.values()))

    def release(self) -> None:
        """Send away all who wait."""
        for group in self:
            self.turn(group, _send_away)

    # --- groups come and go

    def on_loaded(self, shard: GroupShard) -> None:
        """Those of the partition go on, and their members' sessions begin anew."""
        state = shard.machine.state
        for group_id in {**state.groups, **state.offsets}:
            if group_id in state.consumers:
                continue
            stored = state.groups.get(group_id)
            group = self.new(group_id) if stored is None else Group.load(stored)
            shard.machine.groups[group_id] = group
            self.turn(group, rebalance.loaded)

    def on_unloaded(self, shard: GroupShard) -> None:
        """Those of the partition are known here no more."""
        for group in shard.machine.groups.values():
            self._storing.pop(group.group_id, None)
            self.turn(group, _send_away)
            self._forget_timers(group)
        shard.machine.groups.clear()

    def new(self, group_id: str) -> Group:
        """One without members, which is not in its partition yet."""
        return Group(group_id, self._clock.now_ms())

    def let_go(self, shard: GroupShard, group: Group) -> None:
        """It is there no more."""
        shard.machine.groups.pop(group.group_id, None)
        self._forget_timers(group)

    def convert_away(self, shard: GroupShard, group: Group) -> None:
        """It is one of the new protocol now: who waits is to join again."""
        self.turn(group, _send_to_rejoin)
        self.let_go(shard, group)

    def take_over(self, shard: GroupShard, group: Group, why: str | None) -> None:
        """A group of the new protocol is this classic one now; with `why` it is rebalanced."""
        shard.machine.groups[group.group_id] = group
        self.turn(group, rebalance.loaded)
        if why is not None and group.state is not GroupState.PREPARING:
            self.turn(group, lambda turn: rebalance.prepare(turn, why))

    def _forget_timers(self, group: Group) -> None:
        for key in _timers_of(group):
            self._alarm.cancel(key)

    # --- events

    def turn(self, group: Group, event: Callable[[Turn], T]) -> T:
        """Let an event happen to the group, and do what comes of it."""
        turn = Turn(group, self._settings.groups, self._clock.now_ms())
        result = event(turn)
        self._perform(group, turn.outcome)
        return result

    def deadline(self, group: Group, key: TimerKey) -> None:
        """One of the group's has come."""
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
        record = self._storing.pop(group.group_id, None)
        if record is not None:
            self.turn(group, lambda turn: syncing.not_stored(turn, record, ErrorCode.COORDINATOR_NOT_AVAILABLE))

    # --- outcomes

    def _perform(self, group: Group, outcome: Outcome) -> None:
        for key, after_ms in outcome.timers:
            if after_ms is None:
                self._alarm.cancel(key)
            else:
                self._alarm.start(key, after_ms)
        for waiter, answer in outcome.replies:
            _answer(waiter, answer)
        for record in outcome.stored:
            self._store(group, record)

    def _store(self, group: Group, record: GroupStored) -> None:
        self._storing[group.group_id] = record
        self._alarm.start(TimerKey("store", group.group_id), self._settings.commit_timeout_ms)

        def told(error: KafkaError | None) -> None:
            if self._storing.get(group.group_id) is record:
                del self._storing[group.group_id]
                self._alarm.cancel(TimerKey("store", group.group_id))
            if error is None:
                self.turn(group, lambda turn: syncing.stored(turn, record))
            else:
                code = refusal_of(error.code)
                self.turn(group, lambda turn: syncing.not_stored(turn, record, code))

        try:
            shard = self._runtime.shard_for(group.group_id)
            end_offset = shard.write([record])
        except KafkaError as refusal:
            asyncio.get_running_loop().call_soon(told, refusal)  # the group's next event, not a part of this one
        else:
            shard.when_durable(end_offset, told)

    def check(self) -> None:
        """Assert the invariants, of every group too: what waits has a deadline."""
        for group in self:
            group.check()
            if group.state is GroupState.PREPARING:
                assert TimerKey("join", group.group_id) in self._alarm
            if group.state is GroupState.COMPLETING:
                assert TimerKey("sync", group.group_id) in self._alarm or group.group_id in self._storing
        for group_id in self._storing:
            assert TimerKey("store", group_id) in self._alarm


def _timers_of(group: Group) -> Iterator[TimerKey]:
    """All deadlines that a group may have."""
    for kind in ("join", "sync", "store"):
        yield TimerKey(kind, group.group_id)
    for member_id in (*group.members, *group.pending):
        yield TimerKey("session", group.group_id, member_id)


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
