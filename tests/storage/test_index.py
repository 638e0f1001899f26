"""Both indexes: their bytes, what a lookup finds, and what is not believed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.storage.index import PAGE_ENTRIES, WRITE_AT_ENTRIES, OffsetIndex, OffsetPosition, TimeIndex
from ottla.storage.system_files import SystemFiles
from support.power_cut import PowerCutFiles

BASE = 100


def offset_index(files: PowerCutFiles | None = None) -> OffsetIndex:
    return OffsetIndex((files or PowerCutFiles()).open("/i"), BASE)


def time_index(files: PowerCutFiles | None = None) -> TimeIndex:
    return TimeIndex((files or PowerCutFiles()).open("/t"), BASE)


def test_an_offset_entry_is_two_big_endian_int32() -> None:
    files = PowerCutFiles()
    index = offset_index(files)
    index.append(107, 4_200)
    index.write()
    assert files.read_bytes("/i") == bytes.fromhex("00000007 00001068")


def test_a_time_entry_is_an_int64_and_an_int32() -> None:
    files = PowerCutFiles()
    index = time_index(files)
    index.append(1_700_000_000_000, 107)
    index.write()
    assert files.read_bytes("/t") == bytes.fromhex("0000018bcfe56800 00000007")


def test_a_lookup_finds_the_last_entry_that_is_not_behind() -> None:
    index = offset_index()
    for offset, position in ((107, 50), (120, 90), (121, 130)):
        index.append(offset, position)
    assert index.lookup(106) == (BASE, 0)
    assert index.lookup(107) == (107, 50)
    assert index.lookup(119) == (107, 50)
    assert index.lookup(5_000) == (121, 130)


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(1, 4 * PAGE_ENTRIES),
    waiting=st.integers(0, 20),
    position=st.integers(0, 45 * PAGE_ENTRIES),
    near=st.integers(0, 4 * PAGE_ENTRIES),
)
def test_a_search_that_is_told_where_to_begin_finds_the_same(
    count: int, waiting: int, position: int, near: int
) -> None:
    index = offset_index()
    for number in range(count + waiting):
        index.append(BASE + 2 * number, 10 * number)
        if number == count - 1:
            index.write()
    found = index.at_or_before(position)
    assert found is not None
    slot = min(position // 10, count + waiting - 1)
    assert found == (slot, OffsetPosition(BASE + 2 * slot, 10 * slot))
    assert index.at_or_before(position, near=min(near, slot)) == found


def test_a_timestamp_that_is_not_later_adds_no_entry() -> None:
    index = time_index()
    index.append(-1, 100)
    assert index.entry_count == 0
    index.append(50, 101)
    index.append(50, 102)
    index.append(49, 103)
    index.append(51, 104)
    assert list(index.entries()) == [(50, 101), (51, 104)]
    assert index.lookup(49) is None
    assert index.lookup(50) == (50, 101)


entries = st.lists(st.tuples(st.integers(1, 9), st.integers(61, 500)), max_size=3 * PAGE_ENTRIES)


@settings(max_examples=40, deadline=None)
@given(steps=entries, written=st.integers(0, 3 * PAGE_ENTRIES), asked=st.lists(st.integers(0, 12_000), max_size=20))
def test_lookups_are_those_of_a_sorted_list(steps: list[tuple[int, int]], written: int, asked: list[int]) -> None:
    index, twin, offset, position = offset_index(), [OffsetPosition(BASE, 0)], BASE, 0
    for number, (offset_step, position_step) in enumerate(steps):
        offset, position = offset + offset_step, position + position_step
        index.append(offset, position)
        twin.append(OffsetPosition(offset, position))
        if number == written:
            index.write()
    assert index.entry_count == len(steps)
    assert list(index.entries()) == twin[1:]
    for offset in asked:
        assert index.lookup(offset) == max((e for e in twin if e.offset <= offset), default=twin[0])


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 200), written=st.integers(0, 200), kept=st.integers(0, 220))
def test_truncating_forgets_what_is_behind_and_nothing_else(count: int, written: int, kept: int) -> None:
    files = PowerCutFiles()
    index, times = offset_index(files), time_index(files)
    for number in range(count):
        index.append(BASE + 2 * number, 61 + 100 * number)
        times.append(1_000 + number, BASE + 2 * number)
        if number == written:
            index.write()
            times.write()
    index.truncate(BASE + kept)
    times.truncate(BASE + kept)
    expected = [BASE + 2 * number for number in range(count) if 2 * number < kept]
    assert [entry.offset for entry in index.entries()] == expected
    assert [entry.offset for entry in times.entries()] == expected
    assert (index.last_entry() or OffsetPosition(-1, 0)).offset == (expected or [-1])[-1]
    index.write()
    assert list(OffsetIndex(files.open("/i"), BASE).entries()) == list(index.entries())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 500])
@pytest.mark.parametrize("padding", [0, 1, 2, 1_000])
def test_a_zero_tail_is_where_the_index_ends_and_goes_with_the_next_write(count: int, padding: int) -> None:
    files = PowerCutFiles()
    real = b"".join(struct.pack(">ii", 5 + number, 61 * number) for number in range(count))
    files.open("/i").write(real + bytes(8 * padding + 3), 0)
    index = OffsetIndex(files.open("/i"), BASE)
    assert index.entry_count == count
    assert index.last_entry() == ((BASE + 4 + count, 61 * (count - 1)) if count else None)
    index.append(BASE + 5_000, 70_000)
    index.write()
    assert files.read_bytes("/i") == real + struct.pack(">ii", 5_000, 70_000)


def test_an_entry_of_the_base_offset_itself_at_the_front_is_real() -> None:
    files = PowerCutFiles()
    files.open("/i").write(struct.pack(">iiii", 0, 0, 7, 100) + bytes(80), 0)
    index = OffsetIndex(files.open("/i"), BASE)
    assert list(index.entries()) == [(BASE, 0), (BASE + 7, 100)]


def test_entries_are_written_many_at_a_time() -> None:
    index = offset_index()
    for number in range(WRITE_AT_ENTRIES):
        assert not index.wants_write
        index.append(BASE + 1 + number, 100 * number)
    assert index.wants_write


def test_an_index_is_full_when_no_further_entry_fits_and_the_time_index_keeps_a_place() -> None:
    offsets, times = offset_index(), time_index()
    assert not offsets.is_full(16)
    for number in range(2):
        offsets.append(BASE + 1 + number, number)
    assert offsets.is_full(16)
    assert offsets.is_full(23)
    assert not offsets.is_full(24)
    times.append(5, BASE + 1)
    assert times.is_full(24)
    assert not times.is_full(36)


def test_a_lookup_in_an_absent_index_creates_no_file(tmp_path: Path) -> None:
    path = tmp_path / "i"
    index = OffsetIndex(SystemFiles().open(str(path)), BASE)
    assert index.lookup(500) == (BASE, 0)
    assert not path.exists()
