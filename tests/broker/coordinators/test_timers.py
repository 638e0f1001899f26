"""Deadlines by key, against a plain dict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.coordinators.timers import Timers

KEYS = st.sampled_from("abc")
STEPS = st.lists(
    st.tuples(st.just("start"), KEYS, st.integers(0, 30))
    | st.tuples(st.just("cancel"), KEYS, st.just(0))
    | st.tuples(st.just("pass"), st.just(""), st.integers(1, 10)),
    max_size=40,
)


@given(STEPS)
def test_every_deadline_comes_up_once_and_in_order(steps: list[tuple[str, str, int]]) -> None:
    timers: Timers[str] = Timers()
    plain: dict[str, int] = {}
    now_ms = 0
    for kind, key, number in steps:
        if kind == "start":
            timers.start(key, now_ms + number)
            plain[key] = now_ms + number
        elif kind == "cancel":
            timers.cancel(key)
            plain.pop(key, None)
        else:
            now_ms += number
            due = sorted(at_ms for at_ms in plain.values() if at_ms <= now_ms)
            found = timers.due(now_ms)
            assert [plain.pop(each) for each in found] == due
        timers.check()
        next_at_ms = timers.next_at_ms()
        assert len(timers) == len(plain)
        assert (next_at_ms is None) == (not plain)
        assert next_at_ms is None or next_at_ms <= min(plain.values())


def test_prolonging_a_deadline_does_not_fill_the_heap() -> None:
    timers: Timers[str] = Timers()
    for at_ms in range(1000):
        timers.start("session", at_ms)

    assert timers.heap_size == 1
