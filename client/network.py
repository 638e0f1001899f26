"""Where connections come from: TCP, or in tests a network of their own making.

This is the one seam between the client and the outside.  A network gives a transport and calls the protocol that
the client hands it, as asyncio does: `connection_made`, `get_buffer` and `buffer_updated`, `connection_lost`.  Time
is the loop's.  Whoever replaces both has the whole client in virtual time, over a network that cuts and delays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from .address import Address

ProtocolFactory = Callable[[], asyncio.BufferedProtocol]


class Network(Protocol):
    """Opens connections."""

    async def connect(self, address: Address, factory: ProtocolFactory) -> None:
        """Connect, and have the protocol of `factory` told; OSError if nobody is there."""


class TcpNetwork:
    """The network that there is."""

    async def connect(self, address: Address, factory: ProtocolFactory) -> None:
        """Resolve the name and try its addresses in turn, each given a quarter of a second's start (RFC 8305)."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(factory, address.host, address.port, happy_eyeballs_delay=0.25)
