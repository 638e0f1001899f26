import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.protocol.record_walk import LONGEST_MIXED, offset_delta, walk_records
from ottla.protocol.records import RECORD_BATCH_OVERHEAD, BatchBuilder
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


def encoded(data: bytes, position: int) -> tuple[int, int]:
    """A varint as it is encoded, of any width and value up to ten bytes, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError("a varint has more than ten bytes")


def followed_one_by_one(data: bytes, position: int, count: int) -> tuple[int, int, int]:
    """The twin: every record looked at by itself."""
    largest, start = -1, position
    for _ in range(count):
        start = position
        size, position = encoded(data, position)
        if size & 1:
            raise IndexError("a record has a negative size")
        delta, _ = encoded(data, position + 1)
        largest = max(largest, -1 if delta & 1 else delta >> 1)
        position += size >> 1
    return position, largest, start


def assert_followed_as_one_by_one(data: bytes, count: int) -> None:
    """To the same place with the same findings, or refused as well; whether they are bytes or a view."""
    try:
        expected = followed_one_by_one(data, 0, count)
    except IndexError:
        for seen in (data, memoryview(data)):
            with pytest.raises(IndexError):
                walk_records(seen, 0, count)
    else:
        assert walk_records(data, 0, count) == walk_records(memoryview(data), 0, count) == expected


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
    assert_followed_as_one_by_one(bytes(mutated), length)


def padded(value: int, width: int) -> bytes:
    """An encoded number as a varint of at least so many bytes: longer than it must be, for readers that mind no zeros."""
    out = bytearray()
    while value >= 0x80 or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes((value,))


encoded_deltas = st.sampled_from(
    [0, 1, 2, 3, 126, 127, 128, 129, 130, 254, 255, 256, 16_382, 16_383, 16_384, 1 << 40, 1 << 63]
)
bodies = st.sampled_from([5, 62, 63, 64, 65, 127, 128, 129, 8_190, 8_191, 8_192, 8_193]) | st.integers(0, 400)


@st.composite
def odd_records(draw: st.DrawFn) -> bytes:
    """A record of any size and delta, in varints of any width; now and then with less, or more, in it than it says."""
    delta = padded(draw(encoded_deltas), draw(st.sampled_from([1, 1, 1, 1, 2, 3, 10, 11])))
    body = bytes((draw(st.sampled_from([0, 0, 0, 1, 255])),)) + delta
    body += bytes(max(0, draw(bodies) - len(body)))
    size_bytes = len(body) + draw(st.sampled_from([0] * 30 + [1, -1]))
    return (
        padded(2 * size_bytes + draw(st.sampled_from([0] * 30 + [1])), draw(st.sampled_from([1] * 20 + [2, 3, 11])))
        + body
    )


@settings(deadline=None)
@given(st.lists(odd_records(), min_size=1, max_size=20), st.integers(1, 120), st.integers(0, 3), st.data())
def test_records_of_different_sizes_are_followed_as_one_by_one(
    some: list[bytes], count: int, cut: int, data: st.DataObject
) -> None:
    records = b"".join(some[number % len(some)] for number in range(count))
    assert_followed_as_one_by_one(records, count)
    assert_followed_as_one_by_one(records, count + 1)
    assert_followed_as_one_by_one(records[: len(records) - cut], count)
    mutated = bytearray(records)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    assert_followed_as_one_by_one(bytes(mutated), count)


@settings(deadline=None)
@given(
    st.binary(max_size=300) | st.lists(st.sampled_from([0, 2, 4, 6, 8, 20, 1, 128, 130, 255]), max_size=300).map(bytes),
    st.integers(1, 120),
)
def test_any_bytes_are_followed_as_one_by_one(anything: bytes, count: int) -> None:
    assert_followed_as_one_by_one(anything, count)


@pytest.mark.parametrize(
    "count", [LONGEST_MIXED - 1, LONGEST_MIXED, LONGEST_MIXED + 1, LONGEST_MIXED + 2, 3 * LONGEST_MIXED]
)
def test_the_youngest_of_many_records_is_found_wherever_it_is(count: int) -> None:
    sizes = [40 + number % 90 for number in range(count)]
    for youngest in {0, 1, 2, 15, 16, LONGEST_MIXED - 2, count // 2, count - 2, count - 1}:
        for delta in (40, 70, 9_000):
            records = b"".join(
                padded(2 * size, 1)
                + b"\0"
                + (padded(2 * delta, 1) if number == youngest else b"\x04").ljust(size - 1, b"\1")
                for number, size in enumerate(sizes)
            )
            assert walk_records(records, 0, count) == followed_one_by_one(records, 0, count)
            assert walk_records(records, 0, count)[1] == delta
