"""Building batches: what the header says of the records, and the slips a caller can make."""

import pytest
from ottla.protocol.compression import Codec
from ottla.protocol.records import (
    BatchBuilder,
    ControlType,
    TimestampType,
    build_end_txn_marker,
    crc_is_valid,
    iter_records,
    patch_producer,
    read_header,
)


def test_the_header_sums_up_the_records():
    builder = BatchBuilder(
        Codec.GZIP,
        base_offset=10,
        leader_epoch=4,
        producer_id=7,
        producer_epoch=2,
        base_sequence=30,
        is_transactional=True,
    )
    for timestamp in (500, 900, 300):
        builder.append(timestamp, b"k", b"v")
    header = read_header(builder.build())
    assert (header.base_offset, header.last_offset, header.partition_leader_epoch) == (10, 12, 4)
    assert (header.base_timestamp, header.max_timestamp, header.record_count) == (500, 900, 3)
    assert (header.producer_id, header.producer_epoch, header.last_sequence) == (7, 2, 32)
    assert (header.codec, header.is_transactional, header.is_control) == (Codec.GZIP, True, False)


def test_append_returns_the_records_offset():
    builder = BatchBuilder(base_offset=10)
    assert [builder.append(0, None, b"v"), builder.append(0, None, b"v", offset=15), builder.append(0, None, b"v")] == [
        10,
        15,
        16,
    ]
    header = read_header(builder.build())
    assert (header.last_offset_delta, header.record_count) == (6, 3)


def test_an_offset_that_goes_back_is_our_bug():
    builder = BatchBuilder(base_offset=10)
    builder.append(0, None, b"v", offset=12)
    with pytest.raises(AssertionError):
        builder.append(0, None, b"v", offset=12)


def test_the_size_is_known_before_it_is_built():
    builder = BatchBuilder()
    assert builder.size_bytes == 61
    for _ in range(100):
        builder.append(0, b"key", b"value", [("h", b"x")])
    assert builder.size_bytes == len(builder.build())


def test_a_batch_can_be_built_with_the_logs_time():
    builder = BatchBuilder(timestamp_type=TimestampType.LOG_APPEND_TIME)
    builder.append(100, None, b"a")
    builder.append(200, None, b"b")
    assert [record.timestamp for record in iter_records(builder.build(), max_decompressed_bytes=0)] == [200, 200]


def test_a_builder_builds_the_same_batch_again():
    builder = BatchBuilder(Codec.ZSTD)
    builder.append(0, None, b"v")
    assert builder.build() == builder.build()


def test_only_an_end_has_a_marker_that_ends():
    with pytest.raises(AssertionError):
        build_end_txn_marker(
            ControlType.LEADER_CHANGE, timestamp=0, producer_id=1, producer_epoch=0, coordinator_epoch=0
        )


def test_many_values_at_once_are_the_batch_that_one_by_one_makes():
    values = [b"v" * size for size in (0, 1, 63, 64, 100, 8191, 8192, 9000) * 40]
    together, one_by_one = BatchBuilder(), BatchBuilder()
    for builder in (together, one_by_one):
        builder.append(1000, b"first", b"x")
    assert together.append_values(1007, values, 0, max_size_bytes=10**9) == len(values)
    for value in values:
        one_by_one.append(1007, None, value)
    assert together.size_bytes == one_by_one.size_bytes
    assert together.build() == one_by_one.build()


def test_values_are_added_until_the_batch_is_full_and_the_first_always_is():
    builder = BatchBuilder()
    values = [b"v" * 50] * 10
    assert builder.append_values(0, values, 3, max_size_bytes=10) == 4
    assert builder.append_values(0, values, 4, max_size_bytes=10) == 4
    assert builder.append_values(0, values, 4, max_size_bytes=builder.size_bytes + 120) == 6
    assert builder.record_count == 3
    assert [record.value for record in iter_records(builder.build(), max_decompressed_bytes=1000)] == [b"v" * 50] * 3


def test_a_batch_is_given_another_place_in_a_producers_sequence():
    builder = BatchBuilder(producer_id=1, producer_epoch=2, base_sequence=3)
    builder.append(0, None, b"v")
    batch = builder.build()
    patch_producer(batch, 0, len(batch), producer_id=2**40, epoch=7, base_sequence=2**31 - 1)
    header = read_header(batch)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (2**40, 7, 2**31 - 1)
    assert crc_is_valid(batch, 0, header)


def test_a_record_for_which_there_is_no_room_is_not_taken():
    builder = BatchBuilder()
    assert builder.append_if_room(0, b"key", b"value", 97) == 0
    assert builder.append_if_room(0, b"key", b"value", 132) == -1
    assert builder.record_count == 1
    assert builder.most_bytes == 97 >= builder.size_bytes == builder.most_bytes == len(builder.build())


def test_a_batch_has_room_for_what_its_bytes_leave_once_they_are_counted():
    builder = BatchBuilder()
    for _ in range(100):
        builder.append_if_room(0, None, b"v" * 10, 10**6)
    assert builder.most_bytes == 61 + 100 * 38
    assert builder.has_room(900, 61 + 64 * 17 + 36 * 18 + 900)
    assert not builder.has_room(901, 61 + 64 * 17 + 36 * 18 + 900)
    assert builder.most_bytes == builder.size_bytes == 61 + 64 * 17 + 36 * 18


def test_what_its_owner_may_change_is_copied_when_it_comes():
    key, value = bytearray(b"key"), bytearray(b"value")
    builder = BatchBuilder()
    assert builder.append_if_room(0, key, memoryview(value), 10**6) == -1
    builder.append(0, key, memoryview(value))
    key[:], value[:] = b"old", b"olden"
    (record,) = iter_records(builder.build(), max_decompressed_bytes=0)
    assert (record.key, record.value) == (b"key", b"value")


@pytest.mark.parametrize("field", ["text", 5, [b"v"]])
def test_what_is_not_bytes_is_not_taken(field):
    builder = BatchBuilder()
    assert builder.append_if_room(0, None, field, 10**6) == -1
    with pytest.raises(TypeError):
        builder.append(0, None, field)
    with pytest.raises(TypeError):
        builder.append(0, field, b"v")
    assert builder.record_count == 0


def test_records_of_all_kinds_are_read_in_the_order_in_which_they_were_appended():
    builder = BatchBuilder(base_offset=100)
    assert builder.append_if_room(10, None, b"a", 10**6) == 100
    assert builder.append(7, b"k", b"b", [("h", b"x")]) == 101
    assert builder.append(12, None, None) == 102
    assert builder.append_values(11, [b"c", b"d"], 0, max_size_bytes=10**6) == 2
    assert builder.append(9, b"k", b"e", offset=110) == 110
    assert builder.append_if_room(10, b"k", None, 10**6) == 111
    batch = builder.build()
    records = list(iter_records(batch, max_decompressed_bytes=0))
    assert [(each.offset, each.timestamp, each.key, each.value) for each in records] == [
        (100, 10, None, b"a"),
        (101, 7, b"k", b"b"),
        (102, 12, None, None),
        (103, 11, None, b"c"),
        (104, 11, None, b"d"),
        (110, 9, b"k", b"e"),
        (111, 10, b"k", None),
    ]
    header = read_header(batch)
    assert (header.base_timestamp, header.max_timestamp, header.last_offset) == (10, 12, 111)
