"""What the cleaner is told, by Kafka's settings `log.cleaner.…`."""

from __future__ import annotations

from ..protocol.values import dataclass
from ..storage.compaction.compaction import Limits
from .config import BrokerConfig

LARGEST_MAP_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CleanerSettings:
    """Memory and buffers are those of one thread."""

    threads: int
    limits: Limits
    bytes_per_second: float
    backoff_s: float

    @classmethod
    def of(cls, config: BrokerConfig) -> CleanerSettings:
        """Those in force; no threads where the cleaner is switched off."""
        threads = config.whole("log.cleaner.threads") if config.flag("log.cleaner.enable") else 0
        share = max(threads, 1)
        return cls(
            threads=threads,
            limits=Limits(
                map_bytes=min(config.whole("log.cleaner.dedupe.buffer.size") // share, LARGEST_MAP_BYTES),
                map_load_factor=config.real("log.cleaner.io.buffer.load.factor"),
                buffer_bytes=max(config.whole("log.cleaner.io.buffer.size") // share // 2, 1),
            ),
            bytes_per_second=config.real("log.cleaner.io.max.bytes.per.second"),
            backoff_s=config.whole("log.cleaner.backoff.ms") / 1000,
        )
