"""One step of one member towards its target."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest
from ottla.broker.coordinators.consumer_groups.member import MemberState, Standing
from ottla.broker.coordinators.consumer_groups.reconciliation import Goal, reconcile
from ottla.protocol.errors import ErrorCode, KafkaError

A, B = UUID(int=1), UUID(int=2)
STABLE, UNREVOKED, UNRELEASED = MemberState.STABLE, MemberState.UNREVOKED_PARTITIONS, MemberState.UNRELEASED_PARTITIONS
Indexes = Mapping[UUID, set[int]]


def goal(
    epoch: int,
    target: Indexes,
    reported: Indexes | None = None,
    *,
    owned_by_others: Indexes | None = None,
    subscribed: set[UUID] | None = None,
    has_new_subscription: bool = False,
) -> Goal:
    taken = owned_by_others or {}
    return Goal(
        epoch=epoch,
        target={topic: frozenset(each) for topic, each in target.items()},
        subscribed={A, B} if subscribed is None else subscribed,
        reported=None if reported is None else {topic: frozenset(each) for topic, each in reported.items()},
        owner_epoch=lambda topic, partition: 3 if partition in taken.get(topic, ()) else -1,
        has_new_subscription=has_new_subscription,
    )


def test_a_member_at_its_target_stays_as_it_is() -> None:
    standing = Standing(5, 4, STABLE, {A: {0: 2}})

    assert reconcile(standing, goal(5, {A: {0}})) is standing


def test_what_is_free_is_granted_at_the_new_epoch_and_what_was_had_keeps_its_own() -> None:
    after = reconcile(Standing(4, 3, STABLE, {A: {0: 2}}), goal(5, {A: {0, 1}, B: {7}}))

    assert after == Standing(5, 4, STABLE, {A: {0: 2, 1: 5}, B: {7: 5}})


def test_what_must_go_is_asked_for_first_and_nothing_is_granted_meanwhile() -> None:
    after = reconcile(Standing(4, 3, STABLE, {A: {0: 2, 1: 2}}), goal(5, {A: {0, 2}}))

    assert after == Standing(4, 4, UNREVOKED, {A: {0: 2}}, {A: {1: 2}})


@pytest.mark.parametrize("reported", [None, {A: {1}}, {A: {0, 1}}])
def test_it_waits_as_long_as_the_member_may_own_it(reported: Indexes | None) -> None:
    standing = Standing(4, 4, UNREVOKED, {A: {0: 2}}, {A: {1: 2}})

    assert reconcile(standing, goal(5, {A: {0, 2}}, reported)) is standing


def test_when_it_is_given_up_the_rest_is_granted() -> None:
    standing = Standing(4, 4, UNREVOKED, {A: {0: 2}}, {A: {1: 2}})

    assert reconcile(standing, goal(5, {A: {0, 2}}, {A: {0}})) == Standing(5, 4, STABLE, {A: {0: 2, 2: 5}})


def test_what_the_member_gave_up_itself_may_be_granted_to_it_again() -> None:
    """The target has changed back; the partition is still its own as far as the group knows."""
    standing = Standing(4, 4, UNREVOKED, {A: {0: 2}}, {A: {1: 2}})

    after = reconcile(standing, goal(6, {A: {0, 1}}, {A: {0}}, owned_by_others={A: {1}}))

    assert after == Standing(6, 4, STABLE, {A: {0: 2, 1: 6}})


def test_what_another_still_owns_is_waited_for() -> None:
    after = reconcile(Standing(4, 3, STABLE), goal(5, {A: {0, 1}}, owned_by_others={A: {1}}))

    assert after == Standing(5, 4, UNRELEASED, {A: {0: 5}})
    assert reconcile(after, goal(5, {A: {0, 1}})) == Standing(5, 5, STABLE, {A: {0: 5, 1: 5}})


def test_a_topic_that_is_not_subscribed_any_more_counts_as_not_in_the_target() -> None:
    standing = Standing(5, 4, STABLE, {A: {0: 2}, B: {0: 2}})

    after = reconcile(standing, goal(5, {A: {0}, B: {0}}, subscribed={A}, has_new_subscription=True))

    assert after == Standing(5, 5, UNREVOKED, {A: {0: 2}}, {B: {0: 2}})


def test_a_second_change_of_mind_adds_to_what_is_to_be_given_up() -> None:
    standing = Standing(5, 5, UNREVOKED, {A: {0: 2}}, {B: {0: 2}})

    after = reconcile(standing, goal(5, {A: {0}}, subscribed=set(), has_new_subscription=True))

    assert after == Standing(5, 5, UNREVOKED, {}, {A: {0: 2}, B: {0: 2}})


def test_what_is_dropped_and_given_up_already_is_only_forgotten() -> None:
    standing = Standing(5, 4, STABLE, {A: {0: 2}, B: {0: 2}})

    after = reconcile(standing, goal(5, {A: {0}}, {A: {0}}, subscribed={A}, has_new_subscription=True))

    assert after == Standing(5, 5, STABLE, {A: {0: 2}})


def test_a_state_of_a_later_release_makes_the_member_begin_anew() -> None:
    standing = Standing(5, 4, MemberState.UNKNOWN, {A: {0: 2}})

    with pytest.raises(KafkaError) as refused:
        reconcile(standing, goal(6, {A: {0}}))
    assert refused.value.code is ErrorCode.FENCED_MEMBER_EPOCH
    assert reconcile(standing, goal(6, {A: {0}}, {})).state is STABLE
