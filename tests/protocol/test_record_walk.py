import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.record_walk import offset_delta, walk_records
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
