"""Tells a person at a terminal how many records have gone, and how fast; a pipe is told nothing."""

from __future__ import annotations

from typing import TextIO

BETWEEN_UPDATES_S = 0.25


class SendingDisplay:
    """One line, written over and over; `now_s` is any clock that only goes forward."""

    def __init__(self, terminal: TextIO, *, now_s: float) -> None:
        self._terminal = terminal if terminal.isatty() else None
        self._began_s = now_s
        self._due_s = now_s + BETWEEN_UPDATES_S
        self._is_shown = False

    def show(self, count: int, size_bytes: int, now_s: float) -> None:
        """So many records, so many bytes of values, until now."""
        if self._terminal is None or now_s < self._due_s:
            return
        self._due_s = now_s + BETWEEN_UPDATES_S
        rate = count / (now_s - self._began_s)
        self._terminal.write(f"\r\x1b[K{count:,} records, {size_bytes / 1e6:,.1f} MB, {rate:,.0f} a second")
        self._terminal.flush()
        self._is_shown = True

    def close(self) -> None:
        """Take the line away."""
        if self._terminal is not None and self._is_shown:
            self._terminal.write("\r\x1b[K")
            self._terminal.flush()
