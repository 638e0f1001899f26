"""Walking through what a fetch brought, held against a plain list of what was written."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.batch_walk import BatchCursor, extent_of
from ottla.client.consumer.fetched_batch import CorruptRecords, DeserializationError, Deserializers
from ottla.protocol.records import BatchBuilder, Codec, ControlType, build_end_txn_marker

T0 = TopicPartition("t", 0)


def batch(base_offset: int, values: list[bytes | None], *, codec: Codec = Codec.NONE, producer_id: int = -1) -> bytes:
    builder = BatchBuilder(
        codec,
        base_offset=base_offset,
        leader_epoch=3,
        producer_id=producer_id,
        producer_epoch=0 if producer_id >= 0 else -1,
        base_sequence=0 if producer_id >= 0 else -1,
        is_transactional=producer_id >= 0,
    )
    for number, value in enumerate(values):
        builder.append(1000 + number, b"k%d" % number, value, [("h", None)] if number % 2 else [])
    return bytes(builder.build())


def marker(base_offset: int, producer_id: int, type_: ControlType) -> bytes:
    built = bytearray(
        build_end_txn_marker(type_, producer_id=producer_id, producer_epoch=0, timestamp=0, coordinator_epoch=0)
    )
    built[:8] = base_offset.to_bytes(8, "big")
    return bytes(built)


def read(data: bytes, position: int = 0, **how: object) -> list[tuple[int, object]]:
    """Offset and value of every record that the user would be given."""
    cursor = BatchCursor(T0, memoryview(data), **how)  # type: ignore[arg-type]
    found = []
    while (each := cursor.next(position)) is not None:
        found += [(record.offset, record.value) for record in each.records()]
    return found


@dataclass
class Written:
    """A partition's log as it is written, beside what a reader should see."""

    data: bytes = b""
    end_offset: int = 0

    def add(self, data: bytes, count: int) -> None:
        self.data += data
        self.end_offset += count


@given(
    st.lists(st.tuples(st.lists(st.none() | st.binary(max_size=20), min_size=1, max_size=4), st.sampled_from(Codec))),
    st.integers(0, 20),
)
def test_every_record_from_the_position_on_is_given_once_in_order(
    batches: list[tuple[list[bytes | None], Codec]], position: int
) -> None:
    log, expected = Written(), []
    for values, codec in batches:
        expected += [(log.end_offset + place, value) for place, value in enumerate(values)]
        log.add(batch(log.end_offset, values, codec=codec), len(values))

    assert read(log.data, position) == [each for each in expected if each[0] >= position]


@st.composite
def transactions(draw: st.DrawFn) -> tuple[Written, list[tuple[int, object]], list[tuple[int, int]]]:
    """A log of transactions that overlap; what is committed of it; and the broker's list of aborted ones."""
    log = Written()
    open_: dict[int, list[tuple[int, object]]] = {}
    committed: list[tuple[int, object]] = []
    aborted: list[tuple[int, int]] = []
    for number in range(draw(st.integers(1, 10))):
        producer_id = draw(st.integers(1, 3))
        if producer_id in open_ and draw(st.booleans()):
            records, commits = open_.pop(producer_id), draw(st.booleans())
            if commits:
                committed += records
            else:
                aborted.append((producer_id, records[0][0]))
            log.add(marker(log.end_offset, producer_id, ControlType.COMMIT if commits else ControlType.ABORT), 1)
        else:
            value = b"%d" % number
            open_.setdefault(producer_id, []).append((log.end_offset, value))
            log.add(batch(log.end_offset, [value], producer_id=producer_id), 1)
    for producer_id, records in sorted(open_.items()):  # a fetch ends at the last stable offset: all are ended
        committed += records
        log.add(marker(log.end_offset, producer_id, ControlType.COMMIT), 1)
    return log, sorted(committed), sorted(aborted, key=lambda each: each[1])


