"""The program below the floor where whole clients are asked: it keeps what they produce, hands it to who waits, and no more.

    python -m bench.load.relay DIRECTORY written|synced

    client -- Produce, Fetch, ListOffsets --> here, a file in DIRECTORY for each partition (`least_log`)
           -- everything else --> a broker behind it, over a connection for each client's, and its answers back

It is the least that one process in Python can do for a client that speaks Kafka's protocol: an event loop (uvloop where it
is), a request received into a buffer and compared with the one before (`ProduceForm`, `FetchForm`), a base offset, one
`pwrite`, an answer; for a reader that waits a second answer around the same bytes.  It checks no records, has no timers, and
knows of one topic: partitions are told apart by their number alone.  A Fetch of several partitions, or one that may not wait,
goes to the broker behind, which has no records.  `synced` has a thread for each partition call fdatasync before a producer is
answered; readers are told at once.  Answers do not keep the order of their requests, for librdkafka goes by correlation ids.

It prints its port, reads the address of the broker behind, whose `advertised.listeners` names that port, from one line of its
standard input, and ends when that does.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from ottla.protocol import fetch, produce
from ottla.protocol.apis import ApiKey
from ottla.protocol.fetch_form import FetchForm, RecordsForm
from ottla.protocol.frames import SIZE_BYTES, Buffer, encode_frame
from ottla.protocol.messages import (
    Message,
    RequestHeader,
    decode_request,
    decode_request_header,
    encode_response,
    encode_response_header,
)
from ottla.protocol.primitives import INT32
from ottla.protocol.produce_form import ProduceForm

from .echo import new_event_loop
from .frames import Frames
from .least_log import LeastLog
from .wire import address_of

MOST_READ_BYTES = 1 << 20
LATEST = -1
READ_COMMITTED = 1
PRODUCE, FETCH, LIST_OFFSETS = int(ApiKey.PRODUCE), int(ApiKey.FETCH), int(ApiKey.LIST_OFFSETS)

Send = Callable[[bytes], None]


class Logs:
    """The partitions' files, made when they are first named."""

    def __init__(self, directory: Path, *, synced: bool) -> None:
        self._directory = directory
        self._synced = synced
        self._logs: dict[int, LeastLog] = {}

    def of(self, index: int) -> LeastLog:
        log = self._logs.get(index)
        if log is None:
            log = self._logs[index] = LeastLog(self._directory / f"{index}.log", synced=self._synced)
        return log


class Reader:
    """One connection's Fetches of one form: each is answered now, or when something comes."""

    @classmethod
    def of(cls, frame: memoryview, logs: Logs, send: Send) -> Reader | None:
        """For requests like this one; None where they name several partitions, or may not wait."""
        header = decode_request_header(frame)
        request = fetch.read_request(frame, header.body_position, header.api_version)
        form = FetchForm.of(frame, header, request)
        if form is None or not request.max_wait_ms or [len(each) for _, each in request.topics] != [1]:
            return None
        return cls(form, request, header.api_version, logs, send)

    def __init__(self, form: FetchForm, request: fetch.FetchRequest, version: int, logs: Logs, send: Send) -> None:
        topic, (wanted,) = request.topics[0]
        committed = request.isolation_level == READ_COMMITTED
        self._form = form
        self._log = logs.of(wanted.index)
        self._records = RecordsForm(topic, wanted.index, version, framed, committed=committed)
        self._send = send
        self._correlation_id = 0

    def serve(self, frame: memoryview) -> bool:
        """Answer now or later; False where it has another form."""
        numbers = self._form.numbers_in(frame)
        if numbers is None:
            return False
        self._correlation_id, _, offset = numbers
        if offset < self._log.end_offset:
            self._hand_over(self._log.read(offset, MOST_READ_BYTES))
        else:
            self._log.wait(self._hand_over)
        return True

    def leave(self) -> None:
        self._log.forget(self._hand_over)

    def _hand_over(self, records: Buffer) -> None:
        end = self._log.end_offset
        before, after = self._records.around(self._correlation_id, 0, (end, end, 0), len(records))
        self._send(b"".join((before, records, after)))


