"""Serializers are plain callables: a value in, bytes out (or None for null), and the other way for deserializers.

    Producer[str, Order](…, key_serializer=str.encode, value_serializer=to_json)

None never reaches a serializer: a record without a key, or a tombstone, stays one.  Here are the two that everybody
writes; any function will do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

T = TypeVar("T")

Serializer = Callable[[T], bytes]
Deserializer = Callable[[bytes], T]


def to_json(value: Any) -> bytes:
    """JSON in UTF-8, compact; dataclasses become objects, TypeError for what JSON cannot say."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def from_json(data: bytes) -> Any:
    """What the JSON says; ValueError if it is none."""
    return json.loads(bytes(data))


def to_msgpack(value: Any) -> bytes:
    """msgpack; dataclasses become maps, datetimes with a time zone timestamps."""
    import msgpack

    return bytes(msgpack.packb(value, default=_plain, datetime=True))


def from_msgpack(data: bytes) -> Any:
    """What the msgpack says; ValueError if it is none."""
    import msgpack

    return msgpack.unpackb(data, timestamp=3)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON or msgpack: {value!r:.100}")