@given(transactions())
def test_of_transactions_only_committed_ones_are_given_to_a_reader_that_wants_no_others(
    log: tuple[Written, list[tuple[int, object]], list[tuple[int, int]]],
) -> None:
    written, committed, aborted = log

    assert read(written.data, aborted=aborted, committed_only=True) == committed


def test_markers_are_never_given_whatever_the_reader_wants() -> None:
    data = batch(0, [b"a"], producer_id=1) + marker(1, 1, ControlType.ABORT) + batch(2, [b"b"])

    assert read(data) == [(0, b"a"), (2, b"b")]


@given(st.integers(1, 200))
def test_a_last_batch_that_is_cut_short_is_left_for_the_next_fetch(missing: int) -> None:
    whole, last = batch(5, [b"a", b"b"]), batch(7, [b"x" * 200])
    data = memoryview(whole + last[:-missing])

    extent = extent_of(T0, data, 5)

    assert extent is not None
    assert (extent.next_offset, extent.leader_epoch) == (7, 3)
    assert read(bytes(data[: extent.end_position]), 5) == [(5, b"a"), (6, b"b")]


def test_no_bytes_are_no_extent_and_bytes_without_a_whole_batch_are_corrupt() -> None:
    assert extent_of(T0, memoryview(b""), 5) is None
    with pytest.raises(CorruptRecords, match="t-0 at offset 5"):
        extent_of(T0, memoryview(batch(5, [b"a"])[:-1]), 5)


def test_a_batch_of_before_kafka_0_11_is_named() -> None:
    old = bytearray(batch(0, [b"a"]))
    old[16] = 1

    with pytest.raises(CorruptRecords, match=r"format 1 of before Kafka 0\.11"):
        extent_of(T0, memoryview(old), 0)


@given(st.integers(21, 74), st.integers(1, 255))
def test_a_byte_that_was_changed_is_noticed_by_the_crc_before_anything_is_read(at: int, change: int) -> None:
    data = bytearray(batch(4, [b"value"]))
    data[at] ^= change

    with pytest.raises(CorruptRecords) as caught:
        read(bytes(data))

    assert (caught.value.partition, caught.value.offset) == (T0, 4)


def test_unreadable_records_are_corrupt_even_where_the_crc_is_not_looked_at() -> None:
    data = bytearray(batch(4, [b"value"]))
    data[61] = 0x7F

    with pytest.raises(CorruptRecords, match="batch at offset 4 of t-0"):
        read(bytes(data), check_crcs=False)


def test_a_deserializer_that_raises_says_over_which_record_and_the_ones_before_are_given() -> None:
    data = batch(10, [b"1", b"2", None, b"x", b"5"])
    cursor = BatchCursor(T0, memoryview(data), deserializers=Deserializers(value=int))
    each = cursor.next(0)
    assert each is not None

    records, failure = each.records_until_failure()

    assert [(record.offset, record.value) for record in records] == [(10, 1), (11, 2), (12, None)]
    assert failure is not None
    assert (failure.record.offset, failure.record.value, failure.field) == (13, b"x", "value")
    assert "t-0 at offset 13" in str(failure)
    assert isinstance(failure.__cause__, ValueError)
    with pytest.raises(DeserializationError):
        each.values()


def test_a_batch_has_its_columns_and_records_and_views() -> None:
    data = batch(10, [b"a", None, b"c"], codec=Codec.ZSTD)
    each = BatchCursor(T0, memoryview(data)).next(11)
    assert each is not None

    assert len(each) == 2
    assert each.offsets() == [11, 12]
    assert each.timestamps() == [1001, 1002]
    assert each.keys() == [b"k1", b"k2"]
    assert each.values() == [None, b"c"]
    assert each.headers() == [(("h", None),), ()]
    assert each.raw_views() == [None, b"c"]
    assert (each.topic, each.last_offset, each.next_offset, each.leader_epoch) == ("t", 12, 13, 3)
    assert [(record.offset, record.value) for record in each] == [(11, None), (12, b"c")]
