"""The bench as a command: it measures, tells one table, writes every value, and refuses what it should. No figure is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
QUICK = ("--quick", "--anyway", "--without-kafka", "--seconds", "0.1")
PICKED = ("produce-consume", "bulk-read", "one-record", "latency", "end-to-end", "fan-out", "groups", "clients")


def bench(*arguments: str, timeout_s: float = 110) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.mark.interop
def test_a_quick_run_measures_every_case_of_the_scenarios_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "run.json"

    done = bench(*QUICK, "--directory", str(tmp_path), "--json", str(file), "--scenario", *PICKED)

    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text())
    assert {each["scenario"] for each in report["results"]} == set(PICKED)
    for result in report["results"]:
        assert result["skipped"] == {}, result
        assert not any(result["failures"].values()), result
        assert set(result["values"]["Ottla"]) >= {metric["name"] for metric in result["metrics"]}
        assert result["durability"] in done.stdout
        assert set(result["values"].get("floor", result["values"]["Ottla"])) == set(result["values"]["Ottla"])
    with_floor = {each["scenario"] for each in report["results"] if "floor" in each["values"]}
    assert with_floor == {"produce-consume", "latency", "end-to-end"}
    assert report["machine"]["cores"] >= 1
    assert bench("--from-json", str(file)).stdout == done.stdout


def test_a_scenario_that_is_none_is_refused_with_those_there_are() -> None:
    done = bench("--scenario", "coffee")

    assert done.returncode == 2
    assert "one-record" in done.stderr
