"""SyncGroup, Heartbeat and LeaveGroup; and what a generation's record on the disk sets free.

The leader's SyncGroup carries everybody's assignment. It is written down first; when it is durable the group is stable
and every sync that waits is answered (`stored`). If it could not be written nobody is told it, and the group rebalances
(`not_stored`). What happened to the group in between wins: a record whose generation is over changes nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from .fencing import check_generation, check_member
from .group import Group, GroupState, Member, Waiter
from .group_records import GroupStored
from .rebalance import complete_if_all_joined, prepare, refuse_syncs, remove_member
from .turn import NO_MEMBER_ID, Turn, join_refused, joined, sync_refused, synced

# --- SyncGroup


def sync(turn: Turn, request: Message, waiter: Waiter) -> None:
    """The waiter is answered now, or when the generation's assignment is durable, or when it is given up."""
    group = turn.group
    code = _why_not_sync(group, request)
    if code is not ErrorCode.NONE:
        turn.reply(waiter, sync_refused(code))
        return
    member = group.members[request.member_id]
    group.unsynced.discard(member.member_id)
    if not group.unsynced:
        turn.cancel_timer("sync")
    if group.state is GroupState.STABLE:
        turn.reply(waiter, synced(group, member))
        return
    turn.answer_sync(member, sync_refused(ErrorCode.REBALANCE_IN_PROGRESS))  # a request that the client has given up on
    member.sync_waiter = waiter
    if member.member_id == group.leader_id:
        turn.store(group.as_stored({each.member_id: each.assignment for each in request.assignments}))


def _why_not_sync(group: Group, request: Message) -> ErrorCode:
    if group.state is GroupState.EMPTY:
        return ErrorCode.UNKNOWN_MEMBER_ID
    code = check_generation(group, request.member_id, request.group_instance_id, request.generation_id)
    if code is not ErrorCode.NONE:
        return code
    if request.protocol_type not in (None, group.protocol_type) or request.protocol_name not in (
        None,
        group.protocol_name,
    ):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    return ErrorCode.REBALANCE_IN_PROGRESS if group.state is GroupState.PREPARING else ErrorCode.NONE


def stored(turn: Turn, record: GroupStored) -> None:
    """The record is durable."""
    group = turn.group
    if record.generation != group.generation:
        return
    if group.state is GroupState.COMPLETING:
        _hand_out(turn, record)
    elif group.state is GroupState.STABLE:
        _resume(turn, record)


def _hand_out(turn: Turn, record: GroupStored) -> None:
    """Everybody gets what the leader assigned."""
    group = turn.group
    for each in record.members:
        if each.member_id in group.members:
            group.members[each.member_id].assignment = each.assignment
    turn.change_state(GroupState.STABLE)
    for member in group.members.values():
        if turn.answer_sync(member, synced(group, member)):
            # Its session may have ended while it waited here, and was then passed over.
            turn.restart_session(member)


def _resume(turn: Turn, record: GroupStored) -> None:
    """Static members that took their place again are told the generation."""
    for each in record.members:
        member = turn.group.members.get(each.member_id)
        if member is not None and member.resumption is not None:
            turn.answer_join(member, _resumed(turn.group, member))
            turn.restart_session(member)
            member.resumption = None


def _resumed(group: Group, member: Member) -> Message:
    assert member.resumption is not None
    if member.resumption.can_skip_assignment:
        is_leader = member.member_id == group.leader_id
        return joined(group, member, with_members=is_leader, skip_assignment=is_leader)
    answer = joined(group, member, with_members=False)
    answer.leader = member.resumption.leader_before
    return answer


def not_stored(turn: Turn, record: GroupStored, code: ErrorCode) -> None:
    """The record could not be written: what waits for it is refused."""
    group = turn.group
    if record.generation != group.generation:
        return
    if group.state is GroupState.COMPLETING:
        refuse_syncs(turn, code)
        prepare(turn, f"the assignment could not be stored: {code.name}")
    elif group.state is GroupState.STABLE:
        for each in record.members:
            member = group.members.get(each.member_id)
            if member is not None and member.resumption is not None:
                turn.answer_join(member, join_refused(code))
                turn.restart_session(member)
                member.resumption = None


# --- Heartbeat


def heartbeat(turn: Turn, request: Message) -> ErrorCode:
    """What to tell a member that shows that it lives."""
    group = turn.group
    code = check_generation(group, request.member_id, request.group_instance_id, request.generation_id)
    if code is not ErrorCode.NONE:
        return code
    turn.restart_session(group.members[request.member_id])
    return ErrorCode.REBALANCE_IN_PROGRESS if group.state is GroupState.PREPARING else ErrorCode.NONE


# --- LeaveGroup


def leave(turn: Turn, leaving: Iterable[Message]) -> list[ErrorCode]:
    """Take these out, each named by member id, instance id, or both; a code for each."""
    group = turn.group
    members_before = len(group.members)
    pending_before = len(group.pending)
    codes = [_leave(turn, each) for each in leaving]
    if len(group.members) < members_before and group.state in (GroupState.STABLE, GroupState.COMPLETING):
        prepare(turn, f"{members_before - len(group.members)} members leave")
    elif len(group.members) + len(group.pending) < members_before + pending_before:
        complete_if_all_joined(turn)
    return codes


def _leave(turn: Turn, leaving: Message) -> ErrorCode:
    group, member_id, instance_id = turn.group, leaving.member_id, leaving.group_instance_id
    if member_id == NO_MEMBER_ID:
        # An administrator removes a static member by its instance.
        member_id = group.static_ids.get(instance_id, NO_MEMBER_ID)
    elif member_id in group.pending:
        group.remove(member_id)
        turn.cancel_timer("session", member_id)
        return ErrorCode.NONE
    code = check_member(group, member_id, instance_id)
    if code is ErrorCode.NONE:
        turn.cancel_timer("session", member_id)
        remove_member(turn, group.members[member_id])
    return code
