"""Produce on the wire, hand-written: the request is read in place, its record batches stay where they were received.

Every other message goes through `messages`. Produce does not, because its cargo would be copied out of the
receive buffer for nothing: here a partition's batch is two numbers, where it starts and where it ends.

    request    transactional_id  acks int16  timeout_ms int32  [topic]
    topic      name (to v12) | topic_id (from v13)  [partition]
    partition  index int32  records: int32 size and bytes (from v9: unsigned varint of size + 1)

Versions 3 to 8 have classic arrays and strings, 9 and later are flexible (KIP-482): compact lengths, and tagged
fields, none of which is known, at the end of every structure. Source: ProduceRequest.json, ProduceResponse.json.
"""

import struct
from functools import lru_cache
from uuid import UUID

from .errors import ErrorCode, MalformedMessage
from .primitives import (
    INT32,
    Frame,
    pack_classic_string,
    pack_compact_string,
    pack_uvarint,
    read_classic_count,
    read_classic_string,
    read_compact_count,
    read_compact_string,
    read_uvarint,
    skip_tags,
)
from .values import dataclass, field

FLEXIBLE_FROM = 9
TOPIC_IDS_FROM = 13

_ACKS_TIMEOUT = struct.Struct(">hi")
_INDEX_SIZE = struct.Struct(">ii")
_ANSWER_V3 = struct.Struct(">ihqq")  # index, error code, base offset, log append time
_ANSWER_V5 = struct.Struct(">ihqqq")  # the same and log start offset

TopicKey = str | UUID
"""What a request calls a topic: its name, or from v13 its id."""


@dataclass(slots=True)
class PartitionRecords:
    """One partition's records in the frame: `start` to `end` (exclusive); a start of -1 means null."""

    index: int
    start: int
    end: int


@dataclass(slots=True)
class ProduceRequest:
    """A Produce request; `topics` pairs a topic with its partitions, in the order of the wire."""

    transactional_id: str | None
    acks: int
    timeout_ms: int
    topics: list[tuple[TopicKey, list[PartitionRecords]]]


@dataclass(slots=True)
class ProduceAnswer:
    """What one partition is told. `record_errors` pairs the index of a record in its batch with a message.

    `current_leader` is (leader id, leader epoch), which only others than this broker tell.
    """

    index: int
    error: ErrorCode = ErrorCode.NONE
    base_offset: int = -1
    log_append_time_ms: int = -1
    log_start_offset: int = -1
    message: str | None = None
    record_errors: list[tuple[int, str | None]] = field(default_factory=list)
    current_leader: tuple[int, int] | None = None


def read_request(frame: Frame, position: int, version: int) -> ProduceRequest:
    """Read the body of a Produce request, version 3 to 13, that begins at `position` of its frame.

    Nothing of the records is copied or looked at. Raises MalformedMessage where the body is cut short or a count is
    impossible; bytes left over after the body are ignored, as Kafka does.
    """
    try:
        if version >= FLEXIBLE_FROM:
            return _read_flexible(frame, position, version)
        return _read_classic(frame, position)
    except (struct.error, IndexError) as error:
        raise MalformedMessage(f"Produce v{version} is cut short") from error


def _read_classic(frame: Frame, position: int) -> ProduceRequest:
    transactional_id, position = read_classic_string(frame, position)
    acks, timeout_ms = _ACKS_TIMEOUT.unpack_from(frame, position)
    topic_count, position = read_classic_count(frame, position + 6)
    topics: list[tuple[TopicKey, list[PartitionRecords]]] = []
    for _ in range(topic_count):
        name, position = read_classic_string(frame, position)
        count, position = read_classic_count(frame, position)
        partitions = []
        for _ in range(count):
            index, size = _INDEX_SIZE.unpack_from(frame, position)
            partition = _records_at(frame, index, position + 8, size)
            partitions.append(partition)
            position = partition.end
        topics.append((_not_null(name), partitions))
    return ProduceRequest(transactional_id, acks, timeout_ms, topics)


