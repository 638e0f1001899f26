"""A coordinator without a loop and without a disk: turns, deadlines and records in virtual time.

It does what the shell does (`coordinator`), only that time passes by `pass_time`, and records, applied when they are
written, are not durable until `sync_disk` or `crash` decides what becomes of them; `fill_disk` refuses those to come.
Clients of it behave like Kafka's: they join again when
told so, forget their id when it is unknown, and the leader assigns partitions to all members it is told of.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from ottla.broker.coordinators import joining, rebalance, syncing
from ottla.broker.coordinators.group import Group, GroupState
from ottla.broker.coordinators.group_records import GroupRecord, GroupStored
from ottla.broker.coordinators.groups_machine import GroupsMachine
from ottla.broker.coordinators.settings import GroupSettings
from ottla.broker.coordinators.timers import Timers
from ottla.broker.coordinators.turn import TimerKey, Turn
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

T = TypeVar("T")
Encoded = tuple[bytes, bytes | None]
GROUP = "readers"
SESSION_MS = 10_000
REBALANCE_MS = 20_000
PARTITION_COUNT = 4


class VirtualCoordinator:
    """One group, `readers`."""

    def __init__(self, *, initial_delay_ms: int = 0, max_size: int = 100) -> None:
        self.settings = GroupSettings(initial_delay_ms, max_size)
        self.now_ms = 1_000_000
        self.machine = GroupsMachine()
        self.durable: list[Encoded] = []
        self.undurable: list[tuple[Encoded | None, Callable[[ErrorCode], None]]] = []
        self.refused: list[Callable[[ErrorCode], None]] = []
        self.is_full = False
        self.timers: Timers[TimerKey] = Timers()
        self.group = Group(GROUP, self.now_ms)
        self.answers: dict[Hashable, Message] = {}
        self._ids = 0
        self._offset = -1

    def new_id(self) -> str:
        self._ids += 1
        return f"member-{self._ids}"

    def turn(self, event: Callable[[Turn], T]) -> T:
        turn = Turn(self.group, self.settings, self.now_ms)
        result = event(turn)
        for key, after_ms in turn.outcome.timers:
            if after_ms is None:
                self.timers.cancel(key)
            else:
                self.timers.start(key, self.now_ms + after_ms)
        for waiter, answer in turn.outcome.replies:
            assert isinstance(waiter, Hashable)
            assert waiter not in self.answers, "answered twice"
            self.answers[waiter] = answer
        for record in turn.outcome.stored:
            self._store(record)
        return result

    def _store(self, record: GroupStored) -> None:
        def done(code: ErrorCode) -> None:
            if code is ErrorCode.NONE:
                self.turn(lambda turn: syncing.stored(turn, record))
            else:
                self.turn(lambda turn: syncing.not_stored(turn, record, code))

        self.write(record, done)

    def write(self, record: GroupRecord, done: Callable[[ErrorCode], None]) -> None:
        """Append and apply, or refuse; `done` is told later."""
        if self.is_full:
            self.refused.append(done)
            return
        encoded = self.machine.encode(record)
        self.undurable.append((encoded, done))
        self._apply(encoded)

    def when_durable(self, done: Callable[[ErrorCode], None]) -> None:
        """`done` is told when all that was written so far is durable."""
        self.undurable.append((None, done))

    def _apply(self, encoded: Encoded) -> None:
        record = self.machine.decode(*encoded)
        assert record is not None
        self._offset += 1
        self.machine.apply(record, offset=self._offset, producer=None)

    def sync_disk(self) -> None:
        """All that was written is durable and told; also what is written thereupon. What was refused is told, too."""
        while self.undurable or self.refused:
            if self.refused:
                self.refused.pop(0)(ErrorCode.NOT_COORDINATOR)
            else:
                encoded, done = self.undurable.pop(0)
                self.durable += [encoded] if encoded is not None else []
                done(ErrorCode.NONE)

    def fill_disk(self) -> None:
        """From now on nothing can be written."""
        self.is_full = True

    def free_disk(self) -> None:
        self.is_full = False

    def lose_patience(self) -> None:
        """The disk hangs: those who wait are told that it takes too long, and what was written is there nevertheless."""
        waiting, self.undurable = self.undurable, []
        self.durable += [encoded for encoded, _ in waiting if encoded is not None]
        for _, done in waiting:
            done(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    def crash(self, kept: int) -> None:
        """End and start again; of what was not durable the first `kept` records had reached the disk nevertheless."""
        self.durable += [encoded for encoded, _ in self.undurable[:kept] if encoded is not None]
        self.undurable.clear()
        self.refused.clear()
        self.machine = GroupsMachine()
        for encoded in self.durable:
            self._apply(encoded)
        self.timers = Timers()
        stored = self.machine.state.groups.get(GROUP)
        self.group = Group(GROUP, self.now_ms) if stored is None else Group.load(stored)
        self.turn(rebalance.loaded)

    def pass_time(self, duration_ms: int) -> None:
        end_ms = self.now_ms + duration_ms
        while (next_ms := self.timers.next_at_ms()) is not None and next_ms <= end_ms:
            self.now_ms = max(self.now_ms, next_ms)
            for key in self.timers.due(self.now_ms):
                self._deadline(key)
        self.now_ms = end_ms

    def _deadline(self, key: TimerKey) -> None:
        match key.kind:
            case "join":
                self.turn(rebalance.join_deadline)
            case "sync":
                self.turn(rebalance.sync_deadline)
            case "session":
                self.turn(lambda turn: rebalance.session_deadline(turn, key.member_id))

    def check(self) -> None:
        self.group.check()
        self.machine.state.check()
        if self.group.state is GroupState.PREPARING:
            assert TimerKey("join", GROUP) in self.timers
        if self.group.state is GroupState.COMPLETING:
            assert TimerKey("sync", GROUP) in self.timers or self.undurable or self.refused
        for member in self.group.members.values():
            assert member.proves_life or TimerKey("session", GROUP, member.member_id) in self.timers


@dataclass(slots=True)
class Client:
    """A consumer. `generation` is the one it was told in JoinGroup, `owned` what SyncGroup gave it in `owned_in`."""

    name: str
    coordinator: VirtualCoordinator
    instance_id: str | None = None
    protocols: tuple[tuple[str, bytes], ...] = (("range", b""),)
    version: int = 9
    member_id: str = ""
    generation: int = -1
    members: list[str] = field(default_factory=list)
    is_leader: bool = False
    skips: bool = False
    owned: frozenset[int] = frozenset()
    owned_in: int = -1
    needs_join: bool = True
    fenced: bool = False
    _asked: tuple[str, int] | None = None
    _count: int = 0

    @property
    def is_waiting(self) -> bool:
        return self._asked is not None

    def die(self) -> None:
        """The process ends without a word and starts anew."""
        self._asked = None
        self.member_id, self.generation, self.needs_join, self.owned = "", -1, True, frozenset()

    def lose_connection(self) -> None:
        """The answer will not come; ask again."""
        self._asked = None
        self.needs_join = True

    def step(self) -> None:
        """Whatever a consumer does next: take an answer, join, sync, or show that it lives."""
        if self._asked is not None:
            answer = self.coordinator.answers.get((self.name, *self._asked))
            if answer is not None:
                kind, self._asked = self._asked[0], None
                (self._joined if kind == "join" else self._synced)(answer)
        elif self.needs_join:
            self._join()
        elif self.owned_in != self.generation:
            self._sync()
        else:
            self.heartbeat()

    def _ask(self, kind: str) -> tuple[str, str, int]:
        self._count += 1
        self._asked = (kind, self._count)
        return (self.name, *self._asked)

    def _join(self) -> None:
        request = joining.Join(
            member_id=self.member_id,
            instance_id=self.instance_id,
            client_id=self.name,
            client_host="/host",
            rebalance_timeout_ms=REBALANCE_MS,
            session_timeout_ms=SESSION_MS,
            protocol_type="consumer",
            protocols=self.protocols,
            reason="",
            new_id=self.coordinator.new_id(),
            must_know_its_id=self.version >= 4,
            can_skip_assignment=self.version >= 9,
        )
        waiter = self._ask("join")
        self.coordinator.turn(lambda turn: joining.join(turn, request, waiter))

    def _joined(self, answer: Message) -> None:
        match answer.error_code:
            case ErrorCode.NONE:
                self.member_id, self.generation = answer.member_id, answer.generation_id
                self.is_leader = answer.leader == answer.member_id
                self.skips = answer.skip_assignment
                self.members = [each.member_id for each in answer.members]
                self.needs_join, self.owned_in = False, -1
            case ErrorCode.MEMBER_ID_REQUIRED:
                self.member_id = answer.member_id
            case ErrorCode.UNKNOWN_MEMBER_ID:
                self.member_id = ""
            case ErrorCode.FENCED_INSTANCE_ID:
                self.fenced = True
            case ErrorCode.REBALANCE_IN_PROGRESS | ErrorCode.NOT_COORDINATOR | ErrorCode.COORDINATOR_NOT_AVAILABLE:
                pass
            case other:
                raise AssertionError(f"JoinGroup answered {other!r}")

    def _sync(self) -> None:
        assignments = []
        if self.is_leader and not self.skips:
            parts: dict[str, list[int]] = {member_id: [] for member_id in self.members}
            for partition in range(PARTITION_COUNT):
                parts[self.members[partition % len(self.members)]].append(partition)
            assignments = [Message(member_id=each, assignment=bytes(owned)) for each, owned in parts.items()]
        request = Message(
            group_id=GROUP,
            generation_id=self.generation,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type="consumer",
            protocol_name=None,
            assignments=assignments,
        )
        waiter = self._ask("sync")
        self.coordinator.turn(lambda turn: syncing.sync(turn, request, waiter))

    def _synced(self, answer: Message) -> None:
        if answer.error_code is ErrorCode.NONE:
            self.owned, self.owned_in = frozenset(answer.assignment), self.generation
        else:
            self._told(answer.error_code)

    def heartbeat(self) -> ErrorCode:
        request = Message(generation_id=self.generation, member_id=self.member_id, group_instance_id=self.instance_id)
        code = self.coordinator.turn(lambda turn: syncing.heartbeat(turn, request))
        self._told(code)
        return code

    def leave(self) -> None:
        leaving = [Message(member_id=self.member_id, group_instance_id=self.instance_id)]
        self.coordinator.turn(lambda turn: syncing.leave(turn, leaving))
        self.die()

    def _told(self, code: ErrorCode) -> None:
        match code:
            case ErrorCode.NONE:
                pass
            case ErrorCode.REBALANCE_IN_PROGRESS | ErrorCode.NOT_COORDINATOR | ErrorCode.COORDINATOR_NOT_AVAILABLE:
                self.needs_join = True
            case ErrorCode.UNKNOWN_MEMBER_ID | ErrorCode.ILLEGAL_GENERATION:
                self.needs_join = True
                if code is ErrorCode.UNKNOWN_MEMBER_ID:
                    self.member_id = ""
            case ErrorCode.FENCED_INSTANCE_ID:
                self.fenced = True
            case other:
                raise AssertionError(f"told {other!r}")
