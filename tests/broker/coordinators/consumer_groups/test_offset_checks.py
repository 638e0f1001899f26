"""Who may commit and fetch offsets of a consumer group, and when they go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ottla.broker.coordinators.consumer_groups.group import ConsumerGroup
from ottla.broker.coordinators.consumer_groups.member import ClassicMember, MemberState, Standing, Subscription
from ottla.broker.coordinators.consumer_groups.offset_checks import check_commit, check_fetch, expire
from ottla.broker.coordinators.consumer_groups.records import GroupEpochRecord, StandingRecord, SubscriptionRecord
from ottla.broker.coordinators.group_records import Committed, GroupRecord, OffsetCommitted, OffsetRemoved
from ottla.broker.coordinators.groups_state import GroupsState
from ottla.protocol.errors import ErrorCode, KafkaError
from support.virtual_consumer_groups import topic_id

APPLES, BREAD = topic_id("apples"), topic_id("bread")


@pytest.fixture
def group() -> ConsumerGroup:
    """Member `new` at epoch 5 owns partition 0 of apples since 3, gives up 1 since 4; `old` is of the classic protocol."""
    group = ConsumerGroup("g")
    standing = Standing(5, 4, MemberState.UNREVOKED_PARTITIONS, {APPLES: {0: 3}}, {APPLES: {1: 4}})
    group.apply(SubscriptionRecord("g", "new", Subscription(topics=frozenset({"apples"}))))
    group.apply(StandingRecord("g", "new", standing))
    group.apply(SubscriptionRecord("g", "old", Subscription(classic=ClassicMember(1, ()))))
    group.apply(StandingRecord("g", "old", Standing(5, 5)))
    return group


def code_of(refused: Callable[[], object]) -> ErrorCode:
    try:
        refused()
    except KafkaError as refusal:
        return refusal.code
    return ErrorCode.NONE


def commit(
    group: ConsumerGroup, member_id: str, epoch: int, partition: int = 0, *, version: int | None = 9
) -> ErrorCode:
    return code_of(lambda: check_commit(group, member_id, epoch, api_version=version)(APPLES, partition))


def test_a_member_commits_at_its_epoch(group: ConsumerGroup) -> None:
    assert commit(group, "new", 5, partition=7) is ErrorCode.NONE
    assert commit(group, "old", 5, version=2) is ErrorCode.NONE


def test_an_older_epoch_counts_for_what_the_member_has_had_since_then(group: ConsumerGroup) -> None:
    assert commit(group, "new", 3) is ErrorCode.NONE
    assert commit(group, "new", 4, partition=1) is ErrorCode.NONE
    assert commit(group, "new", 3, partition=1) is ErrorCode.STALE_MEMBER_EPOCH
    assert commit(group, "new", 2) is ErrorCode.STALE_MEMBER_EPOCH
    assert commit(group, "new", 4, partition=2) is ErrorCode.STALE_MEMBER_EPOCH


def test_a_later_epoch_and_an_unknown_member_are_refused(group: ConsumerGroup) -> None:
    assert commit(group, "new", 6) is ErrorCode.STALE_MEMBER_EPOCH
    assert commit(group, "old", 6) is ErrorCode.ILLEGAL_GENERATION
    assert commit(group, "old", 4) is ErrorCode.ILLEGAL_GENERATION
    assert commit(group, "nobody", 5) is ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(group, "", -1) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_of_the_new_protocol_commits_with_a_version_that_has_epochs(group: ConsumerGroup) -> None:
    assert commit(group, "new", 5, version=8) is ErrorCode.UNSUPPORTED_VERSION
    assert commit(group, "new", 5, version=None) is ErrorCode.NONE


def test_an_administrator_commits_while_the_group_is_empty(group: ConsumerGroup) -> None:
    assert commit(ConsumerGroup("g"), "", -1) is ErrorCode.NONE


def test_a_transaction_may_leave_out_the_member(group: ConsumerGroup) -> None:
    assert commit(group, "", -1, version=None) is ErrorCode.NONE


def test_offsets_are_told_to_a_member_that_is_up_to_date_and_to_administrators(group: ConsumerGroup) -> None:
    assert code_of(lambda: check_fetch(group, "new", 5)) is ErrorCode.NONE
    assert code_of(lambda: check_fetch(group, None, -1)) is ErrorCode.NONE
    assert code_of(lambda: check_fetch(group, "new", 4)) is ErrorCode.STALE_MEMBER_EPOCH
    assert code_of(lambda: check_fetch(group, "old", 4)) is ErrorCode.ILLEGAL_GENERATION
    assert code_of(lambda: check_fetch(group, "nobody", 5)) is ErrorCode.UNKNOWN_MEMBER_ID


def state_with(*topics: str, expires_at_ms: int = -1) -> GroupsState:
    state = GroupsState()
    for offset, topic in enumerate(topics):
        committed = Committed(1, committed_at_ms=1_000, expires_at_ms=expires_at_ms)
        state.apply(OffsetCommitted("g", topic, 0, committed), offset=offset, producer=None)
    return state


def removed(records: list[GroupRecord]) -> list[str]:
    return [each.topic for each in records if isinstance(each, OffsetRemoved)]


def test_offsets_expire_by_their_age_where_nobody_reads_the_topic(group: ConsumerGroup) -> None:
    state = state_with("apples", "bread")

    assert removed(expire(group, state, retention_ms=100, now_ms=1_099)) == []
    assert removed(expire(group, state, retention_ms=100, now_ms=1_100)) == ["bread"]


def test_an_offset_with_a_time_of_its_own_goes_at_that_time(group: ConsumerGroup) -> None:
    assert removed(expire(group, state_with("bread", expires_at_ms=1_010), retention_ms=100, now_ms=1_010)) == ["bread"]


def test_an_empty_group_goes_with_its_last_offset() -> None:
    records = expire(ConsumerGroup("g"), state_with("bread"), retention_ms=100, now_ms=2_000)

    assert removed(records) == ["bread"]
    assert records[-1] == GroupEpochRecord("g", None)
    assert not expire(ConsumerGroup("g"), state_with("bread"), retention_ms=100, now_ms=1_050)
