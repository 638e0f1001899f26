"""CreateTopics: what makes a topic, and the many things that do not."""

from support.scenarios import Family, Scenario, Step, every
from support.wire import Api
from wire.shapes import TIMEOUT_MS, create, metadata, topic


def names() -> list[Step]:
    wrong = {
        "empty": "",
        "dot": ".",
        "two dots": "..",
        "slash": "a/b",
        "space": "a b",
        "umlaut": "ä",
        "line end": "a\n",
        "250 characters": "x" * 250,
        "the metadata log": "__cluster_metadata",
    }
    steps = [create(f"name: {what}", topic(name)) for what, name in wrong.items()]
    steps += [create("name: 249 characters", topic("y" * 249)), create("name: dots", topic("..."))]
    steps.append(create("several wrong at once", topic("bad name"), topic("good-name"), topic("")))
    return steps


def collisions() -> list[Step]:
    return [
        create("first", topic("col.a")),
        create("collides with it", topic("col_a")),
        create("the same, only validated", topic("col_a"), validate_only=True),
        create("two that collide with each other", topic("col.b"), topic("col_b")),
        create("deeper", topic("a.b_c.d")),
        create("deeper collides", topic("a_b.c_d")),
    ]


def counts() -> list[Step]:
    steps = [
        create(f"partitions {partitions}", topic(f"p{partitions}", partitions)) for partitions in (0, -1, -2, 10_001)
    ]
    steps += [create(f"replication factor {factor}", topic(f"rf{factor}", 1, factor)) for factor in (0, -1, -2, 2, 3)]
    steps.append(create("both default", topic("both-default", -1, -1)))
    steps.append(create("both wrong", topic("both-wrong", 0, 0)))
    for version in (2, 3):
        steps.append(create("default partitions", topic(f"old-p-{version}", -1, 1), version=version))
        steps.append(create("default factor", topic(f"old-rf-{version}", 1, -1), version=version))
    steps.append(create("two of six thousand partitions", topic("six-a", 6000), topic("six-b", 6000)))
    return steps


def assignments() -> list[Step]:
    def assigned(label: str, *pairs: tuple[int, list[int]], partitions: int = -1, factor: int = -1) -> Step:
        name = "as-" + "".join(c if c.isalnum() else "-" for c in label)
        return create(f"assignment: {label}", topic(name, partitions, factor, assignments=pairs))

    return [
        assigned("one", (0, [1])),
        assigned("three in any order", (2, [1]), (0, [1]), (1, [1])),
        assigned("unknown node", (0, [5])),
        assigned("a known and an unknown node", (0, [1, 2])),
        assigned("node twice", (0, [1, 1])),
        assigned("gap", (0, [1]), (2, [1])),
        assigned("starts at one", (1, [1])),
        assigned("no nodes", (0, [])),
        assigned("differing sizes", (0, [1]), (1, [1, 1])),
        assigned("partition twice", (0, [1]), (0, [1])),
        assigned("negative partition", (-1, [1])),
        assigned("negative node", (0, [-1])),
        assigned("partition count given too", (0, [1]), partitions=1),
        assigned("factor given too", (0, [1]), factor=1),
        assigned("both given too", (0, [1]), partitions=1, factor=1),
    ]


def duplicates() -> list[Step]:
    return [
        create("twice alike", topic("dup"), topic("dup")),
        create("twice, differing, and a good one", topic("dup", 1), topic("dup", 2), topic("dup-good")),
        create("three times", topic("dup3"), topic("dup3"), topic("dup3")),
        metadata("none of the doubles was made", "dup", "dup-good"),
        create("exists already", topic("dup-good")),
        create("exists already, only validated", topic("dup-good"), validate_only=True),
        create("exists and is new", topic("dup-good"), topic("dup-new")),
        create("exists, and everything else wrong too", topic("dup-good", 0, 9, configs={"no.such": "x"})),
    ]


WRONG_CONFIGS = [
    ("no.such.config", "x"),
    ("retention.ms", None),
    ("retention.ms", "abc"),
    ("retention.ms", ""),
    ("retention.ms", "-2"),
    ("retention.ms", "1.5"),
    ("retention.ms", "9223372036854775808"),
    ("retention.bytes", "x"),
    ("segment.bytes", "0"),
    ("segment.bytes", "14"),
    ("segment.bytes", "1048575"),
    ("segment.bytes", "2147483648"),
    ("segment.ms", "0"),
    ("segment.jitter.ms", "-1"),
    ("segment.index.bytes", "3"),
    ("index.interval.bytes", "-1"),
    ("max.message.bytes", "-1"),
    ("min.insync.replicas", "0"),
    ("cleanup.policy", "shred"),
    ("cleanup.policy", "compact,shred"),
    ("compression.type", "brotli"),
    ("compression.gzip.level", "10"),
    ("compression.gzip.level", "0"),
    ("compression.lz4.level", "18"),
    ("compression.zstd.level", "23"),
    ("message.timestamp.type", "Whenever"),
    ("message.timestamp.before.max.ms", "-1"),
    ("message.timestamp.after.max.ms", "-1"),
    ("unclean.leader.election.enable", "maybe"),
    ("preallocate", "1"),
    ("flush.messages", "0"),
    ("flush.ms", "-1"),
    ("min.cleanable.dirty.ratio", "1.5"),
    ("min.cleanable.dirty.ratio", "x"),
    ("delete.retention.ms", "-1"),
    ("file.delete.delay.ms", "-1"),
    ("max.compaction.lag.ms", "0"),
    ("min.compaction.lag.ms", "-1"),
    ("remote.storage.enable", "true"),
    ("remote.log.delete.on.disable", "true"),
    ("remote.log.copy.disable", "true"),
    ("local.retention.ms", "-3"),
    ("local.retention.bytes", "-3"),
    ("leader.replication.throttled.replicas", "x"),
    ("follower.replication.throttled.replicas", "0:a"),
    ("message.format.version", "3.0"),
    ("message.downconversion.enable", "false"),
    ("internal.segment.bytes", "1"),
    ("", "x"),
]

