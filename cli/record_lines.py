"""From lines of text to records: plain, with keys before a separator, or JSON.

Pure; a line that cannot be read is a ValueError that says why, and who counts the lines says which.

A JSON line is an object of `key`, `value`, `headers`, `partition` and `timestamp` (ms), all of which may be left out.
Text is taken as UTF-8, null is null, {"base64": …} is bytes that are no text, anything else becomes compact JSON.  Headers
are an object, or a list of pairs where a name comes twice.  So what `ottla consume` says in JSON can be sent again; where
it was read, and in which topic, is passed over, and so is the timestamp -1 of a record that has none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from ..protocol.values import dataclass

_FIELDS = ("key", "value", "headers", "partition", "timestamp")
_NO_TIMESTAMP = -1
_PASSED_OVER = ("topic", "offset", "time")


@dataclass(frozen=True, slots=True)
class LineRecord:
    """A record as a line gives it; what is None here may still come from the command's options."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int | None = None
    timestamp_ms: int | None = None


LineReader = Callable[[bytes], LineRecord]


def plain_line(line: bytes) -> LineRecord:
    """The whole line is the value."""
    return LineRecord(line)


def keyed_line(separator: bytes) -> LineReader:
    """What stands before the first separator is the key."""

    def read(line: bytes) -> LineRecord:
        key, found, value = line.partition(separator)
        if not found:
            raise ValueError(f"no key: there is no {separator.decode()!r} in it")
        return LineRecord(value, key)

    return read


def empty_as_null(read: LineReader) -> LineReader:
    """An empty value is null: a tombstone, where there is a key."""

    def read_with_null(line: bytes) -> LineRecord:
        record = read(line)
        return record if record.value else LineRecord(None, record.key)

    return read_with_null


def json_line(line: bytes) -> LineRecord:
    """An object that has a record's fields."""
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object with key, value, headers, partition, timestamp")
    for name in fields:
        if name not in _FIELDS and name not in _PASSED_OVER:
            raise ValueError(f"unknown field {name!r}; known are {', '.join(_FIELDS)}")
    return LineRecord(
        value=_plain(fields.get("value")),
        key=_plain(fields.get("key")),
        headers=_headers(fields.get("headers")),
        partition=_number(fields, "partition"),
        timestamp_ms=None if fields.get("timestamp") == _NO_TIMESTAMP else _number(fields, "timestamp"),
    )


def _plain(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, dict) and value.keys() == {"base64"}:
        return _decoded(value["base64"])
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _decoded(encoded: Any) -> bytes:
    if not isinstance(encoded, str):
        raise ValueError("base64 must be text")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise ValueError(f"base64: {error}") from error


def _headers(headers: Any) -> tuple[tuple[str, bytes | None], ...]:
    pairs = [] if headers is None else list(headers.items()) if isinstance(headers, dict) else headers
    if not isinstance(pairs, list) or not all(isinstance(each, list | tuple) and len(each) == 2 for each in pairs):
        raise ValueError("headers must be an object, or a list of [name, value]")
    return tuple((str(name), _plain(value)) for name, value in pairs)


def _number(fields: Mapping[str, Any], name: str) -> int | None:
    number = fields.get(name)
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 0):
        raise ValueError(f"{name} must be a number from 0 on, not {number!r}")
    return number
