"""Where to begin, as it is written in a config."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ottla.client.consumer.offset_reset import EARLIEST, LATEST, NONE, parse_offset_reset


@pytest.mark.parametrize(
    ("given", "expected"), [("earliest", EARLIEST), (" Latest ", LATEST), ("none", NONE)], ids=lambda each: str(each)
)
def test_the_three_old_strategies_are_known_by_name(given: str, expected: object) -> None:
    assert parse_offset_reset(given) == expected


@pytest.mark.parametrize(
    ("given", "duration"),
    [
        ("by_duration:PT1H", timedelta(hours=1)),
        ("by_duration:P1DT2H30M", timedelta(days=1, hours=2, minutes=30)),
        ("by_duration:PT0.5S", timedelta(milliseconds=500)),
        ("by_duration:P2D", timedelta(days=2)),
        (timedelta(minutes=5), timedelta(minutes=5)),
    ],
)
def test_a_duration_counts_back_from_now(given: str | timedelta, duration: timedelta) -> None:
    now_ms = 1_800_000_000_000

    assert parse_offset_reset(given).timestamp(now_ms) == now_ms - duration / timedelta(milliseconds=1)


def test_a_duration_longer_than_time_itself_begins_at_its_beginning() -> None:
    assert parse_offset_reset(timedelta(days=100_000)).timestamp(5) == 0


@pytest.mark.parametrize("given", ["", "sometimes", "by_duration:", "by_duration:1h", "by_duration:P", timedelta(-1)])
def test_anything_else_is_refused_and_named(given: str | timedelta) -> None:
    with pytest.raises(ValueError, match=r"duration|auto_offset_reset"):
        parse_offset_reset(given)
