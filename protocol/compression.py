"""The four codecs of record batches, with a bound on what a batch may unfold into.

A peer chooses what is decompressed here, and a kilobyte can unfold into gigabytes.  So `decompress` takes
`max_bytes`, never holds more than about twice that, and raises MalformedMessage past it.  Who is done with the bytes before the
next are asked for, as a broker that only looks at them, lends a buffer for them (`unfold`): memory of that size that is made
afresh is zeroed, filled, and copied from.

The framings are the ones that Kafka's Java client writes and reads, and librdkafka with it:

    GZIP    RFC 1952
    SNAPPY  written in the framing of xerial's snappy-java: a 16-byte header, then blocks of at most 32 KiB,
            each behind its big-endian int32 size; read either so or as one raw snappy block
    LZ4     the LZ4 frame, blocks independent (Kafka's reader knows no linked ones), no content checksum
    ZSTD    RFC 8878

Of the attributes of a batch the lowest three bits name the codec.  The codecs themselves are cramjam's, but gzip
is unfolded by the standard library, which stops at a bound by itself and measured three times as fast.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .errors import MalformedMessage
from .spare_buffers import SpareBuffers

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

Buffer = bytes | bytearray | memoryview

XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = XERIAL_MAGIC + struct.pack(">ii", 1, 1)  # version, oldest version that can read it
_XERIAL_BLOCK_BYTES = 32 * 1024
_GZIP_WINDOW = 31  # zlib: the largest window, in gzip's framing
_INT32 = struct.Struct(">i")

UNFOLDED_SPARE_BYTES = 4 * 1024 * 1024
"""What `unfold` takes at first: enough where a batch of 1 MB, the largest by default, is a fourth of its records."""
_FIRST_GUESS_BYTES = 64 * 1024
_GROWTH = 4


class Codec(IntEnum):
    """How the records of a batch are compressed, by the number in its attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


_DEFAULT_LEVELS = {Codec.GZIP: 6, Codec.LZ4: 1, Codec.ZSTD: 3}


def compress(codec: Codec, data: Buffer, level: int | None = None) -> bytes:
    """`data` in the framing Kafka uses for `codec`; a level of None is Kafka's default, snappy has none."""
    if codec is Codec.NONE:
        return bytes(data)
    if codec is Codec.SNAPPY:
        return _compress_xerial(data)
    chosen = _DEFAULT_LEVELS[codec] if level is None else level
    if codec is Codec.LZ4:
        compressor = _cramjam().lz4.Compressor(chosen, content_checksum=False, block_linked=False)
        compressor.compress(bytes(data))
        return bytes(compressor.finish())
    module: Any = _cramjam().gzip if codec is Codec.GZIP else _cramjam().zstd
    return bytes(module.compress(data, chosen))


def decompress(codec: Codec, data: Buffer, *, max_bytes: int) -> bytes:
    """What `data` unfolds into; MalformedMessage when it is not of the codec or more than `max_bytes`."""
    if codec is Codec.NONE:
        return _bounded(bytes(data), max_bytes)
    if codec is Codec.SNAPPY:
        return _decompress_snappy(data, max_bytes)
    if codec is Codec.GZIP:
        return _decompress_gzip(data, max_bytes)
    return bytes(_decompress_growing(codec, data, max_bytes, _FIRST_GUESS_BYTES, _new_buffer))


def unfold(codec: Codec, data: Buffer, *, max_bytes: int, spares: SpareBuffers) -> bytes | memoryview:
    """As `decompress`, into a buffer of `spares` where the codec can: it is used again when nobody has the view any more."""
    if codec in (Codec.LZ4, Codec.ZSTD):
        return _decompress_growing(codec, data, max_bytes, UNFOLDED_SPARE_BYTES, spares.take)
    if codec is Codec.SNAPPY and not _is_xerial(view := memoryview(data)):
        return _decompress_raw(view, max_bytes, max_bytes, spares.take)
    return decompress(codec, data, max_bytes=max_bytes)


def _new_buffer(size_bytes: int) -> memoryview:
    return memoryview(bytearray(size_bytes))


