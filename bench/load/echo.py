"""The program below the floor: it answers every request of one size with the same bytes, one connection at a time.

    python echo.py REQUEST_BYTES RESPONSE_BYTES [FILE]

Blocking calls, no protocol, no library: what a round trip through it takes is what the machine's network and the wake-ups of
two processes take.  With FILE each request is appended to it and synced (fdatasync) before it is answered.  It prints its
port, and ends when its standard input does, which is when whoever started it is gone.  It stands alone: it is run by its path.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable

ANYTHING_BYTES = 1 << 16


def main() -> None:
    request_bytes, response_bytes = int(sys.argv[1]), int(sys.argv[2])
    response = (response_bytes - 4).to_bytes(4, "big") + bytes(response_bytes - 4)
    keep = syncing(sys.argv[3]) if len(sys.argv) > 3 else None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            peer, _ = listener.accept()
            with peer:
                serve(peer, request_bytes, response, keep)


def syncing(path: str) -> Callable[[bytes], None]:
    """Appends to the file and syncs it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sync = getattr(os, "fdatasync", os.fsync)  # macOS has but fsync

    def keep(request: bytes) -> None:
        os.write(file, request)
        sync(file)

    return keep


def serve(peer: socket.socket, request_bytes: int, response: bytes, keep: Callable[[bytes], None] | None) -> None:
    """Until the peer is gone, be it with a request unanswered."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while request := peer.recv(ANYTHING_BYTES):
            while len(request) < request_bytes:
                more = peer.recv(request_bytes - len(request))
                if not more:
                    return
                request += more
            if keep is not None:
                keep(request)
            peer.sendall(response)
    except ConnectionError:
        return


if __name__ == "__main__":
    main()
