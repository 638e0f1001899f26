"""JoinGroup: who may come in, and what its coming sets in motion.

    no member id, dynamic     gets an id; from v4 on it must come again with it (MEMBER_ID_REQUIRED, KIP-394), so that
                              requests that are repeated leave no members behind
    no member id, static      takes the place of the instance's former member, whose requests are fenced (KIP-345). In a
                              stable group whose protocol stays the generation goes on, without a rebalance
    a pending id              becomes a member
    a member's id             joins the rebalance under way, or begins one when it has changed what it offers or leads
    any other id              UNKNOWN_MEMBER_ID: the client forgets it and comes as new

The order of the checks is Kafka's (`GroupMetadataManager.classicGroupJoin`), because it shows in the errors.
"""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from ...protocol.values import dataclass
from .fencing import check_member
from .group import GroupState, Member, Protocols, Resumption, Waiter
from .rebalance import complete_if_all_joined, prepare, prepare_or_complete
from .turn import (
    NEW_MEMBER_JOIN_TIMEOUT_MS,
    NO_MEMBER_ID,
    Turn,
    join_refused,
    joined,
    sync_refused,
)


@dataclass(frozen=True, slots=True)
class Join:
    """One JoinGroup. `new_id` is the member id to give out if one is needed."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocol_type: str
    protocols: Protocols
    reason: str
    new_id: str
    must_know_its_id: bool
    can_skip_assignment: bool

    def member(self, member_id: str, waiter: Waiter) -> Member:
        return Member(
            member_id,
            self.instance_id,
            self.client_id,
            self.client_host,
            self.rebalance_timeout_ms,
            self.session_timeout_ms,
            self.protocols,
            join_waiter=waiter,
            is_new=True,
        )


def join(turn: Turn, request: Join, waiter: Waiter) -> None:
    """The waiter is answered now, or when the generation begins, or when the member is removed."""
    group = turn.group
    if not _has_room_for(turn, request.member_id):
        group.remove(request.member_id)
        turn.reply(waiter, join_refused(ErrorCode.GROUP_MAX_SIZE_REACHED))
        complete_if_all_joined(turn)
    elif not group.supports(request.protocol_type, [name for name, _ in request.protocols]):
        turn.reply(waiter, join_refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, request.member_id))
    elif request.member_id == NO_MEMBER_ID:
        _join_without_id(turn, request, waiter)
    elif request.member_id in group.pending and request.instance_id is None:
        _add(turn, request, request.member_id, waiter)
    else:
        code = check_member(group, request.member_id, request.instance_id)
        if code is not ErrorCode.NONE:
            turn.reply(waiter, join_refused(code, request.member_id))
        else:
            _join_again(turn, request, group.members[request.member_id], waiter)


def _has_room_for(turn: Turn, member_id: str) -> bool:
    group = turn.group
    if group.state is GroupState.EMPTY:
        return True
    member = group.members.get(member_id)
    if group.state is GroupState.PREPARING:
        # Those who have joined count, not those who were here before: the last to come back are turned away.
        return (member is not None and member.join_waiter is not None) or (
            group.awaiting_join_count < turn.settings.max_size
        )
    return member is not None or len(group.members) < turn.settings.max_size


def _join_without_id(turn: Turn, request: Join, waiter: Waiter) -> None:
    group = turn.group
    if request.instance_id is not None:
        former_id = group.static_ids.get(request.instance_id)
        if former_id is None:
            _add(turn, request, request.new_id, waiter)
        else:
            _take_over(turn, request, group.members[former_id], waiter)
    elif request.must_know_its_id:
        group.pending.add(request.new_id)
        turn.start_timer("session", request.session_timeout_ms, request.new_id)
        turn.reply(waiter, join_refused(ErrorCode.MEMBER_ID_REQUIRED, request.new_id))
    else:
        _add(turn, request, request.new_id, waiter)


def _add(turn: Turn, request: Join, member_id: str, waiter: Waiter) -> None:
    """A new member comes in, and everybody is to join again."""
    group = turn.group
    if not group.members:
        group.protocol_type = request.protocol_type
    if group.is_in_initial_rebalance:
        group.new_member_added = True
    group.add(request.member(member_id, waiter))
    turn.start_timer("session", NEW_MEMBER_JOIN_TIMEOUT_MS, member_id)
    prepare_or_complete(turn, f"member {member_id} joins: {request.reason}")


def _join_again(turn: Turn, request: Join, member: Member, waiter: Waiter) -> None:
    """A member that we know; what it changes decides whether the others must join too."""
    group = turn.group
    is_leader = member.member_id == group.leader_id
    is_unchanged = member.offers_the_same(request.protocols, group.protocol_name)
    if is_unchanged and member.is_loaded and group.state is GroupState.STABLE:
        group.update(member, request.protocols, request.rebalance_timeout_ms, request.session_timeout_ms)
    if group.state is GroupState.COMPLETING and is_unchanged:
        # The answer to its first join was lost on the way.
        turn.reply(waiter, joined(group, member, with_members=is_leader))
    elif group.state is GroupState.STABLE and is_unchanged and not is_leader:
        turn.reply(waiter, joined(group, member, with_members=False))
    else:
        # A leader that joins a stable group wants a rebalance, for reasons of its own (new partitions, say).
        _renew(turn, request, member, waiter)
        prepare_or_complete(turn, f"member {member.member_id} joins again: {request.reason}")


def _renew(turn: Turn, request: Join, member: Member, waiter: Waiter) -> None:
    group = turn.group
    group.update(member, request.protocols, request.rebalance_timeout_ms, request.session_timeout_ms)
    replaced = group.await_join(member, waiter)
    if replaced is not None:
        # The client has given up on its earlier request; who waits for that one must not wait for ever.
        turn.reply(replaced, join_refused(ErrorCode.REBALANCE_IN_PROGRESS, member.member_id))


def _take_over(turn: Turn, request: Join, former: Member, waiter: Waiter) -> None:
    """A static member is back, as a new process. The former one, should it still live, is fenced at once."""
    group = turn.group
    turn.answer_join(former, join_refused(ErrorCode.FENCED_INSTANCE_ID, former.member_id))
    turn.answer_sync(former, sync_refused(ErrorCode.FENCED_INSTANCE_ID))
    turn.cancel_timer("session", former.member_id)
    leader_before = group.leader_id
    member = group.replace_static(former, request.new_id)
    _renew(turn, request, member, waiter)
    turn.restart_session(member)
    if group.state is GroupState.STABLE and group.choose_protocol() == group.protocol_name:
        _go_on_without_rebalance(turn, request, member, leader_before)
    elif group.state is GroupState.PREPARING:
        complete_if_all_joined(turn)
    else:
        # While it completes, the leader may be assigning to the former id; in a stable group the protocol changes.
        prepare(turn, f"static member {request.instance_id} is back as {member.member_id}: {request.reason}")


def _go_on_without_rebalance(turn: Turn, request: Join, member: Member, leader_before: str | None) -> None:
    """The member is told the generation as it is, once its new id is durable (`syncing.stored`)."""
    group = turn.group
    member.resumption = Resumption(can_skip_assignment=request.can_skip_assignment, leader_before=leader_before or "")
    turn.store(group.as_stored({each.member_id: each.assignment for each in group.members.values()}))
