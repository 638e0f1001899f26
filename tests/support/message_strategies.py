"""Hypothesis strategies for messages of any API and version, drawn from the schemas that `protocol` compiles.

Values stay within what kio can hold, for it is the twin they are compared with: points in time not before 1970,
known error codes, times that its floating point brings back unchanged.
"""

from __future__ import annotations

import uuid
from typing import Any

from hypothesis import strategies as st
from ottla.protocol.errors import ErrorCode
from ottla.protocol.message_reader import Message
from ottla.protocol.schemas import Field, Kind, Struct

_RANGES = {"b": 8, "h": 16, "i": 32, "q": 64}
_TIMES_MS = st.integers(0, 253_402_300_799_000 // 1000).map(lambda seconds: seconds * 1000)  # to the year 9999
_DURATIONS_MS = st.integers(-(2**31), 2**31 - 1)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=8) | st.just("long " * 40)
_ERRORS = st.sampled_from(ErrorCode)


def messages(struct: Struct) -> st.SearchStrategy[Message]:
    """Messages with any of the version's fields set, and others left out."""
    required = {field.name: values(field) for field in struct.fields if field.tag is None}
    optional = {field.name: values(field) for field in struct.fields if field.tag is not None}
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: Message(**fields))


def values(field: Field) -> st.SearchStrategy[Any]:
    """Values of one field, null among them where it may be."""
    strategy = _items(field)
    if field.is_array:
        strategy = st.lists(strategy, max_size=12 if field.format else 3)
    return strategy | st.none() if field.is_nullable else strategy


def _items(field: Field) -> st.SearchStrategy[Any]:
    match field.kind:
        case Kind.STRUCT:
            assert field.struct is not None
            return messages(field.struct)
        case Kind.ERROR_CODE:
            return _ERRORS
        case Kind.STRING:
            return _TEXT
        case Kind.BYTES | Kind.RECORDS:
            return st.binary(max_size=20) | st.just(bytes(200))
        case Kind.UUID:
            return st.uuids() | st.just(uuid.UUID(int=0))
    return _numbers(field)


def _numbers(field: Field) -> st.SearchStrategy[Any]:
    if field.format == "?":
        return st.booleans()
    if field.format == "d":
        return st.floats(allow_nan=False, allow_infinity=False)
    if field.name.endswith("_ms"):
        return _TIMES_MS if "timestamp" in field.name or field.name in _POINTS_IN_TIME else _DURATIONS_MS
    if field.format.isupper():
        return st.integers(0, 2 ** _RANGES[field.format.lower()] - 1)
    half = 2 ** (_RANGES[field.format] - 1)
    return st.integers(-half, half - 1)


_POINTS_IN_TIME = {"log_append_time_ms", "transaction_start_time_ms"}
