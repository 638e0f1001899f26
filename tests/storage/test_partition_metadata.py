"""`partition.metadata`: golden bytes of Apache Kafka 4.3.1, round trips, damage."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage import partition_metadata
from ottla.storage.checkpoint import CorruptCheckpoint
from ottla.storage.partition_metadata import decode, encode, format_uuid, parse_uuid
from ottla.storage.system_files import SystemFiles

KAFKA_BYTES = b"version: 0\ntopic_id: az_CF4hiQ5S6mSGq4iNvsA"
TOPIC_ID = UUID("6b3fc217-8862-4394-ba99-21aae2236fb0")


def test_it_is_kafkas_file_byte_for_byte():
    assert decode(KAFKA_BYTES, path="f") == TOPIC_ID
    assert encode(TOPIC_ID) == KAFKA_BYTES


@given(st.uuids())
def test_any_topic_id_survives(topic_id: UUID):
    assert parse_uuid(format_uuid(topic_id)) == topic_id
    assert decode(encode(topic_id), path="f") == topic_id


@given(st.uuids(), st.data())
def test_a_torn_file_is_never_believed(topic_id: UUID, data: st.DataObject):
    whole = encode(topic_id)
    with pytest.raises(CorruptCheckpoint, match="the-file"):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))], path="the-file")


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (b"version: 1\ntopic_id: az_CF4hiQ5S6mSGq4iNvsA", "begins with 'version: 1'"),
        (b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", "the zero topic id"),
        (b"version: 0\ntopic_id: az_CF4hiQ5S6mSGq4iNvs%", "not the base64 form of 16 bytes"),
        (b"version 0\n", "not a version and a topic_id"),
        (b"version: 0\ntopic: x", "not a version and a topic_id"),
        (b"\0\0\0\0", "not a version and a topic_id"),
        (b"version: 0\ntopic_id: \xff\xfe", "not the base64 form"),
    ],
)
def test_damage_is_named(damaged: bytes, why: str):
    with pytest.raises(CorruptCheckpoint, match=why):
        decode(damaged, path="f")


def test_it_is_kept_in_a_file(tmp_path):
    files, path = SystemFiles(), str(tmp_path / partition_metadata.FILE_NAME)
    assert partition_metadata.read(files, path) is None
    partition_metadata.write(files, path, TOPIC_ID)
    assert partition_metadata.read(files, path) == TOPIC_ID
