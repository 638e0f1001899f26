"""The records in a batch: beside kafka-python's reader and writer, and everything a peer may get wrong."""

from __future__ import annotations

import contextlib
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from ottla.protocol.compression import Codec
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.records import (
    RECORD_BATCH_OVERHEAD,
    BatchBuilder,
    ControlType,
    Record,
    build_end_txn_marker,
    crc_is_valid,
    encode_record,
    iter_records,
    patch_crc,
    read_end_txn_marker,
    read_header,
)
from ottla.protocol.varints import varint

MUTATIONS = 3_000 if os.environ.get("OTTLA_HEAVY") else 300
PLENTY = 1_000_000

content = st.none() | st.binary(max_size=12) | st.just(b"long" * 40)
headers = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=4), content), max_size=3)
timestamps = st.integers(0, 2**48)
contents = st.lists(st.tuples(timestamps, content, content, headers), min_size=1, max_size=5)
Content = list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]


def build(records: Content, codec: Codec = Codec.NONE) -> bytearray:
    builder = BatchBuilder(codec)
    for each in records:
        builder.append(*each)
    return builder.build()


def read(batch: bytes | bytearray | memoryview, position: int = 0) -> list[Record]:
    return list(iter_records(batch, position, max_decompressed_bytes=PLENTY))


def batch_around(body: bytes, record_count: int) -> bytearray:
    """A batch, its CRC right, with any bytes where the records are."""
    batch = build([(0, None, None, [])])[:RECORD_BATCH_OVERHEAD] + body
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">i", batch, 57, record_count)
    patch_crc(batch, 0, len(batch))
    return batch


@given(contents, st.sampled_from(Codec))
def test_what_was_appended_is_read(records: Content, codec: Codec):
    batch = build(records, codec)
    assert read(batch) == [Record(index, *each) for index, each in enumerate(records)]
    assert crc_is_valid(batch, 0, read_header(batch))


@given(contents)
def test_kafka_python_reads_what_we_build(records: Content):
    theirs = DefaultRecordBatch(bytes(build(records)))
    assert theirs.validate_crc()
    assert [(r.offset, r.timestamp, r.key, r.value, list(map(tuple, r.headers))) for r in theirs] == [
        (index, *each) for index, each in enumerate(records)
    ]


@given(contents)
def test_kafka_python_writes_what_we_build(records: Content):
    theirs = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 10**6)
    for index, (timestamp, key, value, headers) in enumerate(records):
        theirs.append(index, timestamp, key, value, headers)
    written = bytearray(theirs.build())
    ours = build(records)
    ours[12:16] = written[12:16]  # they leave the leader epoch at 0, Java at -1
    assert ours == written


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("codec", Codec)
def test_any_buffer_will_do_and_any_position(form: type, codec: Codec):
    batch = build([(5, b"k", b"v", [("h", b"x")])], codec)
    assert read(form(b"xx" + batch + b"yy"), 2) == [Record(0, 5, b"k", b"v", [("h", b"x")])]


def test_offsets_and_timestamps_count_from_those_of_the_batch():
    builder = BatchBuilder(base_offset=100)
    builder.append(50, None, b"a")
    builder.append(40, None, b"b", offset=107)
    records = read(builder.build())
    assert [(record.offset, record.timestamp) for record in records] == [(100, 50), (107, 40)]


def test_records_come_one_at_a_time():
    good = encode_record(0, 0, b"k", b"v")
    reader = iter_records(batch_around(good + b"\x0enonsense", 2), max_decompressed_bytes=0)
    assert next(reader).key == b"k"
    with pytest.raises(MalformedMessage):
        next(reader)


