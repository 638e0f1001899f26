"""What can be set on a consumer group and on a client-metrics subscription: the tables.

Both are known, checked, kept and described before the features that read them exist, because admin tools show and set
them. A group setting that is not set on the group takes its default from the broker setting in its `synonyms`, and
must lie between two others of the broker, a least and a most.

Types, ranges, defaults and refusals are Apache Kafka 4.3.1's (`GroupConfig`, `ClientMetricsConfigs`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..protocol.errors import ErrorCode, KafkaError
from .setting import Check, InvalidSetting, Setting, SettingType, Update, Value, at_least, entries, invalid, one_of

BOOLEAN = SettingType.BOOLEAN
STRING = SettingType.STRING
INT = SettingType.INT
LIST = SettingType.LIST

_DURATION = re.compile(r"by_duration:P(?=\d|T\d)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", re.IGNORECASE)


def _share_offset_reset(name: str, value: Value) -> None:
    if value in ("earliest", "latest") or _DURATION.fullmatch(str(value)):
        return
    raise invalid(
        name,
        value,
        f"Invalid value `{value}` for configuration {name}. The value must be either 'earliest', 'latest' or of "
        "the format 'by_duration:<PnDTnHnMn.nS>'.",
    )


def _group(name: str, type_: SettingType, default: Value, check: Check | None, synonyms: str, doc: str) -> Setting:
    return Setting(
        name=name,
        type=type_,
        default=default,
        check=check,
        update=Update.CLUSTER_WIDE,
        synonyms=tuple(synonyms.split()),
        doc=doc,
    )


_GROUP_ROWS = [
    _group("consumer.assignment.interval.ms", INT, 1000, at_least(0), "group.consumer.assignment.interval.ms",
           "The shortest time between two assignments of a consumer group."),
    _group("consumer.heartbeat.interval.ms", INT, 5000, at_least(1), "group.consumer.heartbeat.interval.ms",
           "How often a member of a consumer group sends a heartbeat."),
    _group("consumer.session.timeout.ms", INT, 45000, at_least(1), "group.consumer.session.timeout.ms",
           "After this time without a heartbeat a member has left its consumer group."),
    _group("share.assignment.interval.ms", INT, 1000, at_least(0), "group.share.assignment.interval.ms",
           "The shortest time between two assignments of a share group."),
    _group("share.auto.offset.reset", STRING, "latest", _share_offset_reset, "",
           "Where a share group begins to read a partition it has not read before."),
    _group("share.delivery.count.limit", INT, 5, at_least(2), "group.share.delivery.count.limit",
           "How often a record is delivered to a share group before it is given up."),
    _group("share.heartbeat.interval.ms", INT, 5000, at_least(1), "group.share.heartbeat.interval.ms",
           "How often a member of a share group sends a heartbeat."),
    _group("share.isolation.level", STRING, "read_uncommitted", one_of("read_committed", "read_uncommitted"), "",
           "Whether a share group reads records of transactions that are not committed."),
    _group("share.partition.max.record.locks", INT, 2000, at_least(100), "group.share.partition.max.record.locks",
           "How many records of a partition a share group may have in flight."),
    _group("share.record.lock.duration.ms", INT, 30000, at_least(1000), "group.share.record.lock.duration.ms",
           "How long a member of a share group may hold a record before it is delivered again."),
    _group("share.renew.acknowledge.enable", BOOLEAN, True, None, "",
           "Whether members of a share group may prolong their hold on a record."),
    _group("share.session.timeout.ms", INT, 45000, at_least(1), "group.share.session.timeout.ms",
           "After this time without a heartbeat a member has left its share group."),
    _group("streams.assignment.interval.ms", INT, 1000, at_least(0), "group.streams.assignment.interval.ms",
           "The shortest time between two assignments of a streams group."),
    _group("streams.heartbeat.interval.ms", INT, 5000, at_least(1), "group.streams.heartbeat.interval.ms",
           "How often a member of a streams group sends a heartbeat."),
    _group("streams.initial.rebalance.delay.ms", INT, 3000, at_least(0), "group.streams.initial.rebalance.delay.ms",
           "How long a new streams group waits for further members."),
    _group("streams.num.standby.replicas", INT, 0, at_least(0), "group.streams.num.standby.replicas",
           "How many warm copies of each task's state a streams group keeps."),
    _group("streams.session.timeout.ms", INT, 45000, at_least(1), "group.streams.session.timeout.ms",
           "After this time without a heartbeat a member has left its streams group."),
]  # fmt: skip

GROUP_SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _GROUP_ROWS}

_LIMITS: dict[str, tuple[str | None, str | None]] = {
    "consumer.assignment.interval.ms": (
        "group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"),
    "consumer.heartbeat.interval.ms": (
        "group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
    "consumer.session.timeout.ms": (
        "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
    "share.assignment.interval.ms": (
        "group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms"),
    "share.delivery.count.limit": (
        "group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit"),
    "share.heartbeat.interval.ms": (
        "group.share.min.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms"),
    "share.partition.max.record.locks": (
        "group.share.min.partition.max.record.locks", "group.share.max.partition.max.record.locks"),
    "share.record.lock.duration.ms": (
        "group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms"),
    "share.session.timeout.ms": (
        "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms"),
    "streams.assignment.interval.ms": (
        "group.streams.min.assignment.interval.ms", "group.streams.max.assignment.interval.ms"),
    "streams.heartbeat.interval.ms": (
        "group.streams.min.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms"),
    "streams.num.standby.replicas": (None, "group.streams.max.standby.replicas"),
    "streams.session.timeout.ms": (
        "group.streams.min.session.timeout.ms", "group.streams.max.session.timeout.ms"),
}  # fmt: skip
"""The broker settings that say the least and the most."""


def check_group_configs(texts: Mapping[str, str], broker: Mapping[str, Value]) -> None:
    """Raises InvalidSetting for what no group can have; `broker` are the broker's settings in force."""
    unknown = next((name for name in texts if name not in GROUP_SETTINGS), None)
    if unknown is not None:
        raise InvalidSetting(f"Unknown group config name: {unknown}")
    values = {name: GROUP_SETTINGS[name].parse(text) for name, text in texts.items()}
    for name, (least_name, most_name) in _LIMITS.items():
        if name not in values:
            continue
        value, (least, most) = _whole(values[name]), limits_of(name, broker)
        if least is not None and value < least:
            raise InvalidSetting(f"{name} must be greater than or equal to {least_name}")
        if most is not None and value > most:
            raise InvalidSetting(f"{name} must be less than or equal to {most_name}")


