"""What the clients write and read, in a form that belongs to none of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
MEGABYTE = 1024 * 1024

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One record.  `timestamp_ms` None: the client takes the time itself; `offset` is known once it is read."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None
    offset: int | None = None

    @property
    def content(self) -> tuple[bytes | None, bytes | None, Headers]:
        return (self.key, self.value, self.headers)


def contents(messages: Iterable[Message]) -> list[tuple[bytes | None, bytes | None, Headers]]:
    return [message.content for message in messages]


def numbered(count: int, *, size_bytes: int = 100) -> list[Message]:
    """`count` messages that can be told apart and compress well, each of about `size_bytes`."""
    filling = b"filling " * (size_bytes // 8)
    return [Message(key=f"key {n}".encode(), value=f"value {n} ".encode() + filling) for n in range(count)]


def at_offsets(messages: Sequence[Message], first: int) -> list[Message]:
    """The messages as a log holds them that got them one after the other from `first` on."""
    return [replace(message, offset=first + n) for n, message in enumerate(messages)]
