"""Parts out, in order: small ones joined into one write, records taken from their file only when the peer takes them.

A slow reader of a large Fetch response therefore costs one chunk of memory, not the response. Records are taken on the
loop while their pages are warm; a cold page is read by a thread, and the parts behind it wait.

Many records do not pass through us at all where the system can hand them on from file to socket (`sendfile`): that goes by
the socket beside the transport, so it is done only while nothing waits in the transport, and when the peer takes no more, some
bytes are read and left with the transport, which tells when to go on.
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
PASSED_ON_BYTES = 1024 * 1024  # handed on with one call at most, so that a fast peer does not keep the loop
LEFT_BYTES = 16 * 1024  # read and left with the transport of a peer that takes no more
NO_DESCRIPTOR = -1


class Outbox:
    """What one connection has yet to send.

    `failed(reason)` is called when promised records cannot be read: the response is cut, so the connection must end.
    `drained()` is called when sending goes on after a pause.
    """

    __slots__ = ("_descriptor", "_drained", "_failed", "_loop", "_parts", "_reading", "_transport", "is_paused")

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
        self._descriptor: int | None = None  # of the transport's socket, once it was asked for
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
            part = parts.popleft()
            if isinstance(part, bytes):
                chunk: bytes | bytearray | memoryview | None = part
            else:
                assert isinstance(part, FileSlice)
                if part.size_bytes > JOIN_BYTES:
                    self._write(joined)
                    joined, joined_bytes = [], 0
                    if self.is_paused:
                        parts.appendleft(part)
                    else:
                        self._send(part)
                    continue
                chunk = self._read(part)
            if chunk is None:
                break
            joined.append(chunk)
            joined_bytes += len(chunk)
            if joined_bytes > JOIN_BYTES:
                self._write(joined)
                joined, joined_bytes = [], 0
        self._write(joined)

    def _write(self, chunks: list[bytes | bytearray | memoryview]) -> None:
        if chunks:
            self._transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def _send(self, records: FileSlice) -> None:
        """Send some of many records, and put the rest in front of what is to be sent."""
        some = records.first(PASSED_ON_BYTES)
        passed_bytes = self._pass_on(some)
        if passed_bytes is None:
            self._send_read(records, CHUNK_BYTES)
        elif passed_bytes < some.size_bytes:
            self._send_read(records.behind(passed_bytes), LEFT_BYTES)
        elif passed_bytes < records.size_bytes:
            self._parts.appendleft(records.behind(passed_bytes))

    def _pass_on(self, records: FileSlice) -> int | None:
        """Have them go to the peer without being read; how many bytes it took. None where that cannot be now."""
        transport = self._transport
        if self._descriptor is None:
            self._descriptor = _descriptor(transport)
        if self._descriptor == NO_DESCRIPTOR or transport.is_closing() or transport.get_write_buffer_size():
            return None
        try:
            return records.send_now(self._descriptor)
        except (OSError, KafkaError):
            return None  # whoever reads them will find what is wrong

    def _send_read(self, records: FileSlice, most_bytes: int) -> None:
        some = records.first(most_bytes)
        if some is not records:
            self._parts.appendleft(records.behind(most_bytes))
        chunk = self._read(some)
        if chunk is not None:
            self._transport.write(chunk)  # now, so that the next is not read for a peer that does not take this one

    def _read(self, records: FileSlice) -> bytes | bytearray | memoryview | None:
        """The bytes; None where a thread reads them, or nobody can."""
        try:
            chunk = records.read_now()
        except (OSError, KafkaError) as error:
            self._fail(error)
            return None
        if chunk is None:
            self._read_in_thread(records)
        return chunk

    def _fail(self, error: BaseException | None) -> None:
        """What was promised cannot be had: nothing more is sent."""
        self.close()
        self._failed(f"records could not be read: {error}")

    def _read_in_thread(self, part: FileSlice) -> None:
        self._reading = True
        future = self._loop.run_in_executor(None, part.read)
        future.add_done_callback(self._was_read)

    def _was_read(self, future: "asyncio.Future[bytes]") -> None:
        self._reading = False
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            self._fail(error)
            return
        self._parts.appendleft(future.result())
        self.pump()
        self._drained()


def _descriptor(transport: asyncio.Transport) -> int:
    """That of its socket, good until it is closing; NO_DESCRIPTOR where what is sent is not what goes into the socket."""
    its_socket = transport.get_extra_info("socket")
    if its_socket is None or transport.get_extra_info("sslcontext") is not None:
        return NO_DESCRIPTOR
    return int(its_socket.fileno())
