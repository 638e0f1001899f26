"""Produce: batches with one thing wrong in each."""

from __future__ import annotations

from typing import Any

from support import handmade
from support.handmade import (
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    GZIP,
    LZ4,
    SNAPPY,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    ZSTD,
    Record,
    records,
)
from support.scenarios import Batch, Family, Scenario
from wire.shapes import (
    KEEP_FOREVER,
    create,
    create_and_keep_id,
    fetch,
    fetch_partition,
    in_every_version,
    produce,
    topic,
)

SEVENTY_ZEROS = b"\0" * 70
LEGACY = handmade.legacy_message_set

# Not here: records null, which Apache Kafka never answers.
WRONG: dict[str, Any] = {
    "empty": b"",
    "one byte": b"\0",
    "12 zeros": b"\0" * 12,
    "60 zeros": b"\0" * 60,
    "61 zeros": b"\0" * 61,
    "70 zeros": SEVENTY_ZEROS,
    "two batches": Batch() + Batch(),
    "count 0, no records": Batch([], count=0),
    "count 0, one record": Batch(count=0),
    "count 2, one record": Batch(count=2),
    "count 1, two records": Batch(records(b"a", b"b"), count=1),
    "count negative": Batch(count=-1),
    "count huge": Batch(count=2_000_000_000),
    "last offset delta too small": Batch(records(b"a", b"b"), last_offset_delta=0),
    "last offset delta too large": Batch(records(b"a", b"b"), last_offset_delta=5),
    "last offset delta negative": Batch(records(b"a", b"b"), last_offset_delta=-1),
    "offset deltas not from 0": Batch([Record(offset_delta=1)]),
    "offset deltas with a gap": Batch([Record(), Record(offset_delta=2)]),
    "offset deltas backwards": Batch([Record(offset_delta=1), Record(offset_delta=0)]),
    "base offset 5": Batch(base_offset=5),
    "base offset negative": Batch(base_offset=-5),
    "leader epoch set": Batch(leader_epoch=7),
    "size too small": Batch(size=48),
    "size tiny": Batch(size=13),
    "size zero": Batch(size=0),
    "size negative": Batch(size=-1),
    "size too large": Batch(size=200),
    "magic 0": LEGACY(0),
    "magic 1": LEGACY(1),
    "magic 3": Batch(magic=3),
    "magic negative": Batch(magic=-1),
    "codec 5": Batch(attributes=5),
    "codec 7": Batch(attributes=7),
    "gzip that is none": Batch(codec=GZIP, payload=b"", attributes=0),
    "declared gzip, plain": Batch(attributes=GZIP),
    "declared snappy, plain": Batch(attributes=SNAPPY),
    "declared lz4, plain": Batch(attributes=LZ4),
    "declared zstd, plain": Batch(attributes=ZSTD),
    "unused attribute bits": Batch(attributes=0x7F80),
    "says log append time": Batch(attributes=TIMESTAMP_TYPE_BIT),
    "delete horizon": Batch(attributes=DELETE_HORIZON_BIT),
    "control batch": handmade.control_batch(),
    "control bit on data": Batch(attributes=CONTROL_BIT),
    "transactional without a transaction": Batch(
        attributes=TRANSACTIONAL_BIT, producer_id=7, producer_epoch=0, base_sequence=0
    ),
    "transactional without a producer": Batch(attributes=TRANSACTIONAL_BIT),
    "max timestamp wrong": Batch(max_timestamp=5),
    "timestamp -1": Batch(timestamp=-1),
    "timestamp negative": Batch(timestamp=-2),
    "record length too small": Batch([Record(body_size=3)]),
    "record length too large": Batch([Record(body_size=60)]),
    "record length negative": Batch([Record(body_size=-1)]),
    "garbage for records": Batch(payload=b"\xff" * 30),
    "bytes after the records": Batch(payload=b"\x16\0\0\0\x01\x0avalue\0" + b"\0\0\0"),
    "compressed, bytes after the records": Batch(codec=LZ4, payload=b"\x16\0\0\0\x01\x0avalue\0" + b"\0\0\0"),
    "compressed, count too large": Batch(codec=LZ4, count=2),
    "compressed, count too small": Batch(records(b"a", b"b"), codec=LZ4, count=1, last_offset_delta=0),
    "compressed, gap": Batch([Record(), Record(offset_delta=2)], codec=LZ4),
    "compressed, last offset delta": Batch(records(b"a", b"b"), codec=LZ4, last_offset_delta=5),
    "compressed, garbage inside": Batch(codec=LZ4, payload=b"\xff" * 30),
    "compressed, nothing inside": Batch([], codec=LZ4, count=1, last_offset_delta=0),
    "compressed, record length negative": Batch([Record(body_size=-1)], codec=LZ4),
    "3 stray bytes after": handmade.batch() + b"\0" * 3,
    "11 stray bytes after": handmade.batch() + b"\0" * 11,
    "12 stray bytes after": handmade.batch() + b"\0" * 12,
    "70 stray bytes after": handmade.batch() + SEVENTY_ZEROS,
    "truncated second batch": handmade.batch() + handmade.batch()[:40],
    "truncated": handmade.batch()[:-3],
    "negative sequence with a producer": Batch(producer_id=1, producer_epoch=0, base_sequence=-1),
    "negative epoch with a producer": Batch(producer_id=1, producer_epoch=-1, base_sequence=0),
    "a sequence without a producer": Batch(base_sequence=3),
    "an epoch without a producer": Batch(producer_epoch=3),
    "producer id -2": Batch(producer_id=-2, producer_epoch=0, base_sequence=0),
}

WRONG_BATCHES = [
    Scenario(
        "one by one",
        [
            create("set up", topic("wrong", len(WRONG))),
            *(produce(what, "wrong", data, partition=at) for at, (what, data) in enumerate(WRONG.items())),
            fetch("what was let in", "wrong", *(fetch_partition(at) for at in range(len(WRONG)))),
        ],
    ),
    Scenario(
        "one by one, in v7, without record errors",
        [
            create("set up", topic("wrong-7", len(WRONG))),
            *(produce(what, "wrong-7", data, version=7, partition=at) for at, (what, data) in enumerate(WRONG.items())),
        ],
    ),
    Scenario("zstd in every version", [create_and_keep_id("zstd"), *in_every_version(Batch(codec=ZSTD), "zstd")]),
    Scenario(
        "magic 1 in every version",
        [create_and_keep_id("legacy"), *in_every_version(LEGACY(1), "legacy")],
    ),
    Scenario("two batches in every version", in_every_version(Batch() + Batch(), "legacy")),
    Scenario("offset gap in every version", in_every_version(Batch([Record(), Record(offset_delta=2)]), "legacy")),
]


FAMILY = Family("produce_wrong", WRONG_BATCHES, KEEP_FOREVER)