@settings(max_examples=MUTATIONS, deadline=None)
@given(contents, st.sampled_from(Codec), st.data())
def test_mutated_batches_are_read_or_malformed(records: Content, codec: Codec, data: st.DataObject):
    batch = build(records, codec)
    for _ in range(data.draw(st.integers(1, 4))):
        batch[data.draw(st.integers(0, len(batch) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessage):
        read(batch)


@settings(max_examples=MUTATIONS, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 3))
def test_any_bytes_are_records_or_malformed(body: bytes, record_count: int):
    with contextlib.suppress(MalformedMessage):
        assert len(read(batch_around(body, record_count))) == record_count


def record_with(length: int | None = None, rest: bytes = b"\0\0\0\x02k\x02v\0") -> bytes:
    """A record whose fields are `rest` (attributes, deltas, key, value, header count) and whose length may lie."""
    return varint(len(rest) if length is None else length) + rest


@pytest.mark.parametrize(
    "body",
    [
        record_with(length=9),
        record_with(length=7),
        record_with(length=-1),
        record_with(length=2**31 - 1),
        record_with(rest=b"\0\0\0\x7ek\x02v\0"),  # a key longer than the record
        record_with(rest=b"\0\0\0\x02k\x7ev\0"),
        record_with(rest=b"\0\0\0\x02k" + varint(2**31 - 1) + b"v\0"),
        record_with(rest=b"\0\0\0\x02k\x02v\x02\x7ea"),  # a header's key longer than the record
        record_with(rest=b"\0\0\0\x02k\x02v\x02\x01\x01"),  # a header whose key is null
        record_with(rest=b"\0\0\0\x02k\x02v\x01"),  # -1 headers
        record_with(rest=b"\0\0\0\x02k\x02v" + varint(2**30)),
        record_with(rest=b"\0\0\0\x02k\x02v\0"[:-1]),  # no header count
        b"\x80\x80\x80\x80\x80\x00" + bytes(20),  # an overlong varint
        record_with() + b"left over",
        b"",
    ],
)
def test_a_record_that_cannot_be_is_malformed(body: bytes):
    with pytest.raises(MalformedMessage):
        read(batch_around(body, 1))


@pytest.mark.parametrize("count", [-1, 0, 2, 3, 2**31 - 1, -(2**31)])
def test_a_count_that_lies_is_malformed(count: int):
    with pytest.raises(MalformedMessage):
        read(batch_around(record_with(), count))


def test_a_headers_key_that_is_not_utf_8_keeps_its_bytes():
    batch = batch_around(record_with(rest=b"\0\0\0\x02k\x02v\x02\x04\xc3\x28\x01"), 1)
    (record,) = read(batch)
    again = encode_record(0, 0, record.key, record.value, record.headers)
    assert again == bytes(batch[RECORD_BATCH_OVERHEAD:])


def test_a_batch_without_records_is_read_as_such():
    assert read(batch_around(b"", 0)) == []


def test_a_batch_cut_short_is_malformed():
    batch = build([(0, b"k", b"v", [])])
    for size in range(len(batch)):
        with pytest.raises(MalformedMessage):
            read(batch[:size])


def test_a_codec_that_does_not_exist_is_malformed():
    batch = build([(0, b"k", b"v", [])])
    batch[22] = 7
    with pytest.raises(MalformedMessage):
        read(batch)


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
def test_a_batch_unfolds_no_further_than_allowed(codec: Codec):
    batch = build([(0, None, bytes(100_000), [])], codec)
    assert len(read(batch)[0].value or b"") == 100_000
    with pytest.raises(MalformedMessage, match="more than 100000"):
        list(iter_records(batch, max_decompressed_bytes=100_000))


def test_a_negative_length_other_than_minus_one_is_null_as_java_reads_it():
    (record,) = read(batch_around(record_with(rest=b"\0\0\0\x03\x02v\0"), 1))
    assert (record.key, record.value) == (None, b"v")


@pytest.mark.parametrize("kind", [ControlType.COMMIT, ControlType.ABORT])
def test_a_marker_says_how_the_transaction_ended(kind: ControlType):
    batch = build_end_txn_marker(kind, timestamp=7, producer_id=3, producer_epoch=1, coordinator_epoch=9)
    header = read_header(batch)
    assert (header.is_control, header.is_transactional, header.producer_id) == (True, True, 3)
    (record,) = read(batch)
    assert (read_end_txn_marker(record).type, read_end_txn_marker(record).coordinator_epoch) == (kind, 9)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (b"\0\0", b"\0\0\0\0\0\0"),
        (b"\0\0\0\x01", b"\0"),
        (b"\0\0\0\x02", b"\0\0\0\0\0\0"),  # a leader change
        (b"\0\0\0\x63", b"\0\0\0\0\0\0"),
    ],
)
def test_other_control_records_end_no_transaction(key: bytes | None, value: bytes | None):
    with pytest.raises(MalformedMessage):
        read_end_txn_marker(Record(0, 0, key, value))
