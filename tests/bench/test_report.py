"""Reports: what was written is read again, a later run's figures stand for the former, and what is no report is named."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.core.machine import Machine
from bench.core.model import Better, Metric, Plan, Result
from bench.core.report import CannotRead, Report, read, read_all

METRIC = Metric("p50", "ms", Better.LESS)
HERE = Machine("some processor", 2, 4.0, "Linux 6.18", "ext4", "3.11.2")


def test_a_report_that_was_written_is_read_as_it_was(tmp_path: Path) -> None:
    report = report_of(latency=1.0, fan_out=2.0)

    report.write(tmp_path / "run.json")

    assert read(tmp_path / "run.json") == report
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_of_several_the_later_figures_stand_where_the_former_stood_and_new_ones_behind(tmp_path: Path) -> None:
    report_of(latency=1.0, fan_out=2.0).write(tmp_path / "full.json")
    again = replace(report_of(fan_out=3.0, groups=4.0), plan=Plan(runs=7, seconds=1.5))
    again.write(tmp_path / "again.json")

    report = read_all([tmp_path / "full.json", tmp_path / "again.json"])

    assert [(each.scenario, each.values["Ottla"]["p50"]) for each in report.results] == [
        ("latency", [1.0]),
        ("fan-out", [3.0]),
        ("groups", [4.0]),
    ]
    assert "5 alternations; fan-out, groups: 7 alternations of 1.5 s in a run of their own" in report.section([])
    report.write(tmp_path / "both.json")
    assert read(tmp_path / "both.json") == report


def test_how_long_a_round_was_is_not_said_where_it_was_chosen_for_each_scenario(tmp_path: Path) -> None:
    plan = Plan(runs=7, seconds=2.0, budget_minutes=5)

    both = report_of(latency=1.0).followed_by(replace(report_of(latency=2.0), plan=plan))

    assert "5 alternations; latency: 7 alternations in a run of their own" in both.section([])


@pytest.mark.parametrize(
    "other",
    [
        {"machine": replace(HERE, python="3.13.0")},
        {"brokers": ("Ottla",)},
        {"versions": {"Ottla": "0.2.0"}},
    ],
)
def test_runs_that_compared_something_else_are_not_made_one(tmp_path: Path, other: dict[str, object]) -> None:
    report_of(latency=1.0).write(tmp_path / "full.json")
    replace(report_of(latency=1.0), **other).write(tmp_path / "other.json")

    with pytest.raises(CannotRead, match=r"other\.json: it is of another machine"):
        read_all([tmp_path / "full.json", tmp_path / "other.json"])


@pytest.mark.parametrize("text", ["", "coffee", "[]", '{"date": "2026-11-26"}', json.dumps({"date": 1, "machine": {}})])
def test_what_is_no_report_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(CannotRead, match=r"run\.json: this was not written by --json"):
        read(tmp_path / "run.json")


def report_of(**p50s: float) -> Report:
    results = []
    for name, p50 in p50s.items():
        result = Result(name.replace("_", "-"), "one at a time", "acks=1", (METRIC,), {"p50": 0.5})
        result.values["Ottla"] = {"p50": [p50]}
        results.append(result)
    plan = Plan(runs=5, seconds=2.0)
    return Report("2026-11-26", HERE, {"Ottla": "0.1.0"}, plan, ("Ottla", "Apache Kafka"), None, results)
