"""DeleteTopics, CreatePartitions and DeleteRecords: what becomes of topics that exist."""

from typing import Any

from support.handmade import records
from support.scenarios import Batch, Family, Kept, Scenario, Step, call, every
from support.schema import ZERO_UUID
from support.wire import Api
from wire.shapes import TIMEOUT_MS, create, create_and_keep_id, metadata, produce, topic

MADE_UP_ID = "11112222333344445555666677778888"


# --- DeleteTopics ------------------------------------------------------------------------------------------


def delete_fields(version: int, *targets: Any, timeout_ms: int = TIMEOUT_MS) -> dict[str, Any]:
    """Targets are names or, from v6, (name, id) pairs."""
    if version < 6:
        return {"topic_names": list(targets), "timeout_ms": timeout_ms}
    pairs = [target if isinstance(target, tuple) else (target, ZERO_UUID) for target in targets]
    return {"topics": [{"name": name, "topic_id": uid} for name, uid in pairs], "timeout_ms": timeout_ms}


def delete(label: str, *targets: Any, version: int = 6, timeout_ms: int = TIMEOUT_MS) -> Step:
    return call(Api.DELETE_TOPICS, version, label, **delete_fields(version, *targets, timeout_ms=timeout_ms))


def deleting() -> list[Scenario]:
    each = range(1, 7)
    return [
        Scenario(
            "delete, in every version",
            [
                create("set up", *(topic(f"gone-{v}") for v in each)),
                *every(Api.DELETE_TOPICS, lambda v: delete_fields(v, f"gone-{v}")),
                metadata("gone", *(f"gone-{v}" for v in each)),
            ],
        ),
        Scenario(
            "delete unknown topics, in every version",
            every(Api.DELETE_TOPICS, lambda v: delete_fields(v, "never-was", "bad/name", "")),
        ),
        Scenario(
            "delete by id",
            [
                create_and_keep_id("by-id"),
                create_and_keep_id("by-id-2"),
                delete("id", (None, Kept("by-id id"))),
                delete("the same id again", (None, Kept("by-id id"))),
                delete("made-up id", (None, MADE_UP_ID)),
                delete("zero id and no name", (None, ZERO_UUID)),
                delete("name and id", ("by-id-2", Kept("by-id-2 id"))),
                delete("name and another's id", ("by-id-2", MADE_UP_ID)),
                metadata("still there", "by-id-2"),
                delete("once by name, once by id", "by-id-2", (None, Kept("by-id-2 id"))),
                delete("id twice", (None, Kept("by-id-2 id")), (None, Kept("by-id-2 id"))),
                metadata("still there?", "by-id-2"),
            ],
        ),
        Scenario(
            "delete one name twice",
            [
                create("set up", topic("twice"), topic("twice-other")),
                delete("twice", "twice", "twice", version=6),
                delete("twice with another", "twice", "twice-other", "twice", version=5),
                metadata("which are left", "twice", "twice-other"),
                delete("nothing"),
                delete("unknown twice", "nope", "nope"),
            ],
        ),
        Scenario(
            "delete with timeouts",
            [
                create("set up", topic("timely")),
                delete("0", "timely", timeout_ms=0),
                delete("-1", "timely", timeout_ms=-1),
                delete("0, unknown", "unknown", timeout_ms=0),
                metadata("still there", "timely"),
            ],
        ),
        Scenario(
            "delete and create again",
            [
                create_and_keep_id("again"),
                delete("first", "again"),
                create_and_keep_id("again", 2),
                metadata("second", "again"),
            ],
        ),
    ]


# --- CreatePartitions ----------------------------------------------------------------------------------------


def grow(
    label: str,
    name: str,
    count: int,
    *assignments: list[int],
    version: int = 3,
    timeout_ms: int = TIMEOUT_MS,
    validate_only: bool = False,
) -> Step:
    return call(
        Api.CREATE_PARTITIONS,
        version,
        label,
        topics=[grown(name, count, *assignments)],
        timeout_ms=timeout_ms,
        validate_only=validate_only,
    )


def grown(name: str, count: int, *assignments: list[int], null: bool = True) -> dict[str, Any]:
    listed = [{"broker_ids": each} for each in assignments]
    return {"name": name, "count": count, "assignments": listed or (None if null else [])}


