"""Produce: every version, every check, every codec, idempotent producers, acks."""

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
from support.scenarios import Batch, Family, Kept, Now, Scenario, Step, call, every
from support.wire import VERSIONS, Api
from wire.shapes import (
    TIMEOUT_MS,
    create,
    create_and_keep_id,
    fetch,
    fetch_partition,
    produce,
    produce_fields,
    topic,
)

MADE_UP_ID = "11112222333344445555666677778888"
KEEP_FOREVER = {"log.retention.ms": "-1"}
ALL = VERSIONS[Api.PRODUCE]


def in_every_version(records_: Any, name: str, **more: Any) -> list[Step]:
    return every(
        Api.PRODUCE,
        lambda v: produce_fields(v, records_, name=name, topic_id=Kept(f"{name} id"), **more),
    )


def read(label: str, name: str, offset: int = 0, **more: Any) -> Step:
    return fetch(label, name, fetch_partition(0, offset), **more)


def several(version: int, *topics: tuple[str, list[tuple[int, Any]]], acks: int = -1) -> dict[str, Any]:
    return {
        "transactional_id": None,
        "acks": acks,
        "timeout_ms": TIMEOUT_MS,
        "topic_data": [
            {"name": name, "partition_data": [{"index": at, "records": data} for at, data in partitions]}
            for name, partitions in topics
        ],
    }


GOOD = Batch(records(b"one", b"two", None, keys=[b"k", None, b"k"]))

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


# --- batches that are wrong --------------------------------------------------------------------------------

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


# --- sizes, times, policies ----------------------------------------------------------------------------------

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


# --- idempotent producers ------------------------------------------------------------------------------------


def sequenced(first: int, count: int = 1, *, producer: Any = None, epoch: int = 0, **more: Any) -> Batch:
    return Batch(
        records(*(b"%d" % (first + at) for at in range(count))),
        producer_id=Kept("pid") if producer is None else producer,
        producer_epoch=epoch,
        base_sequence=first,
        **more,
    )


def new_producer(version: int = 5, name: str = "pid") -> Step:
    return call(
        Api.INIT_PRODUCER_ID,
        version,
        "a producer id",
        transactional_id=None,
        transaction_timeout_ms=60_000,
        keep={name: "producer_id"},
    )


