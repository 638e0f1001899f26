"""All groups of one partition of `__consumer_offsets`: what survives of them, and the live groups made of it."""

from __future__ import annotations

from .group import Group
from .group_record_format import decode_record, encode_record
from .group_records import GroupRecord
from .groups_state import GroupsState
from .runtime.machine import TransactionalProducer
from .runtime.shard import Shard


class GroupsMachine:
    """The machine of a shard. `groups` are the live ones, by id: volatile, made when the shard has been loaded."""

    def __init__(self) -> None:
        self.state = GroupsState()
        self.groups: dict[str, Group] = {}

    def encode(self, record: GroupRecord) -> tuple[bytes, bytes | None]:
        return encode_record(record)

    def decode(self, key: bytes, value: bytes | None) -> GroupRecord | None:
        return decode_record(key, value)

    def apply(self, record: GroupRecord, *, offset: int, producer: TransactionalProducer | None) -> None:
        self.state.apply(record, offset=offset, producer=producer)

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        self.state.end_transaction(producer_id, committed=committed)


GroupShard = Shard[GroupRecord, GroupsMachine]
