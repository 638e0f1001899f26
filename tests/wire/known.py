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
]
