"""The program below the floor: it keeps every request of one size, and answers each with the same bytes.

    python echo.py REQUEST_BYTES RESPONSE_BYTES FILE written|synced

It is the least that one process in Python can do which serves many peers: an event loop (uvloop where it is), a request
received into a buffer, one `pwrite`, one answer; nothing is read or decided.  `synced` has a thread call fdatasync before the
answer, for the loop must go on while the disk works.  It prints its port, and ends when its standard input does, which is when
whoever started it is gone.  It stands alone: it is run by its path.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import cast

ANYTHING_BYTES = 1 << 16
AHEAD_BYTES = 1 << 20
"""The file is made longer by so much at a time, as the broker's is: a sync that need not note a new length takes less."""

Answer = Callable[[], None]


class Kept:
    """The file: `write` puts bytes behind what is in it, `then` answers, when they are on the disk if they are to be."""

    def __init__(self, path: str, loop: asyncio.AbstractEventLoop, *, synced: bool) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._end = self._length = 0
        self._loop = loop
        self._waiting: SimpleQueue[Answer] | None = None
        if synced:
            self._waiting = SimpleQueue()
            threading.Thread(target=self._sync, args=(self._waiting,), daemon=True).start()

    def write(self, data: memoryview) -> int:
        """Where they lie."""
        position = self._end
        if position + len(data) > self._length:
            self._length = position + len(data) + AHEAD_BYTES
            os.ftruncate(self._file, self._length)
        self._end += os.pwrite(self._file, data, position)
        return position

    def then(self, answer: Answer) -> None:
        if self._waiting is None:
            answer()
        else:
            self._waiting.put(answer)

    def read(self, position: int, most_bytes: int) -> bytes:
        """What lies there."""
        return os.pread(self._file, min(most_bytes, self._end - position), position)

    def read_into(self, memory: memoryview, position: int) -> None:
        """The same into memory that is there already."""
        os.preadv(self._file, (memory,), position)

    def clear(self) -> None:
        """Begin anew."""
        self._end = self._length = 0
        os.ftruncate(self._file, 0)

    def _sync(self, waiting: SimpleQueue[Answer]) -> None:
        """One sync for all that wait for one."""
        sync = getattr(os, "fdatasync", os.fsync)  # macOS has but fsync
        while True:
            answers = [waiting.get()]
            while not waiting.empty():
                answers.append(waiting.get())
            sync(self._file)
            self._loop.call_soon_threadsafe(_answer_all, answers)


def _answer_all(answers: list[Answer]) -> None:
    for answer in answers:
        answer()


class Peer(asyncio.BufferedProtocol):
    """One connection, which has one request under way at a time."""

    def __init__(self, kept: Kept, request_bytes: int, response: bytes) -> None:
        self._kept = kept
        self._request_bytes = request_bytes
        self._response = response
        self._buffer = memoryview(bytearray(ANYTHING_BYTES))
        self._have = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._have :]

    def buffer_updated(self, nbytes: int) -> None:
        self._have += nbytes
        if self._have >= self._request_bytes:
            self._have = 0
            self._kept.write(self._buffer[: self._request_bytes])
            self._kept.then(partial(self._transport.write, self._response))


async def serve(request_bytes: int, response_bytes: int, path: str, *, synced: bool) -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    response = (response_bytes - 4).to_bytes(4, "big") + bytes(response_bytes - 4)
    kept = Kept(path, loop, synced=synced)
    server = await loop.create_server(lambda: Peer(kept, request_bytes, response), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """As the broker has it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    request_bytes, response_bytes, path, how = sys.argv[1:]
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(int(request_bytes), int(response_bytes), path, synced=how == "synced"))


if __name__ == "__main__":
    main()
