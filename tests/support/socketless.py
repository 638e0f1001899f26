"""One connection of a broker without a socket, over which requests of one API are sent and their answers awaited.

    client = SocketlessClient(ask, ApiKey.PRODUCE, VERSION)
    client.send(first, second)                   # both received at once
    answers = await client.answers(2)            # decoded, and in the order of the requests

Its `connection` and `transport` are the test's to look at.
"""

from __future__ import annotations

import asyncio

from ottla.broker.connection import Connection
from ottla.protocol.apis import ApiKey
from ottla.protocol.frames import encode_frame
from ottla.protocol.messages import (
    Message,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
)
from support.asking import Asker
from support.loopless import MemoryTransport

PATIENCE_S = 60


class SocketlessClient:
    """Requests are numbered from 1 on; their answers must come in that order."""

    def __init__(self, ask: Asker, key: ApiKey, version: int) -> None:
        self.transport = MemoryTransport()
        self.connection = Connection(ask.broker.server, "PLAINTEXT")
        self.connection.connection_made(self.transport)
        self._key = key
        self._version = version
        self._sent = 0

    def send(self, *requests: Message, version: int | None = None) -> None:
        """All of them received at once."""
        version = self._version if version is None else version
        frames = []
        for request in requests:
            self._sent += 1
            header = encode_request_header(self._key, version, self._sent, "c")
            frames.append(encode_frame(header, encode_request(self._key, version, request)))
        received = b"".join(frames)
        self.connection.get_buffer(-1)[: len(received)] = received
        self.connection.buffer_updated(len(received))

    async def answers(self, count: int, *, version: int | None = None) -> list[Message]:
        """The next ones, which are the last that were sent."""
        version = self._version if version is None else version
        received, numbers, answers = b"", [], []
        async with asyncio.timeout(PATIENCE_S):
            while len(answers) < count:
                await asyncio.sleep(0)
                received += self.transport.take()
                while len(received) >= 4 and len(received) >= 4 + int.from_bytes(received[:4], "big"):
                    size = int.from_bytes(received[:4], "big")
                    frame, received = received[4 : 4 + size], received[4 + size :]
                    header = decode_response_header(self._key, version, frame)
                    numbers.append(header.correlation_id)
                    answers.append(decode_response(self._key, version, frame[header.body_position :]))
        assert numbers == list(range(self._sent - count + 1, self._sent + 1))
        return answers