@lru_cache(maxsize=1)
def _cramjam() -> ModuleType:
    """Imported at first use: many a broker never unfolds a batch."""
    import cramjam

    return cramjam


def _decompress_gzip(data: Buffer, max_bytes: int) -> bytes:
    """All members of the file, one after the other."""
    parts: list[bytes] = []
    left = max_bytes
    rest: Buffer = data
    while True:
        member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            parts.append(member.decompress(rest, left + 1))  # 0 would mean without a bound
        except zlib.error as error:
            raise MalformedMessage(f"not GZIP data: {error}") from error
        left -= len(parts[-1])
        if left < 0:
            raise MalformedMessage(f"GZIP data unfolds into more than {max_bytes} bytes")
        if not member.eof:
            raise MalformedMessage("GZIP data is cut short")
        if not member.unused_data:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        rest = member.unused_data


def _decompress_growing(
    codec: Codec, data: Buffer, max_bytes: int, at_first_bytes: int, take: Callable[[int], memoryview]
) -> memoryview:
    """LZ4 and ZSTD: into a buffer of fixed size, and again into a larger one while that is too small.

    The frames need not say how much they hold (the Java client streams), and what they say is the peer's word.
    """
    module: Any = _cramjam().lz4 if codec is Codec.LZ4 else _cramjam().zstd
    size = min(max_bytes, max(at_first_bytes, len(data) * _GROWTH))
    while True:
        room = take(size)
        try:
            filled = module.decompress_into(data, room)
        except Exception as error:  # cramjam raises its own error, and OSError, by codec
            if not _ran_out_of_room(error):
                raise MalformedMessage(f"not {codec.name} data: {error}") from error
        else:
            return room[:filled]
        if size >= max_bytes:
            raise MalformedMessage(f"{codec.name} data unfolds into more than {max_bytes} bytes")
        size = min(max_bytes, size * _GROWTH)


def _ran_out_of_room(error: Exception) -> bool:
    return "failed to write whole buffer" in str(error)


def _compress_xerial(data: Buffer) -> bytes:
    compress_raw = _cramjam().snappy.compress_raw
    view = memoryview(data)
    parts = [_XERIAL_HEADER]
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = bytes(compress_raw(view[start : start + _XERIAL_BLOCK_BYTES]))
        parts += (_INT32.pack(len(block)), block)
    return b"".join(parts)


def _decompress_snappy(data: Buffer, max_bytes: int) -> bytes:
    view = memoryview(data)
    if not _is_xerial(view):
        return bytes(_decompress_raw(view, max_bytes, max_bytes, _new_buffer))
    parts: list[memoryview] = []
    size = 0
    position = len(_XERIAL_HEADER)
    while position < len(view):
        if position + 4 > len(view):
            raise MalformedMessage("snappy: a block size is cut short")
        (block_bytes,) = _INT32.unpack_from(view, position)
        position += 4
        if not 0 < block_bytes <= len(view) - position:
            raise MalformedMessage(f"snappy: a block of {block_bytes} bytes in {len(view) - position}")
        parts.append(_decompress_raw(view[position : position + block_bytes], max_bytes - size, max_bytes, _new_buffer))
        size += len(parts[-1])
        position += block_bytes
    return b"".join(parts)


def _is_xerial(data: memoryview) -> bool:
    return data[: len(XERIAL_MAGIC)] == XERIAL_MAGIC


def _decompress_raw(
    block: memoryview, left_bytes: int, max_bytes: int, take: Callable[[int], memoryview]
) -> memoryview:
    """One block, of which `left_bytes` of all `max_bytes` may come."""
    snappy = _cramjam().snappy
    try:
        size = snappy.decompress_raw_len(block)
        if size > left_bytes:
            raise MalformedMessage(f"SNAPPY data unfolds into more than {max_bytes} bytes")
        room = take(size)
        return room[: snappy.decompress_raw_into(block, room)]
    except _cramjam().DecompressionError as error:
        raise MalformedMessage(f"not SNAPPY data: {error}") from error


def _bounded(data: bytes, max_bytes: int) -> bytes:
    if len(data) > max_bytes:
        raise MalformedMessage(f"{len(data)} bytes where {max_bytes} are allowed")
    return data
