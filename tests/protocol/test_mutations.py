"""Murphy at full speed: golden batches and real requests with random bytes changed, many thousands of times.

Hypothesis looks for the clever cases elsewhere; this is for the sheer number of them.  A run begins at a seed of
its own, named in the failure; OTTLA_SEED repeats it, OTTLA_HEAVY=1 makes it a hundred thousand.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path

from ottla.protocol.apis import SUPPORTED, ApiKey
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.messages import Message, decode_request, decode_request_header, encode_request
from ottla.protocol.records import crc_is_valid, iter_headers, iter_records
from ottla.protocol.schemas import Direction, Field, Struct, load, versions_of

ROUNDS = 100_000 if os.environ.get("OTTLA_HEAVY") else 4_000
SEED = int(os.environ.get("OTTLA_SEED") or random.SystemRandom().randrange(2**32))
GOLDEN = Path(__file__).parent / "golden_batches"


def mutate(data: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, cut out, put in or repeated."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(out) + 1)
        match dice.randrange(6):
            case 0:
                del out[at:]
            case 1:
                del out[at : at + dice.randint(1, 8)]
            case 2:
                out[at:at] = dice.randbytes(dice.randint(1, 8))
            case 3:
                out[at : at + 4] = dice.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0"))
            case _:
                out[at : at + 1] = dice.randbytes(1)
    return bytes(out)


def try_them(samples: list[bytes], read: Callable[[int, bytes], None]) -> None:
    dice = random.Random(SEED)
    for round_ in range(ROUNDS):
        index = dice.randrange(len(samples))
        mutated = mutate(samples[index], dice)
        try:
            with contextlib.suppress(MalformedMessage):
                read(index, mutated)
        except BaseException as error:
            error.add_note(f"OTTLA_SEED={SEED}, round {round_}: {mutated.hex()}")
            raise


def test_mutated_batches_are_read_or_malformed():
    samples = [bytes.fromhex(file.read_text(encoding="ascii")) for file in sorted(GOLDEN.glob("*.hex"))]

    def read(index: int, data: bytes) -> None:
        for at, header in iter_headers(data):
            crc_is_valid(data, at, header)
            for _ in iter_records(data, at, max_decompressed_bytes=1_000_000):
                pass

    try_them(samples, read)


def something(struct: Struct) -> Message:
    """A message with one of everything."""
    return Message(**{field.name: [one(field)] * 2 if field.is_array else one(field) for field in struct.fields})


def one(field: Field) -> object:
    if field.struct is not None:
        return something(field.struct)
    if field.format:
        return True if field.format == "?" else 3
    return {"STRING": "text", "BYTES": b"bytes", "RECORDS": b"records", "UUID": field.default}[field.kind.name]


def test_mutated_requests_are_read_or_malformed():
    known = [
        (key, version)
        for key in ApiKey
        for version in versions_of(key)
        if key in SUPPORTED and SUPPORTED[key].min_version <= version <= SUPPORTED[key].max_version
    ]
    samples = [encode_request(*each, something(load(*each, Direction.REQUEST))) for each in known]
    try_them(samples, lambda index, data: encode_again(*known[index], data))


def encode_again(key: ApiKey, version: int, data: bytes) -> None:
    encode_request(key, version, decode_request(key, version, data))


def test_mutated_request_headers_are_read_or_malformed():
    samples = [
        b"\0\3\0\x0c\0\0\0\x07\0\x02me\0body",
        b"\0\x12\0\0\0\0\0\x07\xff\xff",
        b"\0\x12\0\4\0\0\0\1\0\0\2\1\1x\2\0",
    ]

    def read(index: int, data: bytes) -> None:
        assert decode_request_header(data).body_position <= len(data)

    try_them(samples, read)
