"""Segments on their way out: renamed at once, removed after `file.delete.delay.ms`.

The new name, `.deleted`, says to the next opening that the file is not part of the log. The delay lets a
reader that was handed a slice before finish it. What a crash leaves is removed when the log is opened.
"""

from __future__ import annotations

from typing import NamedTuple

from ..protocol.values import dataclass
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


@dataclass(slots=True, eq=False)
class Removal:
    """Files whose time has come, taken out of the log's list; `segments` are those that are still there."""

    files: Files
    directory: str
    segments: list[Segment]

    def run(self) -> int:
        """Remove them and return how many segments that were (any thread; large files take their time). OSError."""
        # A file that is gone cannot tell recovery that what came before it was deleted, too.
        self.files.sync_directory(self.directory)
        count = 0
        while self.segments:
            self.segments[0].files.remove_put_away()
            del self.segments[0]
            count += 1
        return count


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
            segment.files.mark_deleted()

    def add_replaced(self, segments: list[Segment], *, due_ms: int) -> None:
        """As `add`, for segments that compaction has renamed."""
        self._doomed.extend(_Doomed(due_ms, segment) for segment in segments)

    def take_due(self, now_ms: int) -> Removal | None:
        """What is due, for `Removal.run`; None when nothing is."""
        count = 0
        while count < len(self._doomed) and self._doomed[count].due_ms <= now_ms:
            count += 1
        due, self._doomed = self._doomed[:count], self._doomed[count:]
        return Removal(self._files, self._directory, [each.segment for each in due]) if due else None

    def put_back(self, removal: Removal) -> None:
        """The disk refused: what is left is tried again the next time."""
        self._doomed[:0] = [_Doomed(0, segment) for segment in removal.segments]

    def close(self) -> None:
        """Let go of the files; they stay, and the next opening removes them."""
        for doomed in self._doomed:
            doomed.segment.files.close()
