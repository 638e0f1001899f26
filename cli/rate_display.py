"""How many records go by, and how fast: a line on the terminal that follows, and a last one when it is over.

It is on standard error, and only where that is a terminal; while records are printed on the same terminal, it is left
to the last line.
"""

from __future__ import annotations

import sys
import time

_PERIOD_S = 0.5
_CLEAR_LINE = "\r\x1b[2K"


class RateDisplay:
    """Counts what was shown."""

    def __init__(self) -> None:
        self._began_s = self._last_s = time.monotonic()
        self._records = self._bytes = 0
        self._is_shown = sys.stderr.isatty()
        self._follows = self._is_shown and not sys.stdout.isatty()

    def count(self, size_bytes: int) -> None:
        self._records += 1
        self._bytes += size_bytes

    def update(self) -> None:
        """Now and then, write the line anew."""
        now_s = time.monotonic()
        if self._follows and now_s - self._last_s >= _PERIOD_S:
            self._last_s = now_s
            sys.stderr.write(_CLEAR_LINE + self._line(now_s))
            sys.stderr.flush()

    def idle(self) -> None:
        """Nothing came; the line is brought up to date all the same."""
        self.update()

    def close(self) -> None:
        if self._is_shown:
            sys.stderr.write((_CLEAR_LINE if self._follows else "") + self._line(time.monotonic()) + "\n")
            sys.stderr.flush()

    def _line(self, now_s: float) -> str:
        elapsed_s = max(now_s - self._began_s, 1e-3)
        rate = f"{self._records / elapsed_s:,.0f} records/s, {self._bytes / elapsed_s / 1e6:,.1f} MB/s"
        plural = "" if self._records == 1 else "s"
        return f"{self._records:,} record{plural}, {self._bytes / 1e6:,.1f} MB in {elapsed_s:,.1f} s: {rate}"
