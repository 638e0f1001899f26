"""What can be set on a topic: the table.

A topic setting that is not set on the topic itself takes its default from the broker settings named in its
`synonyms`, the strongest first; a name in minutes or hours among them counts in its own unit.

Types, ranges and defaults are Apache Kafka 4.3.1's.
"""

from __future__ import annotations

from .setting import Check, Setting, SettingType, Update, Value, at_least, between, entries, invalid, one_of

BOOLEAN = SettingType.BOOLEAN
STRING = SettingType.STRING
INT = SettingType.INT
LONG = SettingType.LONG
DOUBLE = SettingType.DOUBLE
LIST = SettingType.LIST

FOREVER = 2**63 - 1
"""Kafka's way to say never, or no limit, in a LONG."""


def _gzip_level(name: str, value: Value) -> None:
    if value != -1 and not (isinstance(value, int) and 1 <= value <= 9):
        raise invalid(name, value, "Value must be between 1 and 9 or equal to -1")


def _throttled_replicas(name: str, value: Value) -> None:
    """Partition:broker pairs, or a star; the shape is checked as Kafka checks it."""
    assert isinstance(value, tuple), f"{name} is not a list"
    pairs = [part.split(":") for part in value]
    if value == ("*",) or all(pair == [""] or (len(pair) == 2 and all(map(_is_digits, pair))) for pair in pairs):
        return
    raise invalid(
        name,
        f"[{', '.join(value)}]",
        f"{name} must be the literal '*' or a list of replicas in the following format: "
        "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
    )


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


_CLEANUP_POLICIES = entries("compact", "delete")
_COMPRESSION_TYPES = one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
_TIMESTAMP_TYPES = one_of("CreateTime", "LogAppendTime")
_LZ4_LEVELS = between(1, 17)
_ZSTD_LEVELS = between(-131072, 22)


def _topic(
    name: str,
    type_: SettingType,
    default: Value,
    check: Check | None,
    synonyms: str,
    doc: str,
    *,
    acts: bool = True,
    internal: bool = False,
) -> Setting:
    return Setting(
        name=name,
        type=type_,
        default=default,
        check=check,
        update=Update.CLUSTER_WIDE,
        synonyms=tuple(synonyms.split()),
        doc=doc,
        acts=acts,
        internal=internal,
    )


