"""What the configuration says of consumer groups: the broker's settings, and what is in force for one group.

Sessions, heartbeats and the pace of assignments may be set on a group (the resource type GROUP), and change while the
broker runs: they are asked for anew with each decision, through a function that whoever owns the coordinator hands in.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from ....protocol.values import dataclass
from ...config import BrokerConfig
from .assignor_names import JAVA_CLASSES

REGEX_REFRESH_MS = 10 * 60 * 1000
"""So old may the topics of an expression become. To Kafka it is a setting that is not shown."""


class MigrationPolicy(Enum):
    """Which way a group may change its protocol while it has members (`group.consumer.migration.policy`)."""

    DISABLED = "disabled"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    BIDIRECTIONAL = "bidirectional"

    @property
    def allows_upgrade(self) -> bool:
        return self in (MigrationPolicy.UPGRADE, MigrationPolicy.BIDIRECTIONAL)

    @property
    def allows_downgrade(self) -> bool:
        return self in (MigrationPolicy.DOWNGRADE, MigrationPolicy.BIDIRECTIONAL)


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """What is in force for one group."""

    session_timeout_ms: int
    heartbeat_interval_ms: int
    assignment_interval_ms: int


@dataclass(frozen=True, slots=True)
class ConsumerGroupSettings:
    """What holds for all groups. The first of `assignors` is taken where nobody asks for one."""

    assignors: tuple[str, ...]
    max_size: int
    classic_max_size: int
    migration: MigrationPolicy
    regex_refresh_ms: int
    times_of: Callable[[str], GroupTimes]

    @classmethod
    def of(cls, config: BrokerConfig, times_of: Callable[[str], GroupTimes]) -> ConsumerGroupSettings:
        """Those of this configuration."""
        names = [JAVA_CLASSES.get(each, each) for each in config.words("group.consumer.assignors")]
        return cls(
            assignors=tuple(dict.fromkeys(names)),
            max_size=config.whole("group.consumer.max.size"),
            classic_max_size=config.whole("group.max.size"),
            migration=MigrationPolicy(config.text("group.consumer.migration.policy").lower()),
            regex_refresh_ms=REGEX_REFRESH_MS,
            times_of=times_of,
        )

    @property
    def default_assignor(self) -> str:
        return self.assignors[0]
