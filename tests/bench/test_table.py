"""Ratios, spreads and the verdict on an aim: from values given, with no broker."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from bench.core.machine import Machine, busy
from bench.core.model import FLOOR, Better, Metric, Plan, Result, Sample
from bench.core.report import BEGIN, END, Report, keep_in, read
from bench.core.statistics import Spread, percentile, ratio
from bench.core.table import table

RATE = Metric("requests", "1/s", Better.MORE)
WAIT = Metric("p99", "ms", Better.LESS, 2)
TIMES = Metric("ours / theirs", "times", Better.MORE, 1, aim=3)
PEER = "Apache Kafka 4.3.1"


def result(ours: list[float], theirs: list[float], *, metric: Metric = RATE, aim: float = 2.5) -> Result:
    made = Result("small", "50 in flight", "acks=1", (metric,), {metric.name: aim})
    for mine, other in zip(ours, theirs, strict=True):
        made.add("Ottla", Sample({metric.name: mine}))
        made.add(PEER, Sample({metric.name: other}))
    return made


def last_row(of: Result) -> list[str]:
    return [cell.strip() for cell in table([of], ["Ottla", PEER]).splitlines()[-1].strip("|").split("|")]


def test_a_ratio_is_the_median_of_the_alternations_ratios() -> None:
    assert ratio([10, 30, 100], [10, 10, 20]) == Spread(3, 1, 5)


def test_a_ratio_to_nothing_is_none() -> None:
    assert ratio([1.0], [0.0]) is None


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(each) for each in range(1, 101)]

    assert [percentile(values, share) for share in (0.5, 0.99, 0.999, 0)] == [50, 99, 100, 1]


def test_a_row_has_medians_spreads_the_ratio_and_whether_the_aim_is_met() -> None:
    assert last_row(result([100, 300, 200], [50, 100, 40])) == [
        "small",
        "50 in flight (acks=1)",
        "requests, 1/s",
        "200 (100-300)",
        "50 (40-100)",
        "3.00 (2.00-5.00)",
        ">= 2.5 met",
    ]


def test_where_less_is_better_a_larger_ratio_misses_the_aim() -> None:
    assert last_row(result([0.4], [0.5], metric=WAIT, aim=0.5))[-2:] == ["0.80", "<= 0.5 missed"]


def test_failures_are_told_in_the_cell() -> None:
    failed = result([1.0], [1.0])
    failed.failures["Ottla"] = 3

    assert last_row(failed)[3] == "1, 3 failed"


def test_a_broker_that_was_not_measured_is_a_dash_and_no_aim_is_judged() -> None:
    alone = Result("small", "50 in flight", "acks=1", (RATE,), {RATE.name: 2.5})
    alone.add("Ottla", Sample({RATE.name: 5}))

    assert last_row(alone)[3:] == ["5", "-", "-", ">= 2.5"]


def with_floor(ours: list[float], theirs: list[float], floor: float) -> Result:
    made = result(ours, theirs, metric=WAIT, aim=0.5)
    made.add(FLOOR, Sample({WAIT.name: floor}))
    return made


def test_an_aim_that_no_broker_can_reach_on_this_machine_is_below_the_floor_and_not_missed() -> None:
    assert last_row(with_floor([0.18], [0.2], 0.12))[3:] == ["0.18", "0.20", "0.12", "0.90", "<= 0.5 below the floor"]


def test_an_aim_above_the_floor_is_missed_or_met_as_ever() -> None:
    assert last_row(with_floor([0.18], [0.2], 0.09))[-1] == "<= 0.5 missed"
    assert last_row(with_floor([0.1], [0.2], 0.12))[-1] == "<= 0.5 met"
    assert last_row(with_floor([0.18], [0.2], 0.1))[-1] == "<= 0.5 missed"


def test_a_rate_that_nobody_reaches_with_this_client_is_beyond_the_floor() -> None:
    made = result([400], [390], aim=1.2)
    made.add(FLOOR, Sample({RATE.name: 410}))

    assert last_row(made)[-1] == ">= 1.2 beyond the floor"


def test_a_floor_that_was_undercut_is_none_and_the_aim_is_missed() -> None:
    assert last_row(with_floor([0.11], [0.2], 0.12))[-1] == "<= 0.5 missed"


def test_the_floor_has_a_column_where_one_was_measured_and_the_other_rows_leave_it_empty() -> None:
    rows = table([with_floor([1], [1], 1), result([1], [1])], ["Ottla", PEER]).splitlines()

    assert [cell.strip() for cell in rows[0].split("|")][4:7] == ["Ottla", PEER, "floor"]
    assert [row.split("|")[6].strip() for row in rows[2:]] == ["1.00", ""]


BUSY = Metric("client busy", "%", Better.LESS)
READ = Metric("read", "1/s", Better.MORE, client_busy=BUSY.name)


def read_by(**measured: tuple[float, float]) -> str:
    """The verdict on a rate that is to be 1.2 times the peer's; who was measured, and how busy that kept the client."""
    made = Result("bulk", "100 B", "acks=1", (READ,), {READ.name: 1.2})
    for name, (rate, share) in measured.items():
        made.add({"ours": "Ottla", "theirs": PEER, "floor": FLOOR}[name], Sample({READ.name: rate, BUSY.name: share}))
    return last_row(made)[-1]


