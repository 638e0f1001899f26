"""What survives of groups in one partition of `__consumer_offsets`: a state that only its records change.

The state decides nothing and refuses nothing: what reaches `apply` is history. What is only in motion (who has joined a
rebalance that is not over, when a session ends) is not here but in the live groups (`group`), and a crash forgets it, as
Kafka does: the members join again.

    groups[id]                       the last GroupStored of a classic group that has had members
    consumers[id]                    a group of the new protocol; no id is in both
    offsets[id][topic][partition]    the last offset committed; no empty dict is kept
    pending                          offsets committed in transactions that are still open, by producer

An offset that a transaction committed counts when its marker says so, and from the place in the log where it was written:
what was committed for the partition behind that place, by whomever, counts more. Kafka's class: `OffsetMetadataManager`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .consumer_groups.group import ConsumerGroup
from .consumer_groups.records import ConsumerGroupRecord, GroupEpochRecord
from .group_records import Committed, GroupRecord, GroupRemoved, GroupStored, OffsetCommitted, OffsetRemoved
from .runtime.machine import TransactionalProducer

OffsetsOfGroup = dict[str, dict[int, Committed]]
"""Topic -> partition -> what was committed last."""


class Place(NamedTuple):
    """What an offset is committed for."""

    group_id: str
    topic: str
    partition: int


class Pending(NamedTuple):
    """An offset in an open transaction; `log_offset` is its record's. `committed` is None when it has been overtaken."""

    committed: Committed | None
    log_offset: int


class GroupsState:
    """The state, and how each record changes it. Read everything; change nothing but by `apply` and `end_transaction`."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupStored] = {}
        self.consumers: dict[str, ConsumerGroup] = {}
        self.offsets: dict[str, OffsetsOfGroup] = {}
        self.pending: dict[int, dict[Place, Pending]] = {}

    # --- reading

    def committed(self, group_id: str, topic: str, partition: int) -> Committed | None:
        """What the group committed last for this partition."""
        return self.offsets.get(group_id, {}).get(topic, {}).get(partition)

    def is_pending(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether an open transaction has committed for this partition: what will count is not decided yet."""
        place = Place(group_id, topic, partition)
        return any(place in places for places in self.pending.values())

    def knows(self, group_id: str) -> bool:
        """Whether there is anything left of the group."""
        here = group_id in self.groups or group_id in self.consumers or group_id in self.offsets
        return here or any(True for _ in self.pending_of(group_id))

    def pending_of(self, group_id: str) -> Iterator[Place]:
        """The partitions for which open transactions have committed in this group, some perhaps more than once."""
        return (place for places in self.pending.values() for place in places if place.group_id == group_id)

    # --- changing

    def apply(self, record: GroupRecord, *, offset: int, producer: TransactionalProducer | None) -> None:
        """Change the state by one record, which lies at `offset` of the log."""
        match record:
            case OffsetCommitted(group_id, topic, partition, committed):
                if producer is not None:
                    places = self.pending.setdefault(producer.producer_id, {})
                    places[Place(group_id, topic, partition)] = Pending(committed, offset)
                else:
                    self._commit(Place(group_id, topic, partition), committed, offset)
            case OffsetRemoved():
                self._remove(record)
            case GroupStored():
                self.groups[record.group_id] = record
            case GroupRemoved():
                self.groups.pop(record.group_id, None)
            case _:
                self._apply_consumer(record)

    def _apply_consumer(self, record: ConsumerGroupRecord) -> None:
        """A group is there from its first record that is no tombstone until the tombstone of its epoch."""
        group = self.consumers.get(record.group_id)
        if group is None:
            if record.value is None:
                return
            group = self.consumers[record.group_id] = ConsumerGroup(record.group_id)
        group.apply(record)
        if isinstance(record, GroupEpochRecord) and record.value is None and not group.members:
            del self.consumers[record.group_id]

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """A marker: what this producer has committed here counts now, or never."""
        places = self.pending.pop(producer_id, {})
        if committed:
            for place, pending in places.items():
                if pending.committed is not None:
                    self._commit(place, pending.committed, pending.log_offset)

    def _commit(self, place: Place, committed: Committed, log_offset: int) -> None:
        if self.pending:
            self._overtake(place, log_offset)
        self.offsets.setdefault(place.group_id, {}).setdefault(place.topic, {})[place.partition] = committed

    def _overtake(self, place: Place, log_offset: int) -> None:
        """What open transactions have committed for this partition in front of `log_offset` will not count any more."""
        for places in self.pending.values():
            pending = places.get(place)
            if pending is not None and pending.log_offset < log_offset:
                places[place] = Pending(None, pending.log_offset)

    def _remove(self, record: OffsetRemoved) -> None:
        topics = self.offsets.get(record.group_id, {})
        partitions = topics.get(record.topic, {})
        if partitions.pop(record.partition, None) is None:
            return
        if not partitions:
            del topics[record.topic]
        if not topics:
            del self.offsets[record.group_id]

    def check(self) -> None:
        """Assert the invariants."""
        assert all(self.offsets.values()), "a group without offsets is kept among those that have some"
        assert all(partitions for topics in self.offsets.values() for partitions in topics.values())
        assert all(self.pending.values()), "a producer without pending offsets is kept"
        assert all(group_id == stored.group_id for group_id, stored in self.groups.items())
        assert not self.groups.keys() & self.consumers.keys(), "a group of both kinds"
        for group in self.consumers.values():
            group.check()
