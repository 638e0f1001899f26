"""What is left of a batch."""

from __future__ import annotations

import pytest
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.record_reader import ControlType
from ottla.protocol.records import (
    BatchBuilder,
    Codec,
    TimestampType,
    build_end_txn_marker,
    crc_is_valid,
    iter_records,
    patch_log_append_time,
    read_header,
)
from ottla.storage.compaction.offset_map import OffsetMap
from ottla.storage.compaction.survival import LastRecord, Survival
from ottla.storage.compaction.transactions import Transactions
from ottla.storage.txn_index import AbortedTransaction

NOW_MS = 1_000_000
RETENTION_MS = 500
NOT_THE_END = 10**9


def survival(
    newest: dict[bytes, int],
    *,
    latest: int = 10**6,
    aborted: tuple[AbortedTransaction, ...] = (),
    last: dict[int, LastRecord] | None = None,
    end_offset: int = NOT_THE_END,
    now_ms: int = NOW_MS,
) -> Survival:
    offsets = OffsetMap(64, 64)
    for key, offset in newest.items():
        offsets.put(key, offset)
    offsets.latest_offset = latest
    return Survival(
        offsets,
        Transactions(aborted),
        last_records=last or {},
        end_offset=end_offset,
        now_ms=now_ms,
        delete_retention_ms=RETENTION_MS,
        rest=lambda: None,
    )


def made(
    *records: tuple[bytes | None, bytes | None],
    base_offset: int = 0,
    codec: Codec = Codec.NONE,
    producer: int = -1,
    transactional: bool = False,
    first_time: int = 5_000,
) -> bytearray:
    """A batch of these keys and values, a millisecond apart."""
    builder = BatchBuilder(
        codec,
        base_offset=base_offset,
        leader_epoch=4,
        producer_id=producer,
        producer_epoch=0 if producer >= 0 else -1,
        base_sequence=20 if producer >= 0 else -1,
        is_transactional=transactional,
    )
    for number, (key, value) in enumerate(records):
        builder.append(first_time + number, key, value)
    return builder.build()


def left_of(judge: Survival, batch: bytearray) -> bytes | None:
    kept = judge.survivor(batch, read_header(batch))
    if kept is None:
        return None
    assert crc_is_valid(kept, 0, read_header(kept))
    return bytes(kept)


def contents(batch: bytes | None) -> list[tuple[int, int, bytes | None, bytes | None]]:
    assert batch is not None
    return [(r.offset, r.timestamp, r.key, r.value) for r in iter_records(batch, max_decompressed_bytes=1 << 20)]


def test_a_batch_whose_records_are_all_newest_stays_byte_for_byte() -> None:
    batch = made((b"a", b"1"), (b"b", b"2"), codec=Codec.ZSTD)
    assert left_of(survival({b"a": 0, b"b": 1}), batch) == bytes(batch)


