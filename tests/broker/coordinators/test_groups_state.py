"""What survives of groups, against a flat dict."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.coordinators.group_records import (
    Committed,
    GroupRecord,
    GroupRemoved,
    GroupStored,
    OffsetCommitted,
    OffsetRemoved,
)
from ottla.broker.coordinators.groups_state import GroupsState
from ottla.broker.coordinators.runtime.machine import TransactionalProducer

GROUPS = st.sampled_from(["g", "h"])
TOPICS = st.sampled_from(["t", "u"])
PARTITIONS = st.integers(0, 1)
COMMITS = st.builds(OffsetCommitted, GROUPS, TOPICS, PARTITIONS, st.builds(Committed, st.integers(0, 99)))
RECORDS: st.SearchStrategy[GroupRecord] = st.one_of(
    COMMITS,
    COMMITS,
    st.builds(OffsetRemoved, GROUPS, TOPICS, PARTITIONS),
    st.builds(GroupStored, GROUPS, st.integers(1, 9), st.just("consumer"), st.none(), st.none(), st.integers(0, 9)),
    st.builds(GroupRemoved, GROUPS),
)


@dataclass(frozen=True)
class Write:
    """A record, and the producer in whose transaction it is written."""

    record: GroupRecord
    producer_id: int | None


@dataclass(frozen=True)
class End:
    producer_id: int
    committed: bool


PRODUCERS = st.integers(1, 2)
EVENTS = st.lists(
    st.one_of(
        st.builds(Write, RECORDS, st.none()),
        st.builds(Write, COMMITS, PRODUCERS),
        st.builds(End, PRODUCERS, st.booleans()),
    ),
    max_size=30,
)

Place = tuple[str, str, int]


@dataclass
class Plain:
    """The same on flat dicts: each place's commits with their log offsets, the largest that counts wins."""

    offsets: dict[Place, tuple[int, Committed]] = field(default_factory=dict)
    pending: dict[int, dict[Place, tuple[int, Committed]]] = field(default_factory=dict)
    groups: dict[str, GroupStored] = field(default_factory=dict)

    def apply(self, event: Write | End, at: int) -> None:
        if isinstance(event, End):
            ended = self.pending.pop(event.producer_id, {})
            for place, (log_offset, committed) in ended.items():
                if event.committed and log_offset > self.offsets.get(place, (-1, None))[0]:
                    self.offsets[place] = log_offset, committed
            return
        match event.record:
            case OffsetCommitted(group, topic, partition, committed) if event.producer_id is not None:
                self.pending.setdefault(event.producer_id, {})[group, topic, partition] = at, committed
            case OffsetCommitted(group, topic, partition, committed):
                self.offsets[group, topic, partition] = at, committed
            case OffsetRemoved(group, topic, partition):
                self.offsets.pop((group, topic, partition), None)
            case GroupStored():
                self.groups[event.record.group_id] = event.record
            case GroupRemoved():
                self.groups.pop(event.record.group_id, None)


def flat(state: GroupsState) -> dict[Place, Committed]:
    return {
        (group, topic, index): committed
        for group, topics in state.offsets.items()
        for topic, partitions in topics.items()
        for index, committed in partitions.items()
    }


def apply(state: GroupsState, event: Write | End, at: int) -> None:
    if isinstance(event, End):
        state.end_transaction(event.producer_id, committed=event.committed)
    else:
        producer = None if event.producer_id is None else TransactionalProducer(event.producer_id, 0)
        state.apply(event.record, offset=at, producer=producer)


@given(EVENTS)
def test_records_and_markers_do_what_they_say(events: list[Write | End]) -> None:
    state, plain = GroupsState(), Plain()
    removed: set[Place] = set()
    for at, event in enumerate(events):
        apply(state, event, at)
        plain.apply(event, at)
        if isinstance(event, Write) and isinstance(event.record, OffsetRemoved):
            removed.add(tuple(event.record))  # a commit in front of a removal may count behind it: see the next test
        state.check()
        mine, expected = flat(state), {place: each for place, (_, each) in plain.offsets.items()}
        assert {k: v for k, v in mine.items() if k not in removed} == {
            k: v for k, v in expected.items() if k not in removed
        }
        assert state.groups == plain.groups
        for producer_id, places in plain.pending.items():
            assert all(state.is_pending(*place) for place in places), producer_id
        for group in ("g", "h"):
            assert set(state.pending_of(group)) == {
                place for places in plain.pending.values() for place in places if place[0] == group
            }


def test_a_later_commit_counts_more_than_one_whose_transaction_ends_after_it() -> None:
    state = GroupsState()
    producer = TransactionalProducer(7, 0)
    state.apply(OffsetCommitted("g", "t", 0, Committed(1)), offset=0, producer=producer)
    state.apply(OffsetCommitted("g", "t", 0, Committed(2)), offset=1, producer=None)
    assert state.is_pending("g", "t", 0)

    state.end_transaction(7, committed=True)

    assert state.committed("g", "t", 0) == Committed(2)
    assert not state.is_pending("g", "t", 0)


def test_of_two_transactions_the_later_written_offset_counts_in_whichever_order_they_end() -> None:
    for order in ((1, 2), (2, 1)):
        state = GroupsState()
        for at, producer_id in enumerate((1, 2)):
            record = OffsetCommitted("g", "t", 0, Committed(producer_id))
            state.apply(record, offset=at, producer=TransactionalProducer(producer_id, 0))
        for producer_id in order:
            state.end_transaction(producer_id, committed=True)
        assert state.committed("g", "t", 0) == Committed(2)


def test_an_offset_that_was_removed_meanwhile_is_there_when_its_transaction_is_committed() -> None:
    """As in Kafka: who removes it for good removes it again when the transaction is over."""
    state = GroupsState()
    state.apply(OffsetCommitted("g", "t", 0, Committed(1)), offset=0, producer=TransactionalProducer(7, 0))
    state.apply(OffsetRemoved("g", "t", 0), offset=1, producer=None)

    state.end_transaction(7, committed=True)

    assert state.committed("g", "t", 0) == Committed(1)


def test_a_group_is_known_as_long_as_anything_is_left_of_it() -> None:
    state = GroupsState()
    assert not state.knows("g")
    state.apply(OffsetCommitted("g", "t", 0, Committed(1)), offset=0, producer=TransactionalProducer(7, 0))
    assert state.knows("g")
    state.end_transaction(7, committed=False)
    assert not state.knows("g")
    state.apply(OffsetCommitted("g", "t", 0, Committed(1)), offset=1, producer=None)
    assert state.knows("g")
