import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.produce_validation import AppendRules, RecordsRefused, header_of_plain_batch, validate
from ottla.protocol.batch_header import HEADER
from ottla.protocol.compression import UNFOLDED_SPARE_BYTES
from ottla.protocol.errors import ErrorCode
from ottla.protocol.records import (
    BatchBuilder,
    Codec,
    TimestampType,
    crc_is_valid,
    iter_records,
    patch_crc,
    read_header,
)
from ottla.protocol.spare_buffers import SpareBuffers
from support.batches import batch

NOW_MS = 1_000_000
HOUR_MS = 3_600_000
SPARES = SpareBuffers(most=1, largest_bytes=UNFOLDED_SPARE_BYTES)


def rules(**changes: object) -> AppendRules:
    defaults: dict[str, object] = {
        "max_message_bytes": 1_000_000,
        "log_append_time": False,
        "timestamp_before_max_ms": 2**63 - 1,
        "timestamp_after_max_ms": HOUR_MS,
        "compression": None,
        "compression_level": None,
        "needs_keys": False,
        "max_decompressed_bytes": 10_000_000,
    }
    return AppendRules(**(defaults | changes))  # type: ignore[arg-type]


def check(data: bytearray, *, version: int = 9, **changes: object) -> memoryview:
    """What `validate` says; the short way, where it says anything, must say that the batch is good as it is."""
    sent, plain = bytes(data), header_of_plain_batch(memoryview(data), rules(**changes), NOW_MS)
    valid = validate(memoryview(data), rules(**changes), version=version, partition="t-0", now_ms=NOW_MS, spares=SPARES)
    assert plain is None or (bytes(valid) == sent and plain == HEADER.unpack_from(sent))
    return valid


def refusal(data: bytearray, *, version: int = 9, **changes: object) -> RecordsRefused:
    assert header_of_plain_batch(memoryview(data), rules(**changes), NOW_MS) is None
    with pytest.raises(RecordsRefused) as refused:
        check(data, version=version, **changes)
    return refused.value


def sealed(data: bytearray) -> bytearray:
    patch_crc(data, 0, len(data))
    return data


def patched(data: bytearray, position: int, value: bytes) -> bytearray:
    data[position : position + len(value)] = value
    return sealed(data)


def test_the_short_way_takes_what_producers_send() -> None:
    numbered = BatchBuilder(producer_id=4, producer_epoch=1, base_sequence=7)
    numbered.append(NOW_MS - 5, None, b"v")
    numbered.append(NOW_MS, b"k", b"v" * 300)

    for data in (batch(b"a", b"b"), numbered.build()):
        assert header_of_plain_batch(memoryview(data), rules(), NOW_MS) == HEADER.unpack_from(data)


def test_the_short_way_takes_records_of_many_sizes_and_only_with_the_largest_timestamp_that_they_have() -> None:
    builder = BatchBuilder()
    for number in range(200):
        builder.append(NOW_MS - 300 + number, b"k" * (number % 7) or None, b"v" * (number * 37 % 150))
    data = builder.build()

    assert header_of_plain_batch(memoryview(data), rules(), NOW_MS) == HEADER.unpack_from(data)
    for largest in (NOW_MS - 102, NOW_MS - 100):
        wrong = patched(bytearray(data), 35, largest.to_bytes(8, "big"))
        assert header_of_plain_batch(memoryview(wrong), rules(), NOW_MS) is None
        assert read_header(check(wrong)).max_timestamp == NOW_MS - 101


def test_a_good_batch_passes_as_the_same_memory() -> None:
    data = batch(b"a", b"b")
    assert check(data).obj is data


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=8))
def test_the_largest_timestamp_is_found_among_the_records(timestamps: list[int]) -> None:
    builder = BatchBuilder()
    for timestamp in timestamps:
        builder.append(timestamp, None, b"v")
    data = patched(builder.build(), 35, (12345).to_bytes(8, "big"))
    header = read_header(check(data, timestamp_after_max_ms=2**62))
    assert header.max_timestamp == max(-1, *timestamps, -1)


@pytest.mark.parametrize("data", [bytearray(), bytearray(11)])
def test_no_batch_is_an_invalid_record(data: bytearray) -> None:
    assert refusal(data).code is ErrorCode.INVALID_RECORD


def test_two_batches_are_an_invalid_record() -> None:
    assert refusal(batch() + batch()).code is ErrorCode.INVALID_RECORD


def test_a_few_stray_bytes_pass_and_are_not_appended() -> None:
    data = batch()
    assert len(check(data + bytes(11))) == len(data)


def test_twelve_stray_bytes_are_corrupt() -> None:
    assert refusal(batch() + bytes(12)).code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize(
    ("magic", "code"),
    [(0, ErrorCode.INVALID_RECORD), (1, ErrorCode.INVALID_RECORD), (3, ErrorCode.CORRUPT_MESSAGE)],
)
def test_another_magic_is_refused(magic: int, code: ErrorCode) -> None:
    data = batch()
    data[16] = magic
    assert refusal(data).code is code


def test_zstd_needs_version_7() -> None:
    data = batch(b"a", codec=Codec.ZSTD)
    assert refusal(data, version=6).code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    check(data, version=7)


def test_a_base_offset_that_is_not_0_is_an_invalid_record() -> None:
    data = batch()
    data[7] = 1
    assert refusal(data).code is ErrorCode.INVALID_RECORD


