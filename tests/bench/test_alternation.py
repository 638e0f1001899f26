"""Turns: each broker warmed up and then in alternation, back and forth; in a quick run once each, and nothing before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.core.alternation import measure
from bench.core.brokers import Broker, at_address
from bench.core.model import FLOOR, Better, Case, Metric, Plan, Round, Sample

METRIC = Metric("p50", "ms", Better.LESS)
ONE, OTHER = "127.0.0.1:1", "127.0.0.1:2"


@pytest.mark.parametrize(
    ("plan", "warms_up", "turns"),
    [
        (Plan(runs=2, seconds=0.1), True, [ONE, OTHER, ONE, OTHER, OTHER, ONE]),
        (Plan(runs=2, seconds=0.1), False, [ONE, OTHER, OTHER, ONE]),
        (Plan(runs=1, seconds=0.1, quick=True), True, [ONE, OTHER]),
    ],
)
def test_what_a_warm_up_gave_is_dropped_and_a_quick_run_has_none(
    tmp_path: Path, plan: Plan, warms_up: bool, turns: list[str]
) -> None:
    played, case = playing(fails_at=None)
    case = replace(case, warms_up=warms_up)

    result = measure("latency", case, brokers(tmp_path), plan, lambda _: None)

    assert played == turns
    assert result.values == {name: {METRIC.name: [1.0] * plan.runs} for name in (ONE, OTHER)}


def test_every_other_alternation_goes_backwards_so_that_none_always_has_the_same_one_before_it(tmp_path: Path) -> None:
    played, case = playing(fails_at=None)
    case = replace(case, warms_up=False, floor=lambda directory, plan: case.open(at_address(FLOOR, directory), plan))

    measure("latency", case, brokers(tmp_path), Plan(runs=3, seconds=0.1), lambda _: None)

    assert played == [ONE, OTHER, FLOOR, FLOOR, OTHER, ONE, ONE, OTHER, FLOOR]


def test_one_that_fails_has_no_turn_any_more_and_the_others_have_theirs(tmp_path: Path) -> None:
    played, case = playing(fails_at=2)
    case = replace(case, warms_up=False)

    result = measure("latency", case, brokers(tmp_path), Plan(runs=4, seconds=0.1), lambda _: None)

    assert played == [ONE, OTHER, OTHER, ONE, ONE, ONE]
    assert {name: len(values[METRIC.name]) for name, values in result.values.items()} == {ONE: 4, OTHER: 1}
    assert "it failed" in result.skipped[OTHER]


def test_what_was_measured_is_kept_when_cleaning_up_after_it_fails(tmp_path: Path) -> None:
    _, case = playing(fails_at=None)
    told: list[str] = []

    @contextmanager
    def open_case(broker: Broker, plan: Plan) -> Iterator[Round]:
        with case.open(broker, plan) as play:
            yield play
        raise RuntimeError("the topic stays")

    stays = replace(case, open=open_case)
    result = measure("latency", stays, brokers(tmp_path), Plan(runs=2, seconds=0.1), told.append)

    assert result.values == {name: {METRIC.name: [1.0, 1.0]} for name in (ONE, OTHER)}
    assert any("the topic stays" in each for each in told)


def playing(*, fails_at: int | None) -> tuple[list[str], Case]:
    """Who played, and a case in which everybody does; OTHER fails in that turn of its own."""
    played: list[str] = []

    @contextmanager
    def open_case(broker: Broker, _: Plan) -> Iterator[Round]:
        def play() -> Sample:
            played.append(broker.name)
            if broker.name == OTHER and played.count(OTHER) == fails_at:
                raise RuntimeError("it is gone")
            return Sample({METRIC.name: 1.0})

        yield play

    return played, Case("one at a time", "acks=1", (METRIC,), open_case)


def brokers(directory: Path) -> list[Broker]:
    return [at_address(ONE, directory), at_address(OTHER, directory)]
