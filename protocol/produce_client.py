"""Produce on the wire from the client's side: requests in parts, so that no batch is copied, and answers read in place.

The layout is told in `produce`, which reads what is written here and writes what is read here.  From v10 on an answer
may say in passing who leads a partition now (KIP-951), in a tagged field.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
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
from .produce import FLEXIBLE_FROM, TOPIC_IDS_FROM, ProduceAnswer, TopicKey, read_topic_id
from .values import dataclass

Buffer = bytes | bytearray | memoryview

_ACKS_TIMEOUT = struct.Struct(">hi")
_ANSWER_V3 = struct.Struct(">ihqq")  # index, error code, base offset, log append time
_LOG_START = struct.Struct(">q")
_LEADER = struct.Struct(">ii")
_CURRENT_LEADER_TAG = 0
_ERRORS = {int(code): code for code in ErrorCode}


@dataclass(frozen=True, slots=True)
class TopicBatches:
    """One topic's batches by partition; before v13 the name is sent, from then on the id."""

    name: str
    id: UUID
    partitions: Sequence[tuple[int, Buffer]]


@dataclass(frozen=True, slots=True)
class ProduceResponse:
    """What was answered: each topic, by name or id, with its partitions."""

    topics: list[tuple[TopicKey, list[ProduceAnswer]]]
    throttle_time_ms: int


def request_parts(
    topics: Sequence[TopicBatches], version: int, *, acks: int, timeout_ms: int, transactional_id: str | None = None
) -> list[Buffer]:
    """The body of a Produce request, version 3 to 13, in parts of which the batches are some, as they are."""
    flexible = version >= FLEXIBLE_FROM
    pack_string, pack_count = (pack_compact_string, _compact_size) if flexible else (pack_classic_string, INT32.pack)
    tags = b"\0" if flexible else b""
    parts: list[Buffer] = []
    head = pack_string(transactional_id) + _ACKS_TIMEOUT.pack(acks, timeout_ms) + pack_count(len(topics))
    for topic in topics:
        head += topic.id.bytes if version >= TOPIC_IDS_FROM else pack_string(topic.name)
        head += pack_count(len(topic.partitions))
        for index, batch in topic.partitions:
            parts += (head + INT32.pack(index) + pack_count(len(batch)), batch)
            head = tags
        head += tags
    parts.append(head + tags)
    return parts


def _compact_size(size: int) -> bytes:
    return pack_uvarint(size + 1)


def read_response(frame: Frame, position: int, version: int) -> ProduceResponse:
    """Read the body of a Produce response, version 3 to 13, that begins at `position` of its frame.

    MalformedMessage where it is cut short; bytes left over are ignored.
    """
    try:
        return (
            _read_flexible(frame, position, version)
            if version >= FLEXIBLE_FROM
            else _read_classic(frame, position, version)
        )
    except (struct.error, IndexError) as error:
        raise MalformedMessage(f"a Produce v{version} response is cut short") from error


def _read_classic(frame: Frame, position: int, version: int) -> ProduceResponse:
    count, position = read_classic_count(frame, position)
    topics: list[tuple[TopicKey, list[ProduceAnswer]]] = []
    for _ in range(count):
        name, position = read_classic_string(frame, position)
        partition_count, position = read_classic_count(frame, position)
        answers = []
        for _ in range(partition_count):
            answer, position = _numbers(frame, position, version)
            if version >= 8:
                position = _classic_errors(answer, frame, position)
            answers.append(answer)
        topics.append((name or "", answers))
    return ProduceResponse(topics, INT32.unpack_from(frame, position)[0])


def _classic_errors(answer: ProduceAnswer, frame: Frame, position: int) -> int:
    count, position = read_classic_count(frame, position)
    for _ in range(count):
        (index,) = INT32.unpack_from(frame, position)
        message, position = read_classic_string(frame, position + 4)
        answer.record_errors.append((index, message))
    answer.message, position = read_classic_string(frame, position)
    return position


def _read_flexible(frame: Frame, position: int, version: int) -> ProduceResponse:
    count, position = read_compact_count(frame, position)
    topics: list[tuple[TopicKey, list[ProduceAnswer]]] = []
    for _ in range(count):
        topic: TopicKey
        if version >= TOPIC_IDS_FROM:
            topic, position = read_topic_id(frame, position), position + 16
        else:
            name, position = read_compact_string(frame, position)
            topic = name or ""
        partition_count, position = read_compact_count(frame, position)
        answers = []
        for _ in range(partition_count):
            answer, position = _numbers(frame, position, version)
            position = _compact_errors(answer, frame, position)
            answers.append(answer)
        topics.append((topic, answers))
        position = skip_tags(frame, position)
    return ProduceResponse(topics, INT32.unpack_from(frame, position)[0])


def _compact_errors(answer: ProduceAnswer, frame: Frame, position: int) -> int:
    count, position = read_compact_count(frame, position)
    for _ in range(count):
        (index,) = INT32.unpack_from(frame, position)
        message, position = read_compact_string(frame, position + 4)
        answer.record_errors.append((index, message))
        position = skip_tags(frame, position)
    answer.message, position = read_compact_string(frame, position)
    return _answer_tags(answer, frame, position)


def _answer_tags(answer: ProduceAnswer, frame: Frame, position: int) -> int:
    count, position = read_uvarint(frame, position)
    for _ in range(count):
        tag, position = read_uvarint(frame, position)
        size, position = read_uvarint(frame, position)
        if tag == _CURRENT_LEADER_TAG:
            leader_id, leader_epoch = _LEADER.unpack_from(frame, position)
            answer.current_leader = (leader_id, leader_epoch)
        position += size
    return position


def _numbers(frame: Frame, position: int, version: int) -> tuple[ProduceAnswer, int]:
    index, code, base_offset, log_append_time_ms = _ANSWER_V3.unpack_from(frame, position)
    position += _ANSWER_V3.size
    answer = ProduceAnswer(index, _ERRORS.get(code, ErrorCode.UNKNOWN_SERVER_ERROR), base_offset, log_append_time_ms)
    if code not in _ERRORS:
        answer.message = f"error {code}"
    if version >= 5:
        (answer.log_start_offset,) = _LOG_START.unpack_from(frame, position)
        position += _LOG_START.size
    return answer, position