IDEMPOTENCE = [
    Scenario(
        "sequences",
        [
            create("set up", topic("seq")),
            new_producer(),
            produce("0", "seq", sequenced(0, 2)),
            produce("2", "seq", sequenced(2)),
            produce("2 again", "seq", sequenced(2)),
            produce("0 again", "seq", sequenced(0, 2)),
            produce("0 again, other size", "seq", sequenced(0, 1)),
            produce("2 and more", "seq", sequenced(2, 2)),
            produce("gap", "seq", sequenced(9)),
            produce("3", "seq", sequenced(3)),
            produce("4", "seq", sequenced(4)),
            produce("5", "seq", sequenced(5)),
            produce("6", "seq", sequenced(6)),
            produce("2 again, the oldest remembered", "seq", sequenced(2)),
            produce("7", "seq", sequenced(7)),
            produce("2 again, forgotten", "seq", sequenced(2)),
            produce("0 again, forgotten", "seq", sequenced(0, 2)),
            produce("3 again, remembered", "seq", sequenced(3)),
            read("once each", "seq"),
        ],
    ),
    Scenario(
        "duplicates in every version",
        every(
            Api.PRODUCE,
            lambda v: produce_fields(v, sequenced(7), name="seq", topic_id=Kept("seq id")),
            versions=range(3, 13),
        ),
    ),
    Scenario(
        "a gap in every version",
        every(
            Api.PRODUCE,
            lambda v: produce_fields(v, sequenced(70), name="seq"),
            versions=range(3, 13),
        ),
    ),
    Scenario(
        "epochs",
        [
            create("set up", topic("ep")),
            produce("epoch 0", "ep", sequenced(0)),
            produce("epoch 1 begins at 5", "ep", sequenced(5, epoch=1)),
            produce("epoch 1 begins at 0", "ep", sequenced(0, epoch=1)),
            produce("epoch 0 is fenced", "ep", sequenced(1, epoch=0)),
            produce("epoch 0, its own duplicate", "ep", sequenced(0, epoch=0)),
            produce("epoch 1 goes on", "ep", sequenced(1, epoch=1)),
            produce("epoch 3 skips one", "ep", sequenced(0, epoch=3)),
            produce("largest epoch", "ep", sequenced(0, epoch=32_767)),
            read("what is there", "ep"),
        ],
    ),
    Scenario(
        "fenced in every version",
        every(
            Api.PRODUCE,
            lambda v: produce_fields(v, sequenced(1, epoch=2), name="ep"),
            versions=range(3, 13),
        ),
    ),
    Scenario(
        "unknown producers",
        [
            create("set up", topic("unk")),
            produce("begins at 17", "unk", sequenced(17, producer=9_000_001)),
            produce("goes on", "unk", sequenced(18, producer=9_000_001)),
            produce("begins at epoch 4", "unk", sequenced(0, producer=9_000_002, epoch=4)),
            produce("an id never given out", "unk", sequenced(0, producer=2**62)),
        ],
    ),
    Scenario(
        "sequences wrap",
        [
            create("set up", topic("wrap")),
            produce("at the largest", "wrap", sequenced(2**31 - 1, producer=77)),
            produce("then 0", "wrap", sequenced(0, producer=77)),
            produce("a batch over the edge", "wrap", sequenced(2**31 - 2, 3, producer=78)),
            produce("then 1", "wrap", sequenced(1, producer=78)),
        ],
    ),
    Scenario(
        "under log append time",
        [
            create("set up", topic("lat", configs={"message.timestamp.type": "LogAppendTime"})),
            produce("0", "lat", sequenced(0)),
            produce("0 again", "lat", sequenced(0)),
        ],
    ),
    Scenario(
        "compressed duplicates",
        [
            create("set up", topic("zip")),
            produce("0", "zip", sequenced(0, 3, codec=LZ4)),
            produce("0 again", "zip", sequenced(0, 3, codec=LZ4)),
            produce("0 again with a wrong crc", "zip", sequenced(0, 3, crc=3)),
            produce("acks 1", "zip", sequenced(0, 3), acks=1),
        ],
    ),
    Scenario(
        "two partitions, one wrong",
        [
            create("set up", topic("par", 2)),
            call(
                Api.PRODUCE,
                12,
                "one right, one with a gap",
                **several(12, ("par", [(0, sequenced(0)), (1, sequenced(0))])),
            ),
            call(
                Api.PRODUCE,
                12,
                "one goes on, one with a gap",
                **several(12, ("par", [(0, sequenced(1)), (1, sequenced(5))])),
            ),
        ],
    ),
]

INIT_PRODUCER_ID = [
    Scenario(
        "in every version",
        every(
            Api.INIT_PRODUCER_ID,
            {"transactional_id": None, "transaction_timeout_ms": 60_000},
        ),
    ),
    Scenario(
        "with an id and epoch, in every version that has them",
        every(
            Api.INIT_PRODUCER_ID,
            {
                "transactional_id": None,
                "transaction_timeout_ms": 60_000,
                "producer_id": 5,
                "producer_epoch": 1,
            },
            versions=range(3, 6),
        ),
    ),
    Scenario(
        "variants",
        [
            call(
                Api.INIT_PRODUCER_ID,
                4,
                f"timeout {timeout}, id {pid}, epoch {epoch}",
                transactional_id=None,
                transaction_timeout_ms=timeout,
                producer_id=pid,
                producer_epoch=epoch,
            )
            for timeout, pid, epoch in [
                (0, -1, -1),
                (-1, -1, -1),
                (2**31 - 1, -1, -1),
                (60_000, 5, -1),
                (60_000, -1, 5),
                (60_000, -2, 0),
            ]
        ],
    ),
    Scenario(
        "empty transactional id, in every version",
        every(
            Api.INIT_PRODUCER_ID,
            {"transactional_id": "", "transaction_timeout_ms": 60_000},
        ),
    ),
]

FAMILIES = [
    Family("produce", PLAIN, KEEP_FOREVER),
    Family("produce_wrong", WRONG_BATCHES, KEEP_FOREVER),
    Family("produce_limits", LIMITS, KEEP_FOREVER),
    Family("produce_compression", COMPRESSION, KEEP_FOREVER),
    Family("idempotence", IDEMPOTENCE, KEEP_FOREVER),
    Family("init_producer_id", INIT_PRODUCER_ID),
]