def growing() -> list[Scenario]:
    return [
        Scenario(
            "grow, in every version",
            [
                create("set up", topic("grow", 1)),
                *every(Api.CREATE_PARTITIONS, lambda v: {"topics": [grown("grow", v + 2)], "timeout_ms": TIMEOUT_MS}),
                metadata("grown", "grow"),
            ],
        ),
        Scenario(
            "refuse to grow",
            [
                create("set up", topic("still", 3)),
                grow("the same count", "still", 3),
                grow("fewer", "still", 2),
                grow("zero", "still", 0),
                grow("negative", "still", -1),
                grow("unknown topic", "never-was", 5),
                grow("wrong name", "bad/name", 5),
                grow("empty name", "", 5),
                grow("timeout 0", "still", 4, timeout_ms=0),
                grow("timeout -1", "still", 4, timeout_ms=-1),
                grow("only validated", "still", 4, validate_only=True),
                grow("only validated, wrong", "still", 1, validate_only=True),
                metadata("unchanged", "still"),
            ],
        ),
        Scenario(
            "grow with assignments",
            [
                create("set up", topic("placed", 1)),
                grow("one for one", "placed", 2, [1]),
                grow("one for two", "placed", 4, [1]),
                grow("three for two", "placed", 4, [1], [1], [1]),
                grow("unknown node", "placed", 3, [7]),
                grow("node twice", "placed", 3, [1, 1]),
                grow("no nodes", "placed", 3, []),
                grow("two nodes", "placed", 3, [1, 2]),
                grow("differing sizes", "placed", 4, [1], [1, 2]),
                call(
                    Api.CREATE_PARTITIONS,
                    3,
                    "an empty list of assignments",
                    topics=[grown("placed", 3, null=False)],
                    timeout_ms=TIMEOUT_MS,
                ),
                grow("two for two", "placed", 4, [1], [1]),
                metadata("now", "placed"),
            ],
        ),
        Scenario(
            "grow several",
            [
                create("set up", topic("several"), topic("several-2")),
                call(
                    Api.CREATE_PARTITIONS,
                    3,
                    "one name twice, one unknown, one right",
                    topics=[
                        grown("several", 2),
                        grown("several", 3),
                        grown("nobody", 2),
                        grown("several-2", 2),
                    ],
                    timeout_ms=TIMEOUT_MS,
                ),
                metadata("now", "several", "several-2"),
                call(Api.CREATE_PARTITIONS, 3, "none", topics=[], timeout_ms=TIMEOUT_MS),
            ],
        ),
    ]


# --- DeleteRecords -------------------------------------------------------------------------------------------


def forget(label: str, name: str, *pairs: tuple[int, int], version: int = 2) -> Step:
    return call(Api.DELETE_RECORDS, version, label, topics=[forgotten(name, *pairs)], timeout_ms=TIMEOUT_MS)


def forgotten(name: str, *pairs: tuple[int, int]) -> dict[str, Any]:
    return {
        "name": name,
        "partitions": [{"partition_index": at, "offset": offset} for at, offset in pairs],
    }


def offsets(label: str, name: str) -> Step:
    return call(
        Api.LIST_OFFSETS,
        6,
        label,
        replica_id=-1,
        isolation_level=0,
        topics=[{"name": name, "partitions": [{"partition_index": 0, "timestamp": -2}]}],
    )


TEN = records(*(b"%d" % at for at in range(10)))


def forgetting() -> list[Scenario]:
    return [
        Scenario(
            "delete records, in every version",
            [
                create("set up", topic("records", 2)),
                produce("ten", "records", Batch(TEN)),
                *every(
                    Api.DELETE_RECORDS,
                    lambda v: {"topics": [forgotten("records", (0, v + 1))], "timeout_ms": TIMEOUT_MS},
                ),
                offsets("now", "records"),
            ],
        ),
        Scenario(
            "delete records at odd offsets",
            [
                forget("below the start", "records", (0, 1)),
                forget("negative", "records", (0, -2)),
                forget("beyond the end", "records", (0, 11)),
                forget("empty partition, offset 0", "records", (1, 0)),
                forget("empty partition, offset 1", "records", (1, 1)),
                forget("partition out of range", "records", (2, 0), (-1, 0)),
                forget("unknown topic", "never-was", (0, 0)),
                forget("wrong name", "bad/name", (0, 0)),
                forget("a partition twice", "records", (0, 4), (0, 5)),
                forget("no partitions", "records"),
                forget("all (-1)", "records", (0, -1)),
                offsets("now", "records"),
                call(
                    Api.DELETE_RECORDS,
                    2,
                    "a topic twice",
                    topics=[forgotten("records", (0, 10)), forgotten("records", (1, 0))],
                    timeout_ms=TIMEOUT_MS,
                ),
                call(
                    Api.DELETE_RECORDS,
                    2,
                    "timeout 0",
                    topics=[forgotten("records", (0, 10))],
                    timeout_ms=0,
                ),
                call(Api.DELETE_RECORDS, 2, "none", topics=[], timeout_ms=TIMEOUT_MS),
            ],
        ),
        Scenario(
            "delete records by cleanup policy",
            [
                create(
                    "set up",
                    topic("compacted", configs={"cleanup.policy": "compact"}),
                    topic("both", configs={"cleanup.policy": "compact,delete"}),
                    topic("neither", configs={"cleanup.policy": ""}),
                ),
                forget("compacted", "compacted", (0, 0)),
                forget("compacted, partition out of range", "compacted", (9, 0)),
                forget("both", "both", (0, 0)),
                forget("neither", "neither", (0, 0)),
            ],
        ),
    ]


FAMILIES = [
    Family("delete_topics", deleting()),
    Family("create_partitions", growing()),
    Family("delete_records", forgetting(), {"log.retention.ms": "-1"}),
]
