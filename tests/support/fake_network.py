"""A network in memory, for the client's seam: it delays, splits, cuts and loses, as a Random wills.

    network = FakeNetwork(random, faults)
    network.listen(address, lambda: server)      # a server: received(bytes) -> bytes to answer with
    Producer(..., network=network)

Within a connection bytes keep their order, as TCP keeps it, but come in pieces of any size, each after a delay of
its own; so between connections everything overtakes everything.  A connection may be cut at any byte of either
direction; what was sent before and is still under way may then be lost, or come late.  A connection may also fall
silent: what is sent is gone, and nobody says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Protocol

from ottla.client.address import Address
from ottla.client.network import ProtocolFactory


class Server(Protocol):
    """One accepted connection of a broker."""

    def received(self, data: bytes) -> bytes:
        """Bytes came; what to answer, perhaps nothing."""


@dataclass(frozen=True)
class Faults:
    """How bad the network is."""

    max_delay_s: float = 0.02
    cut_chance: float = 0.0  # of a connection, to be cut within `cut_within_bytes`
    cut_within_bytes: int = 5_000
    silence_chance: float = 0.0  # of a connection that would be cut, to fall silent instead
    refuse_chance: float = 0.0  # of an attempt to connect


class FakeNetwork:
    """Addresses where somebody listens, and the connections to them."""

    def __init__(self, random: Random, faults: Faults = Faults()) -> None:
        self.faults = faults
        self.random = random
        self.cut_count = 0
        self._listeners: dict[Address, Callable[[], Server]] = {}
        self._pipes: list[_Pipe] = []

    def listen(self, address: Address, accept: Callable[[], Server]) -> None:
        self._listeners[address] = accept

    def stop_listening(self, address: Address) -> None:
        """The broker there is gone: its connections, too."""
        self._listeners.pop(address, None)
        for pipe in [pipe for pipe in self._pipes if pipe.address == address]:
            pipe.cut()

    async def connect(self, address: Address, factory: ProtocolFactory) -> None:
        await asyncio.sleep(self.random.uniform(0, self.faults.max_delay_s))
        accept = self._listeners.get(address)
        if accept is None or self.random.random() < self.faults.refuse_chance:
            raise ConnectionRefusedError(111, "Connection refused")
        pipe = _Pipe(self, address, accept(), factory())
        self._pipes.append(pipe)
        pipe.open()

    def forget(self, pipe: _Pipe) -> None:
        if pipe in self._pipes:
            self._pipes.remove(pipe)


class _Direction:
    """One way of a connection: pieces in order, each after its delay, up to the byte at which it is cut."""

    def __init__(self, pipe: _Pipe, deliver: Callable[[bytes], None]) -> None:
        self._pipe = pipe
        self._deliver = deliver
        self._last_s = 0.0
        self._under_way: deque[bytes] = deque()  # a heap of timers does not keep the order of equal times
        self.left_bytes: int | None = None  # until the cut

    def send(self, data: bytes) -> None:
        loop, random = asyncio.get_running_loop(), self._pipe.network.random
        if self.left_bytes is not None and len(data) > self.left_bytes:
            data = data[: self.left_bytes]
            loop.call_soon(self._pipe.cut)
        if self.left_bytes is not None:
            self.left_bytes -= len(data)
        for piece in self._pieces(data, random):
            delay_s = random.uniform(0, self._pipe.network.faults.max_delay_s)
            self._last_s = max(self._last_s, loop.time() + delay_s)
            self._under_way.append(piece)
            loop.call_at(self._last_s, self._arrive)

    def _arrive(self) -> None:
        self._deliver(self._under_way.popleft())

    def _pieces(self, data: bytes, random: Random) -> list[bytes]:
        if not data or random.random() < 0.5:
            return [data] if data else []
        cuts = sorted({0, len(data), *(random.randrange(len(data)) for _ in range(random.randint(1, 3)))})
        return [data[low:high] for low, high in pairwise(cuts)]


class _Pipe(asyncio.Transport):
    """A connection: the client's transport, and the server behind it."""

    def __init__(
        self, network: FakeNetwork, address: Address, server: Server, protocol: asyncio.BufferedProtocol
    ) -> None:
        super().__init__({"peername": (address.host, address.port)})
        self.network = network
        self.address = address
        self._server = server
        self._protocol = protocol
        self._to_server = _Direction(self, self._server_receives)
        self._to_client = _Direction(self, self._client_receives)
        self._is_cut = False
        self._is_silent = False
        self._is_lost = False
        self._late_is_delivered = network.random.random() < 0.5

    def open(self) -> None:
        random, faults = self.network.random, self.network.faults
        if random.random() < faults.cut_chance:
            direction = random.choice((self._to_server, self._to_client))
            direction.left_bytes = random.randrange(faults.cut_within_bytes)
        self._protocol.connection_made(self)

    # -- the transport that the client sees

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_cut and not self._is_silent:
            self._to_server.send(bytes(data))

    def close(self) -> None:
        """What was written still arrives."""
        self._late_is_delivered = self._late_is_delivered or not self._is_cut
        self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def is_closing(self) -> bool:
        return self._is_cut

    # -- what the network does

    def cut(self) -> None:
        """End the connection, or let it fall silent; in the end both sides know, or only time tells."""
        if self._is_cut or self._is_silent:
            return
        self.network.cut_count += 1
        if self.network.random.random() < self.network.faults.silence_chance:
            self._is_silent = True
            return
        self._lose(ConnectionResetError(104, "Connection reset by peer"))

    def _lose(self, error: Exception | None) -> None:
        if self._is_cut:
            return
        self._is_cut = True
        self.network.forget(self)
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)

    def _server_receives(self, data: bytes) -> None:
        """Also after a cut, if this is a network that delivers late what was sent before."""
        if self._is_cut and not self._late_is_delivered:
            return
        answer = self._server.received(data)
        if answer and not self._is_cut and not self._is_silent:
            self._to_client.send(answer)

    def _client_receives(self, data: bytes) -> None:
        position = 0
        while position < len(data) and not self._is_cut:
            room = self._protocol.get_buffer(-1)
            count = min(len(room), len(data) - position)
            room[:count] = data[position : position + count]  # type: ignore[index]
            self._protocol.buffer_updated(count)
            position += count
