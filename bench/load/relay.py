"""The program below the floor where whole clients are asked: it keeps what they produce, hands it to who waits, and no more.

    python -m bench.load.relay DIRECTORY written|synced

    client -- Produce, Fetch, ListOffsets --> here, a file in DIRECTORY for each partition (`least_log`)
           -- everything else --> a broker behind it, over a connection for each client's, and its answers back

It is the least that one process in Python can do for a client that speaks Kafka's protocol: an event loop (uvloop where it
is), a request received into a buffer and compared with the one before (`ProduceForm`, `FetchForm`), the batch's checksum,
without which nobody may acknowledge it, a base offset, one `pwrite`, an answer; for a reader that waits a second answer
around the same bytes, for one that is behind whole batches from the files, of each partition with one `pread`, sent with one
write (`readers`).  It looks at no records and knows of one topic at a time: partitions are told apart by their number alone,
and begin anew when a topic is deleted.  A Fetch that may not wait goes to the broker behind, which has no records.  `synced`
has a thread for each partition call fdatasync before a producer is answered; readers are told at once.  Answers do not keep
the order of their requests, for librdkafka goes by correlation ids, and of one connection's Fetches one is under way at a
time, as librdkafka has it.

It prints its port, reads the address of the broker behind, whose `advertised.listeners` names that port, from one line of its
standard input, and ends when that does.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import partial
from pathlib import Path
from typing import cast

from ottla.broker.replies import framed
from ottla.protocol import fetch, produce
from ottla.protocol.apis import ApiKey
from ottla.protocol.batch_header import ATTRIBUTES_POSITION, CRC_POSITION
from ottla.protocol.checksum import crc32c
from ottla.protocol.frames import SIZE_BYTES, encode_frame
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
from .readers import BulkFetch, Logs, Memory, TailReader
from .wire import address_of

LATEST = -1
PRODUCE, FETCH, LIST_OFFSETS = int(ApiKey.PRODUCE), int(ApiKey.FETCH), int(ApiKey.LIST_OFFSETS)
DELETE_TOPICS = int(ApiKey.DELETE_TOPICS)


class Client(asyncio.BufferedProtocol):
    """One client's connection."""

    def __init__(self, logs: Logs, behind: tuple[str, int]) -> None:
        self._logs = logs
        self._behind = Behind(self, behind)
        self._frames = Frames()
        self._produce: ProduceForm | None = None
        self._memory = Memory()
        self._tail: TailReader | None = None
        self._bulk: BulkFetch | None = None
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
        for reader in (self._tail, self._bulk):
            if reader is not None:
                reader.leave()
        self._behind.close()

    def _serve(self, frame: memoryview) -> None:
        key = frame[1]  # Kafka's own are below 256
        if key == PRODUCE:
            self._keep(frame)
        elif key == LIST_OFFSETS:
            self.transport.write(list_offsets(decode_request_header(frame), frame, self._logs))
        elif key != FETCH or not self._read(frame):
            if key == DELETE_TOPICS:
                self._logs.clear()
            self._behind.send(encode_frame(frame))

    def _keep(self, frame: memoryview) -> None:
        form = self._produce
        place = None if form is None else form.records_in(frame)
        if form is None or place is None:
            form = self._produce = produce_form(frame)
            place = form.records_in(frame)
            assert place is not None
        correlation_id, index, start, end = place
        batch = frame[start:end]
        checksum = int.from_bytes(batch[CRC_POSITION:ATTRIBUTES_POSITION], "big")
        assert crc32c(batch[ATTRIBUTES_POSITION:]) == checksum, "the load sends whole batches"
        log = self._logs.of(index)
        base_offset = log.append(batch)
        log.then(partial(self.transport.write, form.answer(correlation_id, index, base_offset, -1, 0)))

    def _read(self, frame: memoryview) -> bool:
        tail = self._tail
        if tail is not None and tail.serve(frame):
            return True
        header = decode_request_header(frame)
        request = fetch.read_request(frame, header.body_position, header.api_version)
        if not request.max_wait_ms or len(request.topics) != 1:
            return False
        tail = TailReader.of(frame, header, request, self._logs, self.transport.write)
        if tail is not None:
            self._tail = tail
            return tail.serve(frame)
        self._bulk = BulkFetch(header, request, self._logs, self._memory, self.transport.writelines)
        self._bulk.begin()
        return True


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
