"""How a consumed record is printed: its value, with key and headers before it, as JSON, or by a template.

Bytes that are not UTF-8 are shown with their odd ones escaped (`\\xff`) as text, and in JSON as {"base64": …}.
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..client.consumer.record import ConsumerRecord
from ..client.serializers import from_json, from_msgpack

Record = ConsumerRecord[bytes, bytes]
RecordFormat = Callable[[Record], str]
Shown = Callable[[bytes], Any]
"""Bytes to something that JSON can say."""

NULL = "null"
FIELDS = ("topic", "partition", "offset", "timestamp", "time", "key", "value", "headers")


def text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


FORMS: dict[str, Shown] = {
    "text": text,
    "json": from_json,
    "msgpack": from_msgpack,
    "hex": bytes.hex,
    "base64": lambda data: base64.b64encode(data).decode(),
}


def _shown(form: Shown, data: bytes | None) -> Any:
    """As JSON has it; what cannot be read in the form is shown as bytes."""
    if data is None:
        return None
    try:
        return data.decode() if form is text else form(data)
    except ValueError:
        return {"base64": base64.b64encode(data).decode()}


def _plain(form: Shown, data: bytes | None) -> str:
    if data is None:
        return NULL
    try:
        shown = form(data)
    except ValueError:
        return text(data)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, default=str)


def _time(record: Record) -> str:
    if record.timestamp < 0:
        return ""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds")


def json_lines(key: Shown, value: Shown) -> RecordFormat:
    """One JSON object a line."""

    def line(record: Record) -> str:
        fields = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": _shown(key, record.key),
            "value": _shown(value, record.value),
            "headers": [[name, _shown(text, each)] for name, each in record.headers],
        }
        return json.dumps(fields, ensure_ascii=False, default=str)

    return line


def columns(key: Shown, value: Shown, *, keys: bool, headers: bool) -> RecordFormat:
    """The value, and before it what was asked for, separated by tabs."""

    def line(record: Record) -> str:
        cells = [_headers(record)] if headers else []
        if keys:
            cells.append(_plain(key, record.key))
        return "\t".join([*cells, _plain(value, record.value)])

    return line


def by_template(template: str, key: Shown, value: Shown) -> RecordFormat:
    r"""A template with {fields}; \n and \t in it mean what they mean everywhere.  ValueError on a field there is not."""
    parts = list(string.Formatter().parse(template.replace("\\n", "\n").replace("\\t", "\t")))
    wrong = [name for _, name, _, _ in parts if name is not None and name not in FIELDS]
    if wrong:
        raise ValueError(f"there is no {{{wrong[0]}}}; known are {', '.join(FIELDS)}")

    def line(record: Record) -> str:
        fields = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "time": _time(record),
            "key": _plain(key, record.key),
            "value": _plain(value, record.value),
            "headers": _headers(record),
        }
        return "".join(literal + (str(fields[name]) if name else "") for literal, name, _, _ in parts)

    return line


def _headers(record: Record) -> str:
    return ",".join(f"{name}={_plain(text, value)}" for name, value in record.headers)
