"""One connection to one broker: requests go out as they come, answers come back in the same order.

    request() ──► frame ──► socket ──► broker
        ▲                                 │
        └── waiter of its number ◄── reading task

A broker answers the requests of a connection in order, so any number may be on their way at once; each answer is
given to the waiter of its correlation id.  A caller that is cancelled leaves its number behind: the answer that
still comes is dropped, and the connection goes on.  An answer that does not come in time ends the connection,
because those behind it would not come either; so does everything that cannot be read.  Once ended, a connection
stays ended, and says why to whoever still waits or asks.

Before anything else the two sides agree on versions (`ApiVersions`); after that each request is sent in the highest
version that both know.  Kafka's counterpart is `NetworkClient`; finding brokers is `pool`'s work.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..protocol.apis import SUPPORTED, ApiKey
from ..protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ..protocol.frames import SIZE_BYTES, encode_frame, frame_size
from ..protocol.messages import (
    Message,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
)
from .address import Address
from .errors import CannotConnect, ClientError, ConnectionLost, RequestTimedOut, UnsupportedApi

SOFTWARE_NAME = "ottla"
MAX_RESPONSE_BYTES = 256 * 1024 * 1024
"""A larger answer is taken for garbage: a peer that is no Kafka broker, an HTTP server for instance."""
DEFAULT_TIMEOUT_S = 30.0
_MAX_CORRELATION_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class VersionRange:
    """The versions of an API that a broker speaks, both ends included."""

    lowest: int
    highest: int


@dataclass(slots=True)
class _Waiter:
    key: ApiKey
    version: int
    answer: asyncio.Future[Message]


class Connection:
    """An open connection.  Made by `open`; owned by the loop it was opened on."""

    def __init__(
        self,
        address: Address,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        client_id: str,
        timeout_s: float,
    ) -> None:
        self.address = address
        self.versions: Mapping[int, VersionRange] = {}
        self._reader = reader
        self._writer = writer
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._next_correlation_id = 0
        self._waiters: dict[int, _Waiter] = {}
        self._ended: ClientError | None = None
        self._reading = asyncio.create_task(self._read_answers(), name=f"answers of {address}")

    @classmethod
    async def open(
        cls, address: Address, *, client_id: str = SOFTWARE_NAME, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Connection:
        """Connect and agree on versions; raises ClientError, its text naming the address."""
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(address.host, address.port)
        except TimeoutError as error:
            raise CannotConnect(f"no broker answers at {address} within {timeout_s:g} s") from error
        except OSError as error:
            raise CannotConnect(f"no broker at {address}: {_reason(error)}") from error
        connection = cls(address, reader, writer, client_id=client_id, timeout_s=timeout_s)
        try:
            connection.versions = await connection._agree_on_versions()
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def is_open(self) -> bool:
        return self._ended is None

    def version_of(self, key: ApiKey) -> int:
        """The highest version that both sides speak; UnsupportedApi when there is none."""
        theirs, ours = self.versions.get(key), SUPPORTED[key]
        version = min(ours.max_version, theirs.highest) if theirs else -1
        if theirs is None or version < max(ours.min_version, theirs.lowest):
            speaks = f"speaks versions {theirs.lowest} to {theirs.highest} of" if theirs else "does not know"
            raise UnsupportedApi(
                f"the broker at {self.address} {speaks} {key.name}; versions {ours.min_version} to"
                f" {ours.max_version} are needed"
            )
        return version

    async def request(self, key: ApiKey, message: Message, *, timeout_s: float | None = None) -> Message:
        """Send a request in the best common version and wait for its answer.

        Raises ClientError when there is none.  After a cancellation the broker may still do what was asked.
        """
        return await self._request(key, self.version_of(key), message, timeout_s or self._timeout_s)

    async def close(self) -> None:
        """End the connection; who still waits is told."""
        self._end(ConnectionLost(f"the connection to {self.address} was closed"))
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        with contextlib.suppress(OSError):  # How the peer took the goodbye changes nothing any more.
            await self._writer.wait_closed()

    # -- sending

    async def _request(self, key: ApiKey, version: int, message: Message, timeout_s: float) -> Message:
        body = encode_request(key, version, message)
        if self._ended is not None:
            raise type(self._ended)(*self._ended.args)
        correlation_id = self._next_correlation_id
        self._next_correlation_id = (correlation_id + 1) & _MAX_CORRELATION_ID
        waiter = _Waiter(key, version, asyncio.get_running_loop().create_future())
        self._waiters[correlation_id] = waiter
        self._writer.write(encode_frame(encode_request_header(key, version, correlation_id, self._client_id), body))
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.answer
        except TimeoutError:
            late = RequestTimedOut(f"{self.address} did not answer {key.name} within {timeout_s:g} s")
            self._end(late)
            raise late from None

    async def _agree_on_versions(self) -> Mapping[int, VersionRange]:
        """Ask in our highest version; a broker that does not know it answers with its own highest, as v0."""
        version = SUPPORTED[ApiKey.API_VERSIONS].max_version
        for _ in range(2):
            answer = await self._request(ApiKey.API_VERSIONS, version, _who_we_are(), self._timeout_s)
            offered = {api.api_key: VersionRange(api.min_version, api.max_version) for api in answer.api_keys}
            if answer.error_code == ErrorCode.NONE:
                return offered
            if answer.error_code != ErrorCode.UNSUPPORTED_VERSION or ApiKey.API_VERSIONS not in offered:
                break
            version = min(version, offered[ApiKey.API_VERSIONS].highest)
        raise KafkaError(ErrorCode(answer.error_code), f"{self.address} does not say which versions it speaks")

    # -- receiving

    async def _read_answers(self) -> None:
        """Give each answer to its waiter until the connection ends."""
        try:
            while True:
                size_bytes = frame_size(await self._reader.readexactly(SIZE_BYTES), 0, max_bytes=MAX_RESPONSE_BYTES)
                assert size_bytes is not None, "the size is whole"
                self._take(await self._reader.readexactly(size_bytes))
        except (asyncio.IncompleteReadError, OSError) as error:
            self._end(ConnectionLost(f"the broker at {self.address} closed the connection{_detail(error)}"))
        except MalformedMessage as error:
            self._end(ConnectionLost(f"what {self.address} says is not Kafka's protocol: {error}"))
        finally:
            self._end(ConnectionLost(f"the connection to {self.address} is no longer read"))

    def _take(self, frame: bytes) -> None:
        correlation_id = int.from_bytes(frame[:4], "big")
        waiter = self._waiters.get(correlation_id)
        if waiter is None:
            raise MalformedMessage(f"an answer to request {correlation_id}, which was not asked")
        answer = _decoded(waiter, frame)
        del self._waiters[correlation_id]
        if not waiter.answer.done():  # Else the caller was cancelled, and nobody wants it any more.
            waiter.answer.set_result(answer)

    def _end(self, why: ClientError) -> None:
        if self._ended is not None:
            return
        self._ended = why
        self._writer.close()
        for waiter in self._waiters.values():
            if not waiter.answer.done():
                waiter.answer.set_exception(why)
        self._waiters.clear()


def _decoded(waiter: _Waiter, frame: bytes) -> Message:
    header = decode_response_header(waiter.key, waiter.version, frame)
    body = memoryview(frame)[header.body_position :]
    version = waiter.version
    if waiter.key == ApiKey.API_VERSIONS and body[:2] == ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big"):
        version = 0
    return decode_response(waiter.key, version, body)


def _who_we_are() -> Message:
    # Imported here, for the root of the package imports us.
    from .. import __version__

    return Message(client_software_name=SOFTWARE_NAME, client_software_version=__version__)


def _reason(error: OSError) -> str:
    """The system's own words.  asyncio puts an address into them, and makes one error of those of several addresses."""
    numbered = re.search(r"\[Errno (\d+)\]", str(error))
    number = error.errno or (int(numbered[1]) if numbered else 0)
    words = os.strerror(number) if number > 0 else ""
    if not words or words.startswith("Unknown error"):  # Names that do not resolve; Windows' own numbers.
        return (error.strerror or str(error)).rstrip(".")
    return words


def _detail(error: Exception) -> str:
    return f": {_reason(error)}" if isinstance(error, OSError) else ""
