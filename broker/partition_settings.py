"""A topic's settings as its partitions use them: the one place where the names of settings meet the data path."""

from __future__ import annotations

from collections.abc import Mapping

from ..protocol.compression import Codec
from ..protocol.values import dataclass
from .config import BrokerConfig, ConfigSource, Values
from .produce_validation import AppendRules

MAX_DECOMPRESSED_BYTES = 1024 * 1024 * 1024
"""What the records of one batch may come to, whatever `max.message.bytes` says of their compressed size."""

GZIP_DEFAULT = -1
"""Kafka's way to leave the level to zlib."""

_CODECS = {
    "uncompressed": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSettings:
    """What a topic's settings mean to one partition of it; times in milliseconds."""

    rules: AppendRules
    sync_every_messages: int
    sync_every_ms: int
    acks_all_syncs: bool


def partition_settings(config: BrokerConfig, overrides: Mapping[str, str]) -> PartitionSettings:
    """The settings of a topic on which `overrides` are set.

    Kafka's default for `flush.messages` and `flush.ms` is "never". Left at it, acks=all is answered after a sync; a value
    that somebody chose, on the topic or the broker, is taken at its word.
    """
    values = config.topic(overrides)
    chosen = any(
        config.topic_value(name, overrides).source is not ConfigSource.DEFAULT
        for name in ("flush.messages", "flush.ms")
    )
    return PartitionSettings(
        rules=append_rules(values),
        sync_every_messages=values.whole("flush.messages"),
        sync_every_ms=values.whole("flush.ms"),
        acks_all_syncs=not chosen,
    )


def append_rules(values: Values) -> AppendRules:
    """What a topic with these settings demands of its records."""
    codec = _CODECS.get(values.text("compression.type"))
    level = None
    if codec in (Codec.GZIP, Codec.LZ4, Codec.ZSTD):
        level = values.whole(f"compression.{values.text('compression.type')}.level")
        if codec is Codec.GZIP and level == GZIP_DEFAULT:
            level = None
    max_message_bytes = values.whole("max.message.bytes")
    return AppendRules(
        max_message_bytes=max_message_bytes,
        log_append_time=values.text("message.timestamp.type") == "LogAppendTime",
        timestamp_before_max_ms=values.whole("message.timestamp.before.max.ms"),
        timestamp_after_max_ms=values.whole("message.timestamp.after.max.ms"),
        compression=codec,
        compression_level=level,
        needs_keys="compact" in values.words("cleanup.policy"),
        max_decompressed_bytes=max(MAX_DECOMPRESSED_BYTES, max_message_bytes),
    )
