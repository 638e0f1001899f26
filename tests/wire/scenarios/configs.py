"""DescribeConfigs, AlterConfigs and IncrementalAlterConfigs."""

from typing import Any

from support.scenarios import Family, Scenario, Step, call, every
from support.wire import Api
from wire.shapes import create, topic

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def resource(kind: int, name: str, *keys: str, every_key: bool = True) -> dict[str, Any]:
    listed = None if every_key and not keys else list(keys)
    return {"resource_type": kind, "resource_name": name, "configuration_keys": listed}


def describe(
    label: str, *resources: dict[str, Any], version: int = 4, synonyms: bool = False, docs: bool = False
) -> Step:
    more = {"include_documentation": docs} if version >= 3 else {}
    return call(
        Api.DESCRIBE_CONFIGS,
        version,
        label,
        resources=list(resources),
        include_synonyms=synonyms,
        **more,
    )


def change(kind: int, name: str, *changes: tuple[str, int, str | None]) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "resource_name": name,
        "configs": [{"name": key, "config_operation": operation, "value": value} for key, operation, value in changes],
    }


def alter(label: str, *changes: dict[str, Any], validate_only: bool = False) -> Step:
    return call(Api.INCREMENTAL_ALTER_CONFIGS, 1, label, resources=list(changes), validate_only=validate_only)


def whole(kind: int, name: str, *pairs: tuple[str, str | None]) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "resource_name": name,
        "configs": [{"name": key, "value": value} for key, value in pairs],
    }


def replace(label: str, *resources: dict[str, Any], version: int = 2, validate_only: bool = False) -> Step:
    return call(Api.ALTER_CONFIGS, version, label, resources=list(resources), validate_only=validate_only)


SOME = ("retention.ms", "cleanup.policy", "min.insync.replicas", "segment.bytes")

DESCRIBING = [
    Scenario(
        "describe a topic, in every version",
        [
            create("set up", topic("d", configs={"retention.ms": "60000", "cleanup.policy": "compact"})),
            *every(Api.DESCRIBE_CONFIGS, {"resources": [resource(TOPIC, "d")], "include_synonyms": True}),
        ],
    ),
    Scenario(
        "describe some of a topic",
        [
            describe("named", resource(TOPIC, "d", *SOME)),
            describe("named, with synonyms", resource(TOPIC, "d", *SOME), synonyms=True),
            describe("with documentation", resource(TOPIC, "d", "segment.bytes"), docs=True),
            describe("in v1", resource(TOPIC, "d", *SOME), version=1, synonyms=True),
            describe("unknown key", resource(TOPIC, "d", "no.such", "retention.ms")),
            describe("a broker's key", resource(TOPIC, "d", "log.retention.ms")),
            describe("no keys", resource(TOPIC, "d", every_key=False)),
            describe("a key twice", resource(TOPIC, "d", "retention.ms", "retention.ms")),
            describe("hidden key", resource(TOPIC, "d", "internal.segment.bytes")),
        ],
    ),
    Scenario(
        "describe what is not there",
        every(
            Api.DESCRIBE_CONFIGS,
            {
                "resources": [
                    resource(TOPIC, "never-was"),
                    resource(TOPIC, "bad/name"),
                    resource(TOPIC, ""),
                    resource(BROKER, "2", "node.id"),
                    resource(BROKER, "-1", "node.id"),
                    resource(BROKER, "one", "node.id"),
                    resource(BROKER_LOGGER, "2"),
                    resource(BROKER_LOGGER, ""),
                ]
            },
        ),
    ),
    Scenario(
        "describe resources of unknown types",
        [describe(f"type {kind}", resource(kind, "x"), resource(TOPIC, "d")) for kind in (0, 1, 3, -1, 99)],
    ),
    Scenario(
        "describe groups and client metrics",
        [
            describe("group", resource(GROUP, "g"), synonyms=True),
            describe("group without a name", resource(GROUP, "")),
            describe("client metrics", resource(CLIENT_METRICS, "c"), synonyms=True),
            describe("client metrics without a name", resource(CLIENT_METRICS, "")),
        ],
    ),
    Scenario(
        "describe several",
        [
            describe("twice", resource(TOPIC, "d", "retention.ms"), resource(TOPIC, "d", "segment.ms")),
            describe("none"),
            describe("topic and node", resource(TOPIC, "d", "retention.ms"), resource(BROKER, "1", "node.id")),
        ],
    ),
]

