"""How the broker's log looks: one line an event, for people or for machines.

    text   2025-11-23 08:44:01.123 INFO  broker.app: Ottla 0.1.0 listens on PLAINTEXT://127.0.0.1:9092
    json   {"time": "2025-11-23T07:44:01.123Z", "level": "info", "logger": "broker.app", "message": "…"}

Text has local time, and colour where a terminal shows it.  JSON has UTC, and a traceback as one more field.  All goes
to standard error; standard output belongs to commands with something to answer.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from enum import StrEnum
from typing import TextIO

_PACKAGE = __name__.split(".")[0] + "."
_COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[31m"}
_NO_COLOUR = "\033[0m"


class LogFormat(StrEnum):
    """Who reads the log."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure_logging(format_: LogFormat, level: LogLevel, *, stream: TextIO | None = None) -> None:
    """Send the log of the whole process to `stream` (standard error) in this form; earlier handlers go."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        JsonFormatter() if format_ is LogFormat.JSON else TextFormatter(coloured=_takes_colour(stream))
    )
    logging.basicConfig(level=level.value.upper(), handlers=[handler], force=True)


def _takes_colour(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname:<5}"
        if self._coloured and record.levelno in _COLOURS:
            level = f"{_COLOURS[record.levelno]}{level}{_NO_COLOUR}"
        line = f"{seconds}.{int(record.msecs):03d} {level} {_short(record.name)}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """Lines for machines: one JSON object each."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": _short(record.name),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _short(logger: str) -> str:
    """A logger's name without the package in front of it."""
    return logger.removeprefix(_PACKAGE)
