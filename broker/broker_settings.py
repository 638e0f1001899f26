"""What can be set on a broker and acts: the table.

Settings that give a topic setting its default are not written twice: those with the topic setting's own type,
range and default are made from it (`log.segment.bytes` from `segment.bytes`).

Types, ranges and defaults are Apache Kafka 4.3.1's, but for the few in `KAFKA_DEFAULTS`: Kafka's own defaults
assume several machines, a temporary directory, or a network that may be trusted.
"""

from __future__ import annotations

from .setting import Check, Setting, SettingType, Update, Value, at_least, between, entries, one_of_ignoring_case
from .topic_settings import FOREVER, TOPIC_SETTINGS

BOOLEAN = SettingType.BOOLEAN
STRING = SettingType.STRING
INT = SettingType.INT
LONG = SettingType.LONG
SHORT = SettingType.SHORT
DOUBLE = SettingType.DOUBLE
LIST = SettingType.LIST

NO_LIMIT = 2**31 - 1
"""Kafka's way to say no limit in an INT."""

KAFKA_DEFAULTS: dict[str, Value] = {
    "controller.listener.names": None,
    "listeners": ("PLAINTEXT://:9092",),
    "log.dir": ("/tmp/kafka-logs",),
    "node.id": None,
}
"""Kafka's default where ours is another."""

_READ_ONLY = Update.READ_ONLY
_CLUSTER = Update.CLUSTER_WIDE
_NOT_EMPTY = entries(may_be_empty=False)


def _broker(
    name: str,
    type_: SettingType,
    default: Value,
    check: Check | None,
    update: Update,
    doc: str,
    *,
    acts: bool = True,
) -> Setting:
    return Setting(
        name=name,
        type=type_,
        default=default,
        check=check,
        update=update,
        doc=doc,
        acts=acts,
    )


