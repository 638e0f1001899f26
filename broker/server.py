"""The listeners and the connections they accepted: limits, idle ends, a clean stop.

Every connection of a process receives into one shared buffer (`ReceiveMemory`) and draws on one memory budget.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .connection import Connection, Reply
from .memory import MemoryBudget
from .receive_memory import ReceiveMemory
from .waiting import Purgatory

if TYPE_CHECKING:
    from .dispatch import Dispatcher

TICK_S = 1.0
BACKLOG = 1024

log = logging.getLogger(__name__)


class Server:
    """Owns the listening sockets and every connection."""

    def __init__(
        self,
        *,
        max_frame_bytes: int,
        queued_max_bytes: int,
        max_connections: int,
        max_connections_per_ip: int,
        max_connections_of_address: Mapping[str, int],
        room_for_connections: int | None,
        max_idle_s: float,
        purgatory: Purgatory,
    ) -> None:
        self.receive_memory = ReceiveMemory()
        self.budget = MemoryBudget(queued_max_bytes)
        self.purgatory = purgatory
        self.max_frame_bytes = max_frame_bytes
        self.max_connections = max_connections
        self.max_connections_per_ip = max_connections_per_ip
        self.max_connections_of_address = max_connections_of_address
        self.max_idle_s = max_idle_s
        self._room = math.inf if room_for_connections is None else room_for_connections
        self.dispatcher: Dispatcher
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._per_ip: Counter[str] = Counter()
        self._listening: list[asyncio.Server] = []
        self._all_closed: asyncio.Future[None] | None = None

    @property
    def connection_count(self) -> int:
        """Connections that are open."""
        return len(self._connections)

    async def listen(self, name: str, host: str | None, port: int) -> tuple[str, int]:
        """Accept connections for the listener `name`; returns the address, with the port that was given for 0.

        Raises OSError when the address cannot be had.
        """
        try:
            server = await self._loop.create_server(
                lambda: Connection(self, name), host or None, port, backlog=BACKLOG, start_serving=False
            )
        except socket.gaierror as error:
            raise OSError(error.errno, error.strerror, host) from error  # itself it does not say which name
        self._listening.append(server)
        address = server.sockets[0].getsockname()
        return address[0], address[1]

    async def start(self) -> None:
        """Begin to accept on every listener."""
        for server in self._listening:
            await server.start_serving()

    async def stop(self, grace_s: float) -> None:
        """Accept no more, let what is being served be answered for up to `grace_s`, then close everything."""
        for server in self._listening:
            server.close()
        for connection in tuple(self._connections):
            connection.drain()
        if self._connections:
            self._all_closed = self._loop.create_future()
            await asyncio.wait([self._all_closed], timeout=grace_s)
        for connection in tuple(self._connections):
            connection.abort("the broker is stopping")

    def tick(self) -> None:
        """Close what is idle, and what holds memory that others wait for; called every TICK_S."""
        now = self._loop.time()
        starving = self.budget.waiting_count > 0
        for connection in tuple(self._connections):
            silent_s = now - connection.active_at
            if starving and connection.is_stalling(now):
                connection.abort(f"its half-sent request holds {connection.held_bytes} bytes that others wait for")
            elif silent_s > self.max_idle_s and connection.is_idle:
                connection.expire(f"idle for {silent_s:.0f} s")

    # what a Connection calls

    def connection_opened(self, connection: Connection) -> bool:
        if len(self._connections) >= self.max_connections:
            log.warning("refusing %s: max.connections is %d", connection.peer, self.max_connections)
            return False
        if len(self._connections) >= self._room:  # the system itself would close it, and say nothing
            log.warning(
                "refusing %s: the limit of open files (ulimit -n) has room for %d connections",
                connection.peer,
                self._room,
            )
            return False
        limit = self.max_connections_of_address.get(connection.peer_host, self.max_connections_per_ip)
        if self._per_ip[connection.peer_host] >= limit:
            log.warning("refusing %s: max.connections.per.ip is %d for its address", connection.peer, limit)
            return False
        self._connections.add(connection)
        self._per_ip[connection.peer_host] += 1
        return True

    def connection_closed(self, connection: Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._per_ip[connection.peer_host] -= 1
        if not self._per_ip[connection.peer_host]:
            del self._per_ip[connection.peer_host]
        self.dispatcher.connection_closed(connection)
        if not self._connections and self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)

    def serve(self, connection: Connection, frame: memoryview, reply: Reply) -> None:
        self.dispatcher.serve(connection, frame, reply)
