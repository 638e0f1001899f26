"""Kafka's messages as plain dicts, read straight from the schemas that kio carries.

A second reading of the schemas, by introspection and deliberately slow: the tests must not learn the wire
format from the code they test.  Only kio's field declarations are used, none of its readers or writers.

A message is a dict by Kafka's field names in snake_case (`throttle_time_ms`, with the unit that kio drops);
times are integers, uuids 32 hex digits, bytes are bytes, arrays lists or None.  Encoding takes what is left out
as the schema's default and refuses a name the version does not have.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import struct
import uuid
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import kio.schema

JSON = Any
ZERO_UUID = "0" * 32

_INTEGERS = {
    "bool": ">?",
    "int8": ">b",
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "int64": ">q",
    "float64": ">d",
    "error_code": ">h",
    "timedelta_i32": ">i",
    "timedelta_i64": ">q",
    "datetime_i64": ">q",
}
_TIMES = ("timedelta_i32", "timedelta_i64", "datetime_i64")


class SchemaMismatch(ValueError):
    """Bytes that do not read as the message they should be."""


# --- the schemas ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kafka_type: str | None  # None for a struct
    struct: Struct | None
    is_array: bool
    is_nullable: bool
    tag: int | None
    default: JSON


@dataclass(frozen=True, slots=True)
class Struct:
    name: str
    flexible: bool
    fields: tuple[Field, ...]


@functools.cache
def schema(api_key: int, version: int, kind: str) -> Struct:
    """The schema of a request or response: `kind` is "request" or "response"."""
    module = importlib.import_module(f"kio.schema.{_package(api_key)}.v{version}.{kind}")
    for candidate in vars(module).values():
        entity = getattr(candidate, "__type__", None)
        if entity is not None and entity.name == kind:
            return _struct(candidate)
    raise LookupError(f"no {kind} {api_key} v{version}")


def is_flexible(api_key: int, version: int) -> bool:
    return schema(api_key, version, "request").flexible


@functools.cache
def _package(api_key: int) -> str:
    return _packages()[api_key]


@functools.cache
def _packages() -> dict[int, str]:
    found = {}
    for package in pkgutil.iter_modules(kio.schema.__path__):
        if not package.ispkg:
            continue
        directory = importlib.import_module(f"kio.schema.{package.name}")
        for version in pkgutil.iter_modules(directory.__path__):
            try:
                module = importlib.import_module(f"kio.schema.{package.name}.{version.name}.request")
            except ModuleNotFoundError:
                continue
            key = next(c.__api_key__ for c in vars(module).values() if hasattr(c, "__api_key__"))
            found[int(key)] = package.name
            break
    return found


def _struct(entity: type) -> Struct:
    return Struct(entity.__name__, entity.__flexible__, tuple(_field(f) for f in fields(entity)))


def _field(declared: Any) -> Field:
    inner, is_nullable = _without_none(declared.type)
    is_array = get_origin(inner) is tuple
    if is_array:
        inner, _ = _without_none(get_args(inner)[0])
    struct_ = _struct(inner) if is_dataclass(inner) else None
    kafka_type = declared.metadata.get("kafka_type")
    name = declared.name
    if kafka_type in _TIMES and not name.endswith("_ms"):
        name += "_ms"
    if kafka_type in ("uuid", "records"):
        is_nullable = (is_array and is_nullable) or kafka_type == "records"
    default = _default(declared, kafka_type, struct_, is_array, is_nullable)
    return Field(name, kafka_type, struct_, is_array, is_nullable, declared.metadata.get("tag"), default)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) is UnionType:
        arms = [arm for arm in get_args(annotation) if arm is not NoneType]
        return (arms[0] if len(arms) == 1 else annotation), len(arms) < len(get_args(annotation))
    return annotation, False


def _default(declared: Any, kafka_type: str | None, struct_: Struct | None, array: bool, nullable: bool) -> JSON:
    given = declared.default
    if array:
        return None if given is None else []
    if struct_ is not None:
        return None if nullable else {}
    if given is not MISSING and given is not None:
        return _plain(given)
    if given is None and nullable:
        return None
    return {"string": "", "bytes": b"", "records": None, "uuid": ZERO_UUID, "bool": False}.get(str(kafka_type), 0)


def _plain(default: Any) -> JSON:
    if hasattr(default, "total_seconds"):
        return round(default.total_seconds() * 1000)
    if hasattr(default, "timestamp"):
        return round(default.timestamp() * 1000)
    if isinstance(default, uuid.UUID):
        return default.hex
    for plain in (bool, int, float, str, bytes):
        if isinstance(default, plain):
            return plain(default)
    raise TypeError(f"default {default!r}")


# --- writing ----------------------------------------------------------------------------------------------


def encode(struct_: Struct, message: dict[str, JSON]) -> bytes:
    unknown = set(message) - {f.name for f in struct_.fields}
    assert not unknown, f"{struct_.name} has no {sorted(unknown)}"
    out = bytearray()
    tagged: list[tuple[int, bytes]] = []
    for field in struct_.fields:
        value = message.get(field.name, field.default)
        if field.tag is None:
            out += _encode_field(field, value, struct_.flexible)
        elif field.name in message and value != field.default:
            tagged.append((field.tag, _encode_field(field, value, True)))
    if struct_.flexible:
        out += uvarint(len(tagged))
        for tag, data in sorted(tagged):
            out += uvarint(tag) + uvarint(len(data)) + data
    return bytes(out)


def _encode_field(field: Field, value: JSON, flexible: bool) -> bytes:
    if not field.is_array:
        return _encode_value(field, value, flexible)
    if value is None:
        return uvarint(0) if flexible else struct.pack(">i", -1)
    count = uvarint(len(value) + 1) if flexible else struct.pack(">i", len(value))
    return count + b"".join(_encode_value(field, each, flexible) for each in value)


def _encode_value(field: Field, value: JSON, flexible: bool) -> bytes:
    if field.struct is not None:
        if field.is_nullable and not field.is_array:
            return b"\xff" if value is None else b"\x01" + encode(field.struct, value)
        return encode(field.struct, value)
    if field.kafka_type in _INTEGERS:
        return struct.pack(_INTEGERS[field.kafka_type], value)
    if field.kafka_type == "uuid":
        return bytes.fromhex(value.replace("-", ""))
    data = value.encode() if isinstance(value, str) else value
    if flexible:
        return uvarint(0) if data is None else uvarint(len(data) + 1) + data
    size = ">h" if field.kafka_type == "string" else ">i"
    return struct.pack(size, -1) if data is None else struct.pack(size, len(data)) + data


def uvarint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# --- reading ----------------------------------------------------------------------------------------------


def decode(struct_: Struct, data: bytes) -> dict[str, JSON]:
    """The message in `data`, all of it: bytes left over are a mismatch."""
    reader = _Reader(data)
    message = _decode_struct(struct_, reader)
    if reader.position != len(data):
        raise SchemaMismatch(f"{struct_.name}: {len(data) - reader.position} bytes left over: {data.hex()}")
    return message


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size_bytes: int) -> bytes:
        end = self.position + size_bytes
        if size_bytes < 0 or end > len(self.data):
            raise SchemaMismatch(f"{size_bytes} bytes wanted at {self.position} of {len(self.data)}")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def uvarint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


def _decode_struct(struct_: Struct, reader: _Reader) -> dict[str, JSON]:
    message = {}
    by_tag = {}
    for field in struct_.fields:
        if field.tag is None:
            message[field.name] = _decode_field(field, reader, struct_.flexible)
        else:
            by_tag[field.tag] = field
    if struct_.flexible:
        for _ in range(reader.uvarint()):
            tag = reader.uvarint()
            inner = _Reader(reader.take(reader.uvarint()))
            if tag in by_tag:
                message[by_tag[tag].name] = _decode_field(by_tag[tag], inner, True)
            else:
                message[f"unknown_tag_{tag}"] = inner.data
    return message


def _decode_field(field: Field, reader: _Reader, flexible: bool) -> JSON:
    if not field.is_array:
        return _decode_value(field, reader, flexible)
    count = reader.uvarint() - 1 if flexible else reader.number(">i")
    return None if count < 0 else [_decode_value(field, reader, flexible) for _ in range(count)]


def _decode_value(field: Field, reader: _Reader, flexible: bool) -> JSON:
    if field.struct is not None:
        if field.is_nullable and not field.is_array and reader.number(">b") < 0:
            return None
        return _decode_struct(field.struct, reader)
    if field.kafka_type in _INTEGERS:
        return reader.number(_INTEGERS[field.kafka_type])
    if field.kafka_type == "uuid":
        return reader.take(16).hex()
    if flexible:
        size_bytes = reader.uvarint() - 1
    else:
        size_bytes = reader.number(">h" if field.kafka_type == "string" else ">i")
    if size_bytes < 0:
        return None
    data = reader.take(size_bytes)
    return data.decode() if field.kafka_type == "string" else data