_ROWS = [
    _broker(
        "add.partitions.to.txn.retry.backoff.max.ms", INT, 100, at_least(0), _READ_ONLY,
        "How long a producer that begins a transaction waits for the end of its last one before it is told to come again.",
    ),
    _broker(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms", INT, 10000, at_least(1), _READ_ONLY,
        "How often transactions are looked at for such as are open for too long.",
    ),
    _broker(
        "transaction.max.timeout.ms", INT, 900000, at_least(1), _READ_ONLY,
        "The longest transaction.timeout.ms that a producer may ask for.",
    ),
    _broker(
        "transaction.partition.verification.enable", BOOLEAN, True, None, _CLUSTER,
        "Whether the coordinator is asked before a transaction begins in a partition.",
    ),
    _broker(
        "transaction.remove.expired.transaction.cleanup.interval.ms", INT, 3600000, at_least(1), _READ_ONLY,
        "How often transactional ids are looked at for such as nobody uses any more.",
    ),
    _broker(
        "transaction.state.log.num.partitions", INT, 50, at_least(1), _READ_ONLY,
        "Partitions of __transaction_state, when it is made.",
    ),
    _broker(
        "transaction.state.log.replication.factor", SHORT, 3, at_least(1), _READ_ONLY,
        "Replicas of __transaction_state, when it is made; no more than there are brokers.",
    ),
    _broker(
        "transaction.state.log.segment.bytes", INT, 104857600, at_least(1), _READ_ONLY,
        "segment.bytes of __transaction_state, when it is made.",
    ),
    _broker(
        "transactional.id.expiration.ms", INT, 604800000, at_least(1), _READ_ONLY,
        "How long a transactional id is kept that nobody uses.",
    ),
    _broker(
        "advertised.listeners", LIST, None, _NOT_EMPTY, _READ_ONLY,
        "The addresses clients are told to connect to; by default those of listeners.",
    ),
    _broker(
        "auto.create.topics.enable", BOOLEAN, True, None, _READ_ONLY,
        "Create a topic when a client asks for one that does not exist and allows it.",
    ),
    _broker("broker.id", INT, -1, None, _READ_ONLY, "The older name of node.id; -1 is node.id."),
    _broker("broker.rack", STRING, None, None, _READ_ONLY, "The rack told to clients in Metadata."),
    _broker(
        "connections.max.idle.ms", LONG, 600000, None, _READ_ONLY,
        "Close a connection after so long idle.",
    ),
    _broker(
        "controller.listener.names", LIST, (), entries(), _READ_ONLY,
        "Listeners that in Kafka belong to the controller; they are not opened here.",
    ),
    _broker(
        "default.replication.factor", INT, 1, None, _READ_ONLY, "Replicas of a topic created without a say."
    ),
    _broker("delete.topic.enable", BOOLEAN, True, None, _READ_ONLY, "Allow topics to be deleted."),
    _broker(
        "fetch.max.bytes", INT, 57671680, at_least(1024), _READ_ONLY,
        "The most a fetch is answered with, whatever the client asks for.",
    ),
    _broker(
        "group.consumer.assignment.interval.ms", INT, 1000, at_least(0), _CLUSTER,
        "The shortest time between two assignments of a consumer group.",
    ),
    _broker(
        "group.consumer.assignors", LIST, ("uniform", "range"), _NOT_EMPTY, _READ_ONLY,
        "The assignors that consumer groups may ask for; the first is taken where nobody asks.",
    ),
    _broker(
        "group.consumer.heartbeat.interval.ms", INT, 5000, at_least(1), _READ_ONLY,
        "How often a member of a consumer group sends a heartbeat.",
    ),
    _broker(
        "group.consumer.max.assignment.interval.ms", INT, 15000, at_least(0), _READ_ONLY,
        "The longest assignment interval a group may be given.",
    ),
    _broker(
        "group.consumer.max.heartbeat.interval.ms", INT, 15000, at_least(1), _READ_ONLY,
        "The longest heartbeat interval a group may be given.",
    ),
    _broker(
        "group.consumer.max.session.timeout.ms", INT, 60000, at_least(1), _READ_ONLY,
        "The longest session timeout a consumer group may be given.",
    ),
    _broker(
        "group.consumer.max.size", INT, 2147483647, at_least(1), _READ_ONLY,
        "The most members a consumer group may have.",
    ),
    _broker(
        "group.consumer.migration.policy", STRING, "bidirectional",
        one_of_ignoring_case("DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"), _READ_ONLY,
        "Which way a group with members may change between the classic and the consumer protocol.",
    ),
    _broker(
        "group.consumer.min.assignment.interval.ms", INT, 0, at_least(0), _READ_ONLY,
        "The shortest assignment interval a group may be given.",
    ),
    _broker(
        "group.consumer.min.heartbeat.interval.ms", INT, 5000, at_least(1), _READ_ONLY,
        "The shortest heartbeat interval a group may be given.",
    ),
    _broker(
        "group.consumer.min.session.timeout.ms", INT, 45000, at_least(1), _READ_ONLY,
        "The shortest session timeout a consumer group may be given.",
    ),
    _broker(
        "group.consumer.session.timeout.ms", INT, 45000, at_least(1), _READ_ONLY,
        "After this time without a heartbeat a member has left its consumer group.",
    ),
    _broker(
        "group.coordinator.rebalance.protocols", LIST, ("classic", "consumer", "streams"),
        entries("consumer", "classic", "share", "streams", may_be_empty=False), _READ_ONLY,
        "The protocols of groups; without consumer there are no groups of the new protocol.",
    ),
    _broker(
        "group.initial.rebalance.delay.ms", INT, 3000, None, _READ_ONLY,
        "How long the first rebalance of a new group waits for more members.",
    ),
    _broker(
        "group.max.session.timeout.ms", INT, 1800000, None, _READ_ONLY,
        "The longest session timeout a member may ask for.",
    ),
    _broker(
        "group.max.size", INT, 2147483647, at_least(1), _READ_ONLY,
        "The most members a group may have.",
    ),
    _broker(
        "group.min.session.timeout.ms", INT, 6000, None, _READ_ONLY,
        "The shortest session timeout a member may ask for.",
    ),
    _broker(
        "offset.metadata.max.bytes", INT, 4096, None, _READ_ONLY,
        "The most bytes of metadata that a committed offset may carry.",
    ),
    _broker(
        "offsets.commit.timeout.ms", INT, 5000, at_least(1), _READ_ONLY,
        "How long a commit waits for the disk.",
    ),
    _broker(
        "offsets.retention.check.interval.ms", LONG, 600000, at_least(1), _READ_ONLY,
        "How often committed offsets are looked at for expired ones.",
    ),
    _broker(
        "offsets.retention.minutes", INT, 10080, at_least(1), _READ_ONLY,
        "How long the offsets of a group without members are kept.",
    ),
    _broker(
        "offsets.topic.compression.codec", INT, 0, between(0, 4), _READ_ONLY,
        "How records of __consumer_offsets are compressed: 0 not, 1 gzip, 2 snappy, 3 lz4, 4 zstd.",
    ),
    _broker(
        "offsets.topic.num.partitions", INT, 50, at_least(1), _READ_ONLY,
        "Partitions of __consumer_offsets, when it is made.",
    ),
    _broker(
        "offsets.topic.replication.factor", SHORT, 3, at_least(1), _READ_ONLY,
        "Replicas of __consumer_offsets, when it is made; no more than there are brokers.",
    ),
    _broker(
        "offsets.topic.segment.bytes", INT, 104857600, at_least(1), _READ_ONLY,
        "segment.bytes of __consumer_offsets, when it is made.",
    ),
    _broker(
        "listener.security.protocol.map", STRING,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        None, Update.PER_BROKER,
        "The protocol each listener speaks, NAME:PROTOCOL; PLAINTEXT is the only one spoken yet.",
    ),
    _broker(
        "listeners", LIST, ("PLAINTEXT://127.0.0.1:9092",), _NOT_EMPTY, Update.PER_BROKER,
        "Where to listen, NAME://HOST:PORT; no host or 0.0.0.0 is every interface, port 0 any free port."
        " Ours is this machine only, because there is no login yet; Kafka's is every interface.",
    ),
    _broker(
        "log.cleaner.backoff.ms", LONG, 15000, at_least(0), _CLUSTER,
        "How long the cleaner sleeps when no log is due.",
    ),
    _broker(
        "log.cleaner.dedupe.buffer.size", LONG, 134217728, None, _CLUSTER,
        "Memory for the newest offsets of keys, all cleaner threads together: 24 bytes a key, taken when needed.",
    ),
    _broker("log.cleaner.enable", BOOLEAN, True, None, _READ_ONLY, "Whether topics are compacted at all."),
    _broker(
        "log.cleaner.io.buffer.load.factor", DOUBLE, 0.9, None, _CLUSTER,
        "How full that memory may get before what was read so far is cleaned.",
    ),
    _broker(
        "log.cleaner.io.buffer.size", INT, 524288, at_least(0), _CLUSTER,
        "Memory for reading and writing, all cleaner threads together.",
    ),
    _broker(
        "log.cleaner.io.max.bytes.per.second", DOUBLE, 1.7976931348623157e308, None, _CLUSTER,
        "The most bytes that cleaning reads and writes in a second.",
    ),
    _broker(
        "log.cleaner.threads", INT, 1, at_least(0), _CLUSTER, "How many logs are cleaned at a time."
    ),
    _broker(
        "log.dir", LIST, ("ottla-data",), _NOT_EMPTY, _READ_ONLY,
        "The data directory, when log.dirs is not given. Ours is beside you; Kafka's is in /tmp.",
    ),
    _broker("log.dirs", LIST, None, _NOT_EMPTY, _READ_ONLY, "The data directory (one)."),
    _broker(
        "log.flush.interval.messages", LONG, FOREVER, at_least(1), _CLUSTER, "Default of flush.messages."
    ),
    _broker("log.flush.interval.ms", LONG, None, None, _CLUSTER, "Default of flush.ms."),
    _broker(
        "log.flush.offset.checkpoint.interval.ms", INT, 60000, at_least(0), _READ_ONLY,
        "How often the recovery points are written down.",
    ),
    _broker(
        "log.flush.scheduler.interval.ms", LONG, FOREVER, None, _READ_ONLY,
        "Default of flush.ms where log.flush.interval.ms is not given.",
    ),
    _broker(
        "log.retention.check.interval.ms", LONG, 300000, at_least(1), _READ_ONLY,
        "How often it is looked which segments to delete.",
    ),
    _broker("log.retention.hours", INT, 168, None, _READ_ONLY, "Default of retention.ms, in hours."),
    _broker("log.retention.minutes", INT, None, None, _READ_ONLY, "Default of retention.ms, in minutes."),
    _broker("log.retention.ms", LONG, None, None, _CLUSTER, "Default of retention.ms."),
    _broker("log.roll.hours", INT, 168, at_least(1), _READ_ONLY, "Default of segment.ms, in hours."),
    _broker(
        "log.roll.jitter.hours", INT, 0, at_least(0), _READ_ONLY, "Default of segment.jitter.ms, in hours."
    ),
    _broker("log.roll.jitter.ms", LONG, None, None, _CLUSTER, "Default of segment.jitter.ms."),
    _broker("log.roll.ms", LONG, None, None, _CLUSTER, "Default of segment.ms."),
    _broker("max.connections", INT, NO_LIMIT, at_least(0), _CLUSTER, "The most connections at a time."),
    _broker(
        "max.connections.per.ip", INT, NO_LIMIT, at_least(0), _CLUSTER,
        "The most connections from one address at a time.",
    ),
    _broker(
        "max.connections.per.ip.overrides", STRING, "", None, _CLUSTER,
        "Other limits for certain addresses, HOST:COUNT, separated by commas.",
    ),
    _broker(
        "max.incremental.fetch.session.cache.slots", INT, 1000, at_least(0), _READ_ONLY,
        "The most fetch sessions remembered at a time.",
    ),
    _broker(
        "max.request.partition.size.limit", INT, 2000, at_least(1), _READ_ONLY,
        "The most partitions in one answer to DescribeTopicPartitions.",
    ),
    _broker(
        "node.id", INT, 1, at_least(0), _READ_ONLY, "This broker's number; Kafka has no default."
    ),
    _broker(
        "num.partitions", INT, 1, at_least(1), _READ_ONLY,
        "Partitions of a topic created without a say.",
    ),
    _broker(
        "num.recovery.threads.per.data.dir", INT, 2, at_least(1), _CLUSTER,
        "Threads that open logs at start, and repair them after a crash.",
    ),
    _broker(
        "producer.id.expiration.ms", INT, 86400000, at_least(1), _CLUSTER,
        "How long a partition remembers a producer that has gone quiet.",
    ),
    _broker(
        "queued.max.request.bytes", LONG, -1, None, _READ_ONLY,
        "The most bytes of requests held at a time, all connections together. -1 is 512 MiB here,"
        " and no bound in Kafka.",
    ),
    _broker(
        "socket.request.max.bytes", INT, 104857600, at_least(1), _READ_ONLY,
        "The largest request; a connection that announces more is closed.",
    ),
]  # fmt: skip


def _behind(topic: Setting) -> Setting:
    """The broker setting that gives a topic setting its default."""
    name = topic.synonyms[0]
    doc = topic.doc if name == topic.name else f"Default of {topic.name}."
    return _broker(name, topic.type, topic.default, topic.check, _CLUSTER, doc, acts=topic.acts)


def acting_settings() -> dict[str, Setting]:
    """The table by name, with the settings that stand behind topic settings."""
    own = {setting.name: setting for setting in _ROWS}
    behind = (_behind(topic) for topic in TOPIC_SETTINGS.values() if topic.synonyms)
    return {setting.name: setting for setting in behind} | own
