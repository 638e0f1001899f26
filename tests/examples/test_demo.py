"""`make demo` in its short form: that it ends well, that it would not if an event were missing, that Ctrl-C leaves nothing."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest
from support.broker import environment

FOLDER = Path(__file__).parents[2] / "examples" / "demo"
SHORT = ("--events", "6000", "--rate", "4000", "--down", "0.3")
TIMEOUT_S = 110
PARTITIONS = 2


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The demonstration, with its temporary files in `folder`."""
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, str(FOLDER / "demo.py"), *SHORT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(TMPDIR=str(folder)),
        start_new_session=True,
    )


def processes_with(text: str) -> list[str]:
    """Command lines of living processes."""
    command = ["ps", "-eww", "-o", "stat=", "-o", "args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [each for each in listed if text in each and not each.startswith("Z")]


@pytest.mark.crash
def test_every_event_arrives_though_the_broker_is_killed_in_the_middle(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    with start(tmp_path / "temporary", "--json", str(figures)) as demo:
        said, _ = demo.communicate(timeout=TIMEOUT_S)

    assert demo.returncode == 0, said
    assert "Every event arrived" in said
    told = json.loads(figures.read_text())
    assert 0 < told["acknowledged at the kill"] < told["events"] == told["acknowledged"] == 6000
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.crash
@pytest.mark.parametrize(
    ("moment", "processes", "number"), [("broker starting", 1, signal.SIGTERM), ("kill -9", 3, signal.SIGINT)]
)
def test_who_ends_it_on_the_way_leaves_no_process_and_no_folder(
    tmp_path: Path, moment: str, processes: int, number: signal.Signals
) -> None:
    with start(tmp_path / "temporary") as demo:
        assert demo.stdout is not None
        said = ""
        for line in demo.stdout:
            said += line
            if moment in line:
                break
        assert len(processes_with(str(tmp_path))) >= processes, said
        demo.send_signal(number)
        said += demo.stdout.read()
        demo.wait(TIMEOUT_S)

    assert demo.returncode == 130, said
    assert list((tmp_path / "temporary").iterdir()) == []
    assert processes_with(str(tmp_path)) == []


class Written:
    """A log of four events in two partitions, as it should be, to be spoilt."""

    def __init__(self) -> None:
        self.module = runpy.run_path(str(FOLDER / "check.py"))
        self.log = [(0, 0, 0, "u1"), (1, 0, 1, "u2"), (0, 1, 2, "u1"), (1, 1, 3, "u2")]
        self.places = array("q", [0 * PARTITIONS + 0, 0 * PARTITIONS + 1, 1 * PARTITIONS + 0, 1 * PARTITIONS + 1])
        self.seen = [bytearray((1, 0, 1, 0)), bytearray((0, 1, 0, 1))]
        self.records = 4

    def verdict(self) -> Any:
        check = self.module["LogCheck"](4, PARTITIONS, self.places)
        for partition, offset, number, user in self.log:
            check.take(partition, offset, {"id": number, "user": user})
        return self.module["judge"](check, self.seen, records=self.records)


def test_a_log_that_is_as_it_was_acknowledged_and_was_read_is_good() -> None:
    assert Written().verdict().is_good


def test_an_event_that_is_missing_in_the_log_is_found() -> None:
    written = Written()
    del written.log[1]

    verdict = written.verdict()

    assert (verdict.missing_in_log, verdict.is_good) == (1, False)


def test_an_event_that_is_twice_in_the_log_is_found() -> None:
    written = Written()
    written.log.append((1, 2, 3, "u2"))

    verdict = written.verdict()

    assert (verdict.doubled_in_log, verdict.out_of_order_in_log, verdict.is_good) == (1, 1, False)


def test_events_of_a_user_that_changed_places_are_found() -> None:
    written = Written()
    written.log[0], written.log[2] = (0, 0, 2, "u1"), (0, 1, 0, "u1")

    verdict = written.verdict()

    assert (verdict.out_of_order_in_log, verdict.elsewhere_in_log, verdict.is_good) == (1, 2, False)


def test_an_event_that_nobody_sent_is_found() -> None:
    written = Written()
    written.log.append((0, 2, 4, "u9"))

    verdict = written.verdict()

    assert (verdict.foreign_in_log, verdict.is_good) == (1, False)


def test_an_event_that_was_never_acknowledged_is_found() -> None:
    written = Written()
    del written.places[3]

    verdict = written.verdict()

    assert (verdict.acknowledged, verdict.is_good) == (3, False)


def test_an_event_that_no_member_saw_is_found() -> None:
    written = Written()
    written.seen[1][3], written.records = 0, 3

    verdict = written.verdict()

    assert (verdict.missing_in_group, verdict.read_again, verdict.is_good) == (1, 0, False)


def test_an_event_that_two_members_saw_is_counted_and_is_no_fault() -> None:
    written = Written()
    written.seen[0][3], written.records = 1, 5

    verdict = written.verdict()

    assert (verdict.read_again, verdict.is_good) == (1, True)
