"""What can be cleaned, how dirty a log is, when it is due."""

import pytest
from ottla.storage.compaction.choice import LogDirt, SegmentDirt, cleanable
from ottla.storage.config import LogConfig

COMPACT = frozenset({"compact"})
NOW_MS = 10_000


def log(
    *times: int,
    start: int = 0,
    stable: int | None = None,
    durable: int | None = None,
    cleaned_to: int | None = None,
) -> LogDirt:
    """Segments of ten offsets and 100 bytes each, with these timestamps; the last is active."""
    segments = [SegmentDirt(n * 10, 100, time, time) for n, time in enumerate(times)]
    end = len(times) * 10
    return LogDirt(
        segments,
        log_start_offset=start,
        log_end_offset=end,
        stable_end_offset=end if stable is None else stable,
        durable_end_offset=end if durable is None else durable,
        cleaned_to=cleaned_to,
    )


def config(**settings: object) -> LogConfig:
    return LogConfig(cleanup_policy=COMPACT, **settings)  # type: ignore[arg-type]


def test_everything_but_the_active_segment_can_be_cleaned() -> None:
    what = cleanable(log(1, 2, 3, 4), config(), NOW_MS)
    assert (what.first_dirty_offset, what.first_uncleanable_offset) == (0, 30)
    assert (what.clean_bytes, what.cleanable_bytes) == (0, 300)
    assert what.ratio == 1.0


def test_a_log_of_one_segment_has_nothing_to_clean() -> None:
    what = cleanable(log(1), config(), NOW_MS)
    assert what.cleanable_bytes == 0
    assert not what.is_due(config(min_cleanable_dirty_ratio=0))


def test_what_was_cleaned_counts_as_clean() -> None:
    what = cleanable(log(1, 2, 3, 4, cleaned_to=20), config(), NOW_MS)
    assert (what.first_dirty_offset, what.clean_bytes, what.cleanable_bytes) == (20, 200, 100)
    assert what.ratio == pytest.approx(1 / 3)


def test_a_log_is_due_when_it_is_dirtier_than_it_may_be() -> None:
    what = cleanable(log(1, 2, 3, 4, cleaned_to=20), config(), NOW_MS)
    assert what.is_due(config(min_cleanable_dirty_ratio=0.33))
    assert not what.is_due(config(min_cleanable_dirty_ratio=0.34))
    assert not what.is_due(LogConfig(min_cleanable_dirty_ratio=0.33)), "the topic is not compacted"


@pytest.mark.parametrize("bound", ["stable", "durable"])
def test_a_segment_with_something_unstable_or_not_durable_is_left_alone_whole(bound: str) -> None:
    what = cleanable(log(1, 2, 3, 4, **{bound: 25}), config(), NOW_MS)
    assert (what.first_uncleanable_offset, what.cleanable_bytes) == (20, 200)


def test_records_younger_than_the_least_lag_stay_dirty() -> None:
    what = cleanable(log(1_000, 9_500, 2_000, 9_900), config(min_compaction_lag_ms=1_000), NOW_MS)
    assert (what.first_uncleanable_offset, what.cleanable_bytes) == (10, 100)


def test_records_older_than_the_greatest_lag_make_a_log_due_whatever_its_ratio() -> None:
    late = config(max_compaction_lag_ms=1_000, min_cleanable_dirty_ratio=1.0)
    assert cleanable(log(8_500, 9_500, 9_900), late, NOW_MS).overdue_ms == 500
    assert cleanable(log(8_500, 9_500, 9_900), late, NOW_MS).is_due(late)
    assert not cleanable(log(9_500, 9_600, 9_900), late, NOW_MS).is_due(late)
    assert not cleanable(log(8_500, 9_500, 9_900, cleaned_to=10), late, NOW_MS).is_due(late), "the old one is clean"


@pytest.mark.parametrize("cleaned_to", [5, 41])
def test_a_checkpoint_that_cannot_be_counts_for_nothing(cleaned_to: int) -> None:
    """The log start has passed it, or the log was cut in front of it."""
    what = cleanable(log(1, 2, 3, 4, start=10, cleaned_to=cleaned_to), config(), NOW_MS)
    assert what.first_dirty_offset == 10


def test_a_dirty_part_that_begins_within_a_segment_takes_the_segment_along() -> None:
    what = cleanable(log(1, 2, 3, 4, cleaned_to=15), config(), NOW_MS)
    assert (what.clean_bytes, what.cleanable_bytes) == (200, 200)
