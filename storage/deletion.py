"""Segments on their way out: renamed at once, removed after `file.delete.delay.ms`.

The new name, `.deleted`, says to the next opening that the file is not part of the log. The delay lets a
reader that was handed a slice before finish it. What a crash leaves is removed when the log is opened.
"""

from __future__ import annotations

from typing import NamedTuple

from .files import Files
from .segment import Segment


class SweepResult(NamedTuple):
    """What one sweep did."""

    deleted_segments: int
    freed_bytes: int
    removed_segments: int  # whose files, deleted earlier, are gone now
    expired_producers: int


class _Doomed(NamedTuple):
    due_ms: int
    segment: Segment


class DeletedSegments:
    """Segments that left the log, in the order they did."""

    __slots__ = ("_directory", "_doomed", "_files")

    def __init__(self, files: Files, directory: str) -> None:
        self._files = files
        self._directory = directory
        self._doomed: list[_Doomed] = []

    def add(self, segments: list[Segment], *, due_ms: int) -> None:
        """Rename the files now, the oldest segment's first; remove them when `due_ms` has come."""
        self._doomed.extend(_Doomed(due_ms, segment) for segment in segments)
        for segment in segments:
            segment.mark_deleted()

    def add_replaced(self, segments: list[Segment], *, due_ms: int) -> None:
        """As `add`, for segments that compaction has renamed."""
        self._doomed.extend(_Doomed(due_ms, segment) for segment in segments)

    def remove_due(self, now_ms: int) -> int:
        """Remove what is due; returns how many segments. OSError leaves the rest for the next time."""
        count = 0
        if self._doomed and self._doomed[0].due_ms <= now_ms:
            # A file that is gone cannot tell recovery that what came before it was deleted, too.
            self._files.sync_directory(self._directory)
        while self._doomed and self._doomed[0].due_ms <= now_ms:
            self._doomed[0].segment.remove_put_away()
            del self._doomed[0]
            count += 1
        return count

    def close(self) -> None:
        """Let go of the files; they stay, and the next opening removes them."""
        for doomed in self._doomed:
            doomed.segment.close()
