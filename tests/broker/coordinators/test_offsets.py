"""Which offsets expire and which commits are taken, case by case."""

from __future__ import annotations

from uuid import UUID

import pytest
from ottla.broker.coordinators.group import Group, GroupState, Member
from ottla.broker.coordinators.group_records import NEVER_MS, Committed, GroupDeleted, OffsetsDeleted
from ottla.broker.coordinators.groups_state import CommittedTopic
from ottla.broker.coordinators.offsets import check_commit, check_delete_offsets, expire
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

RETENTION_MS = 1000
READS_T = b"\0\1\0\0\0\1\0\1t\xff\xff\xff\xff"


def committed(*, at_ms: int = 0, expires_at_ms: int = NEVER_MS) -> CommittedTopic:
    return CommittedTopic(UUID(int=1), {0: Committed(5, committed_at_ms=at_ms, expires_at_ms=expires_at_ms)})


def group_of_members(state: GroupState, *, changed_at_ms: int = 0, metadata: bytes = READS_T) -> Group:
    group = Group("g", changed_at_ms)
    group.protocol_type, group.protocol_name, group.generation = "consumer", "range", 1
    if state is not GroupState.EMPTY:
        group.add(Member("m", None, "client", "/host", 100, 100, (("range", metadata),)))
    group.note_subscriptions()
    group.state = state
    return group


def test_an_empty_group_keeps_its_offsets_for_the_retention_after_its_last_member() -> None:
    group = group_of_members(GroupState.EMPTY, changed_at_ms=500)
    offsets = {"t": committed(at_ms=0)}

    assert expire(group, offsets, retention_ms=RETENTION_MS, now_ms=1499) is None
    assert expire(group, offsets, retention_ms=RETENTION_MS, now_ms=1500) == GroupDeleted("g")


def test_offsets_without_a_group_are_kept_for_the_retention_after_their_commit() -> None:
    group = Group("g", 10_000)
    offsets = {"t": committed(at_ms=0), "u": committed(at_ms=500)}

    assert expire(group, offsets, retention_ms=RETENTION_MS, now_ms=1000) == OffsetsDeleted("g", (("t", (0,)),))


def test_a_topic_that_a_member_reads_keeps_its_offsets() -> None:
    group = group_of_members(GroupState.STABLE)
    offsets = {"t": committed(), "u": committed()}

    assert expire(group, offsets, retention_ms=RETENTION_MS, now_ms=9999) == OffsetsDeleted("g", (("u", (0,)),))


@pytest.mark.parametrize("state", [GroupState.PREPARING, GroupState.COMPLETING])
def test_nothing_expires_during_a_rebalance(state: GroupState) -> None:
    assert expire(group_of_members(state), {"u": committed()}, retention_ms=RETENTION_MS, now_ms=9999) is None


def test_nothing_expires_while_it_cannot_be_known_who_reads_it() -> None:
    group = group_of_members(GroupState.STABLE, metadata=b"not a subscription")

    assert expire(group, {"u": committed()}, retention_ms=RETENTION_MS, now_ms=9999) is None


def test_a_client_may_have_asked_for_a_retention_of_its_own() -> None:
    offsets = {"t": committed(expires_at_ms=50)}

    assert expire(Group("g", 0), offsets, retention_ms=RETENTION_MS, now_ms=49) is None
    assert expire(Group("g", 0), offsets, retention_ms=RETENTION_MS, now_ms=50) == GroupDeleted("g")


def test_an_empty_group_without_offsets_goes() -> None:
    assert expire(Group("g", 0), {}, retention_ms=RETENTION_MS, now_ms=0) == GroupDeleted("g")


def test_a_group_that_somebody_is_about_to_join_stays() -> None:
    group = Group("g", 0)
    group.pending.add("m")

    assert expire(group, {}, retention_ms=RETENTION_MS, now_ms=0) is None


@pytest.mark.parametrize(
    ("state", "member_id", "generation", "code"),
    [
        (None, "", -1, ErrorCode.NONE),
        (None, "m", 1, ErrorCode.GROUP_ID_NOT_FOUND),
        (GroupState.EMPTY, "", -1, ErrorCode.NONE),
        (GroupState.EMPTY, "m", -1, ErrorCode.NONE),
        (GroupState.EMPTY, "m", 1, ErrorCode.UNKNOWN_MEMBER_ID),
        (GroupState.STABLE, "", -1, ErrorCode.UNKNOWN_MEMBER_ID),
        (GroupState.STABLE, "m", 1, ErrorCode.NONE),
        (GroupState.STABLE, "m", 0, ErrorCode.ILLEGAL_GENERATION),
        (GroupState.STABLE, "m", -1, ErrorCode.ILLEGAL_GENERATION),
        (GroupState.STABLE, "other", 1, ErrorCode.UNKNOWN_MEMBER_ID),
        (GroupState.PREPARING, "m", 1, ErrorCode.NONE),
        (GroupState.COMPLETING, "m", 1, ErrorCode.REBALANCE_IN_PROGRESS),
    ],
)
def test_who_may_commit(state: GroupState | None, member_id: str, generation: int, code: ErrorCode) -> None:
    group = None if state is None else group_of_members(state)
    request = Message(member_id=member_id, group_instance_id=None, generation_id_or_member_epoch=generation)

    assert check_commit(group, request, api_version=9) is code


def test_older_clients_are_told_of_an_unknown_group_what_they_understand() -> None:
    request = Message(member_id="m", group_instance_id=None, generation_id_or_member_epoch=1)

    assert check_commit(None, request, api_version=8) is ErrorCode.ILLEGAL_GENERATION


def test_offsets_of_a_group_that_is_no_consumers_cannot_be_deleted_while_it_lives() -> None:
    group = group_of_members(GroupState.STABLE)
    group.protocol_type = "connect"

    assert check_delete_offsets(group) is ErrorCode.NON_EMPTY_GROUP
