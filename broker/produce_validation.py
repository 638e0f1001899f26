"""Whether the records of one partition in a Produce request may be appended, and in what form: pure.

Kafka's order of checks is kept (ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator), for
a batch that is wrong twice is told the first thing. A batch crosses as bytes: what its header says is checked against
the bytes, the CRC is computed once, and the records, unfolded if need be, are walked by their size prefixes, so that a
batch that no consumer could read is caught, and its largest timestamp is right, which retention relies on. The rest of a
record is looked at only where a setting asks for it or something is wrong and each bad one must be named: compaction (a
key is needed), bounds on timestamps.
"""

from dataclasses import dataclass

from ..protocol.batch_header import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    MAGIC_POSITION,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
)
from ..protocol.compression import Codec, compress, decompress
from ..protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ..protocol.records import (
    LOG_OVERHEAD,
    RECORD_BATCH_OVERHEAD,
    BatchHeader,
    Record,
    crc_is_valid,
    encode_record,
    iter_records,
    patch_create_time,
    patch_log_append_time,
    read_header,
    with_records,
)
from ..protocol.varints import read_varint, read_varlong

MAGIC = 2
SMALLEST_LEGACY_RECORD = 14  # the least length that any format's batch or message has behind its length field
SHOWN_RECORD_ERRORS = 3
ZSTD_FROM = 7
NO_TIMESTAMP = -1
LARGEST_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendRules:
    """What one topic demands of its records; times in milliseconds, sizes in bytes."""

    max_message_bytes: int
    log_append_time: bool
    timestamp_before_max_ms: int
    timestamp_after_max_ms: int
    compression: Codec | None
    compression_level: int | None
    needs_keys: bool
    max_decompressed_bytes: int


