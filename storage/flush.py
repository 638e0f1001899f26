"""One sync of one log: what was dirty when it began, made durable in a thread while appends go on.

    flush = log.begin_flush()       owner's thread    takes note of what is dirty; None when nothing is
    flush.run()                     any thread        returns when all of it is on the disk, or raises OSError
    log.finish_flush(flush, error)  owner's thread    moves the recovery point, or poisons the log

The order inside: bytes of old segments, bytes of the active one, the leader epochs (they must not be
younger than the recovery point, or recovery would miss an epoch), names last. Only when all of that is done
does an offset count as durable: bytes without a name are as lost as no bytes. What is appended after
`begin_flush` may be synced along, but is not covered.

After an error nothing is tried again: the system may have dropped the pages that it could not write, and a
second sync that succeeds would be a lie. One error is none of a sync: the leader epochs are a small file
that is written here, and so may be a transaction index that recovery made again; a full disk may have no room
for it (`NoRoom`). The bytes before it were synced and are; nothing counts as durable yet, and the next flush
tries the rest again.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from functools import partial

from ..protocol.values import dataclass
from .files import FileClosed, Files, is_disk_full
from .names import SYNC_FAILED_FILE
from .segment import Segment

_log = logging.getLogger(__name__)


class NoRoom(OSError):
    """A full disk refused the leader epochs or a transaction index; no sync has failed."""


@dataclass(slots=True, eq=False)
class Flush:
    """What one sync covers: everything before `end_offset`."""

    end_offset: int
    appended_bytes: int  # the log's count of bytes ever appended, when this began
    files: Files
    directory: str
    sealed: list[Segment]  # rolled since the last flush
    active: Segment | None
    snapshots: list[str]  # paths
    epochs: tuple[str, bytes] | None  # path and content of the leader epoch file
    names: bool  # files were created, renamed or removed
    distrusted: bool = False  # the log was poisoned since this began

    def run(self) -> None:
        """Make it durable (any thread).

        OSError: some of it may be lost, the log must take no more writes; NoRoom: nothing is lost, it is to
        be tried again.
        """
        try:
            self._sync()
        except NoRoom:
            raise
        except OSError:
            leave_sync_mark(self.files, self.directory)
            raise
        if self.distrusted:
            raise OSError(errno.EIO, "another sync of this log failed, so that this one proves nothing", self.directory)

    def _sync(self) -> None:
        for segment in self.sealed:
            _unless_deleted(segment, segment.sync_with_indexes)
            _unless_deleted(segment, partial(_where_there_is_room, segment.files.write_txn_index))
            _unless_deleted(segment, segment.files.sync_txn_index)
        if self.active is not None:
            _unless_deleted(self.active, self.active.log.sync)
        for path in self.snapshots:
            self._sync_snapshot(path)
        if self.epochs is not None:
            self._write_epochs(*self.epochs)
        elif self.names:
            self.files.sync_directory(self.directory)

    def _write_epochs(self, path: str, content: bytes) -> None:
        _where_there_is_room(partial(self.files.replace_bytes, path, content))  # syncs the folder, too

    def _sync_snapshot(self, path: str) -> None:
        file = self.files.open(path)
        try:
            file.sync()
        except FileNotFoundError:
            return  # retention or a newer start took it meanwhile; recovery will not miss it
        finally:
            file.close()


def leave_sync_mark(files: Files, directory: str) -> None:
    """Tell the next opening, in this same life of the machine, not to believe the page cache.

    After a failed sync Linux goes on showing what was written, calls it clean and never writes it: a
    process that only found it there would take it for durable. When the machine restarts, mark and page
    cache are gone together, so the mark itself need not be synced.
    """
    mark = files.open(os.path.join(directory, SYNC_FAILED_FILE))
    try:
        mark.truncate(0)
    except OSError as error:
        _log.error("%s: %s while noting that a sync failed", directory, error)
    finally:
        mark.close()


def _where_there_is_room(write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as error:
        if is_disk_full(error):
            raise NoRoom(*error.args) from error
        raise


def _unless_deleted(segment: Segment, sync: Callable[[], None]) -> None:
    try:
        sync()
    except FileClosed:
        # Retention took the segment after the flush began: its bytes are not wanted any more.
        if not segment.files.deleted:
            raise
