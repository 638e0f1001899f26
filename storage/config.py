"""What a log is told about rolling, indexing, keeping and syncing: Kafka's topic settings, by Kafka's names.

Sizes in bytes, times in milliseconds; -1 where Kafka says "without limit". The defaults are those of
Apache Kafka 4.3.1. Which setting of a topic or a broker ends up here is the broker's business.
"""

from __future__ import annotations

from ..protocol.values import dataclass

NEVER = 2**63 - 1
HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Settings of one log; `producer_id_expiration_ms` is the broker's, the others are the topic's."""

    segment_bytes: int = 1024 * MIB
    segment_ms: int = 7 * DAY_MS
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 * MIB
    index_interval_bytes: int = 4096
    retention_ms: int = 7 * DAY_MS
    retention_bytes: int = -1
    file_delete_delay_ms: int = 60 * 1000
    flush_messages: int = NEVER
    flush_ms: int = NEVER
    preallocate: bool = False
    cleanup_policy: frozenset[str] = frozenset({"delete"})
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = NEVER
    delete_retention_ms: int = DAY_MS
    producer_id_expiration_ms: int = DAY_MS

    @property
    def roll_ms(self) -> int:
        """At which age a segment ends: where records must be compacted in time, no later than that."""
        return min(self.segment_ms, self.max_compaction_lag_ms) if self.compacts else self.segment_ms

    @property
    def deletes(self) -> bool:
        """Whether old segments go by age and size; a log that is only compacted keeps them."""
        return "delete" in self.cleanup_policy

    @property
    def compacts(self) -> bool:
        """Whether older records of a key go; such a log has gaps between its offsets."""
        return "compact" in self.cleanup_policy
