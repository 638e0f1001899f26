"""The records of consumer groups in `__consumer_offsets`: Kafka's keys and values, and what they mean as values.

    type  key                        value, version 0
    3     group                      GroupEpoch            the group's epoch, and the hash of its topics
    4     group                      (4.0 and before)      topic metadata; read to be removed, never written
    5     group, member              Subscription          what a member told
    6     group                      TargetEpoch           the epoch of the target assignment, and when it was computed
    7     group, member              partitions            the member's target assignment
    8     group, member              Standing              the member's current assignment
    16    group, expression          Resolved              the topics that a regular expression matched

A record is one change of one key; without a value (a tombstone) the key is forgotten. So the state of a group is the
last value of each of its keys, and can be built from a compacted log. Within one decision the order is Kafka's: it
matters for tombstones only (a group's own goes last).

Kafka's classes: `GroupCoordinatorRecordHelpers`, `GroupCoordinatorRecordSerde`, the generated ConsumerGroup* keys and
values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from ....protocol.primitives import INT16, INT32, INT64
from .member import ClassicMember, MemberState, Owned, Partitions, Standing, Subscription
from .record_codec import Reader, put_bytes, put_int32s, put_string, put_tag, put_uvarint
from .regex import Resolved

_VERSION = b"\0\0"
_STATES = frozenset(int(each) for each in MemberState)


@dataclass(frozen=True, slots=True)
class GroupEpoch:
    epoch: int
    metadata_hash: int = 0


@dataclass(frozen=True, slots=True)
class TargetEpoch:
    """`computed_at_ms` is 0 when it is not known."""

    epoch: int
    computed_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class GroupEpochRecord:
    group_id: str
    value: GroupEpoch | None


@dataclass(frozen=True, slots=True)
class TopicMetadataRecord:
    """`value` says only whether the record is there."""

    group_id: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    group_id: str
    member_id: str
    value: Subscription | None


@dataclass(frozen=True, slots=True)
class TargetEpochRecord:
    group_id: str
    value: TargetEpoch | None


@dataclass(frozen=True, slots=True)
class TargetRecord:
    group_id: str
    member_id: str
    value: Partitions | None


@dataclass(frozen=True, slots=True)
class StandingRecord:
    group_id: str
    member_id: str
    value: Standing | None


@dataclass(frozen=True, slots=True)
class RegexRecord:
    group_id: str
    regex: str
    value: Resolved | None


ConsumerGroupRecord = (
    GroupEpochRecord
    | TopicMetadataRecord
    | SubscriptionRecord
    | TargetEpochRecord
    | TargetRecord
    | StandingRecord
    | RegexRecord
)

GROUP_EPOCH, TOPIC_METADATA, SUBSCRIPTION, TARGET_EPOCH, TARGET, STANDING, REGEX = 3, 4, 5, 6, 7, 8, 16
KEY_TYPES = frozenset((GROUP_EPOCH, TOPIC_METADATA, SUBSCRIPTION, TARGET_EPOCH, TARGET, STANDING, REGEX))
"""The int16 that such a key begins with."""


# --- keys


def encode_key(record: ConsumerGroupRecord) -> bytes:
    match record:
        case GroupEpochRecord():
            return _key(GROUP_EPOCH, record.group_id)
        case TopicMetadataRecord():
            return _key(TOPIC_METADATA, record.group_id)
        case SubscriptionRecord():
            return _key(SUBSCRIPTION, record.group_id, record.member_id)
        case TargetEpochRecord():
            return _key(TARGET_EPOCH, record.group_id)
        case TargetRecord():
            return _key(TARGET, record.group_id, record.member_id)
        case StandingRecord():
            return _key(STANDING, record.group_id, record.member_id)
        case RegexRecord():
            return _key(REGEX, record.group_id, record.regex)


def _key(kind: int, *names: str) -> bytes:
    encoded = [each.encode() for each in names]
    return INT16.pack(kind) + b"".join(INT16.pack(len(each)) + each for each in encoded)


# --- values


def encode_value(record: ConsumerGroupRecord) -> bytes | None:
    """None for a tombstone."""
    if record.value is None:
        return None
    out = bytearray(_VERSION)
    match record.value:
        case GroupEpoch() as value:
            _put_number_and_tag(out, value.epoch, value.metadata_hash)
        case TargetEpoch() as value:
            _put_number_and_tag(out, value.epoch, value.computed_at_ms)
        case Subscription() as value:
            _put_subscription(out, value)
        case Standing() as value:
            _put_standing(out, value)
        case Resolved() as value:
            _put_resolved(out, value)
        case bytes() as value:
            return value
        case value:
            _put_target(out, value)
    return bytes(out)


def _put_number_and_tag(out: bytearray, number: int, tagged: int) -> None:
    out += INT32.pack(number)
    put_tag(out, 0, INT64.pack(tagged) if tagged else None)


def _put_subscription(out: bytearray, value: Subscription) -> None:
    for text in (value.instance_id, value.rack_id, value.client_id, value.client_host):
        put_string(out, text)
    _put_strings(out, value.topics)
    put_string(out, value.regex)
    out += INT32.pack(value.rebalance_timeout_ms)
    put_string(out, value.assignor)
    put_tag(out, 0, b"\0" if value.classic is None else _classic(value.classic))


def _put_strings(out: bytearray, texts: frozenset[str]) -> None:
    put_uvarint(out, len(texts) + 1)
    for text in sorted(texts):
        put_string(out, text)


def _classic(value: ClassicMember) -> bytes:
    """A nullable struct, of which Kafka writes even the null: without the field it would take the member for a classic."""
    out = bytearray(b"\1")
    out += INT32.pack(value.session_timeout_ms)
    put_uvarint(out, len(value.protocols) + 1)
    for name, metadata in value.protocols:
        put_string(out, name)
        put_bytes(out, metadata)
        put_tag(out, 0, None)
    put_tag(out, 0, None)
    return bytes(out)


def _put_standing(out: bytearray, value: Standing) -> None:
    out += struct.pack(">iib", value.epoch, value.previous_epoch, value.state)
    _put_owned(out, value.assigned)
    _put_owned(out, value.revoking)
    put_tag(out, 0, None)


def _put_owned(out: bytearray, owned: Owned) -> None:
    put_uvarint(out, len(owned) + 1)
    for topic_id, partitions in owned.items():
        out += topic_id.bytes
        put_int32s(out, partitions)
        epochs = bytearray()
        put_int32s(epochs, partitions.values())
        put_tag(out, 0, bytes(epochs))


def _put_target(out: bytearray, target: Partitions) -> None:
    put_uvarint(out, len(target) + 1)
    for topic_id, partitions in target.items():
        out += topic_id.bytes
        put_int32s(out, sorted(partitions))
        put_tag(out, 0, None)
    put_tag(out, 0, None)


def _put_resolved(out: bytearray, value: Resolved) -> None:
    _put_strings(out, value.topics)
    out += INT64.pack(value.version)
    out += INT64.pack(value.at_ms)
    put_tag(out, 0, None)


# --- reading


def decode(key: bytes, value: bytes | None) -> ConsumerGroupRecord:
    """The record of this key and value; ValueError when they are not one of a consumer group."""
    try:
        return _decode(Reader(key), None if value is None else Reader(value))
    except (struct.error, IndexError, ValueError) as error:
        raise ValueError(f"not a record of a consumer group: {key!r:.100}: {error}") from error


def _decode(key: Reader, value: Reader | None) -> ConsumerGroupRecord:
    kind, group_id = key.int16(), key.classic_text()
    if value is not None and (version := value.int16()) != 0:
        raise ValueError(f"version {version} of a value of type {kind}")
    match kind:
        case 3:
            return GroupEpochRecord(group_id, None if value is None else GroupEpoch(*_number_and_tag(value)))
        case 4:
            return TopicMetadataRecord(group_id, None if value is None else value.data)
        case 5:
            return SubscriptionRecord(group_id, key.classic_text(), None if value is None else _subscription(value))
        case 6:
            return TargetEpochRecord(group_id, None if value is None else TargetEpoch(*_number_and_tag(value)))
        case 7:
            return TargetRecord(group_id, key.classic_text(), None if value is None else _target(value))
        case 8:
            return StandingRecord(group_id, key.classic_text(), None if value is None else _standing(value))
        case 16:
            return RegexRecord(group_id, key.classic_text(), None if value is None else _resolved(value))
    raise ValueError(f"type {kind}")


def _number_and_tag(value: Reader) -> tuple[int, int]:
    number, tags = value.int32(), value.tags()
    return number, tags[0].int64() if 0 in tags else 0


def _subscription(value: Reader) -> Subscription:
    return Subscription(
        instance_id=value.string(),
        rack_id=value.string(),
        client_id=value.text(),
        client_host=value.text(),
        topics=frozenset(value.array(value.text)),
        regex=value.string(),
        rebalance_timeout_ms=value.int32(),
        assignor=value.string(),
        classic=None if (tag := value.tags().get(0)) is None else _classic_member(tag),
    )


def _classic_member(value: Reader) -> ClassicMember | None:
    if value.uvarint() == 0:
        return None

    def protocol() -> tuple[str, bytes]:
        name, metadata = value.text(), value.blob()
        value.tags()
        return name, metadata

    member = ClassicMember(value.int32(), tuple(value.array(protocol)))
    value.tags()
    return member


def _standing(value: Reader) -> Standing:
    epoch, previous_epoch, state = value.int32(), value.int32(), value.int8()
    known = MemberState(state) if state in _STATES else MemberState.UNKNOWN
    standing = Standing(epoch, previous_epoch, known, _owned(value, epoch), _owned(value, epoch))
    value.tags()
    return standing


def _owned(value: Reader, epoch: int) -> dict[UUID, dict[int, int]]:
    """Before Kafka 4.3 there were no epochs by partition: the member's counts, and 0 for a static one that is away."""
    owned: dict[UUID, dict[int, int]] = {}

    def topic() -> None:
        topic_id, partitions, tags = value.uuid(), value.int32s(), value.tags()
        epochs = tags[0].int32s() if 0 in tags else []
        if len(epochs) != len(partitions):
            epochs = [max(epoch, 0)] * len(partitions)
        owned[topic_id] = dict(zip(partitions, epochs, strict=True))

    value.array(topic)
    return owned


def _target(value: Reader) -> dict[UUID, frozenset[int]]:
    def topic() -> tuple[UUID, frozenset[int]]:
        topic_id, partitions = value.uuid(), frozenset(value.int32s())
        value.tags()
        return topic_id, partitions

    target = dict(value.array(topic))
    value.tags()
    return target


def _resolved(value: Reader) -> Resolved:
    resolved = Resolved(frozenset(value.array(value.text)), value.int64(), value.int64())
    value.tags()
    return resolved
