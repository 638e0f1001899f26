"""Records taken apart as far as compaction needs: against the reader that takes them apart whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.keyed_records import iter_keyed, unfolded_records, with_timestamp_delta
from ottla.protocol.records import BatchBuilder, Codec, iter_records, read_header

LIMIT = 1 << 20

RECORDS = st.lists(
    st.tuples(
        st.integers(-(2**40), 2**40),
        st.none() | st.binary(max_size=200),
        st.none() | st.binary(max_size=300),
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=9)), max_size=3),
    ),
    min_size=1,
    max_size=20,
)


@given(RECORDS, st.sampled_from(Codec))
def test_it_sees_what_the_reader_of_records_sees(given_records, codec) -> None:
    builder = BatchBuilder(codec, base_offset=100)
    for record in given_records:
        builder.append(*record)
    batch = builder.build()
    header = read_header(batch)
    data = unfolded_records(batch, header, max_bytes=LIMIT)
    keyed = list(iter_keyed(data, header.record_count))
    whole = list(iter_records(batch, max_decompressed_bytes=LIMIT))
    assert [(each.offset_delta + 100, each.key, each.has_value) for each in keyed] == [
        (each.offset, each.key, each.value is not None) for each in whole
    ]
    assert [each.timestamp_delta + header.base_timestamp for each in keyed] == [each.timestamp for each in whole]
    assert b"".join(data[each.start : each.end] for each in keyed) == data
    assert b"".join(with_timestamp_delta(data, each, each.timestamp_delta) for each in keyed) == data


@given(st.binary(max_size=60), st.integers(1, 4))
def test_noise_is_malformed_and_nothing_worse(noise: bytes, count: int) -> None:
    try:
        records = list(iter_keyed(noise, count))
    except MalformedMessage:
        return
    assert len(records) == count
    assert records[-1].end == len(noise)


def test_what_is_left_after_the_last_record_is_an_error() -> None:
    builder = BatchBuilder()
    builder.append(0, b"k", b"v")
    batch = builder.build()
    data = unfolded_records(batch, read_header(batch), max_bytes=LIMIT)
    with pytest.raises(MalformedMessage, match="1 bytes are left"):
        list(iter_keyed(data + b"\0", 1))
    with pytest.raises(MalformedMessage):
        list(iter_keyed(data, 2))
