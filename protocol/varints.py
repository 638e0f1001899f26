"""Zigzag varints, the numbers inside records: small magnitudes take one byte, whatever their sign.

Seven bits a byte, lowest first, the top bit says that more follow.  An int32 (`varint`) takes at most five bytes,
an int64 (`varlong`) at most ten; longer ones are malformed, and bits past the width are dropped as Java's shifts
drop them.  Reading past the end is an IndexError here, which the reader of records turns into MalformedMessage.
"""

from __future__ import annotations

from functools import cache

from .errors import MalformedMessage

Buffer = bytes | bytearray | memoryview


# What one byte below 0x80 means.
ONE_BYTE = tuple((byte >> 1) ^ -(byte & 1) for byte in range(0x80))


def read_varint(buffer: Buffer, position: int) -> tuple[int, int]:
    """An int32 and the position behind it."""
    byte = buffer[position]
    if byte < 0x80:
        return ONE_BYTE[byte], position + 1
    if (second := buffer[position + 1]) < 0x80:
        value = byte & 0x7F | second << 7
        return (value >> 1) ^ -(value & 1), position + 2
    value, position = _read_unsigned(buffer, position, 5)
    value &= 0xFFFFFFFF
    return (value >> 1) ^ -(value & 1), position


def read_varlong(buffer: Buffer, position: int) -> tuple[int, int]:
    """An int64 and the position behind it."""
    byte = buffer[position]
    if byte < 0x80:
        return ONE_BYTE[byte], position + 1
    if (second := buffer[position + 1]) < 0x80:
        value = byte & 0x7F | second << 7
        return (value >> 1) ^ -(value & 1), position + 2
    value, position = _read_unsigned(buffer, position, 10)
    value &= 0xFFFFFFFFFFFFFFFF
    return (value >> 1) ^ -(value & 1), position


def _read_unsigned(buffer: Buffer, position: int, max_bytes: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * max_bytes, 7):
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MalformedMessage(f"a varint has more than {max_bytes} bytes")


def varint(value: int) -> bytes:
    """The bytes of an int32 or int64: zigzag makes them the same."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    if value < 0x80:
        return _ONE_BYTE_ENCODED[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_ONE_BYTE_ENCODED = [bytes((value,)) for value in range(0x80)]

SMALL_COUNT = 8192
"""From here on a varint that is not negative has three bytes."""


@cache
def small_varints() -> tuple[bytes, ...]:
    """The varints of 0 to 8191, by number, made at the first call: who builds many records looks them up."""
    one_byte = tuple(_ONE_BYTE_ENCODED[value] for value in range(0, 0x80, 2))
    return one_byte + tuple(bytes((value & 0x7F | 0x80, value >> 7)) for value in range(0x80, 2 * SMALL_COUNT, 2))
