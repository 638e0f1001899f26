"""Compiles a schema into a reader and a writer, as Python source.

One function is written per struct, for a walk over the schema at every message costs several times the work itself
(the ratio stands in the commit that brought this file; `bench` can measure it again).  What makes it fast: fields of
fixed size that lie side by side become one `struct` call, a message is made by one call with all its fields, and
the empty section of tagged fields is one byte in the preceding group.  A struct with two numbers, an array and no
tagged fields, in a flexible version, becomes

    def read(b, p):                                     def write(out, m):
        v0, v1, = unpack0(b, p)                             d = m.__dict__
        p += 6                                              if not d.keys() <= known: refuse(d)
        v2, p = read2(b, p)                                 get = d.get
        if b[p]: p = skip_tags(b, p)                        out += pack0(get("a", 0), get("b", 0))
        else: p += 1                                        write2(out, get("c", EMPTY))
        return Message(a=v0, b=v1, c=v2, gone=0), p         out += b"\\0"

The names in such a function (`unpack0`, `read2`) are bound in its own namespace; all that is interpolated into the
source are field names of the schema, numbers and defaults, never anything a peer sent.

A reader fills in the fields that only other versions have; a writer takes missing fields as their defaults and
drops those its version lacks.
"""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

from .errors import ErrorCode
from .primitives import skip_tags
from .schemas import Field, Kind, Struct
from .wire import (
    Reader,
    Writer,
    array_reader,
    array_writer,
    bytes_reader,
    bytes_writer,
    nullable_struct_reader,
    nullable_struct_writer,
    number_array_reader,
    number_array_writer,
    read_tags,
    read_uuid,
    records_reader,
    string_reader,
    string_writer,
    uuid_of,
    write_tags,
    write_uuid,
)

_UUID_FORMAT = "16s"
_ERRORS = {int(code): code for code in ErrorCode}


class Message(SimpleNamespace):
    """A message, or a struct in one: its fields as attributes; equal when all fields are."""


def compile_reader(schema: Struct) -> Reader:
    """A function from body and position to the Message and the position behind it."""
    return _ReaderSource(schema).compile()


def compile_writer(schema: Struct) -> Writer:
    """A function that appends a Message to a bytearray."""
    return _WriterSource(schema).compile()


def has_records(schema: Struct) -> bool:
    """Whether a field anywhere in it carries record batches, which are worth not copying."""
    return any(
        field.kind is Kind.RECORDS or (field.struct is not None and has_records(field.struct))
        for field in schema.fields
    )


class _ReaderSource:
    """The source of one struct's reader while it is written."""

    def __init__(self, schema: Struct) -> None:
        self.schema = schema
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "Message": Message,
            "skip_tags": skip_tags,
            "read_tags": read_tags,
            "errors": _ERRORS.get,
            "uuid_of": uuid_of,
        }
        self.group: list[tuple[int, Field]] = []  # fields of fixed size not yet read
        self.values: list[str] = []  # what becomes of each field: name=expression

    def compile(self) -> Reader:
        tagged = [field for field in self.schema.fields if field.tag is not None]
        for number, field in enumerate(self.schema.fields):
            if field.tag is None:
                self._field(number, field)
        self._flush()
        if self.schema.is_flexible:
            self._tags(tagged)
        for field in (*tagged, *self.schema.absent):
            self.values.append(f"{field.name}={self._default(field)}")
        self._finish(has_tagged=bool(tagged))
        source = "def read(b, p):\n" + "".join(f"    {line}\n" for line in self.lines)
        exec(compile(source, f"<reader of {self.schema.name}>", "exec"), self.names)
        reader: Reader = self.names["read"]
        return reader

    def _field(self, number: int, field: Field) -> None:
        if _fixed_format(field):
            self.group.append((number, field))
        else:
            self._flush()
            self.names[f"read{number}"] = _field_reader(field, compact=self.schema.is_flexible)
            self.lines.append(f"v{number}, p = read{number}(b, p)")
        self.values.append(f"{field.name}={_read_expression(number, field)}")

    def _flush(self) -> None:
        if not self.group:
            return
        packer = struct.Struct(">" + "".join(_fixed_format(field) for _, field in self.group))
        first = self.group[0][0]
        self.names[f"unpack{first}"] = packer.unpack_from
        targets = "".join(f"v{number}, " for number, _ in self.group)
        self.lines += (f"{targets}= unpack{first}(b, p)", f"p += {packer.size}")
        self.group.clear()

    def _tags(self, tagged: list[Field]) -> None:
        if tagged:
            self.names["known"] = {field.tag: (field.name, _field_reader(field, compact=True)) for field in tagged}
            self.lines += ("t = None", "if b[p]: t, p = read_tags(b, p, known)", "else: p += 1")
        else:
            self.lines += ("if b[p]: p = skip_tags(b, p)", "else: p += 1")

    def _default(self, field: Field) -> str:
        if field.default == ():
            return "[]"
        if isinstance(field.default, Struct):
            self.names[f"default_{field.name}"] = _default_maker(field.default)
            return f"default_{field.name}()"
        if field.kind is Kind.ERROR_CODE:
            return f"errors({field.default!r})"
        if field.kind is Kind.UUID:
            self.names[f"default_{field.name}"] = field.default
            return f"default_{field.name}"
        return repr(field.default)

    def _finish(self, *, has_tagged: bool) -> None:
        made = f"Message({', '.join(self.values)})"
        if has_tagged:
            self.lines += (f"m = {made}", "if t: m.__dict__.update(t)", "return m, p")
        else:
            self.lines.append(f"return {made}, p")


