import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.record_walk import offset_delta, walk_records
from ottla.protocol.records import RECORD_BATCH_OVERHEAD, BatchBuilder
from ottla.protocol.varints import read_varint, read_varlong
from support.batches import batch


@given(st.lists(st.binary(max_size=20_000), min_size=1, max_size=8))
def test_size_prefixes_lead_from_record_to_record(values: list[bytes]) -> None:
    data = bytes(batch(*values))
    assert walk_records(data, RECORD_BATCH_OVERHEAD, len(values))[:2] == (len(data), 0)


@given(st.lists(st.tuples(st.integers(0, 1000), st.binary(max_size=200)), min_size=1, max_size=8))
def test_the_last_record_is_found_and_has_its_offset_delta(records: list[tuple[int, bytes]]) -> None:
    builder, offset = BatchBuilder(), -1
    for gap, value in records:
        offset += 1 + gap
        builder.append(1_000, None, value, offset=offset)
    data = bytes(builder.build())
    _, _, last = walk_records(data, RECORD_BATCH_OVERHEAD, len(records))
    assert offset_delta(data, last) == offset


def test_fewer_records_than_counted_are_an_index_error() -> None:
    data = bytes(batch(b"a", b"b"))
    with pytest.raises(IndexError):
        walk_records(data, RECORD_BATCH_OVERHEAD, 3)


def followed_one_by_one(data: bytes, position: int, count: int) -> tuple[int, int, int]:
    """The twin: every record read by itself."""
    largest, start = -1, position
    for _ in range(count):
        start = position
        size, position = read_varint(data, position)
        if size < 0:
            raise IndexError("a record has a negative size")
        if position + 1 >= len(data):
            raise IndexError("there is no record")
        delta, _ = read_varlong(data, position + 1)
        largest = max(largest, delta)
        position += size
    return position, largest, start


runs = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 20, 55, 56, 57, 100, 300, 9_000]) | st.integers(0, 400),
        st.integers(1, 200),
        st.lists(
            st.sampled_from([-70, -64, -3, 0, 1, 5, 63, 64, 65, 100, 8_191, 8_192, 70_000]), min_size=1, max_size=3
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(runs)
def test_records_of_one_size_are_stepped_over_together_to_the_same_place(
    runs: list[tuple[int, int, list[int]]],
) -> None:
    builder = BatchBuilder()
    builder.append(1_000_000, None, b"first")
    for size_bytes, length, deltas in runs:
        for number in range(length):
            builder.append(1_000_000 + deltas[number % len(deltas)], None, bytes(size_bytes))
    data, count = bytes(builder.build())[RECORD_BATCH_OVERHEAD:], builder.record_count
    for seen in (data, memoryview(data)):
        assert walk_records(seen, 0, count) == followed_one_by_one(data, 0, count)
        with pytest.raises(IndexError):
            walk_records(seen, 0, count + 1)


@settings(deadline=None)
@given(st.integers(5, 300), st.integers(0, 140), st.data())
def test_a_mutated_run_is_followed_as_one_by_one(length: int, size_bytes: int, data: st.DataObject) -> None:
    builder = BatchBuilder()
    for number in range(length):
        builder.append(1_000_000 + number // 3, None, bytes(size_bytes))
    mutated = bytearray(builder.build())[RECORD_BATCH_OVERHEAD:]
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    records = bytes(mutated)
    try:
        expected = followed_one_by_one(records, 0, length)
    except (IndexError, MalformedMessage):
        return
    if expected[0] == len(records):  # what else there may be is refused whatever the walk says
        assert walk_records(records, 0, length) == walk_records(memoryview(records), 0, length) == expected
