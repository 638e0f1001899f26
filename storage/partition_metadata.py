"""`partition.metadata`: which topic a partition folder belongs to, by the topic's id.

    version: 0
    topic_id: az_CF4hiQ5S6mSGq4iNvsA        (no newline at the end, as Kafka writes it)

A topic may be deleted and made again under the same name while its old folder still stands; the id tells
the two apart. The file is written once, when the folder is made, and never changes. Ids are 16 bytes in
URL-safe base64 without padding, Kafka's text form of a `Uuid`. Whether the id is the right one is for
the owner of the catalog to judge. Kafka's class: `PartitionMetadataFile`.
"""

from __future__ import annotations

import base64
from uuid import UUID

from .checkpoint import CorruptCheckpoint, read_if_present
from .files import Files

FILE_NAME = "partition.metadata"
VERSION = 0


def format_uuid(value: UUID) -> str:
    """Kafka's text form: 22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def parse_uuid(text: str) -> UUID:
    """The other way; ValueError when `text` is not 16 bytes of base64."""
    try:
        value = UUID(bytes=base64.urlsafe_b64decode(text + "=="))
    except ValueError as error:
        raise ValueError(f"{text!r} is not the base64 form of 16 bytes") from error
    # Python's decoder skips characters it does not know; only a faithful round trip is an id.
    if format_uuid(value) != text.rstrip("="):
        raise ValueError(f"{text!r} is not the base64 form of 16 bytes")
    return value


def encode(topic_id: UUID) -> bytes:
    """The file's bytes."""
    return f"version: {VERSION}\ntopic_id: {format_uuid(topic_id)}".encode()


def decode(data: bytes, *, path: str) -> UUID:
    """The topic id; CorruptCheckpoint names `path` and what is wrong."""
    lines = data.decode("utf-8", "replace").splitlines()
    if len(lines) != 2 or not lines[1].startswith("topic_id: "):
        raise CorruptCheckpoint(path, f"is not a version and a topic_id, but {lines}")
    if lines[0] != f"version: {VERSION}":
        raise CorruptCheckpoint(path, f"begins with {lines[0]!r}, not with version {VERSION}")
    try:
        topic_id = parse_uuid(lines[1].removeprefix("topic_id: ").strip())
    except ValueError as error:
        raise CorruptCheckpoint(path, str(error)) from error
    if topic_id.int == 0:
        raise CorruptCheckpoint(path, "carries the zero topic id")
    return topic_id


def read(files: Files, path: str) -> UUID | None:
    """The topic id in the file at `path`; None when there is no file."""
    data = read_if_present(files, path)
    return None if data is None else decode(data, path=path)


def write(files: Files, path: str, topic_id: UUID) -> None:
    """Durable on return: bytes and name."""
    files.replace_bytes(path, encode(topic_id))
