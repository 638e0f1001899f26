"""The grammar of folder names, with Apache Kafka's own names as examples."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.directory_names import Mark, TopicPartition, live_name, marked_name, parse_name

TOPICS = st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True)
PARTITIONS = st.builds(TopicPartition, TOPICS, st.integers(0, 2**31 - 1))
SOME_ID = UUID("a807f50f-7ac2-4815-8ee1-1a2fd880d6a4")


def test_names_that_kafka_gave():
    assert marked_name(TopicPartition("d", 0), Mark.DELETE, SOME_ID) == ("d-0.a807f50f7ac248158ee11a2fd880d6a4-delete")
    # A topic of 249 characters, as a 4.3.1 node renamed it.
    assert marked_name(TopicPartition("x" * 249, 0), Mark.DELETE, SOME_ID) == (
        "x" * 213 + "-0.a807f50f7ac248158ee11a2fd880d6a4-delete"
    )


@given(PARTITIONS)
def test_a_live_folder_says_its_partition(partition: TopicPartition):
    parsed = parse_name(live_name(partition))
    assert parsed is not None
    assert (parsed.partition, parsed.mark) == (partition, Mark.LIVE)


@given(PARTITIONS, st.sampled_from([Mark.DELETE, Mark.STRAY, Mark.FUTURE]), st.uuids())
def test_a_marked_folder_fits_and_keeps_partition_and_mark(partition: TopicPartition, mark: Mark, unique_id: UUID):
    name = marked_name(partition, mark, unique_id)
    parsed = parse_name(name)
    assert len(name) <= 255
    assert parsed is not None
    assert parsed.mark is mark
    assert parsed.partition.partition == partition.partition
    assert partition.topic.startswith(parsed.partition.topic)


@pytest.mark.parametrize("name", ["", "t", "t-", "-0", "t-x", "t-0.abc-deleted", "t-0-delete", "lost+found"])
def test_other_folders_are_not_ours(name: str):
    assert parse_name(name) is None
