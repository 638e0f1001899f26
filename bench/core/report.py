"""A run as JSON, with every single value, and as the section of bench/README.md that keeps the last full one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .machine import Machine
from .model import Better, Metric, Plan, Result
from .table import table

BEGIN, END = "<!-- the last full table: begin -->", "<!-- the last full table: end -->"


@dataclass(frozen=True, slots=True)
class Report:
    """A run: when, where, with what, and what came of it."""

    date: str
    machine: Machine
    versions: dict[str, str]
    plan: Plan
    brokers: tuple[str, ...]
    busy: str | None
    results: Sequence[Result]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self._values(), indent=1) + "\n")

    def _values(self) -> dict[str, Any]:
        return {
            "date": self.date,
            "machine": self.machine.values(),
            "versions": self.versions,
            "plan": asdict(self.plan),
            "brokers": list(self.brokers),
            "busy": self.busy,
            "results": [_plain(each) for each in self.results],
        }

    def section(self, plots: Sequence[str]) -> str:
        """What the README keeps."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        disturbed = f" The machine was not quiet: {self.busy}." if self.busy else ""
        figures = "\n".join(f"![{name}](plots/{name}.png)" for name in plots)
        said = f"{self.date}; {self.machine}; {versions}; {self.plan.runs} alternations.{disturbed}"
        return f"{said}\n\n{table(self.results, self.brokers)}\n\n{figures}"


def read(path: Path) -> Report:
    """A report that was written."""
    values = json.loads(path.read_text())
    return Report(
        values["date"],
        Machine(**values["machine"]),
        values["versions"],
        Plan(**values["plan"]),
        tuple(values["brokers"]),
        values["busy"],
        [_result(each) for each in values["results"]],
    )


def keep_in(readme: Path, section: str) -> None:
    """Put the section between its marks, in place of the former one."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{readme} has no {BEGIN}"
    assert end, f"{readme} has no {END}"
    readme.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{after}")


def _plain(result: Result) -> dict[str, Any]:
    values = asdict(result)
    for metric in values["metrics"]:
        metric["better"] = metric["better"].value
    return values


def _result(values: dict[str, Any]) -> Result:
    metrics = tuple(Metric(**{**each, "better": Better(each["better"])}) for each in values.pop("metrics"))
    return Result(metrics=metrics, **values)