class _WriterSource:
    """The source of one struct's writer while it is written."""

    def __init__(self, schema: Struct) -> None:
        self.schema = schema
        self.lines = ["d = m.__dict__", "if not d.keys() <= known: refuse(d)", "get = d.get"]
        self.names: dict[str, Any] = {
            "known": frozenset(field.name for field in schema.all_fields),
            "refuse": self._refuse,
            "write_tags": _write_tagged_fields,
        }
        self.format = ""  # of the fixed fields not yet written
        self.arguments: list[str] = []

    def compile(self) -> Writer:
        tagged = sorted((field for field in self.schema.fields if field.tag is not None), key=_tag)
        for number, field in enumerate(self.schema.fields):
            if field.tag is None:
                self._field(number, field)
        if tagged:
            self._flush()
            self.names["tagged"] = [_TaggedWriter(field) for field in tagged]
            self.lines.append("write_tags(out, d, tagged)")
        elif self.schema.is_flexible:
            self.format += "x"
        self._flush()
        source = "def write(out, m):\n" + "".join(f"    {line}\n" for line in self.lines)
        exec(compile(source, f"<writer of {self.schema.name}>", "exec"), self.names)
        writer: Writer = self.names["write"]
        return writer

    def _field(self, number: int, field: Field) -> None:
        self.names[f"default{number}"] = Message() if isinstance(field.default, Struct) else field.default
        value = f"get({field.name!r}, default{number})"
        if format_ := _fixed_format(field):
            self.format += format_
            self.arguments.append(f"{value}.bytes" if field.kind is Kind.UUID else value)
        else:
            self._flush()
            self.names[f"write{number}"] = _field_writer(field, compact=self.schema.is_flexible)
            self.lines.append(f"write{number}(out, {value})")

    def _flush(self) -> None:
        if not self.format:
            return
        if self.arguments:
            name = f"pack{len(self.lines)}"
            self.names[name] = struct.Struct(">" + self.format).pack
            self.lines.append(f"out += {name}({', '.join(self.arguments)})")
        else:
            self.lines.append(f"out += {bytes(len(self.format))!r}")
        self.format = ""
        self.arguments = []

    def _refuse(self, fields: dict[str, Any]) -> None:
        unknown = fields.keys() - self.names["known"]
        raise AssertionError(f"{self.schema.name} has no field {', '.join(sorted(unknown))}")


class _TaggedWriter:
    """A tagged field: written only when it is not what the reader would assume anyway."""

    __slots__ = ("_default_data", "_write", "name", "tag")

    def __init__(self, field: Field) -> None:
        self.tag = _tag(field)
        self.name = field.name
        self._write = _field_writer(field, compact=True)
        self._default_data = self._encoded(Message() if isinstance(field.default, Struct) else field.default)

    def data(self, value: Any) -> bytes | None:
        """What to write; None for the default."""
        data = self._encoded(value)
        return None if data == self._default_data else data

    def _encoded(self, value: Any) -> bytes:
        out = bytearray()
        self._write(out, value)
        return bytes(out)


