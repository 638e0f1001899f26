"""What a command says when it cannot do what it was asked: one line, and a number for the shell."""

from __future__ import annotations

FAILED = 1
"""It could not be done, or was done and found something wrong."""
WRONGLY_ASKED = 2
"""The command, a flag, a setting or a file is wrong: asking again the same way cannot help."""
INTERRUPTED = 130
"""Ended by Ctrl-C; the shells' own number for it."""


class CommandError(Exception):
    """Ends a command with a line on standard error that says what to do, and an exit code."""

    def __init__(self, message: str, *, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
