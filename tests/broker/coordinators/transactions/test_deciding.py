"""What is decided about a transactional id. What Kafka answers to whom is held against its own answers in tests/wire; here
is what those cannot show: epochs that run out, producers that come back, time.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from ottla.broker.coordinators.transactions import deciding
from ottla.broker.coordinators.transactions.deciding import End, NeedsProducerId
from ottla.broker.coordinators.transactions.transaction import (
    LAST_EPOCH_OF_CLIENTS,
    MAX_EPOCH,
    ProducerIdAndEpoch,
    Transaction,
    TransactionState,
)
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.storage.directory_names import TopicPartition

NOW_MS = 1_000_000
AT = TopicPartition("t", 0)
EMPTY = Transaction(transactional_id="x", producer_id=7, producer_epoch=3, timeout_ms=60_000, updated_ms=NOW_MS)
OPEN = replace(EMPTY, state=TransactionState.ONGOING, partitions=frozenset({AT}), started_ms=NOW_MS, client_version=2)


def init(now: Transaction | None, expected: tuple[int, int] | None = None, spare_id: int | None = None) -> Transaction:
    return deciding.init_producer_id(
        "x",
        now,
        expected=None if expected is None else ProducerIdAndEpoch(*expected),
        timeout_ms=60_000,
        spare_id=spare_id,
        now_ms=NOW_MS,
    )


def end(
    now: Transaction, epoch: int, *, committed: bool = True, version: int = 2, spare_id: int | None = None, of: int = 7
) -> Transaction | None:
    wish = End(producer=ProducerIdAndEpoch(of, epoch), committed=committed, client_version=version)
    return deciding.end(now, wish, spare_id=spare_id, now_ms=NOW_MS)


def test_a_new_id_needs_a_producer_id_and_begins_with_epoch_0() -> None:
    with pytest.raises(NeedsProducerId):
        init(None)
    first = init(None, spare_id=9)
    assert (first.producer_id, first.producer_epoch, first.state) == (9, 0, TransactionState.EMPTY)


def test_a_producer_that_runs_out_of_epochs_gets_another_id() -> None:
    worn = replace(EMPTY, producer_epoch=LAST_EPOCH_OF_CLIENTS)
    with pytest.raises(NeedsProducerId):
        init(worn)
    fresh = init(worn, spare_id=9)
    assert (fresh.producer_id, fresh.previous_producer_id, fresh.producer_epoch) == (9, 7, 0)
    with pytest.raises(KafkaError) as refused:
        init(fresh, expected=(7, LAST_EPOCH_OF_CLIENTS))  # somebody else took the id
    assert refused.value.code is ErrorCode.PRODUCER_FENCED


def test_one_that_missed_the_answer_and_asks_again_gets_the_same() -> None:
    worn = replace(EMPTY, producer_epoch=LAST_EPOCH_OF_CLIENTS)
    fresh = init(worn, expected=(7, LAST_EPOCH_OF_CLIENTS), spare_id=9)
    assert init(fresh, expected=(7, LAST_EPOCH_OF_CLIENTS)).producer_epoch == 0


def test_a_worn_out_epoch_is_no_epoch_for_somebody_else() -> None:
    worn = replace(EMPTY, producer_epoch=LAST_EPOCH_OF_CLIENTS)
    with pytest.raises(KafkaError) as refused:
        init(worn, expected=(7, 5))
    assert refused.value.code is ErrorCode.PRODUCER_FENCED


def test_a_fenced_transaction_with_the_last_epoch_still_can_be_fenced_and_then_goes_on_under_another_id() -> None:
    fenced = deciding.fence(replace(OPEN, producer_epoch=LAST_EPOCH_OF_CLIENTS), now_ms=NOW_MS)
    assert fenced.producer_epoch == MAX_EPOCH
    done = deciding.complete(fenced, now_ms=NOW_MS)
    assert (done.producer_id, done.producer_epoch) == (7, MAX_EPOCH)
    assert init(done, spare_id=9).producer_id == 9


def test_an_end_with_the_last_epoch_leads_to_another_id_and_its_repetition_to_the_same() -> None:
    worn = replace(OPEN, producer_epoch=LAST_EPOCH_OF_CLIENTS)
    with pytest.raises(NeedsProducerId):
        end(worn, LAST_EPOCH_OF_CLIENTS)
    prepared = end(worn, LAST_EPOCH_OF_CLIENTS, spare_id=9)
    assert prepared is not None
    assert (prepared.producer_id, prepared.producer_epoch, prepared.next_producer_id) == (7, MAX_EPOCH, 9)
    assert deciding.producer_after(prepared) == (9, 0)
    done = deciding.complete(prepared, now_ms=NOW_MS)
    assert (done.producer_id, done.producer_epoch, done.previous_producer_id) == (9, 0, 7)
    assert end(done, LAST_EPOCH_OF_CLIENTS) is None
    with pytest.raises(KafkaError) as refused:
        end(done, LAST_EPOCH_OF_CLIENTS, committed=False)
    assert refused.value.code is ErrorCode.INVALID_TXN_STATE


def test_a_producer_whose_transaction_took_too_long_may_go_on_until_another_comes() -> None:
    aborted = deciding.complete(deciding.fence(OPEN, now_ms=NOW_MS), now_ms=NOW_MS)
    assert init(aborted, expected=(7, 3)).producer_epoch == 4
    other = init(aborted)
    with pytest.raises(KafkaError) as refused:
        init(other, expected=(7, 3))
    assert refused.value.code is ErrorCode.PRODUCER_FENCED


@pytest.mark.parametrize("version", [0, 2])
def test_while_it_is_being_completed_the_same_end_is_concurrent_and_the_other_makes_no_sense(version: int) -> None:
    prepared = end(OPEN, 3, version=version)
    assert prepared is not None
    codes = []
    for committed in (True, False):
        with pytest.raises(KafkaError) as refused:
            end(prepared, 3, committed=committed, version=version)
        codes.append(refused.value.code)
    assert codes == [ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.INVALID_TXN_STATE]


def test_partitions_are_added_once_and_begin_a_transaction() -> None:
    def add(now: Transaction, *partitions: int) -> Transaction | None:
        wanted = frozenset(TopicPartition("t", each) for each in partitions)
        later_ms = NOW_MS + 5
        return deciding.add_partitions(now, ProducerIdAndEpoch(7, 3), wanted, client_version=2, now_ms=later_ms)

    begun = add(EMPTY, 0)
    assert begun is not None
    assert (begun.state, begun.started_ms) == (TransactionState.ONGOING, NOW_MS + 5)
    assert add(begun, 0) is None
    more = add(replace(begun, started_ms=NOW_MS), 0, 1)
    assert more is not None
    assert (len(more.partitions), more.started_ms) == (2, NOW_MS)


def test_a_transaction_is_late_when_its_time_is_over_and_an_id_is_forgotten_when_it_rests_long_enough() -> None:
    assert not OPEN.is_late(NOW_MS + 60_000)
    assert OPEN.is_late(NOW_MS + 60_001)
    assert not EMPTY.is_late(NOW_MS + 60_001)
    assert not EMPTY.is_forgotten(NOW_MS + 99, 100)
    assert EMPTY.is_forgotten(NOW_MS + 100, 100)
    assert not OPEN.is_forgotten(NOW_MS + 100, 100)
