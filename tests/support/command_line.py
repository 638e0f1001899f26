"""Runs `ottla` in this process, the way a shell would: arguments in; exit code, output and errors out."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

from ottla.cli.running import run


@dataclass(frozen=True)
class Result:
    """What a shell sees of a command."""

    exit_code: int
    out: str
    err: str


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ottla(*arguments: str, terminal: bool = False) -> Result:
    """Run `ottla` with these arguments; with `terminal`, its output goes to one."""
    out = _Terminal() if terminal else io.StringIO()
    err = io.StringIO()
    exit_code = 0
    with (
        mock.patch("sys.argv", ["ottla", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            run()
        except SystemExit as ended:
            exit_code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return Result(exit_code, out.getvalue(), err.getvalue())


def lines(text: str) -> Iterator[list[str]]:
    """The cells of a piped answer."""
    return (line.split("\t") for line in text.splitlines())
