"""What the broker's configuration says of groups. All of these settings are read-only, so they are taken once."""

from __future__ import annotations

from ...protocol.values import dataclass
from ..config import BrokerConfig

MS_PER_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What the rules of membership need."""

    initial_rebalance_delay_ms: int
    max_size: int


@dataclass(frozen=True, slots=True)
class CoordinatorSettings:
    """Everything about groups."""

    groups: GroupSettings
    min_session_timeout_ms: int
    max_session_timeout_ms: int
    offset_metadata_max_bytes: int
    offsets_retention_ms: int
    retention_check_ms: int
    commit_timeout_ms: int

    @classmethod
    def of(cls, config: BrokerConfig) -> CoordinatorSettings:
        """Those of this configuration."""
        return cls(
            GroupSettings(
                initial_rebalance_delay_ms=config.whole("group.initial.rebalance.delay.ms"),
                max_size=config.whole("group.max.size"),
            ),
            min_session_timeout_ms=config.whole("group.min.session.timeout.ms"),
            max_session_timeout_ms=config.whole("group.max.session.timeout.ms"),
            offset_metadata_max_bytes=config.whole("offset.metadata.max.bytes"),
            offsets_retention_ms=config.whole("offsets.retention.minutes") * MS_PER_MINUTE,
            retention_check_ms=config.whole("offsets.retention.check.interval.ms"),
            commit_timeout_ms=config.whole("offsets.commit.timeout.ms"),
        )
