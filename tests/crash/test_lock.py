"""Two brokers on one directory: the second is refused, in one line that names the first."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.broker import BrokerProcess, answers_metadata

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]


def test_a_second_broker_on_the_directory_is_refused_in_one_line(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "first") as first:
        second = BrokerProcess(tmp_path / "second", log_directory=first.log_directory)
        second.launch()
        try:
            assert second.wait(timeout_s=20) == 1
        finally:
            second.kill()
        (line,) = second.output.splitlines()
        assert f"process {first.pid}" in line
        assert str(first.log_directory) in line
        assert answers_metadata(first.port)
        assert first.stop() == 0

        second.start()  # the directory is free now
        assert second.stop() == 0


def test_a_killed_broker_leaves_no_lock_behind(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        broker.kill()
        broker.start()


def test_an_address_that_is_taken_is_one_line_too(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "first") as first:
        second = BrokerProcess(tmp_path / "second", port=first.port)
        second.launch()
        try:
            assert second.wait(timeout_s=20) == 1
        finally:
            second.kill()
        (line,) = second.output.splitlines()
        assert "listen" in line
