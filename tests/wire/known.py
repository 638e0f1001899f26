"""Differences from Apache Kafka that are known, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from wire.normal import Difference


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """What it covers is written as shell patterns."""

    family: str
    scenario: str
    step: str
    path: str
    reason: str

    def covers(self, found: Difference) -> bool:
        return self.family == found.family and all(
            fnmatchcase(said, pattern)
            for said, pattern in [(found.scenario, self.scenario), (found.step, self.step), (found.path, self.path)]
        )


KNOWN = [
    KnownDifference(
        "consumer_groups",
        "requests that are refused",
        "CONSUMER_GROUP_HEARTBEAT v1 an expression that is none",
        "error_message",
        "what is wrong with an expression is said in the words of RE2, not in those of its Java sister",
    ),
    KnownDifference(
        "describe_broker_configs",
        "describe some of a node, in every version",
        "*",
        "results.0.configs.2.synonyms.1.value",
        "the default of listeners: ours is this machine only, as long as there is no login",
    ),
    KnownDifference(
        "describe_broker_configs",
        "describe a node",
        "DESCRIBE_CONFIGS v4 all",
        "results.0.configs.126.value",
        "the default of log.dir: ours is not Kafka's folder in /tmp",
    ),
    *(
        KnownDifference(
            "produce_wrong",
            "one by one*",
            step,
            path,
            "a compressed record of negative length, which no client could read, is refused",
        )
        for step, path in [
            ("PRODUCE v* compressed, record length negative", "responses.0.partition_responses.0.*"),
            ("FETCH v12 what was let in", "responses.0.partitions.57.*"),
        ]
    ),
    KnownDifference(
        "fetch_limits",
        "max bytes",
        "FETCH v12 -1",
        "responses.0.partitions.[12].*",
        "a negative size is refused for every partition; Apache Kafka trips over the first only",
    ),
    *(
        KnownDifference(
            "update_features",
            "levels",
            f"UPDATE_FEATURES v{version} raft",
            "*",
            "there is no Raft quorum here whose version could be set",
        )
        for version in (1, 2)
    ),
    *(
        KnownDifference("describe_quorum", "in every version", "DESCRIBE_QUORUM v*", path, reason)
        for path, reason in [
            ("topics.0.partitions.0.leader_epoch", "the catalog's journal has one epoch, 0, for all its life"),
            ("nodes.0.listeners.0.*", "there is no listener for controllers: the clients' is named"),
        ]
    ),
    KnownDifference(
        "internal_topics",
        "an internal topic",
        "CREATE_PARTITIONS v3 more partitions",
        "results.0.error_*",
        "partitions that Apache Kafka adds here make it lose the offsets of groups at its next start",
    ),
    KnownDifference(
        "list_offsets",
        "after records were deleted",
        "LIST_OFFSETS v8 -3",
        "topics.0.partitions.0.offset",
        "the first record with the largest timestamp that is still there, not one that was deleted",
    ),
]
