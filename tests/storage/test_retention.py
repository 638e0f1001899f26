"""Which segments go: by start, by size, by time, and what never goes."""

from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.config import LogConfig
from ottla.storage.retention import SegmentAge, expired_count

KEEP_ALL = LogConfig(retention_ms=-1, retention_bytes=-1)
NOW_MS = 10_000


def segments(*sizes_and_times: tuple[int, int]) -> list[SegmentAge]:
    """Segments of ten offsets each, with these sizes and largest timestamps."""
    return [
        SegmentAge(number * 10, number * 10 + 10, size_bytes, timestamp)
        for number, (size_bytes, timestamp) in enumerate(sizes_and_times)
    ]


def count(all_segments: list[SegmentAge], config: LogConfig, *, start: int = 0) -> int:
    return expired_count(all_segments, config=config, log_start_offset=start, now_ms=NOW_MS)


def test_without_limits_everything_stays() -> None:
    assert count(segments((100, 0), (100, 0)), KEEP_ALL) == 0


def test_a_segment_goes_when_its_newest_record_is_older_than_the_retention() -> None:
    config = LogConfig(retention_ms=1_000)
    assert count(segments((100, 8_999), (100, 9_000), (100, 9_500)), config) == 1


def test_a_young_segment_keeps_older_ones_behind_it() -> None:
    config = LogConfig(retention_ms=1_000)
    assert count(segments((100, 0), (100, 9_500), (100, 0), (100, 9_999)), config) == 1


def test_the_last_segment_goes_by_time_when_it_has_records() -> None:
    config = LogConfig(retention_ms=1_000)
    assert count(segments((100, 0), (100, 0)), config) == 2
    assert count(segments((100, 0), (0, 0)), config) == 1
    assert count(segments((0, 0)), config) == 0


def test_by_size_segments_go_while_the_rest_is_large_enough() -> None:
    config = LogConfig(retention_ms=-1, retention_bytes=250)
    assert count(segments((100, 0), (100, 0), (100, 0)), config) == 0
    assert count(segments((100, 0), (100, 0), (100, 0), (50, 0)), config) == 1
    assert count(segments((100, 0), (100, 0), (100, 0), (100, 0), (50, 0)), config) == 2


def test_a_size_of_zero_keeps_nothing() -> None:
    assert count(segments((100, 0), (100, 0)), LogConfig(retention_ms=-1, retention_bytes=0)) == 2


def test_a_segment_in_front_of_the_log_start_goes_but_never_the_last() -> None:
    assert count(segments((100, 0), (100, 0), (100, 0)), KEEP_ALL, start=10) == 1
    assert count(segments((100, 0), (100, 0), (100, 0)), KEEP_ALL, start=19) == 1
    assert count(segments((100, 0), (100, 0), (100, 0)), KEEP_ALL, start=30) == 2


def test_what_went_by_its_start_does_not_count_for_the_size() -> None:
    config = LogConfig(retention_ms=-1, retention_bytes=200)
    assert count(segments((100, 0), (100, 0), (100, 0)), config, start=10) == 1


def test_a_log_that_is_only_compacted_keeps_old_and_many_bytes() -> None:
    config = LogConfig(retention_ms=0, retention_bytes=0, cleanup_policy=frozenset({"compact"}))
    assert count(segments((100, 0), (100, 0)), config) == 0
    assert count(segments((100, 0), (100, 0)), config, start=10) == 1


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, NOW_MS)), min_size=1, max_size=8),
    st.integers(-1, 300),
    st.integers(-1, NOW_MS),
)
def test_no_more_goes_than_must(rows: list[tuple[int, int]], retention_bytes: int, retention_ms: int) -> None:
    config = LogConfig(retention_ms=retention_ms, retention_bytes=retention_bytes)
    known = segments(*rows)
    gone = count(known, config)
    kept_bytes = sum(each.size_bytes for each in known[gone:])
    for each in known[:gone]:
        too_old = retention_ms >= 0 and NOW_MS - each.largest_timestamp > retention_ms
        too_large = retention_bytes >= 0 and sum(x.size_bytes for x in known) - retention_bytes >= each.size_bytes
        assert too_old or too_large
    if retention_bytes >= 0 and gone < len(known):
        assert kept_bytes - known[gone].size_bytes < retention_bytes, "one more could have gone"
    if retention_ms >= 0 and gone < len(known):
        assert NOW_MS - known[gone].largest_timestamp <= retention_ms