RIGHT_CONFIGS = [
    ("cleanup.policy", ""),
    ("cleanup.policy", "delete,compact"),
    ("cleanup.policy", " compact , delete "),
    ("cleanup.policy", "compact,compact"),
    ("cleanup.policy", "delete,compact,delete"),
    ("cleanup.policy", " "),
    ("cleanup.policy", ","),
    ("cleanup.policy", "compact,"),
    ("cleanup.policy", "compact,,delete"),
    ("leader.replication.throttled.replicas", "0:1,0:1"),
    ("leader.replication.throttled.replicas", ","),
    ("cleanup.policy", "COMPACT"),
    ("compression.type", "ZSTD"),
    ("retention.ms", " 1000 "),
    ("preallocate", "TRUE"),
    ("preallocate", " False "),
    ("compression.gzip.level", "-1"),
    ("segment.bytes", "1048576"),
    ("internal.segment.bytes", "1000"),
    ("min.insync.replicas", "5"),
    ("leader.replication.throttled.replicas", "*"),
    ("leader.replication.throttled.replicas", "none"),
    ("leader.replication.throttled.replicas", "0:1,1:1"),
    ("min.cleanable.dirty.ratio", "0.5f"),
    ("min.cleanable.dirty.ratio", "1e-1"),
    ("retention.ms", "+5"),
    ("message.timestamp.type", "logappendtime"),
]


def configs() -> list[Step]:
    steps = [
        create(f"wrong {name}={value!r}", topic(f"wrong-{at}", configs=[(name, value)]))
        for at, (name, value) in enumerate(WRONG_CONFIGS)
    ]
    steps += [
        create(f"odd {name}={value!r}", topic(f"odd-{at}", configs=[(name, value)]))
        for at, (name, value) in enumerate(RIGHT_CONFIGS)
    ]
    return steps


def configs_together() -> list[Step]:
    return [
        create("named twice", topic("twice", configs=[("retention.ms", "1"), ("retention.ms", "2")])),
        create("two wrong", topic("two", configs=[("no.such", "1"), ("retention.ms", "x")])),
        create("lags cross", topic("lag", configs={"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"})),
        create(
            "local keeps more than all",
            topic("loc", configs={"retention.ms": "10", "local.retention.ms": "20"}),
        ),
        create("local bytes", topic("locb", configs={"retention.bytes": "10", "local.retention.bytes": "20"})),
        create("wrong config, wrong factor", topic("both", 1, 2, configs={"no.such": "1"})),
        create("one right and one wrong topic", topic("one-r"), topic("one-w", configs={"no.such": "1"})),
        create("in v2 without messages' versions", topic("v2w", configs={"no.such": "1"}), version=2),
        create("null value in v2", topic("v2n", configs={"retention.ms": None}), version=2),
        create(
            "answered with all settings",
            topic("all-settings", 3, configs={"retention.ms": "5", "cleanup.policy": "compact"}),
        ),
    ]


def timeouts() -> list[Step]:
    return [
        create("timeout 0", topic("t-zero"), timeout_ms=0),
        metadata("nothing was made", "t-zero"),
        create("timeout -1", topic("t-minus"), timeout_ms=-1),
        create("timeout 0, only validated", topic("t-zero"), timeout_ms=0, validate_only=True),
        create("timeout 0, wrong name", topic("t zero"), timeout_ms=0),
        create("no topics, timeout 0", timeout_ms=0),
    ]


FAMILY = Family(
    "create_topics",
    [
        Scenario(
            "in every version",
            every(
                Api.CREATE_TOPICS,
                lambda v: {
                    "topics": [topic(f"every-{v}", 2, configs={"retention.ms": "1000"})],
                    "timeout_ms": TIMEOUT_MS,
                },
            ),
        ),
        Scenario(
            "only validated, in every version",
            [
                *every(
                    Api.CREATE_TOPICS,
                    lambda v: {
                        "topics": [topic("validated", 2), topic("validated-wrong", 2, 2)],
                        "timeout_ms": TIMEOUT_MS,
                        "validate_only": True,
                    },
                ),
                metadata("not made", "validated"),
            ],
        ),
        Scenario(
            "refused, in every version",
            every(
                Api.CREATE_TOPICS,
                {"topics": [topic("no/good"), topic("every-7")], "timeout_ms": TIMEOUT_MS},
            ),
        ),
        Scenario("names", names()),
        Scenario("names that collide", collisions()),
        Scenario("counts", counts()),
        Scenario("manual assignments", assignments()),
        Scenario("duplicates", duplicates()),
        Scenario("configs one by one", configs()),
        Scenario("configs together", configs_together()),
        Scenario("timeouts", timeouts()),
        Scenario("no topics", [create("none")]),
    ],
)
