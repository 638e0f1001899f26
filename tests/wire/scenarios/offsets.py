"""ListOffsets and OffsetForLeaderEpoch: from where can be read."""

from __future__ import annotations

from typing import Any

from support.handmade import (
    GZIP,
    LZ4,
    TIMESTAMP_MS,
    Record,
    records,
)
from support.scenarios import Batch, Family, Now, Scenario, Step, call, every
from support.wire import Api
from wire.scenarios.topics import forget
from wire.shapes import (
    KEEP_FOREVER,
    create,
    create_and_keep_id,
    filled,
    produce,
    topic,
)


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
    Family("list_offsets", LIST_OFFSETS, KEEP_FOREVER),
    Family("leader_epochs", LEADER_EPOCHS, KEEP_FOREVER),
]
