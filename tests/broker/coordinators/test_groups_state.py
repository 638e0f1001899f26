"""What survives of groups, against a dict of dicts; and that a snapshot is a history of the same state."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.coordinators.group_records import (
    Committed,
    GroupDeleted,
    GroupRecord,
    GroupStored,
    OffsetsCommitted,
    OffsetsDeleted,
    TopicForgotten,
    TopicOffsets,
    UnknownRecord,
)
from ottla.broker.coordinators.groups_state import GroupsMachine, GroupsState

GROUPS = st.sampled_from(["g", "h"])
TOPICS = st.sampled_from(["t", "u"])
IDS = st.sampled_from([UUID(int=1), UUID(int=2)])
PARTITIONS = st.integers(0, 2)
COMMITS = st.builds(
    lambda group, topic, topic_id, partition, offset: OffsetsCommitted(
        group, (TopicOffsets(topic, topic_id, ((partition, Committed(offset)),)),)
    ),
    GROUPS,
    TOPICS,
    IDS,
    PARTITIONS,
    st.integers(0, 99),
)
RECORDS: st.SearchStrategy[GroupRecord] = st.one_of(
    COMMITS,
    COMMITS,
    st.builds(GroupStored, GROUPS, st.integers(1, 9), st.just("consumer"), st.none(), st.none(), st.integers(0, 9)),
    st.builds(GroupDeleted, GROUPS),
    st.builds(lambda g, t, p: OffsetsDeleted(g, ((t, (p,)),)), GROUPS, TOPICS, PARTITIONS),
    st.builds(TopicForgotten, TOPICS, IDS),
    st.builds(lambda: UnknownRecord([99, 0])),
)

Plain = dict[tuple[str, str, int], tuple[UUID, Committed]]


def plainly(plain: Plain, record: GroupRecord) -> Plain:
    """The same on one flat dict."""
    match record:
        case OffsetsCommitted(group, topics):
            for topic, topic_id, partitions in topics:
                plain = {k: v for k, v in plain.items() if k[:2] != (group, topic) or v[0] == topic_id}
                plain |= {(group, topic, index): (topic_id, committed) for index, committed in partitions}
        case OffsetsDeleted(group, deleted):
            for topic, indexes in deleted:
                plain = {k: v for k, v in plain.items() if k[:2] != (group, topic) or k[2] not in indexes}
        case GroupDeleted(group):
            plain = {k: v for k, v in plain.items() if k[0] != group}
        case TopicForgotten(topic, topic_id):
            plain = {k: v for k, v in plain.items() if (k[1], v[0]) != (topic, topic_id)}
    return plain


def flat(state: GroupsState) -> Plain:
    return {
        (group, topic, index): (each.topic_id, committed)
        for group, topics in state.offsets.items()
        for topic, each in topics.items()
        for index, committed in each.partitions.items()
    }


@given(st.lists(RECORDS, max_size=30))
def test_records_do_what_they_say(records: list[GroupRecord]) -> None:
    state, plain = GroupsState(), Plain()
    for record in records:
        state.apply(record)
        plain = plainly(plain, record)
        state.check()
        assert flat(state) == plain


@given(st.lists(RECORDS, max_size=30))
def test_a_snapshot_leads_to_the_same_state(records: list[GroupRecord]) -> None:
    machine, again = GroupsMachine(GroupsState()), GroupsMachine(GroupsState())
    for record in records:
        machine.apply(record)
    for record in machine.snapshot():
        again.apply(again.decode(machine.encode(record)))

    assert flat(again.state) == flat(machine.state)
    assert again.state.groups == machine.state.groups
    assert list(again.snapshot()) == list(machine.snapshot())


def test_a_snapshot_does_not_change_while_it_is_written() -> None:
    state = GroupsState()
    state.apply(OffsetsCommitted("g", (TopicOffsets("t", UUID(int=1), ((0, Committed(1)),)),)))
    snapshot = state.snapshot()
    state.apply(OffsetsCommitted("g", (TopicOffsets("t", UUID(int=1), ((0, Committed(2)),)),)))

    assert list(snapshot) == [OffsetsCommitted("g", (TopicOffsets("t", UUID(int=1), ((0, Committed(1)),)),))]
