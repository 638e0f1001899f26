"""The connections to a cluster: any broker to ask, or the one broker that a request is for.

A cluster is known first by its bootstrap addresses; Metadata then says which brokers there are (`know`), and those
are asked before the bootstrap addresses, which may be long gone.  Connections are opened when first needed, kept, and
opened again when they ended.  One lock per connection: two callers that need the same broker at once share it.

A broker answers a connection's requests in order, so a request that waits at the broker (a fetch, a join) holds up
those behind it.  What must not be held up takes a *lane* of its own: another connection to the same broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from .address import Address
from .connection import DEFAULT_TIMEOUT_S, SOFTWARE_NAME, Connection
from .errors import CannotConnect, ClientClosed, RequestTimedOut
from .network import Network

_Key = tuple[Address, str]


class ConnectionPool:
    """Open connections by address.  Close it with `close`."""

    def __init__(
        self,
        bootstrap: Sequence[Address],
        *,
        client_id: str = SOFTWARE_NAME,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        network: Network | None = None,
    ) -> None:
        self._bootstrap = tuple(bootstrap)
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._network = network
        self._known: tuple[Address, ...] = ()
        self._connections: dict[_Key, Connection] = {}
        self._opening: dict[_Key, asyncio.Lock] = {}
        self._is_closed = False

    def know(self, addresses: Iterable[Address]) -> None:
        """These are the brokers now; `any` tries them in this order, before the bootstrap addresses."""
        self._known = tuple(addresses)

    async def any(self) -> Connection:
        """A connection to whichever broker answers, an open one before a new one.

        When none does, CannotConnect says what was tried last, or of one address simply why.
        """
        for (_, lane), connection in self._connections.items():
            if connection.is_open and not lane:
                return connection
        failures: list[CannotConnect | RequestTimedOut] = []
        for address in dict.fromkeys((*self._known, *self._bootstrap)):
            try:
                return await self.at(address)
            except (CannotConnect, RequestTimedOut) as error:
                failures.append(error)
        raise failures[0] if len(failures) == 1 else CannotConnect("; ".join(map(str, failures)))

    def open_at(self, address: Address, lane: str = "") -> Connection | None:
        """The connection to this address if it is open now."""
        connection = self._connections.get((address, lane))
        return connection if connection is not None and connection.is_open else None

    async def at(self, address: Address, lane: str = "") -> Connection:
        """The connection to this address."""
        key = (address, lane)
        async with self._opening.setdefault(key, asyncio.Lock()):
            connection = self.open_at(address, lane)
            if connection is not None:
                return connection
            if self._is_closed:
                raise ClientClosed("the client was closed")
            connection = await Connection.open(
                address, client_id=self._client_id, timeout_s=self._timeout_s, network=self._network
            )
            if self._is_closed:  # while it was opened
                await connection.close()
                raise ClientClosed("the client was closed")
            self._connections[key] = connection
            return connection

    async def close(self) -> None:
        """Close every connection, for good."""
        self._is_closed = True
        connections = list(self._connections.values())
        self._connections.clear()
        await asyncio.gather(*(connection.close() for connection in connections))
