"""Produce: every version, acks, sizes, times, policies, every codec."""

from __future__ import annotations

from support.handmade import (
    GZIP,
    LZ4,
    SNAPPY,
    ZSTD,
    Record,
    records,
)
from support.scenarios import Batch, Family, Now, Scenario, Step, call, every
from support.wire import Api
from wire.shapes import (
    GOOD,
    KEEP_FOREVER,
    MADE_UP_ID,
    create,
    create_and_keep_id,
    fetch,
    fetch_partition,
    in_every_version,
    produce,
    produce_fields,
    read,
    several,
    topic,
)

PLAIN = [
    Scenario(
        "good, in every version",
        [create_and_keep_id("good"), *in_every_version(GOOD, "good"), read("all of it", "good")],
    ),
    Scenario(
        "headers, in every version",
        [
            create_and_keep_id("headers"),
            *in_every_version(Batch([Record(headers=[("h", b"1"), ("h", None), ("", b"")])], codec=LZ4), "headers"),
        ],
    ),
    Scenario("bad crc, in every version", in_every_version(Batch(crc=1), "good")),
    Scenario("no such partition, in every version", in_every_version(GOOD, "good", partition=7)),
    Scenario(
        "no such topic, in every version",
        every(
            Api.PRODUCE,
            lambda v: produce_fields(v, GOOD, name="never-was", topic_id=MADE_UP_ID),
        ),
    ),
    Scenario("acks 1, in every version", in_every_version(GOOD, "good", acks=1)),
    Scenario(
        "acks out of range, in every version",
        [step for acks in (2, -2) for step in in_every_version(GOOD, "good", acks=acks)],
    ),
    Scenario(
        "topics and ids",
        [
            call(Api.PRODUCE, 13, "zero id", **produce_fields(13, GOOD, topic_id="0" * 32)),
            produce("empty name", "", GOOD),
            produce("wrong name", "bad/name", GOOD),
            produce("negative partition", "good", GOOD, partition=-1),
            produce("the metadata log", "__cluster_metadata", GOOD),
        ],
    ),
    Scenario(
        "several partitions",
        [
            create("set up", topic("s1", 3), topic("s2", 1)),
            call(
                Api.PRODUCE,
                12,
                "two topics, one wrong partition",
                **several(12, ("s1", [(0, GOOD), (2, GOOD), (3, GOOD)]), ("s2", [(0, GOOD)])),
            ),
            call(Api.PRODUCE, 12, "a partition twice", **several(12, ("s2", [(0, GOOD), (0, Batch())]))),
            call(Api.PRODUCE, 12, "a topic twice", **several(12, ("s1", [(0, GOOD)]), ("s1", [(1, GOOD)]))),
            call(Api.PRODUCE, 12, "a topic without partitions", **several(12, ("s1", []), ("s2", []))),
            call(Api.PRODUCE, 12, "nothing at all", **several(12)),
            read("what became of the doubles", "s2"),
        ],
    ),
    Scenario(
        "acks 0",
        [
            call(Api.PRODUCE, 12, "acks 0 of nothing", **several(12, acks=1)),
            Step(
                "PRODUCE v12 acks 0",
                Api.PRODUCE,
                12,
                produce_fields(12, GOOD, name="s2", acks=0),
                answers=False,
            ),
            produce("the next request is answered", "s2", GOOD),
            Step(
                "PRODUCE v12 acks 0, wrong",
                Api.PRODUCE,
                12,
                produce_fields(12, Batch(crc=1), name="s2", acks=0),
                answers=True,
            ),
            produce("on a new connection", "s2", GOOD),
        ],
    ),
    Scenario(
        "timeouts",
        [
            produce("0", "good", GOOD, timeout_ms=0),
            produce("-1", "good", GOOD, timeout_ms=-1),
            produce("transactional id", "good", GOOD, transactional_id="t"),
        ],
    ),
]


HOUR_MS = 3_600_000
BIG = Record(b"x" * 2000)