def limits_of(name: str, broker: Mapping[str, Value]) -> tuple[int | None, int | None]:
    """The least and the most that the broker's settings in force allow for a group setting; None for no limit."""
    least, most = _LIMITS.get(name, (None, None))
    return (
        None if least is None else _whole(broker[least]),
        None if most is None else _whole(broker[most]),
    )


def _whole(value: Value) -> int:
    assert isinstance(value, int), f"{value!r} is not a whole number"
    return value


# -- client metrics (KIP-714)

CLIENT_METRICS_SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        _group("interval.ms", INT, 300000, None, "", "How often a client pushes its metrics."),
        _group("match", LIST, (), None, "", "Which clients: pairs of a selector and a pattern."),
        _group("metrics", LIST, (), entries(), "", "Prefixes of the names of the metrics wanted; * is all."),
    )
}

_INTERVAL_MS = (100, 3_600_000)
_SELECTORS = frozenset(
    {
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    }
)


def check_client_metrics(texts: Mapping[str, str]) -> None:
    """Raises InvalidSetting, or KafkaError(INVALID_REQUEST) where Kafka chose that."""
    unknown = next((name for name in texts if name not in CLIENT_METRICS_SETTINGS), None)
    if unknown is not None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown client metrics configuration: {unknown}")
    values = {name: CLIENT_METRICS_SETTINGS[name].parse(text) for name, text in texts.items()}
    interval_ms = values.get("interval.ms")
    least, most = _INTERVAL_MS
    if isinstance(interval_ms, int) and not least <= interval_ms <= most:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Invalid value {interval_ms} for interval.ms, interval must be between {least} and {most} (1 hour)",
        )
    patterns = values.get("match", ())
    assert isinstance(patterns, tuple)
    for pattern in patterns:
        if not _is_pattern(pattern):
            raise InvalidSetting(f"Illegal client matching pattern: {pattern}")


def _is_pattern(text: str) -> bool:
    selector, equals, pattern = text.partition("=")
    if not equals or selector.strip() not in _SELECTORS or "=" in pattern:
        return False
    try:
        re.compile(pattern.strip())
    except re.error:
        return False
    return True