class RecordsRefused(KafkaError):
    """A batch that may not be appended. `message` is for our log; what the client is told are the other fields.

    `record_errors` pairs the index of a record with what is wrong with it, `client_message` is Kafka's sentence where it
    sends one, `tells_log_start` whether the answer carries the log start offset: Kafka's does from where the log looked.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        record_errors: list[tuple[int, str | None]] | None = None,
        client_message: str | None = None,
        tells_log_start: bool = False,
    ) -> None:
        super().__init__(code, message)
        self.record_errors = record_errors or []
        self.client_message = client_message
        self.tells_log_start = tells_log_start


def _invalid(message: str) -> RecordsRefused:
    """What the log itself finds wrong with a batch."""
    return RecordsRefused(ErrorCode.INVALID_RECORD, message, tells_log_start=True)


def validate(batch: memoryview, rules: AppendRules, *, version: int, partition: str, now_ms: int) -> memoryview:
    """Check what a client sent for one partition and return the batch to append, which may be the same memory.

    `batch` must be writable: under LogAppendTime its timestamp is set in place. `partition` is `topic-index`, for
    messages. Raises RecordsRefused.
    """
    header = _only_batch(batch, version)
    batch = batch[: header.size_bytes]
    _check_envelope(batch, header, rules, partition)
    _check_batch(header)
    largest_timestamp = _walk(batch, header, rules)
    if rules.needs_keys:
        _check_keys(batch, rules, partition)
    if not rules.log_append_time:
        _check_timestamps(batch, largest_timestamp, rules, now_ms)
    if rules.compression is not None and rules.compression != header.codec:
        batch = _recompress(batch, header, rules, partition)
    if rules.log_append_time:
        patch_log_append_time(batch, 0, len(batch), now_ms)
    elif header.max_timestamp != largest_timestamp or header.attributes & TIMESTAMP_TYPE_BIT:
        # as Kafka, silently: the topic says whose time counts, and the records which is the largest
        patch_create_time(batch, 0, len(batch), largest_timestamp)
    return batch


def is_transactional(batch: memoryview) -> bool:
    """Whether the first batch says that it belongs to a transaction, as far as there is one."""
    return len(batch) > ATTRIBUTES_POSITION + 1 and bool(batch[ATTRIBUTES_POSITION + 1] & TRANSACTIONAL_BIT)


def _only_batch(batch: memoryview, version: int) -> BatchHeader:
    """The header of the one batch that a partition may send per request."""
    size_bytes = _batch_size(batch)
    said = f"Produce requests with version {version}"
    if size_bytes is None:
        raise RecordsRefused(ErrorCode.INVALID_RECORD, f"{said} must have at least one record batch per partition")
    if batch[MAGIC_POSITION] < MAGIC:
        raise RecordsRefused(
            ErrorCode.INVALID_RECORD, f"{said} are only allowed to contain record batches with magic version 2"
        )
    header = read_header(batch)
    if version < ZSTD_FROM and header.attributes & CODEC_MASK == Codec.ZSTD:
        raise RecordsRefused(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"{said} are not allowed to use ZStandard compression"
        )
    _check_nothing_follows(batch[size_bytes:], said)
    return header


def _check_nothing_follows(rest: memoryview, said: str) -> None:
    """A second batch is refused; too few bytes to be one are ignored."""
    try:
        follows = _batch_size(rest) is not None
    except RecordsRefused as refused:
        raise RecordsRefused(refused.code, f"{refused.message} behind the first batch") from refused
    if follows:
        raise RecordsRefused(
            ErrorCode.INVALID_RECORD, f"{said} are only allowed to contain exactly one record batch per partition"
        )


def _batch_size(batch: memoryview) -> int | None:
    """The size of the batch that `batch` begins with, None where it is not there whole.

    As Kafka's ByteBufferLogInputStream: a size or magic that cannot be is CORRUPT_MESSAGE, and it is told so.
    """
    if len(batch) < LOG_OVERHEAD:
        return None
    length = int.from_bytes(batch[8:LOG_OVERHEAD], "big", signed=True)
    if length < SMALLEST_LEGACY_RECORD:
        why = f"Record size {length} is less than the minimum record overhead ({SMALLEST_LEGACY_RECORD})"
        raise RecordsRefused(ErrorCode.CORRUPT_MESSAGE, why, client_message=why)
    if len(batch) <= MAGIC_POSITION:
        return None
    magic = int.from_bytes(batch[MAGIC_POSITION : MAGIC_POSITION + 1], "big", signed=True)
    if not 0 <= magic <= MAGIC:
        why = f"Invalid magic found in record: {magic}"
        raise RecordsRefused(ErrorCode.CORRUPT_MESSAGE, why, client_message=why)
    size_bytes = LOG_OVERHEAD + length
    if size_bytes > len(batch):
        return None
    if magic == MAGIC and size_bytes < RECORD_BATCH_OVERHEAD:
        raise RecordsRefused(ErrorCode.CORRUPT_MESSAGE, f"a record batch of {size_bytes} bytes")
    return size_bytes


def _check_envelope(batch: memoryview, header: BatchHeader, rules: AppendRules, partition: str) -> None:
    if header.base_offset != 0:
        raise _invalid(
            f"The baseOffset of the record batch in the append to {partition} should be 0, "
            f"but it is {header.base_offset}"
        )
    _check_size(header.size_bytes, rules, partition)
    if not crc_is_valid(batch, 0, header):
        raise RecordsRefused(
            ErrorCode.CORRUPT_MESSAGE,
            f"Record is corrupt (stored crc = {header.crc}) in topic partition {partition}.",
        )


def _check_size(size_bytes: int, rules: AppendRules, partition: str) -> None:
    if size_bytes > rules.max_message_bytes:
        raise RecordsRefused(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"The record batch size in the append to {partition} is {size_bytes} bytes "
            f"which exceeds the maximum configured value of {rules.max_message_bytes}.",
        )


def _check_batch(header: BatchHeader) -> None:
    if header.record_count <= 0 or header.last_offset_delta + 1 != header.record_count:
        raise _invalid(
            f"Inconsistency between number of records ({header.record_count}) and the last offset delta "
            f"({header.last_offset_delta}) of a batch from a client"
        )
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise _invalid(
            f"Invalid sequence number {header.base_sequence} in record batch with producerId {header.producer_id}"
        )
    if header.is_control:
        raise _invalid("Clients are not allowed to write control records")
    if header.attributes & CODEC_MASK > Codec.ZSTD:
        raise _invalid(f"Unknown compression type {header.attributes & CODEC_MASK}")


def _walk(batch: memoryview, header: BatchHeader, rules: AppendRules) -> int:
    """Follow the records, unfolded if need be, to the end of the batch; the largest timestamp among them.

    There must be exactly as many as the header says: whatever would stop every consumer is refused here.
    """
    records = _unfolded(batch, header, rules)
    try:
        end, delta, last = walk_records(records, 0, header.record_count)
    except IndexError:
        end, delta, last = -1, 0, 0
    if end != len(records):
        raise _invalid(
            f"The records of the batch do not fill its {len(records)} bytes, or are not {header.record_count}"
        )
    kept_compressed = header.attributes & CODEC_MASK and rules.compression in (None, header.codec)
    if kept_compressed and _offset_delta(records, last) != header.last_offset_delta:
        raise _invalid(f"The compressed records do not end with the offset delta {header.last_offset_delta}")
    if delta < 0:  # no record is younger than the base timestamp: rare enough to look at each
        return max(NO_TIMESTAMP, *(record.timestamp for record in _records(batch, rules)))
    return max(NO_TIMESTAMP, header.base_timestamp + delta)


def _unfolded(batch: memoryview, header: BatchHeader, rules: AppendRules) -> bytes:
    """The bytes of the records, uncompressed."""
    records = batch[RECORD_BATCH_OVERHEAD:]
    try:
        return decompress(header.codec, records, max_bytes=rules.max_decompressed_bytes)
    except MalformedMessage as error:
        raise _invalid(str(error)) from error


def walk_records(data: bytes, position: int, count: int) -> tuple[int, int, int]:
    """Follow `count` records that begin at `position`: the position behind them, the largest timestamp delta from 0 on (-1:
    none), and the position of the last one.

    IndexError where there are fewer. The one loop over records that every batch pays for, so it is written for speed: a
    record begins with its size and, behind its attributes byte, its timestamp delta, both zigzag varints, mostly of one or
    two bytes. Deltas are compared as they are encoded: an even number is twice a delta that is not negative.
    """
    largest, start = -2, position
    for _ in range(count):
        start = position
        size = data[position]
        position += 1
        if size >= 0x80:
            byte = data[position]
            position += 1
            size = size & 0x7F | (byte & 0x7F) << 7
            if byte >= 0x80:
                size, position = _longer_varint(data, position, size)
        if size & 1:
            raise IndexError("a record has a negative size")
        delta = data[position + 1]
        if delta >= 0x80:
            byte = data[position + 2]
            delta = delta & 0x7F | (byte & 0x7F) << 7
            if byte >= 0x80:
                delta, _ = _longer_varint(data, position + 3, delta)
        if delta > largest and not delta & 1:
            largest = delta
        position += size >> 1
    return position, largest >> 1, start


def _offset_delta(data: bytes, position: int) -> int:
    """The offset delta of the record at `position`."""
    _, position = read_varint(data, position)  # size
    _, position = read_varlong(data, position + 1)  # attributes, timestamp delta
    delta, _ = read_varint(data, position)
    return delta


def _longer_varint(data: bytes, position: int, value: int) -> tuple[int, int]:
    """The rest of a varint of which two bytes are read; its value as it is encoded, and the position behind it."""
    for shift in range(14, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError("a varint has more than ten bytes")


def _records(batch: memoryview, rules: AppendRules) -> list[Record]:
    try:
        return list(iter_records(batch, max_decompressed_bytes=rules.max_decompressed_bytes))
    except MalformedMessage as error:
        raise _invalid(str(error)) from error


def _check_keys(batch: memoryview, rules: AppendRules, partition: str) -> None:
    why = f"Compacted topic cannot accept message without key in topic partition {partition}"
    bad = [index for index, record in enumerate(_records(batch, rules)) if record.key is None]
    if not bad:
        return
    shown = ", ".join(f"RecordError(batchIndex={index}, message='{why}')" for index in bad[:SHOWN_RECORD_ERRORS])
    told = (
        f"One or more records have been rejected due to {len(bad)} record errors in total, "
        f"and only showing the first three errors at most: [{shown}]"
    )
    raise RecordsRefused(
        ErrorCode.INVALID_RECORD,
        told,
        record_errors=[(index, why) for index in bad],
        client_message=told,
        tells_log_start=True,
    )


def _check_timestamps(batch: memoryview, largest_timestamp: int, rules: AppendRules, now_ms: int) -> None:
    """The largest timestamp tells whether the records must be looked at one by one; or a bound on old ones is set."""
    latest = now_ms + rules.timestamp_after_max_ms
    if largest_timestamp <= latest and rules.timestamp_before_max_ms == LARGEST_INT64:
        return
    earliest = now_ms - rules.timestamp_before_max_ms
    timestamps = [record.timestamp for record in _records(batch, rules)]
    errors: list[tuple[int, str | None]] = [
        (
            index,
            f"Timestamp {timestamp} of message with offset {index} is out of range. "
            f"The timestamp should be within [{earliest}, {latest}]",
        )
        for index, timestamp in enumerate(timestamps)
        if timestamp != NO_TIMESTAMP and not earliest <= timestamp <= latest
    ]
    if errors:
        told = "One or more records have been rejected due to invalid timestamp"
        raise RecordsRefused(
            ErrorCode.INVALID_TIMESTAMP,
            told,
            record_errors=errors,
            client_message=told,
            tells_log_start=True,
        )


def _recompress(batch: memoryview, header: BatchHeader, rules: AppendRules, partition: str) -> memoryview:
    """The same records in the topic's codec; a batch of its own memory, which must still fit."""
    assert rules.compression is not None
    packed = compress(rules.compression, _numbered(batch, header, rules), rules.compression_level)
    made = with_records(batch, packed, rules.compression)
    _check_size(len(made), rules, partition)
    return memoryview(made)


def _numbered(batch: memoryview, header: BatchHeader, rules: AppendRules) -> bytes:
    """The bytes of the records, with offset deltas from 0 on: mostly as they are, for clients number them so."""
    records = _records(batch, rules)
    if records[-1].offset == header.last_offset:
        return _unfolded(batch, header, rules)
    return b"".join(
        encode_record(record.timestamp - header.base_timestamp, delta, record.key, record.value, record.headers)
        for delta, record in enumerate(records)
    )
