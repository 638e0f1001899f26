"""Requests and responses as values: one shape for all versions of an API, whatever lies on the wire.

A `Message` has the fields of Kafka's schemas, in snake_case and with their units (`timeout_ms`,
`throttle_time_ms`); numbers and times are int, an error code is an `ErrorCode` (a plain int if Kafka 4.3 does not
know it), arrays are lists, ids are `uuid.UUID`, and None is null.  Decoding sets every field that any version of
the API has, those the version on the wire lacks to the default of Kafka's schema.  Encoding takes missing fields
as defaults and drops what the version does not have; a name that no version knows is our bug, an AssertionError.

What a peer got wrong is a MalformedMessage: a body cut short, a count or length that cannot be, null where there is
none.  Left-over bytes after the body and unknown, repeated or unordered tagged fields are accepted, and text that is
not UTF-8 is read with U+FFFD in its place, as Kafka does all of it.

The codecs are compiled from kio's schemas when an API and version is first used, and kept (see `schemas`,
`message_reader`, `message_writer`); the schemas of what clients ask first are in `first_schemas`.  Produce and
Fetch have hand-written codecs for the broker's hot path
(`produce`, `fetch`); here they are ordinary messages, whose record batches are views of the decoded body: who keeps
one keeps the body.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import NamedTuple

from .apis import ApiKey, request_header_version, response_header_version
from .errors import MalformedMessage
from .first_schemas import declared
from .message_reader import Message, compile_reader
from .message_writer import compile_writer
from .primitives import pack_classic_string, read_classic_string, skip_tags
from .schemas import Direction, has_records, load
from .values import dataclass
from .wire import Body, MessageReader, Writer

Buffer = bytes | bytearray | memoryview

# A request may not unfold into more structs than this: at three bytes on the wire and hundreds in memory for each,
# a hundred megabytes of them would take the broker down.  A client believes its broker.
MAX_REQUEST_STRUCTS = 250_000

_REQUEST_HEADER = struct.Struct(">hhi")
_RESPONSE_HEADER = struct.Struct(">i")
_NO_TAGS = b"\0"

__all__ = (
    "Message",
    "RequestHeader",
    "ResponseHeader",
    "decode_request",
    "decode_request_header",
    "decode_response",
    "decode_response_header",
    "encode_request",
    "encode_request_header",
    "encode_response",
    "encode_response_header",
    "prepare",
)


class RequestHeader(NamedTuple):
    """What precedes a request's body, which begins at `body_position` of the frame."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_position: int


@dataclass(frozen=True, slots=True)
class ResponseHeader:
    """What precedes a response's body, which begins at `body_position` of the frame."""

    correlation_id: int
    body_position: int


def decode_request_header(frame: Buffer) -> RequestHeader:
    """The header of a request frame, its size left out.

    MalformedMessage if it is cut short or Kafka has no such API; whether we support its version is not asked here.
    """
    try:
        api_key, api_version, correlation_id = _REQUEST_HEADER.unpack_from(frame)
        client_id, position = read_classic_string(frame, _REQUEST_HEADER.size)
        if request_header_version(api_key, api_version) >= 2:
            position = skip_tags(frame, position)
    except (struct.error, IndexError):
        raise MalformedMessage(f"a request header is cut short at {len(frame)} bytes") from None
    return RequestHeader(api_key, api_version, correlation_id, client_id, position)


def encode_request_header(key: int, version: int, correlation_id: int, client_id: str | None = None) -> bytes:
    """The header of a request."""
    header = _REQUEST_HEADER.pack(key, version, correlation_id) + pack_classic_string(client_id)
    return header + _NO_TAGS if request_header_version(key, version) >= 2 else header


def decode_response_header(key: int, version: int, frame: Buffer) -> ResponseHeader:
    """The header of a response frame, its size left out; the request that was sent says which form it has."""
    try:
        (correlation_id,) = _RESPONSE_HEADER.unpack_from(frame)
        position = _RESPONSE_HEADER.size
        if response_header_version(key, version) >= 1:
            position = skip_tags(frame, position)
    except (struct.error, IndexError):
        raise MalformedMessage(f"a response header is cut short at {len(frame)} bytes") from None
    return ResponseHeader(correlation_id, position)


def encode_response_header(key: int, version: int, correlation_id: int) -> bytes:
    """The header of a response to a request of this API and version."""
    header = _RESPONSE_HEADER.pack(correlation_id)
    return header + _NO_TAGS if response_header_version(key, version) >= 1 else header


def decode_request(key: int, version: int, body: Buffer) -> Message:
    """The request in `body`, which begins behind the header."""
    return _decode(_codec(key, version, Direction.REQUEST), body, MAX_REQUEST_STRUCTS)


def encode_request(key: int, version: int, message: Message) -> bytes:
    """The body of a request."""
    return _encode(_codec(key, version, Direction.REQUEST), message)


def decode_response(key: int, version: int, body: Buffer) -> Message:
    """The response in `body`, which begins behind the header."""
    return _decode(_codec(key, version, Direction.RESPONSE), body, len(body))


def encode_response(key: int, version: int, message: Message) -> bytes:
    """The body of a response."""
    return _encode(_codec(key, version, Direction.RESPONSE), message)


def prepare(key: int, version: int) -> None:
    """Compile both messages of an API and version now, so that its first use does not wait (5 to 40 ms).

    May be called in a thread.  MalformedMessage if Kafka has no such version.
    """
    for direction in Direction:
        _codec(key, version, direction)


class _Codec(NamedTuple):
    name: str
    read: MessageReader
    write: Writer
    has_records: bool


@cache  # bounded by the versions Kafka has
def _codec(key: int, version: int, direction: Direction) -> _Codec:
    schema = declared(key, version, direction) or load(key, version, direction)
    name = f"{ApiKey(key).name} v{version} {direction.value}"
    return _Codec(name, compile_reader(schema), compile_writer(schema), has_records(schema))


def _decode(codec: _Codec, body: Buffer, max_structs: int) -> Message:
    # Bytes are the fastest to read from, and few bodies are large; those with record batches are not copied.
    readable: Body = memoryview(body) if codec.has_records else bytes(body)
    try:
        message, _ = codec.read(readable, 0, max_structs)
    except (struct.error, IndexError):
        raise MalformedMessage(f"{codec.name}: the body is cut short at {len(body)} bytes") from None
    except MalformedMessage as error:
        raise MalformedMessage(f"{codec.name}: {error}") from None
    assert isinstance(message, Message)
    return message


def _encode(codec: _Codec, message: Message) -> bytes:
    out = bytearray()
    try:
        codec.write(out, message)
    except (AttributeError, TypeError, ValueError, struct.error) as error:
        raise AssertionError(f"{codec.name} cannot say {message!r:.500}: {error}") from error
    return bytes(out)
