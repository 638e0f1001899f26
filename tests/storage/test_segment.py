"""One segment, by itself: where it ends, what it finds, and the forgiving use of its indexes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.protocol.records import patch_offsets, read_header
from ottla.storage.batches import iter_headers
from ottla.storage.config import LogConfig
from ottla.storage.names import Mark
from ottla.storage.segment import Segment
from support.batches import batch
from support.power_cut import PowerCutFiles

BASE = 100


def new_segment(files: PowerCutFiles) -> Segment:
    return Segment(files, "/data", BASE, created_ms=0)


@pytest.fixture
def files() -> PowerCutFiles:
    files = PowerCutFiles()
    files.make_directory("/data")
    return files


def fill(segment: Segment, counts: list[int], *, interval_bytes: int = 150, recent: bool = False) -> list[int]:
    """Append batches of so many records; returns each one's base offset."""
    bases = []
    for count in counts:
        data = batch(*[b"x"] * count, timestamp=segment.next_offset)
        patch_offsets(data, 0, segment.next_offset, 0)
        header = read_header(data)
        bases.append(header.base_offset)
        segment.write(data)
        if recent:
            what = header.base_offset, header.last_offset, header.size_bytes, header.max_timestamp
            segment.appended(*what, interval_bytes)
        else:
            segment.note_header(header, interval_bytes)
    return bases


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=40), recent=st.booleans(), closed=st.booleans())
def test_every_offset_is_found_in_its_batch(counts: list[int], recent: bool, closed: bool) -> None:
    files = PowerCutFiles()
    files.make_directory("/data")
    segment = new_segment(files)
    bases = fill(segment, counts, recent=recent)
    if closed:
        segment.complete_indexes()
        end = segment.end
        segment.files.close()
        segment = new_segment(files)
        segment.end = (BASE, end[1])
        assert segment.load_tail() == end[1]
        assert segment.end == end
        assert segment.largest_timestamp == (bases[-1], segment.next_offset - 1)
    for base, count in zip(bases, counts, strict=True):
        for offset in range(base, base + count):
            place = segment.locate(offset)
            assert place is not None
            assert place.base_offset == base
    assert segment.locate(segment.next_offset) is None


def test_a_write_that_is_undone_leaves_no_trace(files: PowerCutFiles) -> None:
    segment = new_segment(files)
    fill(segment, [1])
    end = segment.end
    segment.write(b"half a batch")
    segment.undo_write()
    assert segment.end == end
    assert files.size(segment.log.path) == end[1]


def test_a_rewound_segment_notes_the_same_again(files: PowerCutFiles) -> None:
    segment = new_segment(files)
    fill(segment, [1] * 20)
    segment.complete_indexes()
    entries, end = list(segment.offset_index.entries()), segment.end
    times = list(segment.time_index.entries())
    for position in (0, entries[3].position):
        segment.rewind(position)
        for _, header in iter_headers(segment.log.read, position, end[1]):
            segment.note_header(header, 150)
        segment.complete_indexes()
        assert list(segment.offset_index.entries()) == entries
        assert list(segment.time_index.entries()) == times
        assert segment.end == end


def test_on_a_full_disk_index_entries_wait_in_memory(files: PowerCutFiles) -> None:
    segment = new_segment(files)
    fill(segment, [1] * 20)
    files.fill_disk(0)
    assert not segment.try_write_indexes()
    segment.sync_with_indexes()
    assert segment.locate(BASE + 7) is not None
    files.free_disk()
    assert segment.try_write_indexes()
    assert files.size(segment.offset_index.file.path) > 0


def test_an_empty_segment_never_rolls(files: PowerCutFiles) -> None:
    segment = new_segment(files)
    config = LogConfig(segment_bytes=10, segment_ms=0)
    assert not segment.should_roll(1_000, 10**12, 2**40, 10**12, config)


def test_deleting_renames_every_file_and_removing_leaves_none(files: PowerCutFiles) -> None:
    segment = new_segment(files)
    fill(segment, [1] * 5)
    segment.complete_indexes()
    before = set(files.list_files("/data"))
    segment.files.mark_deleted()
    assert set(files.list_files("/data")) == {name + ".deleted" for name in before}
    segment.files.remove(Mark.DELETED)
    assert files.list_files("/data") == []
