"""A long start tells how far it has come; a short one says nothing."""

from __future__ import annotations

import io
import logging

import pytest
from ottla.cli import loading_display
from ottla.cli.loading_display import LoadingDisplay
from ottla.storage.loading import LoadProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_short_start_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    terminal = Terminal()
    display = LoadingDisplay(terminal)

    with caplog.at_level(logging.INFO):
        display.show(LoadProgress(1, 2, 0))
        display.close()

    assert (terminal.getvalue(), caplog.text) == ("", "")


def test_a_long_start_without_a_terminal_writes_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loading_display, "QUIET_S", 0.0)
    display = LoadingDisplay(io.StringIO())

    with caplog.at_level(logging.INFO):
        for opened_count in range(100):
            display.show(LoadProgress(opened_count, 1_000, 5_000_000))
        display.close()

    assert caplog.messages == ["loading: 0 of 1,000 partitions open, 5 MB checked"]


def test_a_long_start_on_a_terminal_draws_a_bar_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading_display, "QUIET_S", 0.0)
    monkeypatch.setattr(loading_display, "BETWEEN_UPDATES_S", 0.0)
    terminal = Terminal()
    display = LoadingDisplay(terminal)

    display.show(LoadProgress(3, 10, 0))
    display.show(LoadProgress(9, 10, 0))
    display.close()

    assert "9 of 10 partitions open" in terminal.getvalue()
