"""What is fetched next, and what an answer does: by the cases that brokers bring about."""

from __future__ import annotations

from uuid import UUID

import pytest
from ottla.client.address import Address
from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.chunk import Budget, Chunk, Frame
from ottla.client.consumer.fetch_plan import FetchSettings, Plan, Taken, plan_fetch, take_answer
from ottla.client.consumer.offset_reset import EARLIEST, NONE, OffsetReset
from ottla.client.consumer.partition_state import Needs, PartitionState
from ottla.client.consumer.positions import notice_leader
from ottla.client.consumer.subscription import SubscriptionState
from ottla.client.metadata import Metadata, Node, Partition, Topic
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from ottla.protocol.records import BatchBuilder

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
SETTINGS = FetchSettings(max_partition_fetch_bytes=1_000, prefetch_max_bytes=10_000)


def metadata(*, leader_epoch: int = 3) -> Metadata:
    partitions = {each: Partition(each, 1, leader_epoch, (1,), (1,), ErrorCode.NONE) for each in range(2)}
    topic = Topic("t", UUID(int=7), False, ErrorCode.NONE, partitions)
    return Metadata(nodes={1: Node(1, Address("b", 1))}, topics={"t": topic})


def assigned(*ids: TopicPartition, position: int = 10) -> SubscriptionState:
    subscription = SubscriptionState()
    subscription.assign_by_hand(ids)
    for state in subscription:
        state.move(position)
    return subscription


def planned(subscription: SubscriptionState, *, budget: Budget | None = None, now_s: float = 0) -> Plan:
    budget = budget or Budget(SETTINGS.prefetch_max_bytes)
    return plan_fetch(list(subscription), metadata(), 1, settings=SETTINGS, budget=budget, now_s=now_s)


def batch(base_offset: int) -> memoryview:
    builder = BatchBuilder(base_offset=base_offset, leader_epoch=3)
    builder.append(0, None, b"v")
    return memoryview(bytes(builder.build()))


def answer(code: ErrorCode, records: memoryview | bytes = b"", **more: object) -> Message:
    told = Message(
        partition_index=0,
        error_code=code,
        high_watermark=12,
        last_stable_offset=11,
        log_start_offset=0,
        records=records,
        aborted_transactions=None,
        **{"current_leader": None, **more},
    )
    return Message(responses=[Message(topic="t", topic_id=UUID(int=7), partitions=[told])])


def take(subscription: SubscriptionState, plan: Plan, told: Message, *, reset: OffsetReset = EARLIEST) -> Taken:
    frame = Frame.reserve(Budget(10_000), 100)
    settings = FetchSettings(reset=reset)
    return take_answer(plan, told, frame, subscription=subscription, names={}, settings=settings, retry_at_s=5.0)


def only(subscription: SubscriptionState) -> PartitionState:
    (state,) = subscription
    return state


def test_a_partition_is_asked_for_at_its_offset_under_its_leaders_epoch() -> None:
    plan = planned(assigned(T0))

    assert (plan.wanted[T0].offset, plan.wanted[T0].leader_epoch, plan.max_bytes) == (10, 3, 1_000)


@pytest.mark.parametrize("why", ["paused", "held", "failure", "full", "later", "unpositioned"])
def test_a_partition_is_left_out_while_there_is_a_reason(why: str) -> None:
    subscription = assigned(T0, T1)
    state = subscription.require(T0)
    match why:
        case "paused" | "held":
            setattr(state, why, True)
        case "failure":
            state.failure = RuntimeError()  # type: ignore[assignment]
        case "full":
            state.add(Chunk(Frame.reserve(Budget(9_999), 900), memoryview(bytes(900)), 20, 3))
        case "later":
            state.not_before_s = 9.0
        case "unpositioned":
            state.await_reset(EARLIEST)

    plan = planned(subscription)

    assert list(plan.wanted) == [T1]
    assert plan.some_are_full == (why == "full")
    assert plan.retry_at_s == (9.0 if why == "later" else None)


def test_nothing_is_asked_for_when_there_is_no_room_and_no_more_than_there_is() -> None:
    full = Budget(10_000)
    full.take(9_900)
    nearly = Budget(10_000)
    nearly.take(9_200)

    assert planned(assigned(T0), budget=full).wanted == {}
    assert planned(assigned(T0), budget=nearly).max_bytes == 800


def test_records_wait_for_the_user_and_the_next_fetch_is_behind_them() -> None:
    subscription = assigned(T0)

    taken = take(subscription, planned(subscription), answer(ErrorCode.NONE, batch(10)))

    state = only(subscription)
    assert (taken.has_news, state.position, state.fetch_offset) == (True, 10, 11)
    assert (state.high_watermark, state.last_stable_offset) == (12, 11)
    state.check()


@pytest.mark.parametrize("what", ["a seek", "a rebalance", "a pause"])
def test_an_answer_that_has_been_overtaken_is_not_believed(what: str) -> None:
    subscription = assigned(T0)
    plan = planned(subscription)
    match what:
        case "a seek":
            only(subscription).move(5)
        case "a rebalance":
            subscription.add([T0])
        case "a pause":
            only(subscription).paused = True

    take(subscription, plan, answer(ErrorCode.NONE, batch(10)))

    assert not only(subscription).chunks


def test_an_offset_out_of_range_is_reset_or_told_the_user() -> None:
    subscription = assigned(T0)
    assert take(subscription, planned(subscription), answer(ErrorCode.OFFSET_OUT_OF_RANGE)).needs_position
    assert only(subscription).needs is Needs.RESET

    subscription = assigned(T0)
    take(subscription, planned(subscription), answer(ErrorCode.OFFSET_OUT_OF_RANGE), reset=NONE)
    assert (only(subscription).needs, only(subscription).is_consumable) == (Needs.USER, True)


def test_a_fenced_epoch_asks_for_metadata_and_believes_the_leader_that_is_told() -> None:
    subscription = assigned(T0)
    leader = Message(leader_id=2, leader_epoch=4)

    taken = take(subscription, planned(subscription), answer(ErrorCode.FENCED_LEADER_EPOCH, current_leader=leader))

    assert (taken.metadata_is_old, taken.leaders) == (True, [(T0, 2, 4)])
    assert only(subscription).not_before_s == 5.0


def test_an_epoch_that_the_broker_does_not_know_yet_is_tried_again_without_asking_for_metadata() -> None:
    subscription = assigned(T0)

    taken = take(subscription, planned(subscription), answer(ErrorCode.UNKNOWN_LEADER_EPOCH))

    assert (taken.metadata_is_old, only(subscription).not_before_s) == (False, 5.0)


def test_what_may_not_be_read_is_told_the_user() -> None:
    subscription = assigned(T0)

    taken = take(subscription, planned(subscription), answer(ErrorCode.TOPIC_AUTHORIZATION_FAILED))

    failure = only(subscription).failure
    assert failure is not None
    assert (taken.has_news, failure.code) == (True, ErrorCode.TOPIC_AUTHORIZATION_FAILED)


def test_a_new_leader_is_asked_whether_it_has_what_was_read_before_more_is_fetched() -> None:
    state = only(assigned(T0))
    state.position_epoch = 3

    notice_leader(state, metadata(leader_epoch=3))
    assert state.needs is Needs.NOTHING
    notice_leader(state, metadata(leader_epoch=4))
    assert (state.needs, state.leader_epoch) == (Needs.VALIDATE, 4)


def test_a_position_of_which_no_epoch_is_known_is_believed() -> None:
    state = only(assigned(T0))

    notice_leader(state, metadata(leader_epoch=4))

    assert state.needs is Needs.NOTHING