class Client(asyncio.BufferedProtocol):
    """One client's connection."""

    def __init__(self, logs: Logs, behind: tuple[str, int]) -> None:
        self._logs = logs
        self._behind = Behind(self, behind)
        self._frames = Frames()
        self._produce: ProduceForm | None = None
        self._reader: Reader | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.target()

    def buffer_updated(self, nbytes: int) -> None:
        frames = self._frames
        frames.received(nbytes)
        while (frame := frames.next()) is not None:
            self._serve(frame)
        frames.make_room()

    def connection_lost(self, error: Exception | None) -> None:
        if self._reader is not None:
            self._reader.leave()
        self._behind.close()

    def _serve(self, frame: memoryview) -> None:
        key = frame[1]  # Kafka's own are below 256
        if key == PRODUCE:
            self._keep(frame)
        elif key == LIST_OFFSETS:
            self.transport.write(list_offsets(decode_request_header(frame), frame, self._logs))
        elif key != FETCH or not self._read(frame):
            self._behind.send(encode_frame(frame))

    def _keep(self, frame: memoryview) -> None:
        form = self._produce
        place = None if form is None else form.records_in(frame)
        if form is None or place is None:
            form = self._produce = produce_form(frame)
            place = form.records_in(frame)
            assert place is not None
        correlation_id, index, start, end = place
        log = self._logs.of(index)
        base_offset = log.append(frame[start:end])
        log.then(partial(self.transport.write, form.answer(correlation_id, index, base_offset, -1, 0)))

    def _read(self, frame: memoryview) -> bool:
        reader = self._reader
        if reader is not None and reader.serve(frame):
            return True
        another = Reader.of(frame, self._logs, self.transport.write)
        if another is None:
            return False
        self._reader = another
        return another.serve(frame)


class Behind(asyncio.Protocol):
    """A client's connection to the broker behind, made when the first request goes there."""

    def __init__(self, client: Client, address: tuple[str, int]) -> None:
        self._client = client
        self._address = address
        self._connecting: asyncio.Task[object] | None = None
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()

    def send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)
            return
        self._unsent.append(frame)
        if self._connecting is None:
            loop = asyncio.get_running_loop()
            self._connecting = loop.create_task(loop.create_connection(lambda: self, *self._address))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.writelines(self._unsent)

    def data_received(self, data: bytes) -> None:
        """Pass on whole answers, for others may be written between them."""
        received = self._received
        received += data
        while len(received) >= SIZE_BYTES and len(received) >= (end := SIZE_BYTES + INT32.unpack_from(received)[0]):
            self._client.transport.write(bytes(received[:end]))
            del received[:end]

    def connection_lost(self, error: Exception | None) -> None:
        self._client.transport.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        elif self._connecting is not None:
            self._connecting.cancel()


def framed(correlation_id: int, body: bytes, *, flexible: bool) -> bytes:
    """A whole response."""
    return encode_frame(INT32.pack(correlation_id), b"\0" if flexible else b"", body)


def produce_form(frame: memoryview) -> ProduceForm:
    """Of a request to one partition, which is to be answered; the load sends no other."""
    header = decode_request_header(frame)
    request = produce.read_request(frame, header.body_position, header.api_version)
    form = ProduceForm.of(frame, header.api_version, request, framed) if request.acks else None
    assert form is not None, f"a Produce that is not for here: {request}"
    return form


def list_offsets(header: RequestHeader, frame: memoryview, logs: Logs) -> bytes:
    """The whole response: where each partition ends, or where what is kept of it starts."""
    key, version = header.api_key, header.api_version
    asked = decode_request(key, version, frame[header.body_position :])

    def answer(each: Message) -> Message:
        log = logs.of(each.partition_index)
        offset = log.end_offset if each.timestamp == LATEST else log.start_offset
        return Message(partition_index=each.partition_index, error_code=0, timestamp=-1, offset=offset, leader_epoch=-1)

    topics = [
        Message(name=topic.name, partitions=[answer(each) for each in topic.partitions]) for topic in asked.topics
    ]
    body = encode_response(key, version, Message(topics=topics))
    return encode_frame(encode_response_header(key, version, header.correlation_id), body)


async def serve(listening: socket.socket, behind: tuple[str, int], directory: Path, *, synced: bool) -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    logs = Logs(directory, synced=synced)
    server = await loop.create_server(lambda: Client(logs, behind), sock=listening)
    await ended.wait()
    server.close()


def main() -> None:
    directory, how = sys.argv[1:]
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    told = sys.stdin.readline()
    if not told:
        return
    behind = address_of(told.strip())
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(listening, behind, Path(directory), synced=how == "synced"))


if __name__ == "__main__":
    main()
