"""Readers of a log with bare Fetch requests: many at the same tail, or one that reads old data over and over."""

from __future__ import annotations

import multiprocessing
import selectors
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

from ottla.protocol.apis import ApiKey
from ottla.protocol.messages import Message

from .one_record import Answers
from .wire import Connection, answer, fetch_fields, frame, must_have_taken, produce_frame
from .wire import batch as make_batch

MAX_WAIT_MS = 500
PARTITION_MAX_BYTES = 1 << 20
RECORDS_A_ROUND = 10
PATIENCE_S = 20.0


def fetch_frame(topic: UUID, partition: int, offset: int, *, max_wait_ms: int = MAX_WAIT_MS) -> bytes:
    """A Fetch outside of any session."""
    wanted = Message(partition=partition, fetch_offset=offset, partition_max_bytes=PARTITION_MAX_BYTES)
    return frame(ApiKey.FETCH, Message(**fetch_fields(topic, [wanted], max_wait_ms=max_wait_ms)))


def fan_out(bootstrap: str, topic: UUID, *, readers: int, seconds: float) -> Answers:
    """A batch is produced; when every reader has it, the next is. `count` are deliveries, latencies those of each."""
    answers = Answers()
    records = make_batch(RECORDS_A_ROUND, 100)
    with ExitStack() as stack:
        producer = stack.enter_context(Connection(bootstrap))
        selector = stack.enter_context(selectors.DefaultSelector())
        connections = [stack.enter_context(Connection(bootstrap)) for _ in range(readers)]
        for each in connections:
            selector.register(each.socket, selectors.EVENT_READ, each)
        request, offset = produce_frame(topic, 0, records, acks=1), _end_offset(bootstrap, topic)
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            _ask(connections, fetch_frame(topic, 0, offset))
            sent = time.perf_counter()
            producer.socket.sendall(request)
            must_have_taken(producer.receive())
            _await_all(selector, readers, fetch_frame(topic, 0, offset), sent, answers)
            offset += RECORDS_A_ROUND
        answers.seconds = time.perf_counter() - began
    return answers


def _end_offset(bootstrap: str, topic: UUID) -> int:
    """Where the log ends, as a Fetch tells it."""
    with Connection(bootstrap) as connection:
        connection.socket.sendall(fetch_frame(topic, 0, 0, max_wait_ms=0))
        (told,) = answer(ApiKey.FETCH, connection.receive()).responses
    _must_have_served(told.partitions[0])
    return int(told.partitions[0].high_watermark)


def _must_have_served(partition: Message) -> None:
    if partition.error_code:
        raise RuntimeError(f"the broker does not serve the partition: {partition.error_code!r}")


def _ask(connections: list[Connection], request: bytes) -> None:
    for each in connections:
        each.socket.sendall(request)


def _await_all(selector: selectors.BaseSelector, readers: int, request: bytes, sent: float, answers: Answers) -> None:
    """Until each reader has records; one whose wait ended before they came asks again."""
    missing = readers
    while missing:
        if time.perf_counter() - sent > PATIENCE_S:
            raise TimeoutError(f"{missing} of {readers} readers were not given what was produced")
        for key, _ in selector.select(1.0):
            connection: Connection = key.data
            connection.fill()
            while (response := connection.take()) is not None:
                if len(response) < RECORDS_A_ROUND * 100:
                    _must_have_served(answer(ApiKey.FETCH, response).responses[0].partitions[0])
                    connection.socket.sendall(request)
                    continue
                answers.count += 1
                answers.latencies_s.append(time.perf_counter() - sent)
                missing -= 1


@contextmanager
def reader_of_old_data(bootstrap: str, topic: UUID) -> Iterator[None]:
    """A process that reads partition 0 from the beginning to the end, again and again, as fast as it is served."""
    reader = multiprocessing.get_context("spawn").Process(target=read_again_and_again, args=(bootstrap, topic))
    reader.daemon = True
    reader.start()
    try:
        yield
    finally:
        reader.kill()
        reader.join()


def read_again_and_again(bootstrap: str, topic: UUID) -> None:
    """The process of `reader_of_old_data`; it is killed."""
    with Connection(bootstrap) as connection:
        while True:
            offset = 0
            while (following := _offset_after(connection, topic, offset)) is not None:
                offset = following


def _offset_after(connection: Connection, topic: UUID, offset: int) -> int | None:
    connection.socket.sendall(fetch_frame(topic, 0, offset, max_wait_ms=0))
    (told,) = answer(ApiKey.FETCH, connection.receive()).responses
    records: Any = told.partitions[0].records
    return None if not records else offset + _record_count(records)


def _record_count(records: memoryview) -> int:
    """Of the whole batches in it, by their headers."""
    count = position = 0
    while position + 61 <= len(records):
        size = 12 + int.from_bytes(records[position + 8 : position + 12], "big")
        if position + size > len(records):
            break
        count += int.from_bytes(records[position + 57 : position + 61], "big")
        position += size
    return count
