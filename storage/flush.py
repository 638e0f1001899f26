"""One sync of one log: what was dirty when it began, made durable in a thread while appends go on.

    flush = log.begin_flush()       owner's thread    takes note of what is dirty; None when nothing is
    flush.run()                     any thread        returns when all of it is on the disk, or raises OSError
    log.finish_flush(flush, error)  owner's thread    moves the recovery point, or poisons the log
 The order inside: bytes of old segments, bytes of the active one, the leader epochs (they must not be
younger than the recovery point, or recovery would miss an epoch), names last. Only when all of that is done
does an offset count as durable: bytes without a name are as lost as no bytes. What is appended after
`begin_flush` may be synced along, but is not covered.
 After an error nothing is tried again: the system may have dropped the pages that it could not write, and a
second sync that succeeds would be a lie.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .files import File, FileClosed, Files
from .segment import Segment


@dataclass(slots=True)
class Flush:
    """What one sync covers: everything before `end_offset`."""

    end_offset: int
    appended_bytes: int  # the log's count of bytes ever appended, when this began
    files: Files
    directory: str
    sealed: list[Segment] = field(default_factory=list)  # rolled since the last flush
    active: Segment | None = None
    snapshots: list[File] = field(default_factory=list)
    epochs: tuple[str, bytes] | None = None  # path and content of the leader epoch file
    names: bool = False  # files were created, renamed or removed

    def run(self) -> None:
        """Make it durable (any thread). OSError: some of it may be lost, the log must take no more writes."""
        for segment in self.sealed:
            _sync_unless_deleted(segment, whole=True)
        if self.active is not None:
            _sync_unless_deleted(self.active, whole=False)
        for snapshot in self.snapshots:
            snapshot.sync()
            snapshot.close()
        if self.epochs is not None:
            self.files.replace_bytes(*self.epochs)
        elif self.names:
            self.files.sync_directory(self.directory)

    def cut(self, end_offset: int) -> None:
        """The log was truncated meanwhile: what lies behind is not what was synced."""
        self.end_offset = min(self.end_offset, end_offset)


def _sync_unless_deleted(segment: Segment, *, whole: bool) -> None:
    try:
        if whole:
            segment.sync_all()
        else:
            segment.log.sync()
    except FileClosed:
        if not segment.deleted:
            raise
        # Retention took the segment after the flush began: its bytes are not wanted any more.
