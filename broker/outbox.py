"""Parts out, in order: small ones joined into one write, records read from their file only when the peer takes them.

A slow reader of a large Fetch response therefore costs one chunk of memory, not the response. Records are read on the
loop while their pages are warm; a cold page is read by a thread, and the parts behind it wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from ..protocol.errors import KafkaError
from ..protocol.fetch import Part
from ..storage.segment import FileSlice

JOIN_BYTES = 64 * 1024  # parts are joined into one write up to this size
CHUNK_BYTES = (
    256 * 1024
)  # records are read in chunks of this size; larger ones cost a slow reader more and gain nothing


class Outbox:
    """What one connection has yet to send.

    `failed(reason)` is called when promised records cannot be read: the response is cut, so the connection must end.
    `drained()` is called when sending goes on after a pause.
    """

    __slots__ = ("_drained", "_failed", "_loop", "_parts", "_reading", "_transport", "is_paused")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[str], None],
        drained: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._failed = failed
        self._drained = drained
        self._parts: deque[Part] = deque()
        self._reading = False
        self.is_paused = False

    @property
    def is_empty(self) -> bool:
        """Everything was handed to the transport."""
        return not self._parts and not self._reading

    @property
    def is_ready(self) -> bool:
        """What is written to the transport now would neither overtake anything nor wait behind a slow peer."""
        return not self._parts and not self._reading and not self.is_paused

    def add(self, parts: list[Part]) -> None:
        """Queue the parts of one response; `pump` sends them."""
        self._parts.extend(parts)

    def add_bytes(self, response: bytes) -> None:
        """Queue a whole response."""
        self._parts.append(response)

    def pause(self) -> None:
        """The peer does not keep up."""
        self.is_paused = True

    def resume(self) -> None:
        """The peer takes bytes again."""
        self.is_paused = False
        self.pump()
        self._drained()

    def close(self) -> None:
        """Nobody will read the rest."""
        self._parts.clear()
        self.is_paused = True

    def pump(self) -> None:
        """Write as much as the peer takes."""
        parts = self._parts
        if not parts:
            return
        if len(parts) == 1 and not self.is_paused and not self._reading and isinstance(parts[0], bytes):
            self._transport.write(parts[0])
            parts.clear()
            return
        joined: list[bytes | bytearray | memoryview] = []
        joined_bytes = 0
        while parts and not self.is_paused and not self._reading:
            chunk = self._next_chunk()
            if chunk is None:
                break
            if len(chunk) > JOIN_BYTES:
                self._write(joined)
                self._transport.write(chunk)  # now, so that the next is not read for a peer that does not take this one
                joined, joined_bytes = [], 0
                continue
            joined.append(chunk)
            joined_bytes += len(chunk)
            if joined_bytes > JOIN_BYTES:
                self._write(joined)
                joined, joined_bytes = [], 0
        self._write(joined)

    def _write(self, chunks: list[bytes | bytearray | memoryview]) -> None:
        if chunks:
            self._transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def _next_chunk(self) -> bytes | bytearray | memoryview | None:
        part = self._parts.popleft()
        if isinstance(part, bytes):
            return part
        assert isinstance(part, FileSlice)
        if part.size_bytes > CHUNK_BYTES:
            part, rest = part.split(CHUNK_BYTES)
            self._parts.appendleft(rest)
        try:
            chunk = part.read_now()
        except (OSError, KafkaError) as error:
            self._failed(f"records could not be read: {error}")
            return None
        if chunk is None:
            self._read_in_thread(part)
        return chunk

    def _read_in_thread(self, part: FileSlice) -> None:
        self._reading = True
        future = self._loop.run_in_executor(None, part.read)
        future.add_done_callback(self._was_read)

    def _was_read(self, future: "asyncio.Future[bytes]") -> None:
        self._reading = False
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            self._failed(f"records could not be read: {error}")
            return
        self._parts.appendleft(future.result())
        self.pump()
        self._drained()
