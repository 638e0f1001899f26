"""Tells a person how far a long start has come: a bar on a terminal, else now and then a line in the log.

Most starts are over before anything would be shown, and then rich is not even imported.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..storage.loading import LoadProgress

QUIET_S = 1.0
"""A start shorter than this says nothing."""
BETWEEN_UPDATES_S = 0.2
BETWEEN_LINES_S = 5.0

log = logging.getLogger(__name__)


class LoadingDisplay:
    """`show` may be called from any one thread; `close` when loading is over, however it ended."""

    def __init__(self, terminal: TextIO | None) -> None:
        """A bar is drawn on `terminal` if it is one."""
        self._terminal = terminal if terminal is not None and terminal.isatty() else None
        self._due_at = time.monotonic() + QUIET_S
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def show(self, progress: LoadProgress) -> None:
        now = time.monotonic()
        if now < self._due_at:
            return
        if self._terminal is None:
            self._due_at = now + BETWEEN_LINES_S
            log.info("loading: %s", _words(progress))
            return
        self._due_at = now + BETWEEN_UPDATES_S
        self._draw(progress, self._terminal)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _draw(self, progress: LoadProgress, terminal: TextIO) -> None:
        if self._bar is None:
            self._bar = _new_bar(terminal)
            self._bar.start()
            self._task = self._bar.add_task("loading", total=progress.total_count)
        assert self._task is not None, "a bar has its task"
        self._bar.update(self._task, completed=progress.opened_count, description=_words(progress))


def _new_bar(terminal: TextIO) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(file=terminal), transient=True)


def _words(progress: LoadProgress) -> str:
    scanned = f", {progress.scanned_bytes / 1e6:,.0f} MB checked" if progress.scanned_bytes else ""
    return f"{progress.opened_count:,} of {progress.total_count:,} partitions open{scanned}"
