"""Runs the demonstrations in examples/ as a person does, in their short form."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.apache_kafka import why_java_is_absent
from support.broker import environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SPARK_PYTHON = str(ROOT / ".venv-spark" / "bin" / "python")
TIMEOUT_S = 600


def needs_built(folder: str) -> Callable[..., Any]:
    """Decorator: skips, saying why, where Java is not or where the Maven project in examples/`folder` is not built."""
    built = (EXAMPLES / folder / "target" / "lib").is_dir()
    return _skipped_if(
        why_java_is_absent() or (None if built else f"examples/{folder} is not built: make test-interop")
    )


def needs_spark() -> Callable[..., Any]:
    """Decorator: skips, saying why, where Java or PySpark is not."""
    reason = None if Path(SPARK_PYTHON).exists() else "PySpark is not set up: make test-interop"
    return _skipped_if(why_java_is_absent() or reason)


def _skipped_if(reason: str | None) -> Callable[..., Any]:
    def mark(test: Callable[..., Any]) -> Callable[..., Any]:
        marks = (
            pytest.mark.frameworks,
            pytest.mark.timeout(TIMEOUT_S),
            pytest.mark.skipif(bool(reason), reason=reason or ""),
        )
        for each in marks:
            test = each(test)
        return test

    return mark


def run_demo(script: str, *arguments: str) -> str:
    """What examples/`script` prints; AssertionError with it when it does not end well."""
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def maven() -> str:
    """The command."""
    return str(shutil.which("mvn"))
