"""The records of `__transaction_state`: Kafka's bytes, both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.coordinators.transactions.machine import TransactionMachine
from ottla.broker.coordinators.transactions.records import (
    TransactionRecord,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)
from ottla.broker.coordinators.transactions.transaction import Transaction, TransactionState
from ottla.storage.directory_names import TopicPartition

# Written by Apache Kafka 4.3.1 for the transactional id "x": a new id; a transaction of version 1 over t-0, t-1 and u-0,
# prepared, committed; one of version 2 over t-0, aborted; the id taken by another producer.
KEY = bytes.fromhex("0000000178")
KAFKAS = [
    "0001000000000000000000000000ea600000000001a2146efdb1ffffffffffffffff0100080000000000000000",
    "0001000000000000000000000000ea6001030274030000000100000000000275020000000000000001a2146efe5f000001a2146efe5f"
    "0100080000000000000000",
    "0001000000000000000000000000ea6002030274030000000100000000000275020000000000000001a2146efebc000001a2146efe5f"
    "0100080000000000000000",
    "0001000000000000000000000000ea600401000001a2146efec3000001a2146efe5f0100080000000000000000",
    "0001000000000000000000000000ea6001020274020000000000000001a2146f00b7000001a2146f00b7020008000000000000000002020002",
    "0001000000000000000000010000ea6003020274020000000000000001a2146f00c7000001a2146f00b7020008000000000000000002020002",
    "0001000000000000000000010000ea600501000001a2146f00ca000001a2146f00b7020008000000000000000002020002",
    "0001000000000000000000020000ea600000000001a2146f0199ffffffffffffffff020008000000000000000002020002",
]


def decoded(value: str) -> Transaction:
    transaction = decode_value("x", bytes.fromhex(value))
    assert transaction is not None
    return transaction


def test_a_key_is_a_version_and_the_id() -> None:
    assert encode_key("x") == KEY
    assert decode_key(KEY) == "x"


@pytest.mark.parametrize("value", KAFKAS)
def test_kafkas_states_are_understood_and_written_the_same(value: str) -> None:
    transaction = decoded(value)
    again = decode_value("x", encode_value(transaction))
    assert again == transaction
    if len(transaction.partitions) < 2:  # else the order is that of a hash table
        assert encode_value(transaction).hex() == value


def test_what_kafka_wrote_of_a_life() -> None:
    states = [decoded(value) for value in KAFKAS]
    assert [each.state.kafka_name for each in states] == [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "CompleteCommit",
        "Ongoing",
        "PrepareAbort",
        "CompleteAbort",
        "Empty",
    ]
    assert [each.producer_epoch for each in states] == [0, 0, 0, 0, 0, 1, 1, 2]
    assert [each.client_version for each in states] == [0, 0, 0, 0, 2, 2, 2, 2]
    assert states[1].partitions == {TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0)}
    assert states[1].started_ms == states[3].started_ms == 0x1A2146EFE5F
    assert states[7].started_ms == -1


def test_version_0_is_read_too() -> None:
    value = bytes.fromhex(
        "0000" "0000000000000007" "0003" "0000ea60" "01"
        "00000001" "0001" "74" "00000002" "00000000" "00000001"
        "000001a2146efe5f" "000001a2146efe5e"
    )  # fmt: skip
    transaction = decode_value("x", value)
    assert transaction == Transaction(
        transactional_id="x",
        producer_id=7,
        producer_epoch=3,
        timeout_ms=60_000,
        state=TransactionState.ONGOING,
        partitions=frozenset({TopicPartition("t", 0), TopicPartition("t", 1)}),
        updated_ms=0x1A2146EFE5F,
        started_ms=0x1A2146EFE5E,
    )


def test_a_tag_of_a_later_release_is_passed_over() -> None:
    with_next_epoch = bytes.fromhex(KAFKAS[0][:-22] + "02" + "0008" + "00" * 8 + "03" + "02" + "0001")
    assert decode_value("x", with_next_epoch) == decoded(KAFKAS[0])


def test_later_versions_are_not_understood_and_damage_is_named() -> None:
    assert decode_key(b"\0\1\0\1x") is None
    assert decode_value("x", b"\0\2") is None
    for key in (b"", b"\0\0\0", b"\0\0\0\2x", b"\0\0\0\1xy"):
        with pytest.raises(ValueError, match="a key"):
            decode_key(key)
    whole = bytes.fromhex(KAFKAS[1])
    for size in range(2, len(whole)):
        with pytest.raises(ValueError, match="cut short"):
            decode_value("x", whole[:size])


transactions = st.builds(
    Transaction,
    transactional_id=st.just("x"),
    producer_id=st.integers(0, 2**63 - 1),
    previous_producer_id=st.integers(-1, 2**63 - 1),
    next_producer_id=st.integers(-1, 2**63 - 1),
    producer_epoch=st.integers(-1, 2**15 - 1),
    timeout_ms=st.integers(0, 2**31 - 1),
    state=st.sampled_from([each for each in TransactionState if each is not TransactionState.EMPTY]),
    partitions=st.frozensets(st.builds(TopicPartition, st.text("abc-._", min_size=1), st.integers(0, 300)), max_size=5),
    started_ms=st.integers(-1, 2**62),
    updated_ms=st.integers(0, 2**62),
    client_version=st.integers(0, 2),
)


@given(transactions)
def test_what_is_written_is_read(transaction: Transaction) -> None:
    assert decode_value("x", encode_value(transaction)) == transaction


def test_the_machine_keeps_the_last_state_of_each_id_and_lets_go_of_one_that_ended() -> None:
    machine = TransactionMachine()
    for value in KAFKAS:
        record = machine.decode(KEY, bytes.fromhex(value))
        assert record is not None
        machine.apply(record, offset=0, producer=None)
    assert machine.get("x") == decoded(KAFKAS[-1])
    tombstone = TransactionRecord("x", None)
    assert machine.encode(tombstone) == (KEY, None)
    assert machine.decode(KEY, None) == tombstone
    machine.apply(tombstone, offset=0, producer=None)
    assert machine.get("x") is None
    assert machine.decode(b"\0\7\0\0", b"") is None
    assert len(machine) == 0


def test_the_example_of_the_format_page_is_what_kafka_wrote() -> None:
    page = (Path(__file__).parents[4] / "docs" / "format-transaction-state.md").read_text(encoding="utf-8")
    lines = page.split("```")[1].strip("\n").splitlines()
    assert "".join(line.split("   ")[0] for line in lines).replace(" ", "") == KAFKAS[5]
