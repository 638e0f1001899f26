"""ApiVersions, Metadata, DescribeCluster, DescribeTopicPartitions, DescribeLogDirs: what a broker says of itself."""

from typing import Any

from support.handmade import records
from support.scenarios import Batch, Family, Kept, Scenario, Step, call, every
from support.schema import ZERO_UUID
from support.wire import Api
from wire.shapes import create, create_and_keep_id, metadata, produce, topic

MADE_UP_ID = "11112222333344445555666677778888"

API_VERSIONS = [
    Scenario(
        "in every version",
        every(Api.API_VERSIONS, {"client_software_name": "wire-tests", "client_software_version": "1.0"}),
    ),
    Scenario(
        "client names",
        [
            call(
                Api.API_VERSIONS,
                3,
                f"{name!r} {version!r}",
                client_software_name=name,
                client_software_version=version,
            )
            for name, version in [
                ("", "1"),
                ("a", ""),
                ("-a", "1"),
                ("a b", "1"),
                ("a.b-c", "1.2-x"),
                ("a_b", "1"),
                ("a", "1.0-"),
                ("x" * 300, "1"),
            ]
        ],
    ),
]


def ask(label: str, version: int, topics: Any, **more: Any) -> Step:
    return call(Api.METADATA, version, label, topics=topics, **more)


def named(*names: str | None) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


def identified(*pairs: tuple[str | None, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "topic_id": uid} for name, uid in pairs]


def everything(version: int) -> dict[str, Any]:
    return {"topics": [] if version == 0 else None, "allow_auto_topic_creation": False}


METADATA = [
    Scenario("all of nothing, in every version", every(Api.METADATA, everything)),
    Scenario("none, in every version", every(Api.METADATA, {"topics": []})),
    Scenario(
        "one topic, in every version",
        [create_and_keep_id("m", 3), *every(Api.METADATA, {"topics": named("m"), "allow_auto_topic_creation": False})],
    ),
    Scenario(
        "all of one, in every version",
        every(Api.METADATA, everything),
    ),
    Scenario(
        "unknown and wrong names, in every version that can ask not to create",
        every(
            Api.METADATA,
            {"topics": named("never-was", "bad/name", "", "m"), "allow_auto_topic_creation": False},
            versions=range(4, 14),
        ),
    ),
    Scenario(
        "wrong names with creation, in every version",
        every(
            Api.METADATA,
            {"topics": named("bad/name", ".", "x" * 250), "allow_auto_topic_creation": True},
        ),
    ),
    Scenario(
        "authorized operations, in every version that has them",
        every(
            Api.METADATA,
            {
                "topics": named("m", "never-was"),
                "include_cluster_authorized_operations": True,
                "include_topic_authorized_operations": True,
                "allow_auto_topic_creation": False,
            },
            versions=range(8, 14),
        ),
    ),
    Scenario(
        "by id",
        [
            ask("id in v12", 12, identified((None, Kept("m id")))),
            ask("id in v13", 13, identified((None, Kept("m id")))),
            ask("unknown id", 12, identified((None, MADE_UP_ID))),
            ask("known and unknown id", 12, identified((None, Kept("m id")), (None, MADE_UP_ID))),
            ask("name and id", 12, identified(("m", Kept("m id")))),
            ask("name and wrong id", 12, identified(("m", MADE_UP_ID))),
            ask("no name and zero id", 12, identified((None, ZERO_UUID))),
            ask("a name and an id", 12, identified(("m", ZERO_UUID), (None, Kept("m id")))),
            ask("id in v10", 10, identified((None, Kept("m id")))),
            ask("id in v11", 11, identified((None, Kept("m id")))),
            ask("name and id in v10", 10, identified(("m", Kept("m id")))),
            ask("null name in v10", 10, identified((None, ZERO_UUID))),
            ask("id twice", 12, identified((None, Kept("m id")), (None, Kept("m id")))),
        ],
    ),
    Scenario(
        "a name twice",
        [
            ask("known", 12, named("m", "m"), allow_auto_topic_creation=False),
            ask("unknown", 12, named("n", "n"), allow_auto_topic_creation=False),
        ],
    ),
    Scenario(
        "automatic creation",
        [
            metadata("the first answer", "auto-1", create=True),
            metadata("the second", "auto-1", create=True),
            ask("v0 always creates", 0, named("auto-0")),
            ask("v0 created", 0, named("auto-0")),
            metadata("two at once, one wrong", "auto-2", "bad name", create=True),
            metadata("they are there", "auto-2", create=False),
            metadata("a name that collides", "auto_2", create=True),
            metadata("a colliding pair", "c.d", "c_d", create=True),
            metadata("the pair", "c.d", "c_d"),
            metadata("the metadata log", "__cluster_metadata", create=True),
        ],
    ),
    Scenario(
        "order of many",
        [
            create("set up", topic("zeta"), topic("alpha"), topic("mid", 2)),
            ask("as asked", 12, named("zeta", "alpha", "mid"), allow_auto_topic_creation=False),
        ],
    ),
]


