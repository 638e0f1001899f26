"""Fetch on the wire, hand-written: the answer is a list of parts, so that a megabyte of records is never joined to its header.

A part is either bytes (everything that describes the records) or a sized thing that stands for records still in
their file; whoever owns the socket sends the parts in order and decides when to read the latter. The size prefixes
count what those things will yield, so a thing must yield exactly the `size_bytes` it promised.

    request    replica_id int32 (to v14)  max_wait_ms  min_bytes  max_bytes  isolation_level int8
               session_id, session_epoch (from v7)  [topic]  [forgotten topic] (from v7)  rack_id (from v11)
    topic      name (to v12) | topic_id (from v13)  [partition]
    partition  index  current_leader_epoch (from v9)  fetch_offset int64  last_fetched_epoch (from v12)
               log_start_offset int64 (from v5)  partition_max_bytes int32

Versions 12 and later are flexible (KIP-482). Source: FetchRequest.json, FetchResponse.json; KIP-227 (sessions).
"""

import struct
from collections.abc import Iterable
from typing import Protocol
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
from .produce import TopicKey, read_topic_id
from .values import dataclass, field

FLEXIBLE_FROM = 12
TOPIC_IDS_FROM = 13
SESSIONS_FROM = 7
PREFERRED_REPLICA_FROM = 11
REPLICA_ID_UNTIL = 14
REPLICA_STATE_TAG = 1

_HEAD = struct.Struct(">iiib")  # max wait, min bytes, max bytes, isolation level
_SESSION = struct.Struct(">ii")
_PARTITION_V4 = struct.Struct(">iqi")
_PARTITION_V5 = struct.Struct(">iqqi")
_PARTITION_V9 = struct.Struct(">iiqqi")
_PARTITION_V12 = struct.Struct(">iiqiqi")
_ANSWER_V4 = struct.Struct(">ihqq")  # index, error code, high watermark, last stable offset
_ANSWER_V5 = struct.Struct(">ihqqq")  # the same and log start offset
_ABORTED = struct.Struct(">qq")
_RESPONSE_V7 = struct.Struct(">ihi")  # throttle time, error code, session id


@dataclass(slots=True)
class FetchPartition:
    """What a consumer (or, with a replica id, a follower) wants of one partition; its offset is at `offset_at` of the frame."""

    index: int
    fetch_offset: int
    max_bytes: int
    current_leader_epoch: int = -1
    last_fetched_epoch: int = -1
    log_start_offset: int = -1
    offset_at: int = field(default=-1, compare=False, repr=False)

    def at_offset(self, offset: int) -> "FetchPartition":
        """The same, from another offset on."""
        return FetchPartition(
            self.index,
            offset,
            self.max_bytes,
            self.current_leader_epoch,
            self.last_fetched_epoch,
            self.log_start_offset,
            self.offset_at,
        )


@dataclass(slots=True)
class FetchRequest:
    """A Fetch request; `topics` and `forgotten` pair a topic with its partitions, in the order of the wire."""

    replica_id: int
    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    isolation_level: int
    session_id: int
    session_epoch: int
    topics: list[tuple[TopicKey, list[FetchPartition]]]
    forgotten: list[tuple[TopicKey, list[int]]]


class SizedRecords(Protocol):
    """Records that are not in memory yet; `size_bytes` is exactly what will be sent for them."""

    @property
    def size_bytes(self) -> int: ...


Part = bytes | SizedRecords


@dataclass(slots=True)
class FetchAnswer:
    """What one partition is told. `diverging` is (epoch, end offset); `current_leader` is (leader id, leader epoch)."""

    index: int
    error: ErrorCode = ErrorCode.NONE
    high_watermark: int = -1
    last_stable_offset: int = -1
    log_start_offset: int = -1
    aborted: list[tuple[int, int]] | None = None
    records: Part = b""
    diverging: tuple[int, int] | None = None
    current_leader: tuple[int, int] | None = None