BROKER_KEYS = (
    "node.id",
    "num.partitions",
    "log.retention.ms",
    "log.retention.hours",
    "log.segment.bytes",
    "log.cleanup.policy",
    "message.max.bytes",
    "min.insync.replicas",
    "auto.create.topics.enable",
    "compression.type",
    "log.message.timestamp.type",
    "num.io.threads",
    "ssl.keystore.password",
    "listeners",
    "log.dirs",
    "unclean.leader.election.enable",
)

DESCRIBING_BROKERS = [
    Scenario(
        "describe some of a node, in every version",
        every(
            Api.DESCRIBE_CONFIGS,
            {"resources": [resource(BROKER, "1", *BROKER_KEYS)], "include_synonyms": True},
        ),
    ),
    Scenario(
        "describe a node",
        [
            describe("all", resource(BROKER, "1"), version=4),
            describe("unknown keys", resource(BROKER, "1", "no.such", "retention.ms")),
            describe("cluster default", resource(BROKER, ""), synonyms=True),
            describe("with documentation", resource(BROKER, "1", "log.segment.bytes"), docs=True),
        ],
    ),
]

ALTERING_TOPICS = [
    Scenario(
        "set, in every version",
        [
            create("set up", topic("a", configs={"flush.ms": "7"})),
            *every(
                Api.INCREMENTAL_ALTER_CONFIGS,
                lambda v: {"resources": [change(TOPIC, "a", ("retention.ms", SET, f"{v + 1}000"))]},
            ),
            describe("now", resource(TOPIC, "a", *SOME, "flush.ms"), synonyms=True),
        ],
    ),
    Scenario(
        "operations",
        [
            alter("delete", change(TOPIC, "a", ("retention.ms", DELETE, None))),
            alter("delete with a value", change(TOPIC, "a", ("flush.ms", DELETE, "x"))),
            alter("delete what is not set", change(TOPIC, "a", ("segment.ms", DELETE, None))),
            alter("append to a list", change(TOPIC, "a", ("cleanup.policy", APPEND, "compact"))),
            alter("append what is there", change(TOPIC, "a", ("cleanup.policy", APPEND, "compact"))),
            describe("both now", resource(TOPIC, "a", "cleanup.policy"), synonyms=True),
            alter("subtract", change(TOPIC, "a", ("cleanup.policy", SUBTRACT, "delete"))),
            describe("one now", resource(TOPIC, "a", "cleanup.policy")),
            alter("subtract what is not there", change(TOPIC, "a", ("cleanup.policy", SUBTRACT, "delete"))),
            alter("subtract the last", change(TOPIC, "a", ("cleanup.policy", SUBTRACT, "compact"))),
            describe("none now", resource(TOPIC, "a", "cleanup.policy")),
            alter("append two", change(TOPIC, "a", ("cleanup.policy", APPEND, "compact,delete"))),
            describe("two now", resource(TOPIC, "a", "cleanup.policy")),
            alter("set one twice", change(TOPIC, "a", ("cleanup.policy", SET, "delete,delete"))),
            describe("it is there once", resource(TOPIC, "a", "cleanup.policy")),
            alter("set an empty entry", change(TOPIC, "a", ("cleanup.policy", SET, "compact,,delete"))),
            alter("append one twice", change(TOPIC, "a", ("cleanup.policy", APPEND, "compact,compact"))),
            describe("and that", resource(TOPIC, "a", "cleanup.policy")),
            alter("subtract one twice", change(TOPIC, "a", ("cleanup.policy", SUBTRACT, "compact,compact"))),
            describe("nor that", resource(TOPIC, "a", "cleanup.policy")),
            alter("append to a number", change(TOPIC, "a", ("retention.ms", APPEND, "1"))),
            alter("subtract from a number", change(TOPIC, "a", ("retention.ms", SUBTRACT, "1"))),
            alter("append null", change(TOPIC, "a", ("cleanup.policy", APPEND, None))),
            alter("set null", change(TOPIC, "a", ("retention.ms", SET, None))),
            alter("set empty", change(TOPIC, "a", ("retention.ms", SET, ""))),
            alter("unknown operation", change(TOPIC, "a", ("retention.ms", 9, "1"))),
            alter("negative operation", change(TOPIC, "a", ("retention.ms", -1, "1"))),
        ],
    ),
    Scenario(
        "wrong changes, in every version",
        every(
            Api.INCREMENTAL_ALTER_CONFIGS,
            {
                "resources": [
                    change(TOPIC, "never-was", ("retention.ms", SET, "1")),
                    change(TOPIC, "bad/name", ("retention.ms", SET, "1")),
                    change(TOPIC, "", ("retention.ms", SET, "1")),
                    change(0, "x", ("retention.ms", SET, "1")),
                    change(3, "x", ("retention.ms", SET, "1")),
                    change(99, "x", ("retention.ms", SET, "1")),
                ]
            },
        ),
    ),
    Scenario(
        "wrong values",
        [
            alter("unknown name", change(TOPIC, "a", ("no.such", SET, "1"))),
            alter("delete unknown name", change(TOPIC, "a", ("no.such", DELETE, None))),
            alter("wrong value", change(TOPIC, "a", ("retention.ms", SET, "x"))),
            alter(
                "one right, one wrong",
                change(TOPIC, "a", ("retention.ms", SET, "5"), ("segment.bytes", SET, "1")),
            ),
            describe("neither was set", resource(TOPIC, "a", "retention.ms", "segment.bytes")),
            alter("a name twice", change(TOPIC, "a", ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))),
            alter(
                "a topic twice",
                change(TOPIC, "a", ("retention.ms", SET, "1")),
                change(TOPIC, "a", ("segment.ms", SET, "2")),
            ),
            alter("nothing", change(TOPIC, "a")),
            alter("no resources"),
            alter("empty name", change(TOPIC, "a", ("", SET, "1"))),
            alter(
                "lags cross",
                change(TOPIC, "a", ("min.compaction.lag.ms", SET, "9"), ("max.compaction.lag.ms", SET, "8")),
            ),
            alter("tiered", change(TOPIC, "a", ("remote.storage.enable", SET, "true"))),
            alter("only validated", change(TOPIC, "a", ("retention.ms", SET, "77")), validate_only=True),
            alter("only validated, wrong", change(TOPIC, "a", ("retention.ms", SET, "x")), validate_only=True),
            describe("unchanged", resource(TOPIC, "a", "retention.ms")),
            alter("spaces", change(TOPIC, "a", ("retention.ms", SET, " 78 "))),
            describe("spaces", resource(TOPIC, "a", "retention.ms")),
            alter("min.insync.replicas", change(TOPIC, "a", ("min.insync.replicas", SET, "2"))),
            describe("min.insync.replicas", resource(TOPIC, "a", "min.insync.replicas"), synonyms=True),
            alter("min.insync.replicas", change(TOPIC, "a", ("min.insync.replicas", DELETE, None))),
        ],
    ),
    Scenario(
        "replace, in every version",
        [
            create("set up", topic("r", configs={"flush.ms": "7"})),
            *every(Api.ALTER_CONFIGS, lambda v: {"resources": [whole(TOPIC, "r", ("retention.ms", f"{v + 1}000"))]}),
            describe("flush.ms is back at its default", resource(TOPIC, "r", "retention.ms", "flush.ms")),
        ],
    ),
    Scenario(
        "replace wrongly",
        [
            replace("unknown topic", whole(TOPIC, "never-was", ("retention.ms", "1"))),
            replace("unknown name", whole(TOPIC, "r", ("no.such", "1"))),
            replace("wrong value", whole(TOPIC, "r", ("retention.ms", "x"))),
            replace("null", whole(TOPIC, "r", ("retention.ms", None))),
            replace("a name twice", whole(TOPIC, "r", ("retention.ms", "1"), ("retention.ms", "2"))),
            describe("after the double", resource(TOPIC, "r", "retention.ms")),
            replace("unknown type", whole(99, "r", ("flush.ms", "1"))),
            replace("only validated", whole(TOPIC, "r", ("flush.ms", "9")), validate_only=True),
            replace("nothing", whole(TOPIC, "r")),
            describe("all gone", resource(TOPIC, "r", "retention.ms", "flush.ms")),
        ],
    ),
]

