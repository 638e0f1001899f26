"""Transactions: their coordinator's APIs, and what Produce, Fetch and ListOffsets make of them.

A transaction is ended after it was answered: what follows an end is asked patiently, or read by a Fetch that waits, at the
first offset that is not stable, for what moves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.handmade import TRANSACTIONAL_BIT, records
from support.scenarios import Batch, Family, Kept, Scenario, Step, call, every, patient
from support.wire import Api
from wire.shapes import KEEP_FOREVER, create, fetch, fetch_partition, produce, topic

COMMITTED = 1
LATEST = -1
SETTINGS = KEEP_FOREVER | {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "100"}
WAIT_MS = 10_000


def find(transactional_id: str, version: int = 4) -> Step:
    """The coordinator; the first time its topic must be made."""
    return patient(
        call(Api.FIND_COORDINATOR, version, transactional_id, key_type=1, coordinator_keys=[transactional_id])
    )


def init(
    transactional_id: str, *, version: int = 5, label: str = "", timeout_ms: int = 60_000, keep: str = "", **more: Any
) -> Step:
    """Keeps `<keep> id` and `<keep> epoch`."""
    name = keep or transactional_id
    return patient(
        call(
            Api.INIT_PRODUCER_ID,
            version,
            label or transactional_id,
            transactional_id=transactional_id,
            transaction_timeout_ms=timeout_ms,
            keep={f"{name} id": "producer_id", f"{name} epoch": "producer_epoch"},
            **more,
        )
    )


def of(transactional_id: str, *, epoch: int = 0, name: str = "") -> dict[str, Any]:
    """Who asks: the id, and its producer id and epoch as they were kept, or an epoch so much higher."""
    kept = name or transactional_id
    return {
        "transactional_id": transactional_id,
        "producer_id": Kept(f"{kept} id"),
        "producer_epoch": Kept(f"{kept} epoch", epoch),
    }


def expected(name: str) -> dict[str, Any]:
    """Who a producer says it is, in InitProducerId."""
    return {"producer_id": Kept(f"{name} id"), "producer_epoch": Kept(f"{name} epoch")}


def asked(version: int, who: dict[str, Any]) -> dict[str, Any]:
    if version >= 4:
        return who
    return {f"v3_and_below_{name}": value for name, value in who.items()}


def add_fields(
    version: int, who: dict[str, Any], *topics: tuple[str, Sequence[int]], verify_only: bool = False
) -> dict[str, Any]:
    listed = [{"name": name, "partitions": list(partitions)} for name, partitions in topics]
    if version < 4:
        return asked(version, who) | {"v3_and_below_topics": listed}
    return {"transactions": [who | {"verify_only": verify_only, "topics": listed}]}


def add(
    label: str, who: dict[str, Any], *topics: tuple[str, Sequence[int]], version: int = 3, verify_only: bool = False
) -> Step:
    fields = add_fields(version, who, *topics, verify_only=verify_only)
    return patient(call(Api.ADD_PARTITIONS_TO_TXN, version, label, **fields))


def end(label: str, who: dict[str, Any], *, committed: bool = True, version: int = 4, keep: str = "") -> Step:
    kept = {f"{keep} id": "producer_id", f"{keep} epoch": "producer_epoch"} if keep else {}
    return patient(call(Api.END_TXN, version, label, committed=committed, keep=kept, **who))


def again(step: Step) -> Step:
    """Without patience: what is asked must be answered as it is."""
    return Step(step.label, step.api, step.version, step.fields)


def sent(name: str, first: int, count: int = 1, *, epoch: int = 0, **more: Any) -> Batch:
    """Numbered records of the producer kept as `name`, in its transaction."""
    return Batch(
        records(*(b"%d" % (first + at) for at in range(count))),
        producer_id=Kept(f"{name} id"),
        producer_epoch=Kept(f"{name} epoch", epoch),
        base_sequence=first,
        **({"attributes": TRANSACTIONAL_BIT} | more),
    )


def write(
    label: str, name: str, to: str, first: int, count: int = 1, *, version: int = 11, epoch: int = 0, **more: Any
) -> Step:
    transactional_id = more.pop("transactional_id", name)
    partition = more.pop("partition", 0)
    step = produce(
        label,
        to,
        sent(name, first, count, epoch=epoch, **more),
        version=version,
        partition=partition,
        transactional_id=transactional_id,
    )
    return patient(step)


def read_all(label: str, name: str, offset: int = 0, *, isolation_level: int = COMMITTED, **more: Any) -> Step:
    partition = more.pop("partition", 0)
    return fetch(label, name, fetch_partition(partition, offset), isolation_level=isolation_level, **more)


def wait_for(name: str, offset: int, *, partition: int = 0) -> Step:
    """A reader of committed records that waits until there is something at `offset`, such as a marker."""
    return read_all(
        f"wait for {offset}", name, offset, max_wait_ms=WAIT_MS, min_bytes=1, partition=partition, version=12
    )


def ends(name: str, *, isolation_level: int, version: int = 7, timestamp: int = LATEST) -> Step:
    asked_for = {"partition_index": 0, "current_leader_epoch": -1, "timestamp": timestamp}
    return call(
        Api.LIST_OFFSETS,
        version,
        f"isolation {isolation_level}, {timestamp}",
        replica_id=-1,
        isolation_level=isolation_level,
        topics=[{"name": name, "partitions": [asked_for]}],
    )


def describe(*transactional_ids: str) -> Step:
    return call(Api.DESCRIBE_TRANSACTIONS, 0, " ".join(transactional_ids), transactional_ids=list(transactional_ids))


def open_producers(name: str) -> Step:
    return call(Api.DESCRIBE_PRODUCERS, 0, name, topics=[{"name": name, "partition_indexes": [0]}])


LIFE = [
    Scenario(
        "coordinators are found",
        [
            create("set up", topic("life", 2)),
            find("life"),
            *every(
                Api.FIND_COORDINATOR,
                lambda v: (
                    {"key": "life", "key_type": 1} if v < 4 else {"key_type": 1, "coordinator_keys": ["life", ""]}
                ),
                versions=range(1, 7),
            ),
        ],
    ),
    Scenario(
        "one that is committed and one that is aborted",
        [
            init("life"),
            describe("life"),
            add("0", of("life"), ("life", [0])),
            describe("life"),
            write("0 and 1", "life", "life", 0, 2),
            open_producers("life"),
            read_all("nothing is stable", "life"),
            read_all("uncommitted", "life", isolation_level=0),
            ends("life", isolation_level=0),
            ends("life", isolation_level=1),
            ends("life", isolation_level=1, timestamp=0),
            end("commit", of("life")),
            wait_for("life", 0),
            end("commit again", of("life")),
            end("and abort", of("life"), committed=False),
            add("0 and 1", of("life"), ("life", [0, 1])),
            write("2", "life", "life", 2),
            end("abort", of("life"), committed=False),
            wait_for("life", 3),
            wait_for("life", 0, partition=1),
            end("abort again", of("life"), committed=False),
            read_all("with what was aborted", "life"),
            read_all("from the marker on", "life", 4),
            open_producers("life"),
            ends("life", isolation_level=1),
            describe("life"),
        ],
    ),
    Scenario(
        "AddPartitionsToTxn and EndTxn in every version up to 4",
        [
            step
            for version in range(5)
            for step in (
                add(f"for {version}", of("life"), ("life", [0]), version=min(version, 3)),
                end(f"for {version}", of("life"), version=version, committed=version % 2 == 0),
                wait_for("life", 5 + version),
            )
        ],
    ),
    Scenario(
        "with the epoch of each transaction of its own",
        [
            create("set up", topic("own", 2)),
            init("own"),
            write("0", "own", "own", 0, version=12),
            describe("own"),
            write("1", "own", "own", 1, version=12),
            write("0 in another", "own", "own", 0, version=12, partition=1),
            describe("own"),
            end("commit", of("own"), version=5, keep="next"),
            wait_for("own", 0),
            end("commit again", of("own"), version=5),
            end("and abort", of("own"), version=5, committed=False),
            write("with the former epoch", "own", "own", 2, version=12),
            write("0 with the next", "next", "own", 0, version=12, transactional_id="own"),
            end("abort", of("own", name="next"), version=5, committed=False, keep="third"),
            wait_for("own", 3),
            end("abort again", of("own", name="next"), version=5, committed=False),
            read_all("with what was aborted", "own"),
            open_producers("own"),
            end("commit nothing", of("own", name="third"), version=5),
            end("abort nothing", of("own", name="third"), version=5, committed=False, keep="fourth"),
            end("abort nothing again", of("own", name="third"), version=5, committed=False),
            describe("own"),
            end("abort nothing once more", of("own", name="fourth"), version=5, committed=False),
        ],
    ),
    Scenario(
        "listed",
        [
            call(Api.LIST_TRANSACTIONS, 0, "all", state_filters=[], producer_id_filters=[]),
            call(Api.LIST_TRANSACTIONS, 0, "by state", state_filters=["Ongoing", "none", "completeabort"]),
            call(Api.LIST_TRANSACTIONS, 1, "by duration", state_filters=["CompleteCommit"], duration_filter=3_600_000),
            call(Api.LIST_TRANSACTIONS, 2, "by name", transactional_id_pattern="li.*"),
            call(Api.LIST_TRANSACTIONS, 2, "by part of a name", transactional_id_pattern="if"),
            call(Api.LIST_TRANSACTIONS, 2, "by a broken pattern", transactional_id_pattern="(li"),
            call(Api.LIST_TRANSACTIONS, 2, "by an empty pattern", transactional_id_pattern=""),
            call(Api.LIST_TRANSACTIONS, 0, "by producer", producer_id_filters=[Kept("life id"), 99_999]),
            describe("life", "nobody", ""),
        ],
    ),
]

REFUSALS = [
    Scenario(
        "wrong producers, epochs and states",
        [
            create("set up", topic("wrong", 3)),
            find("wrong"),
            init("wrong"),
            init("wrong", label="again"),
            *(
                Step(f"{each.label} {what}", each.api, each.version, each.fields)
                for what, who in [
                    ("of an older epoch", of("wrong", epoch=-1)),
                    ("of a newer epoch", of("wrong", epoch=1)),
                    ("of another producer", of("wrong") | {"producer_id": 987_654}),
                    ("of an unknown id", of("wrong") | {"transactional_id": "unknown"}),
                    ("of an empty id", of("wrong") | {"transactional_id": ""}),
                ]
                for version in range(6)
                for each in (
                    add("", who, ("wrong", [0]), version=version),
                    end("", who, version=version),
                    end("abort", who, version=version, committed=False),
                )
            ),
            *(
                call(Api.ADD_OFFSETS_TO_TXN, version, what, group_id="g", **who)
                for what, who in [
                    ("of an older epoch", of("wrong", epoch=-1)),
                    ("of another producer", of("wrong") | {"producer_id": 987_654}),
                    ("of an unknown id", of("wrong") | {"transactional_id": "unknown"}),
                    ("of an empty id", of("wrong") | {"transactional_id": ""}),
                ]
                for version in range(5)
            ),
            call(Api.ADD_OFFSETS_TO_TXN, 4, "to an empty group", group_id="", **of("wrong")),
        ],
    ),
    Scenario(
        "an end of what was never begun, in every version",
        [
            step
            for version in range(6)
            for step in (
                init("never", label=f"for {version}"),
                again(end(f"commit in {version}", of("never"), version=version)),
                again(end(f"abort in {version}", of("never"), version=version, committed=False)),
            )
        ],
    ),
    Scenario(
        "partitions that are not there",
        [
            init("wrong"),
            *(again(add("", of("wrong"), ("wrong", [0, 9]), ("absent", [0]), version=version)) for version in range(6)),
            describe("wrong"),
            again(add("none", of("wrong"))),
            describe("wrong"),
            again(add("named twice", of("wrong"), ("wrong", [1, 1]), ("wrong", [1]))),
            describe("wrong"),
            again(add("in another's log", of("wrong"), ("__consumer_offsets", [0]))),
        ],
    ),
    Scenario(
        "only to verify",
        [
            init("verify"),
            again(add("nothing yet", of("verify"), ("wrong", [0]), version=5, verify_only=True)),
            again(add("0", of("verify"), ("wrong", [0]), version=5)),
            again(add("0 is in", of("verify"), ("wrong", [0]), version=5, verify_only=True)),
            again(add("0 is in, and not 1", of("verify"), ("wrong", [0, 1]), version=5, verify_only=True)),
            again(add("0 is in, and not 1, in 4", of("verify"), ("wrong", [0, 1]), version=4, verify_only=True)),
            again(add("older epoch", of("verify", epoch=-1), ("wrong", [0]), version=5, verify_only=True)),
            again(add("unknown partition", of("verify"), ("wrong", [7]), version=5, verify_only=True)),
            again(
                add("unknown id", of("verify") | {"transactional_id": "u"}, ("wrong", [0]), version=5, verify_only=True)
            ),
            call(
                Api.ADD_PARTITIONS_TO_TXN,
                5,
                "two at once",
                transactions=[
                    of("verify") | {"verify_only": True, "topics": [{"name": "wrong", "partitions": [0]}]},
                    of("wrong") | {"verify_only": False, "topics": [{"name": "wrong", "partitions": [2]}]},
                ],
            ),
            end("abort", of("verify"), committed=False),
        ],
    ),
    Scenario(
        "batches outside of what the coordinator knows",
        [
            create("set up", topic("out", 2)),
            init("out"),
            *(again(write("not added", "out", "out", 0, version=version)) for version in range(3, 12)),
            again(write("without a transactional id", "out", "out", 0, transactional_id=None)),
            again(write("of an unknown one", "out", "out", 0, transactional_id="unknown")),
            again(write("of an unknown one in 12", "out", "out", 0, transactional_id="unknown", version=12)),
            again(write("of an older epoch", "out", "out", 0, epoch=-1)),
            again(write("of a newer epoch", "out", "out", 0, epoch=1)),
            again(write("of an older epoch in 12", "out", "out", 0, epoch=-1, version=12)),
            again(write("of a newer epoch in 12", "out", "out", 0, epoch=1, version=12)),
            again(write("outside of the transaction", "out", "out", 0, attributes=0)),
            add("0", of("out"), ("out", [0])),
            again(write("1 of 0, in the transaction", "out", "out", 1)),
            again(write("1 again, outside of the transaction", "out", "out", 2, attributes=0)),
            again(write("to the other partition", "out", "out", 0, partition=1)),
            again(write("at sequence 7 in 12", "out", "out", 7, version=12, partition=1)),
            again(write("at sequence 0 in 12", "out", "out", 0, version=12, partition=1)),
            end("abort", of("out"), committed=False),
            end("abort again", of("out"), committed=False),
            read_all("what is there", "out", isolation_level=0),
            read_all("what is there", "out", isolation_level=0, partition=1),
        ],
    ),
    Scenario(
        "timeouts",
        [
            init("timeouts", label=f"timeout {timeout_ms} in {version}", timeout_ms=timeout_ms, version=version)
            for timeout_ms in (0, -1, 1, 900_000, 900_001, 2**31 - 1)
            for version in (0, 5)
        ],
    ),
]

FENCING = [
    Scenario(
        "a second producer fences the first, whose transaction is aborted",
        [
            create("set up", topic("fence")),
            find("fence"),
            init("fence", keep="first"),
            add("0", of("fence", name="first"), ("fence", [0])),
            write("0", "first", "fence", 0, transactional_id="fence"),
            again(init("fence", keep="second", label="while it is open")),
            init("fence", keep="second", label="after it was aborted"),
            read_all("aborted", "fence"),
            describe("fence"),
            again(write("by the first", "first", "fence", 1, transactional_id="fence")),
            again(write("by the first in 12", "first", "fence", 1, transactional_id="fence", version=12)),
            *(
                again(step)
                for version in range(6)
                for step in (
                    end("by the first", of("fence", name="first"), version=version),
                    add("by the first", of("fence", name="first"), ("fence", [0]), version=version),
                )
            ),
            write("0 by the second", "second", "fence", 0, transactional_id="fence", version=12),
            again(init("fence", keep="third", label="while the second's is open")),
            init("fence", keep="third", label="after that"),
            read_all("aborted twice", "fence"),
            open_producers("fence"),
        ],
    ),
    Scenario(
        "a producer comes back with its id and epoch",
        [
            init("back"),
            *(
                again(
                    call(
                        Api.INIT_PRODUCER_ID,
                        4,
                        f"epoch {plus:+}",
                        transaction_timeout_ms=60_000,
                        **of("back", epoch=plus),
                    )
                )
                for plus in (0, 0, 1, 0, -1, 2, 3, 1)
            ),
            again(
                call(
                    Api.INIT_PRODUCER_ID,
                    4,
                    "another producer id",
                    transaction_timeout_ms=60_000,
                    **of("back") | {"producer_id": 987_654},
                )
            ),
            *(
                again(
                    call(
                        Api.INIT_PRODUCER_ID,
                        3,
                        f"{transactional_id} with id {producer_id}, epoch {epoch}",
                        transactional_id=transactional_id,
                        transaction_timeout_ms=60_000,
                        producer_id=producer_id,
                        producer_epoch=epoch,
                    )
                )
                for transactional_id, producer_id, epoch in [
                    ("back", 5, -1),
                    ("back", -1, 5),
                    ("new one", 987_654, 7),
                ]
            ),
        ],
    ),
    Scenario(
        "a transaction that takes too long",
        [
            create("set up", topic("late")),
            init("late", timeout_ms=200),
            add("0", of("late"), ("late", [0])),
            write("0", "late", "late", 0),
            wait_for("late", 0),
            open_producers("late"),
            end("too late", of("late")),
            end("too late, but the same in 5", of("late"), version=5, committed=False),
            end("too late in 5", of("late"), version=5),
            describe("late"),
            init("late", label="and goes on", version=5, timeout_ms=60_000, keep="next", **expected("late")),
            init("late", label="from the start", timeout_ms=60_000),
        ],
    ),
]


def marker(label: str, *, version: int = 2, committed: bool, producer_id: Any, epoch: Any, **more: Any) -> Step:
    one = {
        "producer_id": producer_id,
        "producer_epoch": epoch,
        "transaction_result": committed,
        "topics": more.pop("topics", [{"name": "marked", "partition_indexes": [0]}]),
        "coordinator_epoch": more.pop("coordinator_epoch", 0),
    }
    if version >= 2:
        one["transaction_version"] = more.pop("transaction_version", 0)
    return call(Api.WRITE_TXN_MARKERS, version, label, markers=[one])


MARKERS = [
    Scenario(
        "markers written by hand",
        [
            create("set up", topic("marked", 2)),
            find("marked"),
            init("marked"),
            add("0", of("marked"), ("marked", [0])),
            write("0", "marked", "marked", 0),
            marker("commit", committed=True, producer_id=Kept("marked id"), epoch=Kept("marked epoch")),
            marker(
                "abort nothing", version=1, committed=False, producer_id=Kept("marked id"), epoch=Kept("marked epoch")
            ),
            marker("an older epoch", committed=False, producer_id=Kept("marked id"), epoch=Kept("marked epoch", -1)),
            marker("of an unknown producer", committed=False, producer_id=555_555, epoch=3, coordinator_epoch=7),
            marker("of an older coordinator", committed=False, producer_id=555_555, epoch=3, coordinator_epoch=6),
            marker(
                "the same epoch in version 2",
                committed=False,
                producer_id=555_555,
                epoch=3,
                coordinator_epoch=7,
                transaction_version=2,
            ),
            marker(
                "where there is nothing",
                committed=True,
                producer_id=555_555,
                epoch=3,
                topics=[{"name": "absent", "partition_indexes": [0]}, {"name": "marked", "partition_indexes": [1, 9]}],
            ),
            read_all("what is there", "marked"),
            open_producers("marked"),
        ],
    ),
]


def commit_offsets(
    label: str, who: dict[str, Any], *offsets: tuple[str, int, int], version: int = 3, **more: Any
) -> Step:
    topics: dict[str, list[dict[str, Any]]] = {}
    for name, index, offset in offsets:
        topics.setdefault(name, []).append(
            {"partition_index": index, "committed_offset": offset, "committed_metadata": more.get("metadata", "m")}
        )
    more.pop("metadata", None)
    fields = {"group_id": "g", "topics": [{"name": n, "partitions": p} for n, p in topics.items()]} | who | more
    return patient(call(Api.TXN_OFFSET_COMMIT, version, label, **fields))


def stable_offsets(label: str, *, require_stable: bool) -> Step:
    topics = [{"name": "off", "partition_indexes": [0, 1]}]
    groups = [{"group_id": "g", "topics": topics}]
    return call(Api.OFFSET_FETCH, 8, f"{label}, stable {require_stable}", groups=groups, require_stable=require_stable)


OFFSETS = [
    Scenario(
        "offsets in a transaction",
        [
            create("set up", topic("off", 2)),
            find("off"),
            patient(call(Api.FIND_COORDINATOR, 4, "of the group", key_type=0, coordinator_keys=["g"])),
            patient(call(Api.OFFSET_FETCH, 8, "until it is there", groups=[{"group_id": "g", "topics": None}])),
            init("off"),
            *(again(commit_offsets(f"not added, in {v}", of("off"), ("off", 0, 5), version=v)) for v in range(5)),
            *(patient(call(Api.ADD_OFFSETS_TO_TXN, v, "g", group_id="g", **of("off"))) for v in range(5)),
            *(commit_offsets(f"in {v}", of("off"), ("off", 0, 5 + v), version=v) for v in range(5)),
            describe("off"),
            stable_offsets("while it is open", require_stable=True),
            stable_offsets("while it is open", require_stable=False),
            again(commit_offsets("with a generation", of("off"), ("off", 0, 7), generation_id=3, member_id="m")),
            again(commit_offsets("unknown topic", of("off"), ("absent", 0, 7), ("off", 9, 1))),
            again(commit_offsets("older epoch", of("off", epoch=-1), ("off", 0, 7))),
            again(commit_offsets("empty group", of("off"), ("off", 0, 7), group_id="")),
            again(commit_offsets("large metadata", of("off"), ("off", 1, 7), metadata="m" * 5000)),
            again(commit_offsets("negative offset", of("off"), ("off", 1, -1))),
            end("commit", of("off")),
            end("commit again", of("off")),
            stable_offsets("once committed", require_stable=True),
            commit_offsets("implicitly in 5", of("off"), ("off", 1, 9), ("off", 0, 99), version=5),
            describe("off"),
            end("abort", of("off"), version=5, committed=False),
            end("abort again", of("off"), version=5, committed=False),
            stable_offsets("once aborted", require_stable=True),
        ],
    ),
]

FAMILIES = [
    Family("transactions", LIFE, SETTINGS),
    Family("transaction_refusals", REFUSALS, SETTINGS),
    Family("transaction_fencing", FENCING, SETTINGS),
    Family("transaction_markers", MARKERS, SETTINGS),
    Family("transaction_offsets", OFFSETS, SETTINGS),
]
