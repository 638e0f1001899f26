"""Where partitions are and who leads them: ElectLeaders, reassignments, AlterReplicaLogDirs."""

from collections.abc import Mapping, Sequence
from typing import Any

from support.scenarios import Family, Kept, Scenario, Step, call, every
from support.wire import Api
from wire.shapes import create, topic

PREFERRED, UNCLEAN = 0, 1
TIMEOUT_MS = 30_000


def of_topics(**partitions: Sequence[int]) -> list[dict[str, Any]]:
    return [{"topic": name.replace("_", "-"), "partitions": list(each)} for name, each in partitions.items()]


def elect(label: str, topics: Any, *, kind: int = PREFERRED, version: int = 2) -> Step:
    return call(
        Api.ELECT_LEADERS,
        version,
        label,
        election_type=kind,
        topic_partitions=topics,
        timeout_ms=TIMEOUT_MS,
    )


ELECTIONS = [
    Scenario(
        "set up",
        [create("two topics", topic("e", 2), topic("f"))],
    ),
    Scenario(
        "in every version",
        [
            *every(Api.ELECT_LEADERS, {"topic_partitions": of_topics(e=[0, 1]), "timeout_ms": TIMEOUT_MS}),
            *every(Api.ELECT_LEADERS, {"topic_partitions": None, "timeout_ms": TIMEOUT_MS}, "all"),
        ],
    ),
    Scenario(
        "partitions",
        [
            elect("unknown topic", of_topics(nope=[0])),
            elect("unknown partition", of_topics(e=[0, 7, -1])),
            elect("two topics", of_topics(e=[1, 0], f=[0])),
            elect("no partitions", of_topics(e=[])),
            elect("no topics", []),
            elect("twice", [*of_topics(e=[0, 0]), *of_topics(e=[0])]),
            elect("empty name", [{"topic": "", "partitions": [0]}]),
        ],
    ),
    Scenario(
        "unclean",
        [
            elect("led already", of_topics(e=[0], nope=[0]), kind=UNCLEAN),
            elect("all", None, kind=UNCLEAN),
            elect("in v1", of_topics(e=[0]), kind=UNCLEAN, version=1),
        ],
    ),
    Scenario("a type nobody knows", [elect("2", of_topics(e=[0]), kind=2), elect("-1", of_topics(e=[0]), kind=-1)]),
]


def placed(name: str, **replicas: Sequence[int] | None) -> dict[str, Any]:
    """`p0=[1]` is partition 0 on node 1, None takes a reassignment back."""
    return {
        "name": name,
        "partitions": [
            {"partition_index": int(index[1:]), "replicas": None if nodes is None else list(nodes)}
            for index, nodes in replicas.items()
        ],
    }


def reassign(label: str, *topics: Mapping[str, Any], version: int = 1, **more: Any) -> Step:
    return call(
        Api.ALTER_PARTITION_REASSIGNMENTS,
        version,
        label,
        timeout_ms=TIMEOUT_MS,
        topics=list(topics),
        **more,
    )


def reassigned(label: str, topics: Any) -> Step:
    return call(Api.LIST_PARTITION_REASSIGNMENTS, 0, label, topics=topics, timeout_ms=TIMEOUT_MS)


def indexes(name: str, *partitions: int) -> dict[str, Any]:
    return {"name": name, "partition_indexes": list(partitions)}


REASSIGNMENTS = [
    Scenario("set up", [create("two topics", topic("r", 3), topic("s"))]),
    Scenario(
        "in every version",
        every(
            Api.ALTER_PARTITION_REASSIGNMENTS,
            {"timeout_ms": TIMEOUT_MS, "topics": [placed("r", p0=[1], p1=[2], p2=None), placed("nope", p0=[1])]},
        ),
    ),
    Scenario(
        "replicas",
        [
            reassign("where it is", placed("r", p0=[1])),
            reassign("nowhere", placed("r", p0=[])),
            reassign("unknown node", placed("r", p0=[2])),
            reassign("one and unknown", placed("r", p0=[1, 2])),
            reassign("unknown and one", placed("r", p0=[2, 1])),
            reassign("twice", placed("r", p0=[1, 1])),
            reassign("negative", placed("r", p0=[-1])),
            reassign("take back what is not under way", placed("r", p0=None, p1=None)),
            reassign("the factor must stay", placed("r", p0=[1, 2]), allow_replication_factor_change=False),
            reassign("it stays", placed("r", p0=[1]), allow_replication_factor_change=False),
        ],
    ),
    Scenario(
        "partitions",
        [
            reassign("unknown partition", placed("r", p7=[1], p0=[1])),
            reassign("unknown topic taken back", placed("nope", p0=None)),
            reassign("no partitions", {"name": "r", "partitions": []}),
            reassign("no topics"),
            reassign("two topics", placed("r", p0=[1], p2=[9]), placed("s", p0=[1])),
            reassign("a topic twice", placed("r", p0=[1]), placed("r", p0=[2])),
            reassign("empty name", placed("", p0=[1])),
        ],
    ),
    Scenario(
        "list",
        [
            reassigned("all", None),
            reassigned("none", []),
            reassigned("named", [indexes("r", 0, 1)]),
            reassigned("unknown partition", [indexes("r", 7)]),
            reassigned("unknown topic", [indexes("nope", 0)]),
            reassigned("no partitions", [indexes("r")]),
        ],
    ),
]


def moved(path: Any, *topics: tuple[str, Sequence[int]]) -> dict[str, Any]:
    return {"path": path, "topics": [{"name": name, "partitions": list(each)} for name, each in topics]}


def move(label: str, *dirs: Mapping[str, Any], version: int = 2) -> Step:
    return call(Api.ALTER_REPLICA_LOG_DIRS, version, label, dirs=list(dirs))


HERE = Kept("log directory")
LOG_DIRS = [
    Scenario(
        "set up",
        [
            create("two topics", topic("m", 2), topic("n")),
            call(
                Api.DESCRIBE_LOG_DIRS,
                4,
                "where it is",
                topics=None,
                keep={"log directory": "results.0.log_dir"},
            ),
        ],
    ),
    Scenario(
        "to where it is, in every version", every(Api.ALTER_REPLICA_LOG_DIRS, {"dirs": [moved(HERE, ("m", [0, 1]))]})
    ),
    Scenario(
        "directories",
        [
            move("unknown directory", moved("/no/such/directory", ("m", [0]))),
            move("relative", moved("data", ("m", [0]))),
            move("empty path", moved("", ("m", [0]))),
            move("two directories", moved(HERE, ("m", [0])), moved("/no/such/directory", ("m", [1]), ("n", [0]))),
            move("one topic in two", moved(HERE, ("m", [0])), moved("/no/such/directory", ("m", [0]))),
            move("none"),
        ],
    ),
    Scenario(
        "partitions",
        [
            move("unknown topic", moved(HERE, ("nope", [0]))),
            move("unknown partition", moved(HERE, ("m", [7]))),
            move("unknown both", moved("/no/such/directory", ("nope", [0]))),
            move("no partitions", moved(HERE, ("m", []))),
            move("no topics", moved(HERE)),
            move("twice", moved(HERE, ("m", [0, 0]))),
        ],
    ),
]

FAMILIES = [
    Family("elect_leaders", ELECTIONS),
    Family("reassignments", REASSIGNMENTS),
    Family("alter_replica_log_dirs", LOG_DIRS),
]
