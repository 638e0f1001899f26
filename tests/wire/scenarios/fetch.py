"""Fetch: every version, limits, waiting."""

from __future__ import annotations

from support.handmade import (
    ZSTD,
    records,
)
from support.scenarios import Batch, Family, Kept, Scenario, Step, answer, call, every
from support.schema import ZERO_UUID
from support.wire import Api
from wire.scenarios.topics import delete, forget
from wire.shapes import (
    KEEP_FOREVER,
    MADE_UP_ID,
    by_id,
    create_and_keep_id,
    fetch,
    fetch_fields,
    fetch_partition,
    fetches,
    filled,
    produce,
)

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


FAMILIES = [
    Family("fetch", PLAIN, KEEP_FOREVER),
    Family("fetch_limits", LIMITS, KEEP_FOREVER),
]
