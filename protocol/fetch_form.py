"""The form of a Fetch request: what a consumer sends again and again, with other offsets.

Requests of one connection for the same partitions differ in their correlation id, the epoch of their session and the offsets,
and in nothing else:

    key version | correlation id | client id ... session id | session epoch | topic ... | offset | ... | offset | ...

So the first of them is read as any request; the next ones are taken apart in one step and compared with it.  The answer that
carries records of one partition is put together from what does not change, too.  What does not look alike, or has more to
say, goes the way of any request: nothing is decided here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .fetch import (
    FLEXIBLE_FROM,
    PREFERRED_REPLICA_FROM,
    REPLICA_ID_UNTIL,
    SESSIONS_FROM,
    FetchAnswer,
    FetchRequest,
    FetchResponse,
    write_response,
)
from .frames import Framed
from .messages import RequestHeader
from .primitives import INT32, Frame, pack_uvarint
from .produce import TopicKey

OLDEST = SESSIONS_FROM
MOST_PARTITIONS = 8
"""Requests that name more are read as any request: the more partitions, the more kinds of requests there are."""

_CORRELATION_AT = 4
_HEAD_BYTES = 4 + 4  # of a response: size, correlation id
_THROTTLE_AND_ERROR_BYTES = 4 + 2
_NUMBERS_BYTES = 8 + 8 + 8  # of an answer: high watermark, last stable offset, log start offset
_BEFORE_SESSION_EPOCH = 4 + 4 + 4 + 1 + 4  # max wait, min bytes, max bytes, isolation level, session id


class FetchForm:
    """What all requests like a given one have in common; see the top of the file."""

    __slots__ = ("_fixed", "_request", "_struct")

    @classmethod
    def of(cls, frame: Frame, header: RequestHeader, request: FetchRequest) -> FetchForm | None:
        """The form of a request that was read from `frame`; None where it is not of this kind."""
        wanted = [each for _, partitions in request.topics for each in partitions]
        if header.api_version < OLDEST or len(wanted) > MOST_PARTITIONS or request.forgotten:
            return None
        epoch_at = header.body_position + _BEFORE_SESSION_EPOCH + (4 if header.api_version <= REPLICA_ID_UNTIL else 0)
        return cls(frame, request, epoch_at, [each.offset_at for each in wanted])

    def __init__(self, frame: Frame, request: FetchRequest, epoch_at: int, offsets_at: list[int]) -> None:
        self._request = request
        self._struct = struct.Struct(">" + "".join(_pieces(epoch_at, offsets_at, len(frame))))
        self._fixed = self._struct.unpack_from(frame)[::2]

    def numbers_in(self, frame: Frame) -> tuple[int, ...] | None:
        """Correlation id, session epoch and every offset of a frame; None where it has another form."""
        if len(frame) != self._struct.size:
            return None
        pieces = self._struct.unpack_from(frame)
        return pieces[1::2] if pieces[::2] == self._fixed else None

    def request(self, numbers: tuple[int, ...]) -> FetchRequest:
        """The request with these numbers, as `read_request` would give it; positions in the frame are the same."""
        known = self._request
        offsets = iter(numbers[2:])
        return FetchRequest(
            known.replica_id,
            known.max_wait_ms,
            known.min_bytes,
            known.max_bytes,
            known.isolation_level,
            known.session_id,
            numbers[1],
            [
                (topic, [each.at_offset(offset) for each, offset in zip(partitions, offsets, strict=False)])
                for topic, partitions in known.topics
            ],
            [],
        )


def _pieces(epoch_at: int, offsets_at: list[int], size_bytes: int) -> Iterator[str]:
    """The struct's format: fixed bytes and numbers in turn, fixed ones first and last."""
    yield f"{_CORRELATION_AT}si"
    at = _CORRELATION_AT + 4
    yield f"{epoch_at - at}si"
    at = epoch_at + 4
    for offset_at in offsets_at:
        yield f"{offset_at - at}sq"
        at = offset_at + 8
    yield f"{size_bytes - at}s"


class RecordsForm:
    """The answer that carries records of one partition: nothing is wrong, nothing aborted, nothing else said."""

    __slots__ = ("_after", "_flexible", "_other_bytes", "_pieces", "_struct")

    def __init__(self, topic: TopicKey, index: int, version: int, framed: Framed, *, committed: bool) -> None:
        """`committed`: the reader takes only committed records, and is told that none was aborted."""
        flexible = self._flexible = version >= FLEXIBLE_FROM
        answer = FetchAnswer(index, aborted=[] if committed else None)
        body = write_response(FetchResponse(topics=[(topic, [answer])]), version)
        empty = framed(0, b"".join(part for part in body if isinstance(part, bytes)), flexible=flexible)
        size_bytes, after_bytes = (1, 3) if flexible else (4, 0)  # of the records' size; of tagged fields
        size_at = len(empty) - after_bytes - size_bytes
        numbers_at = size_at - (4 if version >= PREFERRED_REPLICA_FROM else 0) - (1 if flexible else 4) - _NUMBERS_BYTES
        session_at = _HEAD_BYTES + (1 if flexible else 0) + _THROTTLE_AND_ERROR_BYTES
        before = empty[_HEAD_BYTES:session_at]
        between = empty[session_at + 4 : numbers_at]
        behind = empty[numbers_at + _NUMBERS_BYTES : size_at]
        self._pieces = before, between, behind
        self._struct = struct.Struct(f">ii{len(before)}si{len(between)}sqqq{len(behind)}s")
        self._after = empty[len(empty) - after_bytes :]
        self._other_bytes = len(empty) - 4 - size_bytes

    def around(
        self, correlation_id: int, session_id: int, ends: tuple[int, int, int], records_bytes: int
    ) -> tuple[bytes, bytes]:
        """What stands before the records in the whole response, its size in front, and what behind.

        `ends`: the high watermark, the last stable offset and the log start offset.
        """
        size = pack_uvarint(records_bytes + 1) if self._flexible else INT32.pack(records_bytes)
        before, between, behind = self._pieces
        head = self._struct.pack(
            self._other_bytes + len(size) + records_bytes,
            correlation_id,
            before,
            session_id,
            between,
            *ends,
            behind,
        )
        return head + size, self._after
