"""Length framing: every request and response is an int32 size and that many bytes.

Arithmetic only; who owns the socket owns the buffers.  A size of 0 or less, or one above the bound
(`socket.request.max.bytes`), ends the connection; a size within it waits for its bytes.
"""

from __future__ import annotations

import struct
from typing import Protocol

from .errors import MalformedMessage

Buffer = bytes | bytearray | memoryview

SIZE_BYTES = 4
_SIZE = struct.Struct(">i")


class Framed(Protocol):
    """Makes a whole response of a correlation id and a body."""

    def __call__(self, correlation_id: int, body: bytes, *, flexible: bool) -> bytes: ...


def frame_size(buffer: Buffer, position: int, *, max_bytes: int) -> int | None:
    """How many bytes follow the size at `position`; None when the size itself is not here whole yet.

    MalformedMessage when no frame has that size.
    """
    if len(buffer) - position < SIZE_BYTES:
        return None
    (size,) = _SIZE.unpack_from(buffer, position)
    if not 0 < size <= max_bytes:
        raise MalformedMessage(f"a frame of {size} bytes; between 1 and {max_bytes} are allowed")
    return int(size)


def encode_size(size_bytes: int) -> bytes:
    """The size that goes before a frame of `size_bytes`."""
    return _SIZE.pack(size_bytes)


def encode_frame(*parts: Buffer) -> bytes:
    """A whole frame of `parts`, copied together: for small messages."""
    return b"".join((_SIZE.pack(sum(map(len, parts))), *parts))
