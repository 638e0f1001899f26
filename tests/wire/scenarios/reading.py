"""Fetch, ListOffsets and OffsetForLeaderEpoch: what can be read, and from where."""

from typing import Any

from support.handmade import GZIP, LZ4, TIMESTAMP_MS, ZSTD, Record, records
from support.scenarios import Batch, Family, Kept, Now, Scenario, Step, answer, call, every
from support.schema import ZERO_UUID
from support.wire import Api
from wire.scenarios.topics import delete, forget
from wire.shapes import (
    create,
    create_and_keep_id,
    fetch,
    fetch_fields,
    fetch_partition,
    produce,
    topic,
)

MADE_UP_ID = "11112222333344445555666677778888"
KEEP_FOREVER = {"log.retention.ms": "-1"}


def fetches(*parts: dict[str, Any], name: str = "f", **more: Any) -> list[Step]:
    return every(Api.FETCH, lambda v: fetch_fields(v, *parts, name=name, topic_id=Kept(f"{name} id"), **more))


def by_id(label: str, uid: Any, *parts: dict[str, Any], version: int = 16, **more: Any) -> Step:
    keep = more.pop("keep", None)
    fields = fetch_fields(version, *parts, topic_id=uid, **more)
    return call(Api.FETCH, version, label, keep=keep, **fields)


def filled(name: str) -> list[Step]:
    """Offsets 0 to 5 in three batches: 2 plain, 3 LZ4, 1 plain with headers and nulls."""
    return [
        produce("0 and 1", name, Batch(records(b"a", b"b", keys=[b"k", None]))),
        produce("2 to 4", name, Batch(records(b"c", b"d", b"e"), codec=LZ4, timestamp=TIMESTAMP_MS + 10)),
        produce("5", name, Batch([Record(None, None, [("h", b"x"), ("n", None)])], timestamp=TIMESTAMP_MS + 5)),
    ]


PLAIN = [
    Scenario(
        "good, in every version",
        [create_and_keep_id("f", 2), *filled("f"), *fetches(fetch_partition(), fetch_partition(1))],
    ),
    Scenario("from the middle of a batch, in every version", fetches(fetch_partition(0, 3))),
    Scenario("at the end, in every version", fetches(fetch_partition(0, 6))),
    Scenario("offset out of range, in every version", fetches(fetch_partition(0, 7), fetch_partition(1, -1))),
    Scenario("no such partition, in every version", fetches(fetch_partition(9), fetch_partition(-1))),
    Scenario(
        "no such topic, in every version",
        every(Api.FETCH, lambda v: fetch_fields(v, fetch_partition(), name="never-was", topic_id=MADE_UP_ID)),
    ),
    Scenario("read committed, in every version", fetches(fetch_partition(), isolation_level=1)),
    Scenario(
        "leader epochs, in every version that has them",
        [
            step
            for epoch in (0, 1, -2)
            for step in every(
                Api.FETCH,
                lambda v, epoch=epoch: fetch_fields(
                    v, fetch_partition(0, 5, current_leader_epoch=epoch), name="f", topic_id=Kept("f id")
                ),
                f"epoch {epoch}",
                versions=range(9, 19),
            )
        ],
    ),
    Scenario(
        "last fetched epochs, in every version that has them",
        [
            step
            for epoch in (0, 3)
            for step in every(
                Api.FETCH,
                lambda v, epoch=epoch: fetch_fields(
                    v, fetch_partition(0, 5, last_fetched_epoch=epoch), name="f", topic_id=Kept("f id")
                ),
                f"epoch {epoch}",
                versions=range(12, 19),
            )
        ],
    ),
    Scenario(
        "as a replica, in every version",
        every(
            Api.FETCH,
            lambda v: (
                fetch_fields(v, fetch_partition(), name="f", topic_id=Kept("f id"))
                | ({"replica_id": 1} if v < 15 else {"replica_state": {"replica_id": 1, "replica_epoch": 1}})
            ),
        ),
    ),
]

