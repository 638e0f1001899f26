"""Peers that mean no good: they send half, do not read, or speak another language.  Blocking sockets, many of them."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

SMALL_BUFFER_BYTES = 4096


@contextlib.contextmanager
def connections(port: int, count: int, *, receive_buffer_bytes: int | None = None) -> Iterator[list[socket.socket]]:
    """So many open connections, each timing out at once when the peer does not take or give."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            peer = stack.enter_context(socket.socket())
            if receive_buffer_bytes is not None:  # before connecting, or the window is negotiated without it
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            peer.settimeout(30)
            peer.connect(("127.0.0.1", port))
            peer.setblocking(False)
            opened.append(peer)
        yield opened


def send_what_it_takes(peer: socket.socket, data: bytes) -> int:
    """How many bytes went out before the peer took no more; it may also have hung up."""
    sent = 0
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while sent < len(data):
            sent += peer.send(memoryview(data)[sent : sent + 65536])
    return sent


def framed(frame: bytes) -> bytes:
    return struct.pack(">i", len(frame)) + frame


def is_closed_within(peer: socket.socket, seconds: float) -> bool:
    """Whether the broker hangs up within so long, whatever it says before."""
    peer.settimeout(seconds)
    try:
        while peer.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True