def test_a_large_batch_is_refused_with_its_size() -> None:
    refused = refusal(batch(b"x" * 200), max_message_bytes=100)
    assert refused.code is ErrorCode.MESSAGE_TOO_LARGE
    assert "100" in refused.message


def test_a_wrong_checksum_is_corrupt() -> None:
    data = batch()
    data[-1] ^= 1
    assert refusal(data).code is ErrorCode.CORRUPT_MESSAGE


def test_a_batch_that_is_not_there_whole_is_no_batch() -> None:
    assert refusal(batch()[:-1]).code is ErrorCode.INVALID_RECORD


def test_a_second_batch_that_is_not_there_whole_is_ignored() -> None:
    data = batch()
    assert len(check(data + batch()[:-1])) == len(data)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_count_that_is_not_the_offset_span_is_an_invalid_record(count: int) -> None:
    data = patched(batch(b"a", b"b"), 57, count.to_bytes(4, "big"))
    assert refusal(data).code is ErrorCode.INVALID_RECORD


@pytest.mark.parametrize("count", [1, 3])
def test_a_count_and_span_that_the_records_do_not_bear_out_are_an_invalid_record(count: int) -> None:
    data = batch(b"a", b"b")
    data[23:27] = (count - 1).to_bytes(4, "big")
    assert refusal(patched(data, 57, count.to_bytes(4, "big"))).code is ErrorCode.INVALID_RECORD


def test_compressed_records_must_end_where_the_batch_says() -> None:
    builder = BatchBuilder(Codec.GZIP)
    builder.append(NOW_MS, None, b"a")
    builder.append(NOW_MS, None, b"b", offset=5)
    data = builder.build()
    data[23:27] = (1).to_bytes(4, "big")
    assert refusal(sealed(data)).code is ErrorCode.INVALID_RECORD


def test_clients_may_not_write_control_batches() -> None:
    assert refusal(batch(is_control=True)).code is ErrorCode.INVALID_RECORD


def test_a_producer_id_without_a_sequence_is_an_invalid_record() -> None:
    assert refusal(batch(producer_id=5, producer_epoch=0)).code is ErrorCode.INVALID_RECORD


def test_each_record_without_a_key_is_named_on_a_compacted_topic() -> None:
    refused = refusal(batch(b"a", b"b"), needs_keys=True)
    assert refused.code is ErrorCode.INVALID_RECORD
    assert [index for index, _ in refused.record_errors] == [0, 1]
    check(batch(b"a", key=b"k"), needs_keys=True)


def test_each_timestamp_too_far_ahead_is_named() -> None:
    builder = BatchBuilder()
    builder.append(NOW_MS, None, b"fine")
    builder.append(NOW_MS + HOUR_MS + 1, None, b"ahead")
    refused = refusal(builder.build())
    assert refused.code is ErrorCode.INVALID_TIMESTAMP
    assert [index for index, _ in refused.record_errors] == [1]


def test_a_timestamp_too_old_is_refused_where_a_bound_is_set() -> None:
    data = batch(timestamp=NOW_MS - 11)
    assert refusal(data, timestamp_before_max_ms=10).code is ErrorCode.INVALID_TIMESTAMP
    check(data, timestamp_before_max_ms=11)


def test_a_largest_timestamp_that_no_record_has_is_put_right() -> None:
    data = patched(batch(timestamp=NOW_MS), 35, (2**62).to_bytes(8, "big"))
    header = read_header(check(data))
    assert header.max_timestamp == NOW_MS
    assert crc_is_valid(data, 0, header)


def test_a_client_that_claims_log_append_time_keeps_its_own_times() -> None:
    data = batch(timestamp=NOW_MS)
    data[22] |= 8
    header = read_header(check(sealed(data)))
    assert header.timestamp_type is TimestampType.CREATE_TIME
    assert header.max_timestamp == NOW_MS


def test_log_append_time_is_stamped_into_the_batch() -> None:
    valid = check(batch(timestamp=NOW_MS + 10 * HOUR_MS), log_append_time=True)
    header = read_header(valid)
    assert header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert header.max_timestamp == NOW_MS
    assert crc_is_valid(valid, 0, header)


@pytest.mark.parametrize("sent", list(Codec))
@pytest.mark.parametrize("kept", list(Codec))
def test_the_topics_compression_replaces_the_producers(sent: Codec, kept: Codec) -> None:
    valid = check(batch(b"a" * 500, b"b", codec=sent), compression=kept)
    header = read_header(valid)
    assert header.codec is kept
    assert crc_is_valid(valid, 0, header)
    assert [record.value for record in iter_records(valid, max_decompressed_bytes=10_000)] == [
        b"a" * 500,
        b"b",
    ]


def test_a_batch_that_unfolds_past_the_bound_is_an_invalid_record() -> None:
    data = batch(bytes(1_000_000), codec=Codec.GZIP)
    refused = refusal(data, compression=Codec.ZSTD, max_decompressed_bytes=100_000)
    assert refused.code is ErrorCode.INVALID_RECORD


@given(data=st.data())
def test_mutated_batches_are_refused_or_whole(data: st.DataObject) -> None:
    mutated = batch(b"a" * 30, b"b", key=b"k")
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(mutated) - 1))
        mutated[position] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        sealed(mutated)
    try:
        valid = check(mutated)
    except RecordsRefused:
        return
    assert crc_is_valid(valid, 0, read_header(valid))