def test_a_rate_for_which_the_client_has_no_time_is_beyond_it() -> None:
    assert read_by(ours=(105, 95), theirs=(100, 95)) == ">= 1.2 beyond the client"


def test_a_client_that_waited_for_the_peer_could_have_taken_more_and_the_aim_is_missed() -> None:
    assert read_by(ours=(105, 95), theirs=(100, 80)) == ">= 1.2 missed"


def test_a_client_that_needed_less_time_with_us_or_the_floor_could_have_taken_more() -> None:
    assert read_by(ours=(105, 70), theirs=(100, 95)) == ">= 1.2 missed"
    assert read_by(ours=(105, 95), theirs=(100, 95), floor=(125, 95)) == ">= 1.2 missed"


def test_a_busy_client_does_not_excuse_a_broker_that_is_slower_than_the_peer() -> None:
    assert read_by(ours=(99, 99), theirs=(100, 95)) == ">= 1.2 missed"


def test_where_nobody_told_how_busy_the_client_was_the_aim_is_missed() -> None:
    made = Result("bulk", "100 B", "acks=1", (READ,), {READ.name: 1.2})
    made.add("Ottla", Sample({READ.name: 105}))
    made.add(PEER, Sample({READ.name: 100}))

    assert last_row(made)[-1] == ">= 1.2 missed"


def of_clients(ours: float, theirs: float) -> Result:
    made = Result("clients", "produce", "acks=all", (TIMES,), {})
    made.add("Ottla", Sample({TIMES.name: ours}))
    made.add(PEER, Sample({TIMES.name: theirs}))
    return made


def test_a_figure_with_an_aim_of_its_own_is_judged_for_every_broker_and_not_divided() -> None:
    assert last_row(of_clients(3.1, 3.0))[-2:] == ["", ">= 3 met"]
    assert last_row(of_clients(3.1, 2.9))[-1] == f">= 3 missed with {PEER}"
    assert last_row(of_clients(2.8, 2.9))[-1] == ">= 3 missed"


def test_a_figure_with_an_aim_of_its_own_is_judged_without_a_peer_too() -> None:
    row = table([of_clients(2, 9)], ["Ottla"]).splitlines()[-1]

    assert row.rstrip(" |").endswith(">= 3 missed")


def test_a_report_is_read_as_it_was_written_and_kept_between_its_marks(tmp_path: Path) -> None:
    machine = Machine("a processor", 2, 4.0, "Linux 6", "ext4", "3.11.9")
    report = Report("2026-01-01", machine, {"Ottla": "0.1.0"}, Plan(1, 0.5), ("Ottla", PEER), None, [result([4], [2])])
    file, readme = tmp_path / "run.json", tmp_path / "README.md"
    report.write(file)
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    keep_in(readme, read(file).section(["small"]))

    text = readme.read_text()
    assert read(file) == report
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "2026-01-01" in text
    assert "plots/small.png" in text
    assert table(report.results, report.brokers) in text


def test_a_machine_that_does_something_else_is_busy_and_one_that_did_just_now_is_too() -> None:
    assert busy(3.0, 0.2, 2) is None
    assert busy(40.0, 0.2, 2) == "the processors are in use for 40 % (load average 0.20)"
    assert busy(3.0, 1.9, 2) == "the load average is 1.90 on 2 cores"
