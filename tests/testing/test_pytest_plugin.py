"""The fixture, in projects of others: runs of pytest of their own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.pytest_runs import run_pytest

A_TEST = """
def test_one(ottla_broker):
    print("command:", " ".join(ottla_broker.command()))

def test_another(ottla_broker):
    print("directory:", ottla_broker.directory)
"""


def run_a_test(project: Path, configuration: str = "") -> subprocess.CompletedProcess[str]:
    (project / "test_it.py").write_text(A_TEST, encoding="utf-8")
    (project / "pytest.ini").write_text(f"[pytest]\n{configuration}", encoding="utf-8")
    return run_pytest(project)


def test_the_fixture_is_there_without_being_asked_for_and_leaves_nothing(tmp_path: Path) -> None:
    ran = run_a_test(tmp_path)

    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
    (directory,) = re.findall(r"directory: (\S+)", ran.stdout)
    assert not Path(directory).exists()


def test_settings_are_taken_from_pytests_configuration(tmp_path: Path) -> None:
    ran = run_a_test(tmp_path, "ottla_settings =\n  num.partitions=3\n  log.retention.hours = 1\n")

    assert "--set num.partitions=3 --set log.retention.hours=1" in ran.stdout, ran.stdout + ran.stderr


def test_what_is_no_setting_is_one_line(tmp_path: Path) -> None:
    ran = run_a_test(tmp_path, "ottla_settings = num.partitions\n")

    assert "ottla_settings: 'num.partitions' is not NAME=VALUE" in ran.stdout, ran.stdout + ran.stderr
