"""The records of `__consumer_offsets`: whatever they hold comes back, in Kafka's bytes."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.coordinators.group_record_format import (
    GROUP_KEY,
    GROUP_VALUE,
    OFFSET_KEY,
    OFFSET_VALUE,
    decode_record,
    encode_record,
)
from ottla.broker.coordinators.group_records import (
    NEVER_MS,
    NO_TOPIC_ID,
    Committed,
    GroupRecord,
    GroupRemoved,
    GroupStored,
    OffsetCommitted,
    OffsetRemoved,
    StoredMember,
)
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.messages import Message

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
INT = st.integers(-(2**31), 2**31 - 1)
MS = st.integers(0, 2**62)
COMMITTED = st.builds(Committed, MS, INT, TEXT, MS, st.just(NEVER_MS), st.uuids())
EXPIRING = st.builds(Committed, MS, st.just(-1), TEXT, MS, MS, st.just(NO_TOPIC_ID))
MEMBER = st.builds(
    StoredMember,
    TEXT,
    st.none() | TEXT,
    TEXT,
    TEXT,
    st.integers(0, 2**31 - 1),
    INT,
    st.binary(max_size=4),
    st.binary(max_size=4),
)
MEMBERS = st.lists(MEMBER, max_size=3, unique_by=(lambda each: each.member_id, lambda each: each.instance_id)).map(
    tuple
)
RECORDS: st.SearchStrategy[GroupRecord] = st.one_of(
    st.builds(OffsetCommitted, TEXT, TEXT, INT, COMMITTED | EXPIRING),
    st.builds(OffsetRemoved, TEXT, TEXT, INT),
    st.builds(
        GroupStored,
        TEXT,
        INT,
        st.none() | TEXT.filter(bool),
        st.none() | TEXT,
        st.none() | TEXT,
        MS,
        MEMBERS,
    ),
    st.builds(GroupRemoved, TEXT),
)


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: GroupRecord) -> None:
    assert decode_record(*encode_record(record)) == record


def test_an_offset_is_written_as_kafka_writes_it() -> None:
    committed = Committed(1, -1, "m", 1795635939340, NEVER_MS, UUID("980d757e-24c1-4bf9-b469-bc30716c50cd"))

    key, value = encode_record(OffsetCommitted("g", "t", 0, committed))

    # From the log of Apache Kafka 4.3.1
    assert key.hex() == "000100016700017400000000"
    assert value is not None
    assert value.hex() == "00040000000000000001ffffffff026d000001a2143e080c010010980d757e24c14bf9b469bc30716c50cd"


@given(COMMITTED, st.integers(0, 140))
def test_the_writer_of_offsets_writes_what_their_schema_says(committed: Committed, metadata_bytes: int) -> None:
    committed = committed._replace(metadata="m" * metadata_bytes)
    said = Message(
        offset=committed.offset,
        leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.committed_at_ms,
        topic_id=committed.topic_id,
    )

    _, value = encode_record(OffsetCommitted("g", "t", 0, committed))

    assert value == OFFSET_VALUE.encode(said, version=4)


def test_what_expires_by_itself_has_neither_epoch_nor_topic_id_as_in_kafka() -> None:
    committed = Committed(5, 3, "m", 100, 200, UUID(int=1))

    _, value = encode_record(OffsetCommitted("g", "t", 0, committed))

    assert value is not None
    assert value.hex() == "0001000000000000000500016d000000000000006400000000000000c8"


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("version", range(5))
def test_every_version_of_an_offset_that_kafka_reads_is_read(kind: int, version: int) -> None:
    key = OFFSET_KEY.encode(Message(group="g", topic="t", partition=2), version=kind)
    said = Message(
        offset=7, leader_epoch=3, metadata="m", commit_timestamp=9, expire_timestamp=10, topic_id=UUID(int=4)
    )

    record = decode_record(key, OFFSET_VALUE.encode(said, version=version))

    assert isinstance(record, OffsetCommitted)
    assert record.committed == Committed(
        7,
        3 if version >= 3 else -1,
        "m",
        9,
        10 if version == 1 else NEVER_MS,
        UUID(int=4) if version == 4 else NO_TOPIC_ID,
    )


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_a_group_that_kafka_reads_is_read(version: int) -> None:
    member = Message(
        member_id="m",
        group_instance_id="i",
        client_id="c",
        client_host="/h",
        rebalance_timeout=60,
        session_timeout=30,
        subscription=b"s",
        assignment=b"a",
    )
    said = Message(
        protocol_type="consumer",
        generation=4,
        protocol="range",
        leader="m",
        current_state_timestamp=99,
        members=[member],
    )

    record = decode_record(GROUP_KEY.encode(Message(group="g"), version=2), GROUP_VALUE.encode(said, version=version))

    stored = StoredMember("m", "i" if version >= 3 else None, "c", "/h", 60 if version else 30, 30, b"s", b"a")
    assert record == GroupStored("g", 4, "consumer", "range", "m", 99 if version >= 2 else -1, (stored,))


@pytest.mark.parametrize("value", [b"\0\0", None])
def test_a_kind_that_is_not_known_here_is_passed_over(value: bytes | None) -> None:
    assert decode_record(b"\0\x63\0\1g", value) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b""),
        (b"\0", b""),
        (b"\0\2\0\5g", None),
        (b"\0\2\0\1g", b"\0\x09"),
        (b"\0\1\0\1g\0\1t\0\0\0\0", b"\0\4\0"),
        (b"\0\1\0\1g\0\1t\0\0\0\0more", b"\0\4\0"),
    ],
)
def test_bytes_that_are_no_record_are_refused(key: bytes, value: bytes | None) -> None:
    with pytest.raises(MalformedMessage):
        decode_record(key, value)


def test_a_group_with_a_member_twice_is_no_group() -> None:
    member = StoredMember("m", None, "c", "/h", 1, 1, b"", b"")
    key, value = encode_record(GroupStored("g", 1, "consumer", "range", "m", 0, (member, member)))

    with pytest.raises(MalformedMessage, match="twice"):
        decode_record(key, value)
