"""How long a broker takes to start, and what it costs while nobody asks anything of it.

    python -m bench.start                         Ottla
    python -m bench.start --peer                  and Apache Kafka beside it (Java 17; the first time also Maven)
    python -m bench.start --runs 5 --partitions 1000 --json start.json
    python -m bench.start --python ~/clean/bin/python     as a user has it: kio imports hypothesis if it is there

A start is timed from exec to the first answered Metadata, over a new TCP connection for every try.  Memory is what
the kernel calls resident, processor time what it charged to the process, as a share of one core (Linux).  Everything
runs on 127.0.0.1 in temporary directories, one broker at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # brokers are started as the tests start them

from support.apache_kafka import KAFKA_VERSION, ApacheKafka, why_java_is_absent
from support.broker import BrokerProcess, status_bytes
from support.wire import Api, Connection

MIB = 1 << 20
SETTLED_AFTER_S = 5
IDLE_S = 10
PARTITIONS_PER_TOPIC = 1000
CREATION_TIMEOUT_S = 600


class Broker(Protocol):
    """What both brokers' processes can do."""

    port: int

    @property
    def pid(self) -> int | None: ...
    def start(self, *, timeout_s: float = ...) -> float | None: ...
    def stop(self) -> int | None: ...
    def kill(self) -> None: ...


