"""ConsumerGroupHeartbeat, one member's step at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ottla.broker.coordinators.consumer_groups.decision import TimerKind
from ottla.broker.coordinators.consumer_groups.group import ConsumerGroupState
from ottla.broker.coordinators.consumer_groups.heartbeat import Heartbeat, check_heartbeat
from ottla.broker.coordinators.consumer_groups.member import AWAY_EPOCH, LEFT_EPOCH, MemberState
from ottla.broker.coordinators.consumer_groups.topic_patterns import MIN_REFRESH_MS
from ottla.protocol.errors import ErrorCode, KafkaError
from support.virtual_consumer_groups import (
    HEARTBEAT_MS,
    REBALANCE_MS,
    SESSION_MS,
    Consumer,
    VirtualGroups,
    settings_for_tests,
    topic_id,
)

APPLES = frozenset({"apples"})


@pytest.fixture
def groups() -> VirtualGroups:
    groups = VirtualGroups(settings_for_tests(assignment_ms=0))
    groups.create("apples", 4)
    return groups


def two_members(groups: VirtualGroups) -> tuple[Consumer, Consumer]:
    """Both with their half."""
    one, two = Consumer(groups, "one", APPLES), Consumer(groups, "two", APPLES)
    for each in (one, two, one):
        each.beat()
        each.give_up()
    for each in (one, two):
        each.beat()
    assert (len(one.owned), len(two.owned)) == (2, 2)
    assert groups.group.state is ConsumerGroupState.STABLE
    return one, two


def settle(*consumers: Consumer) -> None:
    """All do what they are told, until there is no more to do."""
    for _ in range(4):
        for each in consumers:
            each.beat()
            each.give_up()
    assert consumers[0].groups.group.state is ConsumerGroupState.STABLE


def refusal(groups: VirtualGroups, request: Heartbeat) -> ErrorCode:
    with pytest.raises(KafkaError) as refused:
        groups.heartbeat(request)
    return refused.value.code


# --- joining and going on


def test_the_first_member_is_told_epoch_2_and_everything_at_once(groups: VirtualGroups) -> None:
    answer = groups.heartbeat(Consumer(groups, "one", APPLES).request(0))

    assert (answer.member_id, answer.member_epoch, answer.heartbeat_interval_ms) == ("one", 2, HEARTBEAT_MS)
    assert answer.assigned == {topic_id("apples"): dict.fromkeys(range(4), 2)}


def test_a_heartbeat_that_changes_nothing_writes_nothing_and_tells_nothing(groups: VirtualGroups) -> None:
    one, _ = two_members(groups)
    written = len(groups.batches)

    answer = groups.heartbeat(one.request(one.epoch))

    assert answer.assigned is None
    assert len(groups.batches) == written


def test_a_full_request_is_told_the_assignment_again(groups: VirtualGroups) -> None:
    one, _ = two_members(groups)
    one.must_say_all = True

    answer = groups.heartbeat(one.request(one.epoch))

    assert answer.assigned == {topic_id("apples"): {index: 2 for _, index in one.owned}}


def test_a_member_gives_up_before_another_gets(groups: VirtualGroups) -> None:
    one, two = Consumer(groups, "one", APPLES), Consumer(groups, "two", APPLES)
    one.beat()
    two.beat()
    assert two.granted == frozenset()
    assert groups.group.members["two"].standing.state is MemberState.UNRELEASED_PARTITIONS

    one.beat()
    assert len(one.granted) == 2
    assert groups.group.members["one"].standing.state is MemberState.UNREVOKED_PARTITIONS
    assert one.epoch == 2
    two.beat()
    assert two.granted == frozenset()

    one.give_up()
    one.beat()
    assert one.epoch == 3
    two.beat()
    assert len(two.granted) == 2


def test_an_assignment_is_computed_no_more_often_than_its_interval() -> None:
    groups = VirtualGroups(settings_for_tests(assignment_ms=1_000))
    groups.create("apples", 4)
    one, two = Consumer(groups, "one", APPLES), Consumer(groups, "two", APPLES)
    one.beat()
    groups.pass_time(10)

    two.beat()
    assert groups.group.state is ConsumerGroupState.ASSIGNING
    groups.pass_time(1_000)
    two.beat()

    assert groups.group.state is ConsumerGroupState.RECONCILING


def test_a_member_that_wants_nothing_gets_nothing_of_the_assignment_that_its_coming_makes_due() -> None:
    """Its join moves no epoch, and is the first heartbeat after the interval in which the second one has come."""
    groups = VirtualGroups(settings_for_tests(assignment_ms=1_000))
    groups.create("apples", 3)
    one, two = Consumer(groups, "one", APPLES), Consumer(groups, "two", APPLES)
    one.beat()
    two.beat()
    groups.pass_time(1_000)

    idle = Consumer(groups, "idle", frozenset())
    idle.beat()

    assert not groups.group.targets.get("idle")
    settle(one, two, idle)
    assert sorted(len(each.owned) for each in (one, two)) == [1, 2]


def test_a_member_that_wants_nothing_gets_nothing_of_what_another_has_left(groups: VirtualGroups) -> None:
    one, two = two_members(groups)
    two.leave()

    idle = Consumer(groups, "idle", frozenset())
    idle.beat()

    assert not groups.group.targets.get("idle")
    settle(one, idle)
    assert len(one.owned) == 4


def test_a_member_that_names_an_assignor_gets_it_for_the_group(groups: VirtualGroups) -> None:
    groups.create("bread", 4)
    both = frozenset({"apples", "bread"})
    one = Consumer(groups, "one", both, assignor="range")
    two = Consumer(groups, "two", both, assignor="range")
    for _ in range(3):
        for each in (one, two):
            each.beat()
            each.give_up()

    assert {index for _, index in one.owned} == {0, 1}
    assert {index for _, index in two.owned} == {2, 3}


# --- epochs


def test_the_epoch_before_is_accepted_of_a_member_that_owns_no_more_than_it_was_granted(groups: VirtualGroups) -> None:
    one, two = Consumer(groups, "one", APPLES), Consumer(groups, "two", APPLES)
    one.beat()
    two.beat()
    one.beat()
    one.give_up()
    one.lose_answer()

    assert groups.group.members["one"].epoch == 3
    assert one.epoch == 2
    assert one.beat() is ErrorCode.NONE
    assert one.epoch == 3


def test_other_epochs_are_fenced(groups: VirtualGroups) -> None:
    one, _ = two_members(groups)

    for epoch in (one.epoch + 1, one.epoch - 2):
        assert refusal(groups, one.request(epoch)) is ErrorCode.FENCED_MEMBER_EPOCH
    with_more = replace(one.request(one.epoch - 1), reported={topic_id("apples"): frozenset(range(4))})
    assert refusal(groups, with_more) is ErrorCode.FENCED_MEMBER_EPOCH


def test_members_and_groups_that_are_not_there(groups: VirtualGroups) -> None:
    two_members(groups)

    assert refusal(groups, Consumer(groups, "nobody").request(3)) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_group_takes_no_more_members_than_it_may_have() -> None:
    groups = VirtualGroups(settings_for_tests(max_size=1))
    one = Consumer(groups, "one", APPLES)
    one.beat()

    assert refusal(groups, Consumer(groups, "two", APPLES).request(0)) is ErrorCode.GROUP_MAX_SIZE_REACHED
    assert one.beat() is ErrorCode.NONE


def test_an_id_that_no_record_could_name_is_refused(groups: VirtualGroups) -> None:
    assert refusal(groups, Consumer(groups, "m" * 32_768, APPLES).request(0)) is ErrorCode.INVALID_REQUEST
    assert Consumer(groups, "m" * 32_767, APPLES).beat() is ErrorCode.NONE
    groups.crash()
    groups.check()


# --- going


def test_what_a_member_leaves_is_given_to_the_others(groups: VirtualGroups) -> None:
    one, two = two_members(groups)

    two.leave()
    one.beat()

    assert len(one.owned) == 4
    assert list(groups.group.members) == ["one"]


def test_a_silent_member_is_gone_after_its_session(groups: VirtualGroups) -> None:
    one, two = two_members(groups)
    groups.pass_time(SESSION_MS - 1)
    one.beat()
    groups.pass_time(2)

    one.beat()

    assert len(one.owned) == 4
    assert two.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_does_not_give_up_in_time_is_fenced_though_it_lives(groups: VirtualGroups) -> None:
    one, two = Consumer(groups, "one", APPLES), Consumer(groups, "two", APPLES)
    one.beat()
    two.beat()
    one.beat()
    for _ in range(REBALANCE_MS // HEARTBEAT_MS + 1):
        groups.pass_time(HEARTBEAT_MS)
        two.beat()
        if "one" in groups.group.members:
            one.beat()

    assert "one" not in groups.group.members
    assert len(two.owned) == 4


def test_the_last_member_leaves_an_empty_group_whose_epoch_goes_on(groups: VirtualGroups) -> None:
    one, two = two_members(groups)
    epoch = groups.group.epoch
    one.leave()
    two.leave()

    assert groups.group.state is ConsumerGroupState.EMPTY
    assert groups.group.epoch == epoch + 2
    assert Consumer(groups, "three", APPLES).beat() is ErrorCode.NONE


# --- static members


def static(groups: VirtualGroups, member_id: str) -> Consumer:
    return Consumer(groups, member_id, APPLES, instance_id="instance")


def test_a_static_member_that_is_away_keeps_its_partitions_for_its_instance(groups: VirtualGroups) -> None:
    first = static(groups, "first")
    first.beat()
    epoch = groups.group.epoch
    first.go_away()
    assert groups.group.members["first"].epoch == AWAY_EPOCH

    second = static(groups, "second")
    second.beat()

    assert len(second.owned) == 4
    assert list(groups.group.members) == ["second"]
    assert groups.group.epoch == epoch
    assert second.epoch == epoch


def test_a_static_member_that_does_not_come_back_is_gone_after_its_session(groups: VirtualGroups) -> None:
    static(groups, "first").beat()
    groups.heartbeat(static(groups, "first").request(AWAY_EPOCH))

    groups.pass_time(SESSION_MS + 1)

    assert not groups.group.members


def test_an_instance_that_still_runs_is_not_replaced_and_an_old_process_of_it_is_fenced(groups: VirtualGroups) -> None:
    first = static(groups, "first")
    first.beat()
    assert refusal(groups, static(groups, "second").request(0)) is ErrorCode.UNRELEASED_INSTANCE_ID

    first.go_away()
    static(groups, "second").beat()

    assert refusal(groups, static(groups, "first").request(2)) is ErrorCode.FENCED_INSTANCE_ID
    assert refusal(groups, static(groups, "first").request(LEFT_EPOCH)) is ErrorCode.FENCED_INSTANCE_ID


# --- topics


def test_new_partitions_are_assigned_with_the_next_heartbeat(groups: VirtualGroups) -> None:
    one = Consumer(groups, "one", APPLES)
    one.beat()
    groups.create("apples", 6)

    one.beat()

    assert {index for _, index in one.owned} == set(range(6))
    assert groups.group.epoch == 3


def test_a_topic_that_is_made_after_the_subscription_is_assigned(groups: VirtualGroups) -> None:
    one = Consumer(groups, "one", frozenset({"bread"}))
    one.beat()
    assert not one.owned

    groups.create("bread", 2)
    one.beat()

    assert len(one.owned) == 2


def test_a_deleted_topic_is_taken_away(groups: VirtualGroups) -> None:
    one = Consumer(groups, "one", APPLES)
    one.beat()
    groups.delete("apples")

    one.beat()

    assert one.granted == frozenset()


def test_a_topic_that_nobody_wants_moves_no_epoch(groups: VirtualGroups) -> None:
    one = Consumer(groups, "one", APPLES)
    one.beat()
    groups.create("bread", 2)

    one.beat()

    assert groups.group.epoch == 2


def test_after_a_restart_the_topics_are_looked_at_once_and_nothing_changes(groups: VirtualGroups) -> None:
    one, two = two_members(groups)
    epoch = groups.group.epoch

    groups.crash()
    assert one.beat() is two.beat() is ErrorCode.NONE

    assert groups.group.epoch == epoch
    assert groups.group.topics_are_fresh()


def test_a_change_of_topics_while_the_coordinator_was_down_is_noticed(groups: VirtualGroups) -> None:
    one, _ = two_members(groups)
    groups.create("apples", 5)
    groups.crash()

    one.beat()

    assert groups.group.epoch == 4


# --- expressions


def test_an_expression_gets_its_topics_when_it_has_been_resolved(groups: VirtualGroups) -> None:
    one = Consumer(groups, "one", frozenset(), "a.*")
    one.beat()
    assert not one.owned

    groups.finish_resolving()
    one.beat()

    assert len(one.owned) == 4
    assert groups.group.resolved["a.*"].topics == APPLES


def test_a_second_member_with_the_expression_is_served_at_once(groups: VirtualGroups) -> None:
    one, two = Consumer(groups, "one", frozenset(), "a.*"), Consumer(groups, "two", frozenset(), "a.*")
    one.beat()
    groups.finish_resolving()
    one.beat()
    epoch = groups.group.epoch

    two.beat()

    assert groups.group.epoch == epoch + 1
    assert not groups.wanted


def test_a_new_topic_is_matched_when_the_last_look_is_old_enough(groups: VirtualGroups) -> None:
    one = Consumer(groups, "one", frozenset(), "a.*")
    one.beat()
    groups.finish_resolving()
    groups.create("avocados", 1)
    one.beat()
    assert not groups.wanted

    groups.pass_time(MIN_REFRESH_MS + 1)
    one.beat()
    assert groups.wanted == {"a.*"}
    groups.finish_resolving()
    one.beat()

    assert len(one.owned) == 5


def test_an_expression_that_cannot_be_read_is_refused_and_changes_nothing(groups: VirtualGroups) -> None:
    assert refusal(groups, Consumer(groups, "one", frozenset(), "(").request(0)) is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert not groups.group.members


def test_an_expression_goes_with_the_last_member_that_has_it(groups: VirtualGroups) -> None:
    one, two = Consumer(groups, "one", frozenset(), "a.*"), Consumer(groups, "two", APPLES)
    one.beat()
    groups.finish_resolving()
    two.beat()

    one.leave()

    assert not groups.group.resolved
    groups.check()


def test_giving_up_an_expression_takes_its_topics_away(groups: VirtualGroups) -> None:
    one = Consumer(groups, "one", frozenset(), "a.*")
    one.beat()
    groups.finish_resolving()
    one.beat()

    one.subscribe(frozenset(), "")
    one.beat()

    assert one.granted == frozenset()


def test_the_others_keep_their_topics_when_the_first_turns_to_an_expression_that_matches_nothing(
    groups: VirtualGroups,
) -> None:
    one, two, three = (Consumer(groups, name, frozenset(), "a.*") for name in ("one", "two", "three"))
    one.beat()
    groups.finish_resolving()
    settle(one, two, three)
    three.leave()  # an assignment is due

    groups.pass_time(MIN_REFRESH_MS + 1)
    one.subscribe(frozenset(), "nothing")
    one.beat()
    groups.finish_resolving()
    settle(one, two)

    assert (len(one.owned), len(two.owned)) == (0, 4)


# --- timers


def test_every_member_has_a_session_and_one_that_gives_up_a_deadline(groups: VirtualGroups) -> None:
    one, two = Consumer(groups, "one", APPLES), Consumer(groups, "two", APPLES)
    one.beat()
    two.beat()
    one.beat()

    assert (TimerKind.REBALANCE, "one") in groups.timers
    one.give_up()
    one.beat()
    assert (TimerKind.REBALANCE, "one") not in groups.timers
    groups.check()


# --- requests that need no group to be refused


def request(**changes: object) -> Heartbeat:
    usual = Heartbeat("m", 0, None, None, 1_000, APPLES, None, None, {}, "client", "/host")
    return replace(usual, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (request(member_id="", member_epoch=1), "MemberId can't be empty."),
        (request(member_id="", member_epoch=-1), "MemberId can't be empty."),
        (request(instance_id=""), "InstanceId can't be empty."),
        (request(rack_id=" "), "RackId can't be empty."),
        (request(rebalance_timeout_ms=-1), "RebalanceTimeoutMs must be provided in first request."),
        (request(reported=None), "TopicPartitions must be empty when (re-)joining."),
        (request(reported={topic_id("apples"): frozenset({1})}), "TopicPartitions must be empty when (re-)joining."),
        (
            request(topics=None),
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        (request(member_epoch=-2), "InstanceId can't be null."),
        (request(member_epoch=-3), "MemberEpoch is invalid."),
    ],
)
def test_what_a_request_must_have(wrong: Heartbeat, message: str) -> None:
    with pytest.raises(KafkaError) as refused:
        check_heartbeat(wrong, assignors=("uniform",), must_have_id=False)

    assert (refused.value.code, refused.value.message) == (ErrorCode.INVALID_REQUEST, message)


def test_only_known_assignors_may_be_asked_for() -> None:
    with pytest.raises(KafkaError) as refused:
        check_heartbeat(request(assignor="sticky"), assignors=("uniform", "range"), must_have_id=False)

    assert refused.value.code is ErrorCode.UNSUPPORTED_ASSIGNOR


def test_a_member_without_an_id_may_join_where_it_is_given_one() -> None:
    check_heartbeat(request(member_id=""), assignors=("uniform",), must_have_id=False)
    with pytest.raises(KafkaError):
        check_heartbeat(request(member_id=""), assignors=("uniform",), must_have_id=True)
