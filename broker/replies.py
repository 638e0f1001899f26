"""A response's frame: its size, its header, its body."""

import struct

from ..protocol.fetch import Part, size_of

_SIZE_CORRELATION = struct.Struct(">ii")


def framed(correlation_id: int, body: bytes, *, flexible: bool) -> bytes:
    """The whole response as bytes; `flexible` chooses response header 1 over 0."""
    if flexible:
        return _SIZE_CORRELATION.pack(len(body) + 5, correlation_id) + b"\0" + body
    return _SIZE_CORRELATION.pack(len(body) + 4, correlation_id) + body


def framed_parts(correlation_id: int, parts: list[Part], *, flexible: bool) -> list[Part]:
    """The same for a body in parts."""
    header = b"\0" if flexible else b""
    size_bytes = 4 + len(header) + size_of(parts)
    return [_SIZE_CORRELATION.pack(size_bytes, correlation_id) + header, *parts]