Maker = Callable[[Path], Broker]
"""Makes a broker whose data are to be in a directory; it is not started."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: what it is of, its unit, and all values it is the median of."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


# --- measuring ----------------------------------------------------------------------------------------------


def measure(make: Maker, *, runs: int, partitions: int) -> list[Figure]:
    """Every figure of one kind of broker, in the order of the table."""
    with tempfile.TemporaryDirectory(prefix="ottla-bench-") as name:
        directory = Path(name)
        figures = [_new_starts(make, directory, runs), *_restarts_and_idling(make, directory, runs)]
        if partitions:
            figures += _with_many_partitions(make, directory / "many", partitions)
        return figures


def _new_starts(make: Maker, directory: Path, runs: int) -> Figure:
    times = []
    for run in range(runs):
        with _stopped_at_the_end(make(directory / f"new-{run}")) as broker:
            times.append(_start(broker))
    return Figure("start, new directory", "ms", tuple(times))


def _restarts_and_idling(make: Maker, directory: Path, runs: int) -> list[Figure]:
    times, worked = [], []
    with _stopped_at_the_end(make(directory / "again")) as broker:
        broker.start()
        for _ in range(runs):
            broker.stop()
            times.append(_start(broker))
            worked.append(_processor_s(broker) * 1000)
        time.sleep(SETTLED_AFTER_S)
        resident = _resident_mib(broker)
        processor = _processor_percent(broker, IDLE_S)
    return [
        Figure("start again, nothing in it", "ms", tuple(times)),
        Figure("processor time of such a start", "ms", tuple(worked)),
        Figure(f"resident memory, idle after {SETTLED_AFTER_S} s", "MiB", (resident,)),
        Figure(f"processor time, idle, of one core over {IDLE_S} s", "%", (processor,)),
    ]


def _with_many_partitions(make: Maker, directory: Path, partitions: int) -> list[Figure]:
    with _stopped_at_the_end(make(directory)) as broker:
        broker.start()
        started = time.monotonic()
        _create_partitions(broker.port, partitions)
        created_ms = (time.monotonic() - started) * 1000
        broker.stop()
        clean_ms = _start(broker)
        resident = _resident_mib(broker)
        time.sleep(SETTLED_AFTER_S)
        processor = _processor_percent(broker, IDLE_S)
        broker.kill()
        crashed_ms = _start(broker)
    return [
        Figure(f"create {partitions:,} partitions", "ms", (created_ms,)),
        Figure(f"start with {partitions:,} partitions", "ms", (clean_ms,)),
        Figure(f"start with {partitions:,} partitions after kill -9", "ms", (crashed_ms,)),
        Figure(f"resident memory with {partitions:,} partitions", "MiB", (resident,)),
        Figure(f"processor time with {partitions:,} partitions, idle", "%", (processor,)),
    ]


def _start(broker: Broker) -> float:
    """Milliseconds from exec to the first answer."""
    started = time.monotonic()
    told_s = broker.start(timeout_s=120)
    return (told_s if told_s is not None else time.monotonic() - started) * 1000


def _create_partitions(port: int, partitions: int) -> None:
    with Connection(port, timeout_s=CREATION_TIMEOUT_S) as connection:
        for number, first in enumerate(range(0, partitions, PARTITIONS_PER_TOPIC)):
            asked = {
                "name": f"many-{number}",
                "num_partitions": min(PARTITIONS_PER_TOPIC, partitions - first),
                "replication_factor": 1,
                "assignments": [],
                "configs": [],
            }
            answer = connection.call(
                Api.CREATE_TOPICS, 7, topics=[asked], timeout_ms=CREATION_TIMEOUT_S * 1000, validate_only=False
            )
            assert answer["topics"][0]["error_code"] == 0, answer["topics"][0]


def _resident_mib(broker: Broker) -> float:
    assert broker.pid is not None
    return status_bytes(broker.pid, "VmRSS") / MIB


def _processor_percent(broker: Broker, seconds: float) -> float:
    before = _processor_s(broker)
    time.sleep(seconds)
    return (_processor_s(broker) - before) / seconds * 100


def _processor_s(broker: Broker) -> float:
    """User and system time of the process so far."""
    after_name = Path(f"/proc/{broker.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _stopped_at_the_end(broker: Broker) -> Iterator[Broker]:
    try:
        yield broker
        broker.stop()
    finally:
        broker.kill()


# --- telling ------------------------------------------------------------------------------------------------


def table(columns: dict[str, list[Figure]]) -> str:
    """One row for each figure, one column for each broker, and how many times more the second one takes."""
    names = list(columns)
    rows = [["", *names, *(["ratio"] if len(names) == 2 else [])]]
    by_name = [{figure.name: figure for figure in figures} for figures in columns.values()]
    for figure in columns[names[0]]:
        found = [figures.get(figure.name) for figures in by_name]
        row = [figure.name, *("-" if each is None else _cell(each) for each in found)]
        if len(found) == 2:
            other = found[1]
            row.append("-" if other is None or not figure.median else f"{other.median / figure.median:.1f}")
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: list[str], widths: list[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()


def _cell(figure: Figure) -> str:
    spread = f" ({min(figure.values):.0f}-{max(figure.values):.0f})" if len(figure.values) > 1 else ""
    digits = 0 if figure.unit == "ms" else 1
    return f"{figure.median:,.{digits}f} {figure.unit}{spread}"


def machine() -> dict[str, str | int | None]:
    return {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15, help="starts that a median is taken of [15]")
    parser.add_argument("--partitions", type=int, default=10_000, help="0 leaves those figures out [10000]")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs Ottla [this one]")
    parser.add_argument("--peer", action="store_true", help="measure Apache Kafka, too")
    parser.add_argument(
        "--peer-partitions", type=int, default=0, help="partitions for Apache Kafka, which takes long [0]"
    )
    parser.add_argument("--json", type=Path, help="write all values to this file")
    asked = parser.parse_args(arguments)
    make = partial(BrokerProcess, python=asked.python)
    columns = {"Ottla": measure(make, runs=asked.runs, partitions=asked.partitions)}
    if asked.peer:
        reason = why_java_is_absent()
        if reason is not None:
            parser.error(f"Apache Kafka cannot run here: {reason}")
        peer = measure(ApacheKafka, runs=min(asked.runs, 5), partitions=asked.peer_partitions)
        columns[f"Apache Kafka {KAFKA_VERSION}"] = peer
    print(table(columns))
    if asked.json is not None:
        figures = {name: [asdict(figure) for figure in each] for name, each in columns.items()}
        asked.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
