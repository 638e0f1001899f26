"""The batch of a commit like one before: byte for byte what would have been built anew."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.coordinators.group_record_format import encode_record
from ottla.broker.coordinators.group_records import NO_TOPIC_ID, Committed, OffsetCommitted
from ottla.broker.coordinators.offset_batch import OffsetBatch
from ottla.broker.coordinators.runtime.shard import KAFKAS_SEQUENCE
from ottla.protocol.records import BatchBuilder

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
METADATA = TEXT | st.integers(100, 140).map(lambda size: "m" * size)
MS = st.integers(0, 2**62)
OFFSETS = st.integers(-(2**63), 2**63 - 1)
EPOCHS = st.integers(-(2**31), 2**31 - 1)
NAMES = st.tuples(TEXT, TEXT, st.integers(0, 2**31 - 1), METADATA, st.uuids().filter(lambda each: each != NO_TOPIC_ID))
NUMBERS = st.tuples(OFFSETS, EPOCHS)
COMMITS = st.lists(st.tuples(NAMES, NUMBERS, NUMBERS), min_size=1, max_size=5)


def record(names: tuple[str, str, int, str, UUID], numbers: tuple[int, int], now_ms: int) -> OffsetCommitted:
    group, topic, partition, metadata, topic_id = names
    return OffsetCommitted(group, topic, partition, Committed(*numbers, metadata, now_ms, topic_id=topic_id))


def built(records: list[OffsetCommitted], now_ms: int) -> bytearray:
    builder = BatchBuilder(base_sequence=KAFKAS_SEQUENCE)
    for each in records:
        builder.append(now_ms, *encode_record(each))
    return builder.build()


@given(COMMITS, MS, MS)
def test_a_batch_with_other_numbers_is_the_one_that_would_have_been_built(
    commits: list[tuple[tuple[str, str, int, str, UUID], tuple[int, int], tuple[int, int]]], first_ms: int, now_ms: int
) -> None:
    batches = OffsetBatch.of([record(names, before, first_ms) for names, before, _ in commits])
    expected = [record(names, after, now_ms) for names, _, after in commits]
    assert batches is not None

    for _ in range(2):
        batch, records = batches.with_numbers([a[0] for _, _, a in commits], [a[1] for _, _, a in commits], now_ms)

        assert records == expected
        assert batch == built(expected, now_ms)


def test_what_expires_by_itself_or_has_no_topic_id_is_left_to_others() -> None:
    plain = record(("g", "t", 0, "", UUID(int=1)), (5, 1), 7)
    expiring = plain._replace(committed=plain.committed._replace(expires_at_ms=9))
    nameless = plain._replace(committed=plain.committed._replace(topic_id=NO_TOPIC_ID))
    assert OffsetBatch.of([plain, plain]) is not None
    assert OffsetBatch.of([plain, expiring]) is None
    assert OffsetBatch.of([nameless, plain]) is None
