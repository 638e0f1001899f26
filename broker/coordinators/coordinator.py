"""The group coordinator: the thin shell around live groups, with their clock, their waiters and their journal.

    a request, or a deadline --> a Turn (joining, syncing, rebalance) --> its outcome, performed at once:
        timers     one table of deadlines, one timer of the loop
        replies    futures of the requests that wait
        stored     a generation to the journal; when it is durable, that is the group's next event

Owned by the loop: between looking at a group and changing it nothing is awaited. Live groups are volatile, what is durable
lives in `state`, changed by the journal only. Who waits for an answer waits no longer than a deadline of its group; who
waits for the disk, `offsets.commit.timeout.ms`.

    open      (thread)  the journal is replayed
    start               live groups are made of what it held, sessions of members begin anew
    release             all who wait are sent away, nothing is taken any more: first thing when the broker stops
    stop                what is decided is written, the journal is closed

Kafka's classes: `GroupCoordinatorService`, `GroupCoordinatorShard`, `CoordinatorRuntime`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...storage.files import Files
from ..catalog import Catalog, CatalogListener, Topic
from ..flusher import Flusher
from ..journal import Clock, Journal
from ..journal_replay import JOURNAL_LOG_CONFIG
from . import joining, rebalance, syncing
from .group import Group, GroupState, Waiter
from .group_records import GroupDeleted, GroupRecord, GroupStored, TopicForgotten
from .groups_state import CommittedTopic, GroupsMachine, GroupsState
from .offsets import expire
from .record_writer import RecordWriter
from .settings import CoordinatorSettings
from .timers import Timers
from .turn import NO_MEMBER_ID, Outcome, TimerKey, Turn, join_refused, sync_refused

GROUPS_JOURNAL = "__ottla_groups-0"
"""The folder of the groups' journal, beside the partitions'."""

SEGMENT_BYTES = 64 * 1024 * 1024
"""No batch may be larger, and a generation of a thousand members with long subscriptions is megabytes."""

RETENTION = TimerKey("retention", "")

T = TypeVar("T")

log = logging.getLogger(__name__)


class GroupCoordinator(CatalogListener):
    """All groups of this node. For handlers: `join`, `sync`, `turn`, `write`, and everything to read."""

    def __init__(
        self, journal: Journal[GroupRecord], state: GroupsState, catalog: Catalog, settings: CoordinatorSettings
    ) -> None:
        self.settings = settings
        self.state = state
        self.groups: dict[str, Group] = {}
        self._catalog = catalog
        self._journal = journal
        self._writer = RecordWriter(journal)
        self._timers: Timers[TimerKey] = Timers()
        self._storing: dict[str, GroupStored] = {}  # the last generation of each group that is on its way to the disk
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at_ms = 0
        self._is_open = False
        self._clock: Clock
        self._loop: asyncio.AbstractEventLoop

    @classmethod
    def open(
        cls, directory: str, catalog: Catalog, settings: CoordinatorSettings, *, files: Files, now_ms: int
    ) -> GroupCoordinator:
        """Recover the journal in `directory`. Reads the disk: in a thread. Raises JournalDamaged, OSError."""
        state = GroupsState()
        config = replace(JOURNAL_LOG_CONFIG, segment_bytes=SEGMENT_BYTES)
        journal = Journal.open(directory, GroupsMachine(state), files=files, now_ms=now_ms, config=config)
        return cls(journal, state, catalog, settings)

    def start(self, flusher: Flusher, clock: Clock) -> None:
        """Take over the groups; on the loop, once the catalog is loaded."""
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._journal.start(flusher, clock)
        self._catalog.subscribe(self)
        self._is_open = True
        self._forget_deleted_topics()
        for group_id in {**self.state.groups, **self.state.offsets}:
            self._load(group_id)
        self._timers.start(RETENTION, self._time_ms() + self.settings.retention_check_ms)
        self._set_alarm()

    def _load(self, group_id: str) -> None:
        stored = self.state.groups.get(group_id)
        group = Group(group_id, self._clock.now_ms()) if stored is None else Group.load(stored)
        self.groups[group_id] = group
        self.turn(group, rebalance.loaded)

    def _forget_deleted_topics(self) -> None:
        """Those that were deleted just before a crash."""
        kept = {(topic, each.topic_id) for topics in self.state.offsets.values() for topic, each in topics.items()}
        here = {(topic.name, topic.id) for topic in self._catalog.topics.values()}
        gone = [TopicForgotten(*each) for each in sorted(kept - here)]
        if gone:
            self._writer.write("", gone)

    def release(self) -> None:
        """Send away all who wait, so that the connections can be closed."""
        self._is_open = False
        if self._alarm is not None:
            self._alarm.cancel()
        for group in self.groups.values():
            self.turn(group, _send_away)

    async def stop(self) -> None:
        """Finish what is decided and close the journal. KafkaError when its last sync fails."""
        if self._is_open:
            self.release()
        await self._writer.close()
        await self._journal.close()

    # --- requests

    def check_open(self) -> None:
        """KafkaError when the broker is stopping, or its disk takes nothing more."""
        if not self._is_open:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the broker is stopping")

    async def join(self, group_id: str, request: joining.Join) -> Message:
        """The answer to JoinGroup: at once, or when the generation begins."""
        group = self.groups.get(group_id)
        if group is None:
            if request.member_id != NO_MEMBER_ID:
                return join_refused(ErrorCode.UNKNOWN_MEMBER_ID, request.member_id)
            group = self.groups[group_id] = Group(group_id, self._clock.now_ms())
        waiter: asyncio.Future[Message] = self._loop.create_future()
        self.turn(group, lambda turn: joining.join(turn, request, waiter))
        return await waiter

    async def sync(self, group_id: str, request: Message) -> Message:
        """The answer to SyncGroup: at once, or when the leader's assignment is durable."""
        group = self.groups.get(group_id)
        if group is None:
            return sync_refused(ErrorCode.UNKNOWN_MEMBER_ID)
        waiter: asyncio.Future[Message] = self._loop.create_future()
        self.turn(group, lambda turn: syncing.sync(turn, request, waiter))
        return await waiter

    def turn(self, group: Group, event: Callable[[Turn], T]) -> T:
        """Let an event happen to the group, and do what comes of it."""
        turn = Turn(group, self.settings.groups, self._clock.now_ms())
        result = event(turn)
        self._perform(group, turn.outcome)
        return result

    async def write(self, group_id: str, records: list[GroupRecord]) -> None:
        """Return when durable and applied. KafkaError: REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR, or too large."""
        try:
            async with asyncio.timeout(self.settings.commit_timeout_ms / 1000):
                await self._writer.written(group_id, records)
        except TimeoutError:
            raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "the disk has not answered in time") from None

    async def settled(self) -> None:
        """Return when all that is decided is durable and applied. KafkaError(REQUEST_TIMED_OUT)."""
        if not self._writer.is_idle:
            await self.write("", [])

    def group_for_commit(self, group_id: str) -> Group:
        """The group, made if need be: offsets may be kept for one that has no members."""
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = Group(group_id, self._clock.now_ms())
        return group

    async def delete(self, groups: Sequence[Group]) -> None:
        """Remove empty groups with their offsets; return when that is durable. KafkaError as in `write`."""
        for group in groups:
            self._delete(group)
        await self.settled()

    def _delete(self, group: Group) -> None:
        """Gone at once; there again if that cannot be written."""
        del self.groups[group.group_id]

        def done(error: KafkaError | None) -> None:
            if error is not None:
                self.groups.setdefault(group.group_id, group)

        self._writer.write(group.group_id, [GroupDeleted(group.group_id)], done)

    def offsets_of(self, group_id: str) -> Iterator[tuple[Topic, CommittedTopic]]:
        """What the group has committed, in topics that exist. An offset in a topic that was deleted is not seen
        any more, even before its removal is durable."""
        for name, committed in self.state.offsets.get(group_id, {}).items():
            topic = self._catalog.topics.get(name)
            if topic is not None and topic.id == committed.topic_id:
                yield topic, committed

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

        def done(error: KafkaError | None) -> None:
            if self._storing.get(group.group_id) is record:
                del self._storing[group.group_id]
                self._timers.cancel(TimerKey("store", group.group_id))
            if error is None:
                self.turn(group, lambda turn: syncing.stored(turn, record))
            else:
                code = refusal_of(error.code)
                self.turn(group, lambda turn: syncing.not_stored(turn, record, code))

        self._writer.write(group.group_id, [record], done)

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
        if key == RETENTION:
            self.expire_offsets()
            self._timers.start(RETENTION, self._time_ms() + self.settings.retention_check_ms)
            return
        group = self.groups.get(key.group_id)
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
        """The disk hangs; the record may still arrive, and then counts, but nobody is kept waiting for it."""
        record = self._storing.pop(group.group_id, None)
        if record is not None:
            self.turn(group, lambda turn: syncing.not_stored(turn, record, ErrorCode.COORDINATOR_NOT_AVAILABLE))

    # --- retention and deleted topics

    def expire_offsets(self) -> None:
        """Remove offsets that nobody wants any more, and groups that have none left."""
        now_ms = self._clock.now_ms()
        for group in list(self.groups.values()):
            if self._writer.is_under_way(group.group_id):
                continue  # what is on its way to the disk must not be removed unseen
            offsets = self.state.offsets.get(group.group_id, {})
            record = expire(group, offsets, retention_ms=self.settings.offsets_retention_ms, now_ms=now_ms)
            if record is None:
                continue
            if isinstance(record, GroupDeleted):
                self._delete(group)
            else:
                self._writer.write(group.group_id, [record])

    def on_topic_deleted(self, topic: Topic) -> None:
        """Its offsets go with it, in every group."""
        if not self._writer.is_idle or any(topic.name in each for each in self.state.offsets.values()):
            self._writer.write("", [TopicForgotten(topic.name, topic.id)])

    def check(self) -> None:
        """Assert the invariants, of every group too: what waits has a deadline."""
        self.state.check()
        self._timers.check()
        for group in self.groups.values():
            group.check()
            if group.state is GroupState.PREPARING:
                assert TimerKey("join", group.group_id) in self._timers
            if group.state is GroupState.COMPLETING:
                assert TimerKey("sync", group.group_id) in self._timers or group.group_id in self._storing
        for group_id in self._storing:
            assert TimerKey("store", group_id) in self._timers


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


def _send_away(turn: Turn) -> None:
    for member in turn.group.members.values():
        turn.answer_join(member, join_refused(ErrorCode.NOT_COORDINATOR, member.member_id))
        turn.answer_sync(member, sync_refused(ErrorCode.NOT_COORDINATOR))


def _answer(waiter: Waiter, answer: Message) -> None:
    """A request that was given up (its connection is gone) has a future that is done."""
    assert isinstance(waiter, asyncio.Future)
    if not waiter.done():
        waiter.set_result(answer)