DESCRIBE_CLUSTER = [
    Scenario("in every version", every(Api.DESCRIBE_CLUSTER, {})),
    Scenario(
        "authorized operations, in every version",
        every(Api.DESCRIBE_CLUSTER, {"include_cluster_authorized_operations": True}),
    ),
    Scenario(
        "endpoint types",
        [
            call(Api.DESCRIBE_CLUSTER, version, f"type {kind}", endpoint_type=kind)
            for version in (1, 2)
            for kind in (1, 2, 0, 3, -1)
        ],
    ),
    Scenario("fenced too", [call(Api.DESCRIBE_CLUSTER, 2, "fenced", include_fenced_brokers=True)]),
]


def partitions(label: str, *names: str, limit: int = 2000, cursor: tuple[str, int] | None = None) -> Step:
    at = None if cursor is None else {"topic_name": cursor[0], "partition_index": cursor[1]}
    return call(
        Api.DESCRIBE_TOPIC_PARTITIONS,
        0,
        label,
        topics=named(*names),
        response_partition_limit=limit,
        cursor=at,
    )


DESCRIBE_TOPIC_PARTITIONS = [
    Scenario("nothing there", [partitions("all")]),
    Scenario(
        "topics",
        [
            create("set up", topic("p-b", 3), topic("p-a", 2), topic("p-c", 1)),
            partitions("all"),
            partitions("one", "p-b"),
            partitions("two, unsorted", "p-c", "p-a"),
            partitions("unknown", "never-was"),
            partitions("unknown and known", "never-was", "p-a", "zzz"),
            partitions("wrong name", "bad/name"),
            partitions("empty name", ""),
            partitions("twice", "p-a", "p-a"),
        ],
    ),
    Scenario(
        "limits and cursors",
        [
            partitions("limit 1", limit=1),
            partitions("limit 2", limit=2),
            partitions("limit 3", limit=3),
            partitions("limit 5", limit=5),
            partitions("limit 6", limit=6),
            partitions("limit 0", limit=0),
            partitions("limit -1", limit=-1),
            partitions("from the middle", cursor=("p-b", 1)),
            partitions("from the middle, limit 1", cursor=("p-b", 1), limit=1),
            partitions("from a topic's end", cursor=("p-b", 3)),
            partitions("from beyond", cursor=("p-b", 9)),
            partitions("from an unknown topic", cursor=("p-aa", 0)),
            partitions("from after the last", cursor=("zzz", 0)),
            partitions("negative", cursor=("p-b", -1)),
            partitions("named, from one not named", "p-a", "p-c", cursor=("p-b", 1)),
            partitions("named, from one before", "p-b", "p-c", cursor=("p-b", 2)),
            partitions("named unknown, limit 1", "never-was", "p-a", limit=1),
        ],
    ),
]

DESCRIBE_LOG_DIRS = [
    Scenario("all of nothing, in every version", every(Api.DESCRIBE_LOG_DIRS, {"topics": None})),
    Scenario(
        "one topic, in every version",
        [
            create("set up", topic("l", 2)),
            produce("one record", "l", Batch(records(b"x" * 100))),
            *every(Api.DESCRIBE_LOG_DIRS, {"topics": [{"topic": "l", "partitions": [0, 1]}]}),
        ],
    ),
    Scenario(
        "others",
        [
            call(Api.DESCRIBE_LOG_DIRS, 4, "all", topics=None),
            call(Api.DESCRIBE_LOG_DIRS, 4, "none", topics=[]),
            call(Api.DESCRIBE_LOG_DIRS, 4, "unknown", topics=[{"topic": "nope", "partitions": [0]}]),
            call(Api.DESCRIBE_LOG_DIRS, 4, "no partitions", topics=[{"topic": "l", "partitions": []}]),
            call(Api.DESCRIBE_LOG_DIRS, 4, "out of range", topics=[{"topic": "l", "partitions": [0, 7, -1]}]),
            call(Api.DESCRIBE_LOG_DIRS, 4, "twice", topics=[{"topic": "l", "partitions": [0, 0]}]),
            call(Api.DESCRIBE_LOG_DIRS, 4, "wrong name", topics=[{"topic": "a/b", "partitions": [0]}]),
        ],
    ),
]

FAMILIES = [
    Family("api_versions", API_VERSIONS),
    Family("metadata", METADATA),
    Family(
        "metadata_without_creation",
        [
            Scenario(
                "creation is off, in every version",
                every(
                    Api.METADATA,
                    {"topics": named("never-was", "bad/name"), "allow_auto_topic_creation": True},
                ),
            )
        ],
        {"auto.create.topics.enable": "false"},
    ),
    Family("describe_cluster", DESCRIBE_CLUSTER),
    Family("describe_topic_partitions", DESCRIBE_TOPIC_PARTITIONS),
    Family("describe_log_dirs", DESCRIBE_LOG_DIRS, {"log.retention.ms": "-1"}),
]
