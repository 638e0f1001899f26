"""Compiles a schema into a function that writes a message, as Python source; the twin of `message_reader`.

A flexible struct of two int32, an array of int32 and no tagged fields is written as

    d1 = m.__dict__
    if not known2(d1): refuse3(d1)
    get4 = d1.get
    out += pack5(get4("a", default6), get4("b", default7))
    a8 = get4("c", default9)
    if a8 is not None and (n := len(a8)) < 8: out += short10[n](n + 1, *a8)
    else: write11(out, a8)
    out += b"\\0"

Missing fields are their defaults, fields of other versions are not asked for, and a name that no version has is
refused as what it is, a slip of the caller.  A tagged field is written only when it is not what a reader would
assume without it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from .message_reader import Message
from .python_source import FunctionSource
from .schemas import Field, Kind, Struct
from .wire import (
    SHORT_ARRAY,
    Writer,
    array_writer,
    bytes_writer,
    number_array_writer,
    put_classic_length,
    put_compact_length,
    string_writer,
    write_tags,
    write_uuid,
)


def compile_writer(schema: Struct) -> Writer:
    """A function that appends a Message to a bytearray."""
    return _WriterCompiler(schema.name).compile_struct(schema)


class _WriterCompiler:
    def __init__(self, name: str) -> None:
        self._name = name
        self._source = FunctionSource("write", "out, m")
        self._formats = ""  # of the fixed fields not yet written
        self._arguments: list[str] = []  # and their values

    def compile_struct(self, schema: Struct) -> Writer:
        self._struct(schema, "m")
        return self._finish()

    def compile_field(self, field: Field) -> Writer:
        """The writer of a field that stands alone, as a tagged field does."""
        self._value(field, "m", compact=True)
        return self._finish()

    def _finish(self) -> Writer:
        self._flush()
        function: Writer = self._source.compile(f"writer of {self._name}")
        return function

    def _struct(self, schema: Struct, message: str) -> None:
        source = self._source
        fields, get = source.name("d"), source.name("get")
        names = frozenset(field.name for field in schema.all_fields)
        source.line(f"{fields} = {message}.__dict__")
        known = source.bind("known", names.issuperset)
        source.line(f"if not {known}({fields}): {source.bind('refuse', _refuser(schema.name, names))}({fields})")
        source.line(f"{get} = {fields}.get")
        for field in schema.fields:
            if field.tag is None:
                self._value(field, f"{get}({field.name!r}, {self._default(field)})", compact=schema.is_flexible)
        tagged = sorted((field for field in schema.fields if field.tag is not None), key=_tag)
        if tagged:
            self._flush()
            writers = source.bind("tagged", [_TaggedWriter(field) for field in tagged])
            source.line(f"{source.bind('write_tags', _write_tagged_fields)}(out, {fields}, {writers})")
        elif schema.is_flexible:
            self._formats += "x"

    def _default(self, field: Field) -> str:
        default = Message() if isinstance(field.default, Struct) else field.default
        return self._source.bind("default", default)

    def _value(self, field: Field, value: str, *, compact: bool) -> None:
        """Write what writes the field's value, an expression."""
        if field.fixed_format:
            self._formats += field.fixed_format
            self._arguments.append(f"{value}.bytes" if field.kind is Kind.UUID else value)
        elif field.struct is not None and field.is_array:
            self._struct_array(field, field.struct, value, compact)
        elif field.struct is not None:
            self._single_struct(field, field.struct, value)
        elif field.is_array and field.format:
            self._number_array(field, value, compact)
        else:
            self._flush()
            self._source.line(f"{self._source.bind('write', _value_writer(field, compact))}(out, {value})")

    def _flush(self) -> None:
        if not self._formats:
            return
        if self._arguments:
            pack = self._source.bind("pack", struct.Struct(">" + self._formats).pack)
            self._source.line(f"out += {pack}({', '.join(self._arguments)})")
        else:
            self._source.line(f"out += {bytes(len(self._formats))!r}")
        self._formats = ""
        self._arguments = []

    def _number_array(self, field: Field, value: str, compact: bool) -> None:
        self._flush()
        source = self._source
        count_format, bias = ("B", 1) if compact else ("i", 0)
        packers = [struct.Struct(f">{count_format}{count}{field.format}").pack for count in range(SHORT_ARRAY)]
        short = source.bind("short", packers)
        array = source.name("a")
        source.line(f"{array} = {value}")
        source.line(f"if {array} is not None and (n := len({array})) < {SHORT_ARRAY}:")
        source.line(f"    out += {short}[n](n + {bias}, *{array})")
        source.line(f"else: {source.bind('write', _value_writer(field, compact))}(out, {array})")

    def _struct_array(self, field: Field, item: Struct, value: str, compact: bool) -> None:
        self._flush()
        source = self._source
        array, message = source.name("a"), source.name("m")
        put_length = source.bind("put_length", put_compact_length if compact else put_classic_length)
        source.line(f"{array} = {value}")
        if field.is_nullable:
            source.line(f"{put_length}(out, -1 if {array} is None else len({array}))")
            source.line(f"if {array} is None: {array} = ()")
        else:
            source.line(f"{put_length}(out, len({array}))")
        with source.block(f"for {message} in {array}:"):
            self._struct(item, message)
            self._flush()

    def _single_struct(self, field: Field, inner: Struct, value: str) -> None:
        message = self._source.name("m")
        self._source.line(f"{message} = {value}")
        if not field.is_nullable:
            self._struct(inner, message)
            return
        self._flush()
        null = 255 if field.tag is None else 0  # KIP-893; see the reader
        self._source.line(f"if {message} is None: out.append({null})")
        with self._source.block("else:"):
            self._source.line("out.append(1)")
            self._struct(inner, message)
            self._flush()


class _TaggedWriter:
    """A tagged field: written only when it is not what the reader would assume anyway."""

    __slots__ = ("_default_data", "_write", "name", "tag")

    def __init__(self, field: Field) -> None:
        self.tag = _tag(field)
        self.name = field.name
        self._write = _WriterCompiler(field.name).compile_field(field)
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


def _refuser(struct_name: str, known: frozenset[str]) -> Callable[[dict[str, Any]], None]:
    def refuse(fields: dict[str, Any]) -> None:
        raise AssertionError(f"{struct_name} has no field {', '.join(sorted(fields.keys() - known))}")

    return refuse


def _value_writer(field: Field, compact: bool) -> Writer:
    """The writer of a field that is no struct and has no fixed size."""
    nullable = field.is_nullable
    if not field.is_array:
        return _item_writer(field, compact=compact, nullable=nullable)
    if field.format:
        return number_array_writer(field.format, compact=compact, nullable=nullable)
    item = _item_writer(field, compact=compact, nullable=False)
    return array_writer(item, compact=compact, nullable=nullable)


def _item_writer(field: Field, *, compact: bool, nullable: bool) -> Writer:
    match field.kind:
        case Kind.STRING:
            return string_writer(compact=compact, nullable=nullable)
        case Kind.BYTES | Kind.RECORDS:
            return bytes_writer(compact=compact, nullable=nullable)
        case _:
            assert field.kind is Kind.UUID, field
            return write_uuid
