"""The connections to a cluster: any broker to ask, or the one broker that a request is for.

A cluster is known first by its bootstrap addresses; Metadata then says which brokers there are.  Connections are
opened when first needed, kept, and opened again when they ended.  One lock per address: two callers that need the
same broker at once share its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .address import Address
from .connection import DEFAULT_TIMEOUT_S, SOFTWARE_NAME, Connection
from .errors import CannotConnect


class ConnectionPool:
    """Open connections by address.  Close it with `close`."""

    def __init__(
        self,
        bootstrap: Sequence[Address],
        *,
        client_id: str = SOFTWARE_NAME,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._bootstrap = tuple(bootstrap)
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._connections: dict[Address, Connection] = {}
        self._opening: dict[Address, asyncio.Lock] = {}

    async def any(self) -> Connection:
        """A connection to whichever broker answers, an open one before a new one.

        When none does, CannotConnect says what was tried last, or of one address simply why.
        """
        for connection in self._connections.values():
            if connection.is_open:
                return connection
        failures: list[CannotConnect] = []
        for address in self._bootstrap:
            try:
                return await self.at(address)
            except CannotConnect as error:
                failures.append(error)
        raise failures[0] if len(failures) == 1 else CannotConnect("; ".join(map(str, failures)))

    async def at(self, address: Address) -> Connection:
        """The connection to this address."""
        async with self._opening.setdefault(address, asyncio.Lock()):
            connection = self._connections.get(address)
            if connection is None or not connection.is_open:
                connection = await Connection.open(address, client_id=self._client_id, timeout_s=self._timeout_s)
                self._connections[address] = connection
            return connection

    async def close(self) -> None:
        """Close every connection."""
        connections = list(self._connections.values())
        self._connections.clear()
        await asyncio.gather(*(connection.close() for connection in connections))
