"""Checkpoints: golden bytes of Apache Kafka 4.3.1, round trips, and every kind of damage named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.checkpoint import (
    CorruptCheckpoint,
    EpochEntry,
    decode_epochs,
    decode_offsets,
    encode_epochs,
    encode_offsets,
    read_epochs,
    read_offsets,
    write_epochs,
    write_offsets,
)
from ottla.storage.directory_names import TopicPartition
from ottla.storage.system_files import SystemFiles

# As a stopped Apache Kafka 4.3.1 left them.
KAFKA_RECOVERY_POINTS = b"0\n2\nt 1 15200\nt 0 14800\n"
KAFKA_EPOCHS = b"0\n1\n0 5000\n"

TOPICS = st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True)
PARTITIONS = st.builds(TopicPartition, TOPICS, st.integers(0, 2**31 - 1))
OFFSETS = st.dictionaries(PARTITIONS, st.integers(0, 2**63 - 1), max_size=20)


def test_offsets_are_read_and_written_as_kafka_does():
    offsets = decode_offsets(KAFKA_RECOVERY_POINTS, path="f")
    assert offsets == {("t", 1): 15200, ("t", 0): 14800}
    assert encode_offsets(offsets) == KAFKA_RECOVERY_POINTS


def test_epochs_are_read_and_written_as_kafka_does():
    epochs = decode_epochs(KAFKA_EPOCHS, path="f")
    assert epochs == [EpochEntry(epoch=0, start_offset=5000)]
    assert encode_epochs(epochs) == KAFKA_EPOCHS


def test_an_empty_file_has_no_entries_because_kafka_creates_it_so():
    assert decode_offsets(b"", path="f") == {}
    assert encode_offsets({}) == b"0\n0\n"


@given(OFFSETS)
def test_what_is_encoded_decodes_the_same(offsets: dict[TopicPartition, int]):
    assert decode_offsets(encode_offsets(offsets), path="f") == offsets


@given(OFFSETS.filter(bool), st.data())
def test_a_torn_checkpoint_is_never_believed(offsets: dict[TopicPartition, int], data: st.DataObject):
    whole = encode_offsets(offsets)
    torn = whole[: data.draw(st.integers(1, len(whole) - 1))]
    with pytest.raises(CorruptCheckpoint):
        decode_offsets(torn, path="f")


@given(st.binary(min_size=1, max_size=200))
def test_garbage_is_a_clear_error_or_a_checkpoint(garbage: bytes):
    try:
        offsets = decode_offsets(garbage, path="the-file")
    except CorruptCheckpoint as error:
        message = str(error)
    else:
        message = "the-file is a checkpoint"
        assert decode_offsets(encode_offsets(offsets), path="f") == offsets
    assert message.startswith("the-file ")


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (b"1\n0\n", "begins with '1', not with version 0"),
        (b"0\n", "ends before the number of entries"),
        (b"0\n2\nt 0 5\n", "says it has 2 entries and has 1"),
        (b"0\n1\nt 0 5\nt 1 5\n", "says it has 1 entries and has 2"),
        (b"0\n1\nt 0 5", "ends in the middle of a line"),
        (b"0\n1\nt 0\n", "has the line 't 0', not a topic, a partition and an offset"),
        (b"0\n1\nt 0 -1\n", "has '-1' where a number from 0 to 9223372036854775807 belongs"),
        (b"0\n1\nt 0 9223372036854775808\n", "has '9223372036854775808' where a number"),
        (b"0\n2\nt 0 5\nt 0 6\n", "names t-0 twice"),
        (b"0\n1\nt\xff 0 6\n", "is not text at byte 5"),
        (b"\0" * 24, "ends in the middle of a line"),
    ],
)
def test_damage_is_named(damaged: bytes, why: str):
    with pytest.raises(CorruptCheckpoint) as caught:
        decode_offsets(damaged, path="/d/recovery-point-offset-checkpoint")
    assert f"/d/recovery-point-offset-checkpoint {why}" in str(caught.value)


@pytest.mark.parametrize("lines", [b"2 10\n1 20\n", b"1 20\n1 30\n", b"1 20\n2 10\n"])
def test_epochs_that_do_not_grow_are_damage(lines: bytes):
    with pytest.raises(CorruptCheckpoint, match="after"):
        decode_epochs(b"0\n2\n" + lines, path="f")


def test_files_are_replaced_whole_and_leave_nothing_beside(tmp_path):
    files, path = SystemFiles(), str(tmp_path / "recovery-point-offset-checkpoint")
    assert read_offsets(files, path) == {}
    long_one = {TopicPartition("topic", index): index for index in range(100)}
    for offsets in (long_one, {TopicPartition("t", 0): 7}):
        write_offsets(files, path, offsets)
        assert read_offsets(files, path) == offsets
    assert [entry.name for entry in tmp_path.iterdir()] == ["recovery-point-offset-checkpoint"]


def test_epochs_are_kept_in_a_file(tmp_path):
    files, path = SystemFiles(), str(tmp_path / "leader-epoch-checkpoint")
    assert read_epochs(files, path) == []
    write_epochs(files, path, [EpochEntry(0, 0), EpochEntry(3, 100)])
    assert read_epochs(files, path) == [(0, 0), (3, 100)]
