"""Columns hold what the reader of single records reads, and refuse what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.record_columns import RecordColumns, read_columns, read_view_columns
from ottla.protocol.records import (
    RECORD_BATCH_OVERHEAD,
    BatchBuilder,
    BatchHeader,
    Record,
    TimestampType,
    iter_unfolded,
    read_header,
)
from ottla.protocol.varints import varint

Way = Callable[[bytes, BatchHeader], RecordColumns]

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


def from_bytes(records: bytes, header: BatchHeader) -> RecordColumns:
    return read_columns(records, header)


def from_a_view(records: bytes, header: BatchHeader) -> RecordColumns:
    """Of a buffer that others use, too, as a batch lies in the answer of a broker."""
    return read_columns(memoryview(bytearray(b"before" + records + b"behind"))[6 : 6 + len(records)], header)


WAYS = (from_bytes, from_a_view, read_view_columns)


def rows_of(data: bytes, read: Way = from_bytes) -> list[Record]:
    columns = read(data[RECORD_BATCH_OVERHEAD:], read_header(data))
    return [Record(o, t, k, v, list(h)) for o, t, k, v, h in zip(*columns, strict=True)]


def assert_all_ways_agree(data: bytes) -> None:
    """They read what the reader of single records reads, and refuse what it refuses."""
    try:
        expected = list(iter_unfolded(data[RECORD_BATCH_OVERHEAD:], read_header(data)))
    except MalformedMessage:
        for read in WAYS:
            with pytest.raises(MalformedMessage):
                rows_of(data, read)
    else:
        for read in WAYS:
            assert rows_of(data, read) == expected


@given(st.lists(rows, max_size=8), st.sampled_from(TimestampType))
def test_columns_hold_what_single_records_hold(rows: list, timestamp_type: TimestampType) -> None:
    data = batch_of(rows, timestamp_type=timestamp_type)

    assert list(iter_unfolded(data[RECORD_BATCH_OVERHEAD:], read_header(data)))[:1] == rows_of(data)[:1]
    assert_all_ways_agree(data)


@pytest.mark.parametrize("read", WAYS)
@pytest.mark.parametrize("gap_after", [20_000, 63, 64, 4160, 8191, 8192, 16_383])
def test_offsets_are_right_over_every_length_of_their_varint(read: Way, gap_after: int) -> None:
    data = batch_of([(0, None, b"", [], 1 + (number == gap_after)) for number in range(20_000)])

    offsets = [record.offset for record in rows_of(data, read)]

    assert offsets == [1000 + number + (number >= gap_after) for number in range(20_000)]


@pytest.mark.parametrize("width", range(1, 11))
@pytest.mark.parametrize("sign", [1, -1])
def test_timestamps_are_right_over_every_length_of_their_varint(width: int, sign: int) -> None:
    widest = (1 << 7 * width - 1) - 1 if width < 10 else (1 << 63) - 1
    deltas = [0, *([widest * sign - sign * (number % 3) for number in range(100)])]
    data = batch_of([(delta, None, b"value", [], 1) for delta in deltas])

    assert {len(varint(delta)) for delta in deltas[3:]} == {width}
    for read in WAYS:
        assert [record.timestamp for record in rows_of(data, read)] == deltas
    assert_all_ways_agree(data)


@pytest.mark.parametrize("key", [None, b"", b"key", b"k" * 70])
@pytest.mark.parametrize("value", [None, b"", b"value", b"v" * 9000])
@pytest.mark.parametrize("count", [15, 16, 17, 64, 64 + 8 + 1, 300])
def test_keys_and_values_of_a_run_are_right_null_or_empty_or_long(
    key: bytes | None, value: bytes | None, count: int
) -> None:
    rows = [(number, key and bytes((number % 256,)) + key[1:], value, [], 1) for number in range(count)]

    records = rows_of(batch_of(rows), from_a_view)

    assert [(record.key, record.value) for record in records] == [row[1:3] for row in rows]
    assert_all_ways_agree(batch_of(rows))


def test_keys_and_values_of_a_view_are_bytes_that_outlive_it() -> None:
    data = batch_of([(0, b"key", b"value", [], 1)] * 100)
    buffer = bytearray(data[RECORD_BATCH_OVERHEAD:])

    columns = read_columns(memoryview(buffer), read_header(data))
    buffer[:] = bytes(len(buffer))
    buffer.append(0)  # a BufferError if anything still looked at it

    assert set(map(type, columns.keys + columns.values)) == {bytes}
    assert set(columns.keys) == {b"key"}
    assert set(columns.values) == {b"value"}


@given(st.lists(rows, min_size=1, max_size=3), st.data())
def test_bytes_that_were_changed_are_read_or_refused_as_the_other_reader_does(rows: list, data: st.DataObject) -> None:
    batch = bytearray(batch_of(rows))
    at = data.draw(st.integers(RECORD_BATCH_OVERHEAD, len(batch) - 1))
    batch[at] = data.draw(st.integers(0, 255))

    assert_all_ways_agree(bytes(batch))


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
    assert_all_ways_agree(bytes(batch))


@settings(max_examples=30, deadline=None)
@given(st.integers(64, 9000), st.sampled_from((1, 2, 3)), st.data())
def test_long_runs_with_one_byte_changed_are_read_or_refused_as_single_records(
    count: int, timestamp_width: int, data: st.DataObject
) -> None:
    delta = (0, 1, 100, 10_000)[timestamp_width]
    batch = bytearray(batch_of([(0, b"key", b"v", [], 1)] + [(delta, b"key", b"v", [], 1)] * (count - 1)))
    at = data.draw(st.integers(RECORD_BATCH_OVERHEAD, len(batch) - 1))
    batch[at] ^= data.draw(st.sampled_from((1, 2, 0x7F, 0x80, 0xFF)))

    assert_all_ways_agree(bytes(batch))


@given(st.integers(20, 200), st.integers(1, 40))
def test_a_long_run_that_is_cut_short_is_refused(count: int, missing: int) -> None:
    data = batch_of([(0, b"key", b"value", [], 1)] * count)

    for read in WAYS:
        with pytest.raises(MalformedMessage):
            read(data[RECORD_BATCH_OVERHEAD:-missing], read_header(data))
