"""Where offsets go, and how times, durations and plans are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.cli.errors import CommandError
from ottla.cli.offset_reset import Extent, Target, Wish, new_offset, parse_duration, parse_time, plan_lines, read_plan
from ottla.client.admin import TopicPartition

wishes = st.builds(Wish, st.sampled_from(Target), st.integers(-50, 150))
offsets = st.integers(0, 200)
extents = st.tuples(offsets, offsets, st.none() | offsets, st.none() | offsets).map(
    lambda each: Extent(min(each[:2]), max(each[:2]), each[2], each[3])
)
names = st.text(min_size=1, max_size=5).filter(lambda name: "\r" not in name and "\n" not in name)
plans = st.dictionaries(
    names,
    st.dictionaries(
        st.builds(TopicPartition, st.sampled_from(["t", "a.b"]), st.integers(0, 9)), st.integers(0, 2**62), min_size=1
    ),
    min_size=1,
    max_size=3,
)


@given(wishes, extents)
def test_a_new_offset_is_where_the_partition_has_records_or_ends(wish: Wish, extent: Extent) -> None:
    found = new_offset(wish, extent)

    if found is None:
        assert wish.target is Target.SHIFT
        assert extent.committed is None
    else:
        assert extent.start <= found <= extent.end


@given(extents, st.integers(-50, 50))
def test_shifting_there_and_back_is_where_it_was_unless_it_met_an_end(extent: Extent, by: int) -> None:
    there = new_offset(Wish(Target.SHIFT, by), extent)

    if there is not None and extent.start < there < extent.end and extent.committed is not None:
        assert there == extent.committed + by


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("PT1H30M", 5_400_000),
        ("P1D", 86_400_000),
        ("P1DT2H3M4.5S", 93_784_500),
        ("pt5m", 300_000),
        ("-PT1H", -3_600_000),
        ("90s", 90_000),
        ("15m", 900_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("250ms", 250),
    ],
)
def test_durations_are_read_as_iso_writes_them_and_as_people_do(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1", "h", "1y", "P1Y", "PT1.5H", "1h30m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--by-duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01T01:00:01+01:00", 1_000),
        ("1970-01-01T00:00:01.5Z", 1_500),
        ("1970-01-02", 86_400_000),
        ("1234", 1_234),
    ],
)
def test_times_are_utc_unless_they_name_a_zone(text: str, ms: int) -> None:
    assert parse_time(text) == ms


@given(plans)
def test_a_plan_that_was_written_reads_back(plan: dict[str, dict[TopicPartition, int]]) -> None:
    assert read_plan(plan_lines(plan), plan, name="plan") == plan


def test_lines_without_a_group_are_for_each_group_and_those_of_others_are_left_alone() -> None:
    one = TopicPartition("t", 0)

    assert read_plan(["t,0,5"], ["g", "h"], name="plan") == {"g": {one: 5}, "h": {one: 5}}
    assert read_plan(["g,t,0,5", "", "x,t,0,6"], ["g"], name="plan") == {"g": {one: 5}}


@pytest.mark.parametrize("line", ["t,0", "t,x,5", "g,t,0,-5", "g,t,0,5,6"])
def test_a_line_that_is_no_plan_is_named(line: str) -> None:
    with pytest.raises(CommandError, match="plan, line 2"):
        read_plan(["t,0,5", line], ["g"], name="plan")
