"""Groups that change their protocol while members work on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ottla.broker.coordinators.consumer_groups.classic_members import ClassicJoin, join_classic
from ottla.broker.coordinators.consumer_groups.classic_picture import (
    ClassicGroupPicture,
    ClassicMemberPicture,
    Downgrade,
)
from ottla.broker.coordinators.consumer_groups.conversions import live_group, picture_of
from ottla.broker.coordinators.consumer_groups.group import ConsumerGroupState
from ottla.broker.coordinators.consumer_groups.leaving import leave_classic
from ottla.broker.coordinators.consumer_groups.migration import Upgrade, upgrade
from ottla.broker.coordinators.consumer_groups.settings import MigrationPolicy
from ottla.protocol.consumer_protocol import Assignment, decode_assignment, encode_assignment
from ottla.protocol.errors import ErrorCode, KafkaError
from support.virtual_consumer_groups import (
    GROUP,
    ClassicConsumer,
    Consumer,
    VirtualGroups,
    settings_for_tests,
    subscription_bytes,
    topic_id,
)

APPLES = frozenset({"apples"})
BOTH_WAYS = settings_for_tests(assignment_ms=0, migration=MigrationPolicy.BIDIRECTIONAL)


@pytest.fixture
def groups() -> VirtualGroups:
    groups = VirtualGroups(BOTH_WAYS)
    groups.create("apples", 4)
    return groups


def member(name: str, *indexes: int, **changes: object) -> ClassicMemberPicture:
    protocols = (("range", subscription_bytes(APPLES)), ("cooperative-sticky", subscription_bytes(APPLES)))
    assignment = encode_assignment(Assignment({"apples": indexes}), version=1)
    picture = ClassicMemberPicture(name, None, name, "/host", 60_000, 45_000, protocols, assignment)
    return replace(picture, **changes)  # type: ignore[arg-type]


def classic(*members: ClassicMemberPicture, **changes: object) -> ClassicGroupPicture:
    return replace(ClassicGroupPicture(GROUP, 7, "consumer", "range", members), **changes)  # type: ignore[arg-type]


def upgraded(groups: VirtualGroups, picture: ClassicGroupPicture) -> Upgrade:
    return upgrade(picture, groups.topics, groups.settings)


def take_over(groups: VirtualGroups, made: Upgrade) -> None:
    groups.decide(lambda decision: decision.records.extend(made.records) or decision.timers.extend(made.timers))


# --- to the new protocol


def test_members_keep_what_the_classic_group_gave_them(groups: VirtualGroups) -> None:
    made = upgraded(groups, classic(member("a", 0, 1), member("b", 2, 3)))

    assert (made.group.epoch, made.group.assignment_epoch, made.group.state) == (7, 7, ConsumerGroupState.STABLE)
    owned = {name: set(each.standing.assigned[topic_id("apples")]) for name, each in made.group.members.items()}
    assert owned == {"a": {0, 1}, "b": {2, 3}}
    assert all(each.is_classic for each in made.group.members.values())
    assert [(each.member_id, each.after_ms) for each in made.timers] == [("a", 45_000), ("b", 45_000)]
    made.group.check()


def test_a_group_that_was_converted_is_shared_with_the_new_member(groups: VirtualGroups) -> None:
    take_over(groups, upgraded(groups, classic(member("a", 0, 1, 2, 3))))
    old = ClassicConsumer(groups, "a", APPLES, epoch=7, next_is="heartbeat")
    old.owned = frozenset((topic_id("apples"), index) for index in range(4))
    new = Consumer(groups, "b", APPLES)

    for _ in range(6):
        new.beat()
        old.beat()
        assert not old.owned & new.owned

    assert (len(old.owned), len(new.owned)) == (2, 2)
    groups.check()


def test_a_member_that_has_not_synced_yet_owns_nothing(groups: VirtualGroups) -> None:
    made = upgraded(groups, classic(member("a", assignment=b"")))

    assert not made.group.members["a"].standing.assigned


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (classic(member("a"), protocol_type="connect"), "does not use the consumer embedded protocol"),
        (classic(member("a", protocols=(("range", b"\0"),))), "the embedded consumer protocol is malformed"),
        (classic(member("a", assignment=b"\0\1\0\0\0\0\0\0\0\1x")), "an unsupported custom assignor is in use"),
        (classic(member("a", 1), member("b", 1)), "assigned to several of its members"),
    ],
)
def test_groups_that_stay_classic(groups: VirtualGroups, picture: ClassicGroupPicture, why: str) -> None:
    with pytest.raises(KafkaError, match=why) as refused:
        upgraded(groups, picture)

    assert refused.value.code is ErrorCode.GROUP_ID_NOT_FOUND


@pytest.mark.parametrize("policy", [MigrationPolicy.DISABLED, MigrationPolicy.DOWNGRADE])
def test_where_the_policy_forbids_it_nothing_is_converted(policy: MigrationPolicy) -> None:
    groups = VirtualGroups(settings_for_tests(migration=policy))

    with pytest.raises(KafkaError, match="online upgrade is disabled"):
        upgraded(groups, classic(member("a")))


# --- and back


def mixed(groups: VirtualGroups) -> tuple[ClassicConsumer, Consumer]:
    """A classic and a new member, each with its half."""
    new = Consumer(groups, "new", APPLES)
    new.beat()
    old = ClassicConsumer(groups, "old", APPLES)
    for _ in range(6):
        old.beat()
        new.beat()
        new.give_up()
    assert (len(old.owned), len(new.owned)) == (2, 2)
    return old, new


def downgraded(groups: VirtualGroups) -> Downgrade:
    assert groups.downgraded is not None
    return groups.downgraded


def test_when_the_last_new_member_leaves_the_group_is_classic_again(groups: VirtualGroups) -> None:
    old, new = mixed(groups)
    epoch = groups.group.epoch

    new.leave()

    made = downgraded(groups)
    assert made.why is not None
    assert (made.classic.generation, made.classic.protocol_name) == (epoch, "cooperative-sticky")
    (member,) = made.classic.members
    assert member.member_id == "old"
    assert decode_assignment(member.assignment).partitions == {"apples": tuple(sorted(index for _, index in old.owned))}
    assert not groups.group.members
    assert not groups.timers


def test_a_live_group_is_made_of_it_and_shown_as_it_was(groups: VirtualGroups) -> None:
    _, new = mixed(groups)
    new.leave()

    group = live_group(downgraded(groups).classic, now_ms=5)
    group.check()

    assert group.leader_id == "old"
    assert picture_of(group) == downgraded(groups).classic


def test_a_silent_new_member_is_no_hindrance(groups: VirtualGroups) -> None:
    old, _ = mixed(groups)
    for _ in range(20):
        groups.pass_time(5_000)
        if groups.downgraded is None:
            old.beat()

    assert [each.member_id for each in downgraded(groups).classic.members] == ["old"]


def test_a_group_whose_downgrade_is_forbidden_stays_and_is_assigned_anew() -> None:
    groups = VirtualGroups(settings_for_tests(assignment_ms=0, migration=MigrationPolicy.UPGRADE))
    groups.create("apples", 4)
    old, new = mixed(groups)

    new.leave()
    for _ in range(4):
        old.beat()

    assert groups.downgraded is None
    assert len(old.owned) == 4


def test_the_last_classic_member_leaves_a_group_that_stays(groups: VirtualGroups) -> None:
    _, new = mixed(groups)

    codes = groups.decide(lambda decision: leave_classic(decision, [("old", None), ("nobody", None)]))
    new.beat()

    assert codes == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID]
    assert groups.downgraded is None
    assert len(new.owned) == 4


def joining(member_id: str = "", instance_id: str | None = None, **changes: object) -> ClassicJoin:
    protocols = (("cooperative-sticky", subscription_bytes(APPLES)),)
    usual = ClassicJoin(member_id, instance_id, "c", "/host", 60_000, 45_000, "consumer", protocols, "made", True)
    return replace(usual, **changes)  # type: ignore[arg-type]


def test_a_classic_process_takes_over_the_instance_of_a_new_one(groups: VirtualGroups) -> None:
    first = Consumer(groups, "first", APPLES, instance_id="instance")
    first.beat()

    joined = groups.decide(lambda decision: join_classic(decision, joining(instance_id="instance")))

    made = downgraded(groups)
    assert made.why is None
    (member,) = made.classic.members
    assert member.member_id == joined.member_id == "made"
    assert decode_assignment(member.assignment).partitions == {"apples": (0, 1, 2, 3)}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (joining(), ErrorCode.MEMBER_ID_REQUIRED),
        (joining("m", protocol_type="connect"), ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        (joining("m", protocols=(("range", subscription_bytes(APPLES)),)), ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        (joining("m", protocols=(("cooperative-sticky", b"?"),)), ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        (joining("m", "unknown instance"), ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_classic_joins_that_are_refused(groups: VirtualGroups, request_: ClassicJoin, code: ErrorCode) -> None:
    mixed(groups)

    with pytest.raises(KafkaError) as refused:
        groups.decide(lambda decision: join_classic(decision, request_))

    assert refused.value.code is code


def test_where_migration_is_forbidden_a_classic_member_cannot_join() -> None:
    groups = VirtualGroups(settings_for_tests(migration=MigrationPolicy.DISABLED))
    groups.create("apples", 4)
    Consumer(groups, "new", APPLES).beat()

    with pytest.raises(KafkaError, match="disabled"):
        groups.decide(lambda decision: join_classic(decision, joining("m")))
