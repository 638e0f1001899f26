"""A bare reader in bulk: it asks for several partitions at once, receives the whole answer, and looks at nothing but headers.

    request (encoded once, offsets patched) ──► answer ──► where it ends in each partition ──► the next request

What it costs itself is the receiving, into memory that is used again, and microseconds for an answer and each of its batches;
no record is looked at and no checksum taken.  So the rate says what a broker can send, where a client's says what it can take.
It asks for as much at once as librdkafka does by its defaults, on one connection, one request after the other, outside of any
session.  A partition that was read to its end is begun anew with the next request.
"""

from __future__ import annotations

import socket
import struct
import time
from uuid import UUID

from ottla.protocol.apis import ApiKey
from ottla.protocol.messages import Message
from ottla.protocol.primitives import INT64, read_compact_count, read_uvarint, skip_tags

from . import wire
from .librdkafka import Moved
from .spent import SpendWatch
from .wire import SIZE, Connection

PARTITION_BYTES = 1 << 20
"""librdkafka's `fetch.message.max.bytes`; its `fetch.max.bytes`, 50 MB, is in `wire.fetch_fields`."""
MAX_WAIT_MS = 500
AT_LEAST_BYTES = 5 << 20

_MARK = 0x0102030405060700
"""Stands in a request for the offset of partition 0 until its place is known; occurs nowhere else in it."""
_BEFORE_TOPICS = struct.Struct(">ibihi")  # correlation id, the header's tags, throttle time, error, session id
_TOPIC_ID_BYTES = 16
_PARTITION = struct.Struct(">ihqqq")  # index, error, high watermark, last stable offset, log start offset
_ABORTED_BYTES = 8 + 8 + 1
_PREFERRED_REPLICA_BYTES = 4
_BATCH = struct.Struct(">qi11xi30xi")  # base offset, bytes behind this, ..., last offset delta, ..., count of records
_BATCH_HEAD_BYTES = 8 + 4  # not counted in the bytes behind it


class Places:
    """Where a reader stands in each partition: `request` asks from there on, `take` goes on behind what was answered."""

    def __init__(self, topic: UUID, partitions: int) -> None:
        marks = [_MARK + index for index in range(partitions)]
        wanted = [
            Message(partition=index, fetch_offset=mark, partition_max_bytes=PARTITION_BYTES)
            for index, mark in enumerate(marks)
        ]
        fields = wire.fetch_fields(topic, wanted, max_wait_ms=MAX_WAIT_MS)
        self._request = bytearray(wire.frame(ApiKey.FETCH, Message(**fields)))
        self._offsets_at = [self._request.index(INT64.pack(mark)) for mark in marks]
        self.offsets = [0] * partitions

    def request(self) -> bytearray:
        """Valid until it is called again."""
        for at, offset in zip(self._offsets_at, self.offsets, strict=True):
            INT64.pack_into(self._request, at, offset)
        return self._request

    def take(self, answer: memoryview) -> int:
        """How many records there are in an answer (without its size), all of whose batches are whole but the last of each
        partition.
        """
        _, _, _, error, _ = _BEFORE_TOPICS.unpack_from(answer)
        _must_be_served(error)
        topics, at = read_compact_count(answer, _BEFORE_TOPICS.size)
        count = 0
        for _ in range(topics):
            partitions, at = read_compact_count(answer, at + _TOPIC_ID_BYTES)
            for _ in range(partitions):
                more, at = self._take_partition(answer, at)
                count += more
            at = skip_tags(answer, at)
        return count

    def _take_partition(self, answer: memoryview, at: int) -> tuple[int, int]:
        """The records of one partition, and the position behind it."""
        index, error, high_watermark, _, _ = _PARTITION.unpack_from(answer, at)
        _must_be_served(error)
        aborted, at = read_uvarint(answer, at + _PARTITION.size)  # of the array and one; 0 is null
        at += max(0, aborted - 1) * _ABORTED_BYTES + _PREFERRED_REPLICA_BYTES
        size, at = read_uvarint(answer, at)
        end = at + max(0, size - 1)
        count, following = count_records(answer[at:end])
        if following is not None:
            self.offsets[index] = following if following < high_watermark else 0
        return count, skip_tags(answer, end)


def _must_be_served(error: int) -> None:
    if error:
        raise RuntimeError(f"the broker does not serve what was asked for: error {error}")


def count_records(records: memoryview) -> tuple[int, int | None]:
    """How many there are in whole batches, and the offset behind the last; None where there is none."""
    count, at, following = 0, 0, None
    while at + _BATCH.size <= len(records):
        base_offset, rest, last_delta, in_batch = _BATCH.unpack_from(records, at)
        at += _BATCH_HEAD_BYTES + rest
        if at > len(records):
            break
        count += in_batch
        following = base_offset + last_delta + 1
    return count, following


def write(bootstrap: str, topic: UUID, *, partitions: int, batch: bytes, size_bytes: int) -> None:
    """The same batch again and again, to the partitions in turn, until so many bytes lie in them together."""
    with Connection(bootstrap) as connection:
        for number in range(size_bytes // len(batch)):
            connection.socket.sendall(wire.produce_frame(topic, number % partitions, batch, acks=1))
            wire.must_have_taken(connection.receive())


def read_in_bulk(bootstrap: str, topic: UUID, *, partitions: int, seconds: float) -> Moved:
    """Read all of them from the beginning to the end, again and again, for so long."""
    places = Places(topic, partitions)
    count = 0
    with Connection(bootstrap) as connection:
        answers = _Answers(connection.socket)
        watch = SpendWatch()
        began = time.perf_counter()
        end = began + seconds
        while time.perf_counter() < end:
            connection.socket.sendall(places.request())
            count += places.take(answers.next())
        return Moved(count, 0, time.perf_counter() - began, watch.spent())


class _Answers:
    """What comes over one socket, each answer into the same memory."""

    def __init__(self, peer: socket.socket) -> None:
        self._receive_into = peer.recv_into
        self._memory = memoryview(bytearray(AT_LEAST_BYTES))

    def next(self) -> memoryview:
        """Without its size; valid until the next."""
        self._fill(SIZE.size)
        (size,) = SIZE.unpack_from(self._memory)
        if size > len(self._memory):
            self._memory = memoryview(bytearray(size))
        return self._fill(size)

    def _fill(self, size_bytes: int) -> memoryview:
        memory = self._memory[:size_bytes]
        have = 0
        while have < size_bytes:
            count = self._receive_into(memory[have:])
            if not count:
                raise ConnectionError("the broker closed the connection")
            have += count
        return memory
