"""All assignors by what must hold of each, and each by examples from Java's own documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.client.assignors.assignor import Assignor, GroupMember, Owned, Pair
from ottla.client.assignors.range import RangeAssignor
from ottla.client.assignors.round_robin import RoundRobinAssignor
from ottla.client.assignors.sticky import CooperativeStickyAssignor, StickyAssignor

TOPICS = ("a", "b", "c", "d")
EVERY = (RangeAssignor(), RoundRobinAssignor(), StickyAssignor(), CooperativeStickyAssignor())
every_assignor = pytest.mark.parametrize("assignor", EVERY, ids=lambda each: each.name)
every_sticky = pytest.mark.parametrize(
    "assignor", [StickyAssignor(), CooperativeStickyAssignor()], ids=lambda e: e.name
)

counts = st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 9), max_size=4)
wishes = st.frozensets(st.sampled_from((*TOPICS, "gone")), max_size=4)
pairs = st.frozensets(st.tuples(st.sampled_from((*TOPICS, "gone")), st.integers(-1, 12)), max_size=12)
ids = st.lists(st.text("mno", min_size=1, max_size=4), unique=True, min_size=1, max_size=6)


def member(member_id: str, *topics: str, instance_id: str | None = None) -> GroupMember:
    return GroupMember(member_id, frozenset(topics), instance_id)


def having(assignor: Assignor, each: GroupMember, owned: Owned) -> GroupMember:
    """The member as it joins the next time: what an eager one had is in its user data alone."""
    kept = owned if assignor.is_cooperative else Owned()
    return replace(each, owned=kept, user_data=assignor.user_data(owned))


@st.composite
def groups(draw: st.DrawFn, *, alike: bool = False) -> list[GroupMember]:
    common = draw(wishes)
    return [
        GroupMember(each, common if alike else draw(wishes), draw(st.none() | st.just(f"i{each}")))
        for each in draw(ids)
    ]


@st.composite
def groups_with_a_past(draw: st.DrawFn) -> list[tuple[GroupMember, Owned]]:
    return [(each, Owned(draw(pairs), draw(st.integers(-1, 3)))) for each in draw(groups())]


def check_complete(counts: Mapping[str, int], members: list[GroupMember], assigned: dict[str, list[Pair]]) -> None:
    """Every partition that somebody wants exactly once, and to one who wants it."""
    assert assigned.keys() == {each.member_id for each in members}
    wanted = {topic for each in members for topic in each.topics}
    all_ = {(topic, each) for topic, count in counts.items() if topic in wanted for each in range(count)}
    assert Counter(pair for got in assigned.values() for pair in got) == Counter(all_)
    for each in members:
        assert {topic for topic, _ in assigned[each.member_id]} <= each.topics


def check_balanced(members: list[GroupMember], assigned: dict[str, list[Pair]]) -> None:
    """No partition could move to a member that has at least two fewer."""
    for each in members:
        for topic, _ in assigned[each.member_id]:
            for other in members:
                if topic in other.topics:
                    assert len(assigned[each.member_id]) - len(assigned[other.member_id]) < 2


def settle(assignor: Assignor, counts: Mapping[str, int], members: list[GroupMember]) -> dict[str, list[Pair]]:
    """What a group comes to: cooperative members give up what is not theirs and join again until nothing moves."""
    assigned = assignor.assign(counts, members)
    for generation in range(1, 4):
        members = [having(assignor, each, Owned(frozenset(assigned[each.member_id]), generation)) for each in members]
        following = assignor.assign(counts, members)
        if following == assigned:
            return assigned
        assigned = following
    raise AssertionError("still moving after three rebalances")


@every_assignor
@given(counts=counts, members=groups())
def test_every_partition_goes_to_exactly_one_member_that_wants_it(
    assignor: Assignor, counts: dict[str, int], members: list[GroupMember]
) -> None:
    check_complete(counts, members, assignor.assign(counts, members))


@every_assignor
@given(counts=counts, members=groups(), random=st.randoms(use_true_random=False))
def test_the_order_of_the_members_does_not_matter(
    assignor: Assignor, counts: dict[str, int], members: list[GroupMember], random: object
) -> None:
    shuffled = sorted(members, key=lambda _: random.random())  # type: ignore[attr-defined]

    assert assignor.assign(counts, shuffled) == assignor.assign(counts, members)


@every_sticky
@given(counts=counts, members=groups_with_a_past())
def test_whatever_members_claim_to_have_had_the_group_settles_balanced(
    assignor: Assignor, counts: dict[str, int], members: list[tuple[GroupMember, Owned]]
) -> None:
    joining = [having(assignor, each, owned) for each, owned in members]

    assigned = settle(assignor, counts, joining)

    check_complete(counts, joining, assigned)
    check_balanced(joining, assigned)


@given(counts=counts, members=groups_with_a_past())
def test_what_one_member_owns_no_other_is_given_before_it_is_given_up(
    counts: dict[str, int], members: list[tuple[GroupMember, Owned]]
) -> None:
    assignor = CooperativeStickyAssignor()
    claimed = Counter(pair for _, owned in members for pair in owned.partitions)
    joining = [
        having(assignor, each, replace(owned, partitions=frozenset(p for p in owned.partitions if claimed[p] == 1)))
        for each, owned in members
    ]

    assigned = assignor.assign(counts, joining)

    owner_of = {pair: each.member_id for each in joining for pair in each.owned.partitions}
    for member_id, got in assigned.items():
        assert all(owner_of.get(pair, member_id) == member_id for pair in got)


@every_sticky
@given(counts=counts, members=groups(), leaving=st.integers(0, 5))
def test_when_a_member_leaves_the_others_keep_what_they_had(
    assignor: Assignor, counts: dict[str, int], members: list[GroupMember], leaving: int
) -> None:
    same = [replace(each, topics=members[0].topics) for each in members]
    before = settle(assignor, counts, same)
    remaining = [each for place, each in enumerate(same) if place != leaving % len(same)]

    after = settle(assignor, counts, [having(assignor, m, Owned(frozenset(before[m.member_id]), 5)) for m in remaining])

    for each in remaining:
        assert set(before[each.member_id]) <= set(after[each.member_id])


@every_sticky
@given(counts=counts, members=groups(alike=True))
def test_when_a_member_comes_only_it_is_given_anything_new(
    assignor: Assignor, counts: dict[str, int], members: list[GroupMember]
) -> None:
    before = settle(assignor, counts, members)
    newcomer = GroupMember("new", members[0].topics)
    former = [having(assignor, each, Owned(frozenset(before[each.member_id]), 5)) for each in members]

    after = settle(assignor, counts, [*former, newcomer])

    for each in members:
        assert set(after[each.member_id]) <= set(before[each.member_id])


@every_sticky
def test_of_two_claims_the_later_generation_is_believed_and_of_equal_ones_neither(assignor: Assignor) -> None:
    old = having(assignor, member("m1", "a"), Owned(frozenset({("a", 0), ("a", 1)}), 1))
    new = having(assignor, member("m2", "a"), Owned(frozenset({("a", 0)}), 2))

    assert settle(assignor, {"a": 2}, [old, new]) == {"m1": [("a", 1)], "m2": [("a", 0)]}


def test_range_gives_each_member_a_run_of_every_topic() -> None:
    members = [member("c0", "t0", "t1"), member("c1", "t0", "t1")]

    assert RangeAssignor().assign({"t0": 3, "t1": 3}, members) == {
        "c0": [("t0", 0), ("t0", 1), ("t1", 0), ("t1", 1)],
        "c1": [("t0", 2), ("t1", 2)],
    }


def test_round_robin_deals_over_the_topics() -> None:
    members = [member("c0", "t0", "t1"), member("c1", "t0", "t1")]

    assert RoundRobinAssignor().assign({"t0": 3, "t1": 3}, members) == {
        "c0": [("t0", 0), ("t0", 2), ("t1", 1)],
        "c1": [("t0", 1), ("t1", 0), ("t1", 2)],
    }


def test_static_members_come_first_by_their_instance_ids() -> None:
    members = [member("a", "t"), member("z", "t", instance_id="2"), member("y", "t", instance_id="3")]

    assert RangeAssignor().assign({"t": 3}, members) == {"z": [("t", 0)], "y": [("t", 1)], "a": [("t", 2)]}


def test_sticky_is_more_even_than_round_robin_where_members_want_different_topics() -> None:
    members = [member("c0", "t0"), member("c1", "t0", "t1"), member("c2", "t0", "t1", "t2")]

    assert StickyAssignor().assign({"t0": 1, "t1": 2, "t2": 3}, members) == {
        "c0": [("t0", 0)],
        "c1": [("t1", 0), ("t1", 1)],
        "c2": [("t2", 0), ("t2", 1), ("t2", 2)],
    }


def test_sticky_user_data_has_the_bytes_of_javas() -> None:
    previous = Owned(frozenset({("t", 2), ("t", 0)}), 4)

    assert StickyAssignor().user_data(previous) == bytes.fromhex("00000001 0001 74 00000002 00000000 00000002 00000004")
    assert CooperativeStickyAssignor().user_data(previous) == bytes.fromhex("00000004")


def test_user_data_that_cannot_be_read_is_taken_for_none() -> None:
    broken = replace(member("m", "t"), user_data=b"\0\0\0\7nonsense")

    assert StickyAssignor().assign({"t": 1}, [broken]) == {"m": [("t", 0)]}
