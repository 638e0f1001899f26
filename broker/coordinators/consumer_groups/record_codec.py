"""The few types of Kafka's flexible encoding (KIP-482) that records of the coordinator are made of.

Writers append to a bytearray; `Reader` walks over bytes that were checked by their batch's checksum, so that whatever
does not fit is a record of somebody else's making: a ValueError, an IndexError or a struct.error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

from ....protocol.primitives import INT16, INT32, INT64, read_compact_string, read_uvarint

T = TypeVar("T")

_INT8 = struct.Struct(">b")


def put_uvarint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_string(out: bytearray, text: str | None) -> None:
    """A compact string, nullable."""
    if text is None:
        out.append(0)
    else:
        put_bytes(out, text.encode())


def put_bytes(out: bytearray, data: bytes) -> None:
    """Compact bytes."""
    put_uvarint(out, len(data) + 1)
    out += data


def put_int32s(out: bytearray, values: Iterable[int]) -> None:
    """A compact array of int32."""
    numbers = list(values)
    put_uvarint(out, len(numbers) + 1)
    out += struct.pack(f">{len(numbers)}i", *numbers)


def put_tag(out: bytearray, tag: int, data: bytes | None) -> None:
    """A section of tagged fields with one field, or with none."""
    if data is None:
        out.append(0)
    else:
        out.append(1)
        put_uvarint(out, tag)
        put_uvarint(out, len(data))
        out += data


class Reader:
    """A position in `data`, moved by each read."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def int8(self) -> int:
        return self._number(_INT8)

    def int16(self) -> int:
        return self._number(INT16)

    def int32(self) -> int:
        return self._number(INT32)

    def int64(self) -> int:
        return self._number(INT64)

    def _number(self, form: struct.Struct) -> int:
        (value,) = form.unpack_from(self.data, self.position)
        self.position += form.size
        return int(value)

    def uvarint(self) -> int:
        value, self.position = read_uvarint(self.data, self.position)
        return value

    def uuid(self) -> UUID:
        return UUID(bytes=self.take(16))

    def string(self) -> str | None:
        value, self.position = read_compact_string(self.data, self.position)
        return value

    def text(self) -> str:
        """A compact string that may not be null."""
        value = self.string()
        if value is None:
            raise ValueError(f"null where there is none, in front of {self.position}")
        return value

    def classic_text(self) -> str:
        """A string behind an int16 size, as in keys."""
        return self.take(self.int16()).decode()

    def blob(self) -> bytes:
        """Compact bytes that may not be null."""
        return self.take(self.uvarint() - 1)

    def array(self, item: Callable[[], T]) -> list[T]:
        """A compact array that may not be null."""
        return [item() for _ in range(self.uvarint() - 1)]

    def int32s(self) -> list[int]:
        count = self.uvarint() - 1
        values = struct.unpack(f">{count}i", self.take(4 * count))
        return list(values)

    def tags(self) -> dict[int, Reader]:
        """The tagged fields that follow, each to be read by itself."""
        return {self.uvarint(): Reader(self.take(self.uvarint())) for _ in range(self.uvarint())}

    def take(self, size_bytes: int) -> bytes:
        end = self.position + size_bytes
        if size_bytes < 0 or end > len(self.data):
            raise ValueError(f"{size_bytes} bytes at {self.position} of {len(self.data)}")
        taken = bytes(self.data[self.position : end])
        self.position = end
        return taken
