import asyncio
import struct
from collections.abc import Callable, Coroutine
from functools import wraps

from ottla.broker.connection import MAX_PENDING_REPLIES, Connection, Reply
from ottla.broker.memory import MemoryBudget
from ottla.broker.receive_memory import ReceiveMemory
from ottla.broker.waiting import Purgatory
from ottla.protocol.errors import MalformedMessage
from ottla.storage.file_slice import FileSlice
from support.loopless import MemoryTransport, settled
from support.power_cut import PowerCutFile, PowerCutFiles

PATIENCE_S = 60


class FakeService:
    """Keeps the requests with their replies, for the test to complete."""

    def __init__(self, *, budget_bytes: int = 1_000_000, max_frame_bytes: int = 100_000) -> None:
        self.receive_memory = ReceiveMemory(4096)
        self.budget = MemoryBudget(budget_bytes)
        self.max_frame_bytes = max_frame_bytes
        self.purgatory = Purgatory(asyncio.get_running_loop())
        self.begun: list[tuple[bytes, Reply]] = []
        self.closed = 0
        self.overlapping = False
        self.refuse = b""

    def connection_opened(self, connection: Connection) -> bool:
        return True

    def connection_closed(self, connection: Connection) -> None:
        self.closed += 1

    def serve(self, connection: Connection, frame: memoryview, reply: Reply) -> None:
        if frame == self.refuse:
            raise MalformedMessage("not a request")
        if self.overlapping:
            reply.let_next_begin()
        self.begun.append((bytes(frame), reply))

    @property
    def bodies(self) -> list[bytes]:
        return [body for body, _ in self.begun]

    def answer(self, index: int) -> None:
        body, reply = self.begun[index]
        reply.complete([b"<" + body + b">"])


class AnswersTheFirstWithTheLast(FakeService):
    """Has as many replies pending as may be, and completes the first of them while it begins the last."""

    def serve(self, connection: Connection, frame: memoryview, reply: Reply) -> None:
        super().serve(connection, frame, reply)
        if len(self.begun) == MAX_PENDING_REPLIES:
            self.answer(0)


class TellsOfTheSecond(FakeService):
    """Says when the second request is begun."""

    def __init__(self) -> None:
        super().__init__()
        self.has_second = asyncio.Event()

    def serve(self, connection: Connection, frame: memoryview, reply: Reply) -> None:
        super().serve(connection, frame, reply)
        if len(self.begun) == 2:
            self.has_second.set()


