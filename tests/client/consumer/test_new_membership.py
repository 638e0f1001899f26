"""A member by the new protocol (KIP-848): what it tells, when it lets go, what it does when it is fenced."""

from __future__ import annotations

from uuid import UUID

import pytest
from ottla.client.consumer.membership import Ask, Assign, Failed, GroupSettings, Revoke, Wait
from ottla.client.consumer.new_membership import NewMembership
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

T = UUID(int=1)
T0, T1, T2 = ("t", 0), ("t", 1), ("t", 2)


def member(*, instance_id: str | None = None, known: bool = True) -> NewMembership:
    names = {T: "t"} if known else dict[UUID, str]()
    made = NewMembership(
        GroupSettings("g", instance_id, rebalance_timeout_ms=60_000, heartbeat_interval_ms=3_000),
        "me",
        topic_of=names.get,
        id_of={"t": T}.get,
    )
    made.subscribe(frozenset({"t"}))
    return made


def target(*partitions: int) -> Message:
    return Message(topic_partitions=[Message(topic_id=T, partitions=list(partitions))])


def accepted(epoch: int, assignment: Message | None = None) -> Message:
    return Message(
        error_code=ErrorCode.NONE,
        error_message=None,
        member_id="me",
        member_epoch=epoch,
        heartbeat_interval_ms=5_000,
        assignment=assignment,
    )


def refused(code: ErrorCode) -> Message:
    return Message(error_code=code, error_message="no", assignment=None)


def beat(each: NewMembership, now_s: float, answer: Message) -> Message:
    """Send the heartbeat that is due, and answer it; what it said."""
    ask = each.heartbeat(now_s)
    assert isinstance(ask, Ask)
    assert each.heartbeat(now_s) is None  # one at a time
    each.answered(ask, answer, now_s)
    return ask.request


def owned(request: Message) -> list[int] | None:
    if request.topic_partitions is None:
        return None
    return [index for topic in request.topic_partitions for index in topic.partitions]


def settle(each: NewMembership, now_s: float) -> list[Revoke | Assign]:
    steps: list[Revoke | Assign] = []
    while not isinstance(step := each.step(now_s), Wait):
        assert isinstance(step, Revoke | Assign)
        (each.revoked if isinstance(step, Revoke) else each.assigned)(step)  # type: ignore[arg-type]
        steps.append(step)
    return steps


def test_a_member_tells_everything_when_it_joins_and_then_only_what_changed() -> None:
    me = member()

    joining = beat(me, 0, accepted(1, target(0, 1)))

    assert (joining.member_epoch, joining.subscribed_topic_names, owned(joining)) == (0, ["t"], [])
    assert joining.rebalance_timeout_ms == 60_000
    assert settle(me, 0) == [Assign(frozenset({T0, T1}))]
    told = beat(me, 0, accepted(1))
    assert (owned(told), told.subscribed_topic_names, told.rebalance_timeout_ms) == ([0, 1], None, -1)
    assert me.is_stable
    assert me.heartbeat(4.9) is None  # the coordinator's interval
    assert owned(beat(me, 5, accepted(2))) is None
    assert me.generation == 2


def test_what_is_taken_away_is_let_go_of_told_and_only_then_is_the_new_taken() -> None:
    me = member()
    beat(me, 0, accepted(1, target(0, 1)))
    settle(me, 0)
    beat(me, 0, accepted(1))

    beat(me, 5, accepted(2, target(1, 2)))
    step = me.step(5)
    assert step == Revoke(frozenset({T0}))
    assert owned(beat(me, 10, accepted(2))) is None  # while the listener runs it still has it
    assert isinstance(step, Revoke)
    me.revoked(step)
    assert owned(beat(me, 10, accepted(2))) == [1]
    assert settle(me, 10) == [Assign(frozenset({T2}))]
    assert owned(beat(me, 10, accepted(2))) == [1, 2]


@pytest.mark.parametrize("code", [ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID])
def test_a_fenced_member_has_lost_what_it_owned_and_joins_anew(code: ErrorCode) -> None:
    me = member()
    beat(me, 0, accepted(1, target(0)))
    settle(me, 0)

    beat(me, 5, refused(code))

    assert me.heartbeat(6) is None  # not before it has let go
    assert settle(me, 6) == [Revoke(frozenset({T0}), lost=True)]
    again = beat(me, 6, accepted(3, target(0)))
    assert (again.member_epoch, again.member_id, owned(again)) == (0, "me", [])


def test_when_no_answer_came_everything_is_told_again() -> None:
    me = member()
    beat(me, 0, accepted(1, target(0)))
    settle(me, 0)
    lost = me.heartbeat(0)
    assert lost is not None

    me.failed(lost, 1, 1.5)

    assert me.heartbeat(1.4) is None
    again = beat(me, 1.5, accepted(1))
    assert (owned(again), again.subscribed_topic_names) == ([0], ["t"])


def test_a_topic_whose_name_is_not_known_yet_is_waited_for() -> None:
    me = member(known=False)

    beat(me, 0, accepted(1, target(0)))

    assert me.unknown_topic_ids() == {T}
    assert me.step(0) == Wait()
    assert not me.is_stable


def test_a_static_member_says_who_it_is_every_time_and_leaves_for_a_while() -> None:
    me = member(instance_id="i")
    assert beat(me, 0, accepted(1, target(0))).instance_id == "i"
    settle(me, 0)
    assert beat(me, 0, accepted(1)).instance_id == "i"

    goodbye = me.leave()

    assert goodbye is not None
    assert (goodbye.request.member_epoch, goodbye.request.instance_id) == (-2, "i")
    assert me.owned == frozenset()


def test_a_member_that_never_joined_leaves_without_a_word() -> None:
    assert member().leave() is None


@pytest.mark.parametrize("code", [ErrorCode.UNRELEASED_INSTANCE_ID, ErrorCode.UNSUPPORTED_ASSIGNOR])
def test_what_asking_again_does_not_change_is_told_the_user(code: ErrorCode) -> None:
    me = member()

    beat(me, 0, refused(code))

    step = me.step(0)
    assert isinstance(step, Failed)
    assert step.error.code is code


def test_while_the_coordinator_loads_it_is_asked_again_soon() -> None:
    me = member()

    beat(me, 0, refused(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS))

    assert me.heartbeat(0.1) is None
    assert me.heartbeat(0.4) is not None
