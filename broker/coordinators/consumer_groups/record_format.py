"""The bytes of the records of consumer groups in `__consumer_offsets`: Kafka's schemas, as Apache Kafka 4.3.1 writes them.

    key     int16 kind, group, and for some kinds a member or an expression
    value   int16 version (0), then its fields in the flexible encoding (KIP-482); null: a tombstone

Fields of a key bear the names that they have in the record. What an earlier release left out is at its default, which says
so where it matters (`_owned`, `_classic`); tags of a later one are passed over.

Kafka's classes: `GroupCoordinatorRecordSerde`, the generated ConsumerGroup* keys and values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from ....protocol.errors import MalformedMessage
from ....protocol.messages import Message
from ....protocol.record_schemas import RecordField, RecordSchema, field, single_struct, structs, version_of
from .member import ClassicMember, MemberState, Owned, Partitions, Standing, Subscription
from .records import (
    ConsumerGroupRecord,
    GroupEpoch,
    GroupEpochRecord,
    RegexRecord,
    StandingRecord,
    SubscriptionRecord,
    TargetEpoch,
    TargetEpochRecord,
    TargetRecord,
    TopicMetadataRecord,
)
from .regex import Resolved

VALUE_VERSION = 0
_STATES = frozenset(int(each) for each in MemberState)


# --- schemas


def _value(name: str, fields: list[RecordField]) -> RecordSchema:
    versions = range(VALUE_VERSION, VALUE_VERSION + 1)
    return RecordSchema(f"ConsumerGroup{name}Value", fields, versions=versions, flexible_from=VALUE_VERSION)


GROUP_EPOCH_VALUE = _value("Metadata", [field("epoch", "int32"), field("metadata_hash", "int64", tag=0)])
SUBSCRIPTION_VALUE = _value(
    "MemberMetadata",
    [
        field("instance_id", "string", is_nullable=True),
        field("rack_id", "string", is_nullable=True),
        field("client_id", "string"),
        field("client_host", "string"),
        field("subscribed_topic_names", "string", is_array=True),
        field("subscribed_topic_regex", "string", is_nullable=True),
        field("rebalance_timeout_ms", "int32", default=-1),
        field("server_assignor", "string", is_nullable=True),
        single_struct(
            "classic_member_metadata",
            [
                field("session_timeout_ms", "int32"),
                structs("supported_protocols", [field("name", "string"), field("metadata", "bytes")]),
            ],
            is_nullable=True,
            tag=0,
        ),
    ],
)
TARGET_EPOCH_VALUE = _value(
    "TargetAssignmentMetadata", [field("assignment_epoch", "int32"), field("assignment_timestamp", "int64", tag=0)]
)
TARGET_VALUE = _value(
    "TargetAssignmentMember",
    [structs("topic_partitions", [field("topic_id", "uuid"), field("partitions", "int32", is_array=True)])],
)
_OWNED = [
    field("topic_id", "uuid"),
    field("partitions", "int32", is_array=True),
    field("assignment_epochs", "int32", is_array=True, tag=0),
]
STANDING_VALUE = _value(
    "CurrentMemberAssignment",
    [
        field("member_epoch", "int32"),
        field("previous_member_epoch", "int32"),
        field("state", "int8"),
        structs("assigned_partitions", _OWNED),
        structs("partitions_pending_revocation", _OWNED),
    ],
)
REGEX_VALUE = _value(
    "RegularExpression",
    [field("topics", "string", is_array=True), field("version", "int64"), field("timestamp", "int64")],
)


# --- writing


def encode_key(record: ConsumerGroupRecord) -> bytes:
    kind = _KIND_OF[type(record)]
    form = _FORMS[kind]
    return form.key.encode(Message(**{name: getattr(record, name) for name in form.key_names}), version=kind)


def encode_value(record: ConsumerGroupRecord) -> bytes | None:
    """None for a tombstone."""
    match record.value:
        case None:
            return None
        case GroupEpoch(epoch, metadata_hash):
            said = Message(epoch=epoch, metadata_hash=metadata_hash)
            return GROUP_EPOCH_VALUE.encode(said, version=VALUE_VERSION)
        case TargetEpoch(epoch, computed_at_ms):
            said = Message(assignment_epoch=epoch, assignment_timestamp=computed_at_ms)
            return TARGET_EPOCH_VALUE.encode(said, version=VALUE_VERSION)
        case Subscription() as value:
            return SUBSCRIPTION_VALUE.encode(_subscription_said(value), version=VALUE_VERSION)
        case Standing() as value:
            return STANDING_VALUE.encode(_standing_said(value), version=VALUE_VERSION)
        case Resolved(topics, version, at_ms):
            said = Message(topics=sorted(topics), version=version, timestamp=at_ms)
            return REGEX_VALUE.encode(said, version=VALUE_VERSION)
        case bytes() as value:
            return value
        case value:
            return TARGET_VALUE.encode(_target_said(value), version=VALUE_VERSION)


def _subscription_said(value: Subscription) -> Message:
    return Message(
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        subscribed_topic_names=sorted(value.topics),
        subscribed_topic_regex=value.regex,
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        server_assignor=value.assignor,
        classic_member_metadata=None if value.classic is None else _classic_said(value.classic),
    )


def _classic_said(value: ClassicMember) -> Message:
    protocols = [Message(name=name, metadata=metadata) for name, metadata in value.protocols]
    return Message(session_timeout_ms=value.session_timeout_ms, supported_protocols=protocols)


def _standing_said(value: Standing) -> Message:
    return Message(
        member_epoch=value.epoch,
        previous_member_epoch=value.previous_epoch,
        state=value.state,
        assigned_partitions=_owned_said(value.assigned),
        partitions_pending_revocation=_owned_said(value.revoking),
    )


def _owned_said(owned: Owned) -> list[Message]:
    return [
        Message(topic_id=topic_id, partitions=partitions.keys(), assignment_epochs=partitions.values())
        for topic_id, partitions in owned.items()
    ]


def _target_said(target: Partitions) -> Message:
    topics = [Message(topic_id=topic_id, partitions=sorted(partitions)) for topic_id, partitions in target.items()]
    return Message(topic_partitions=topics)


# --- reading


def decode(key: bytes, value: bytes | None) -> ConsumerGroupRecord:
    """The record of this key and value; MalformedMessage when they are not one of a consumer group."""
    kind = version_of(key)
    form = _FORMS.get(kind)
    if form is None:
        raise MalformedMessage(f"no record of a consumer group is of type {kind}")
    _, said = form.key.decode(key)
    return form.record(*[getattr(said, name) for name in form.key_names], None if value is None else form.read(value))


def _group_epoch(value: bytes) -> GroupEpoch:
    _, said = GROUP_EPOCH_VALUE.decode(value)
    return GroupEpoch(said.epoch, said.metadata_hash)


def _topic_metadata(value: bytes) -> bytes:
    """As it is: nobody asks what it says."""
    if (version := version_of(value)) != VALUE_VERSION:
        raise MalformedMessage(f"topic metadata has no version {version}")
    return value


def _target_epoch(value: bytes) -> TargetEpoch:
    _, said = TARGET_EPOCH_VALUE.decode(value)
    return TargetEpoch(said.assignment_epoch, said.assignment_timestamp)


def _subscription(value: bytes) -> Subscription:
    _, said = SUBSCRIPTION_VALUE.decode(value)
    return Subscription(
        said.instance_id,
        said.rack_id,
        said.client_id,
        said.client_host,
        frozenset(said.subscribed_topic_names),
        said.subscribed_topic_regex,
        said.rebalance_timeout_ms,
        said.server_assignor,
        _classic(said.classic_member_metadata),
    )


def _classic(said: Message | None) -> ClassicMember | None:
    """A classic member has protocols: without any it is the default, of a release that had no such members."""
    if said is None or not said.supported_protocols:
        return None
    return ClassicMember(
        said.session_timeout_ms, tuple((each.name, each.metadata) for each in said.supported_protocols)
    )


def _standing(value: bytes) -> Standing:
    _, said = STANDING_VALUE.decode(value)
    return Standing(
        said.member_epoch,
        said.previous_member_epoch,
        MemberState(said.state) if said.state in _STATES else MemberState.UNKNOWN,
        _owned(said.assigned_partitions, said.member_epoch),
        _owned(said.partitions_pending_revocation, said.member_epoch),
    )


def _owned(topics: list[Message], epoch: int) -> dict[UUID, dict[int, int]]:
    """Before Kafka 4.3 there were no epochs by partition: the member's counts, and 0 for a static one that is away."""
    owned: dict[UUID, dict[int, int]] = {}
    for each in topics:
        partitions, epochs = each.partitions, each.assignment_epochs
        is_known = len(epochs) == len(partitions)
        owned[each.topic_id] = (
            dict(zip(partitions, epochs, strict=True)) if is_known else dict.fromkeys(partitions, max(epoch, 0))
        )
    return owned


