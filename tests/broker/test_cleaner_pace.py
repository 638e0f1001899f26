"""Slices, rests, bytes a second, and the brake; the clock is the test's."""

from __future__ import annotations

import math

import pytest
from ottla.broker.cleaner_pace import REST_S, SLICE_S, CleanerPace, Throttle
from ottla.storage.compaction.compaction import CompactionAborted


class Clock:
    """A clock that moves when somebody sleeps, and when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, duration_s: float) -> None:
        self.slept.append(duration_s)
        self.now += duration_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace(clock: Clock, bytes_per_second: float = math.inf) -> CleanerPace:
    return CleanerPace(Throttle(bytes_per_second), now=lambda: clock.now, sleep=clock.sleep)


def test_it_rests_once_a_slice(clock: Clock) -> None:
    mine = pace(clock)
    mine.rest()
    for _ in range(10):
        mine.rest()
    assert clock.slept == [REST_S]
    clock.now += SLICE_S
    mine.rest()
    assert clock.slept == [REST_S, REST_S]


def test_a_cleaning_that_was_called_off_ends_at_its_next_rest(clock: Clock) -> None:
    mine = pace(clock)
    mine.rest()
    mine.call_off()
    clock.now += SLICE_S
    with pytest.raises(CompactionAborted):
        mine.rest()


def test_a_wait_for_bytes_ends_when_the_cleaning_is_called_off(clock: Clock) -> None:
    mine = pace(clock, bytes_per_second=1e-6)
    mine.moved(1)
    mine.call_off()
    clock.now += SLICE_S
    with pytest.raises(CompactionAborted):
        mine.moved(1)  # which would wait for eleven days


def test_bytes_that_were_taken_are_paid_for_by_the_next() -> None:
    throttle = Throttle(1000)
    assert throttle.take(500, now=10.0) == 0
    assert throttle.take(500, now=10.0) == 0.5
    assert throttle.take(100, now=10.5) == 0.5
    assert throttle.take(100, now=20.0) == 0, "a rest is not saved up"
    assert throttle.take(100, now=20.0) == pytest.approx(0.1)


def test_a_new_rate_holds_from_the_next_bytes_on() -> None:
    throttle = Throttle(1.7976931348623157e308)
    assert throttle.take(10**9, now=0.0) == 0
    throttle.bytes_per_second = 100
    assert throttle.take(50, now=0.0) == pytest.approx(0)
    assert throttle.take(50, now=0.0) == pytest.approx(0.5)
