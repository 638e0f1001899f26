"""The form of a Produce request for one partition: what a producer sends again and again, with other records.

Requests of one connection to one topic differ in their correlation id, the partition and the records, and in nothing else:

    key version | correlation id | client id ... acks timeout topic ... | index | size, records | no tagged fields

So the first of them is read as any request; the next ones are compared with it, which takes one look instead of twenty, and
their answers are put together from what does not change.  What does not look alike is simply read as any request: nothing is
decided here.
"""

from __future__ import annotations

import struct

from .errors import ErrorCode
from .frames import Framed
from .primitives import INT32, Frame
from .produce import FLEXIBLE_FROM, ProduceAnswer, ProduceRequest, TopicKey, write_response

OLDEST = 5
"""Older answers lack the log start offset; nobody sends them often."""

_HEAD = struct.Struct(">ii")  # of a request: key and version, correlation id; of a response: size, correlation id
_NUMBERS_BYTES = 4 + 2 + 8 + 8 + 8  # of an answer: index, error, base offset, log append time, log start offset
_NO_TAGS = b"\0\0\0"  # of the partition, the topic and the request


Place = tuple[int, int, int, int]
"""What is read of a request: correlation id, index of the partition, where its records begin and end."""


class ProduceForm:
    """What all requests like a given one have in common; see the top of the file."""

    __slots__ = (
        "_after",
        "_answer",
        "_before",
        "_flexible",
        "_head",
        "_key_version",
        "_least_bytes",
        "_records_size_at",
        "_size",
        "_start",
        "topic",
    )

    @classmethod
    def of(cls, frame: Frame, version: int, request: ProduceRequest, framed: Framed) -> ProduceForm | None:
        """The form of a request that was read from `frame`; None where it is not of this kind."""
        if version < OLDEST or len(request.topics) != 1 or len(request.topics[0][1]) != 1:
            return None
        topic, (sent,) = request.topics[0]
        flexible = version >= FLEXIBLE_FROM
        if sent.start < 0 or bytes(frame[sent.end :]) != (_NO_TAGS if flexible else b""):
            return None
        size_bytes = _uvarint_bytes(sent.end - sent.start + 1) if flexible else 4
        form = cls(frame, sent.start - size_bytes - 4, flexible, topic, write_answer(topic, version, framed))
        return form if form.records_in(frame) == (correlation_id_of(frame), sent.index, sent.start, sent.end) else None

    def __init__(self, frame: Frame, index_at: int, flexible: bool, topic: TopicKey, answer: bytes) -> None:
        self.topic = topic
        self._flexible = flexible
        self._head = struct.Struct(f">ii{index_at - _HEAD.size}si")
        self._key_version, _, self._start, _ = self._head.unpack_from(frame)
        self._records_size_at = self._head.size
        self._least_bytes = self._head.size + 4
        numbers_at = answer.index(_NUMBERS)
        self._before = answer[_HEAD.size : numbers_at]
        self._after = answer[numbers_at + _NUMBERS_BYTES :]
        (self._size,) = INT32.unpack_from(answer)
        self._answer = struct.Struct(f">ii{len(self._before)}sihqqq{len(self._after)}s")

    def records_in(self, frame: Frame) -> Place | None:
        """The correlation id, the partition's index, and where its records begin and end; None: it has another form."""
        end = len(frame)
        if end < self._least_bytes:
            return None
        key_version, correlation_id, start_bytes, index = self._head.unpack_from(frame)
        if start_bytes != self._start or key_version != self._key_version:
            return None
        start = self._records_size_at
        if self._flexible:
            end -= 3
            if frame[end] or frame[end + 1] or frame[end + 2]:
                return None
            size = frame[start]
            start += 1
            if size >= 0x80:
                more = frame[start]
                start += 1
                size = size & 0x7F | (more & 0x7F) << 7
                if more >= 0x80:
                    size, start = _third_of_uvarint(frame, start, size)
            size -= 1
        else:
            (size,) = INT32.unpack_from(frame, start)
            start += 4
        if size < 0 or start + size != end:
            return None
        return correlation_id, index, start, end

    def answer(
        self, correlation_id: int, index: int, base_offset: int, log_append_time_ms: int, log_start_offset: int
    ) -> bytes:
        """The whole response, its size in front, for records that were appended."""
        return self._answer.pack(
            self._size,
            correlation_id,
            self._before,
            index,
            0,
            base_offset,
            log_append_time_ms,
            log_start_offset,
            self._after,
        )


_MARKED = ProduceAnswer(-2, ErrorCode.NONE, -2, -2, -2)
_NUMBERS = struct.pack(">ihqqq", -2, 0, -2, -2, -2)
"""Numbers that no answer has, to find their place by: a name is UTF-8, which these bytes are not, and an id is shorter."""


def write_answer(topic: TopicKey, version: int, framed: Framed) -> bytes:
    """A response whose numbers are `_NUMBERS`."""
    return framed(0, write_response([(topic, [_MARKED])], version), flexible=version >= FLEXIBLE_FROM)


def correlation_id_of(frame: Frame) -> int:
    """The correlation id of a request."""
    return int(INT32.unpack_from(frame, 4)[0])


def _third_of_uvarint(frame: Frame, position: int, value: int) -> tuple[int, int]:
    """With its third byte, and the position behind it; 0 for a longer one, which is rare enough."""
    third = frame[position]
    return (value | third << 14, position + 1) if third < 0x80 else (0, position)


def _uvarint_bytes(value: int) -> int:
    """How long the shortest encoding is."""
    return max(1, (value.bit_length() + 6) // 7)
