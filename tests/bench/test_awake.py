"""Processors kept awake: what is written, for how long, and what becomes of the bench where it may not be."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.core.alternation import measure
from bench.core.awake import and_awake, processors_awake
from bench.core.brokers import Broker, at_address
from bench.core.model import FLOOR, Better, Case, Metric, NotMeasured, Plan, Round, Sample, Scenario
from bench.scenarios import end_to_end, latency

METRIC = Metric("p50", "ms", Better.LESS)
PLAN = Plan(runs=2, seconds=0.1)


@contextmanager
def one_round(_: Broker | Path, __: Plan) -> Iterator[Round]:
    yield lambda: Sample({METRIC.name: 1.0})


CASE = Case("one at a time", "acks=1", (METRIC,), one_round, floor=one_round)


def test_no_latency_is_asked_for_in_the_kernels_own_order_and_the_file_stays_open_so_long(tmp_path: Path) -> None:
    pipe = tmp_path / "cpu_dma_latency"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with processors_awake(pipe):
            assert struct.unpack("=i", os.read(reader, 100)) == (0,)
            with pytest.raises(BlockingIOError):  # nothing more, and not closed
                os.read(reader, 100)
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def test_where_it_cannot_be_the_reason_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="as root on Linux"), processors_awake(tmp_path / "not there"):
        pytest.fail("they are not awake")


def test_each_case_is_measured_as_the_machine_is_and_then_awake() -> None:
    as_it_is, awake = and_awake([CASE])

    assert as_it_is is CASE
    assert awake == replace(CASE, name="one at a time, processors kept awake", state=processors_awake)


def test_a_case_whose_state_cannot_be_had_is_told_once_and_everything_in_it_is_a_dash(tmp_path: Path) -> None:
    said: list[str] = []
    case = replace(CASE, state=partial(processors_awake, tmp_path / "not there"))

    result = measure("latency", case, [at_address("127.0.0.1:1", tmp_path)], PLAN, said.append)

    assert result.values == {}
    assert set(result.skipped) == {"127.0.0.1:1", FLOOR}
    assert len(said) == 1
    assert "as root on Linux" in said[0]


def test_all_that_take_turns_do_so_in_the_cases_state(tmp_path: Path) -> None:
    events: list[str] = []

    @contextmanager
    def state() -> Iterator[None]:
        events.append("awake")
        yield
        events.append("as it was")

    @contextmanager
    def told(_: Broker | Path, __: Plan) -> Iterator[Round]:
        def play() -> Sample:
            events.append("a round")
            return Sample({METRIC.name: 1.0})

        yield play

    case = replace(CASE, open=told, floor=told, state=state)
    result = measure("latency", case, [at_address("127.0.0.1:1", tmp_path)], PLAN, lambda _: None)

    assert result.values == {"127.0.0.1:1": {"p50": [1.0, 1.0]}, FLOOR: {"p50": [1.0, 1.0]}}
    assert events == ["awake", *["a round"] * 6, "as it was"]


@pytest.mark.parametrize("scenario", [latency, end_to_end])
def test_what_waits_for_one_thing_at_a_time_has_both_rows_with_the_same_aims_and_a_quick_run_one(
    scenario: Scenario,
) -> None:
    cases = scenario.cases(PLAN)
    awake = [each for each in cases if each.state is processors_awake]
    alike = {(each.name, each.durability): each.aims for each in cases}

    assert {each.durability.partition(",")[0] for each in awake} == {"acks=1", "acks=all"}
    for each in awake:
        assert each.aims == alike[each.name.removesuffix(", processors kept awake"), each.durability]
        assert each.aims
    assert all(each.state is not processors_awake for each in scenario.cases(replace(PLAN, quick=True)))
