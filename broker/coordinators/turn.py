"""One event that happens to one group, and all that comes of it.

The core decides, the shell performs: every function of `joining`, `syncing`, `rebalance` and `expiring` takes a Turn, changes
its group, and leaves in `outcome` what is to be done: answers to give, deadlines to start, generations to write down.
Nothing waits in between, so a turn is atomic.
"""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ...protocol.values import dataclass, field
from .group import Group, GroupState, Member, Waiter
from .group_records import GroupStored
from .settings import GroupSettings

NO_MEMBER_ID = ""
NO_GENERATION = -1

NEW_MEMBER_JOIN_TIMEOUT_MS = 5 * 60 * 1000
"""How long a member that is new may wait in JoinGroup (Kafka's number). It does not know its id yet, so a client that
gave up and came back would be another member each time, and nothing else would remove the ones before."""


@dataclass(frozen=True, slots=True)
class TimerKey:
    """A deadline of a group: `kind` is "join", "sync", or "session" with a member; groups of the new protocol have others."""

    kind: str
    group_id: str
    member_id: str = ""


@dataclass(slots=True)
class Outcome:
    """What is to be done, in this order."""

    timers: list[tuple[TimerKey, int | None]] = field(default_factory=list)
    """(deadline, after how many ms; None: never)."""
    replies: list[tuple[Waiter, Message]] = field(default_factory=list)
    stored: list[GroupStored] = field(default_factory=list)
    """To be made durable; then `syncing.stored` or `syncing.not_stored` is the next event of the group."""


@dataclass(slots=True)
class Turn:
    """An event of one group at one time. `now_ms` is wall-clock time, for records; deadlines are told as durations."""

    group: Group
    settings: GroupSettings
    now_ms: int
    outcome: Outcome = field(default_factory=Outcome)

    def reply(self, waiter: Waiter, answer: Message) -> None:
        self.outcome.replies.append((waiter, answer))

    def start_timer(self, kind: str, after_ms: int, member_id: str = "") -> None:
        self.outcome.timers.append((TimerKey(kind, self.group.group_id, member_id), after_ms))

    def cancel_timer(self, kind: str, member_id: str = "") -> None:
        self.outcome.timers.append((TimerKey(kind, self.group.group_id, member_id), None))

    def restart_session(self, member: Member) -> None:
        self.start_timer("session", member.session_timeout_ms, member.member_id)

    def store(self, record: GroupStored) -> None:
        self.outcome.stored.append(record)

    def change_state(self, state: GroupState) -> None:
        self.group.change_state(state, self.now_ms)

    # -- answers

    def answer_join(self, member: Member, answer: Message) -> None:
        """Answer the member's join if one is waiting."""
        waiter = self.group.take_join_waiter(member)
        if waiter is not None:
            self.reply(waiter, answer)

    def answer_sync(self, member: Member, answer: Message) -> bool:
        """Answer the member's sync if one is waiting; whether there was one."""
        waiter, member.sync_waiter = member.sync_waiter, None
        if waiter is not None:
            self.reply(waiter, answer)
        return waiter is not None


def join_refused(code: ErrorCode, member_id: str = NO_MEMBER_ID) -> Message:
    return Message(error_code=code, member_id=member_id, protocol_type=None, protocol_name=None)


def joined(group: Group, member: Member, *, with_members: bool, skip_assignment: bool = False) -> Message:
    """The present generation, as JoinGroup tells it; the one who assigns learns of all members."""
    members = group.members.values() if with_members else ()
    return Message(
        error_code=ErrorCode.NONE,
        generation_id=group.generation,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader=group.leader_id or "",
        skip_assignment=skip_assignment,
        member_id=member.member_id,
        members=[
            Message(
                member_id=each.member_id,
                group_instance_id=each.instance_id,
                metadata=each.metadata(group.protocol_name),
            )
            for each in members
        ],
    )


def sync_refused(code: ErrorCode) -> Message:
    return Message(error_code=code, assignment=b"")


def synced(group: Group, member: Member) -> Message:
    """What the leader assigned to the member."""
    return Message(
        error_code=ErrorCode.NONE,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        assignment=member.assignment,
    )
