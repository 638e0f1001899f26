"""Batches that real clients wrote, kept as bytes: five records, by each client and codec.

`golden_batches/<client>-<kind>.hex` is the `.log` file of a partition of Apache Kafka 4.3.1 after Kafka's Java
client 4.3.1 or librdkafka 2.16 had sent the five records below, once or twice; a transaction's end is a control
batch of Kafka's own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ottla.protocol.batch_builder import BatchBuilder, build_end_txn_marker
from ottla.protocol.records import (
    BatchHeader,
    Codec,
    ControlType,
    EndTxnMarker,
    Headers,
    Record,
    TimestampType,
    crc_is_valid,
    iter_headers,
    iter_records,
    patch_log_append_time,
    patch_offsets,
    read_end_txn_marker,
    read_header,
)

GOLDEN = Path(__file__).parent / "golden_batches"
PAGE = Path(__file__).parents[2] / "docs" / "format-record-batch.md"

SENT: list[tuple[int, bytes | None, bytes | None, Headers]] = [
    (1700000000000, b"key", b"value", []),
    (1700000000500, None, b"no key", []),
    (1699999999000, b"tombstone", None, []),
    (1700000001000, b"", b"", [("empty", b""), ("null", None), ("näme", b"wert"), ("näme", b"again")]),
    (1700000002000, b"long", b"x" * 300, []),
]

BY_CODEC = [(f"{client}-{codec.name.lower()}", codec) for client in ("java", "librdkafka") for codec in Codec]


def golden(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text(encoding="ascii").replace("\n", ""))


def batches(name: str) -> list[tuple[bytes, BatchHeader]]:
    data = golden(name)
    found = [(data[at : at + header.size_bytes], header) for at, header in iter_headers(data)]
    assert sum(len(batch) for batch, _ in found) == len(data)
    return found


def records_of(batch: bytes) -> list[Record]:
    return list(iter_records(batch, max_decompressed_bytes=10_000))


def sent_from(base_offset: int) -> list[Record]:
    return [Record(base_offset + index, *each) for index, each in enumerate(SENT)]


@pytest.mark.parametrize(("name", "codec"), BY_CODEC)
def test_a_clients_batch_is_read(name: str, codec: Codec):
    ((batch, header),) = batches(name)
    assert crc_is_valid(batch, 0, header)
    assert (header.codec, header.record_count, header.last_offset_delta) == (codec, 5, 4)
    assert (header.base_timestamp, header.max_timestamp) == (1700000000000, 1700000002000)
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.last_sequence) == (-1, -1, -1, -1)
    assert records_of(batch) == sent_from(0)


@pytest.mark.parametrize("name", ["java-none", "librdkafka-none"])
def test_we_build_the_same_bytes(name: str):
    builder = BatchBuilder(leader_epoch=0)
    for each in SENT:
        builder.append(*each)
    assert builder.size_bytes == len(golden(name))
    assert builder.build() == golden(name)


def test_an_idempotent_producers_sequence_is_read_and_built():
    (first, header), (second, following) = batches("java-idempotent")
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.last_sequence) == (0, 0, 0, 4)
    assert (following.base_offset, following.base_sequence, following.last_sequence) == (5, 5, 9)
    assert header.next_offset == following.base_offset
    assert records_of(first) == sent_from(0)
    builder = BatchBuilder(base_offset=5, leader_epoch=0, producer_id=0, producer_epoch=0, base_sequence=5)
    for each in SENT:
        builder.append(*each)
    assert builder.build() == second


def test_transactions_and_their_markers_are_read_and_built():
    (sent, header), (committed, _), (_, _), (aborted, _) = batches("java-transactional")
    assert header.is_transactional
    assert not header.is_control
    assert records_of(sent) == sent_from(0)
    for marker, expected in ((committed, ControlType.COMMIT), (aborted, ControlType.ABORT)):
        seen = read_header(marker)
        assert (seen.is_control, seen.is_transactional, seen.record_count) == (True, True, 1)
        (record,) = records_of(marker)
        assert read_end_txn_marker(record) == EndTxnMarker(expected, coordinator_epoch=0)
        assert marker == build_end_txn_marker(
            expected,
            timestamp=seen.base_timestamp,
            producer_id=seen.producer_id,
            producer_epoch=seen.producer_epoch,
            coordinator_epoch=0,
            base_offset=seen.base_offset,
            leader_epoch=seen.partition_leader_epoch,
        )


def test_kafkas_own_time_is_patched_in_as_kafka_does_it():
    ((theirs, header),) = batches("java-log-append-time")
    assert header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert {record.timestamp for record in records_of(theirs)} == {header.max_timestamp}
    ours = bytearray(golden("java-none"))
    patch_log_append_time(ours, 0, len(ours), header.max_timestamp)
    assert ours == theirs


def test_offsets_are_patched_in_as_kafka_does_it():
    (first, _), (second, _) = batches("java-idempotent")
    as_sent = bytearray(second)
    patch_offsets(as_sent, 0, 0, -1)  # what the producer sent
    patch_offsets(as_sent, 0, 5, 0)
    assert as_sent == second != first


def test_the_batch_on_the_page_of_the_format_is_one():
    example = PAGE.read_text(encoding="utf-8").split("```")[1]
    digits = [line.split("   ")[0] for line in example.strip().splitlines()]
    builder = BatchBuilder()
    builder.append(1_700_000_000_000, b"key", b"value")
    assert bytes.fromhex("".join(digits)) == builder.build()
