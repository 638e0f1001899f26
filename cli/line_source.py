"""Lines of a file or of standard input, as they come, without holding up the event loop.

A daemon thread reads what there is; so what is typed, or comes slowly down a pipe, is sent at once, and Ctrl-C does not
wait for another line.  At most `CHUNKS_AHEAD` chunks are read ahead.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import BinaryIO, cast

CHUNK_BYTES = 256 * 1024
CHUNKS_AHEAD = 8

_Chunk = bytes | OSError


class LineSource:
    """Give it a binary file, iterate over lists of lines (without their ends).  Owned by the running loop."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[_Chunk] = asyncio.Queue()
        self._room = threading.BoundedSemaphore(CHUNKS_AHEAD)
        threading.Thread(target=self._read, name="lines to send", daemon=True).start()

    def _read(self) -> None:
        chunk: _Chunk = b"first"
        while chunk and isinstance(chunk, bytes):
            self._room.acquire()
            try:
                # Not `read`, which would wait until there are so many bytes.
                chunk = cast("bytes", self._file.read1(CHUNK_BYTES))  # type: ignore[attr-defined]
            except OSError as error:
                chunk = error
            except ValueError:  # the file is closed: the command has ended before its input
                return
            try:
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed, likewise
                return

    async def lines(self) -> AsyncIterator[list[bytes]]:
        """What came, some lines at a time; the last may be without an end.  OSError if it cannot be read."""
        parts: list[bytes] = []  # of a line whose end has not come; joined once, for it may be a large file without any
        while chunk := await self._chunks.get():
            self._room.release()
            if isinstance(chunk, OSError):
                raise chunk
            parts.append(chunk)
            if b"\n" in chunk:
                *whole, rest = b"".join(parts).split(b"\n")
                parts = [rest]
                yield [line.removesuffix(b"\r") for line in whole]
        if rest := b"".join(parts):
            yield [rest]

    async def everything(self) -> bytes:
        """All there is, when it has come."""
        parts = []
        while chunk := await self._chunks.get():
            self._room.release()
            if isinstance(chunk, OSError):
                raise chunk
            parts.append(chunk)
        return b"".join(parts)
