"""Spark jobs as processes: run to the end, or killed with everything they started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT_S = 900
POLL_S = 0.1


class JobFailed(Exception):
    """Spark ended otherwise than expected; the text says how, with the end of what it said."""


class SparkJob:
    """One Python script run by the Python that has PySpark. Python and its JVM are one process group.

    What a JVM that is killed leaves in the folder for temporary files goes with the job.
    """

    def __init__(self, python: str, script: Path, arguments: dict[str, str]) -> None:
        words = [word for name, value in arguments.items() for word in (f"--{name}", value)]
        self._name = script.name
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the job
        self._folder = tempfile.TemporaryDirectory(prefix="ottla-spark-", ignore_cleanup_errors=True)
        folder = self._folder.name
        self._process = subprocess.Popen(
            [python, str(script), *words],
            env={**os.environ, "SPARK_LOCAL_DIRS": folder, "SPARK_SUBMIT_OPTS": f"-Djava.io.tmpdir={folder}"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def result(self) -> Any:
        """Wait for the end; the last line it printed, as JSON. JobFailed."""
        try:
            code = self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise JobFailed(f"{self._name} did not end within {TIMEOUT_S} s:\n{self._said()}") from None
        said = self._said()
        self._output.close()
        self._folder.cleanup()
        if code != 0:
            raise JobFailed(f"{self._name} ended with code {code}:\n{said}")
        return json.loads(next(line for line in reversed(said.splitlines()) if line.startswith("{")))

    def kill_once(self, has_begun: Callable[[], bool]) -> None:
        """SIGKILL as soon as `has_begun`. JobFailed when it ended before."""
        deadline = time.monotonic() + TIMEOUT_S
        while not has_begun():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise JobFailed(f"{self._name} was to be killed in the middle, and ended before:\n{self._said()}")
            time.sleep(POLL_S)
        self.kill()

    def kill(self) -> None:
        """Python and its JVM, with no goodbye."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()

    def _said(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[-6000:]


def committed_batches(checkpoint: Path) -> int:
    """How many micro-batches Spark has noted as done."""
    return sum(name.name.isdigit() for name in (checkpoint / "commits").glob("*"))