class Peer:
    """A client at the other end of a memory transport."""

    def __init__(self, service: FakeService) -> None:
        self.transport = MemoryTransport()
        self.connection = Connection(service, "PLAINTEXT")
        self.connection.connection_made(self.transport)

    def sends(self, data: bytes) -> None:
        """Deliver `data` as far as the connection reads."""
        while data and self.transport.reading:
            target = self.connection.get_buffer(-1)
            count = min(len(target), len(data))
            target[:count] = data[:count]
            self.connection.buffer_updated(count)
            data = data[count:]


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def on_a_loop(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


@on_a_loop
async def test_a_request_is_begun_when_the_one_before_it_is_answered() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(framed(b"one") + framed(b"two"))
    assert service.bodies == [b"one"]
    service.answer(0)
    await settled()
    assert service.bodies == [b"one", b"two"]
    assert peer.transport.take() == b"<one>"


@on_a_loop
async def test_decided_requests_overlap_and_are_answered_in_order() -> None:
    service = FakeService()
    service.overlapping = True
    peer = Peer(service)
    peer.sends(framed(b"one") + framed(b"two") + framed(b"three"))
    assert service.bodies == [b"one", b"two", b"three"]
    service.answer(2)
    service.answer(1)
    await settled()
    assert peer.transport.take() == b""
    service.answer(0)
    await settled()
    assert peer.transport.written == [b"<one><two><three>"]


@on_a_loop
async def test_a_request_that_is_decided_later_lets_the_next_begin_then() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(framed(b"one") + framed(b"two"))
    await settled()
    assert service.bodies == [b"one"]
    service.begun[0][1].let_next_begin()
    await settled()
    assert service.bodies == [b"one", b"two"]
    assert peer.transport.take() == b""


@on_a_loop
async def test_a_peer_that_does_not_read_is_not_served_further() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(framed(b"one"))
    peer.connection.pause_writing()
    service.answer(0)
    await settled()
    peer.sends(framed(b"two"))
    assert service.bodies == [b"one"]
    assert not peer.transport.reading
    peer.connection.resume_writing()
    await settled()
    assert service.bodies == [b"one", b"two"]
    assert peer.transport.reading


class ColdFile(PowerCutFile):
    """A file that nothing is cached of."""

    __slots__ = ()

    def read_now(self, size_bytes: int, position: int) -> None:
        return None


@on_a_loop
async def test_while_an_answer_waits_for_the_disk_nothing_more_is_begun() -> None:
    file = ColdFile(PowerCutFiles(), "/records")
    file.write(b"records", 0)
    service = TellsOfTheSecond()
    peer = Peer(service)
    peer.sends(framed(b"one"))
    service.begun[0][1].complete([b"<", FileSlice(file, 0, 7, 0), b">"])
    peer.sends(framed(b"two"))
    assert service.bodies == [b"one"]
    await asyncio.wait_for(service.has_second.wait(), PATIENCE_S)
    assert peer.transport.take() == b"<records>"


@on_a_loop
async def test_the_number_of_pending_replies_is_bounded() -> None:
    service = FakeService(max_frame_bytes=1000)
    service.overlapping = True
    peer = Peer(service)
    peer.sends(framed(b"x") * (MAX_PENDING_REPLIES + 10))
    assert len(service.begun) == MAX_PENDING_REPLIES
    assert not peer.transport.reading
    service.answer(0)
    await settled()
    assert len(service.begun) == MAX_PENDING_REPLIES + 1


@on_a_loop
async def test_nothing_is_received_while_whole_requests_wait_to_begin_again() -> None:
    service = AnswersTheFirstWithTheLast(max_frame_bytes=1000)
    service.overlapping = True
    peer = Peer(service)
    peer.sends(framed(b"x") * (MAX_PENDING_REPLIES + 2000))
    assert len(service.begun) == MAX_PENDING_REPLIES
    assert not peer.transport.reading, "what has come may fill the memory it lies in"
    await settled()
    assert len(service.begun) == MAX_PENDING_REPLIES + 1


@on_a_loop
async def test_while_a_request_is_served_a_silent_peer_is_still_listened_to() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(framed(b"one"))
    assert peer.transport.reading


@on_a_loop
async def test_an_impossible_size_ends_the_connection() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(struct.pack(">i", -5))
    assert peer.transport.closed
    assert service.closed == 1


@on_a_loop
async def test_what_came_before_garbage_is_still_answered() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(framed(b"one") + struct.pack(">i", -5))
    service.answer(0)
    await settled()
    assert peer.transport.take() == b"<one>"
    assert peer.transport.closed


@on_a_loop
async def test_a_request_that_cannot_be_read_ends_the_connection_after_the_answers_before_it() -> None:
    service = FakeService()
    service.overlapping = True
    peer = Peer(service)
    service.refuse = b"bad"
    peer.sends(framed(b"one") + framed(b"bad") + framed(b"three"))
    assert service.bodies == [b"one"]
    assert not peer.transport.closed
    service.answer(0)
    await settled()
    assert peer.transport.take() == b"<one>"
    assert peer.transport.closed


@on_a_loop
async def test_a_request_that_needs_memory_others_hold_waits_for_it() -> None:
    service = FakeService(budget_bytes=20_000)
    holder, waiter = Peer(service), Peer(service)
    holder.sends(struct.pack(">i", 15_000) + b"x" * 100)
    waiter.sends(struct.pack(">i", 10_000) + b"y" * 100)
    assert not waiter.transport.reading
    holder.sends(b"x" * 14_900)
    await settled()
    assert waiter.transport.reading
    waiter.sends(b"y" * 9_900)
    assert service.bodies == [b"x" * 15_000, b"y" * 10_000]


@on_a_loop
async def test_a_lost_connection_gives_back_its_memory_and_its_place_in_line() -> None:
    service = FakeService(budget_bytes=20_000)
    holder, waiter = Peer(service), Peer(service)
    holder.sends(struct.pack(">i", 15_000) + b"x" * 100)
    waiter.sends(struct.pack(">i", 10_000) + b"y" * 100)
    waiter.connection.connection_lost(None)
    holder.connection.connection_lost(None)
    assert service.budget.used_bytes == service.budget.waiting_count == 0


@on_a_loop
async def test_who_waits_for_an_answer_that_nobody_will_read_is_told() -> None:
    service = FakeService()
    peer = Peer(service)
    abandoned: list[bool] = []
    peer.sends(framed(b"one"))
    service.begun[0][1].abandoned = lambda: abandoned.append(True)
    peer.connection.connection_lost(None)
    assert abandoned == [True]


@on_a_loop
async def test_an_answer_after_the_peer_has_left_is_dropped() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(framed(b"one"))
    peer.connection.connection_lost(None)
    service.answer(0)
    await settled()
    assert peer.transport.take() == b""


@on_a_loop
async def test_draining_answers_what_is_pending_and_then_closes() -> None:
    service = FakeService()
    peer = Peer(service)
    peer.sends(framed(b"one"))
    peer.connection.drain()
    assert not peer.transport.closed
    service.answer(0)
    await settled()
    assert peer.transport.take() == b"<one>"
    assert peer.transport.closed


@on_a_loop
async def test_an_idle_connection_is_closed_and_one_whose_peer_takes_nothing_is_aborted() -> None:
    idle, stuck = Peer(FakeService()), Peer(FakeService())
    idle.connection.expire("idle")
    assert (idle.transport.closed, idle.transport.aborted) == (True, False)
    stuck.connection.pause_writing()  # the transport has what the peer does not take
    stuck.connection.expire("idle")
    assert stuck.transport.aborted
