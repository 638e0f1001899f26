"""Records in pieces: what is written a column at a time is what is written record by record, whatever the records are."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from ottla.protocol.record_pieces import MOST_BYTES_OF_NUMBERS, RecordPieces, encode_record

SIZES = (0, 1, 62, 63, 64, 8_190, 8_191, 8_192)
BASE_MS = 1_000
APART_MS = (0, 1, 63, 64, 8_191, 8_192, 2**40, -1, -(2**40))


def one_by_one(records: list[tuple[int, bytes | None, bytes | None]], first_delta: int) -> bytes:
    return b"".join(
        encode_record(timestamp - BASE_MS, first_delta + number, key, value)
        for number, (timestamp, key, value) in enumerate(records)
    )


def pieces_from(first_delta: int) -> RecordPieces:
    pieces = RecordPieces()
    pieces.base_timestamp, pieces.next_delta = BASE_MS, first_delta
    return pieces


@st.composite
def neighbours(draw: st.DrawFn) -> list[tuple[int, bytes | None, bytes | None]]:
    """Records of which many are alike: of two keys, two values and two times."""
    field = st.none() | st.sampled_from(SIZES).map(lambda size: b"x" * size)
    keys, values = draw(st.tuples(field, field)), draw(st.tuples(field, field))
    times = draw(st.tuples(st.sampled_from(APART_MS), st.sampled_from(APART_MS)))
    is_mixed = st.sampled_from((0, 0, 0, 1)) if draw(st.booleans()) else st.just(0)
    count = draw(st.integers(1, 40))
    return [(BASE_MS + times[draw(is_mixed)], keys[draw(is_mixed)], values[draw(is_mixed)]) for _ in range(count)]


@given(records=neighbours(), first_delta=st.sampled_from((0, 30, 60, 8_170, 2**20 - 10)))
def test_many_at_once_are_the_bytes_that_one_by_one_makes(
    records: list[tuple[int, bytes | None, bytes | None]], first_delta: int
) -> None:
    pieces = pieces_from(first_delta)
    timestamps, keys, values = zip(*records, strict=True)
    assert pieces.add(timestamps, keys, values) == len(records)
    assert b"".join(pieces.pieces) == one_by_one(records, first_delta)
    assert pieces.size_bytes == sum(map(len, pieces.pieces))
    assert pieces.next_delta == first_delta + len(records)
    most = sum(len(key or b"") + len(value or b"") + MOST_BYTES_OF_NUMBERS for _, key, value in records)
    assert pieces.size_bytes <= most


@given(records=neighbours(), room=st.integers(0, 2_000), first_delta=st.sampled_from((0, 60)))
def test_as_many_are_added_as_there_is_room_for_and_the_first_of_a_batch_always(
    records: list[tuple[int, bytes | None, bytes | None]], room: int, first_delta: int
) -> None:
    pieces = pieces_from(first_delta)
    timestamps, keys, values = zip(*records, strict=True)
    added = pieces.add(timestamps, keys, values, room)
    fitting = [count for count in range(len(records) + 1) if len(one_by_one(records[:count], first_delta)) <= room]
    assert added == max(fitting[-1], 0 if first_delta else 1)
    assert b"".join(pieces.pieces) == one_by_one(records[:added], first_delta)
    assert pieces.size_bytes == sum(map(len, pieces.pieces))


@given(
    sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=40) | st.just([100] * 40),
    apart_ms=st.sampled_from(APART_MS),
    room=st.just(10**6) | st.integers(0, 2_000),
    first_delta=st.sampled_from((0, 60, 8_170)),
)
def test_values_by_themselves_are_records_without_keys(
    sizes: list[int], apart_ms: int, room: int, first_delta: int
) -> None:
    values = [b"v" * size for size in sizes]
    by_themselves, as_records = pieces_from(first_delta), pieces_from(first_delta)
    timestamps = [BASE_MS + apart_ms] * len(values)
    added = by_themselves.add_values(BASE_MS + apart_ms, values, room)
    assert added == as_records.add(timestamps, [None] * len(values), values, room)
    assert b"".join(by_themselves.pieces) == b"".join(as_records.pieces)
    assert (by_themselves.size_bytes, by_themselves.next_delta) == (as_records.size_bytes, as_records.next_delta)


def test_a_gap_in_the_offsets_is_kept_by_those_that_follow() -> None:
    pieces = pieces_from(0)
    pieces.add_one(5, BASE_MS, b"k", None, [("name", b"content"), ("empty", None)])
    assert pieces.add([BASE_MS] * 10, [None] * 10, [b"v"] * 10) == 10
    expected = encode_record(0, 5, b"k", None, [("name", b"content"), ("empty", None)])
    assert b"".join(pieces.pieces) == expected + one_by_one([(BASE_MS, None, b"v")] * 10, 6)


@pytest.mark.parametrize("count", [1, 7, 8, 100])
def test_records_without_anything_are_as_large_as_their_numbers(count: int) -> None:
    pieces = pieces_from(0)
    pieces.add([BASE_MS] * count, [None] * count, [None] * count)
    assert b"".join(pieces.pieces) == one_by_one([(BASE_MS, None, None)] * count, 0)
