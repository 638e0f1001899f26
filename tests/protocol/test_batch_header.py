"""The header of a batch: read, walked over, and patched in place."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.compression import Codec
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.records import (
    RECORD_BATCH_OVERHEAD,
    BatchBuilder,
    BatchHeader,
    TimestampType,
    crc_is_valid,
    iter_headers,
    iter_records,
    patch_create_time,
    patch_log_append_time,
    patch_max_timestamp,
    patch_offsets,
    read_header,
    read_magic,
)


def batch_of(*values: bytes, **options: int) -> bytearray:
    builder = BatchBuilder(**options)  # type: ignore[arg-type]
    for index, value in enumerate(values or (b"v",)):
        builder.append(1_000 + index, None, value)
    return builder.build()


def test_each_field_is_read_from_its_place():
    packed = struct.pack(">qiibIhiqqqhii", 11, 88, 3, 2, 0xDEADBEEF, 0x74, 5, 6, 7, 8, 9, 10, 12)
    header = read_header(b"--" + packed, 2)
    assert header == BatchHeader(
        base_offset=11,
        size_bytes=100,
        partition_leader_epoch=3,
        magic=2,
        crc=0xDEADBEEF,
        attributes=0x74,
        last_offset_delta=5,
        base_timestamp=6,
        max_timestamp=7,
        producer_id=8,
        producer_epoch=9,
        base_sequence=10,
        record_count=12,
    )
    assert (header.last_offset, header.next_offset, header.last_sequence) == (16, 17, 15)
    assert (header.codec, header.timestamp_type) == (Codec.ZSTD, TimestampType.CREATE_TIME)
    assert (header.is_transactional, header.is_control, header.has_delete_horizon) == (True, True, True)


def test_a_sequence_begins_again_after_the_largest_int32():
    header = read_header(batch_of(b"a", b"b", b"c", producer_id=1, producer_epoch=0, base_sequence=2**31 - 2))
    assert header.last_sequence == 0


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_codec_that_does_not_exist_is_malformed(number: int):
    with pytest.raises(MalformedMessage, match=str(number)):
        _ = read_header(batch_of())._replace(attributes=number).codec


@given(st.integers(0, RECORD_BATCH_OVERHEAD - 1))
def test_fewer_than_61_bytes_are_no_header(size: int):
    with pytest.raises(MalformedMessage):
        read_header(batch_of()[:size])


@pytest.mark.parametrize("length", [48, 0, -1, -(2**31)])
def test_a_batch_cannot_be_shorter_than_its_header(length: int):
    batch = batch_of()
    struct.pack_into(">i", batch, 8, length)
    with pytest.raises(MalformedMessage, match="shorter"):
        read_header(batch)
    with pytest.raises(MalformedMessage):
        list(iter_headers(batch))


def test_the_header_may_be_read_before_its_batch_is_here_whole():
    batch = batch_of(b"x" * 100)
    assert read_header(batch[:RECORD_BATCH_OVERHEAD]).size_bytes == len(batch)


def test_the_magic_of_older_formats_is_read_too():
    assert read_magic(bytes(16) + b"\x01") == 1
    assert read_magic(b"--" + bytes(16) + b"\x02", 2) == 2
    with pytest.raises(MalformedMessage):
        read_magic(bytes(16))


@given(st.lists(st.lists(st.binary(max_size=9), min_size=1, max_size=3), max_size=4), st.integers(0, 70))
def test_headers_are_walked_until_a_batch_is_cut_short(contents: list[list[bytes]], cut: int):
    batches = [batch_of(*values) for values in contents]
    data = b"".join(batches)
    whole = memoryview(data)[: max(0, len(data) - cut)]
    walked = list(iter_headers(whole))
    ends = [sum(map(len, batches[: index + 1])) for index in range(len(batches))]
    assert [at + header.size_bytes for at, header in walked] == [end for end in ends if end <= len(whole)]
    assert [header.record_count for _, header in walked] == list(map(len, contents))[: len(walked)]


def test_walking_can_begin_anywhere():
    data = batch_of(b"a") + batch_of(b"b", b"c")
    ((at, header),) = iter_headers(data, len(batch_of(b"a")))
    assert (at, header.record_count) == (len(batch_of(b"a")), 2)


@given(st.data())
def test_any_changed_bit_after_the_crc_shows(data: st.DataObject):
    batch = batch_of(b"value", b"another")
    at = data.draw(st.integers(17, len(batch) - 1))
    batch[at] ^= 1 << data.draw(st.integers(0, 7))
    assert not crc_is_valid(batch, 0, read_header(batch))


def test_the_crc_of_a_batch_in_the_middle_is_checked_there():
    data = b"xx" + batch_of(b"a") + b"yy"
    assert crc_is_valid(memoryview(data), 2, read_header(data, 2))


def test_a_batch_that_is_not_here_whole_has_no_valid_crc():
    batch = batch_of(b"value")
    assert not crc_is_valid(batch[:-1], 0, read_header(batch))


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1))
def test_offsets_are_patched_without_touching_the_crc(base_offset: int, leader_epoch: int):
    batch = bytearray(b"xx") + batch_of(b"a", b"b")
    before = read_header(batch, 2)
    patch_offsets(memoryview(batch), 2, base_offset, leader_epoch)
    after = read_header(batch, 2)
    assert after == before._replace(base_offset=base_offset, partition_leader_epoch=leader_epoch)
    assert crc_is_valid(batch, 2, after)


def test_the_logs_time_goes_to_every_record_and_back_again():
    batch = bytearray(b"xx") + batch_of(b"a", b"b")
    size = len(batch) - 2
    patch_log_append_time(batch, 2, size, 5_000)
    header = read_header(batch, 2)
    assert (header.timestamp_type, header.max_timestamp) == (TimestampType.LOG_APPEND_TIME, 5_000)
    assert crc_is_valid(batch, 2, header)
    assert [record.timestamp for record in iter_records(batch, 2, max_decompressed_bytes=0)] == [5_000, 5_000]
    patch_create_time(batch, 2, size, 1_001)
    assert batch[2:] == batch_of(b"a", b"b")


def test_a_wrong_largest_timestamp_is_put_right():
    batch = batch_of(b"a", b"b")
    wrong = bytearray(batch)
    patch_max_timestamp(wrong, 0, len(wrong), 99)
    assert wrong != batch
    patch_max_timestamp(wrong, 0, len(wrong), 1_001)
    assert wrong == batch


@given(st.binary(max_size=200))
def test_any_bytes_are_headers_or_malformed(data: bytes):
    try:
        for at, header in iter_headers(data):
            assert at + header.size_bytes <= len(data)
    except MalformedMessage:
        pass
