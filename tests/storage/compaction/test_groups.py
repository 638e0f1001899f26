"""Which segments become one."""

from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.compaction.groups import MAX_RELATIVE_OFFSET, SegmentSizes, group_sizes


def segments(*sizes: int, span: int = 10, index_bytes: int = 8) -> list[SegmentSizes]:
    return [SegmentSizes(n * span, n * span + span, size, index_bytes, index_bytes) for n, size in enumerate(sizes)]


def test_neighbours_are_merged_as_long_as_they_fit() -> None:
    assert group_sizes(segments(40, 40, 40, 10), segment_bytes=100, index_bytes=1000) == [2, 2]


def test_a_segment_that_is_too_large_stays_alone() -> None:
    assert group_sizes(segments(10, 500, 10, 10), segment_bytes=100, index_bytes=1000) == [1, 1, 2]


def test_the_indexes_have_a_limit_too() -> None:
    assert group_sizes(segments(1, 1, 1, 1), segment_bytes=100, index_bytes=20) == [2, 2]


def test_offsets_stay_near_enough_to_the_base_for_an_index() -> None:
    far = segments(1, 1, 1, span=2**30)
    assert group_sizes(far, segment_bytes=100, index_bytes=1000) == [2, 1]


def test_an_empty_segment_joins_however_far_it_is() -> None:
    far = segments(1, 0, 0, 0, span=2**30)
    assert group_sizes(far, segment_bytes=100, index_bytes=1000) == [4]


@given(st.lists(st.integers(0, 150), max_size=30))
def test_every_segment_is_in_one_group_and_no_merged_group_is_too_large(sizes: list[int]) -> None:
    counts = group_sizes(segments(*sizes), segment_bytes=100, index_bytes=100)
    assert sum(counts) == len(sizes)
    start = 0
    for count in counts:
        group = segments(*sizes)[start : start + count]
        if count > 1:
            assert sum(each.size_bytes for each in group) <= 100
            assert sum(each.offset_index_bytes for each in group) <= 100
            assert group[-1].next_offset - 1 - group[0].base_offset <= MAX_RELATIVE_OFFSET
        start += count
