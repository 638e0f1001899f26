"""Whether the records of one partition in a Produce request may be appended, and in what form: pure.

Kafka's order of checks is kept (ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator), for
a batch that is wrong twice is told the first thing. A batch crosses as bytes: what its header says is checked against
the bytes, the CRC is computed once, and the records, unfolded if need be, are walked by their size prefixes, so that a
batch that no consumer could read is caught, and its largest timestamp is right, which retention relies on. The rest of a
record is looked at only where a setting asks for it or something is wrong and each bad one must be named: compaction (a
key is needed), bounds on timestamps.
"""

from typing import NamedTuple

from ..protocol.batch_header import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    HEADER,
    MAGIC_POSITION,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
)
from ..protocol.checksum import crc32c
from ..protocol.compression import Codec, compress, unfold
from ..protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ..protocol.record_walk import offset_delta, walk_records
from ..protocol.records import (
    LOG_OVERHEAD,
    RECORD_BATCH_OVERHEAD,
    BatchHeader,
    Record,
    crc_is_valid,
    encode_record,
    iter_unfolded,
    patch_create_time,
    patch_log_append_time,
    read_header,
    with_records,
)
from ..protocol.spare_buffers import SpareBuffers
from ..protocol.values import dataclass

HeaderValues = tuple[int, ...]
"""What HEADER unpacks."""

MAGIC = 2
SMALLEST_LEGACY_RECORD = 14  # the least length that any format's batch or message has behind its length field
SHOWN_RECORD_ERRORS = 3
ZSTD_FROM = 7
NO_TIMESTAMP = -1
LARGEST_INT64 = 2**63 - 1
COPIED_RECORD_BYTES = 900
"""Records that are larger, on the average, are walked where they lie: copying them costs more than it saves."""


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


def header_of_plain_batch(batch: memoryview, rules: AppendRules, now_ms: int) -> HeaderValues | None:
    """The header of a batch that is to be appended just as it is, or None, which says nothing: ask `validate`.

    What nearly every producer sends nearly always, found out with few steps: one batch, not compressed, not transactional, with
    its producer's timestamps, right in everything that `validate` looks at. The two must agree; a test holds them against
    each other.
    """
    size_bytes = len(batch)
    if size_bytes < RECORD_BATCH_OVERHEAD:
        return None
    values: HeaderValues = HEADER.unpack_from(batch)
    (
        base_offset,
        length,
        _,
        magic,
        crc,
        attributes,
        delta,
        base_timestamp,
        max_timestamp,
        producer,
        _,
        sequence,
        count,
    ) = values
    if (
        length != size_bytes - LOG_OVERHEAD
        or magic != MAGIC
        or attributes
        or base_offset
        or count <= 0
        or delta != count - 1
        or (sequence < 0 <= producer)
        or size_bytes > rules.max_message_bytes
        or rules.log_append_time
        or rules.needs_keys
        or rules.compression  # neither None, the producer's, nor none
        or rules.timestamp_before_max_ms != LARGEST_INT64
        or not NO_TIMESTAMP < max_timestamp <= now_ms + rules.timestamp_after_max_ms
        or crc32c(batch[ATTRIBUTES_POSITION:]) != crc
    ):
        return None
    try:
        end, largest, _ = walk_records(_to_walk(batch, count), RECORD_BATCH_OVERHEAD, count)
    except IndexError:
        return None
    return values if end == size_bytes and largest >= 0 and base_timestamp + largest == max_timestamp else None


def _to_walk(records: bytes | memoryview, count: int) -> bytes | memoryview:
    """The same bytes as they are walked the fastest."""
    return records if len(records) > COPIED_RECORD_BYTES * count else bytes(records)


def validate(
    batch: memoryview, rules: AppendRules, *, version: int, partition: str, now_ms: int, spares: SpareBuffers
) -> memoryview:
    """Check what a client sent for one partition and return the batch to append, which may be the same memory.

    `batch` must be writable: under LogAppendTime its timestamp is set in place. `partition` is `topic-index`, for
    messages. What is compressed is unfolded into a buffer of `spares`, which is free again afterwards. Raises RecordsRefused.
    """
    header = _only_batch(batch, version)
    batch = batch[: header.size_bytes]
    _check_envelope(batch, header, rules, partition)
    _check_batch(header)
    walked = _walk(batch, header, rules, spares)
    if rules.needs_keys:
        _check_keys(walked, header, partition)
    if not rules.log_append_time:
        _check_timestamps(walked, header, rules, now_ms)
    if rules.compression is not None and rules.compression != header.codec:
        batch = _recompress(batch, walked, header, rules, partition)
    if rules.log_append_time:
        patch_log_append_time(batch, 0, len(batch), now_ms)
    elif header.max_timestamp != walked.largest_timestamp or header.attributes & TIMESTAMP_TYPE_BIT:
        # as Kafka, silently: the topic says whose time counts, and the records which is the largest
        patch_create_time(batch, 0, len(batch), walked.largest_timestamp)
    return batch