LIMITS = [
    Scenario(
        "message too large, in every version",
        [create_and_keep_id("small", max_message_bytes="1000"), *in_every_version(Batch([BIG]), "small")],
    ),
    Scenario(
        "message sizes",
        [
            produce("just fits", "small", Batch([Record(b"x" * 929)])),
            produce("one byte more", "small", Batch([Record(b"x" * 930)])),
            produce("compressed it fits", "small", Batch([BIG], codec=GZIP)),
            create("set up", topic("tiny", configs={"max.message.bytes": "0"})),
            produce("nothing fits", "tiny", Batch()),
            create(
                "set up recompressing",
                topic("grows", configs={"compression.type": "uncompressed", "max.message.bytes": "1000"}),
            ),
            produce("grows beyond when decompressed", "grows", Batch([BIG], codec=GZIP)),
            create(
                "set up short segments",
                topic("short", configs={"internal.segment.bytes": "1000"}),
            ),
            produce("larger than a segment", "short", Batch([BIG])),
        ],
    ),
    Scenario(
        "timestamps, in every version",
        [
            create_and_keep_id("times", message_timestamp_before_max_ms="3600000"),
            *in_every_version(Batch(timestamp=Now(-2 * HOUR_MS)), "times"),
        ],
    ),
    Scenario(
        "timestamps",
        [
            produce("too old", "times", Batch(timestamp=1_000)),
            produce("old but right", "times", Batch(timestamp=Now(-HOUR_MS // 2))),
            produce("too new", "times", Batch(timestamp=Now(2 * HOUR_MS))),
            produce("new but right", "times", Batch(timestamp=Now(HOUR_MS // 2))),
            produce("no timestamp", "times", Batch(timestamp=-1)),
            produce(
                "the second of three",
                "times",
                Batch(
                    [Record(), Record(timestamp_delta=-3 * HOUR_MS), Record()],
                    timestamp=Now(),
                ),
            ),
            produce(
                "the second and third of three",
                "times",
                Batch(
                    [Record(), Record(timestamp_delta=-3 * HOUR_MS), Record(timestamp_delta=3 * HOUR_MS)],
                    timestamp=Now(),
                ),
            ),
            produce(
                "compressed",
                "times",
                Batch([Record(), Record(timestamp_delta=-3 * HOUR_MS)], timestamp=Now(), codec=LZ4),
            ),
            create(
                "set up append time",
                topic(
                    "append",
                    configs={"message.timestamp.type": "LogAppendTime", "message.timestamp.before.max.ms": "1000"},
                ),
            ),
            produce("old under append time", "append", Batch(records(b"a", b"b"))),
            produce("compressed under append time", "append", Batch(records(b"a", b"b"), codec=LZ4)),
            read("append time read", "append"),
        ],
    ),
    Scenario(
        "log append time, in every version",
        [
            create_and_keep_id("stamped", message_timestamp_type="LogAppendTime"),
            *in_every_version(Batch(), "stamped"),
        ],
    ),
    Scenario(
        "compacted, in every version",
        [
            create_and_keep_id("keys", cleanup_policy="compact"),
            *in_every_version(Batch(records(b"a", b"b", b"c", keys=[b"k", None, None])), "keys"),
        ],
    ),
    Scenario(
        "compacted",
        [
            produce("all have keys", "keys", Batch(records(b"a", None, keys=[b"k", b""]))),
            produce("compressed without key", "keys", Batch(records(b"a"), codec=LZ4)),
            create("set up both", topic("both", configs={"cleanup.policy": "compact,delete"})),
            produce("compacted and deleted without key", "both", Batch(records(b"a"))),
            read("what was let in", "keys"),
        ],
    ),
    Scenario(
        "min.insync.replicas",
        [
            create("set up", topic("isr", configs={"min.insync.replicas": "2"})),
            produce("acks -1", "isr", Batch(), acks=-1),
            produce("acks 1", "isr", Batch(), acks=1),
        ],
    ),
]

KINDS = {"none": 0, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
MANY = records(*(b"value %d" % at for at in range(20)))


def convert(target: str) -> Scenario:
    name = f"to-{target}"
    steps = [create("set up", topic(name, configs={"compression.type": target}))]
    for at, (kind, codec) in enumerate(KINDS.items()):
        steps.append(produce(f"{kind} to {target}", name, Batch(MANY, codec=codec)))
        steps.append(
            Step(
                f"FETCH v12 {kind} to {target}",
                Api.FETCH,
                12,
                fetch("", name, fetch_partition(0, at * 20)).fields,
                notes=frozenset({"recompressed"}),
            )
        )
    steps.append(
        produce("max timestamp wrong", name, Batch(MANY, max_timestamp=5)),
    )
    steps.append(produce("gap", name, Batch([Record(), Record(offset_delta=2)], codec=GZIP)))
    steps.append(
        produce(
            "idempotent",
            name,
            Batch(MANY, codec=LZ4, producer_id=7, producer_epoch=0, base_sequence=0),
        )
    )
    return Scenario(f"to {target}", steps)


COMPRESSION = [convert(target) for target in ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")]


FAMILIES = [
    Family("produce", PLAIN, KEEP_FOREVER),
    Family("produce_limits", LIMITS, KEEP_FOREVER),
    Family("produce_compression", COMPRESSION, KEEP_FOREVER),
]
