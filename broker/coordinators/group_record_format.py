"""The bytes of the records in `__consumer_offsets`: Kafka's schemas, in the versions that Apache Kafka 4.3.1 writes.

    key     int16 kind, then its fields                         value   int16 version, then its fields; null: a tombstone

    kind 1  group, topic, partition                             written as version 4, or as 1 when it expires by itself
         0  the same, by older releases
    kind 2  group                                               written as version 3
    3 to 8, 16  groups of the new protocol (consumer_groups.record_format)
    others  unknown ones stay in the log and are passed over

Every version that Kafka reads is read. Nearly all records are committed offsets in the one form that is written, and a start
reads millions of them: that form has a reader of its own (`_read_offset`) and a writer (`_offset_value`), several times as
fast as the compiled ones.
docs/format-consumer-offsets.md has the layout, the tests have Kafka's own bytes.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from ...protocol.errors import MalformedMessage
from ...protocol.messages import Message
from ...protocol.record_schemas import RecordSchema, field, structs, version_of
from ...protocol.wire import uuid_of
from .consumer_groups import record_format as consumer_format
from .group_records import (
    NEVER_MS,
    NO_EPOCH,
    NO_TIME_MS,
    NO_TOPIC_ID,
    Committed,
    GroupRecord,
    GroupRemoved,
    GroupStored,
    OffsetCommitted,
    OffsetRemoved,
    StoredMember,
)

OLD_OFFSET_KIND, OFFSET_KIND, GROUP_KIND = 0, 1, 2
OFFSET_VERSION = 4
EXPIRING_OFFSET_VERSION = 1
"""The only one that has a time of expiry; it has neither leader epoch nor topic id."""
GROUP_VERSION = 3

_OFFSET_KIND_BYTES = OFFSET_KIND.to_bytes(2)
_OFFSET_VERSION_BYTES = OFFSET_VERSION.to_bytes(2)
_OFFSET_AND_EPOCH = struct.Struct(">qi")
_INT64 = struct.Struct(">q")
_OFFSET_HEAD = struct.Struct(">hqiB")  # version, offset, leader epoch, a short length
_OFFSET_TAIL = struct.Struct(">q3s16s")  # time of the commit, one tagged field, the topic's id
_LONG_METADATA_BYTES = 127  # whose length, and one, has two bytes
_METADATA_AT = 15  # behind the version, the offset, the leader epoch, and the one byte of a short length
_ONE_TOPIC_ID = b"\1\0\x10"  # one tagged field: tag 0 of 16 bytes
_LEAST_OFFSET_BYTES = _METADATA_AT + 8 + 19

OFFSET_KEY = RecordSchema(
    "OffsetCommitKey",
    [field("group", "string"), field("topic", "string"), field("partition", "int32")],
    versions=range(OLD_OFFSET_KIND, OFFSET_KIND + 1),
)
OFFSET_VALUE = RecordSchema(
    "OffsetCommitValue",
    [
        field("offset", "int64"),
        field("leader_epoch", "int32", since=3, default=NO_EPOCH),
        field("metadata", "string"),
        field("commit_timestamp", "int64"),
        field("expire_timestamp", "int64", since=1, until=1, default=NEVER_MS),
        field("topic_id", "uuid", since=4, tag=0),
    ],
    versions=range(5),
    flexible_from=4,
)
GROUP_KEY = RecordSchema("GroupMetadataKey", [field("group", "string")], versions=range(GROUP_KIND, GROUP_KIND + 1))
GROUP_VALUE = RecordSchema(
    "GroupMetadataValue",
    [
        field("protocol_type", "string"),
        field("generation", "int32"),
        field("protocol", "string", is_nullable=True),
        field("leader", "string", is_nullable=True),
        field("current_state_timestamp", "int64", since=2, default=NO_TIME_MS),
        structs(
            "members",
            [
                field("member_id", "string"),
                field("group_instance_id", "string", since=3, is_nullable=True, default=None),
                field("client_id", "string"),
                field("client_host", "string"),
                field("rebalance_timeout", "int32", since=1, default=NO_TIME_MS),
                field("session_timeout", "int32"),
                field("subscription", "bytes"),
                field("assignment", "bytes"),
            ],
        ),
    ],
    versions=range(5),
    flexible_from=4,
)


def encode_record(record: GroupRecord) -> tuple[bytes, bytes | None]:
    """Key and value."""
    match record:
        case OffsetCommitted(group_id, topic, partition, committed):
            return _offset_key(group_id, topic, partition), _offset_value(committed)
        case OffsetRemoved(group_id, topic, partition):
            return _offset_key(group_id, topic, partition), None
        case GroupStored():
            return _group_key(record), _group_value(record)
        case GroupRemoved():
            return _group_key(record), None
        case _:
            return consumer_format.encode_key(record), consumer_format.encode_value(record)


def decode_record(key: bytes, value: bytes | None) -> GroupRecord | None:
    """The record of these bytes; None when it is of a kind not known here. MalformedMessage when they are none."""
    if value is not None:
        committed = _read_offset(key, value)
        if committed is not None:
            return committed
    kind = version_of(key)
    if kind in (OFFSET_KIND, OLD_OFFSET_KIND):
        _, said = OFFSET_KEY.decode(key)
        if value is None:
            return OffsetRemoved(said.group, said.topic, said.partition)
        return OffsetCommitted(said.group, said.topic, said.partition, _committed(value))
    if kind == GROUP_KIND:
        _, said = GROUP_KEY.decode(key)
        return GroupRemoved(said.group) if value is None else _stored(said.group, value)
    if kind in consumer_format.KINDS:
        return consumer_format.decode(key, value)
    return None


# --- committed offsets


def _offset_key(group_id: str, topic: str, partition: int) -> bytes:
    return _key_without_partition(group_id, topic) + partition.to_bytes(4, signed=True)


@lru_cache(maxsize=4096)
def _key_without_partition(group_id: str, topic: str) -> bytes:
    """A commit of a thousand partitions has a thousand keys that begin alike."""
    return OFFSET_KEY.encode(Message(group=group_id, topic=topic, partition=0), version=OFFSET_KIND)[:-4]


def _offset_value(committed: Committed) -> bytes:
    metadata = committed.metadata.encode()
    if (
        committed.expires_at_ms == NEVER_MS
        and committed.topic_id != NO_TOPIC_ID
        and len(metadata) < _LONG_METADATA_BYTES
    ):
        head = _OFFSET_HEAD.pack(OFFSET_VERSION, committed.offset, committed.leader_epoch, len(metadata) + 1)
        return head + metadata + _OFFSET_TAIL.pack(committed.committed_at_ms, _ONE_TOPIC_ID, committed.topic_id.bytes)
    said = Message(
        offset=committed.offset,
        leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.committed_at_ms,
        expire_timestamp=committed.expires_at_ms,
        topic_id=committed.topic_id,
    )
    expires = committed.expires_at_ms != NEVER_MS
    return OFFSET_VALUE.encode(said, version=EXPIRING_OFFSET_VERSION if expires else OFFSET_VERSION)


def _committed(value: bytes) -> Committed:
    _, said = OFFSET_VALUE.decode(value)
    return Committed(
        said.offset, said.leader_epoch, said.metadata, said.commit_timestamp, said.expire_timestamp, said.topic_id
    )


def _read_offset(key: bytes, value: bytes) -> OffsetCommitted | None:
    """The committed offset of a key and value in the form that is written now; None for anything that looks different."""
    if key[:2] != _OFFSET_KIND_BYTES or value[:2] != _OFFSET_VERSION_BYTES or len(value) < _LEAST_OFFSET_BYTES:
        return None
    metadata_end = _METADATA_AT + value[_METADATA_AT - 1] - 1
    if value[metadata_end + 8 : metadata_end + 11] != _ONE_TOPIC_ID or len(value) != metadata_end + 27:
        return None  # metadata of more than 126 bytes, no topic id, or a tag that is not known
    of_group = _group_and_topic(key[2:-4])
    if of_group is None:
        return None
    offset, leader_epoch = _OFFSET_AND_EPOCH.unpack_from(value, 2)
    (committed_at_ms,) = _INT64.unpack_from(value, metadata_end)
    metadata = value[_METADATA_AT:metadata_end].decode(errors="replace") if metadata_end > _METADATA_AT else ""
    committed = Committed(
        offset, leader_epoch, metadata, committed_at_ms, NEVER_MS, uuid_of(value[metadata_end + 11 : metadata_end + 27])
    )
    return OffsetCommitted(*of_group, int.from_bytes(key[-4:], signed=True), committed)


@lru_cache(maxsize=4096)
def _group_and_topic(names: bytes) -> tuple[str, str] | None:
    """Two strings with their int16 lengths. Those of one group come one after the other, and are then one object."""
    group_end = 2 + int.from_bytes(names[:2])
    topic_end = group_end + 2 + int.from_bytes(names[group_end : group_end + 2])
    if topic_end != len(names):
        return None
    return names[2:group_end].decode(errors="replace"), names[group_end + 2 :].decode(errors="replace")


# --- groups


def _group_key(record: GroupStored | GroupRemoved) -> bytes:
    return GROUP_KEY.encode(Message(group=record.group_id), version=GROUP_KIND)


def _group_value(record: GroupStored) -> bytes:
    said = Message(
        protocol_type=record.protocol_type or "",
        generation=record.generation,
        protocol=record.protocol_name,
        leader=record.leader_id,
        current_state_timestamp=record.state_changed_at_ms,
        members=[_member_said(each) for each in record.members],
    )
    return GROUP_VALUE.encode(said, version=GROUP_VERSION)


def _member_said(member: StoredMember) -> Message:
    return Message(
        member_id=member.member_id,
        group_instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout=member.rebalance_timeout_ms,
        session_timeout=member.session_timeout_ms,
        subscription=member.subscription,
        assignment=member.assignment,
    )


def _stored(group_id: str, value: bytes) -> GroupStored:
    _, said = GROUP_VALUE.decode(value)
    ids = [each.member_id for each in said.members]
    instances = [each.group_instance_id for each in said.members if each.group_instance_id is not None]
    if len(set(ids)) < len(ids) or len(set(instances)) < len(instances):
        raise MalformedMessage(f"group {group_id} has a member twice")
    return GroupStored(
        group_id,
        said.generation,
        said.protocol_type or None,
        said.protocol,
        said.leader,
        said.current_state_timestamp,
        tuple(_stored_member(each) for each in said.members),
    )


def _stored_member(said: Message) -> StoredMember:
    # Before version 1 the session's timeout was the rebalance's too.
    has_rebalance_timeout = said.rebalance_timeout != NO_TIME_MS
    return StoredMember(
        said.member_id,
        said.group_instance_id,
        said.client_id,
        said.client_host,
        said.rebalance_timeout if has_rebalance_timeout else said.session_timeout,
        said.session_timeout,
        said.subscription,
        said.assignment,
    )
