"""Spark Structured Streaming on Ottla, from nothing to a table that was checked.  `make demo-spark` runs it.

    a broker of its own --> a million events of a shop's day --> Spark counts them by hour and category --> a topic
        Spark is killed with -9 in the middle, and the broker too; both are started again
        every window is compared with the same computation in plain Python, and so is every way to read

`--bootstrap` takes a broker that runs already (Apache Kafka, say); nothing is killed then but Spark.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the examples are files, not a package

from events import DAY, START, Totals, closing_events, events, hourly  # noqa: E402
from expected import read_answers, windows_in  # noqa: E402
from jobs import JobFailed, SparkJob, committed_batches  # noqa: E402
from loading import Written, create_topic, milliseconds, write  # noqa: E402
from own_broker import OwnBroker  # noqa: E402

PARTITIONS = 4
MIDDLE_MS = milliseconds(START + DAY * 0.7)
BATCHES = 10
KILL_AFTER_BATCHES = 3

console = Console()


class Demo:
    """The steps, in order. Topics have a name of their own, so that a broker in use is not disturbed."""

    def __init__(self, arguments: argparse.Namespace, bootstrap: str, folder: Path, broker: OwnBroker | None) -> None:
        self._count, self._seed, self._python = arguments.events, arguments.seed, arguments.spark_python
        self._bootstrap = bootstrap
        self._broker = broker
        self._checkpoint = folder / "checkpoint"
        self._events = f"shop-{uuid.uuid4().hex[:6]}-events"
        self._windows = self._events.replace("events", "windows")
        self.facts: dict[str, Any] = {"events": self._count}

    def run(self) -> bool:
        """Whether everything was as expected."""
        written = self._write()
        self._kill_in_the_middle()
        self._count_windows()
        windows_right = self._check_windows()
        return self._check_reads(written) and windows_right

    def _write(self) -> Written:
        begin = time.perf_counter()
        asyncio.run(create_topic(self._bootstrap, self._events, partitions=PARTITIONS))
        happened = chain(events(self._count, seed=self._seed), closing_events(PARTITIONS))
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("writing the events of a day", total=self._count)
            written = asyncio.run(
                write(
                    self._bootstrap,
                    self._events,
                    happened,
                    partitions=PARTITIONS,
                    on_progress=lambda count: progress.advance(task, count),
                )
            )
        seconds = time.perf_counter() - begin
        self.facts["events written per second"] = round(written.count / seconds)
        console.print(f"wrote {written.count:,} events in {seconds:.1f} s into {self._events}")
        return written

    def _job(self) -> SparkJob:
        return SparkJob(
            self._python,
            HERE / "windows.py",
            {
                "bootstrap": self._bootstrap,
                "events": self._events,
                "windows": self._windows,
                "checkpoint": str(self._checkpoint),
                "rows-per-batch": str(max(self._count // BATCHES, 1)),
            },
        )

    def _kill_in_the_middle(self) -> None:
        console.print(f"Spark counts; it is killed after {KILL_AFTER_BATCHES} of about {BATCHES} batches")
        self._job().kill_once(lambda: committed_batches(self._checkpoint) >= KILL_AFTER_BATCHES)
        done = committed_batches(self._checkpoint)
        if self._broker is not None:
            self._broker.kill()
            self._broker.start()
            console.print(f"killed with -9 after {done} batches, the broker too; both go on")
        self.facts["batches before the kill"] = done

    def _count_windows(self) -> None:
        told = self._job().result()
        self.facts["spark"] = told["spark"]
        self.facts["batches after the kill"] = told["batches"]
        if told["rows"]:
            self.facts["rows per second through Spark"] = round(sum(told["rows"]) / sum(told["seconds"]))

    def _check_windows(self) -> bool:
        expected = hourly(events(self._count, seed=self._seed))
        found, records = asyncio.run(windows_in(self._bootstrap, self._windows))
        console.print(_table_of(found))
        wrong = [window for window in expected.keys() | found.keys() if expected.get(window) != found.get(window)]
        self.facts |= {
            "windows": len(found),
            "windows written twice": records - len(found),
            "windows wrong": len(wrong),
        }
        for window in sorted(wrong)[:5]:
            console.print(f"[red]{window}: expected {expected.get(window)}, found {found.get(window)}")
        console.print(f"{len(found)} windows compared with plain Python: {len(wrong)} differ")
        return not wrong

    def _check_reads(self, written: Written) -> bool:
        console.print("Spark reads the topic in every way it knows")
        arguments = {"bootstrap": self._bootstrap, "events": self._events}
        arguments |= {"partitions": str(PARTITIONS), "time-ms": str(MIDDLE_MS)}
        found = SparkJob(self._python, HERE / "reads.py", arguments).result()
        expected = read_answers(written, MIDDLE_MS)
        table = Table("read", "expected", "found", box=None)
        for name in expected:
            style = "" if found[name] == expected[name] else "red"
            table.add_row(name, f"{expected[name]:,}", f"{found[name]:,}", style=style)
        console.print(table)
        wrong = [name for name in expected if found.get(name) != expected[name]]
        self.facts |= {"reads": len(expected), "reads wrong": len(wrong)}
        return not wrong


def _table_of(windows: dict[tuple[str, str], Totals]) -> Table:
    """The busiest windows."""
    table = Table("hour", "category", "events", "buys", "revenue", box=None, title="the busiest windows")
    busiest = sorted(windows.items(), key=lambda each: -each[1].events)[:8]
    for (hour, category), totals in busiest:
        table.add_row(hour, category, f"{totals.events:,}", f"{totals.buys:,}", f"{totals.cents / 100:,.2f}")
    return table


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--spark-python", required=True, help="the Python that has PySpark")
    words.add_argument("--events", type=int, default=1_000_000, help="how many; 30,000 at least")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--bootstrap", help="a broker that runs already")
    words.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = words.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ottla-demo-spark-")))
        broker = None if arguments.bootstrap else stack.enter_context(OwnBroker(folder / "broker"))
        demo = Demo(arguments, arguments.bootstrap or broker.bootstrap, folder, broker)
        try:
            right = demo.run()
        except JobFailed as failure:
            console.print(f"[red]{failure}", markup=True, highlight=False)
            return 1
    for name, value in demo.facts.items():
        console.print(f"{name:>32}  {value}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(demo.facts, indent=2) + "\n")
    console.print("[green]all as expected" if right else "[red]not as expected")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