LIMITS = [
    Scenario(
        "set up",
        [
            create_and_keep_id("f", 3),
            *filled("f"),
            produce("partition 1", "f", Batch(records(b"p1")), partition=1),
            produce("partition 2", "f", Batch(records(b"p2")), partition=2),
        ],
    ),
    Scenario(
        "partition max bytes",
        [fetch(f"{size}", "f", fetch_partition(0, 0, max_bytes=size)) for size in (0, 1, 61, 81, 100, 150, -1)],
    ),
    Scenario(
        "partition max bytes in v4 and v18",
        [
            fetch("1 byte", "f", fetch_partition(0, 0, max_bytes=1), version=4),
            by_id("1 byte", Kept("f id"), fetch_partition(0, 0, max_bytes=1), version=18),
        ],
    ),
    Scenario(
        "max bytes",
        [
            fetch(f"{size}", "f", fetch_partition(0), fetch_partition(1), fetch_partition(2), max_bytes=size)
            for size in (0, 1, 100, 250, 300, -1)
        ],
    ),
    Scenario(
        "several partitions, some empty",
        [
            fetch(
                "first whole only",
                "f",
                fetch_partition(0, 6),
                fetch_partition(1, max_bytes=1),
                fetch_partition(2, max_bytes=1),
            ),
            fetch("both small", "f", fetch_partition(1, max_bytes=1), fetch_partition(2, max_bytes=1)),
            fetch("order of partitions", "f", fetch_partition(2), fetch_partition(0), fetch_partition(1)),
            fetch("a partition twice", "f", fetch_partition(1), fetch_partition(1)),
            fetch("one wrong, one right", "f", fetch_partition(9), fetch_partition(1)),
            call(
                Api.FETCH,
                12,
                "a topic twice",
                max_wait_ms=0,
                min_bytes=0,
                topics=[
                    {"topic": "f", "partitions": [fetch_partition(1)]},
                    {"topic": "f", "partitions": [fetch_partition(2)]},
                ],
            ),
            call(
                Api.FETCH,
                12,
                "a topic without partitions",
                max_wait_ms=0,
                min_bytes=0,
                topics=[{"topic": "f", "partitions": []}],
            ),
            fetch("nothing", "f"),
        ],
    ),
    Scenario(
        "waiting",
        [
            fetch("enough at once", "f", fetch_partition(), max_wait_ms=20_000, min_bytes=1),
            fetch("error ends the wait", "f", fetch_partition(9), max_wait_ms=20_000, min_bytes=1),
            fetch("out of range ends the wait", "f", fetch_partition(0, 99), max_wait_ms=20_000, min_bytes=1),
            fetch("no partitions ends the wait", "f", max_wait_ms=20_000, min_bytes=1),
            fetch("waits and gives up", "f", fetch_partition(0, 6), max_wait_ms=100, min_bytes=1),
            fetch("min bytes never come", "f", fetch_partition(0), max_wait_ms=100, min_bytes=10_000),
            fetch("negative wait", "f", fetch_partition(0, 6), max_wait_ms=-1, min_bytes=1),
            fetch("negative min bytes", "f", fetch_partition(0, 6), max_wait_ms=0, min_bytes=-1),
            Step(
                "FETCH v12 waits for a record",
                Api.FETCH,
                12,
                fetch_fields(12, fetch_partition(1, 1), name="f", max_wait_ms=5_000, min_bytes=1),
                on="b",
                later=True,
            ),
            produce("which comes", "f", Batch(records(b"woke")), partition=1),
            answer(Api.FETCH, 12, "woken", on="b"),
        ],
    ),
    Scenario(
        "waiting for a topic that goes",
        [
            create_and_keep_id("goes"),
            Step(
                "FETCH v13 waits",
                Api.FETCH,
                13,
                fetch_fields(13, fetch_partition(), topic_id=Kept("goes id"), max_wait_ms=3_000, min_bytes=1),
                on="b",
                later=True,
            ),
            delete("it goes", "goes"),
            answer(Api.FETCH, 13, "ended", on="b"),
            create_and_keep_id("goes"),
        ],
    ),
    Scenario(
        "zstd in every version",
        [
            create_and_keep_id("z"),
            produce("zstd", "z", Batch(records(b"zzz"), codec=ZSTD)),
            *fetches(fetch_partition(), name="z"),
        ],
    ),
    Scenario(
        "after records were deleted",
        [
            create_and_keep_id("del"),
            *filled("del"),
            forget("up to 3", "del", (0, 3)),
            fetch("below the start", "del", fetch_partition(0, 2)),
            fetch("at the start, inside a batch", "del", fetch_partition(0, 3)),
            fetch("at the start, v4", "del", fetch_partition(0, 3), version=4),
        ],
    ),
    Scenario(
        "odd requests",
        [
            fetch("empty name", "", fetch_partition()),
            fetch("wrong name", "bad/name", fetch_partition()),
            by_id("zero id", ZERO_UUID, fetch_partition()),
            fetch("isolation level 2", "f", fetch_partition(0, 5), isolation_level=2),
            fetch("rack", "f", fetch_partition(0, 5), rack_id="r1"),
            fetch("debugging replica", "f", fetch_partition(0, 5), replica_id=-2),
            fetch("unknown replica", "f", fetch_partition(0, 5), replica_id=9),
            fetch("a cluster id", "f", fetch_partition(0, 5), cluster_id="else"),
        ],
    ),
]