def _target(value: bytes) -> dict[UUID, frozenset[int]]:
    _, said = TARGET_VALUE.decode(value)
    return {each.topic_id: frozenset(each.partitions) for each in said.topic_partitions}


def _resolved(value: bytes) -> Resolved:
    _, said = REGEX_VALUE.decode(value)
    return Resolved(frozenset(said.topics), said.version, said.timestamp)


# --- kinds


class _Form(NamedTuple):
    """A kind of record: its class, the class's fields that are the key, the key's schema, and what reads the value."""

    record: Callable[..., ConsumerGroupRecord]
    key_names: tuple[str, ...]
    key: RecordSchema
    read: Callable[[bytes], object]


def _form(
    kind: int,
    record: Callable[..., ConsumerGroupRecord],
    name: str,
    key_names: tuple[str, ...],
    read: Callable[[bytes], object],
) -> _Form:
    key = RecordSchema(
        f"ConsumerGroup{name}Key", [field(each, "string") for each in key_names], versions=range(kind, kind + 1)
    )
    return _Form(record, key_names, key, read)


_GROUP = ("group_id",)
_MEMBER = ("group_id", "member_id")
_REGEX = ("group_id", "regex")
_FORMS = {
    3: _form(3, GroupEpochRecord, "Metadata", _GROUP, _group_epoch),
    4: _form(4, TopicMetadataRecord, "PartitionMetadata", _GROUP, _topic_metadata),
    5: _form(5, SubscriptionRecord, "MemberMetadata", _MEMBER, _subscription),
    6: _form(6, TargetEpochRecord, "TargetAssignmentMetadata", _GROUP, _target_epoch),
    7: _form(7, TargetRecord, "TargetAssignmentMember", _MEMBER, _target),
    8: _form(8, StandingRecord, "CurrentMemberAssignment", _MEMBER, _standing),
    16: _form(16, RegexRecord, "RegularExpression", _REGEX, _resolved),
}
_KIND_OF = {form.record: kind for kind, form in _FORMS.items()}

KINDS = frozenset(_FORMS)
"""The int16 that such a key begins with."""
