"""A log of `__consumer_offsets` that Apache Kafka 4.3.1 wrote: what it means, and that we write the same bytes."""

from __future__ import annotations

from pathlib import Path

from ottla.broker.coordinators.group_record_format import decode_record, encode_record
from ottla.broker.coordinators.group_records import (
    GroupRecord,
    GroupRemoved,
    GroupStored,
    OffsetCommitted,
    OffsetRemoved,
    StoredMember,
)
from ottla.broker.coordinators.groups_state import GroupsState
from ottla.protocol.records import BatchBuilder, Record, iter_headers, iter_records

GOLDEN = bytes.fromhex(Path(__file__).with_name("golden_consumer_offsets.hex").read_text())
ONE_MB = 2**20


def records() -> list[Record]:
    return [
        record
        for position, _ in iter_headers(GOLDEN)
        for record in iter_records(GOLDEN, position, max_decompressed_bytes=ONE_MB)
    ]


def decoded() -> list[GroupRecord]:
    found = [decode_record(record.key or b"", record.value) for record in records()]
    return [each for each in found if each is not None]


def test_every_record_is_known() -> None:
    assert len(decoded()) == len(records())
    assert {type(each) for each in decoded()} == {OffsetCommitted, OffsetRemoved, GroupStored, GroupRemoved}


def test_what_is_written_again_is_the_same_to_the_byte() -> None:
    for record, value in zip(records(), decoded(), strict=True):
        assert encode_record(value) == (record.key, record.value), value


def test_its_batches_are_ours_to_the_byte() -> None:
    for position, header in iter_headers(GOLDEN):
        builder = BatchBuilder(base_offset=header.base_offset, leader_epoch=0, base_sequence=0)
        for record in iter_records(GOLDEN, position, max_decompressed_bytes=ONE_MB):
            builder.append(record.timestamp, record.key, record.value)
        assert builder.build() == GOLDEN[position : position + header.size_bytes]


def test_the_records_tell_what_was_asked_of_kafka() -> None:
    new, generation, first, second, long, empty, *rest = decoded()
    assert isinstance(new, GroupStored)
    assert (new.group_id, new.generation, new.protocol_type, new.members) == ("g", 0, None, ())
    assert isinstance(generation, GroupStored)
    (member,) = generation.members
    assert generation.leader_id == member.member_id
    subscription = b"\0\1\0\0\0\1\0\1t\xff\xff\xff\xff"
    assert member == StoredMember(
        member.member_id, "instance", "wire", "/127.0.0.1", 20_000, 10_000, subscription, b"everything"
    )
    assert isinstance(first, OffsetCommitted)
    assert isinstance(second, OffsetCommitted)
    assert isinstance(long, OffsetCommitted)
    assert [each.committed[:3] for each in (first, second, long)] == [(5, -1, "m"), (6, 3, ""), (2**40, -1, "ä" * 200)]
    assert isinstance(empty, GroupStored)
    assert (empty.generation, empty.protocol_type, empty.protocol_name, empty.members) == (2, "consumer", None, ())
    expiring = rest[0]
    assert isinstance(expiring, OffsetCommitted)
    assert expiring.committed.expires_at_ms - expiring.committed.committed_at_ms == 3_600_000
    assert OffsetRemoved("g", "u", 0) in rest
    assert GroupRemoved("g") in rest


def test_in_the_end_nothing_is_left() -> None:
    state = GroupsState()
    for offset, record in enumerate(decoded()):
        state.apply(record, offset=offset, producer=None)
    state.check()
    assert (state.groups, state.offsets) == ({}, {})