@dataclass(slots=True)
class FetchResponse:
    """A Fetch response; `topics` pairs a topic with its answers, in the order they are sent."""

    error: ErrorCode = ErrorCode.NONE
    session_id: int = 0
    topics: list[tuple[TopicKey, list[FetchAnswer]]] = field(default_factory=list)


def read_request(frame: Frame, position: int, version: int) -> FetchRequest:
    """Read the body of a Fetch request, version 4 to 18, that begins at `position` of its frame.

    Raises MalformedMessage where the body is cut short or a count is impossible; bytes left over are ignored.
    """
    try:
        return _Reader(frame, position, version).request()
    except (struct.error, IndexError) as error:
        raise MalformedMessage(f"Fetch v{version} is cut short") from error


class _Reader:
    """A cursor over one request; classic and flexible versions differ only in how counts and strings are written."""

    __slots__ = ("_flexible", "_frame", "_position", "_version")

    def __init__(self, frame: Frame, position: int, version: int) -> None:
        self._frame = frame
        self._position = position
        self._version = version
        self._flexible = version >= FLEXIBLE_FROM

    def request(self) -> FetchRequest:
        version = self._version
        replica_id = self._int32() if version <= REPLICA_ID_UNTIL else -1
        max_wait_ms, min_bytes, max_bytes, isolation_level = _HEAD.unpack_from(self._frame, self._position)
        self._position += _HEAD.size
        session_id, session_epoch = 0, -1
        if version >= SESSIONS_FROM:
            session_id, session_epoch = _SESSION.unpack_from(self._frame, self._position)
            self._position += _SESSION.size
        topics = [(self._topic(), self._partitions()) for _ in range(self._count())]
        forgotten: list[tuple[TopicKey, list[int]]] = []
        if version >= SESSIONS_FROM:
            forgotten = [(self._topic(), self._forgotten()) for _ in range(self._count())]
        if version >= 11:
            self._string()  # the consumer's rack: there is one replica, and it is here
        if self._flexible:
            replica_id = self._tags(replica_id)
        return FetchRequest(
            replica_id,
            max_wait_ms,
            min_bytes,
            max_bytes,
            isolation_level,
            session_id,
            session_epoch,
            topics,
            forgotten,
        )

    def _partitions(self) -> list[FetchPartition]:
        partitions = [self._partition() for _ in range(self._count())]
        if self._flexible:
            self._position = skip_tags(self._frame, self._position)
        return partitions

    def _partition(self) -> FetchPartition:
        version, frame, position = self._version, self._frame, self._position
        current, last, start = -1, -1, -1
        offset_at = position + (8 if version >= 9 else 4)
        if version >= 12:
            index, current, offset, last, start, size = _PARTITION_V12.unpack_from(frame, position)
            self._position = skip_tags(frame, position + _PARTITION_V12.size)
        elif version >= 9:
            index, current, offset, start, size = _PARTITION_V9.unpack_from(frame, position)
            self._position += _PARTITION_V9.size
        elif version >= 5:
            index, offset, start, size = _PARTITION_V5.unpack_from(frame, position)
            self._position += _PARTITION_V5.size
        else:
            index, offset, size = _PARTITION_V4.unpack_from(frame, position)
            self._position += _PARTITION_V4.size
        return FetchPartition(index, offset, size, current, last, start, offset_at)

    def _forgotten(self) -> list[int]:
        indexes = [self._int32() for _ in range(self._count())]
        if self._flexible:
            self._position = skip_tags(self._frame, self._position)
        return indexes

    def _topic(self) -> TopicKey:
        if self._version >= TOPIC_IDS_FROM:
            topic_id = read_topic_id(self._frame, self._position)
            self._position += 16
            return topic_id
        name = self._string()
        if name is None:
            raise MalformedMessage("a topic name is null")
        return name

    def _tags(self, replica_id: int) -> int:
        """The request's tagged fields; of these only the replica state (KIP-903) is of use here."""
        count, position = read_uvarint(self._frame, self._position)
        for _ in range(count):
            tag, position = read_uvarint(self._frame, position)
            size, position = read_uvarint(self._frame, position)
            if tag == REPLICA_STATE_TAG and self._version > REPLICA_ID_UNTIL:
                (replica_id,) = INT32.unpack_from(self._frame, position)
            position += size
        if position > len(self._frame):
            raise MalformedMessage("a tagged field runs past the end of the request")
        return replica_id

    def _int32(self) -> int:
        (value,) = INT32.unpack_from(self._frame, self._position)
        self._position += 4
        return int(value)

    def _count(self) -> int:
        read = read_compact_count if self._flexible else read_classic_count
        count, self._position = read(self._frame, self._position)
        return count

    def _string(self) -> str | None:
        read = read_compact_string if self._flexible else read_classic_string
        text, self._position = read(self._frame, self._position)
        return text