def _read_flexible(frame: Frame, position: int, version: int) -> ProduceRequest:
    transactional_id, position = read_compact_string(frame, position)
    acks, timeout_ms = _ACKS_TIMEOUT.unpack_from(frame, position)
    topic_count, position = read_compact_count(frame, position + 6)
    topics: list[tuple[TopicKey, list[PartitionRecords]]] = []
    for _ in range(topic_count):
        topic: TopicKey
        if version >= TOPIC_IDS_FROM:
            topic = read_topic_id(frame, position)
            position += 16
        else:
            name, position = read_compact_string(frame, position)
            topic = _not_null(name)
        count, position = read_compact_count(frame, position)
        partitions = []
        for _ in range(count):
            (index,) = INT32.unpack_from(frame, position)
            size, position = read_uvarint(frame, position + 4)
            partition = _records_at(frame, index, position, size - 1)
            partitions.append(partition)
            position = skip_tags(frame, partition.end)
        topics.append((topic, partitions))
        position = skip_tags(frame, position)
    skip_tags(frame, position)
    return ProduceRequest(transactional_id, acks, timeout_ms, topics)


def _records_at(frame: Frame, index: int, start: int, size: int) -> PartitionRecords:
    if size < 0:
        return PartitionRecords(index, -1, start)
    if start + size > len(frame):
        raise MalformedMessage("records run past the end of the request")
    return PartitionRecords(index, start, start + size)


def _not_null(name: str | None) -> str:
    if name is None:
        raise MalformedMessage("a topic name is null")
    return name


def read_topic_id(frame: Frame, position: int) -> UUID:
    """The 16 bytes of a topic id."""
    raw = bytes(frame[position : position + 16])
    if len(raw) < 16:
        raise MalformedMessage("a topic id is cut short")
    return _topic_id(raw)


@lru_cache(maxsize=4096)  # of the topics in use: a UUID costs as much to make as the rest of a small request to read
def _topic_id(raw: bytes) -> UUID:
    return UUID(bytes=raw)


def write_response(topics: list[tuple[TopicKey, list[ProduceAnswer]]], version: int) -> bytes:
    """The body of a Produce response, version 3 to 13, without its header; the throttle time is 0."""
    if version >= FLEXIBLE_FROM:
        return _write_flexible(topics, version)
    return _write_classic(topics, version)


def _write_classic(topics: list[tuple[TopicKey, list[ProduceAnswer]]], version: int) -> bytes:
    out = bytearray(INT32.pack(len(topics)))
    for topic, answers in topics:
        out += pack_classic_string(str(topic))
        out += INT32.pack(len(answers))
        for answer in answers:
            out += _numbers(answer, version)
            if version >= 8:
                out += INT32.pack(len(answer.record_errors))
                for index, message in answer.record_errors:
                    out += INT32.pack(index) + pack_classic_string(message)
                out += pack_classic_string(answer.message)
    out += b"\0\0\0\0"  # throttle time
    return bytes(out)


def _write_flexible(topics: list[tuple[TopicKey, list[ProduceAnswer]]], version: int) -> bytes:
    out = bytearray(pack_uvarint(len(topics) + 1))
    for topic, answers in topics:
        out += topic.bytes if isinstance(topic, UUID) else pack_compact_string(topic)
        out += pack_uvarint(len(answers) + 1)
        for answer in answers:
            out += _numbers(answer, version)
            out += pack_uvarint(len(answer.record_errors) + 1)
            for index, message in answer.record_errors:
                out += INT32.pack(index) + pack_compact_string(message) + b"\0"
            out += pack_compact_string(answer.message) + b"\0"
        out += b"\0"
    out += b"\0\0\0\0\0"  # throttle time, no tagged fields
    return bytes(out)


def _numbers(answer: ProduceAnswer, version: int) -> bytes:
    head = (answer.index, answer.error, answer.base_offset, answer.log_append_time_ms)
    if version >= 5:
        return _ANSWER_V5.pack(*head, answer.log_start_offset)
    return _ANSWER_V3.pack(*head)
