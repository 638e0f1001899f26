"""Parts out, in order: small ones joined into one write, records taken from their file only when the peer takes them.

A slow reader of a large Fetch response therefore costs one chunk of memory, not the response. Records are taken on the
loop while their pages are warm; a cold page is read by a thread, and the parts behind it wait.

Records leave in bursts: megabytes of them and what stands around them are read into memory that is used again, and handed to
the socket with one call. That goes past the transport, so it is done only while nothing waits in there. What the peer does not
take is let go, but for a little that is left with the transport, which tells when to go on; how much it took is what the next
burst is measured by. Few large calls are what a reader on the same machine gets most from: it is woken less often, and finds
more each time. (To have the system hand the file on, `sendfile`, costs both sides more here: it goes page by page.)
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from ..protocol.errors import KafkaError
from ..protocol.fetch import Part, SizedRecords
from ..protocol.frames import Buffer
from ..storage.segment import FileSlice

JOIN_BYTES = 64 * 1024  # parts are joined into one write up to this size
CHUNK_BYTES = 256 * 1024  # records are read in chunks of this size where they are left with the transport
BURST_BYTES = 4 * 1024 * 1024  # at most, in one turn of the loop: a millisecond or two
LEAST_BURST_BYTES = 64 * 1024  # twice that is tried with a peer that takes little
PIECE_BYTES = 1024 * 1024  # of a burst, as it is read from a file
MOST_PIECES = 256  # a fourth of what systems take in one call
LEFT_BYTES = 16 * 1024  # read and left with the transport of a peer that takes no more
NO_DESCRIPTOR = -1


class Outbox:
    """What one connection has yet to send.

    `failed(reason)` is called when promised records cannot be read: the response is cut, so the connection must end.
    `drained()` is called when what was behind (`is_behind`) may not be any more.
    """

    __slots__ = (
        "_burst_bytes",
        "_descriptor",
        "_drained",
        "_failed",
        "_goes_on",
        "_loop",
        "_parts",
        "_reading",
        "_transport",
        "is_paused",
    )

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
        self._goes_on = False  # in the loop's next round
        self._burst_bytes = BURST_BYTES
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

    @property
    def is_behind(self) -> bool:
        """What was answered waits for the peer, the disk or its turn: more answers would only be heaped up."""
        return self.is_paused or self._reading or self._goes_on

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
        """Write as much as the peer takes, at most one burst: the rest of it in the loop's next round."""
        parts = self._parts
        if not parts:
            return
        if len(parts) == 1 and not self.is_paused and not self._reading and isinstance(parts[0], bytes):
            self._transport.write(parts[0])
            parts.clear()
            return
        while parts and not self.is_paused and not self._reading:
            if self._send_burst():
                self._go_on_soon()
                return
            self._write_some()

    def _go_on_soon(self) -> None:
        if self._parts and not self.is_paused and not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        self.pump()
        if self.is_empty:
            self._drained()

    # --- by the transport

    def _write_some(self) -> None:
        """Join small parts into one write; or send a chunk of a large one."""
        parts = self._parts
        joined: list[Buffer] = []
        joined_bytes = 0
        while parts and joined_bytes <= JOIN_BYTES:
            part = parts[0]
            if not isinstance(part, bytes):
                assert isinstance(part, FileSlice)
                if part.size_bytes > JOIN_BYTES:
                    break
            parts.popleft()
            chunk = part if isinstance(part, bytes) else self._read(part)
            if chunk is None:
                break
            joined.append(chunk)
            joined_bytes += len(chunk)
        if joined:
            self._transport.write(joined[0] if len(joined) == 1 else b"".join(joined))
        elif parts and not self._reading:
            part = parts.popleft()
            assert isinstance(part, FileSlice)
            self._send_read(part, CHUNK_BYTES)

    # --- in a burst

    def _send_burst(self) -> bool:
        """Hand records and what is around them to the socket; False where that cannot be."""
        descriptor = self._free_descriptor()
        if descriptor == NO_DESCRIPTOR:
            return False
        pieces = self._pieces()
        if not pieces:
            return False
        try:
            taken_bytes = os.writev(descriptor, pieces)
        except OSError:
            taken_bytes = 0  # whoever writes next will find what is wrong, if it is more than a peer that takes none
        size_bytes = sum(map(len, pieces))
        pieces.clear()
        self._drop(taken_bytes)
        self._burst_bytes = min(2 * max(taken_bytes, LEAST_BURST_BYTES), BURST_BYTES)
        if taken_bytes < size_bytes:
            self._leave_some()
        return True

    def _free_descriptor(self) -> int:
        """The socket's, if records are next and nothing is between them and the peer."""
        if all(isinstance(part, bytes) for part in islice(self._parts, 2)):
            return NO_DESCRIPTOR
        transport = self._transport
        if self._descriptor is None:
            self._descriptor = _descriptor(transport)
        if self._descriptor == NO_DESCRIPTOR or transport.is_closing() or transport.get_write_buffer_size():
            return NO_DESCRIPTOR
        return self._descriptor

    def _pieces(self) -> list[Buffer]:
        """What comes next and is at hand, a burst at most; to be let go before the loop goes on."""
        pieces: list[Buffer] = []
        room_bytes = self._burst_bytes
        for part in self._parts:
            for piece in (part,) if isinstance(part, bytes) else _read_by_piece(part, room_bytes):
                if piece is None:
                    return pieces
                pieces.append(piece)
                room_bytes -= len(piece)
                if room_bytes <= 0 or len(pieces) == MOST_PIECES:
                    return pieces
        return pieces

    def _drop(self, size_bytes: int) -> None:
        """So much of what comes next was sent."""
        parts = self._parts
        while parts:
            part = parts[0]
            part_bytes = len(part) if isinstance(part, bytes) else part.size_bytes
            if part_bytes > size_bytes:
                parts[0] = _behind(part, size_bytes)
                return
            parts.popleft()
            size_bytes -= part_bytes

    def _leave_some(self) -> None:
        """Have the transport wait for the peer, with the beginning of what comes next."""
        part = self._parts.popleft()
        if isinstance(part, bytes):
            self._transport.write(part)
        else:
            assert isinstance(part, FileSlice)
            self._send_read(part, LEFT_BYTES)

    # --- records

    def _send_read(self, records: FileSlice, most_bytes: int) -> None:
        some = records.first(most_bytes)
        if some is not records:
            self._parts.appendleft(records.behind(most_bytes))
        chunk = self._read(some)
        if chunk is not None:
            self._transport.write(chunk)  # now, so that the next is not read for a peer that does not take this one

    def _read(self, records: FileSlice) -> Buffer | None:
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


def _read_by_piece(records: SizedRecords, most_bytes: int) -> Iterator[Buffer | None]:
    """Ends with None where the disk would have to be waited for, or something is wrong."""
    assert isinstance(records, FileSlice)
    records = records.first(most_bytes)
    while records.size_bytes:
        try:
            piece = records.first(PIECE_BYTES).read_now()
        except (OSError, KafkaError):
            piece = None  # whoever reads them again will find what is wrong
        yield piece
        if piece is None:
            return
        records = records.behind(len(piece))


def _behind(part: Part, size_bytes: int) -> Part:
    if isinstance(part, bytes):
        return part[size_bytes:]
    assert isinstance(part, FileSlice)
    return part.behind(size_bytes)


def _descriptor(transport: asyncio.Transport) -> int:
    """That of its socket, good until it is closing; NO_DESCRIPTOR where what is sent is not what goes into the socket."""
    its_socket = transport.get_extra_info("socket") if hasattr(os, "writev") else None
    if its_socket is None or transport.get_extra_info("sslcontext") is not None:
        return NO_DESCRIPTOR
    return int(its_socket.fileno())