# --- sessions ------------------------------------------------------------------------------------------------


def in_session(label: str, session: Any, epoch: int, *parts: dict[str, Any], **more: Any) -> Step:
    return fetch(label, "f", *parts, session_id=session, session_epoch=epoch, **more)


def opened(name: str = "session", *parts: dict[str, Any], version: int = 12) -> Step:
    opening = {"session_id": 0, "session_epoch": 0, "keep": {name: "session_id"}}
    if version >= 13:
        return by_id("open", Kept("f id"), *parts, version=version, **opening)
    return fetch("open", "f", *parts, version=version, **opening)


BOTH = (fetch_partition(0, 5), fetch_partition(1, 0))

SESSIONS = [
    Scenario(
        "set up",
        [
            create_and_keep_id("f", 3),
            create_and_keep_id("g"),
            *filled("f"),
            produce("partition 1", "f", Batch(records(b"p1")), partition=1),
        ],
    ),
    Scenario(
        "a life",
        [
            opened("session", *BOTH),
            in_session("nothing new", Kept("session"), 1),
            in_session("both again from further on", Kept("session"), 2, fetch_partition(0, 6), fetch_partition(1, 1)),
            in_session("nothing at all", Kept("session"), 3),
            produce("a record", "f", Batch(records(b"p2")), partition=1),
            in_session("it comes", Kept("session"), 4),
            in_session("it comes again", Kept("session"), 5),
            in_session("add a partition", Kept("session"), 6, fetch_partition(1, 2), fetch_partition(2, 0)),
            in_session(
                "forget one",
                Kept("session"),
                7,
                forgotten_topics_data=[{"topic": "f", "partitions": [0]}],
            ),
            produce("in what was forgotten", "f", Batch(records(b"p3")), partition=0),
            in_session("is not told", Kept("session"), 8),
            in_session("an error", Kept("session"), 9, fetch_partition(2, 77)),
            in_session("the error again", Kept("session"), 10),
            in_session("close", Kept("session"), -1),
            in_session("it is gone", Kept("session"), 11),
        ],
    ),
    Scenario(
        "in every version that has sessions",
        [
            step
            for version in range(7, 19)
            for step in (
                opened(f"session {version}", *BOTH, version=version),
                call(
                    Api.FETCH,
                    version,
                    "go on",
                    **fetch_fields(version, session_id=Kept(f"session {version}"), session_epoch=1),
                ),
                call(
                    Api.FETCH,
                    version,
                    "wrong epoch",
                    **fetch_fields(version, session_id=Kept(f"session {version}"), session_epoch=7),
                ),
                call(
                    Api.FETCH,
                    version,
                    "unknown session",
                    **fetch_fields(version, session_id=123_456, session_epoch=1),
                ),
                call(
                    Api.FETCH,
                    version,
                    "close",
                    **fetch_fields(version, session_id=Kept(f"session {version}"), session_epoch=-1),
                ),
            )
        ],
    ),
    Scenario(
        "errors",
        [
            opened("session", *BOTH),
            in_session("epoch too high", Kept("session"), 2),
            in_session("epoch 1 still right", Kept("session"), 1),
            in_session("epoch 1 again", Kept("session"), 1),
            in_session("epoch negative", Kept("session"), -2),
            in_session("unknown session", 12_345, 1),
            in_session("unknown session, closing", 12_345, -1, fetch_partition(0, 5)),
            in_session("no session, epoch 1", 0, 1, fetch_partition(0, 5)),
            in_session("no session, epoch -1", 0, -1, fetch_partition(0, 5)),
            in_session("reopen over it", Kept("session"), 0, fetch_partition(0, 5)),
            in_session("the old one is gone", Kept("session"), 2),
            in_session("open with nothing", 0, 0),
        ],
    ),
    Scenario(
        "names and ids in one session",
        [
            opened("named", *BOTH),
            call(
                Api.FETCH,
                13,
                "ids into a session of names",
                **fetch_fields(13, session_id=Kept("named"), session_epoch=1),
            ),
            opened("by id", *BOTH, version=16),
            in_session("names into a session of ids", Kept("by id"), 1),
            by_id("an unknown id joins", MADE_UP_ID, fetch_partition(), session_id=Kept("by id"), session_epoch=1),
            call(
                Api.FETCH,
                16,
                "it stays wrong",
                **fetch_fields(16, session_id=Kept("by id"), session_epoch=2),
            ),
        ],
    ),
    Scenario(
        "unknown topics in sessions",
        [
            call(
                Api.FETCH,
                12,
                "open on an unknown name",
                keep={"lost": "session_id"},
                **fetch_fields(12, fetch_partition(), name="never-was", session_id=0, session_epoch=0),
            ),
            call(
                Api.FETCH,
                16,
                "open on an unknown id",
                keep={"lost id": "session_id"},
                **fetch_fields(16, fetch_partition(), topic_id=MADE_UP_ID, session_id=0, session_epoch=0),
            ),
            in_session("go on", Kept("lost"), 1),
            create("it comes to be", topic("never-was")),
            in_session("go on then", Kept("lost"), 2),
        ],
    ),
    Scenario(
        "a topic is deleted in a session",
        [
            opened("gone", fetch_partition(0, 5)),
            call(
                Api.FETCH,
                12,
                "g joins",
                **fetch_fields(12, fetch_partition(), name="g", session_id=Kept("gone"), session_epoch=1),
            ),
            delete("g goes", "g"),
            in_session("told", Kept("gone"), 2),
            in_session("told again", Kept("gone"), 3),
        ],
    ),
]


