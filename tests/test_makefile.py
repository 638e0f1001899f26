"""The workshop's own promises: what `make` says when it cannot do what was asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder with our Makefile and a `.venv` that was made of the Python that runs the tests."""
    if shutil.which("make") is None:
        pytest.skip("make is not here")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / ".venv/made").touch()
    return tmp_path


def _make(workshop: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")}
    return subprocess.run(
        ["make", ".venv/made", *arguments],
        cwd=workshop,
        env=ours,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_environment_stays_with_the_python_it_was_made_of_and_whoever_asks_for_another_is_told(
    workshop: Path,
) -> None:
    other = workshop / "python9"
    other.write_text("#!/bin/sh\necho /opt/python9\n")
    other.chmod(0o755)

    made = _make(workshop, f"PYTHON={other}")

    assert made.returncode != 0
    assert f"not of {other}: rm -r .venv, then again" in made.stderr


def test_an_environment_is_not_made_again_for_the_python_it_was_made_of(workshop: Path) -> None:
    assert _make(workshop, f"PYTHON={sys.executable}").returncode == 0
    assert _make(workshop).returncode == 0


def test_a_python_that_is_not_there_is_not_taken_for_the_one_that_is(workshop: Path) -> None:
    made = _make(workshop, "PYTHON=no-such-python")

    assert made.returncode != 0
    assert "not of no-such-python" in made.stderr