def write_response(response: FetchResponse, version: int) -> list[Part]:
    """The body of a Fetch response, version 4 to 18, as parts to be sent in order; the throttle time is 0."""
    flexible = version >= FLEXIBLE_FROM
    pack_count = _compact_count if flexible else INT32.pack
    parts: list[Part] = []
    out = bytearray()
    if version >= SESSIONS_FROM:
        out += _RESPONSE_V7.pack(0, response.error, response.session_id)
    else:
        out += b"\0\0\0\0"
    out += pack_count(len(response.topics))
    for topic, answers in response.topics:
        out += _pack_topic(topic, flexible)
        out += pack_count(len(answers))
        for answer in answers:
            out += _before_records(answer, version)
            out += _records_size(answer.records, flexible)
            if isinstance(answer.records, bytes):
                out += answer.records
            else:
                parts += (bytes(out), answer.records)
                out = bytearray()
            if flexible:
                out += _answer_tags(answer)
        if flexible:
            out += b"\0"
    if flexible:
        out += b"\0"
    parts.append(bytes(out))
    return parts


def size_of(parts: Iterable[Part]) -> int:
    """How many bytes the parts come to."""
    return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in parts)


def _pack_topic(topic: TopicKey, flexible: bool) -> bytes:
    if isinstance(topic, UUID):
        return topic.bytes
    return pack_compact_string(topic) if flexible else pack_classic_string(topic)


def _compact_count(count: int) -> bytes:
    return pack_uvarint(count + 1)


def _before_records(answer: FetchAnswer, version: int) -> bytes:
    head = (answer.index, answer.error, answer.high_watermark, answer.last_stable_offset)
    out = _ANSWER_V5.pack(*head, answer.log_start_offset) if version >= 5 else _ANSWER_V4.pack(*head)
    out += _aborted(answer.aborted, version >= FLEXIBLE_FROM)
    if version >= PREFERRED_REPLICA_FROM:
        out += b"\xff\xff\xff\xff"  # no preferred read replica
    return out


def _aborted(aborted: list[tuple[int, int]] | None, flexible: bool) -> bytes:
    if aborted is None:
        return b"\0" if flexible else b"\xff\xff\xff\xff"
    if flexible:
        return pack_uvarint(len(aborted) + 1) + b"".join(_ABORTED.pack(*each) + b"\0" for each in aborted)
    return INT32.pack(len(aborted)) + b"".join(_ABORTED.pack(*each) for each in aborted)


def _records_size(records: Part, flexible: bool) -> bytes:
    size = len(records) if isinstance(records, bytes) else records.size_bytes
    return pack_uvarint(size + 1) if flexible else INT32.pack(size)


def _answer_tags(answer: FetchAnswer) -> bytes:
    """Tag 0 is the diverging epoch (epoch int32, end offset int64), tag 1 the current leader (id, epoch int32)."""
    if answer.diverging is None and answer.current_leader is None:
        return b"\0"
    tags = []
    if answer.diverging is not None:
        tags.append(b"\x00\x0d" + struct.pack(">iq", *answer.diverging) + b"\0")
    if answer.current_leader is not None:
        tags.append(b"\x01\x09" + struct.pack(">ii", *answer.current_leader) + b"\0")
    return bytes((len(tags),)) + b"".join(tags)
