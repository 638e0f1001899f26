"""What the messages of each API and version look like, read from kio's schema classes.

kio generates a dataclass per message and version from Kafka's own schemas; here they become plain `Struct`s
and `Field`s, merged across versions: a struct knows the fields of its version in the order of the wire, and
the defaults of the fields that only other versions have.  So a message has one shape whatever version it
came in.

What kio changes is changed back.  It types durations and points in time and strips the `_ms` of their names:
here they are integers in milliseconds under Kafka's names (points in time are -1 for "none", which kio
refuses).  It makes the zero UUID None: here it is `UUID(int=0)`.  Its error codes are our `ErrorCode`.  It
forgets that some arrays are null by default: `_NULL_BY_DEFAULT` remembers.

Importing one kio module takes milliseconds, so not all versions are read to find all fields: the highest has
them, but for those that were removed (`_VERSIONS_WITH_REMOVED_FIELDS`); a test compares with the union of all.
Only `kio.schema` is imported, never `kio.serial`, which drags in asyncio.
"""

from __future__ import annotations

import dataclasses
import datetime
import sys
import types
import typing
from enum import Enum, auto
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from uuid import UUID

from .apis import ApiKey
from .errors import MalformedMessage
from .values import dataclass

ZERO_UUID = UUID(int=0)


class Direction(Enum):
    """Which of the two messages of an API."""

    REQUEST = "request"
    RESPONSE = "response"


class Kind(Enum):
    """How a value lies on the wire; integers of all widths, booleans and floats are NUMBER."""

    NUMBER = auto()
    ERROR_CODE = auto()
    STRING = auto()
    BYTES = auto()
    RECORDS = auto()
    UUID = auto()
    STRUCT = auto()


# kio's names for what a single struct format character packs.
FORMATS = {
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "float64": "d",
    "bool": "?",
    "error_code": "h",
    "timedelta_i32": "i",
    "timedelta_i64": "q",
    "datetime_i64": "q",
}
_KINDS = {"string": Kind.STRING, "bytes": Kind.BYTES, "records": Kind.RECORDS, "uuid": Kind.UUID}
_NO_TIME_MS = -1

# Versions that still had the fields which the highest version has no more.
_VERSIONS_WITH_REMOVED_FIELDS: dict[tuple[ApiKey, Direction], tuple[int, ...]] = {
    (ApiKey.PRODUCE, Direction.REQUEST): (12,),
    (ApiKey.PRODUCE, Direction.RESPONSE): (12,),
    (ApiKey.FETCH, Direction.REQUEST): (12,),
    (ApiKey.FETCH, Direction.RESPONSE): (12,),
    (ApiKey.METADATA, Direction.REQUEST): (10,),
    (ApiKey.METADATA, Direction.RESPONSE): (10,),
    (ApiKey.OFFSET_COMMIT, Direction.REQUEST): (4,),
    (ApiKey.OFFSET_COMMIT, Direction.RESPONSE): (9,),
    (ApiKey.OFFSET_FETCH, Direction.REQUEST): (7, 9),
    (ApiKey.OFFSET_FETCH, Direction.RESPONSE): (7, 9),
    (ApiKey.FIND_COORDINATOR, Direction.REQUEST): (3,),
    (ApiKey.FIND_COORDINATOR, Direction.RESPONSE): (3,),
    (ApiKey.LEAVE_GROUP, Direction.REQUEST): (2,),
    (ApiKey.DELETE_TOPICS, Direction.REQUEST): (5,),
    (ApiKey.ADD_PARTITIONS_TO_TXN, Direction.REQUEST): (3,),
    (ApiKey.ADD_PARTITIONS_TO_TXN, Direction.RESPONSE): (3,),
    (ApiKey.END_QUORUM_EPOCH, Direction.REQUEST): (0,),
    (ApiKey.ALTER_PARTITION, Direction.REQUEST): (2,),
    (ApiKey.UPDATE_FEATURES, Direction.REQUEST): (0,),
    (ApiKey.UPDATE_FEATURES, Direction.RESPONSE): (1,),
}