def _write_tagged_fields(out: bytearray, fields: dict[str, Any], tagged: list[_TaggedWriter]) -> None:
    present = ((writer.tag, writer.data(fields[writer.name])) for writer in tagged if writer.name in fields)
    write_tags(out, [(tag, data) for tag, data in present if data is not None])


def _tag(field: Field) -> int:
    assert field.tag is not None
    return field.tag


def _fixed_format(field: Field) -> str:
    """The struct format of a field that always has the same size; "" for the others."""
    if field.is_array:
        return ""
    return _UUID_FORMAT if field.kind is Kind.UUID else field.format


def _read_expression(number: int, field: Field) -> str:
    if field.is_array or field.kind not in (Kind.ERROR_CODE, Kind.UUID):
        return f"v{number}"
    return f"errors(v{number}, v{number})" if field.kind is Kind.ERROR_CODE else f"uuid_of(v{number})"


def _field_reader(field: Field, *, compact: bool) -> Reader:
    nullable = field.is_nullable
    if field.is_array:
        if field.format:
            return number_array_reader(field.format, compact=compact, nullable=nullable)
        item = _item_reader(field, compact=compact, nullable=False)
        return array_reader(item, _min_item_bytes(field), compact=compact, nullable=nullable)
    return _item_reader(field, compact=compact, nullable=nullable)


def _item_reader(field: Field, *, compact: bool, nullable: bool) -> Reader:
    match field.kind:
        case Kind.STRING:
            return string_reader(compact=compact, nullable=nullable)
        case Kind.BYTES:
            return bytes_reader(compact=compact, nullable=nullable)
        case Kind.RECORDS:
            return records_reader(compact=compact, nullable=nullable)
        case Kind.UUID:
            return read_uuid
        case Kind.STRUCT:
            assert field.struct is not None
            reader = compile_reader(field.struct)
            return nullable_struct_reader(reader) if nullable else reader
        case _:
            return _number_reader(field)


def _number_reader(field: Field) -> Reader:
    """For a number alone: a tagged field."""
    packer = struct.Struct(">" + field.format)

    def read(body: Any, position: int) -> tuple[Any, int]:
        return packer.unpack_from(body, position)[0], position + packer.size

    return read


def _field_writer(field: Field, *, compact: bool) -> Writer:
    nullable = field.is_nullable
    if field.is_array:
        if field.format:
            return number_array_writer(field.format, compact=compact, nullable=nullable)
        item = _item_writer(field, compact=compact, nullable=False)
        return array_writer(item, compact=compact, nullable=nullable)
    return _item_writer(field, compact=compact, nullable=nullable)


def _item_writer(field: Field, *, compact: bool, nullable: bool) -> Writer:
    match field.kind:
        case Kind.STRING:
            return string_writer(compact=compact, nullable=nullable)
        case Kind.BYTES | Kind.RECORDS:
            return bytes_writer(compact=compact, nullable=nullable)
        case Kind.UUID:
            return write_uuid
        case Kind.STRUCT:
            assert field.struct is not None
            writer = compile_writer(field.struct)
            return nullable_struct_writer(writer) if nullable else writer
        case _:
            return _number_writer(field)


def _number_writer(field: Field) -> Writer:
    pack = struct.Struct(">" + field.format).pack

    def write(out: bytearray, value: Any) -> None:
        out += pack(value)

    return write


def _min_item_bytes(field: Field) -> int:
    """The least an item of an array takes: what bounds a peer's count."""
    if field.kind is Kind.UUID:
        return 16
    if field.struct is None:
        return 1
    sizes = (_min_field_bytes(inner, field.struct) for inner in field.struct.fields if inner.tag is None)
    return max(1, sum(sizes) + field.struct.is_flexible)


def _min_field_bytes(field: Field, struct_: Struct) -> int:
    if format_ := _fixed_format(field):
        return struct.calcsize(">" + format_)
    return 1


def _default_maker(schema: Struct) -> Any:
    """A function that makes the struct with all its fields at their defaults, anew each time."""

    def make() -> Message:
        return Message(**{field.name: _fresh_default(field) for field in schema.all_fields})

    return make


def _fresh_default(field: Field) -> Any:
    if field.default == ():
        return []
    if isinstance(field.default, Struct):
        return _default_maker(field.default)()
    return _ERRORS[0] if field.kind is Kind.ERROR_CODE and field.default == 0 else field.default
