"""The records of groups: whatever they hold comes back, and later releases may add to them."""

from __future__ import annotations

from uuid import UUID

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.coordinators.group_records import (
    Committed,
    GroupDeleted,
    GroupRecord,
    GroupStored,
    OffsetsCommitted,
    OffsetsDeleted,
    StoredMember,
    TopicForgotten,
    TopicOffsets,
    UnknownRecord,
    decode_record,
    encode_record,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
NUMBER = st.integers(-(2**63), 2**63 - 1)
COMMITTED = st.builds(Committed, NUMBER, NUMBER, TEXT, NUMBER, NUMBER)
TOPIC_OFFSETS = st.builds(
    TopicOffsets, TEXT, st.uuids(), st.lists(st.tuples(st.integers(0, 9), COMMITTED), max_size=3).map(tuple)
)
MEMBER = st.builds(
    StoredMember,
    TEXT,
    st.none() | TEXT,
    TEXT,
    TEXT,
    NUMBER,
    NUMBER,
    st.lists(st.tuples(TEXT, st.binary(max_size=4)), max_size=3).map(tuple),
    st.binary(max_size=4),
)
RECORDS: st.SearchStrategy[GroupRecord] = st.one_of(
    st.builds(
        GroupStored,
        TEXT,
        NUMBER,
        st.none() | TEXT,
        st.none() | TEXT,
        st.none() | TEXT,
        NUMBER,
        st.lists(MEMBER, max_size=3).map(tuple),
    ),
    st.builds(GroupDeleted, TEXT),
    st.builds(OffsetsCommitted, TEXT, st.lists(TOPIC_OFFSETS, max_size=3).map(tuple)),
    st.builds(
        OffsetsDeleted,
        TEXT,
        st.lists(st.tuples(TEXT, st.lists(st.integers(0, 9), max_size=3).map(tuple)), max_size=3).map(tuple),
    ),
    st.builds(TopicForgotten, TEXT, st.uuids()),
)


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: GroupRecord) -> None:
    assert decode_record(encode_record(record)) == record


@given(RECORDS)
def test_what_a_later_release_adds_at_the_end_is_left_alone(record: GroupRecord) -> None:
    array = msgpack.unpackb(encode_record(record))

    assert decode_record(msgpack.packb([*array, "new"])) == record


def test_a_kind_of_a_later_release_is_kept() -> None:
    data = msgpack.packb([99, 0, "whatever"])

    record = decode_record(data)

    assert record == UnknownRecord([99, 0, "whatever"])
    assert encode_record(record) == data


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", msgpack.packb("text"), msgpack.packb([10]), msgpack.packb([10, 0, 5, 5])]
)
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"record|msgpack"):
        decode_record(data)


def test_the_layout_of_a_commit() -> None:
    topic_id = UUID(int=7)
    record = OffsetsCommitted("readers", (TopicOffsets("orders", topic_id, ((2, Committed(40, 3, "m", 1000, -1)),)),))

    array = msgpack.unpackb(encode_record(record))

    assert array == [10, 0, "readers", [["orders", topic_id.bytes, [[2, [40, 3, "m", 1000, -1]]]]]]
