"""The bench as a command: it measures, tells one table, writes every value, and refuses what it should. No figure is judged."""

from __future__ import annotations

import json
import signal
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


def test_a_file_that_is_not_there_is_named_in_one_line(tmp_path: Path) -> None:
    done = bench("--from-json", str(tmp_path / "none.json"))

    assert done.returncode == 4
    assert done.stderr == f"{tmp_path / 'none.json'}: No such file or directory\n"


@pytest.mark.interop
@pytest.mark.parametrize("ended_with", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_keeps_what_it_measured_and_leaves_nothing_else(
    tmp_path: Path, ended_with: signal.Signals
) -> None:
    file, directory = tmp_path / "run.json", tmp_path / "data"
    directory.mkdir()
    command = [sys.executable, "-m", "bench", *QUICK, "--directory", str(directory), "--json", str(file)]
    command += ["--scenario", "one-record", "latency"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        seen: list[str] = []
        for line in iter(process.stderr.readline, ""):
            seen.append(line)
            if line.startswith("latency:"):
                process.send_signal(ended_with)
                break
        seen += process.stderr.readlines()

    assert process.returncode == 130, seen
    assert seen[-1] == f"Stopped; what was measured until then is in {file}.\n"
    assert {each["scenario"] for each in json.loads(file.read_text())["results"]} == {"one-record"}
    assert list(directory.iterdir()) == []
