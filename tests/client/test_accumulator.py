"""The producer's core against a model broker: no time, no network, any order of events.

A machine sends records, drains, and lets requests be answered, refused or lost before or after they were written, while
leaders move.  In the end everything is delivered, once, in order, and every acknowledgement is true.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from ottla.client.accumulator import Accumulator, AccumulatorSettings, Outgoing
from ottla.client.address import Address
from ottla.client.batch import Batch, ProducerIdentity
from ottla.client.delivery import Acknowledged, GivenUp
from ottla.client.errors import ClientClosed, DeliveryTimedOut
from ottla.client.lane import Lane, LaneSettings
from ottla.client.metadata import NO_ID, Metadata, Node, Partition, Topic
from ottla.client.retry import Backoff
from ottla.protocol.errors import ErrorCode
from ottla.protocol.produce import ProduceAnswer
from ottla.protocol.records import BatchBuilder
from support.model_broker import ModelPartition

PARTITIONS = 2
NODES = (1, 2)
PASSING = st.sampled_from((ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.REQUEST_TIMED_OUT))


def accumulator(
    *,
    max_in_flight: int = 5,
    linger_s: float = 0,
    delivery_timeout_s: float = 1e9,
    batch_size: int = 200,
    buffer_memory: int = 100_000,
) -> Accumulator:
    lanes = LaneSettings(
        batch_size=batch_size,
        linger_s=linger_s,
        delivery_timeout_s=delivery_timeout_s,
        max_in_flight=max_in_flight,
        is_idempotent=True,
        expects_answers=True,
        backoff=Backoff(100, 1000),
        new_builder=BatchBuilder,
    )
    made = Accumulator(AccumulatorSettings(lanes, max_request_size=1000, buffer_memory=buffer_memory), Random(1))
    made.identify(ProducerIdentity(7, 0))
    for index in range(PARTITIONS):
        made.lane("t", index)
    return made


def belief(leaders: dict[int, int]) -> Metadata:
    nodes = {each: Node(each, Address(f"h{each}", 1)) for each in NODES}
    partitions = {
        index: Partition(index, leader, 0, (leader,), (leader,), ErrorCode.NONE) for index, leader in leaders.items()
    }
    return Metadata(nodes=nodes, topics={"t": Topic("t", NO_ID, False, ErrorCode.NONE, partitions)})


def add(core: Accumulator, lane: Lane, value: bytes, now_s: float = 0) -> tuple[Batch, int]:
    """As the producer does."""
    batch = lane.open
    if batch is None or batch.builder.size_bytes + len(value) > 200:
        batch = core.begin(lane, now_s)
    index = batch.builder.append(0, None, value)
    core.reserve(batch)
    return batch, index


class Core(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.core = accumulator()
        self.now_s = 0.0
        self.logs = [ModelPartition(1) for _ in range(PARTITIONS)]
        self.lanes = [self.core.lane("t", index) for index in range(PARTITIONS)]
        self.sent: dict[int, list[tuple[bytes, Batch, int]]] = defaultdict(list)
        self.under_way: list[Outgoing] = []
        self.believe()

    def believe(self) -> None:
        self.core.believe(belief({index: log.leader_id for index, log in enumerate(self.logs)}), self.now_s)

    @rule(index=st.integers(0, PARTITIONS - 1), size=st.sampled_from((6, 150)), count=st.integers(1, 5))
    def send(self, index: int, size: int, count: int) -> None:
        for _ in range(count):
            value = b"%06d" % len(self.sent[index]) + b"x" * (size - 6)
            self.sent[index].append((value, *add(self.core, self.lanes[index], value, self.now_s)))

    @rule(passed_s=st.sampled_from((0.0, 0.05, 2.0)), reachable=st.sampled_from((NODES, (1,), ())))
    def drain(self, passed_s: float, reachable: tuple[int, ...]) -> None:
        self.now_s += passed_s
        self.under_way += self.core.drain(self.now_s, lambda node_id: node_id in reachable)

    @rule(index=st.integers(0, PARTITIONS - 1), leader=st.sampled_from(NODES), is_told=st.booleans())
    def move(self, index: int, leader: int, is_told: bool) -> None:
        self.logs[index].leader_id = leader
        if is_told:
            self.believe()

    @rule(node_id=st.sampled_from(NODES), refusal=st.none() | PASSING)
    def answer(self, node_id: int, refusal: ErrorCode | None) -> None:
        """The broker does the oldest request and answers, or refuses all of it."""
        request = next((each for each in self.under_way if each.node_id == node_id), None)
        if request is None:
            return
        self.under_way.remove(request)
        answers = self.write(request) if refusal is None else {}
        for lane, _ in request.batches:
            answers.setdefault((lane.topic, lane.partition), ProduceAnswer(lane.partition, refusal or ErrorCode.NONE))
        self.core.answered(request, answers, 0, self.now_s)

    @rule(node_id=st.sampled_from(NODES), written=st.integers(0, 5))
    def lose(self, node_id: int, written: int) -> None:
        """The connection ends; the first requests were written all the same."""
        lost = [each for each in self.under_way if each.node_id == node_id]
        self.under_way = [each for each in self.under_way if each.node_id != node_id]
        for request in lost[:written]:
            self.write(request)
        for request in lost:
            self.core.lost(request, "gone", self.now_s)

    def write(self, request: Outgoing) -> dict[tuple[str, int], ProduceAnswer]:
        answers = {}
        for lane, batch in request.batches:
            log, error, offset = self.logs[lane.partition], ErrorCode.NOT_LEADER_OR_FOLLOWER, -1
            if log.leader_id == request.node_id:
                error, offset = log.append(bytes(batch.build()))
            answers[lane.topic, lane.partition] = ProduceAnswer(lane.partition, error, offset)
        return answers

    @invariant()
    def at_most_five_batches_of_a_partition_are_under_way(self) -> None:
        for lane in self.lanes:
            assert sum(lane is each for request in self.under_way for each, _ in request.batches) <= 5

    @invariant()
    def the_buffer_holds_what_is_not_decided(self) -> None:
        undecided = {id(batch): batch for sent in self.sent.values() for _, batch, _ in sent if not batch.is_decided}
        assert self.core.buffered_bytes == sum(batch.reserved_bytes for batch in undecided.values())
        assert all(batch.builder.most_bytes <= batch.reserved_bytes for batch in undecided.values())

    def teardown(self) -> None:
        self.believe()
        for _ in range(1000):
            self.drain(2.0, NODES)
            for node_id in NODES:
                self.answer(node_id, None)
        for index, sent in self.sent.items():
            assert [record.value for record in self.logs[index].records] == [value for value, _, _ in sent]
            for offset, (_, batch, number) in enumerate(sent):
                assert isinstance(batch.fate.outcome, Acknowledged)
                assert batch.fate.metadata(number, 0).offset == offset
        assert self.core.buffered_bytes == 0
        assert self.core.wake_at(self.now_s) == float("inf")


Core.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestCore = Core.TestCase


def settled_core(**options: float) -> tuple[Accumulator, Lane]:
    """A core with one lane, whose sequence the broker knows already."""
    core = accumulator(**options)  # type: ignore[arg-type]
    lane = core.lane("t", 0)
    core.believe(belief({0: 1, 1: 1}), 0)
    batch, _ = add(core, lane, b"first")
    (request,) = core.drain(0, lambda _: True)
    core.answered(request, {("t", 0): ProduceAnswer(0, ErrorCode.NONE, 0)}, 0, 0)
    assert batch.is_decided
    return core, lane


def test_a_batch_waits_for_more_records_and_no_longer() -> None:
    core = accumulator(linger_s=5)
    core.believe(belief({0: 1, 1: 1}), 0)
    add(core, core.lane("t", 0), b"a", now_s=1)

    assert core.drain(5.9, lambda _: True) == []
    assert core.wake_at(5.9) == 6
    assert len(core.drain(6, lambda _: True)) == 1


def test_flushing_does_not_wait() -> None:
    core = accumulator(linger_s=5)
    core.believe(belief({0: 1, 1: 1}), 0)
    batch, _ = add(core, core.lane("t", 0), b"a", now_s=1)

    core.hurry()
    assert core.undecided() == [batch]
    assert len(core.drain(1, lambda _: True)) == 1


def test_a_partition_without_a_leader_waits_for_metadata() -> None:
    core = accumulator()
    add(core, core.lane("t", 0), b"a")

    assert core.drain(0, lambda _: True) == []
    assert core.wants_metadata


def test_a_request_has_one_batch_of_each_partition_and_no_more_than_its_size() -> None:
    core = accumulator()
    lanes = [core.lane("t", index) for index in range(12)]
    core.believe(belief(dict.fromkeys(range(12), 1)), 0)
    for lane in lanes:
        add(core, lane, b"x" * 110)

    requests = core.drain(0, lambda _: True)

    assert sum(len(request.batches) for request in requests) == 12
    assert all(sum(batch.builder.size_bytes for _, batch in request.batches) <= 1000 for request in requests)
    assert len(requests) == 3


def test_a_broker_that_asks_to_be_left_alone_is() -> None:
    core, lane = settled_core()
    add(core, lane, b"a")
    (request,) = core.drain(0, lambda _: True)
    core.answered(request, {("t", 0): ProduceAnswer(0, ErrorCode.NONE, 1)}, 3000, 10)
    add(core, lane, b"b", now_s=10)

    assert core.drain(12.9, lambda _: True) == []
    assert core.wake_at(12.9) == 13
    assert len(core.drain(13, lambda _: True)) == 1


def test_what_is_sent_again_goes_alone_so_that_the_broker_still_remembers_it() -> None:
    core, lane = settled_core()
    add(core, lane, b"a" * 150)
    (request,) = core.drain(0, lambda _: True)
    core.lost(request, "gone", 0)
    for _ in range(3):
        add(core, lane, b"b" * 150)

    (again,) = core.drain(10, lambda _: True)
    assert again.batches[0][1].attempts == 2
    assert core.drain(10, lambda _: True) == []
    core.answered(again, {("t", 0): ProduceAnswer(0, ErrorCode.NONE, 1)}, 0, 10)
    assert len(core.drain(10, lambda _: True)) == 3


def test_a_batch_that_is_refused_for_good_leaves_a_gap_that_a_new_epoch_closes() -> None:
    core, lane = settled_core()
    log = ModelPartition(1)
    log.append(_batch(b"first", sequence=0))
    refused, _ = add(core, lane, b"refused")
    (request,) = core.drain(0, lambda _: True)
    core.answered(request, {("t", 0): ProduceAnswer(0, ErrorCode.INVALID_TIMESTAMP)}, 0, 0)
    following, _ = add(core, lane, b"following")
    for _ in range(3):
        for request in core.drain(10, lambda _: True):
            error, offset = log.append(bytes(request.batches[0][1].build()))
            core.answered(request, {("t", 0): ProduceAnswer(0, error, offset)}, 0, 9)

    assert refused.fate.exception(0) is not None
    assert isinstance(following.fate.outcome, Acknowledged)
    assert [record.value for record in log.records] == [b"first", b"following"]
    assert lane.identity == ProducerIdentity(7, 1)


def _batch(value: bytes, *, sequence: int) -> bytes:
    builder = BatchBuilder(producer_id=7, producer_epoch=0, base_sequence=sequence)
    builder.append(0, None, value)
    return bytes(builder.build())


def test_when_the_epochs_are_used_up_another_identity_is_asked_for() -> None:
    core, lane = settled_core()
    lane.identity = ProducerIdentity(7, 2**15 - 1)
    add(core, lane, b"a")
    (request,) = core.drain(0, lambda _: True)
    core.answered(request, {("t", 0): ProduceAnswer(0, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)}, 0, 0)

    assert core.wants_identity
    assert core.drain(10, lambda _: True) == []
    core.identify(ProducerIdentity(8, 0))
    (request,) = core.drain(10, lambda _: True)
    assert request.batches[0][1].identity == ProducerIdentity(8, 0)
    assert request.batches[0][1].base_sequence == 0


def test_a_batch_that_is_too_large_is_divided_and_each_record_keeps_its_delivery() -> None:
    core, lane = settled_core()
    log = ModelPartition(1, max_batch_bytes=120)
    log.append(_batch(b"first", sequence=0))
    taken = [add(core, lane, b"%02d" % number + b"x" * 20) for number in range(5)]
    for _ in range(20):
        for request in core.drain(10, lambda _: True):
            error, offset = log.append(bytes(request.batches[0][1].build()))
            core.answered(request, {("t", 0): ProduceAnswer(0, error, offset)}, 0, 9)

    assert [record.value[:2] for record in log.records[1:]] == [b"%02d" % number for number in range(5)]
    assert [batch.fate.metadata(index, 0).offset for batch, index in taken] == [1, 2, 3, 4, 5]
    assert [batch.fate.exception(index) for batch, index in taken] == [None] * 5
    assert core.buffered_bytes == 0


def test_a_batch_has_some_of_the_buffer_ahead_of_its_records_but_little_and_never_what_is_not_there() -> None:
    core, lane = settled_core(batch_size=100_000, buffer_memory=64_000)
    batch = core.begin(lane, 0)
    reserved: list[int] = []
    while core.has_room:
        batch.builder.append(0, None, b"x" * 200)
        core.reserve(batch)
        assert batch.builder.most_bytes <= batch.reserved_bytes == core.buffered_bytes
        assert batch.reserved_bytes <= batch.builder.most_bytes + 64_000 // 8
        reserved.append(batch.reserved_bytes)

    assert len(set(reserved)) < len(reserved) / 5, "most records find that there is room already"
    assert 64_000 <= core.buffered_bytes < 64_000 + 300, "by no more than the last record"


def test_a_lane_that_had_large_batches_gets_room_for_the_next_at_once() -> None:
    core, lane = settled_core(batch_size=50_000, buffer_memory=10_000_000)
    first = core.begin(lane, 0)
    for _ in range(100):
        first.builder.append(0, None, b"x" * 200)
        core.reserve(first)
    second = core.begin(lane, 0)
    second.builder.append(0, None, b"x" * 200)
    core.reserve(second)

    assert second.reserved_bytes - second.builder.most_bytes == first.builder.most_bytes


def test_what_many_lanes_have_ahead_leaves_most_of_the_buffer_to_records() -> None:
    core, _ = settled_core(batch_size=100_000, buffer_memory=32_000_000)
    lanes = [core.lane("t", index) for index in range(1_000)]
    for lane in lanes:
        lane.last_filled_bytes = 90_000  # as after a burst
        batch = core.begin(lane, 0)
        batch.builder.append(0, None, b"x" * 200)
        core.reserve(batch)

    assert core.buffered_bytes < 32_000_000 / 2


def test_nobody_is_given_up_in_place_of_one_that_was_delivered() -> None:
    core, lane = settled_core(delivery_timeout_s=30)
    first, _ = add(core, lane, b"a" * 150, now_s=1)
    second, _ = add(core, lane, b"b" * 150, now_s=5)
    (request, *_) = core.drain(6, lambda _: True)
    core.answered(request, {("t", 0): ProduceAnswer(0, ErrorCode.NONE, 1)}, 0, 6)

    core.expire(31)
    assert isinstance(first.fate.outcome, Acknowledged)
    assert not second.is_decided
    assert core.wake_at(31) == 35
    core.expire(35)
    assert isinstance(second.fate.outcome, GivenUp)


def test_what_waits_too_long_is_given_up_and_says_what_is_known_of_it() -> None:
    core, lane = settled_core(delivery_timeout_s=30)
    sent, _ = add(core, lane, b"a" * 150)
    unsent, _ = add(core, lane, b"b" * 150)
    (request, *_) = core.drain(0, lambda _: True)
    core.lost(request, "cable cut", 1)
    core.expire(30)

    for batch, words in ((sent, "may have been written; last: cable cut"), (unsent, "may have been written")):
        error = batch.fate.exception(0)
        assert isinstance(error, DeliveryTimedOut)
        assert "record 1 of 1 for t-0: not acknowledged within delivery_timeout_ms (30000)" in str(error)
        assert words in str(error)
    assert core.buffered_bytes == 0


def test_an_answer_to_what_was_given_up_changes_nothing_but_frees_its_place() -> None:
    core, lane = settled_core(delivery_timeout_s=30)
    batch, _ = add(core, lane, b"a")
    (request,) = core.drain(0, lambda _: True)
    core.give_up(GivenUp(ClientClosed, "closed"))
    assert not lane.is_empty
    core.answered(request, {("t", 0): ProduceAnswer(0, ErrorCode.NONE, 1)}, 0, 31)

    assert isinstance(batch.fate.exception(0), ClientClosed)
    assert lane.is_empty


def test_a_refusal_names_the_record_and_what_to_do() -> None:
    core, lane = settled_core()
    batch, _ = add(core, lane, b"a")
    add(core, lane, b"b")
    (request,) = core.drain(0, lambda _: True)
    answer = ProduceAnswer(0, ErrorCode.INVALID_RECORD, message="bad", record_errors=[(1, "no key")])
    core.answered(request, {("t", 0): answer}, 0, 0)

    assert str(batch.fate.exception(0)) == (
        "INVALID_RECORD: record 1 of 2 for t-0: refused with its batch, for record 2: no key"
    )
    assert "record 2 of 2 for t-0: no key; a compacted topic takes only records with a key" in str(
        batch.fate.exception(1)
    )
