"""Columns hold what the reader of single records reads, and refuse what it refuses."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.record_columns import read_columns
from ottla.protocol.records import (
    RECORD_BATCH_OVERHEAD,
    BatchBuilder,
    Record,
    TimestampType,
    iter_unfolded,
    read_header,
)

some_bytes = st.none() | st.binary(max_size=9) | st.integers(60, 70).map(bytes) | st.integers(8185, 8200).map(bytes)
headers = st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2)
rows = st.tuples(st.integers(0, 2**40), some_bytes, some_bytes, headers, st.sampled_from((1, 1, 1, 70, 9000)))


def batch_of(
    rows: list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]], int]], **how: object
) -> bytes:
    builder = BatchBuilder(base_offset=1000, **how)  # type: ignore[arg-type]
    offset = 999
    for timestamp, key, value, headers, gap in rows:
        offset += gap
        builder.append(timestamp, key, value, headers, offset=offset)
    return bytes(builder.build())


def rows_of(data: bytes, *, as_views: bool = False) -> list[Record]:
    records = data[RECORD_BATCH_OVERHEAD:]
    columns = read_columns(records, read_header(data), memoryview(records) if as_views else None)
    return [Record(o, t, k, v, list(h)) for o, t, k, v, h in zip(*columns, strict=True)]


@given(st.lists(rows, max_size=8), st.sampled_from(TimestampType), st.booleans())
def test_columns_hold_what_single_records_hold(rows: list, timestamp_type: TimestampType, as_views: bool) -> None:
    data = batch_of(rows, timestamp_type=timestamp_type)

    assert rows_of(data, as_views=as_views) == list(iter_unfolded(data[RECORD_BATCH_OVERHEAD:], read_header(data)))


def test_offsets_are_right_over_every_length_of_their_varint() -> None:
    data = batch_of([(0, None, b"", [], 1)] * 20_000)

    records = rows_of(data)

    assert records[0].offset == 1000
    assert all(after.offset == before.offset + 1 for before, after in pairwise(records))


@given(st.lists(rows, min_size=1, max_size=3), st.data())
def test_bytes_that_were_changed_are_read_or_refused_as_the_other_reader_does(rows: list, data: st.DataObject) -> None:
    batch = bytearray(batch_of(rows))
    at = data.draw(st.integers(RECORD_BATCH_OVERHEAD, len(batch) - 1))
    batch[at] = data.draw(st.integers(0, 255))

    try:
        expected = list(iter_unfolded(bytes(batch[RECORD_BATCH_OVERHEAD:]), read_header(batch)))
    except MalformedMessage:
        with pytest.raises(MalformedMessage):
            rows_of(bytes(batch))
    else:
        assert rows_of(bytes(batch)) == expected


@given(st.lists(rows, min_size=1, max_size=3), st.integers(1, 10))
def test_a_batch_that_is_cut_short_is_refused(rows: list, missing: int) -> None:
    data = batch_of(rows)

    with pytest.raises(MalformedMessage):
        read_columns(data[RECORD_BATCH_OVERHEAD:-missing], read_header(data))


@st.composite
def alike(draw: st.DrawFn) -> list:
    """Runs of records of one form, with others between them, and timestamps of every width."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        key_size, value_size = draw(st.sampled_from((-1, 0, 3, 70))), draw(st.sampled_from((-1, 0, 5, 100)))
        key = None if key_size < 0 else b"k" * key_size
        value = None if value_size < 0 else b"v" * value_size
        step = draw(st.sampled_from((0, 0, 1, 40, -3)))
        for number in range(draw(st.integers(1, 150))):
            gap = draw(st.sampled_from((1,) * 40 + (2,)))
            rows.append((1000 + step * number, key, value, [], gap))
        if draw(st.booleans()):
            rows.append((5, b"other", None, [("h", b"")], 1))
    return rows


@settings(max_examples=200, deadline=None)
@given(alike(), st.data())
def test_runs_of_records_that_are_alike_hold_what_single_records_hold(rows: list, data: st.DataObject) -> None:
    batch = bytearray(batch_of(rows))
    if data.draw(st.booleans()):
        batch[data.draw(st.integers(RECORD_BATCH_OVERHEAD, len(batch) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        expected = list(iter_unfolded(bytes(batch[RECORD_BATCH_OVERHEAD:]), read_header(batch)))
    except MalformedMessage:
        with pytest.raises(MalformedMessage):
            rows_of(bytes(batch))
    else:
        assert rows_of(bytes(batch)) == expected
        assert rows_of(bytes(batch), as_views=True) == expected
