"""Turns: each broker warmed up and then in alternation; in a quick run once each, and nothing before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.core.alternation import measure
from bench.core.brokers import Broker, at_address
from bench.core.model import Better, Case, Metric, Plan, Round, Sample

METRIC = Metric("p50", "ms", Better.LESS)
ONE, OTHER = "127.0.0.1:1", "127.0.0.1:2"


@pytest.mark.parametrize(
    ("plan", "warms_up", "turns"),
    [
        (Plan(runs=2, seconds=0.1), True, [ONE, OTHER, ONE, OTHER, ONE, OTHER]),
        (Plan(runs=2, seconds=0.1), False, [ONE, OTHER, ONE, OTHER]),
        (Plan(runs=1, seconds=0.1, quick=True), True, [ONE, OTHER]),
    ],
)
def test_what_a_warm_up_gave_is_dropped_and_a_quick_run_has_none(
    tmp_path: Path, plan: Plan, warms_up: bool, turns: list[str]
) -> None:
    played: list[str] = []

    @contextmanager
    def open_case(broker: Broker, _: Plan) -> Iterator[Round]:
        def play() -> Sample:
            played.append(broker.name)
            return Sample({METRIC.name: 1.0})

        yield play

    case = Case("one at a time", "acks=1", (METRIC,), open_case, warms_up=warms_up)
    brokers = [at_address(ONE, tmp_path), at_address(OTHER, tmp_path)]

    result = measure("latency", case, brokers, plan, lambda _: None)

    assert played == turns
    assert result.values == {name: {METRIC.name: [1.0] * plan.runs} for name in (ONE, OTHER)}
