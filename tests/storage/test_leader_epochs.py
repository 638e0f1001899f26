"""Leader epochs: the table of KIP-101, and the rules by which it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.checkpoint import EpochEntry
from ottla.storage.leader_epochs import LeaderEpochs


def epochs(*entries: tuple[int, int]) -> LeaderEpochs:
    return LeaderEpochs([EpochEntry(*entry) for entry in entries])


def test_an_epoch_ends_where_the_next_begins() -> None:
    known = epochs((3, 0), (5, 120), (6, 480))
    assert known.end_offset_for(3, 900) == (3, 120)
    assert known.end_offset_for(5, 900) == (5, 480)


def test_the_latest_epoch_ends_where_the_log_ends() -> None:
    assert epochs((3, 0), (6, 480)).end_offset_for(6, 900) == (6, 900)


def test_an_epoch_that_never_wrote_is_answered_by_the_one_before() -> None:
    assert epochs((3, 0), (5, 120), (6, 480)).end_offset_for(4, 900) == (3, 120)


def test_an_epoch_before_the_first_ends_where_the_first_begins() -> None:
    assert epochs((3, 7), (5, 120)).end_offset_for(1, 900) == (1, 7)


@pytest.mark.parametrize("asked", [-1, 7, 100])
def test_nothing_is_known_of_no_epoch_and_of_later_ones(asked: int) -> None:
    assert epochs((3, 0), (6, 480)).end_offset_for(asked, 900) == (-1, -1)
    assert epochs().end_offset_for(asked, 900) == (-1, -1)


def test_assigning_the_same_epoch_again_changes_nothing() -> None:
    known = epochs((3, 0))
    known.assign(3, 50)
    assert known.entries == [(3, 0)]
    assert not known.dirty


def test_an_entry_that_contradicts_later_ones_replaces_them() -> None:
    known = epochs((3, 0), (5, 120), (6, 480))
    known.assign(5, 100)
    assert known.entries == [(3, 0), (5, 100)]
    known.assign(9, 100)
    assert known.entries == [(3, 0), (9, 100)]
    assert known.dirty


def test_the_end_is_cut_with_the_log() -> None:
    known = epochs((3, 0), (5, 120), (6, 480))
    known.truncate_end(480)
    assert known.entries == [(3, 0), (5, 120)]
    known.truncate_end(121)
    assert known.entries == [(3, 0), (5, 120)]
    known.truncate_end(0)
    assert known.entries == []


def test_the_start_is_cut_with_the_log_and_the_epoch_there_stays_known() -> None:
    known = epochs((3, 0), (5, 120), (6, 480))
    known.truncate_start(200)
    assert known.entries == [(5, 200), (6, 480)]
    known.truncate_start(480)
    assert known.entries == [(6, 480)]
    assert known.epoch_for_offset(479) == -1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=8), st.integers(0, 120))
def test_entries_always_grow_and_every_offset_has_one_epoch(assigned: list[tuple[int, int]], offset: int) -> None:
    known = epochs()
    for epoch, start_offset in assigned:
        known.assign(epoch, start_offset)
    entries = known.entries
    assert entries == sorted(entries)
    assert len({entry.epoch for entry in entries}) == len({entry.start_offset for entry in entries}) == len(entries)
    covering = [entry.epoch for entry in entries if entry.start_offset <= offset]
    assert known.epoch_for_offset(offset) == (covering[-1] if covering else -1)
