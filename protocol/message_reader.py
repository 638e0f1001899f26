"""Compiles a schema into a function that reads a message, as Python source.

One function is written per message, nested structs in nested loops, because a walk over the schema at every
message takes twice to three times as long.  What makes it fast: fields of fixed size that lie side by side are
one `unpack_from`, short arrays of numbers are another, a message is made by one call with all its fields, and an
empty section of tagged fields is one comparison.  A flexible struct of two int32, an array of int32 and no tagged
fields reads as

    v1, v2, = unpack3(b, p)
    p += 8
    n4 = b[p] - 1
    if 0 <= n4 < 8: v5 = list(short6[n4](b, p + 1)); p += 4 * n4 + 1
    else: v5, p = read7(b, p)
    if b[p]: p = skip_tags8(b, p)
    else: p += 1
    ... Message(a=v1, b=v2, c=v5, gone=0)

where `b` is the body, `p` the position, and `gone` a field that only other versions have.  Values without a fixed
size are read by the readers of `wire`, one call each.

`left` bounds how many structs a message may unfold into, whatever their counts: three bytes on the wire can be a
struct of hundreds in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from .errors import ErrorCode, MalformedMessage
from .primitives import skip_tags
from .python_source import FunctionSource
from .schemas import Field, Kind, Struct
from .wire import (
    SHORT_ARRAY,
    MessageReader,
    Reader,
    array_reader,
    bytes_reader,
    number_array_reader,
    read_long_compact_length,
    read_tags,
    read_uuid,
    records_reader,
    string_reader,
    uuid_of,
)

_ERRORS = {int(code): code for code in ErrorCode}


class Message(SimpleNamespace):
    """A message, or a struct in one: its fields as attributes; equal when all fields are."""


def compile_reader(schema: Struct) -> MessageReader:
    """A function from body, position and most structs to the Message and the position behind it."""
    return _ReaderCompiler(schema).compile()


class _ReaderCompiler:
    def __init__(self, schema: Struct) -> None:
        self._schema = schema
        self._source = FunctionSource("read", "b, p, left")
        self._group: list[tuple[str, str]] = []  # variables and formats of fixed fields not yet read
        bind = self._source.bind
        self._message = bind("Message", Message)
        self._error = bind("error", _ERRORS.get)
        self._uuid = bind("uuid", uuid_of)
        self._skip_tags = bind("skip_tags", skip_tags)
        self._read_tags = bind("read_tags", read_tags)
        self._long_count = bind("long_count", read_long_compact_length)
        self._refuse_null = bind("refuse_null", _refuse_null)
        self._refuse_count = bind("refuse_count", _refuse_count)

    def compile(self) -> MessageReader:
        self._source.line("end = len(b)")
        message = self._struct(self._schema)
        self._source.line(f"return {message}, p")
        function: MessageReader = self._source.compile(f"reader of {self._schema.name}")
        return function

    def compile_field(self, field: Field) -> MessageReader:
        """The reader of a field that stands alone, as a tagged field does."""
        self._source.line("end = len(b)")
        value = self._field(field, True)
        self._flush()
        self._source.line(f"return {value}, p")
        function: MessageReader = self._source.compile(f"reader of {field.name}")
        return function

    def _struct(self, schema: Struct) -> str:
        """Write what reads a struct; the expression that makes it."""
        tagged = [field for field in schema.fields if field.tag is not None]
        values = [
            f"{field.name}={self._field(field, schema.is_flexible)}" for field in schema.fields if field.tag is None
        ]
        self._flush()
        values += (f"{field.name}={self._default(field)}" for field in (*tagged, *schema.absent))
        message = f"{self._message}({', '.join(values)})"
        if tagged:
            return self._with_tags(tagged, message)
        if schema.is_flexible:
            self._source.line(f"if b[p]: p = {self._skip_tags}(b, p)")
            self._source.line("else: p += 1")
        return message

    def _with_tags(self, tagged: list[Field], message: str) -> str:
        readers = {field.tag: (field.name, _alone_reader(field)) for field in tagged}
        made = self._source.name("m")
        self._source.line(f"{made} = {message}")
        with self._source.block("if b[p]:"):
            known = self._source.bind("known", readers)
            self._source.line(f"found, p = {self._read_tags}(b, p, left, {known})")
            self._source.line(f"{made}.__dict__.update(found)")
        self._source.line("else: p += 1")
        return made

    def _field(self, field: Field, compact: bool) -> str:
        """Write what reads a field; the expression of its value."""
        if format_ := field.fixed_format:
            return self._fixed(field, format_)
        if field.struct is not None and field.is_array:
            return self._struct_array(field, field.struct, compact)
        if field.struct is not None:
            return self._single_struct(field, field.struct)
        if field.is_array and field.format:
            return self._number_array(field, compact)
        return self._call(_value_reader(field, compact=compact))

    def _fixed(self, field: Field, format_: str) -> str:
        variable = self._source.name("v")
        self._group.append((variable, format_))
        if field.kind is Kind.ERROR_CODE:
            return f"{self._error}({variable}, {variable})"
        return f"{self._uuid}({variable})" if field.kind is Kind.UUID else variable

    def _flush(self) -> None:
        if not self._group:
            return
        packer = struct.Struct(">" + "".join(format_ for _, format_ in self._group))
        unpack = self._source.bind("unpack", packer.unpack_from)
        self._source.line("".join(f"{variable}, " for variable, _ in self._group) + f"= {unpack}(b, p)")
        self._source.line(f"p += {packer.size}")
        self._group.clear()

    def _call(self, reader: Reader) -> str:
        self._flush()
        variable = self._source.name("v")
        self._source.line(f"{variable}, p = {self._source.bind('read', reader)}(b, p)")
        return variable

    def _number_array(self, field: Field, compact: bool) -> str:
        """Short ones in one call; the others, null among them, by the reader that takes all cases."""
        size = struct.calcsize(">" + field.format)
        short = [struct.Struct(f">{count}{field.format}").unpack_from for count in range(SHORT_ARRAY)]
        value, count = self._source.name("v"), self._source.name("n")
        reader = self._source.bind("read", _value_reader(field, compact=compact))
        if compact:
            self._flush()
            self._source.line(f"{count} = b[p] - 1")
            length_bytes = 1
        else:
            self._group.append((count, "i"))
            self._flush()
            self._source.line("p -= 4")
            length_bytes = 4
        table = self._source.bind("short", short)
        with self._source.block(f"if 0 <= {count} < {SHORT_ARRAY}:"):
            self._source.line(f"{value} = list({table}[{count}](b, p + {length_bytes}))")
            self._source.line(f"p += {size} * {count} + {length_bytes}")
        self._source.line(f"else: {value}, p = {reader}(b, p)")
        return value

    def _struct_array(self, field: Field, item: Struct, compact: bool) -> str:
        value = self._source.name("v")
        count = self._count(compact)
        with self._source.block(f"if {count} < 0:"):
            self._source.line(f"{value} = None" if field.is_nullable else f"{self._refuse_null}({field.name!r})")
        with self._source.block("else:"):
            too_many = f"{count} * {_min_bytes(item)} > end - p or {count} > left"
            self._source.line(f"if {too_many}: {self._refuse_count}({field.name!r}, {count}, end - p)")
            self._source.line(f"left -= {count}")
            self._source.line(f"{value} = []")
            with self._source.block(f"for _ in range({count}):"):
                self._source.line(f"{value}.append({self._struct(item)})")
        return value

    def _count(self, compact: bool) -> str:
        count = self._source.name("n")
        if compact:
            self._flush()
            self._source.line(f"{count} = b[p] - 1; p += 1")
            self._source.line(f"if {count} > 126: {count}, p = {self._long_count}(b, p - 1)")
        else:
            self._group.append((count, "i"))
            self._flush()
        return count

    def _single_struct(self, field: Field, inner: Struct) -> str:
        if not field.is_nullable:
            return self._struct(inner)
        self._flush()
        value = self._source.name("v")
        # KIP-893: a negative byte is null. In a tagged field it is 0, and 1 is in front of a struct.
        with self._source.block("if b[p] > 127:" if field.tag is None else "if not b[p]:"):
            self._source.line(f"{value} = None; p += 1")
        with self._source.block("else:"):
            self._source.line("p += 1")
            self._source.line(f"{value} = {self._struct(inner)}")
        return value

    def _default(self, field: Field) -> str:
        if field.default == ():
            return "[]"
        if isinstance(field.default, Struct):
            return f"{self._source.bind('default', _default_maker(field.default))}()"
        return self._source.bind("default", _fresh_default(field))


def _value_reader(field: Field, *, compact: bool) -> Reader:
    """The reader of a field that is no struct and has no fixed size."""
    nullable = field.is_nullable
    if not field.is_array:
        return _item_reader(field, compact=compact, nullable=nullable)
    if field.format:
        return number_array_reader(field.format, compact=compact, nullable=nullable)
    item = _item_reader(field, compact=compact, nullable=False)
    min_item_bytes = 16 if field.kind is Kind.UUID else 1
    return array_reader(item, min_item_bytes, compact=compact, nullable=nullable)


def _item_reader(field: Field, *, compact: bool, nullable: bool) -> Reader:
    match field.kind:
        case Kind.STRING:
            return string_reader(compact=compact, nullable=nullable)
        case Kind.BYTES:
            return bytes_reader(compact=compact, nullable=nullable)
        case Kind.RECORDS:
            return records_reader(compact=compact, nullable=nullable)
        case _:
            assert field.kind is Kind.UUID, field
            return read_uuid


def _alone_reader(field: Field) -> MessageReader:
    return _ReaderCompiler(Struct(field.name, is_flexible=True, fields=(), absent=())).compile_field(field)


def _refuse_null(name: str) -> None:
    raise MalformedMessage(f"{name} is null")


def _refuse_count(name: str, count: int, bytes_left: int) -> None:
    raise MalformedMessage(f"{count} {name} in {bytes_left} bytes, or more than a message may have")


def _min_bytes(schema: Struct) -> int:
    """The least that a struct takes on the wire: what bounds a peer's count."""
    fields = (field for field in schema.fields if field.tag is None)
    sizes = (struct.calcsize(">" + format_) if (format_ := field.fixed_format) else 1 for field in fields)
    return max(1, sum(sizes) + schema.is_flexible)


def _default_maker(schema: Struct) -> Callable[[], Message]:
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
