"""A broker that says what a test wants: a real socket, real frames, scripted answers.

    async with ScriptedBroker({ApiKey.METADATA: lambda request: Message(topics=[])}) as broker:
        connection = await Connection.open(broker.address)

An answer is a Message, raw bytes (sent as they are, without a frame), None (silence) or CLOSE.  ApiVersions is
answered with what `versions` says, without a script.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

from ottla.client.address import Address
from ottla.protocol.apis import SUPPORTED, ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.frames import encode_frame
from ottla.protocol.messages import (
    Message,
    decode_request,
    decode_request_header,
    encode_response,
    encode_response_header,
)

CLOSE = b""
Answer = Message | bytes | None
Script = Callable[[Message], Answer]


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    key: ApiKey
    version: int
    client_id: str | None
    message: Message


class ScriptedBroker:
    """Listens on a free port of the loopback address from entering to leaving the context."""

    def __init__(
        self,
        scripts: Mapping[ApiKey, Script] | None = None,
        *,
        versions: Mapping[ApiKey, tuple[int, int]] | None = None,
    ) -> None:
        self.scripts = dict(scripts or {})
        self.versions = versions or {key: (api.min_version, api.max_version) for key, api in SUPPORTED.items()}
        self.asked: list[Asked] = []
        self.connection_count = 0
        self._server: asyncio.Server
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> Address:
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    async def __aenter__(self) -> ScriptedBroker:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def asked_for(self, key: ApiKey) -> list[Message]:
        return [each.message for each in self.asked if each.key == key]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connection_count += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._answer_one(reader, writer):
                    pass
        finally:
            writer.close()
            self._serving.discard(task)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        frame = await reader.readexactly(size)
        header = decode_request_header(frame)
        key, version = ApiKey(header.api_key), header.api_version
        if key == ApiKey.API_VERSIONS and key not in self.scripts:
            writer.write(self._versions(version, header.correlation_id))
            return True
        message = decode_request(key, version, memoryview(frame)[header.body_position :])
        self.asked.append(Asked(key, version, header.client_id, message))
        answer = self.scripts[key](message)
        if isinstance(answer, bytes):
            writer.write(answer)
            return answer != CLOSE
        if answer is not None:
            body = encode_response(key, version, answer)
            writer.write(encode_frame(encode_response_header(key, version, header.correlation_id), body))
        return True

    def _versions(self, version: int, correlation_id: int) -> bytes:
        """As Kafka: an unknown version is answered in v0 form, with error 35 and the own range only."""
        key = ApiKey.API_VERSIONS
        lowest, highest = self.versions[key]
        known = lowest <= version <= highest
        offered = self.versions if known else {key: self.versions[key]}
        answer = Message(
            error_code=ErrorCode.NONE if known else ErrorCode.UNSUPPORTED_VERSION,
            api_keys=[Message(api_key=k, min_version=low, max_version=high) for k, (low, high) in offered.items()],
        )
        body = encode_response(key, version if known else 0, answer)
        return encode_frame(encode_response_header(key, version, correlation_id), body)