_ROWS = [
    _topic(
        "cleanup.policy", LIST, ("delete",), _CLEANUP_POLICIES, "log.cleanup.policy",
        "What happens to old data: delete, compact, both, or (empty) neither.",
    ),
    _topic(
        "compression.gzip.level", INT, -1, _gzip_level, "compression.gzip.level",
        "Level when compression.type is gzip; -1 is the library's own choice.",
    ),
    _topic(
        "compression.lz4.level", INT, 9, _LZ4_LEVELS, "compression.lz4.level",
        "Level when compression.type is lz4.",
    ),
    _topic(
        "compression.type", STRING, "producer", _COMPRESSION_TYPES, "compression.type",
        "How batches are compressed on disk; producer keeps what the producer sent.",
    ),
    _topic(
        "compression.zstd.level", INT, 3, _ZSTD_LEVELS, "compression.zstd.level",
        "Level when compression.type is zstd.",
    ),
    _topic(
        "delete.retention.ms", LONG, 86400000, at_least(0), "log.cleaner.delete.retention.ms",
        "How long compaction keeps a tombstone.",
    ),
    _topic(
        "file.delete.delay.ms", LONG, 60000, at_least(0), "log.segment.delete.delay.ms",
        "How long a deleted segment stays on disk under its .deleted name.",
    ),
    _topic(
        "flush.messages", LONG, FOREVER, at_least(1), "log.flush.interval.messages",
        "Sync to disk after this many records. Unless this or flush.ms is set, acks=all is answered after a sync.",
    ),
    _topic(
        "flush.ms", LONG, FOREVER, at_least(0), "log.flush.interval.ms log.flush.scheduler.interval.ms",
        "Sync to disk after this time. Unless this or flush.messages is set, acks=all is answered after a sync.",
    ),
    _topic(
        "follower.replication.throttled.replicas", LIST, (), _throttled_replicas, "",
        "Replicas whose copying is throttled on the follower's side.", acts=False,
    ),
    _topic(
        "index.interval.bytes", INT, 4096, at_least(0), "log.index.interval.bytes",
        "Bytes of log between two index entries.",
    ),
    _topic(
        "internal.segment.bytes", INT, None, None, "",
        "Segment size below what segment.bytes allows; for tests.", internal=True,
    ),
    _topic(
        "leader.replication.throttled.replicas", LIST, (), _throttled_replicas, "",
        "Replicas whose copying is throttled on the leader's side.", acts=False,
    ),
    _topic(
        "local.retention.bytes", LONG, -2, at_least(-2), "log.local.retention.bytes",
        "Size kept locally of a tiered log; -2 is retention.bytes.", acts=False,
    ),
    _topic(
        "local.retention.ms", LONG, -2, at_least(-2), "log.local.retention.ms",
        "Age kept locally of a tiered log; -2 is retention.ms.", acts=False,
    ),
    _topic(
        "max.compaction.lag.ms", LONG, FOREVER, at_least(1), "log.cleaner.max.compaction.lag.ms",
        "The longest time a record may stay uncompacted.",
    ),
    _topic(
        "max.message.bytes", INT, 1048588, at_least(0), "message.max.bytes",
        "The largest record batch accepted, after compression.",
    ),
    _topic(
        "message.timestamp.after.max.ms", LONG, 3600000, at_least(0), "log.message.timestamp.after.max.ms",
        "How far ahead of the broker's clock a CreateTime may be.",
    ),
    _topic(
        "message.timestamp.before.max.ms", LONG, FOREVER, at_least(0), "log.message.timestamp.before.max.ms",
        "How far behind the broker's clock a CreateTime may be.",
    ),
    _topic(
        "message.timestamp.type", STRING, "CreateTime", _TIMESTAMP_TYPES, "log.message.timestamp.type",
        "Whose time a record carries: the producer's (CreateTime) or the broker's (LogAppendTime).",
    ),
    _topic(
        "min.cleanable.dirty.ratio", DOUBLE, 0.5, between(0, 1), "log.cleaner.min.cleanable.ratio",
        "The part of a log that must be uncompacted before compaction runs.",
    ),
    _topic(
        "min.compaction.lag.ms", LONG, 0, at_least(0), "log.cleaner.min.compaction.lag.ms",
        "The shortest time a record stays uncompacted.",
    ),
    _topic(
        "min.insync.replicas", INT, 1, at_least(1), "min.insync.replicas",
        "Replicas that must have a write for acks=all; one node counts as enough, as in Kafka.", acts=False,
    ),
    _topic(
        "preallocate", BOOLEAN, False, None, "log.preallocate",
        "Reserve a new segment's full size on disk when it is created.",
    ),
    _topic(
        "remote.log.copy.disable", BOOLEAN, False, None, "",
        "Stop copying a tiered log to the remote store.", acts=False,
    ),
    _topic(
        "remote.log.delete.on.disable", BOOLEAN, False, None, "",
        "Delete the remote part when tiering is switched off.", acts=False,
    ),
    _topic("remote.storage.enable", BOOLEAN, False, None, "", "Keep old segments remotely.", acts=False),
    _topic(
        "retention.bytes", LONG, -1, None, "log.retention.bytes",
        "Delete the oldest segments while a partition is larger than this; -1 is no limit.",
    ),
    _topic(
        "retention.ms", LONG, 604800000, at_least(-1),
        "log.retention.ms log.retention.minutes log.retention.hours",
        "Delete a segment when its newest record is older than this; -1 is never.",
    ),
    _topic(
        "segment.bytes", INT, 1073741824, at_least(1048576), "log.segment.bytes",
        "Size at which a new segment is begun.",
    ),
    _topic(
        "segment.index.bytes", INT, 10485760, at_least(4), "log.index.size.max.bytes",
        "Largest size of an index file; a full one begins a new segment.",
    ),
    _topic(
        "segment.jitter.ms", LONG, 0, at_least(0), "log.roll.jitter.ms log.roll.jitter.hours",
        "Up to this much is taken off segment.ms at random, so that segments do not all roll at once.",
    ),
    _topic(
        "segment.ms", LONG, 604800000, at_least(1), "log.roll.ms log.roll.hours",
        "Age at which a new segment is begun, full or not.",
    ),
    _topic(
        "unclean.leader.election.enable", BOOLEAN, False, None, "unclean.leader.election.enable",
        "Let a replica that is behind become leader.", acts=False,
    ),
]  # fmt: skip

TOPIC_SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _ROWS}
