"""The log as people and as machines read it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from ottla.broker.logs import LogFormat, LogLevel, configure_logging


@pytest.fixture(autouse=True)
def _the_log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    root.handlers.clear()  # Else configuring would close the test runner's own.
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_of_text_has_time_level_and_place() -> None:
    stream = io.StringIO()
    configure_logging(LogFormat.TEXT, LogLevel.INFO, stream=stream)

    logging.getLogger("ottla.broker.app").info("hello %s", "you")

    time, rest = stream.getvalue()[:23], stream.getvalue()[23:]
    assert (time[4], time[10], time[19]) == ("-", " ", ".")
    assert rest == " INFO  broker.app: hello you\n"


def test_a_line_of_json_is_an_object_with_utc_time() -> None:
    stream = io.StringIO()
    configure_logging(LogFormat.JSON, LogLevel.INFO, stream=stream)

    logging.getLogger("ottla.broker.app").warning('a "quoted" wörd')

    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["logger"], entry["message"]) == ("warning", "broker.app", 'a "quoted" wörd')
    assert entry["time"].endswith("Z")


@pytest.mark.parametrize("format_", LogFormat)
def test_a_traceback_is_kept(format_: LogFormat) -> None:
    stream = io.StringIO()
    configure_logging(format_, LogLevel.INFO, stream=stream)

    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("x").exception("failed")

    assert "Traceback" in stream.getvalue()
    assert format_ is LogFormat.TEXT or stream.getvalue().count("\n") == 1


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    configure_logging(LogFormat.TEXT, LogLevel.WARNING, stream=stream)

    logging.getLogger("x").info("quiet")

    assert stream.getvalue() == ""


def test_a_warning_has_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal, pipe = Terminal(), io.StringIO()

    for stream in (terminal, pipe):
        configure_logging(LogFormat.TEXT, LogLevel.INFO, stream=stream)
        logging.getLogger("x").warning("look")

    assert "\x1b[33mWARNING\x1b[0m" in terminal.getvalue()
    assert "\x1b" not in pipe.getvalue()
