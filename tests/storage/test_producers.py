"""Idempotence: each answer that a numbered batch can get, and what is remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.batch_header import CONTROL_BIT, TRANSACTIONAL_BIT
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.record_reader import ControlType, EndTxnMarker
from ottla.storage.producers import (
    MAX_SEQUENCE,
    NO_OFFSET,
    REMEMBERED_BATCHES,
    ProducedBatch,
    ProducerStates,
    Remembered,
    TransactionEnd,
    add_to_sequence,
)
from ottla.storage.txn_index import AbortedTransaction

ID = 7


def produced(
    sequence: int, offset: int, *, count: int = 1, epoch: int = 0, timestamp: int = 100, attributes: int = 0
) -> ProducedBatch:
    return ProducedBatch(ID, epoch, sequence, offset, offset + count - 1, timestamp, attributes)


def append(states: ProducerStates, *batches: ProducedBatch) -> Remembered | None:
    plan = states.plan(batches)
    if isinstance(plan, Remembered):
        return plan
    states.apply(plan, batches[-1].last_offset + 1)
    return None


def refusal(states: ProducerStates, *batches: ProducedBatch) -> ErrorCode:
    before = dict(states)
    with pytest.raises(KafkaError) as caught:
        states.plan(batches)
    assert dict(states) == before
    return caught.value.code


@pytest.fixture
def states() -> ProducerStates:
    """A producer of epoch 3 that has appended sequences 0 to 9, one batch each, at offsets 50 to 59."""
    states = ProducerStates("t-0")
    for number in range(10):
        append(states, produced(number, 50 + number, epoch=3))
    return states


def test_the_next_sequence_is_appended(states: ProducerStates) -> None:
    assert append(states, produced(10, 60, epoch=3)) is None
    assert states.end_offset == 61


def test_a_gap_is_out_of_order(states: ProducerStates) -> None:
    assert refusal(states, produced(11, 60, epoch=3)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


@pytest.mark.parametrize("number", range(10 - REMEMBERED_BATCHES, 10))
def test_each_of_the_last_five_again_is_a_duplicate(states: ProducerStates, number: int) -> None:
    again = append(states, produced(number, 60, epoch=3))
    assert again == Remembered(number, number, 50 + number, 50 + number, 100)


def test_an_older_one_again_is_out_of_order(states: ProducerStates) -> None:
    assert refusal(states, produced(4, 60, epoch=3)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_duplicate_has_the_same_first_and_last_sequence(states: ProducerStates) -> None:
    assert refusal(states, produced(8, 60, count=2, epoch=3)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_an_older_epoch_is_fenced(states: ProducerStates) -> None:
    assert refusal(states, produced(10, 60, epoch=2)) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_newer_epoch_begins_at_zero(states: ProducerStates) -> None:
    assert refusal(states, produced(10, 60, epoch=4)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert append(states, produced(0, 60, epoch=4)) is None
    producer = states.get(ID)
    assert producer is not None
    assert (producer.epoch, len(producer.batches)) == (4, 1)


def test_an_unknown_producer_may_begin_anywhere() -> None:
    states = ProducerStates("t-0")
    assert append(states, produced(1_000, 0, epoch=8)) is None
    assert append(states, produced(1_001, 1, epoch=8)) is None


def test_after_the_largest_sequence_comes_zero() -> None:
    states = ProducerStates("t-0")
    append(states, produced(MAX_SEQUENCE - 1, 0, count=2))
    assert append(states, produced(0, 2)) is None
    assert append(states, produced(MAX_SEQUENCE - 1, 3, count=2)) == Remembered(
        MAX_SEQUENCE - 1, MAX_SEQUENCE, 0, 1, 100
    )


def test_a_batch_may_itself_run_over_the_largest_sequence() -> None:
    states = ProducerStates("t-0")
    append(states, produced(MAX_SEQUENCE, 0, count=3))
    producer = states.get(ID)
    assert producer is not None
    assert producer.last_sequence == 1
    assert append(states, produced(2, 3)) is None
    assert add_to_sequence(MAX_SEQUENCE, 2) == 1


def test_several_batches_of_one_append_follow_each_other(states: ProducerStates) -> None:
    assert append(states, produced(10, 60, count=2, epoch=3), produced(12, 62, epoch=3)) is None
    assert (
        refusal(states, produced(13, 63, epoch=3), produced(15, 64, epoch=3)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    )


def test_nothing_changes_until_the_plan_is_applied(states: ProducerStates) -> None:
    before = dict(states)
    states.plan([produced(10, 60, epoch=3)])
    assert dict(states) == before


def test_a_silent_producer_is_forgotten_unless_its_transaction_is_open() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 0, timestamp=1_000))
    assert states.expire(1_999, 1_000) == 0
    assert states.expire(2_000, 1_000) == 1
    assert len(states) == 0
    append(states, produced(0, 0, timestamp=1_000, attributes=TRANSACTIONAL_BIT))
    assert states.expire(10_000, 1_000) == 0


def test_a_transaction_is_open_from_its_first_batch_to_its_marker() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, attributes=TRANSACTIONAL_BIT))
    append(states, produced(1, 21, attributes=TRANSACTIONAL_BIT))
    assert states.first_open_offset == 20
    assert refusal(states, produced(2, 22)) is ErrorCode.INVALID_TXN_STATE
    marker = EndTxnMarker(ControlType.COMMIT, 5)
    states.replay(produced(-1, 22, attributes=TRANSACTIONAL_BIT | CONTROL_BIT), marker)
    assert states.first_open_offset is None
    producer = states.get(ID)
    assert producer is not None
    assert producer.coordinator_epoch == 5
    assert append(states, produced(2, 23, attributes=TRANSACTIONAL_BIT)) is None


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=30), st.integers(0, MAX_SEQUENCE))
def test_a_producer_that_retries_within_five_is_never_refused_and_never_written_twice(
    steps: list[tuple[int, bool]], first: int
) -> None:
    states, appended, offset, sequence = ProducerStates("t-0"), [], 0, first
    for count, retries in steps:
        if retries and appended:
            for again in appended[-REMEMBERED_BATCHES:]:
                found = append(
                    states,
                    again._replace(base_offset=offset, last_offset=offset + again.last_offset - again.base_offset),
                )
                assert found is not None
                assert (found.first_offset, found.last_offset) == (again.base_offset, again.last_offset)
        fresh = produced(sequence, offset, count=count)
        assert append(states, fresh) is None
        appended.append(fresh)
        offset, sequence = offset + count, add_to_sequence(sequence, count)


def end(states: ProducerStates, kind: ControlType, offset: int, **of: int) -> AbortedTransaction | None:
    """Write a marker: of producer ID, epoch 0, coordinator epoch 0 and protocol version 1, unless said otherwise."""
    marker = EndTxnMarker(kind, of.get("coordinator_epoch", 0))
    ends = TransactionEnd(of.get("producer_id", ID), of.get("epoch", 0), marker, of.get("version", 1), 200)
    plan, aborted = states.plan_end(ends, offset)
    states.apply(plan, offset + 1)
    states.verifications.forget(ends.producer_id)
    return aborted


def end_refusal(states: ProducerStates, **of: int) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        end(states, ControlType.ABORT, 50, **of)
    return caught.value.code


def test_what_is_aborted_is_told_from_the_first_record_to_the_marker() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, count=3, attributes=TRANSACTIONAL_BIT))
    append(states, produced(3, 23, attributes=TRANSACTIONAL_BIT))
    assert end(states, ControlType.ABORT, 24) == AbortedTransaction(ID, 20, 24, 25)
    assert states.first_open_offset is None


def test_what_is_committed_or_has_no_records_here_is_not_told() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, attributes=TRANSACTIONAL_BIT))
    assert end(states, ControlType.COMMIT, 21) is None
    assert end(states, ControlType.ABORT, 22) is None


def test_an_abort_behind_another_open_transaction_notes_that_nothing_behind_that_one_is_stable() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, attributes=TRANSACTIONAL_BIT))
    append(states, produced(0, 21, attributes=TRANSACTIONAL_BIT)._replace(producer_id=8))
    append(states, produced(0, 22, attributes=TRANSACTIONAL_BIT)._replace(producer_id=9))
    assert end(states, ControlType.ABORT, 23, producer_id=9) == AbortedTransaction(9, 22, 23, 20)
    assert end(states, ControlType.ABORT, 24) == AbortedTransaction(ID, 20, 24, 21)
    states.check()


def test_an_old_producer_epoch_ends_nothing() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, epoch=3, attributes=TRANSACTIONAL_BIT))
    assert end_refusal(states, epoch=2) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert states.first_open_offset == 20


def test_an_old_coordinator_ends_nothing() -> None:
    states = ProducerStates("t-0")
    end(states, ControlType.ABORT, 20, coordinator_epoch=5)
    append(states, produced(0, 21, attributes=TRANSACTIONAL_BIT))
    assert end_refusal(states, coordinator_epoch=4) is ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_in_version_two_a_marker_of_the_transactions_own_epoch_is_a_late_one_of_an_earlier_transaction() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, epoch=3, attributes=TRANSACTIONAL_BIT))
    assert end_refusal(states, epoch=3, version=2) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert end(states, ControlType.ABORT, 21, epoch=4, version=2) == AbortedTransaction(ID, 20, 21, 22)
    assert end(states, ControlType.ABORT, 22, epoch=4, version=2) is None  # a repetition, with nothing open


def test_a_marker_of_a_newer_epoch_fences_whoever_writes_with_the_old_one() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, attributes=TRANSACTIONAL_BIT))
    end(states, ControlType.ABORT, 21, epoch=1)
    assert refusal(states, produced(1, 22, attributes=TRANSACTIONAL_BIT)) is ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_coordinators_batch_has_no_sequence_and_is_never_a_duplicate() -> None:
    states = ProducerStates("t-0")
    for offset in (20, 22):
        assert append(states, produced(-1, offset, count=2, attributes=TRANSACTIONAL_BIT)) is None
    producer = states.get(ID)
    assert producer is not None
    assert (producer.txn_first_offset, producer.last_sequence) == (20, -1)


def test_a_transaction_begins_only_while_its_verification_holds() -> None:
    states = ProducerStates("t-0")
    asked = states.verifications.begin(ID, 0, 0, bumps_epoch=False, now_ms=0)
    end(states, ControlType.ABORT, 20)
    first = produced(0, 21, attributes=TRANSACTIONAL_BIT)
    with pytest.raises(KafkaError) as caught:
        states.plan([first], asked)
    assert caught.value.code is ErrorCode.INVALID_TXN_STATE
    asked = states.verifications.begin(ID, 0, 0, bumps_epoch=False, now_ms=0)
    plan = states.plan([first], asked)
    assert isinstance(plan, dict)
    states.apply(plan, 22)
    assert states.has_open_transaction(ID, 0)
    assert states.verifications.get(ID) is None


def test_a_later_batch_waits_for_the_first_that_asked() -> None:
    states = ProducerStates("t-0")
    states.verifications.begin(ID, 3, 0, bumps_epoch=False, now_ms=0)
    assert refusal(states, produced(4, 20, attributes=TRANSACTIONAL_BIT)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert append(states, produced(3, 20, attributes=TRANSACTIONAL_BIT)) is None


def test_in_version_two_an_unknown_producer_begins_at_zero() -> None:
    states = ProducerStates("t-0")
    states.verifications.begin(ID, 3, 0, bumps_epoch=True, now_ms=0)
    assert refusal(states, produced(3, 20, attributes=TRANSACTIONAL_BIT)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_snapshots_producers_come_back_with_what_is_open_in_order() -> None:
    states = ProducerStates("t-0")
    append(states, produced(0, 20, attributes=TRANSACTIONAL_BIT)._replace(producer_id=8))
    append(states, produced(0, 21, attributes=TRANSACTIONAL_BIT))
    again = ProducerStates("t-0")
    again.restore(reversed(list(states)), 22)
    again.check()
    assert again.first_open_offset == 20
    assert end(again, ControlType.COMMIT, 22, producer_id=8) is None
    assert again.first_open_offset == 21
    assert [p.txn_first_offset for i, p in again if i == 8] == [NO_OFFSET]