@pytest.mark.parametrize("codec", Codec)
def test_older_records_go_and_the_rest_keeps_offsets_times_and_codec(codec: Codec) -> None:
    batch = made((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c", b"4"), base_offset=70, codec=codec, producer=9)
    kept = left_of(survival({b"a": 72, b"b": 99, b"c": 73}), batch)
    assert contents(kept) == [(72, 5_002, b"a", b"3"), (73, 5_003, b"c", b"4")]
    before, after = read_header(batch), read_header(kept)
    assert after.codec is codec
    assert (after.base_offset, after.last_offset_delta) == (before.base_offset, before.last_offset_delta)
    assert (after.base_sequence, after.producer_id, after.producer_epoch) == (20, 9, 0)
    assert after.partition_leader_epoch == 4
    assert (after.base_timestamp, after.max_timestamp, after.record_count) == (5_002, 5_003, 2)


def test_the_last_offset_stays_although_its_record_goes() -> None:
    kept = left_of(survival({b"a": 0, b"b": 50}), made((b"a", b"1"), (b"b", b"2")))
    assert contents(kept) == [(0, 5_000, b"a", b"1")]
    assert read_header(kept).last_offset == 1


def test_a_batch_with_nothing_left_goes() -> None:
    assert left_of(survival({b"a": 50}), made((b"a", b"1"))) is None


def test_records_without_a_key_go() -> None:
    assert left_of(survival({}), made((None, b"1"))) is None


def test_what_lies_behind_the_map_stays_whatever_it_is() -> None:
    batch = made((None, b"1"), (b"a", b"2"), base_offset=10)
    assert contents(left_of(survival({b"a": 99}, latest=9), batch)) == contents(bytes(batch))
    assert [each[0] for each in contents(left_of(survival({b"a": 99}, latest=10), batch))] == [11]


def test_times_that_the_log_gave_stay_the_logs() -> None:
    batch = made((b"a", b"1"), (b"b", b"2"))
    patch_log_append_time(batch, 0, len(batch), 77_777)
    kept = left_of(survival({b"a": 50, b"b": 1}), batch)
    assert contents(kept) == [(1, 77_777, b"b", b"2")]
    assert read_header(kept).timestamp_type is TimestampType.LOG_APPEND_TIME
    assert read_header(kept).max_timestamp == 77_777


# --- tombstones


def test_a_tombstone_is_told_when_it_may_go_and_keeps_its_time() -> None:
    kept = left_of(survival({b"a": 0, b"b": 1}), made((b"a", b"1"), (b"b", None)))
    header = read_header(kept)
    assert header.has_delete_horizon
    assert header.base_timestamp == NOW_MS + RETENTION_MS
    assert contents(kept) == [(0, 5_000, b"a", b"1"), (1, 5_001, b"b", None)]
    assert header.max_timestamp == 5_001


def test_it_is_told_once() -> None:
    kept = left_of(survival({b"b": 0}), made((b"b", None)))
    assert left_of(survival({b"b": 0}, now_ms=NOW_MS + RETENTION_MS - 1), bytearray(kept)) == kept


def test_then_it_goes_and_its_neighbour_stays() -> None:
    kept = left_of(survival({b"a": 0, b"b": 1}), made((b"a", b"1"), (b"b", None)))
    later = left_of(survival({b"a": 0, b"b": 1}, now_ms=NOW_MS + RETENTION_MS), bytearray(kept))
    assert contents(later) == [(0, 5_000, b"a", b"1")]
    assert read_header(later).base_timestamp == NOW_MS + RETENTION_MS, "the horizon stays, as in Kafka"


# --- producers


def test_the_last_batch_of_a_producer_stays_without_its_records() -> None:
    batch = made((b"a", b"1"), (b"a", b"2"), producer=9, codec=Codec.GZIP)
    kept = left_of(survival({b"a": 50}, last={9: LastRecord(1, 0)}), batch)
    header = read_header(kept)
    assert len(kept) == 61
    assert (header.record_count, header.last_offset, header.last_sequence) == (0, 1, 21)
    assert (header.producer_id, header.codec, header.base_timestamp, header.max_timestamp) == (9, Codec.NONE, -1, 5_001)
    assert left_of(survival({}, last={9: LastRecord(1, 0)}), bytearray(kept)) == kept, "and again"


def test_an_empty_batch_goes_once_its_producer_has_gone_on_or_is_forgotten() -> None:
    batch = bytearray(left_of(survival({b"a": 50}, last={9: LastRecord(0, 0)}), made((b"a", b"1"), producer=9)))
    assert left_of(survival({}, last={9: LastRecord(80, 0)}), batch) is None
    assert left_of(survival({}), batch) is None


def test_the_very_last_batch_of_a_cleaning_stays_so_that_the_log_does_not_seem_to_end_sooner() -> None:
    kept = left_of(survival({b"a": 50}, end_offset=1), made((b"a", b"1")))
    assert read_header(kept).record_count == 0
    assert read_header(kept).next_offset == 1


# --- transactions


def marker(kind: ControlType, offset: int, *, producer: int = 9) -> bytearray:
    return build_end_txn_marker(
        kind, timestamp=5_000, producer_id=producer, producer_epoch=0, coordinator_epoch=0, base_offset=offset
    )


ABORTED = AbortedTransaction(producer_id=9, first_offset=0, last_offset=1, last_stable_offset=2)


def test_records_of_an_aborted_transaction_go_and_its_marker_stays_for_readers_of_what_was() -> None:
    judge = survival({b"a": 0}, aborted=(ABORTED,))
    assert left_of(judge, made((b"a", b"1"), producer=9, transactional=True)) is None
    end = marker(ControlType.ABORT, 1)
    assert left_of(judge, end) == bytes(end)
    assert judge.take_kept_aborts() == [ABORTED]
    assert judge.take_kept_aborts() == []


def test_a_marker_whose_transaction_has_no_records_left_is_given_a_horizon_and_then_goes() -> None:
    for kind, aborted in ((ControlType.ABORT, (ABORTED,)), (ControlType.COMMIT, ())):
        kept = left_of(survival({}, aborted=aborted), marker(kind, 1))
        header = read_header(kept)
        assert header.has_delete_horizon
        assert header.is_control
        assert header.base_timestamp == NOW_MS + RETENTION_MS
        early, late = NOW_MS + RETENTION_MS - 1, NOW_MS + RETENTION_MS
        assert left_of(survival({}, aborted=aborted, now_ms=early), bytearray(kept)) == kept
        assert left_of(survival({}, aborted=aborted, now_ms=late), bytearray(kept)) is None


def test_the_marker_of_a_commit_stays_as_long_as_there_are_batches_of_it() -> None:
    judge = survival({b"a": 0})
    data, end = made((b"a", b"1"), producer=9, transactional=True), marker(ControlType.COMMIT, 1)
    assert left_of(judge, data) == bytes(data)
    assert left_of(judge, end) == bytes(end)


def test_the_marker_that_is_all_a_producer_has_here_keeps_its_epoch() -> None:
    kept = left_of(survival({}), marker(ControlType.COMMIT, 1))
    judge = survival({}, last={9: LastRecord(-1, 0)}, now_ms=NOW_MS + RETENTION_MS)
    emptied = read_header(left_of(judge, bytearray(kept)))
    assert emptied.record_count == 0
    assert emptied.is_control
    assert emptied.producer_epoch == 0


def test_a_control_record_that_is_no_marker_is_left_alone() -> None:
    builder = BatchBuilder(is_control=True)
    builder.append(0, b"\0\0\0\2", b"leader change")
    batch = builder.build()
    assert left_of(survival({}), batch) == bytes(batch)


def test_a_control_record_without_a_type_is_malformed() -> None:
    builder = BatchBuilder(is_control=True)
    builder.append(0, b"\0", b"")
    with pytest.raises(MalformedMessage):
        left_of(survival({}), builder.build())


def test_it_counts_what_went_in_and_what_came_out() -> None:
    judge = survival({b"a": 1})
    batch = made((b"a", b"1"), (b"a", b"2"))
    kept = left_of(judge, batch)
    counts = judge.counts
    assert (counts.records_read, counts.records_written) == (2, 1)
    assert (counts.bytes_read, counts.bytes_written) == (len(batch), len(kept))
