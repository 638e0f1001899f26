"""The bytes of a producer snapshot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.producer_snapshot import CorruptSnapshot, decode, encode
from ottla.storage.producers import Producer, ProducerStates, Remembered

# Written by Apache Kafka 4.3.1 when it closed a log with one idempotent producer: id 0, epoch 0, sequences 0 to 4.
KAFKAS = bytes.fromhex(
    "0001af07e41e000000010000000000000000000000000004000000000000000400000004000001a207af45e5ffffffffffffffffffffffff"
)


def test_kafkas_bytes_are_understood_and_written_the_same() -> None:
    entries = decode(KAFKAS)
    assert len(entries) == 1
    producer_id, producer = entries[0]
    assert producer_id == 0
    assert (producer.epoch, producer.coordinator_epoch, producer.txn_first_offset) == (0, -1, -1)
    assert producer.last_sequence == 4
    states = ProducerStates("t-0")
    states.restore([(producer_id, producer)], 5)
    assert encode(states) == KAFKAS


def test_an_empty_snapshot_has_ten_bytes() -> None:
    data = encode(ProducerStates("t-0"))
    assert len(data) == 10
    assert decode(data) == []


@given(
    st.dictionaries(
        st.integers(0, 2**63 - 1),
        st.builds(
            Producer,
            st.integers(0, 2**15 - 1),
            st.integers(-1, 2**31 - 1),
            st.integers(-1, 2**63 - 1),
            st.integers(-1, 2**63 - 1),
        ),
        max_size=5,
    ),
    st.integers(0, 2**31 - 1),
)
def test_what_is_written_is_read(producers: dict[int, Producer], sequence: int) -> None:
    states = ProducerStates("t-0")
    for producer_id, producer in producers.items():
        last = Remembered(sequence, (sequence + 4) & (2**31 - 1), 100, 104, producer.last_timestamp)
        states.restore([(producer_id, producer._replace(batches=(last,)))], 105)
    assert dict(decode(encode(states))) == dict(states)


@given(st.integers(0, len(KAFKAS) - 1), st.integers(0, 7))
def test_a_changed_bit_is_found(position: int, bit: int) -> None:
    data = bytearray(KAFKAS)
    data[position] ^= 1 << bit
    with pytest.raises(CorruptSnapshot):
        decode(bytes(data))


@given(st.integers(0, len(KAFKAS) - 1))
def test_a_torn_one_is_found(size_bytes: int) -> None:
    with pytest.raises(CorruptSnapshot):
        decode(KAFKAS[:size_bytes])
