"""Where connections come from: TCP, or in tests a network of their own making.

This is the one seam between the client and the outside.  A network gives a transport and calls the protocol that
the client hands it, as asyncio does: `connection_made`, `get_buffer` and `buffer_updated`, `connection_lost`.  Time
is the loop's.  Whoever replaces both has the whole client in virtual time, over a network that cuts and delays.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from aiohappyeyeballs import start_connection

from .address import Address

ProtocolFactory = Callable[[], asyncio.BufferedProtocol]
_HEAD_START_S = 0.25
"""What an address has before the next one is tried beside it: RFC 8305's recommendation."""


class Network(Protocol):
    """Opens connections."""

    async def connect(self, address: Address, factory: ProtocolFactory) -> None:
        """Connect, and have the protocol of `factory` told; OSError if nobody is there."""


class TcpNetwork:
    """The network that there is."""

    async def connect(self, address: Address, factory: ProtocolFactory) -> None:
        """Resolve the name and try its addresses in turn, each with a head start (RFC 8305); on any loop, also uvloop's."""
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            connected = await start_connection(addresses, happy_eyeballs_delay=_HEAD_START_S)
            try:
                await loop.create_connection(factory, sock=connected)
            except BaseException:
                connected.close()
                raise
        # uvloop's, of a descriptor that it has not let go of yet; the executor's, that names are not looked up any more at exit
        except RuntimeError as error:
            raise OSError(str(error)) from error
