"""Schemas of records, by a made-up one with everything in it; those in use are held against Kafka's bytes elsewhere."""

from __future__ import annotations

from uuid import UUID

import pytest
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.messages import Message
from ottla.protocol.record_schemas import RecordSchema, field, single_struct, structs

VALUE = RecordSchema(
    "Value",
    [
        field("offset", "int64"),
        field("name", "string", is_nullable=True),
        field("gone", "int32", until=1, default=-1),
        field("new", "int32", since=2, default=-1),
        field("numbers", "int32", is_array=True, since=1),
        structs("parts", [field("data", "bytes"), field("late", "int16", since=2)]),
        field("topic_id", "uuid", since=2, tag=0),
    ],
    versions=range(3),
    flexible_from=2,
)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_what_a_version_has_reads_back_and_the_rest_is_at_its_default(version: int) -> None:
    message = Message(
        offset=7,
        name=None,
        gone=8,
        new=9,
        numbers=[1, 2],
        parts=[Message(data=b"x", late=3), Message(data=b"", late=4)],
        topic_id=UUID(int=5),
    )

    read_version, read = VALUE.decode(VALUE.encode(message, version=version))

    assert read_version == version
    assert (read.offset, read.name) == (7, None)
    assert read.gone == (8 if version < 2 else -1)
    assert read.new == (9 if version == 2 else -1)
    assert read.numbers == ([] if version == 0 else [1, 2])
    assert [each.late for each in read.parts] == ([3, 4] if version == 2 else [0, 0])
    assert read.topic_id == UUID(int=5 if version == 2 else 0)


def test_the_bytes_are_kafka_s() -> None:
    message = Message(offset=1, name="n", gone=2, parts=[Message(data=b"x")])
    assert VALUE.encode(message, version=0).hex() == "0000000000000000000100016e00000002000000010000000178"
    assert VALUE.encode(message, version=2).hex() == "00020000000000000001026effffffff0102027800000000"


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\0\7", VALUE.encode(Message(), version=0)[:-1], VALUE.encode(Message(), version=2) + b"x"],
)
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        VALUE.decode(data)


@pytest.mark.parametrize(
    ("part", "data"),
    [
        (None, "0000 01 02 01 00"),
        (Message(size=7), "0000 01 02 06 01 00000007 00"),
        (Message(size=0), "0000 00"),
    ],
)
def test_a_tagged_struct_that_is_null_is_written_and_one_at_its_defaults_is_not(
    part: Message | None, data: str
) -> None:
    """As Kafka does where a schema gives no default of null."""
    schema = RecordSchema(
        "Value",
        [single_struct("part", [field("size", "int32")], is_nullable=True, tag=2)],
        versions=range(1),
        flexible_from=0,
    )

    assert schema.encode(Message(part=part), version=0) == bytes.fromhex(data)
    assert schema.decode(bytes.fromhex(data)) == (0, Message(part=part))
