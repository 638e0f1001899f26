"""One client connection: frames in, replies out, in order.

    buffer_updated --> Inbox --> frame --> Dispatcher.serve(frame, reply)
                                                 |  now or later
    transport.write <-- Outbox <-- replies in the order of their requests

A request is begun when every earlier one of its connection is *decided*. For most that means answered, as in Kafka;
a Produce is decided once it is appended, so that many of them share the wait for one sync: its handler says so with
`Reply.let_next_begin`. Replies leave in the order of the requests whatever the order in which they are completed.

Back-pressure, so that no peer can make us hold more than a bound: reading pauses while a request holds the line, while
the peer does not read its answers, while too many replies are pending, and while the budget for received bytes is used up.

Cork: all that one call of the loop completes leaves in one write.
"""

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from ..protocol.errors import MalformedMessage
from ..protocol.fetch import Part
from .inbox import Inbox
from .memory import MemoryBudget
from .outbox import Outbox
from .receive_memory import ReceiveMemory
from .waiting import Purgatory

MAX_PENDING_REPLIES = 1024
MOST_LANES = 4
WRITE_HIGH_WATER_BYTES = 128 * 1024 if sys.platform == "win32" else 0
"""What a peer does not take at once pauses sending, and uvloop writes at once what would go beyond the mark, instead of at the
end of its round. Windows' loop is never done with a write at once."""

SILENT_S = 3.0
"""How long a half-sent request may be silent while others wait for the memory it holds."""
SLOW_S = 10.0
SLOWEST_BYTES_PER_S = 64 * 1024
"""How fast one must come, on the average, that holds memory for longer than SLOW_S while others wait for it."""
LONGEST_WAIT_S = 60.0
"""How long anybody waits for memory."""

log = logging.getLogger(__name__)


class Reply:
    """A response's place in its connection's queue. Whoever serves the request completes it, exactly once."""

    __slots__ = ("_holds", "abandoned", "begun_at", "connection", "hurry", "parts")

    def __init__(self, connection: "Connection", begun_at: float) -> None:
        self.connection = connection
        self._holds = True
        self.begun_at = begun_at
        self.parts: list[Part] | None = None
        self.abandoned: Callable[[], None] | None = None  # called when the peer left before the answer
        self.hurry: Callable[[], None] | None = None  # called when the broker stops: answer now, with what there is

    def complete(self, parts: list[Part]) -> None:
        """Send `parts` when it is this reply's turn; an empty list sends nothing (acks=0)."""
        assert self.parts is None, "a reply is completed once"
        self.parts = parts
        self.connection.reply_completed(parts)

    def let_next_begin(self) -> None:
        """The request is decided: the next may begin before this reply is completed."""
        self._holds = False
        self.connection.line_released()

    def close(self, reason: str) -> None:
        """The peer broke the protocol: its connection ends, with one log line."""
        self.connection.close(reason)

    def refuse(self, reason: str) -> None:
        """It was no request, as is found only now: those before it are still answered, then the connection ends."""
        self.connection.refuse(self, reason)

    @property
    def holds_line(self) -> bool:
        """Whether the next request must wait."""
        return self._holds and self.parts is None


class Lane(Protocol):
    """What was left with a connection to serve requests like one before with fewer steps (`api/produce_again`)."""

    answers_at_once: bool
    """Whether `at_once` ever gives a response."""

    def is_for(self, frame: memoryview) -> bool:
        """Whether a request has its form."""

    def at_once(self, frame: memoryview) -> bytes | None:
        """The whole response; None where the request has another form, or must wait: then nothing was done."""

    def begin(self, frame: memoryview, reply: Reply) -> bool:
        """Serve it, and complete `reply` now or later; False where it has another form: then nothing was done."""


