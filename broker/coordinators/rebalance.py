"""The rebalance itself: from the reason for it to the moment when everybody knows the new generation.

    prepare            members are to join again; a "join" deadline runs (the longest rebalance timeout of a member)
    complete_join      all have joined, or the deadline came: those that did not are removed (static ones stay until
                       their session ends), the generation begins, the joins are answered, a "sync" deadline runs
    the leader syncs   its assignment is written down (`syncing`), then every sync is answered

The first rebalance of a group waits `group.initial.rebalance.delay.ms` for more members, and as long again while some come,
but never longer than a rebalance timeout.

So a rebalance always ends: as long as a group is PREPARING a "join" deadline runs, as long as it is COMPLETING a "sync"
deadline does, unless all have synced and the assignment is on its way to the disk.

Kafka's methods: `prepareRebalance`, `completeClassicGroupJoin` and what they call, in `GroupMetadataManager`.
"""

from __future__ import annotations

import logging

from ...protocol.errors import ErrorCode
from .group import GroupState, Member
from .turn import Turn, join_refused, joined, sync_refused

log = logging.getLogger(__name__)


def prepare_or_complete(turn: Turn, why: str) -> None:
    """Somebody joined or left: begin a rebalance, or see whether the one under way can go on."""
    if turn.group.state is GroupState.PREPARING:
        complete_if_all_joined(turn)
    else:
        prepare(turn, why)


def prepare(turn: Turn, why: str) -> None:
    """Call all members to join again."""
    group = turn.group
    if group.state is GroupState.COMPLETING:
        refuse_syncs(turn, ErrorCode.REBALANCE_IN_PROGRESS)
    group.unsynced.clear()
    turn.cancel_timer("sync")
    was_empty = group.state is GroupState.EMPTY
    turn.change_state(GroupState.PREPARING)
    log.info("group %s: rebalance after generation %d: %s", group.group_id, group.generation, why)
    if was_empty:
        _begin_initial_delay(turn)
    elif group.all_have_joined:
        complete_join(turn)
    else:
        turn.start_timer("join", group.rebalance_timeout_ms)


def complete_if_all_joined(turn: Turn) -> None:
    """Go on when nobody is missing any more; an initial rebalance waits for its time anyway."""
    group = turn.group
    if group.state is GroupState.PREPARING and not group.is_in_initial_rebalance and group.all_have_joined:
        complete_join(turn)


def join_deadline(turn: Turn) -> None:
    """The time to join is over; an initial rebalance takes more while members still come."""
    group = turn.group
    if group.state is not GroupState.PREPARING:
        return
    if group.is_in_initial_rebalance and group.new_member_added and group.initial_remaining_ms > 0:
        _prolong_initial_delay(turn)
    else:
        complete_join(turn)


def _begin_initial_delay(turn: Turn) -> None:
    group, delay_ms = turn.group, turn.settings.initial_rebalance_delay_ms
    group.new_member_added = False
    group.initial_delay_ms = delay_ms
    group.initial_remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
    turn.start_timer("join", delay_ms)


def _prolong_initial_delay(turn: Turn) -> None:
    group = turn.group
    delay_ms = min(turn.settings.initial_rebalance_delay_ms, group.initial_remaining_ms)
    group.new_member_added = False
    group.initial_remaining_ms = max(group.initial_remaining_ms - group.initial_delay_ms, 0)
    group.initial_delay_ms = delay_ms
    turn.start_timer("join", delay_ms)


def complete_join(turn: Turn) -> None:
    """Begin the generation with those that have joined, and tell them."""
    group = turn.group
    turn.cancel_timer("join")
    _remove_absent(turn)
    if group.members and not group.elect_leader():
        # Only static members, and none has come back: their sessions will end, or one of them joins.
        turn.start_timer("join", group.rebalance_timeout_ms)
        return
    group.begin_generation(turn.now_ms)
    if group.state is GroupState.EMPTY:
        log.info("group %s: empty with generation %d", group.group_id, group.generation)
        turn.store(group.as_stored({}))
        return
    log.info("group %s: generation %d has %d members", group.group_id, group.generation, len(group.members))
    for member in group.members.values():
        turn.answer_join(member, joined(group, member, with_members=member.member_id == group.leader_id))
        turn.restart_session(member)
        member.is_new = False
    group.unsynced.update(group.members)
    turn.start_timer("sync", group.rebalance_timeout_ms)


def _remove_absent(turn: Turn) -> None:
    """Dynamic members that have not joined are gone."""
    for member in [each for each in turn.group.absent_members() if not each.is_static]:
        turn.group.remove(member.member_id)
        turn.cancel_timer("session", member.member_id)


def sync_deadline(turn: Turn) -> None:
    """Members that know of the generation and did not ask for their part are gone."""
    group = turn.group
    if group.state not in (GroupState.COMPLETING, GroupState.STABLE) or not group.unsynced:
        return
    late = sorted(group.unsynced)
    for member_id in late:
        group.remove(member_id)
        turn.cancel_timer("session", member_id)
    prepare(turn, f"no sync came from {', '.join(late)}")


def remove_member(turn: Turn, member: Member) -> None:
    """Take a member out; a join of it that waits is told that it is unknown, whereupon its client comes back as new."""
    turn.answer_join(member, join_refused(ErrorCode.UNKNOWN_MEMBER_ID))
    turn.answer_sync(member, sync_refused(ErrorCode.UNKNOWN_MEMBER_ID))
    turn.group.remove(member.member_id)


def session_deadline(turn: Turn, member_id: str) -> None:
    """Nothing was heard of a member, or of one that was to join, for its session timeout."""
    group = turn.group
    if member_id in group.pending:
        group.remove(member_id)
        _complete_if_nobody_is_missing(turn)
        return
    member = group.members.get(member_id)
    if member is None or member.proves_life:
        return
    log.info("group %s: member %s has not been heard of in time", group.group_id, member_id)
    remove_member(turn, member)
    if group.state in (GroupState.STABLE, GroupState.COMPLETING):
        prepare(turn, f"member {member_id} has failed")
    else:
        _complete_if_nobody_is_missing(turn)


def _complete_if_nobody_is_missing(turn: Turn) -> None:
    """As Kafka, also in an initial rebalance: nobody else is expected."""
    group = turn.group
    if group.state is GroupState.PREPARING and group.all_have_joined:
        complete_join(turn)


def loaded(turn: Turn) -> None:
    """A group after a restart: its members go on, and have their session timeout to be heard of again."""
    group = turn.group
    for member in group.members.values():
        turn.restart_session(member)
    if len(group.members) > turn.settings.max_size:
        prepare(turn, f"{len(group.members)} members are more than group.max.size")


def refuse_syncs(turn: Turn, code: ErrorCode) -> None:
    """Nobody gets a part of this generation."""
    for member in turn.group.members.values():
        member.assignment = b""
        if turn.answer_sync(member, sync_refused(code)):
            turn.restart_session(member)
