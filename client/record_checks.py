"""What a user gave for a record, looked at before a batch is begun for it.

What cannot be written must not be taken: its batch could not be built, nor what is behind it be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

Headers = Sequence[tuple[str, bytes | None]]
_TIME_BOUND_MS = 2**63


def in_whole_ms(timestamp: int) -> int:
    """A record's time; TypeError for fractions, ValueError beyond 64 bits."""
    try:
        whole = index(timestamp)
    except TypeError:
        raise TypeError(
            f"timestamp_ms is a {type(timestamp).__name__}, not an int: whole milliseconds since 1970"
        ) from None
    if not -_TIME_BOUND_MS <= whole < _TIME_BOUND_MS:
        raise ValueError(f"timestamp_ms {whole} does not fit into 64 bits")
    return whole


def size_of(headers: Headers) -> int:
    """At most so many bytes; TypeError or ValueError for what cannot be written."""
    if not isinstance(headers, Sequence):
        raise TypeError(f"headers are a list of pairs, not a {type(headers).__name__}")
    size = 0
    for each in headers:
        name, content = each if isinstance(each, tuple | list) and len(each) == 2 else (None, None)
        if not isinstance(name, str) or not isinstance(content, bytes | bytearray | memoryview | None):
            raise TypeError(f"a header is a pair of a str and bytes (or None), not {each!r:.100}")
        size += len(name.encode("utf-8", "surrogateescape")) + len(content or b"") + 10
    return size


def bytes_of(values: Iterable[object]) -> list[bytes]:
    """What nobody can change afterwards."""
    made: list[bytes] = []
    for each in values:
        if not isinstance(each, bytes | bytearray | memoryview):
            raise TypeError("values must be bytes, and not None, or value_serializer must make bytes of them")
        made.append(bytes(each))
    return made


def must_be_bytes(key: object, value: object) -> None:
    """Or None."""
    for what, each in (("key", key), ("value", value)):
        if each is not None and not isinstance(each, bytes | bytearray | memoryview):
            raise TypeError(
                f"the {what} is a {type(each).__name__}, not bytes; give bytes, or the producer a {what}_serializer"
            )