# --- ListOffsets ---------------------------------------------------------------------------------------------


def asked(partition: int, timestamp: Any, **more: Any) -> dict[str, Any]:
    return {"partition_index": partition, "timestamp": timestamp} | more


def list_fields(name: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "replica_id": -1,
        "isolation_level": 0,
        "topics": [{"name": name, "partitions": list(parts)}],
    } | more


def offsets(label: str, name: str, *parts: dict[str, Any], version: int = 8, **more: Any) -> Step:
    return call(Api.LIST_OFFSETS, version, label, **list_fields(name, *parts, **more))


def lists(*parts: dict[str, Any], name: str = "o", **more: Any) -> list[Step]:
    return every(Api.LIST_OFFSETS, list_fields(name, *parts, **more))


T = TIMESTAMP_MS

LIST_OFFSETS = [
    Scenario("set up", [create_and_keep_id("o", 2), *filled("o"), create("set up", topic("e"))]),
    Scenario("earliest and latest, in every version", lists(asked(0, -2), asked(1, -1), asked(1, -2))),
    Scenario("latest, in every version", lists(asked(0, -1))),
    Scenario("by time, in every version", lists(asked(0, T + 7))),
    Scenario("largest timestamp, in every version", lists(asked(0, -3))),
    Scenario("local, in every version", lists(asked(0, -4))),
    Scenario("last tiered, in every version", lists(asked(0, -5))),
    Scenario("earliest pending, in every version", lists(asked(0, -6))),
    Scenario("unsupported -7, in every version", lists(asked(0, -7))),
    Scenario("read committed, in every version", lists(asked(0, -1), isolation_level=1)),
    Scenario(
        "leader epochs, in every version that has them",
        [
            step
            for epoch in (0, 1, -2)
            for step in every(
                Api.LIST_OFFSETS,
                list_fields("o", asked(0, -1, current_leader_epoch=epoch)),
                f"epoch {epoch}",
                versions=range(4, 12),
            )
        ],
    ),
    Scenario(
        "unknown, in every version",
        [
            *lists(asked(0, -1), name="never-was"),
            *lists(asked(9, -1), asked(-1, -1)),
        ],
    ),
    Scenario(
        "times",
        [
            offsets(f"{label}", "o", asked(0, at))
            for label, at in [
                ("0", 0),
                ("before", T - 1),
                ("exactly the first", T),
                ("between", T + 1),
                ("exactly the largest", T + 10),
                ("after all", T + 11),
                ("now", Now()),
                ("largest", 2**63 - 1),
                ("smallest", -(2**63)),
                ("-100", -100),
            ]
        ],
    ),
    Scenario(
        "an empty partition",
        [offsets(f"{at}", "e", asked(0, at)) for at in (-1, -2, -3, -4, 0, T)]
        + [offsets(f"{at} in v9", "e", asked(0, at), version=9) for at in (-4, -5)]
        + [offsets("-6 in v11", "e", asked(0, -6), version=11)],
    ),
    Scenario(
        "odd requests",
        [
            offsets("a partition twice", "o", asked(0, -1), asked(0, -2)),
            offsets("a partition twice and another", "o", asked(0, -1), asked(0, -2), asked(1, -1)),
            call(
                Api.LIST_OFFSETS,
                8,
                "a topic twice",
                replica_id=-1,
                isolation_level=0,
                topics=[
                    {"name": "o", "partitions": [asked(0, -1)]},
                    {"name": "o", "partitions": [asked(1, -1)]},
                ],
            ),
            offsets("no partitions", "o"),
            offsets("isolation level 2", "o", asked(0, -1), isolation_level=2),
            offsets("as a replica", "o", asked(0, -1), replica_id=1),
            offsets("as a replica, by time", "o", asked(0, T), replica_id=1),
            offsets("as the debugger", "o", asked(0, -1), replica_id=-2),
            offsets("wrong name", "bad/name", asked(0, -1)),
            offsets("empty name", "", asked(0, -1)),
            offsets("timeout 0", "o", asked(0, -1), version=10, timeout_ms=0),
            offsets("timeout -1", "o", asked(0, -1), version=10, timeout_ms=-1),
        ],
    ),
    Scenario(
        "after records were deleted",
        [
            forget("up to 3", "o", (0, 3)),
            *(offsets(f"{at}", "o", asked(0, at)) for at in (-1, -2, -3, -4, 0, T, T + 1, T + 10)),
        ],
    ),
    Scenario(
        "times that go back and forth",
        [
            create("set up", topic("zig")),
            produce(
                "in one batch",
                "zig",
                Batch(
                    [
                        Record(timestamp_delta=5),
                        Record(timestamp_delta=1),
                        Record(timestamp_delta=9),
                        Record(timestamp_delta=9),
                        Record(timestamp_delta=2),
                    ]
                ),
            ),
            produce("compressed", "zig", Batch([Record(timestamp_delta=9), Record()], codec=GZIP)),
            *(offsets(f"{at}", "zig", asked(0, T + at)) for at in range(11)),
            offsets("largest", "zig", asked(0, -3)),
        ],
    ),
    Scenario(
        "under log append time",
        [
            create("set up", topic("app", configs={"message.timestamp.type": "LogAppendTime"})),
            produce("first", "app", Batch(records(b"a", b"b"))),
            produce("compressed", "app", Batch(records(b"c", b"d"), codec=LZ4)),
            offsets("largest", "app", asked(0, -3)),
            offsets("long ago", "app", asked(0, T)),
            offsets("far ahead", "app", asked(0, Now(10_000_000))),
        ],
    ),
]