def is_transactional(frame: memoryview, start: int, end: int) -> bool:
    """Whether the batch between `start` and `end` says that it belongs to a transaction, as far as there is one."""
    position = start + ATTRIBUTES_POSITION + 1
    return position < end and bool(frame[position] & TRANSACTIONAL_BIT)


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


class _Walked(NamedTuple):
    """What a walk over a batch found; `records` are its records' bytes, uncompressed."""

    records: bytes | memoryview
    largest_timestamp: int
    numbered: bool  # the last offset delta is what the header says

    def read(self, header: BatchHeader) -> list[Record]:
        """The records themselves."""
        try:
            return list(iter_unfolded(bytes(self.records), header))
        except MalformedMessage as error:
            raise _invalid(str(error)) from error


def _walk(batch: memoryview, header: BatchHeader, rules: AppendRules, spares: SpareBuffers) -> _Walked:
    """Unfold the records, once, and follow them to the end of the batch.

    There must be exactly as many as the header says: whatever would stop every consumer is refused here.
    """
    try:
        body = batch[RECORD_BATCH_OVERHEAD:]
        unfolded = unfold(header.codec, body, max_bytes=rules.max_decompressed_bytes, spares=spares)
    except MalformedMessage as error:
        raise _invalid(str(error)) from error
    records = _to_walk(unfolded, header.record_count)
    try:
        end, delta, last = walk_records(records, 0, header.record_count)
    except IndexError:
        end, delta, last = -1, 0, 0
    if end != len(records):
        raise _invalid(
            f"The records of the batch do not fill its {len(records)} bytes, or are not {header.record_count}"
        )
    numbered = _is_numbered(records, last, header, rules)
    walked = _Walked(records, max(NO_TIMESTAMP, header.base_timestamp + delta), numbered)
    if delta >= 0:
        return walked
    # no record is younger than the base timestamp: rare enough to look at each
    youngest = max(record.timestamp for record in walked.read(header))
    return walked._replace(largest_timestamp=max(NO_TIMESTAMP, youngest))


def _is_numbered(records: bytes | memoryview, last: int, header: BatchHeader, rules: AppendRules) -> bool:
    """Whether the last record has the offset delta of the header; asked where records are, or will be, compressed.

    Kafka numbers them anew when it compresses, refuses a gap in what came compressed and stays so, and does not look
    at what is not compressed at all.
    """
    compresses = rules.compression is not None and rules.compression != header.codec
    if not compresses and not header.attributes & CODEC_MASK:
        return True
    numbered = offset_delta(records, last) == header.last_offset_delta
    if not numbered and not compresses:
        raise _invalid(f"The compressed records do not end with the offset delta {header.last_offset_delta}")
    return numbered


def _check_keys(walked: _Walked, header: BatchHeader, partition: str) -> None:
    why = f"Compacted topic cannot accept message without key in topic partition {partition}"
    bad = [index for index, record in enumerate(walked.read(header)) if record.key is None]
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


def _check_timestamps(walked: _Walked, header: BatchHeader, rules: AppendRules, now_ms: int) -> None:
    """The largest timestamp tells whether the records must be looked at one by one; or a bound on old ones is set."""
    latest = now_ms + rules.timestamp_after_max_ms
    if walked.largest_timestamp <= latest and rules.timestamp_before_max_ms == LARGEST_INT64:
        return
    earliest = now_ms - rules.timestamp_before_max_ms
    timestamps = [record.timestamp for record in walked.read(header)]
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


def _recompress(
    batch: memoryview, walked: _Walked, header: BatchHeader, rules: AppendRules, partition: str
) -> memoryview:
    """The same records in the topic's codec; a batch of its own memory, which must still fit."""
    assert rules.compression is not None
    records = walked.records if walked.numbered else _numbered(walked.read(header), header)
    packed = compress(rules.compression, records, rules.compression_level)
    made = with_records(batch, packed, rules.compression)
    _check_size(len(made), rules, partition)
    return memoryview(made)


def _numbered(records: list[Record], header: BatchHeader) -> bytes:
    """The records with offset deltas from 0 on."""
    return b"".join(
        encode_record(record.timestamp - header.base_timestamp, delta, record.key, record.value, record.headers)
        for delta, record in enumerate(records)
    )
