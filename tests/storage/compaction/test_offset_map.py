"""The offset map against a dict, and its bounds."""

from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.compaction.offset_map import SLOT_BYTES, OffsetMap


@given(st.lists(st.binary(max_size=3), max_size=60))
def test_it_answers_as_a_dict_does_even_when_every_slot_is_taken(keys: list[bytes]) -> None:
    known: dict[bytes, int] = {}
    offsets = OffsetMap(max(len(set(keys)), 1), 100)
    for offset, key in enumerate(keys):
        offsets.put(key, offset)
        known[key] = offset
    assert offsets.entry_count == len(known)
    assert {key: offsets.get(key) for key in known} == known
    assert offsets.get(b"a key that was never put") == -1


def test_offset_zero_is_an_offset() -> None:
    offsets = OffsetMap(4, 4)
    offsets.put(b"", 0)
    assert offsets.get(b"") == 0


def test_it_takes_as_many_keys_as_its_memory_says_by_kafkas_measure() -> None:
    offsets = OffsetMap.of_size(100 * SLOT_BYTES + 5, load_factor=0.9, expected_count=10**6)
    for number in range(90):
        assert not offsets.is_full
        offsets.put(b"%d" % number, number)
    assert offsets.is_full
    assert all(offsets.get(b"%d" % number) == number for number in range(90))


def test_it_takes_no_more_memory_than_the_keys_that_can_come_need() -> None:
    offsets = OffsetMap.of_size(1 << 27, load_factor=0.9, expected_count=1000)
    assert len(offsets._table) <= 3 * 1000 * SLOT_BYTES
    for number in range(1000):
        assert not offsets.is_full
        offsets.put(b"%d" % number, number)
