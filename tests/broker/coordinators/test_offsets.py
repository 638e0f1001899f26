"""Which offsets expire and which commits are taken, case by case."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest
from ottla.broker.coordinators.group import Group, GroupState, Member
from ottla.broker.coordinators.group_records import (
    NEVER_MS,
    NO_TOPIC_ID,
    Committed,
    GroupRecord,
    GroupRemoved,
    OffsetCommitted,
    OffsetRemoved,
)
from ottla.broker.coordinators.groups_state import GroupsState
from ottla.broker.coordinators.offsets import (
    check_commit,
    check_delete_offsets,
    everything_of,
    expire,
    of_deleted_topic,
    present,
)
from ottla.broker.coordinators.runtime.machine import TransactionalProducer
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

RETENTION_MS = 1000
TOPIC_ID = UUID(int=1)
ALL = [OffsetRemoved("g", "t", 0)]
READS_T = b"\0\1\0\0\0\1\0\1t\xff\xff\xff\xff"


def committed(*, at_ms: int = 0, expires_at_ms: int = NEVER_MS, topic_id: UUID = TOPIC_ID) -> Committed:
    return Committed(5, committed_at_ms=at_ms, expires_at_ms=expires_at_ms, topic_id=topic_id)


def state_with(offsets: Mapping[str, Committed], *, producer_id: int | None = None) -> GroupsState:
    """Group `g` has committed these in partition 0 of the topics."""
    state = GroupsState()
    producer = None if producer_id is None else TransactionalProducer(producer_id, 0)
    for at, (topic, each) in enumerate(offsets.items()):
        state.apply(OffsetCommitted("g", topic, 0, each), offset=at, producer=producer)
    return state


def expired(group: Group, offsets: Mapping[str, Committed], *, now_ms: int) -> list[GroupRecord]:
    return expire(group, state_with(offsets), retention_ms=RETENTION_MS, now_ms=now_ms)


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

    assert expired(group, offsets, now_ms=1499) == []
    assert expired(group, offsets, now_ms=1500) == [*ALL, GroupRemoved("g")]


def test_offsets_without_a_group_are_kept_for_the_retention_after_their_commit() -> None:
    group = Group("g", 10_000)
    offsets = {"t": committed(at_ms=0), "u": committed(at_ms=500)}

    assert expired(group, offsets, now_ms=1000) == [OffsetRemoved("g", "t", 0)]


def test_a_topic_that_a_member_reads_keeps_its_offsets() -> None:
    group = group_of_members(GroupState.STABLE)
    offsets = {"t": committed(), "u": committed()}

    assert expired(group, offsets, now_ms=9999) == [OffsetRemoved("g", "u", 0)]


@pytest.mark.parametrize("state", [GroupState.PREPARING, GroupState.COMPLETING])
def test_nothing_expires_during_a_rebalance(state: GroupState) -> None:
    assert expired(group_of_members(state), {"u": committed()}, now_ms=9999) == []


def test_nothing_expires_while_it_cannot_be_known_who_reads_it() -> None:
    group = group_of_members(GroupState.STABLE, metadata=b"not a subscription")

    assert expired(group, {"u": committed()}, now_ms=9999) == []


def test_a_client_may_have_asked_for_a_retention_of_its_own() -> None:
    offsets = {"t": committed(expires_at_ms=50)}

    assert expired(Group("g", 0), offsets, now_ms=49) == []
    assert expired(Group("g", 0), offsets, now_ms=50) == [*ALL, GroupRemoved("g")]


def test_an_empty_group_without_offsets_goes() -> None:
    assert expired(Group("g", 0), {}, now_ms=0) == [GroupRemoved("g")]


def test_a_group_that_somebody_is_about_to_join_stays() -> None:
    group = Group("g", 0)
    group.pending.add("m")

    assert expired(group, {}, now_ms=0) == []


def test_a_group_of_which_it_is_not_known_when_it_became_empty_counts_from_each_commit() -> None:
    group = group_of_members(GroupState.EMPTY, changed_at_ms=-1)
    offsets = {"t": committed(at_ms=5000)}

    assert expired(group, offsets, now_ms=5999) == []
    assert expired(group, offsets, now_ms=6000) == [*ALL, GroupRemoved("g")]


def test_an_offset_for_which_a_transaction_is_open_does_not_expire() -> None:
    state = state_with({"t": committed()})
    state.apply(OffsetCommitted("g", "t", 0, committed()), offset=9, producer=TransactionalProducer(7, 0))

    assert expire(Group("g", 0), state, retention_ms=RETENTION_MS, now_ms=9999) == []


def test_what_goes_with_a_group_is_everything_it_has_committed_in_open_transactions_too() -> None:
    state = state_with({"t": committed()})
    state.apply(OffsetCommitted("g", "u", 1, committed()), offset=9, producer=TransactionalProducer(7, 0))

    assert everything_of("g", state) == [OffsetRemoved("g", "t", 0), OffsetRemoved("g", "u", 1), GroupRemoved("g")]


def test_of_what_is_to_be_deleted_only_what_is_there_is() -> None:
    wanted = [("t", [1, 0]), ("u", [0])]

    assert list(present("g", state_with({"t": committed()}), wanted)) == [OffsetRemoved("g", "t", 0)]


@pytest.mark.parametrize(
    ("each", "goes"),
    [
        (committed(), True),
        (committed(topic_id=UUID(int=2)), False),
        (committed(topic_id=NO_TOPIC_ID, at_ms=100), True),
        (committed(topic_id=NO_TOPIC_ID, at_ms=101), False),
    ],
)
def test_a_deleted_topic_takes_its_own_offsets_and_none_of_a_later_topic_of_its_name(
    each: Committed, goes: bool
) -> None:
    gone = of_deleted_topic(state_with({"t": each}), "t", UUID(int=1), deleted_at_ms=100)

    assert list(gone) == ([OffsetRemoved("g", "t", 0)] if goes else [])


def test_what_is_committed_while_a_deleted_topic_is_being_forgotten_stays() -> None:
    state = state_with({})
    for index in range(2):
        state.apply(OffsetCommitted("g", "t", index, committed()), offset=index, producer=None)
    gone = of_deleted_topic(state, "t", UUID(int=1), deleted_at_ms=100)
    next(gone)
    state.apply(OffsetCommitted("g", "t", 1, committed(topic_id=UUID(int=2))), offset=3, producer=None)

    assert list(gone) == []


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
