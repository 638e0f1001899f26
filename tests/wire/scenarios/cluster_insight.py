"""What an administrator may look into: DescribeProducers, DescribeQuorum, ListConfigResources."""

from typing import Any

from support.handmade import TIMESTAMP_MS, records
from support.scenarios import Batch, Family, Kept, Scenario, Step, call, every
from support.wire import Api
from wire.scenarios.configs import CLIENT_METRICS, GROUP, SET, alter, change
from wire.shapes import create, produce, topic

TOPIC, BROKER, BROKER_LOGGER = 2, 4, 8
METADATA_TOPIC = "__cluster_metadata"


def producers(label: str, *topics: tuple[str, list[int]]) -> Step:
    return call(
        Api.DESCRIBE_PRODUCERS,
        0,
        label,
        topics=[{"name": name, "partition_indexes": indexes} for name, indexes in topics],
    )


def idempotent(label: str, *, sequence: int, epoch: int = 0, count: int = 1) -> Step:
    numbered = Batch(
        records(*[b"x"] * count),
        producer_id=Kept("pid"),
        producer_epoch=epoch,
        base_sequence=sequence,
        timestamp=TIMESTAMP_MS + sequence,
    )
    return produce(label, "p", numbered)


PRODUCERS = [
    Scenario(
        "set up",
        [
            create("a topic", topic("p", 2)),
            call(
                Api.INIT_PRODUCER_ID,
                4,
                "an id",
                transactional_id=None,
                transaction_timeout_ms=60_000,
                keep={"pid": "producer_id"},
            ),
        ],
    ),
    Scenario(
        "producers of a partition",
        [
            producers("none yet", ("p", [0, 1])),
            produce("a record without an id", "p", Batch()),
            producers("still none", ("p", [0])),
            idempotent("three records", sequence=0, count=3),
            producers("one", ("p", [0, 1])),
            idempotent("one more", sequence=3),
            producers("further on", ("p", [0])),
            idempotent("a new epoch", sequence=0, epoch=1),
            producers("the new epoch", ("p", [0])),
        ],
    ),
    Scenario(
        "what is not there",
        [
            producers("unknown topic", ("nope", [0])),
            producers("unknown partition", ("p", [7, -1])),
            producers("wrong name", ("bad/name", [0])),
            producers("empty name", ("", [0])),
            producers("no partitions", ("p", [])),
            producers("no topics"),
            producers("twice", ("p", [1, 1])),
            producers("two topics", ("p", [1]), ("nope", [0])),
        ],
    ),
]


def quorum(label: str, *topics: tuple[str, list[int]], version: int = 2) -> Step:
    return call(
        Api.DESCRIBE_QUORUM,
        version,
        label,
        topics=[
            {"topic_name": name, "partitions": [{"partition_index": index} for index in indexes]}
            for name, indexes in topics
        ],
    )


QUORUM = [
    Scenario(
        "in every version",
        every(
            Api.DESCRIBE_QUORUM,
            {"topics": [{"topic_name": METADATA_TOPIC, "partitions": [{"partition_index": 0}]}]},
        ),
    ),
    Scenario(
        "of what else",
        [quorum("unknown topic", ("nope", [0]), version=version) for version in (0, 1, 2)]
        + [
            quorum("unknown partition", (METADATA_TOPIC, [1])),
            quorum("two partitions", (METADATA_TOPIC, [0, 1])),
            quorum("two topics", (METADATA_TOPIC, [0]), ("nope", [0])),
            quorum("no partitions", (METADATA_TOPIC, [])),
            quorum("no topics"),
        ],
    ),
]


def listed(label: str, *kinds: int, version: int = 1) -> Step:
    fields: dict[str, Any] = {"resource_types": list(kinds)} if version else {}
    return call(Api.LIST_CONFIG_RESOURCES, version, label, **fields)


RESOURCES = [
    Scenario("nothing there, in every version", every(Api.LIST_CONFIG_RESOURCES, {})),
    Scenario(
        "set up",
        [
            create("two topics", topic("l-b"), topic("l-a")),
            alter(
                "groups and subscriptions",
                change(GROUP, "l-group", ("consumer.session.timeout.ms", SET, "46000")),
                change(CLIENT_METRICS, "l-metrics", ("interval.ms", SET, "1000")),
            ),
        ],
    ),
    Scenario("in every version", every(Api.LIST_CONFIG_RESOURCES, {})),
    Scenario(
        "of a type",
        [
            listed("topics", TOPIC),
            listed("brokers", BROKER),
            listed("loggers", BROKER_LOGGER),
            listed("client metrics", CLIENT_METRICS),
            listed("groups", GROUP),
            listed("two", GROUP, TOPIC),
            listed("twice", TOPIC, TOPIC),
            listed("unknown", 1),
            listed("unknown 0", 0),
            listed("unknown and known", TOPIC, 99),
        ],
    ),
]

FAMILIES = [
    Family("describe_producers", PRODUCERS, {"log.retention.ms": "-1"}),
    Family("describe_quorum", QUORUM),
    Family("config_resources", RESOURCES),
]
