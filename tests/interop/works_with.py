"""What each client, tool and framework was seen to do: noted while the interop tests run, for docs/works-with.md.

    OTTLA_WORKS_WITH=tests/interop/works_with.json python -m pytest tests/interop      notes
    python -m docs.write_works_with                                                    the page

A test belongs to a client by its name: of the module, the function or a parameter. Its own name is the sentence that
says what was tried. Nothing is written by hand, so the page cannot say more than the last run did.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from interop.examples import SPARK_PYTHON
from support.apache_kafka import KAFKA_VERSION


def _package(name: str) -> Callable[[], str]:
    def found() -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return ""

    return found


def _kcat() -> str:
    try:
        said = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    found = re.search(r"Version ([0-9.]+).*librdkafka ([0-9.]+)", said, re.DOTALL)
    return f"{found[1]}, librdkafka {found[2]}" if found else ""


def _kafka() -> str:
    return KAFKA_VERSION


def _spark() -> str:
    """PySpark lives in a venv of its own."""
    try:
        said = subprocess.run(
            [SPARK_PYTHON, "-m", "pip", "show", "pyspark"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    found = re.search(r"^Version: (\S+)$", said.stdout, re.MULTILINE)
    return f"{found[1]} (Scala 2.13), connector spark-sql-kafka-0-10 {found[1]}" if found else ""


@dataclass(frozen=True, slots=True)
class Subject:
    """One client, tool or framework: how its tests are known, and how its version is."""

    name: str
    tests: re.Pattern[str]
    version: Callable[[], str]


SUBJECTS = (
    Subject("confluent-kafka (librdkafka)", re.compile("confluent"), _package("confluent-kafka")),
    Subject("aiokafka", re.compile("aiokafka"), _package("aiokafka")),
    Subject("kafka-python", re.compile("kafka.python"), _package("kafka-python")),
    Subject("kcat", re.compile("kcat"), _kcat),
    Subject("Apache Kafka's own tools and Java clients", re.compile(r"java|console|Command"), _kafka),
    Subject("Kafka Streams", re.compile("^test_streams::"), _kafka),
    Subject("Kafka Connect", re.compile("^test_connect::"), _kafka),
    Subject("Spark Structured Streaming", re.compile("^test_spark::"), _spark),
)

Notes = dict[str, dict[str, str]]
"""Outcome (passed, failed, skipped: why) by test, by subject."""


@dataclass(slots=True)
class WorksWith:
    """A pytest plug-in that notes outcomes and writes them at the end."""

    file: Path
    outcomes: Notes = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Told by pytest of each phase of each test, also of those that another process ran."""
        if report.passed and report.when != "call":
            return
        path, _, sentence = report.nodeid.partition("::")
        if "interop" not in path:
            return
        for subject in SUBJECTS:
            test = f"{Path(path).stem}::{sentence}"
            if subject.tests.search(test):
                self.outcomes.setdefault(subject.name, {})[test] = _outcome(report)

    def pytest_sessionfinish(self) -> None:
        """Write the notes."""
        told = {
            subject.name: {
                "version": subject.version(),
                "tests": dict(sorted(self.outcomes[subject.name].items())),
            }
            for subject in SUBJECTS
            if subject.name in self.outcomes
        }
        self.file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _outcome(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"
    return report.outcome