# --- OffsetForLeaderEpoch --------------------------------------------------------------------------------------


def epoch_fields(name: str, *triples: tuple[int, int, int], replica: int = -1) -> dict[str, Any]:
    """(partition, leader epoch, current leader epoch)."""
    return {
        "replica_id": replica,
        "topics": [
            {
                "topic": name,
                "partitions": [
                    {"partition": at, "leader_epoch": epoch, "current_leader_epoch": current}
                    for at, epoch, current in triples
                ],
            }
        ],
    }


LEADER_EPOCHS = [
    Scenario("set up", [create_and_keep_id("o", 2), *filled("o")]),
    Scenario(
        "in every version",
        every(Api.OFFSET_FOR_LEADER_EPOCH, epoch_fields("o", (0, 0, -1), (1, 0, -1))),
    ),
    Scenario(
        "wrong, in every version",
        [
            *every(
                Api.OFFSET_FOR_LEADER_EPOCH,
                epoch_fields("o", (0, 0, 0), (0, 0, 1), (0, 0, -2), (0, 5, -1), (0, -1, -1), (9, 0, -1)),
            ),
            *every(Api.OFFSET_FOR_LEADER_EPOCH, epoch_fields("never-was", (0, 0, -1))),
        ],
    ),
    Scenario(
        "one at a time",
        [
            call(
                Api.OFFSET_FOR_LEADER_EPOCH,
                4,
                f"epoch {epoch}, current {current}",
                **epoch_fields("o", (0, epoch, current)),
            )
            for epoch, current in [(0, 0), (0, 1), (0, -2), (1, -1), (5, 0), (-1, -1), (-2, 0)]
        ],
    ),
    Scenario(
        "odd requests",
        [
            call(Api.OFFSET_FOR_LEADER_EPOCH, 4, "as a replica", **epoch_fields("o", (0, 0, -1), replica=1)),
            call(Api.OFFSET_FOR_LEADER_EPOCH, 4, "as the debugger", **epoch_fields("o", (0, 0, -1), replica=-2)),
            call(Api.OFFSET_FOR_LEADER_EPOCH, 4, "nothing", replica_id=-1, topics=[]),
            call(Api.OFFSET_FOR_LEADER_EPOCH, 4, "wrong name", **epoch_fields("a/b", (0, 0, -1))),
        ],
    ),
]

FAMILIES = [
    Family("fetch", PLAIN, KEEP_FOREVER),
    Family("fetch_limits", LIMITS, KEEP_FOREVER),
    Family("fetch_sessions", SESSIONS, KEEP_FOREVER),
    Family("list_offsets", LIST_OFFSETS, KEEP_FOREVER),
    Family("leader_epochs", LEADER_EPOCHS, KEEP_FOREVER),
]
