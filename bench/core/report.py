"""A run as JSON, with every single value, and as the section of bench/README.md that keeps the last full one.

Several runs of one machine and day make one report, too: what a later one measured again stands in place of the former
figures, and the section says which scenarios these are, and with how many alternations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .machine import Machine
from .model import Better, Metric, Plan, Result
from .table import table

BEGIN, END = "<!-- the last full table: begin -->", "<!-- the last full table: end -->"


class CannotRead(Exception):
    """A file is no report, or no later run of the same machine and brokers; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Report:
    """A run: when, where, with what, and what came of it. `again` says what of it is from later runs."""

    date: str
    machine: Machine
    versions: dict[str, str]
    plan: Plan
    brokers: tuple[str, ...]
    busy: str | None
    results: Sequence[Result]
    again: Sequence[str] = ()

    def write(self, path: Path) -> None:
        """In place of what the file held, in one step."""
        written = path.with_name(path.name + ".new")
        written.write_text(json.dumps(self._values(), indent=1) + "\n")
        os.replace(written, path)

    def followed_by(self, later: Report) -> Report:
        """This run with what a later one measured again, or in addition. CannotRead: it compared others, or elsewhere."""
        if (later.brokers, later.machine, later.versions) != (self.brokers, self.machine, self.versions):
            raise CannotRead("it is of another machine, or of other brokers or versions, than the one before it")
        newer = {_row(each): each for each in later.results}
        kept = [newer.pop(_row(each), each) for each in self.results]
        names = ", ".join(dict.fromkeys(each.scenario for each in later.results))
        plan = later.plan
        of_seconds = "" if plan.budget_minutes is not None else f" of {plan.seconds:g} s"
        again = (*self.again, f"{names}: {plan.runs} alternations{of_seconds} in a run of their own")
        return replace(self, busy=self.busy or later.busy, results=[*kept, *newer.values()], again=again)

    def _values(self) -> dict[str, Any]:
        return {
            "date": self.date,
            "machine": self.machine.values(),
            "versions": self.versions,
            "plan": asdict(self.plan),
            "brokers": list(self.brokers),
            "busy": self.busy,
            "again": list(self.again),
            "results": [_plain(each) for each in self.results],
        }

    def section(self, plots: Sequence[str]) -> str:
        """What the README keeps."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        disturbed = f" The machine was not quiet: {self.busy}." if self.busy else ""
        figures = "\n".join(f"![{name}](plots/{name}.png)" for name in plots)
        runs = "; ".join([f"{self.plan.runs} alternations", *self.again])
        said = f"{self.date}; {self.machine}; {versions}; {runs}.{disturbed}"
        return f"{said}\n\n{table(self.results, self.brokers)}\n\n{figures}"


def read_all(paths: Sequence[Path]) -> Report:
    """The reports that were written to these files as one, in the order of the files. CannotRead."""
    first, *others = paths
    report = read(first)
    for path in others:
        later = read(path)
        try:
            report = report.followed_by(later)
        except CannotRead as error:
            raise CannotRead(f"{path}: {error}") from error
    return report


def read(path: Path) -> Report:
    """A report that was written. CannotRead."""
    try:
        return _report(json.loads(path.read_text()))
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotRead(f"{path}: this was not written by --json of this bench ({error!r})") from error


def _report(values: dict[str, Any]) -> Report:
    return Report(
        values["date"],
        Machine(**values["machine"]),
        values["versions"],
        Plan(**values["plan"]),
        tuple(values["brokers"]),
        values["busy"],
        [_result(each) for each in values["results"]],
        tuple(values.get("again", ())),
    )


def keep_in(readme: Path, section: str) -> None:
    """Put the section between its marks, in place of the former one."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{readme} has no {BEGIN}"
    assert end, f"{readme} has no {END}"
    readme.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{after}")


def _row(result: Result) -> tuple[str, str, str]:
    return result.scenario, result.case, result.durability


def _plain(result: Result) -> dict[str, Any]:
    values = asdict(result)
    for metric in values["metrics"]:
        metric["better"] = metric["better"].value
    return values


def _result(values: dict[str, Any]) -> Result:
    metrics = tuple(Metric(**{**each, "better": Better(each["better"])}) for each in values.pop("metrics"))
    return Result(metrics=metrics, **values)
