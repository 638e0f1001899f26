"""One connection to one broker: many requests on their way at once, each answer given to whom it belongs.

    send() ──► frame ──► transport ──► broker            request() = send() and the answer decoded
       │                                  │
       └── waiter of its number ◄── frames of the receiver

A broker answers the requests of a connection in order, so any number may be on their way; each answer is given to
the waiter of its correlation id.  `send` is not a coroutine: what is sent first arrives first, and between the
caller's check and the bytes there is no await.  Its answer stays as it was received (`RawAnswer`: the frame, where
the body begins, its version), for the codecs that read in place; `request` decodes it into a `Message`.

A caller that is cancelled leaves its number behind: the answer that still comes is dropped, and the connection goes
on.  An answer that does not come in time ends the connection, because those behind it would not come either; so does
everything that cannot be read.  Once ended, a connection stays ended, and says why to whoever still waits or asks.

Before anything else the two sides agree on versions (`ApiVersions`); after that each request is sent in the highest
version that both know.  There is no bound on what is on its way: who sends without waiting for answers waits for
`drained`.  Kafka's counterpart is `NetworkClient`; finding brokers is `pool`'s and `cluster`'s work.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from ..protocol.apis import SUPPORTED, ApiKey
from ..protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ..protocol.frames import encode_size
from ..protocol.messages import (
    Message,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
)
from ..protocol.values import dataclass
from .address import Address
from .errors import CannotConnect, ClientError, ConnectionLost, RequestTimedOut, UnsupportedApi
from .network import Network, TcpNetwork
from .receiving import Frame, FrameReceiver

SOFTWARE_NAME = "ottla"
MAX_RESPONSE_BYTES = 256 * 1024 * 1024
"""A larger answer is taken for garbage: a peer that is no Kafka broker, an HTTP server for instance."""
DEFAULT_TIMEOUT_S = 30.0
CLOSING_TIMEOUT_S = 5.0
"""How long a peer that does not read may hold up the end of a connection with unsent bytes."""
_MAX_CORRELATION_ID = 2**31 - 1
_READS_AT_ONCE = 16
"""So often a large answer is read on before the loop has its turn."""
_LARGE_BYTES = 128 * 1024
_WITH_ITS_HEAD_BYTES = 16 * 1024
_CAN_READ_ON = hasattr(os, "readv")  # not on Windows

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class VersionRange:
    """The versions of an API that a broker speaks, both ends included."""

    lowest: int
    highest: int


class RawAnswer(NamedTuple):
    """An answer as it was received: its body begins at `position` of the frame, which the caller owns."""

    frame: Frame
    position: int
    version: int


@dataclass(slots=True)
class _Waiter:
    key: ApiKey
    version: int
    timeout_s: float
    answer: asyncio.Future[RawAnswer]
    deadline: asyncio.TimerHandle


class Connection(asyncio.BufferedProtocol):
    """An open connection.  Made by `open`; owned by the loop it was opened on."""

    def __init__(self, address: Address, *, client_id: str, timeout_s: float) -> None:
        self.address = address
        self.versions: Mapping[int, VersionRange] = {}
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket: Any = None  # of the transport, if it has one
        self._receiver = FrameReceiver(max_bytes=MAX_RESPONSE_BYTES)
        self._next_correlation_id = 0
        self._waiters: dict[int, _Waiter] = {}
        self._ended: ClientError | None = None
        self._gone = asyncio.Event()  # the transport has said its last word
        self._writable = asyncio.Event()
        self._writable.set()

    @classmethod
    async def open(
        cls,
        address: Address,
        *,
        client_id: str = SOFTWARE_NAME,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        network: Network | None = None,
    ) -> Connection:
        """Connect and agree on versions; raises ClientError, its text naming the address."""
        connection = cls(address, client_id=client_id, timeout_s=timeout_s)
        try:
            await connection._connect(network or TcpNetwork())
            connection.versions = await connection._agree_on_versions()
        except BaseException:
            connection._end(ConnectionLost(f"the connection to {address} was given up"))
            raise
        return connection

    async def _connect(self, network: Network) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await network.connect(self.address, lambda: self)
        except TimeoutError as error:
            raise CannotConnect(f"no broker answers at {self.address} within {self._timeout_s:g} s") from error
        except OSError as error:
            raise CannotConnect(f"no broker at {self.address}: {_reason(error)}") from error
        except UnicodeError as error:  # of IDNA: an empty or too long part of the name
            raise CannotConnect(f"no broker at {self.address}: no host can have this name") from error

    @property
    def is_open(self) -> bool:
        return self._ended is None

    @property
    def is_writable(self) -> bool:
        """Whether the transport takes more without piling it up; see `drained`."""
        return self._writable.is_set()

    def version_of(self, key: ApiKey, *, at_most: int | None = None) -> int:
        """The highest version that both sides speak; UnsupportedApi when there is none."""
        theirs, ours = self.versions.get(key), SUPPORTED[key]
        limit = ours.max_version if at_most is None else min(at_most, ours.max_version)
        version = min(limit, theirs.highest) if theirs else -1
        if theirs is None or version < max(ours.min_version, theirs.lowest):
            speaks = f"speaks versions {theirs.lowest} to {theirs.highest} of" if theirs else "does not know"
            raise UnsupportedApi(
                f"the broker at {self.address} {speaks} {key.name}; versions {ours.min_version} to {limit} are needed"
            )
        return version

    # -- asking

    async def request(
        self, key: ApiKey, message: Message, *, timeout_s: float | None = None, at_most: int | None = None
    ) -> Message:
        """Send a request in the best common version (`at_most` this one) and wait for its answer.

        Raises ClientError when there is none.  After a cancellation the broker may still do what was asked.
        """
        return await self._request(key, self.version_of(key, at_most=at_most), message, timeout_s)

    def send(
        self, key: ApiKey, version: int, *body: Buffer, timeout_s: float | None = None
    ) -> asyncio.Future[RawAnswer]:
        """Send a request that is encoded already, in parts; the future has the answer, or a ClientError.

        The parts must not change any more.  Raises the ClientError by which the connection ended, if it has.
        """
        correlation_id = self._write(key, version, body)
        answer: asyncio.Future[RawAnswer] = self._loop.create_future()
        wait_s = timeout_s or self._timeout_s
        deadline = self._loop.call_later(wait_s, self._is_late, correlation_id)
        self._waiters[correlation_id] = _Waiter(key, version, wait_s, answer, deadline)
        return answer

    def send_unanswered(self, key: ApiKey, version: int, *body: Buffer) -> None:
        """Send a request that has no answer (Produce with acks 0).  See `drained`."""
        self._write(key, version, body)

    async def drained(self) -> None:
        """Return when the transport takes more; ClientError if the connection ended."""
        await self._writable.wait()
        self._raise_if_ended()

    async def close(self) -> None:
        """End the connection after what was written; who still waits is told."""
        if self._ended is None and self._transport is not None:
            self._transport.close()
        self._end(ConnectionLost(f"the connection to {self.address} was closed"), abort=False)
        if self._transport is None:
            return
        try:
            async with asyncio.timeout(CLOSING_TIMEOUT_S):
                await self._gone.wait()
        except TimeoutError:
            self._transport.abort()

    def give_up(self, error: MalformedMessage) -> ConnectionLost:
        """End the connection because an answer cannot be read; what to raise."""
        lost = ConnectionLost(f"what {self.address} says is not Kafka's protocol: {error}")
        self._end(lost)
        return lost

    async def _request(self, key: ApiKey, version: int, message: Message, timeout_s: float | None) -> Message:
        answer = await self.send(key, version, encode_request(key, version, message), timeout_s=timeout_s)
        body = memoryview(answer.frame)[answer.position :]
        if key == ApiKey.API_VERSIONS and body[:2] == ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big"):
            version = 0
        try:
            return decode_response(key, version, body)
        except MalformedMessage as error:
            raise self.give_up(error) from error

    async def _agree_on_versions(self) -> Mapping[int, VersionRange]:
        """Ask in our highest version; a broker that does not know it answers with its own highest, as v0."""
        version = SUPPORTED[ApiKey.API_VERSIONS].max_version
        for _ in range(2):
            answer = await self._request(ApiKey.API_VERSIONS, version, who_we_are(), None)
            offered = {api.api_key: VersionRange(api.min_version, api.max_version) for api in answer.api_keys}
            if answer.error_code == ErrorCode.NONE:
                return offered
            if answer.error_code != ErrorCode.UNSUPPORTED_VERSION or ApiKey.API_VERSIONS not in offered:
                break
            version = min(version, offered[ApiKey.API_VERSIONS].highest)
        raise KafkaError(ErrorCode(answer.error_code), f"{self.address} does not say which versions it speaks")

    # -- sending

    def _write(self, key: ApiKey, version: int, body: tuple[Buffer, ...]) -> int:
        self._raise_if_ended()
        assert self._transport is not None, "not connected"
        correlation_id = self._next_correlation_id
        self._next_correlation_id = (correlation_id + 1) & _MAX_CORRELATION_ID
        header = encode_request_header(key, version, correlation_id, self._client_id)
        size = len(header) + sum(map(len, body))
        parts = (encode_size(size) + header, *body)
        if size < _LARGE_BYTES:
            self._transport.write(b"".join(parts))
        else:
            _write_large(self._transport, parts)
        return correlation_id

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise _again(self._ended)

    def _is_late(self, correlation_id: int) -> None:
        waiter = self._waiters[correlation_id]
        what = f"{self.address} did not answer {waiter.key.name} within {waiter.timeout_s:g} s"
        self._end(RequestTimedOut(what))

    # -- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if _CAN_READ_ON:
            self._socket = transport.get_extra_info("socket")
        if self._ended is not None:  # given up while connecting
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._receiver.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._receiver.received(nbytes, self._take)
            for _ in range(_READS_AT_ONCE):
                more = self._read_on()
                if not more:
                    break
                self._receiver.received(more, self._take)
        except MalformedMessage as error:
            self.give_up(error)

    def _read_on(self) -> int:
        """Read what has come of a large answer since: pieces of it come faster than the loop's turns. How many bytes."""
        if not self._receiver.has_begun_large or self._ended is not None or self._socket is None:
            return 0
        try:
            return os.readv(self._socket.fileno(), (self._receiver.get_buffer(),))
        except BlockingIOError:
            return 0  # not now; the transport waits for it
        except OSError as error:
            self._end(self._closed_by_peer(error))  # which the transport will not be told again
            return 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(self._closed_by_peer(exc))
        self._gone.set()

    def _closed_by_peer(self, error: Exception | None) -> ConnectionLost:
        detail = f": {_reason(error)}" if isinstance(error, OSError) else ""
        return ConnectionLost(f"the broker at {self.address} closed the connection{detail}")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- receiving

    def _take(self, frame: Frame) -> None:
        if self._ended is not None:
            return
        correlation_id = int.from_bytes(frame[:4], "big")
        waiter = self._waiters.get(correlation_id)
        if waiter is None:
            raise MalformedMessage(f"an answer to request {correlation_id}, which was not asked")
        position = decode_response_header(waiter.key, waiter.version, frame).body_position
        del self._waiters[correlation_id]
        waiter.deadline.cancel()
        if not waiter.answer.done():  # Else the caller was cancelled, and nobody wants it any more.
            waiter.answer.set_result(RawAnswer(frame, position, waiter.version))

    def _end(self, why: ClientError, *, abort: bool = True) -> None:
        """Tell everybody who waits; what happens again afterwards changes nothing."""
        if self._ended is not None:
            return
        self._ended = why
        if abort and self._transport is not None:
            self._transport.abort()
        self._writable.set()
        waiters = list(self._waiters.values())
        self._waiters.clear()
        for waiter in waiters:
            waiter.deadline.cancel()
            if not waiter.answer.done():
                waiter.answer.set_exception(_again(why))


def _write_large(transport: asyncio.Transport, parts: Sequence[Buffer]) -> None:
    """Write all, no large part copied before the system copies it; each begins in what goes before it.

    Not by `writelines`: before Python 3.12 it joins the parts.  asyncio's later ones send them as they are, but 3.12 and
    the first of 3.13 pause nobody, fail in the moment between the end of a socket and `connection_lost`, and keep an
    empty last part, which the loop then tries to send in every turn.
    """
    small: list[Buffer] = []
    for part in parts:
        if len(part) < _LARGE_BYTES:
            small.append(part)
            continue
        large = memoryview(part)
        transport.write(b"".join((*small, large[:_WITH_ITS_HEAD_BYTES])))
        transport.write(large[_WITH_ITS_HEAD_BYTES:])
        small = []
    if small:
        transport.write(b"".join(small))


def _again(error: ClientError) -> ClientError:
    """The same error for one more who is told: each raises an exception of its own."""
    return type(error)(*error.args)


def who_we_are() -> Message:
    """What a client says in ApiVersions."""
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
