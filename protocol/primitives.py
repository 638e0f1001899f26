"""The few primitive types of Kafka's protocol that the hand-written codecs of Produce and Fetch read and write.

A reader takes the frame and a position and returns the value with the position behind it. A frame is exactly one
request, so that running past its end is an IndexError or a struct.error here (the codec's entry turns both into
MalformedMessage), never a look into the next request. Counts and sizes are checked against what is left of the
frame before anything is allocated: a hostile count costs nothing.

Source: https://kafka.apache.org/protocol#protocol_types, KIP-482 (compact types and tagged fields).
"""

import struct

from .errors import MalformedMessage

Frame = memoryview | bytearray | bytes

INT16 = struct.Struct(">h")
INT32 = struct.Struct(">i")
INT64 = struct.Struct(">q")


def read_uvarint(frame: Frame, position: int) -> tuple[int, int]:
    """An unsigned varint of at most five bytes."""
    byte = frame[position]
    if byte < 0x80:
        return byte, position + 1
    value = byte & 0x7F
    for shift in (7, 14, 21, 28):
        position += 1
        byte = frame[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
    raise MalformedMessage("an unsigned varint has more than five bytes")


def read_classic_string(frame: Frame, position: int) -> tuple[str | None, int]:
    """A nullable string behind an int16 size."""
    (size,) = INT16.unpack_from(frame, position)
    return _string(frame, position + 2, size)


def read_compact_string(frame: Frame, position: int) -> tuple[str | None, int]:
    """A nullable string behind an unsigned varint of its size and one."""
    size, position = read_uvarint(frame, position)
    return _string(frame, position, size - 1)


def _string(frame: Frame, position: int, size: int) -> tuple[str | None, int]:
    if size < 0:
        return None, position  # any negative size is null, to Kafka
    end = position + size
    if end > len(frame):
        raise MalformedMessage("a string runs past the end of the request")
    return str(frame[position:end], "utf-8", "replace"), end  # what is not UTF-8 is replaced, as Java does


def read_classic_count(frame: Frame, position: int) -> tuple[int, int]:
    """The count of an array that is not null, behind an int32."""
    (count,) = INT32.unpack_from(frame, position)
    return _count(frame, position + 4, count)


def read_compact_count(frame: Frame, position: int) -> tuple[int, int]:
    """The count of an array that is not null, behind an unsigned varint of the count and one."""
    count, position = read_uvarint(frame, position)
    return _count(frame, position, count - 1)


def _count(frame: Frame, position: int, count: int) -> tuple[int, int]:
    if count < 0 or count > len(frame) - position:
        raise MalformedMessage(f"an array has the count {count}")
    return count, position


def skip_tags(frame: Frame, position: int) -> int:
    """Step over a tagged-field section; what it says is not known here and ignored."""
    count, position = read_uvarint(frame, position)
    for _ in range(count):
        _, position = read_uvarint(frame, position)
        size, position = read_uvarint(frame, position)
        position += size
    if position > len(frame):
        raise MalformedMessage("a tagged field runs past the end of the request")
    return position


def pack_uvarint(value: int) -> bytes:
    """An unsigned varint."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def pack_classic_string(text: str | None) -> bytes:
    """A nullable string behind an int16 size."""
    if text is None:
        return b"\xff\xff"
    data = text.encode()
    return INT16.pack(len(data)) + data


def pack_compact_string(text: str | None) -> bytes:
    """A nullable string behind an unsigned varint of its size and one."""
    if text is None:
        return b"\0"
    data = text.encode()
    return pack_uvarint(len(data) + 1) + data