# Arrays of structs whose default is null; kio gives arrays of structs no default at all.
_NULL_BY_DEFAULT: dict[tuple[ApiKey, Direction], frozenset[str]] = {
    (ApiKey.LIST_PARTITION_REASSIGNMENTS, Direction.REQUEST): frozenset({"topics"}),
    (ApiKey.CONSUMER_GROUP_HEARTBEAT, Direction.REQUEST): frozenset({"topic_partitions"}),
    (ApiKey.STREAMS_GROUP_HEARTBEAT, Direction.REQUEST): frozenset(
        {"active_tasks", "standby_tasks", "warmup_tasks", "client_tags", "task_offsets", "task_end_offsets"}
    ),
    (ApiKey.STREAMS_GROUP_HEARTBEAT, Direction.RESPONSE): frozenset(
        {"active_tasks", "standby_tasks", "warmup_tasks", "partitions_by_user_endpoint"}
    ),
    (ApiKey.STREAMS_GROUP_DESCRIBE, Direction.RESPONSE): frozenset({"subtopologies"}),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `format` is the struct character of a number.

    `default` is that of Kafka's schema: None, a plain value, () for an array, or for a struct the Struct
    itself, which stands for all its fields at their defaults.
    """

    name: str
    kind: Kind
    format: str
    is_array: bool
    is_nullable: bool
    tag: int | None
    default: object
    struct: Struct | None

    @property
    def fixed_format(self) -> str:
        """The struct format of a field that always has the same size; "" for the others."""
        if self.is_array:
            return ""
        return "16s" if self.kind is Kind.UUID else self.format


@dataclass(frozen=True, slots=True)
class Struct:
    """One struct of a version: `fields` as on the wire, `absent` those that only other versions have."""

    name: str
    is_flexible: bool
    fields: tuple[Field, ...]
    absent: tuple[Field, ...]

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """The fields of all versions."""
        return self.fields + self.absent


def load(key: int, version: int, direction: Direction) -> Struct:
    """The message of this API, version and direction; MalformedMessage if Kafka 4.3 has no such version."""
    try:
        api = ApiKey(key)
        versions = versions_of(api)
    except (ValueError, ImportError):
        raise MalformedMessage(f"unknown API key {key}") from None
    if version not in versions:
        raise MalformedMessage(f"{api.name} has no version {version}")
    others = {versions[-1], *_VERSIONS_WITH_REMOVED_FIELDS.get((api, direction), ())} - {version}
    struct = _read_message(api, version, direction)
    for other in sorted(others, reverse=True):
        struct = _merge(struct, _read_message(api, other, direction))
    return struct


def has_records(schema: Struct) -> bool:
    """Whether a field anywhere in it carries record batches, which are worth not copying."""
    return any(
        field.kind is Kind.RECORDS or (field.struct is not None and has_records(field.struct))
        for field in schema.fields
    )


@cache
def _import_kio_lightly() -> None:
    """Import kio's base without Hypothesis, which it looks for and imports where it is installed.

    That is where tests are, and there it would cost a broker 200 ms and 13 MB, the largest part of its start. A None in
    `sys.modules` is Python's own way to say that a module is not to be had; kio then goes on without.
    """
    if "hypothesis" in sys.modules or "kio.static.primitive" in sys.modules:
        return
    sys.modules["hypothesis"] = None  # type: ignore[assignment]
    try:
        import_module("kio.static.primitive")
    finally:
        del sys.modules["hypothesis"]


def versions_of(api: ApiKey) -> list[int]:
    """The versions of an API that kio has, in order."""
    _import_kio_lightly()
    package = import_module(f"kio.schema.{api.name.lower()}")
    names = (module.name for module in iter_modules(package.__path__))
    return sorted(int(name[1:]) for name in names if name[0] == "v" and name[1:].isdigit())


def _entity(api: ApiKey, version: int, direction: Direction) -> type:
    _import_kio_lightly()
    module = import_module(f"kio.schema.{api.name.lower()}.v{version}.{direction.value}")
    wanted = (api.name + direction.name).replace("_", "").lower()
    for name, value in vars(module).items():
        if name.lower() == wanted:
            assert isinstance(value, type)
            return value
    raise AssertionError(f"{module.__name__} has no {wanted}")


def _read_message(api: ApiKey, version: int, direction: Direction) -> Struct:
    return _read(_entity(api, version, direction), _NULL_BY_DEFAULT.get((api, direction), frozenset()))


def _read(entity: typing.Any, null_by_default: frozenset[str]) -> Struct:
    fields = tuple(_read_field(field, null_by_default) for field in dataclasses.fields(entity))
    return Struct(entity.__name__, entity.__flexible__, fields, ())


def _read_field(field: dataclasses.Field[typing.Any], null_by_default: frozenset[str]) -> Field:
    inner, is_array, is_nullable = _unwrap(field.type)
    tag = field.metadata.get("tag")
    if dataclasses.is_dataclass(inner):
        struct = _read(inner, null_by_default)
        is_null = field.default is None or field.name in null_by_default
        default = None if is_null else () if is_array else struct
        return Field(field.name, Kind.STRUCT, "", is_array, is_nullable, tag, default, struct)
    kafka_type = field.metadata["kafka_type"]
    return Field(
        name=_kafka_name(field.name, kafka_type),
        kind=_kind(kafka_type),
        format=FORMATS.get(kafka_type, ""),
        is_array=is_array,
        is_nullable=is_nullable and (is_array or kafka_type in ("string", "bytes", "records")),
        tag=tag,
        default=_default(field.default, kafka_type, is_array=is_array),
        struct=None,
    )


def _unwrap(annotation: object) -> tuple[object, bool, bool]:
    """The innermost type, whether it is an array of it, and whether the whole may be null."""
    is_nullable = isinstance(annotation, types.UnionType)
    if is_nullable:
        annotation = _without_none(annotation)
    is_array = typing.get_origin(annotation) is tuple
    if is_array:
        annotation = _without_none(typing.get_args(annotation)[0])
    return annotation, is_array, is_nullable


def _without_none(annotation: object) -> object:
    if not isinstance(annotation, types.UnionType):
        return annotation
    (inner,) = (arg for arg in typing.get_args(annotation) if arg is not types.NoneType)
    return inner


def _kind(kafka_type: str) -> Kind:
    if kafka_type == "error_code":
        return Kind.ERROR_CODE
    return _KINDS.get(kafka_type, Kind.NUMBER)


def _kafka_name(name: str, kafka_type: str) -> str:
    name = name.removesuffix("_")  # kio avoids the names of built-ins
    return f"{name}_ms" if kafka_type.startswith(("timedelta", "datetime")) else name


def _default(default: object, kafka_type: str, *, is_array: bool) -> object:
    if default is dataclasses.MISSING:
        return () if is_array else _implicit_default(kafka_type)
    if kafka_type == "uuid" and not is_array:
        return ZERO_UUID
    if isinstance(default, datetime.timedelta):
        return default // datetime.timedelta(milliseconds=1)
    if default is None and kafka_type == "datetime_i64":
        return _NO_TIME_MS
    if kafka_type in FORMATS and kafka_type not in ("bool", "float64") and isinstance(default, int):
        return int(default)
    return default


def _implicit_default(kafka_type: str) -> object:
    match kafka_type:
        case "string":
            return ""
        case "bytes":
            return b""
        case "records":
            return None
        case "uuid":
            return ZERO_UUID
        case "bool":
            return False
        case "float64":
            return 0.0
        case _:
            return 0


def _merge(struct: Struct, other: Struct) -> Struct:
    """`struct` and, absent from it, what only `other` has; so too in the structs that both have."""
    inner = {field.name: field.struct for field in other.all_fields}
    known = {field.name for field in struct.all_fields}
    return dataclasses.replace(
        struct,
        fields=tuple(_merge_field(field, inner.get(field.name)) for field in struct.fields),
        absent=(
            *(_merge_field(field, inner.get(field.name)) for field in struct.absent),
            *(field for field in other.all_fields if field.name not in known),
        ),
    )


def _merge_field(field: Field, other: Struct | None) -> Field:
    if field.struct is None or other is None:
        return field
    merged = _merge(field.struct, other)
    default = merged if isinstance(field.default, Struct) else field.default
    return dataclasses.replace(field, struct=merged, default=default)
