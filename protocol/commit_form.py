"""The form of an OffsetCommit request: what a consumer sends again and again, with other offsets.

The commits of a member that keeps its partitions differ in their correlation id, and in the offset and leader epoch of each
partition, and in nothing else:

    key version | correlation id | client id, group, member, topic ... index | offset epoch | metadata, index | offset epoch ...

So the first of them is read as any request; the next ones are compared with it, which takes one look. Where the numbers lie is
found by writing the request with two sets of them and looking at what changes. What does not look alike is simply read as any
request: nothing is decided here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from .apis import ApiKey
from .messages import Message, RequestHeader, encode_request
from .primitives import Frame

OLDEST = 6
"""Older requests have no leader epoch; nobody sends them often."""

_HEAD_BYTES = 8  # key and version, correlation id
_NUMBERS_BYTES = 12  # offset, leader epoch
_CHANGED = re.compile(rb"\xff+")

Values = tuple[Any, ...]
"""What is read of a request; see `CommitForm.read`."""


class CommitForm:
    """What all requests like a given one have in common; see the top of the file."""

    __slots__ = ("_fixed", "_key_version", "_layout", "_size")

    @classmethod
    def of(cls, frame: bytes, header: RequestHeader, request: Message) -> CommitForm | None:
        """The form of a request that was read from `frame`; None where it is not of this kind."""
        version, start = header.api_version, header.body_position
        if version < OLDEST or encode_request(ApiKey.OFFSET_COMMIT, version, request) != frame[start:]:
            return None
        layout, end = ">4si", _HEAD_BYTES
        for numbers_at in _numbers_in(request, version):
            layout += f"{start + numbers_at - end}sqi"
            end = start + numbers_at + _NUMBERS_BYTES
        return cls(struct.Struct(f"{layout}{len(frame) - end}s"), frame)

    def __init__(self, layout: struct.Struct, frame: bytes) -> None:
        self._layout = layout
        self._size = layout.size
        values = layout.unpack(frame)
        self._key_version = values[0]
        self._fixed = values[2::3]

    def read(self, frame: Frame) -> Values | None:
        """The correlation id at [1], the partitions' offsets at [3::3], and their leader epochs at [4::3], in the order of the
        request; None: it has another form.
        """
        if len(frame) != self._size:
            return None
        values = self._layout.unpack(frame)
        return values if values[2::3] == self._fixed and values[0] == self._key_version else None


def _numbers_in(request: Message, version: int) -> Iterator[int]:
    """Where a partition's offset and leader epoch lie in the request's body, for each partition."""
    zeros, ones = (
        int.from_bytes(encode_request(ApiKey.OFFSET_COMMIT, version, _with_numbers(request, number)))
        for number in (0, -1)
    )
    changed = (zeros ^ ones).to_bytes(len(encode_request(ApiKey.OFFSET_COMMIT, version, request)))
    for run in _CHANGED.finditer(changed):
        assert run.end() - run.start() == _NUMBERS_BYTES, "an index lies between two partitions' numbers"
        yield run.start()


def _with_numbers(request: Message, number: int) -> Message:
    """A copy with other offsets and epochs."""
    topics = []
    for topic in request.topics:
        partitions = [
            Message(**{**vars(each), "committed_offset": number, "committed_leader_epoch": number})
            for each in topic.partitions
        ]
        topics.append(Message(**{**vars(topic), "partitions": partitions}))
    return Message(**{**vars(request), "topics": topics})
