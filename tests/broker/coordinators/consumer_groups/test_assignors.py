"""What every assignor promises, whatever the group; and Kafka's results where they are known."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies
from ottla.broker.coordinators.consumer_groups.assignors import ASSIGNORS, GroupSpec, MemberSpec
from ottla.broker.coordinators.consumer_groups.member import Partitions

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


def spec(
    topics: dict[str, set[UUID]],
    counts: dict[UUID, int],
    targets: dict[str, Partitions] | None = None,
    instances: dict[str, str] | None = None,
) -> GroupSpec:
    members = {
        name: MemberSpec((instances or {}).get(name), frozenset(wanted), (targets or {}).get(name, {}))
        for name, wanted in topics.items()
    }
    return GroupSpec(members, counts, len({frozenset(each) for each in topics.values()}) <= 1)


def check_complete(given: GroupSpec, found: dict[str, Partitions]) -> None:
    """Each partition of a topic that somebody wants has one owner, who wants it."""
    owners = Counter((topic, index) for each in found.values() for topic, indexes in each.items() for index in indexes)
    wanted = {topic for member in given.members.values() for topic in member.topics}
    assert owners == Counter((topic, index) for topic in wanted for index in range(given.partition_counts[topic]))
    for name, each in found.items():
        assert each.keys() <= given.members[name].topics
        assert all(each.values())


def sizes(found: dict[str, Partitions]) -> dict[str, int]:
    return {name: sum(map(len, each.values())) for name, each in found.items()}


names = [f"member-{index}" for index in range(6)]
counts = strategies.fixed_dictionaries({topic: strategies.integers(1, 7) for topic in (A, B, C)})
any_topics = strategies.sets(strategies.sampled_from([A, B, C]))


@strategies.composite
def groups(draw: strategies.DrawFn, *, homogeneous: bool) -> GroupSpec:
    """A group whose members have shares of an earlier time, when other topics and members were there."""
    partition_counts = draw(counts)
    members = draw(strategies.lists(strategies.sampled_from(names), min_size=1, unique=True))
    common = draw(any_topics)
    topics = {name: common if homogeneous else draw(any_topics) for name in members}
    targets: dict[str, dict[UUID, frozenset[int]]] = {name: {} for name in members}
    for topic, count in partition_counts.items():
        for index in range(count):
            owner = draw(strategies.sampled_from([None, *members]))
            if owner is not None:
                targets[owner][topic] = targets[owner].get(topic, frozenset()) | {index}
    return spec(topics, partition_counts, dict(targets))


@pytest.mark.parametrize("name", ASSIGNORS)
@settings(deadline=None)
@given(given=groups(homogeneous=True) | groups(homogeneous=False))
def test_every_partition_has_one_owner_who_wants_it(name: str, given: GroupSpec) -> None:
    check_complete(given, ASSIGNORS[name](given))


@settings(deadline=None)
@given(groups(homogeneous=True))
def test_uniform_shares_differ_by_one_at_most(given: GroupSpec) -> None:
    shares = sizes(ASSIGNORS["uniform"](given)).values()

    assert max(shares) - min(shares) <= 1


@settings(deadline=None)
@given(groups(homogeneous=True))
def test_uniform_takes_from_a_member_only_what_is_above_its_share(given: GroupSpec) -> None:
    found = ASSIGNORS["uniform"](given)

    topics = next(iter(given.members.values())).topics
    share = sum(given.partition_counts[topic] for topic in topics) // len(given.members)
    for name, member in given.members.items():
        had = {(topic, index) for topic, each in member.target.items() if topic in topics for index in each}
        has = {(topic, index) for topic, each in found[name].items() for index in each}
        assert len(had & has) >= min(len(had), share)


@settings(deadline=None)
@given(groups(homogeneous=False))
def test_uniform_changes_nothing_in_what_it_made_itself(given: GroupSpec) -> None:
    found = ASSIGNORS["uniform"](given)
    again = spec({name: set(each.topics) for name, each in given.members.items()}, dict(given.partition_counts), found)

    assert ASSIGNORS["uniform"](again) == found


@settings(deadline=None)
@given(groups(homogeneous=False))
def test_uniform_leaves_no_topic_whose_subscribers_differ_by_more_than_one(given: GroupSpec) -> None:
    """With three topics the rounds suffice. Whoever has nothing of a topic has nothing of it to give."""
    found = ASSIGNORS["uniform"](given)

    shares = sizes(found)
    for topic in (A, B, C):
        subscribers = [name for name, each in given.members.items() if topic in each.topics]
        givers = [shares[name] for name in subscribers if found[name].get(topic)]
        if givers:
            assert max(givers) - min(shares[name] for name in subscribers) <= 1


def test_range_cuts_each_topic_in_the_same_order_and_static_members_come_first() -> None:
    topics = {A, B}
    given = spec({"a": topics, "b": topics, "c": topics}, {A: 4, B: 4}, instances={"c": "zebra", "b": "ant"})

    assert ASSIGNORS["range"](given) == {
        "b": {A: {0, 1}, B: {0, 1}},
        "c": {A: {2}, B: {2}},
        "a": {A: {3}, B: {3}},
    }


def test_range_gives_nothing_to_members_beyond_the_partitions() -> None:
    assert ASSIGNORS["range"](spec({"a": {A}, "b": {A}}, {A: 1})) == {"a": {A: {0}}, "b": {}}


def test_uniform_keeps_what_fits_when_a_member_joins() -> None:
    """Kafka's own example: two have three each, the third gets one of both."""
    before: dict[str, Partitions] = {
        "a": {A: frozenset({0, 2}), B: frozenset({0})},
        "b": {A: frozenset({1}), B: frozenset({1, 2})},
    }
    found = ASSIGNORS["uniform"](spec({name: {A, B} for name in "abc"}, {A: 3, B: 3}, before))

    assert sizes(found) == {"a": 2, "b": 2, "c": 2}
    assert all(found[name][topic] <= before[name][topic] for name in "ab" for topic in found[name])


def test_uniform_balances_members_who_share_only_some_topics() -> None:
    found = ASSIGNORS["uniform"](spec({"a": {A}, "b": {A, B}, "c": {B, C}}, {A: 6, B: 3, C: 3}))

    assert sizes(found) == {"a": 4, "b": 4, "c": 4}
