"""How a producer is set up: names and meanings are Kafka's, checked once, when it is made."""

from __future__ import annotations

from typing import Literal

from ..protocol.compression import Codec
from ..protocol.records import BatchBuilder
from ..protocol.values import dataclass
from .accumulator import AccumulatorSettings
from .cluster import ClusterSettings
from .lane import MAX_IN_FLIGHT, LaneSettings
from .retry import Backoff
from .transactions import TransactionSettings

Acks = Literal[0, 1, -1, "all"]
CompressionType = Literal["none", "gzip", "snappy", "lz4", "zstd"]

_CODECS: dict[str | None, Codec] = {None: Codec.NONE, **{codec.name.lower(): codec for codec in Codec}}
_ALL = -1


@dataclass(frozen=True, slots=True)
class ProducerSettings:
    """Settings that belong together; see `Producer` for each."""

    client_id: str
    acks: Acks
    enable_idempotence: bool | None
    compression_type: CompressionType | None
    compression_level: int | None
    batch_size: int
    linger_ms: float
    max_request_size: int
    buffer_memory: int
    max_block_ms: int
    max_in_flight_requests_per_connection: int
    delivery_timeout_ms: int
    request_timeout_ms: int
    retry_backoff_ms: int
    retry_backoff_max_ms: int
    metadata_max_age_ms: int
    allow_auto_create_topics: bool
    transactional_id: str | None = None
    transaction_timeout_ms: int = 60_000

    def __post_init__(self) -> None:
        """ValueError, with one line, for what cannot be."""
        if self.acks not in (0, 1, _ALL, "all"):
            raise ValueError(f"acks={self.acks!r}: must be 0, 1 or 'all'")
        if self.compression_type not in _CODECS:
            raise ValueError(f"compression_type={self.compression_type!r}: must be gzip, snappy, lz4, zstd or None")
        if self.enable_idempotence and self.required_acks != _ALL:
            raise ValueError(f"enable_idempotence=True needs acks='all', not {self.acks!r}")
        if self.transactional_id is not None and not (self.transactional_id and self.is_idempotent):
            raise ValueError("a transactional_id must not be empty, and needs acks='all' and idempotence")
        if self.is_idempotent and not 1 <= self.max_in_flight_requests_per_connection <= MAX_IN_FLIGHT:
            raise ValueError("an idempotent producer has 1 to 5 max_in_flight_requests_per_connection")
        if self.delivery_timeout_ms < self.linger_ms + self.request_timeout_ms:
            raise ValueError("delivery_timeout_ms must be at least linger_ms + request_timeout_ms")
        for name in ("batch_size", "max_request_size", "buffer_memory", "max_in_flight_requests_per_connection"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")

    @property
    def required_acks(self) -> int:
        """As on the wire."""
        return _ALL if self.acks == "all" else int(self.acks)

    @property
    def is_idempotent(self) -> bool:
        """By default, where the acks allow it."""
        return self.required_acks == _ALL if self.enable_idempotence is None else self.enable_idempotence

    @property
    def backoff(self) -> Backoff:
        return Backoff(self.retry_backoff_ms, self.retry_backoff_max_ms)

    def new_builder(self) -> BatchBuilder:
        """For the next batch."""
        return BatchBuilder(
            _CODECS[self.compression_type],
            compression_level=self.compression_level,
            is_transactional=self.transactional_id is not None,
        )

    def for_transactions(self) -> TransactionSettings | None:
        """None for a producer without transactions."""
        if self.transactional_id is None:
            return None
        return TransactionSettings(self.transactional_id, self.transaction_timeout_ms, self.max_block_ms, self.backoff)

    def for_cluster(self) -> ClusterSettings:
        return ClusterSettings(
            client_id=self.client_id,
            request_timeout_ms=self.request_timeout_ms,
            retry_backoff_ms=self.retry_backoff_ms,
            retry_backoff_max_ms=self.retry_backoff_max_ms,
            metadata_max_age_ms=self.metadata_max_age_ms,
            allow_auto_topic_creation=self.allow_auto_create_topics,
        )

    def for_accumulator(self) -> AccumulatorSettings:
        lanes = LaneSettings(
            batch_size=self.batch_size,
            linger_s=self.linger_ms / 1000,
            delivery_timeout_s=self.delivery_timeout_ms / 1000,
            max_in_flight=self.max_in_flight_requests_per_connection,
            is_idempotent=self.is_idempotent,
            is_transactional=self.transactional_id is not None,
            expects_answers=self.required_acks != 0,
            backoff=self.backoff,
            new_builder=self.new_builder,
        )
        return AccumulatorSettings(lanes, self.max_request_size, self.buffer_memory)
