"""Records of Kafka's internal topics: their keys and values as messages, by schemas that are written down here.

kio has the schemas of what goes over the network only, so those of `__consumer_offsets` are declared where they are used, in a
form close to Kafka's own (its `*Key.json` and `*Value.json` files):

    VALUE = RecordSchema("OffsetCommitValue", [
        field("offset", "int64"),
        field("leader_epoch", "int32", since=3, default=-1),
        field("expire_timestamp", "int64", since=1, until=1, default=-1),
        field("topic_id", "uuid", since=4, tag=0),
    ], versions=range(5), flexible_from=4)

    data = VALUE.encode(Message(offset=7), version=3)        # the version first, an int16
    VALUE.decode(data)                                       # (3, Message(offset=7, leader_epoch=-1, ...))

A key's "version" is the kind of the record. As with requests a message has the fields of all versions, those that its own
lacks at their defaults. The codecs are those of requests, compiled when a version is first used.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from .errors import MalformedMessage
from .message_reader import Message, compile_reader
from .message_writer import compile_writer
from .schemas import FORMATS, ZERO_UUID, Field, Kind, Struct
from .values import dataclass
from .wire import MessageReader, Writer

FOREVER = 2**15 - 1

_VERSION = struct.Struct(">h")
_DEFAULTS: dict[str, object] = {"string": "", "bytes": b"", "uuid": ZERO_UUID, "bool": False}
_KINDS = {"string": Kind.STRING, "bytes": Kind.BYTES, "uuid": Kind.UUID, "error_code": Kind.ERROR_CODE}


@dataclass(frozen=True, slots=True)
class RecordField:
    """A field in the versions from `since` to `until`; made by `field`, `structs` and `single_struct`."""

    field: Field
    fields: tuple[RecordField, ...]
    since: int
    until: int
    nullable_since: int | None = None  # where that is not in all versions


def field(
    name: str,
    type_: str,
    *,
    since: int = 0,
    until: int = FOREVER,
    is_array: bool = False,
    is_nullable: bool = False,
    nullable_since: int | None = None,
    tag: int | None = None,
    default: object = ...,
) -> RecordField:
    """A field of a plain type: string, bytes, uuid, bool, int8 to int64, error_code; or an array of such."""
    if default is ...:
        default = () if is_array else _DEFAULTS.get(type_, 0)
    kind = _KINDS.get(type_, Kind.NUMBER)
    made = Field(name, kind, FORMATS.get(type_, ""), is_array, is_nullable, tag, default, None)
    return RecordField(made, (), since, until, nullable_since)


def structs(
    name: str,
    fields: Sequence[RecordField],
    *,
    since: int = 0,
    until: int = FOREVER,
    is_nullable: bool = False,
    nullable_since: int | None = None,
    tag: int | None = None,
) -> RecordField:
    """An array of structs. Its default is null if it `is_nullable` in all versions, else no structs."""
    made = Field(name, Kind.STRUCT, "", True, is_nullable, tag, None if is_nullable else (), None)
    return RecordField(made, tuple(fields), since, until, nullable_since)


def single_struct(
    name: str, fields: Sequence[RecordField], *, is_nullable: bool = False, tag: int | None = None
) -> RecordField:
    """A struct, whose default is all its fields at theirs; so too one that is nullable, where null is written."""
    made = Field(name, Kind.STRUCT, "", False, is_nullable, tag, (), None)
    return RecordField(made, tuple(fields), 0, FOREVER)


class RecordSchema:
    """All versions of one key or value."""

    def __init__(
        self, name: str, fields: Sequence[RecordField], *, versions: range, flexible_from: int = FOREVER
    ) -> None:
        self.name = name
        self.versions = versions
        self._fields = tuple(fields)
        self._flexible_from = flexible_from
        self._readers: dict[int, MessageReader] = {}
        self._writers: dict[int, Writer] = {}

    def decode(self, data: bytes) -> tuple[int, Message]:
        """The version and the message; MalformedMessage unless all of `data` is one of a version that is known."""
        version = version_of(data)
        read = self._readers.get(version)
        if read is None:
            if version not in self.versions:
                raise MalformedMessage(f"{self.name} has no version {version}")
            read = self._readers[version] = compile_reader(self._struct(version))
        try:
            message, end = read(data, _VERSION.size, len(data))
        except (struct.error, IndexError):
            raise MalformedMessage(f"{self.name} is cut short at {len(data)} bytes") from None
        except MalformedMessage as error:
            raise MalformedMessage(f"{self.name}: {error}") from None
        if end != len(data):
            raise MalformedMessage(f"{len(data) - end} bytes are left behind {self.name}")
        assert isinstance(message, Message)
        return version, message

    def encode(self, message: Message, *, version: int) -> bytes:
        """The version and the message; fields that the version lacks are left out."""
        write = self._writers.get(version)
        if write is None:
            assert version in self.versions, f"{self.name} has no version {version}"
            write = self._writers[version] = compile_writer(self._struct(version))
        out = bytearray(_VERSION.pack(version))
        write(out, message)
        return bytes(out)

    def _struct(self, version: int) -> Struct:
        return struct_of(self.name, self._fields, version, is_flexible=version >= self._flexible_from)


def version_of(data: bytes) -> int:
    """The int16 in front of a key (its kind) or a value; MalformedMessage where there is none."""
    try:
        (version,) = _VERSION.unpack_from(data)
    except struct.error:
        raise MalformedMessage(f"{len(data)} bytes have no version") from None
    assert isinstance(version, int)
    return version


def struct_of(name: str, fields: Sequence[RecordField], version: int, *, is_flexible: bool) -> Struct:
    """The struct with these fields in one version."""
    made = [(each, _field(each, version, is_flexible=is_flexible)) for each in fields]
    present = tuple(field_ for each, field_ in made if each.since <= version <= each.until)
    absent = tuple(field_ for each, field_ in made if not each.since <= version <= each.until)
    return Struct(name, is_flexible, present, absent)


def _field(declared: RecordField, version: int, *, is_flexible: bool) -> Field:
    plain = declared.field
    if declared.nullable_since is not None:
        plain = replace(plain, is_nullable=version >= declared.nullable_since)
    if not declared.fields:
        return plain
    inner = struct_of(plain.name, declared.fields, version, is_flexible=is_flexible)
    default = plain.default if plain.is_array else inner
    return Field(plain.name, plain.kind, "", plain.is_array, plain.is_nullable, plain.tag, default, inner)