class Service(Protocol):
    """What a connection needs of the broker around it."""

    receive_memory: ReceiveMemory
    budget: MemoryBudget
    max_frame_bytes: int
    purgatory: Purgatory

    def connection_opened(self, connection: "Connection") -> bool: ...

    def connection_closed(self, connection: "Connection") -> None: ...

    def serve(self, connection: "Connection", frame: memoryview, reply: Reply) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """One client connection; see the top of the file. Owned by the loop."""

    def __init__(self, service: Service, listener: str) -> None:
        self.listener = listener
        self.peer = "?"
        self.peer_host = "?"
        self.local_host = ""
        self.is_closed = False
        self.lanes: tuple[Lane, ...] = ()
        self._at_once: tuple[Callable[[memoryview], bytes | None], ...] = ()
        self.active_at = 0.0
        self._service = service
        self._purgatory = service.purgatory
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(service.receive_memory, service.budget, max_frame_bytes=service.max_frame_bytes)
        self._replies: deque[Reply] = deque()
        self._corked = False
        self._flush_scheduled = False
        self._is_quiet = True  # nothing is received and not served, and nothing decided about reading or the end
        self._reading_paused = False
        self._awaiting_memory = 0
        self._awaiting_since = 0.0
        self._holding_since = 0.0
        self._received_since = 0
        self._end_reason: str | None = None  # set when nothing more is begun
        self._transport: asyncio.Transport
        self._outbox: Outbox

    @property
    def is_idle(self) -> bool:
        """Nothing is being served; what the peer does not take is not counted as service."""
        return not self._replies

    @property
    def held_bytes(self) -> int:
        """What this connection holds of the budget for received bytes."""
        return self._inbox.reserved_bytes

    def is_stalling(self, now: float) -> bool:
        """Whether it keeps others from the memory that they wait for (asked only when somebody waits).

        It does when a request that holds memory does not come, or hardly; and when it has itself waited for so long that
        everybody must be waiting for everybody.
        """
        if self._awaiting_memory:
            return now - self._awaiting_since > LONGEST_WAIT_S
        if not self.held_bytes or self._reading_paused:
            return False
        held_s = now - self._holding_since
        too_slow = held_s > SLOW_S and self._received_since < SLOWEST_BYTES_PER_S * held_s
        return too_slow or now - self.active_at > SILENT_S

    def keep_lane(self, lane: Lane) -> None:
        """Try it first for what comes next; of the others the newest are kept, MOST_LANES in all."""
        self.lanes = (lane, *self.lanes[: MOST_LANES - 1])
        self._at_once = tuple(each.at_once for each in self.lanes if each.answers_at_once)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's have no common class with asyncio's
        host, port = (transport.get_extra_info("peername") or ("?", 0))[:2]
        self.peer_host = host
        self.local_host = (transport.get_extra_info("sockname") or ("",))[0]
        self.peer = f"{host}:{port}"
        self.active_at = self._loop.time()
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        self._outbox = Outbox(transport, self._loop, self.abort, self._go_on_soon)
        if not self._service.connection_opened(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._service.connection_closed(self)
        self._outbox.close()
        for reply in self._replies:
            if reply.parts is None and reply.abandoned is not None:
                reply.abandoned()
        self._replies.clear()
        self.lanes = self._at_once = ()
        if self._awaiting_memory:
            self._service.budget.withdraw(self._memory_granted)
        self._inbox.clear()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox.target()

    def buffer_updated(self, nbytes: int) -> None:
        self.active_at = self._loop.time()
        self._received_since += nbytes
        if self._is_quiet and not self._replies and not self.is_closed and self._outbox.is_ready:
            frame = self._inbox.lone_frame(nbytes)
            if frame is not None:
                self._serve_alone(frame)
                return
        elif self._inbox.grows(nbytes):
            return
        self._inbox.received(nbytes)
        self._serve_frames()

    def eof_received(self) -> bool:
        return False  # close: a peer that will send nothing more gets nothing more, as with Kafka

    def pause_writing(self) -> None:
        self._outbox.pause()

    def resume_writing(self) -> None:
        self.active_at = self._loop.time()
        self._outbox.resume()

    def close(self, reason: str) -> None:
        """End the connection; what is already answered is still sent."""
        if self.is_closed:
            return
        self.is_closed = True
        self._service.connection_closed(self)
        log.info("closing %s: %s", self.peer, reason)
        self._transport.close()

    def abort(self, reason: str) -> None:
        """End the connection at once, unsent answers included."""
        self.close(reason)
        self._transport.abort()

    def expire(self, reason: str) -> None:
        """End an idle connection; one whose peer does not take what was sent would never end by itself."""
        if self._outbox.is_ready:
            self.close(reason)
        else:
            self.abort(reason)

    def drain(self) -> None:
        """Begin nothing more; the connection closes when its pending replies are sent."""
        self._end("the broker is stopping")
        for reply in tuple(self._replies):
            if reply.parts is None and reply.hurry is not None:
                reply.hurry()
        self._go_on_soon()

    def refuse(self, reply: Reply, reason: str) -> None:
        """End when the replies before this one are sent; it itself has none."""
        if not self.is_closed:
            self._replies.remove(reply)
            self._end(reason)
            self._go_on_soon()

    def _end(self, reason: str) -> None:
        """Begin nothing more."""
        self._end_reason, self._is_quiet = reason, False

    def line_released(self) -> None:
        """A request that held the line does so no more: what is waiting behind it may begin, soon."""
        if not self._corked and not self.is_closed:
            self._go_on_soon()

    def reply_completed(self, parts: list[Part]) -> None:
        """A reply was filled with `parts`: send what is next; soon, when others may yet be filled and share the write."""
        if self._corked or self.is_closed:
            return
        if len(self._replies) > 1:
            self._go_on_soon()
        elif self._is_quiet and self._outbox.is_ready and len(parts) == 1 and isinstance(parts[0], bytes):
            self._replies.clear()
            self._transport.write(parts[0])
        else:
            self._flush_and_go_on()

    def _go_on_soon(self) -> None:
        """Look again, in the loop's next round, at what may be sent and begun."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush_soon)

    def _flush_soon(self) -> None:
        self._flush_scheduled = False
        self._flush_and_go_on()

    def _flush_and_go_on(self) -> None:
        if not self.is_closed:
            self._serve_frames()

    def _serve_alone(self, frame: memoryview) -> None:
        """Serve a request that came whole, alone, to a connection that had nothing to do: `_serve_frames` with fewer steps.

        That is how a consumer at the tail sends, and a producer that waits for each answer; the calls on the way are most of
        what such a request costs.
        """
        purgatory = self._purgatory
        purgatory.is_alone = True
        response: bytes | None = None
        try:
            for at_once in self._at_once:
                response = at_once(frame)
                if response is not None:
                    break
            else:
                self._begin_alone(frame)
        finally:
            purgatory.is_alone = False
        if purgatory.due:
            purgatory.release()
        if response is not None:
            self._transport.write(response)
        elif self._end_reason is not None or self._replies[-1].parts is not None:
            self._serve_frames()

    def _begin_alone(self, frame: memoryview) -> None:
        reply = Reply(self, self.active_at)
        self._replies.append(reply)
        self._corked = True
        try:
            self._service.serve(self, frame, reply)
        except MalformedMessage as error:
            self._replies.pop()
            self._end(str(error))
        finally:
            self._corked = False

    def _serve_frames(self) -> None:
        """Serve every request that may begin, send what is answered, then keep the rest and decide about reading."""
        self._corked = True
        begun: Reply | None = None
        try:
            while self._may_begin():
                begun = None
                frame = self._inbox.next_frame()
                if frame is None:
                    break
                response = self._answer_of(frame)
                if response is not None:
                    self._answer_at_once(response)
                    continue
                begun = Reply(self, self.active_at)
                self._replies.append(begun)
                self._service.serve(self, frame, begun)
        except MalformedMessage as error:
            if begun is not None:
                self._replies.pop()  # of the request that was none; those before it are still answered
            self._end(str(error))
        finally:
            self._corked = False
        self._send_completed()
        if self._end_reason is not None and not self._replies and self._outbox.is_empty:
            self.close(self._end_reason)
        if not self.is_closed:
            self._settle()

    def _answer_of(self, frame: memoryview) -> bytes | None:
        """The response to a request that one of the lanes takes."""
        for at_once in self._at_once:
            response = at_once(frame)
            if response is not None:
                return response
        return None

    def _answer_at_once(self, response: bytes) -> None:
        if not self._replies:
            self._outbox.add_bytes(response)
            return
        reply = Reply(self, self.active_at)
        reply.parts = [response]
        self._replies.append(reply)

    def _may_begin(self) -> bool:
        replies = self._replies
        return not (
            self.is_closed
            or self._end_reason is not None
            or (replies and replies[-1].holds_line)
            or self._outbox.is_behind
            or len(replies) >= MAX_PENDING_REPLIES
        )

    def _send_completed(self) -> None:
        replies = self._replies
        while replies and replies[0].parts is not None:
            self._outbox.add(replies.popleft().parts or [])
        self._outbox.pump()

    def _settle(self) -> None:
        self._is_quiet = False
        if not self._inbox.unserved_bytes and not self._awaiting_memory:
            self._inbox.clear()
            self._resume_reading()
            self._is_quiet = self._end_reason is None
            return
        wanted = self._inbox.settle()
        if wanted:
            self._reserve(wanted)
        if self._inbox.has_frame and self._may_begin():
            self._go_on_soon()  # the pending replies were too many, and are not any more
        # while a request holds the line the socket is still read, so that a peer that leaves is noticed, until
        # something has arrived that cannot begin; what waits to begin whole may have filled the memory it lies in
        if self._awaiting_memory or self._inbox.has_frame or (self._inbox.unserved_bytes and not self._may_begin()):
            self._pause_reading()
        else:
            self._resume_reading()

    def _reserve(self, wanted: int) -> None:
        """Have so many bytes more for what has begun to come, now or when there are; what has come is kept."""
        held = self._inbox.reserved_bytes
        if not self._awaiting_memory and self._service.budget.try_reserve(wanted, held_bytes=held):
            self._inbox.granted(wanted)
            self._note_holding()
            return
        self._inbox.keep()
        if not self._awaiting_memory:
            self._awaiting_memory = wanted
            self._awaiting_since = self._loop.time()
            self._service.budget.wait(wanted, self._memory_granted, held_bytes=held)

    def _memory_granted(self) -> None:
        self._inbox.granted(self._awaiting_memory)
        self._awaiting_memory = 0
        self._note_holding()
        self._go_on_soon()

    def _note_holding(self) -> None:
        self._holding_since = self._loop.time()
        self._received_since = 0

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
