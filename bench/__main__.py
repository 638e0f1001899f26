"""One command, one table: the same work for Ottla and its peers on this machine, in alternation.

    python -m bench                                    everything, beside Apache Kafka where Java is
    python -m bench --quick                            under two minutes, to see that it works; no figures to keep
    python -m bench --scenario one-record --runs 9     one scenario, more alternations
    python -m bench --bootstrap HOST:9092              another broker beside Ottla (or --without-kafka)
    python -m bench --budget-minutes 30 --keep         all of it in about so long, kept in bench/README.md and bench/plots
    python -m bench --from-json A.json B.json --keep   measures nothing: two runs as one, what B has in place of A's

A busy machine is refused, because its figures would be noise; `--anyway` measures all the same and says so in the result.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from .choice import ALL, chosen
from .core import brokers as kinds
from .core.alternation import measure_all, warm
from .core.brokers import Broker
from .core.machine import Machine, why_busy
from .core.model import Plan, Scenario
from .core.plots import can_plot, plot
from .core.report import CannotRead, Report, keep_in, read_all
from .core.table import table

HERE = Path(__file__).parent
BUSY, CANNOT_READ, STOPPED = 3, 4, 130
QUICK_SECONDS, SECONDS = 0.4, 2.0
RUNS = 5
JVM_WARM_UP_S = 6.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.from_json:
        return _tell_of(asked)
    try:
        scenarios = chosen(asked.scenario)
    except KeyError as unknown:
        parser.error(f"there is no scenario {unknown}; there are {', '.join(each.NAME for each in ALL)}")
    busy = why_busy()
    if busy is not None and not asked.anyway:
        print(f"This machine is busy: {busy}. Wait, or measure --anyway.", file=sys.stderr)
        return BUSY
    plan = Plan(
        runs=asked.runs or (1 if asked.quick else RUNS),
        seconds=asked.seconds or (QUICK_SECONDS if asked.quick else SECONDS),
        quick=asked.quick,
        heavy=asked.heavy,
        budget_minutes=asked.budget_minutes,
    )
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        report = _measured(scenarios, plan, asked, busy)
    except KeyboardInterrupt:
        kept = f"; what was measured until then is in {asked.json}" if asked.json is not None else ""
        print(f"Stopped{kept}.", file=sys.stderr)
        return STOPPED
    _tell(report, asked)
    return 0


def _as_interrupt(*_: object) -> None:
    """Whoever ends the bench with a signal wants brokers and data gone, too."""
    raise KeyboardInterrupt


def _tell_of(asked: argparse.Namespace) -> int:
    try:
        report = read_all(asked.from_json)
    except CannotRead as error:
        print(error, file=sys.stderr)
        return CANNOT_READ
    _tell(report, asked)
    return 0


def _measured(scenarios: Sequence[Scenario], plan: Plan, asked: argparse.Namespace, busy: str | None) -> Report:
    """Brokers up, everything measured, brokers down; with `--json` each case is in the file as soon as it is measured."""
    with tempfile.TemporaryDirectory(prefix="ottla-bench-", dir=asked.directory) as name:
        directory = Path(name)
        compared = _brokers(asked, directory)
        names = tuple(each.name for each in compared)
        report = Report(
            time.strftime("%Y-%m-%d"), Machine.here(directory), _versions(names), plan, names, busy, results=[]
        )
        with kinds.running(compared):
            for broker in compared:
                warm(broker, 0 if asked.quick else JVM_WARM_UP_S)
            for result in measure_all(scenarios, compared, plan, tell=_say):
                report = replace(report, results=[*report.results, result])
                if asked.json is not None:
                    report.write(asked.json)
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--scenario", nargs="+", default=[], metavar="NAME", help="only these; without it all")
    parser.add_argument("--bootstrap", help="a broker that runs already, beside Ottla (host:port)")
    parser.add_argument("--without-kafka", action="store_true", help="do not start Apache Kafka")
    parser.add_argument("--runs", type=int, help=f"alternations [{RUNS}]")
    parser.add_argument("--seconds", type=float, help=f"how long a round's load lasts [{SECONDS:g}]")
    parser.add_argument("--budget-minutes", type=float, help="choose the seconds so that all of it takes about so long")
    parser.add_argument("--quick", action="store_true", help="fewer cases, one short round each")
    parser.add_argument(
        "--heavy", action="store_true", help="also what takes many minutes: 10 GB, 10,000 partitions there"
    )
    parser.add_argument("--anyway", action="store_true", help="measure although the machine is busy")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs Ottla [this one]")
    parser.add_argument("--directory", type=Path, help="where the brokers' data are to be [the system's temporary one]")
    parser.add_argument("--json", type=Path, help="write every single value to this file, after each case")
    parser.add_argument("--plots", type=Path, help="write a PNG for each scenario into this folder (needs matplotlib)")
    parser.add_argument("--keep", action="store_true", help="put table and plots into bench/")
    parser.add_argument(
        "--from-json",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing: tell of a run that was written with --json; of several, later ones replace what they have again",
    )
    return parser


def _brokers(asked: argparse.Namespace, directory: Path) -> list[Broker]:
    compared = [kinds.ottla(directory / "ottla", python=asked.python)]
    why_absent = "it was asked not to" if asked.without_kafka else kinds.why_java_is_absent()
    if why_absent is None:
        compared.append(kinds.apache_kafka(directory / "kafka"))
    else:
        _say(f"Apache Kafka is not measured: {why_absent}")
    if asked.bootstrap is not None:
        compared.append(kinds.at_address(asked.bootstrap, directory))
    return compared


def _versions(brokers: Sequence[str]) -> dict[str, str]:
    import confluent_kafka

    return {
        "Ottla": version("ottla"),
        **{name: number for name, _, number in (each.rpartition(" ") for each in brokers[1:]) if name},
        "librdkafka": confluent_kafka.libversion()[0],
    }


def _tell(report: Report, asked: argparse.Namespace) -> None:
    if asked.json is not None:
        report.write(asked.json)
    print(table(report.results, report.brokers))
    plots: list[str] = []
    folder = HERE / "plots" if asked.keep else asked.plots
    if folder is not None and can_plot():
        plots = plot(report.results, report.brokers, folder)
    elif folder is not None:
        _say("no plots: matplotlib is not here (pip install 'ottla[bench]')")
    if asked.keep:
        keep_in(HERE / "README.md", report.section(plots))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