NODE_KEYS = ("log.retention.ms", "log.flush.interval.messages", "message.max.bytes", "log.cleaner.threads")

ALTERING_BROKERS = [
    Scenario(
        "cluster-wide defaults",
        [
            create("set up", topic("n")),
            alter("set", change(BROKER, "", ("log.retention.ms", SET, "5000"))),
            describe("node", resource(BROKER, "1", *NODE_KEYS), synonyms=True),
            describe("default", resource(BROKER, ""), synonyms=True),
            describe("topic", resource(TOPIC, "n", "retention.ms", "max.message.bytes"), synonyms=True),
            alter("delete", change(BROKER, "", ("log.retention.ms", DELETE, None))),
            describe("default again", resource(BROKER, ""), synonyms=True),
        ],
    ),
    Scenario(
        "one node",
        [
            alter("set", change(BROKER, "1", ("log.retention.ms", SET, "6000"))),
            alter("default too", change(BROKER, "", ("log.retention.ms", SET, "7000"))),
            describe("node", resource(BROKER, "1", *NODE_KEYS), synonyms=True),
            describe("topic", resource(TOPIC, "n", "retention.ms"), synonyms=True),
            alter("delete", change(BROKER, "1", ("log.retention.ms", DELETE, None))),
            describe("node falls back", resource(BROKER, "1", *NODE_KEYS), synonyms=True),
            alter("delete default", change(BROKER, "", ("log.retention.ms", DELETE, None))),
        ],
    ),
    Scenario(
        "refused",
        [
            alter("read-only", change(BROKER, "1", ("node.id", SET, "2"))),
            alter("read-only, default", change(BROKER, "", ("node.id", SET, "2"))),
            alter("not dynamic", change(BROKER, "1", ("num.partitions", SET, "2"))),
            alter("not dynamic, default", change(BROKER, "", ("auto.create.topics.enable", SET, "false"))),
            alter("unknown name", change(BROKER, "1", ("no.such", SET, "2"))),
            alter("wrong value", change(BROKER, "1", ("log.retention.ms", SET, "x"))),
            alter("wrong value, default", change(BROKER, "", ("log.cleaner.threads", SET, "-1"))),
            alter("a topic's name", change(BROKER, "1", ("retention.ms", SET, "2"))),
            alter("another node", change(BROKER, "2", ("log.retention.ms", SET, "2"))),
            alter("no number", change(BROKER, "one", ("log.retention.ms", SET, "2"))),
            alter("per node only", change(BROKER, "", ("listeners", SET, "PLAINTEXT://:1"))),
            alter(
                "only validated",
                change(BROKER, "1", ("log.retention.ms", SET, "8000")),
                validate_only=True,
            ),
            alter("null", change(BROKER, "1", ("log.retention.ms", SET, None))),
            alter("one twice", change(BROKER, "", ("log.cleanup.policy", SET, "delete,delete"))),
            describe("it is there once", resource(BROKER, "1", "log.cleanup.policy")),
            alter("an empty entry", change(BROKER, "", ("log.cleanup.policy", SET, "compact,,delete"))),
            alter("append", change(BROKER, "", ("log.cleanup.policy", APPEND, "compact"))),
            describe("appended", resource(BROKER, "1", "log.cleanup.policy"), synonyms=True),
            alter("subtract", change(BROKER, "", ("log.cleanup.policy", SUBTRACT, "compact"))),
            alter("delete", change(BROKER, "", ("log.cleanup.policy", DELETE, None))),
            describe("default", resource(BROKER, ""), synonyms=True),
        ],
    ),
    Scenario(
        "replace",
        [
            replace("default", whole(BROKER, "", ("log.retention.ms", "9000"))),
            describe("default", resource(BROKER, ""), synonyms=True),
            replace("nothing", whole(BROKER, "")),
            describe("default again", resource(BROKER, ""), synonyms=True),
            replace("read-only", whole(BROKER, "1", ("node.id", "2"))),
        ],
    ),
    Scenario(
        "min.insync.replicas of the cluster",
        [
            alter("on a node", change(BROKER, "1", ("min.insync.replicas", SET, "1"))),
            alter("by default", change(BROKER, "", ("min.insync.replicas", SET, "2"))),
            describe("topic", resource(TOPIC, "n", "min.insync.replicas"), synonyms=True),
            alter("back", change(BROKER, "", ("min.insync.replicas", SET, "1"))),
            alter("delete", change(BROKER, "", ("min.insync.replicas", DELETE, None))),
        ],
    ),
]

FAMILIES = [
    Family("describe_configs", DESCRIBING),
    Family("describe_broker_configs", DESCRIBING_BROKERS),
    Family("alter_topic_configs", ALTERING_TOPICS),
    Family("alter_broker_configs", ALTERING_BROKERS),
]
