"""The consumer's keyword arguments, checked and sorted into what its parts need.

Names and defaults are aiokafka's where they mean the same, else Java's; times are in milliseconds, sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ...protocol.values import dataclass
from ..assignors.assignor import Assignor
from ..assignors.range import RangeAssignor
from ..assignors.round_robin import RoundRobinAssignor
from ..assignors.sticky import CooperativeStickyAssignor, StickyAssignor
from ..cluster import ClusterSettings
from .fetch_plan import FetchSettings
from .fetched_batch import Deserializer, Deserializers
from .handing_out import HandingOutSettings
from .membership import GroupSettings
from .offset_reset import OffsetReset, parse_offset_reset

ASSIGNORS: dict[str, Assignor] = {
    each.name: each for each in (RangeAssignor(), RoundRobinAssignor(), StickyAssignor(), CooperativeStickyAssignor())
}
CLASSIC, CONSUMER = "classic", "consumer"
_ISOLATION_LEVELS = ("read_uncommitted", "read_committed")


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """All of them; ValueError, with one line on what is wrong, where they cannot be."""

    group_id: str | None
    client_id: str
    auto_offset_reset: str | timedelta
    enable_auto_commit: bool
    auto_commit_interval_ms: int
    key_deserializer: Deserializer | None
    value_deserializer: Deserializer | None
    fetch_min_bytes: int
    fetch_max_bytes: int
    fetch_max_wait_ms: int
    max_partition_fetch_bytes: int
    prefetch_max_bytes: int
    max_poll_records: int | None
    max_poll_interval_ms: int
    session_timeout_ms: int
    heartbeat_interval_ms: int
    rebalance_timeout_ms: int | None
    group_instance_id: str | None
    group_protocol: str
    group_remote_assignor: str | None
    partition_assignment_strategy: Sequence[str | Assignor]
    isolation_level: str
    check_crcs: bool
    exclude_internal_topics: bool
    allow_auto_create_topics: bool
    request_timeout_ms: int
    retry_backoff_ms: int
    retry_backoff_max_ms: int
    metadata_max_age_ms: int
    client_rack: str

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.max_poll_records is not None and self.max_poll_records < 1:
            raise ValueError(f"max_poll_records={self.max_poll_records}: must be at least 1, or None")
        if self.isolation_level not in _ISOLATION_LEVELS:
            raise ValueError(f"isolation_level={self.isolation_level!r}: write {' or '.join(_ISOLATION_LEVELS)}")
        if self.group_protocol not in (CLASSIC, CONSUMER):
            raise ValueError(f"group_protocol={self.group_protocol!r}: write {CLASSIC} or {CONSUMER}")
        if self.group_id == "":
            raise ValueError("group_id is empty; leave it out, or give a name")
        if self.group_instance_id is not None and self.group_id is None:
            raise ValueError("group_instance_id is given, but no group_id")
        if self.group_protocol == CLASSIC and self.heartbeat_interval_ms >= self.session_timeout_ms:
            raise ValueError(
                f"heartbeat_interval_ms={self.heartbeat_interval_ms} must be below"
                f" session_timeout_ms={self.session_timeout_ms}; a third of it is usual"
            )
        if not self.assignors:
            raise ValueError("partition_assignment_strategy is empty")
        parse_offset_reset(self.auto_offset_reset)

    @property
    def committed_only(self) -> bool:
        return self.isolation_level == "read_committed"

    @property
    def reset(self) -> OffsetReset:
        return parse_offset_reset(self.auto_offset_reset)

    @property
    def assignors(self) -> tuple[Assignor, ...]:
        return tuple(_assignor(each) for each in self.partition_assignment_strategy)

    @property
    def cluster(self) -> ClusterSettings:
        return ClusterSettings(
            client_id=self.client_id,
            request_timeout_ms=self.request_timeout_ms,
            retry_backoff_ms=self.retry_backoff_ms,
            retry_backoff_max_ms=self.retry_backoff_max_ms,
            metadata_max_age_ms=self.metadata_max_age_ms,
            allow_auto_topic_creation=self.allow_auto_create_topics,
        )

    @property
    def fetch(self) -> FetchSettings:
        return FetchSettings(
            fetch_min_bytes=self.fetch_min_bytes,
            fetch_max_bytes=self.fetch_max_bytes,
            fetch_max_wait_ms=self.fetch_max_wait_ms,
            max_partition_fetch_bytes=self.max_partition_fetch_bytes,
            prefetch_max_bytes=self.prefetch_max_bytes,
            committed_only=self.committed_only,
            check_crcs=self.check_crcs,
            rack=self.client_rack,
            reset=self.reset,
        )

    @property
    def handing_out(self) -> HandingOutSettings:
        deserializers = Deserializers(self.key_deserializer, self.value_deserializer)
        return HandingOutSettings(self.committed_only, self.check_crcs, deserializers)

    @property
    def group(self) -> GroupSettings | None:
        """None without a group."""
        if self.group_id is None:
            return None
        return GroupSettings(
            group_id=self.group_id,
            instance_id=self.group_instance_id,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms or self.max_poll_interval_ms,
            heartbeat_interval_ms=self.heartbeat_interval_ms,
            rack=self.client_rack or None,
            assignors=self.assignors,
            remote_assignor=self.group_remote_assignor,
        )


_AT_LEAST_ONE = (
    "auto_commit_interval_ms",
    "fetch_max_bytes",
    "max_partition_fetch_bytes",
    "prefetch_max_bytes",
    "max_poll_interval_ms",
    "session_timeout_ms",
    "heartbeat_interval_ms",
    "request_timeout_ms",
)


def _assignor(given: str | Assignor) -> Assignor:
    if not isinstance(given, str):
        return given
    known = ASSIGNORS.get(given)
    if known is None:
        raise ValueError(f"partition_assignment_strategy {given!r}: known are {', '.join(ASSIGNORS)}")
    return known
