"""A segment's files: the handles on them, what they are named, and how they go.

    .cleaned --rename--> .swap --rename--> (none)        made by compaction; a segment of appends begins without a mark
                                             |
               mark_deleted, mark_replaced   |           no opening takes them for the log's any more; readers go on
                                             v
                                 .deleted, .<n>.deleted --remove_put_away--> gone

Making one touches no file: each is there from its first write on. The transaction index is opened when it is asked for,
because most logs have no transactions.

The log's file goes last, whatever is done to all of them: it is by its name that an opening knows the segment.

All of it belongs to the log's owner, but for `remove_put_away` and `sync_txn_index`, which may run in any one thread.
"""

from __future__ import annotations

import os

from .files import Files, is_disk_full
from .index import OffsetIndex, TimeIndex
from .names import Kind, Mark, file_name, replaced_name
from .txn_index import TransactionIndex

FILES_OF_A_SEGMENT = (Kind.OFFSET_INDEX, Kind.TIME_INDEX, Kind.TXN_INDEX, Kind.LOG)  # the log last


class SegmentFiles:
    """The files of the segment that begins with `base_offset` in a directory; `deleted` once nothing is to come of them."""

    __slots__ = (
        "_base_offset",
        "_directory",
        "_files",
        "_mark",
        "_replaced_as",
        "_txn_index",
        "deleted",
        "log",
        "offset_index",
        "time_index",
    )

    def __init__(self, files: Files, directory: str, base_offset: int, mark: Mark) -> None:
        self._files = files
        self._directory = directory
        self._base_offset = base_offset
        self._mark = mark
        self._replaced_as = 0  # the number in the names once compaction has replaced the segment
        self.deleted = False
        self.log = files.open(self.path(Kind.LOG, mark))
        self.offset_index = OffsetIndex(files.open(self.path(Kind.OFFSET_INDEX, mark)), base_offset)
        self.time_index = TimeIndex(files.open(self.path(Kind.TIME_INDEX, mark)), base_offset)
        self._txn_index: TransactionIndex | None = None

    def path(self, kind: Kind, mark: Mark = Mark.LIVE) -> str:
        if mark is Mark.REPLACED:
            return os.path.join(self._directory, replaced_name(self._base_offset, kind, self._replaced_as))
        return os.path.join(self._directory, file_name(self._base_offset, kind, mark))

    # --- the transaction index, which may not be open

    @property
    def txn_index(self) -> TransactionIndex:
        if self._txn_index is None:
            file = self._files.open(self.path(Kind.TXN_INDEX, self._mark))
            self._txn_index = TransactionIndex(file, self._base_offset)
            if self.deleted:
                self._txn_index.close()
        return self._txn_index

    @property
    def txn_index_unsynced(self) -> bool:
        """Whether something of it is not known to be on the disk."""
        return self._txn_index is not None and self._txn_index.unsynced

    def write_txn_index(self) -> None:
        """Put the aborted transactions that wait for room into their file. OSError leaves them waiting."""
        if self._txn_index is not None:
            self._txn_index.write()

    def try_write_txn_index(self) -> None:
        """As `write_txn_index`, where they may wait on: on a full disk. No flush is done before they are written."""
        try:
            self.write_txn_index()
        except OSError as error:
            if not is_disk_full(error):
                raise

    def sync_txn_index(self) -> None:
        """Have the written ones on the disk (any thread, when the segment does not grow any more). OSError: they are not."""
        if self._txn_index is not None:
            self._txn_index.sync()

    # --- other names

    def rename(self, mark: Mark) -> None:
        """Give all files the names with that mark; readers go on."""
        self.offset_index.file.rename(self.path(Kind.OFFSET_INDEX, mark))
        self.time_index.file.rename(self.path(Kind.TIME_INDEX, mark))
        if self._files.exists(self.path(Kind.TXN_INDEX, self._mark)):
            self.txn_index.file.rename(self.path(Kind.TXN_INDEX, mark))
        self.log.rename(self.path(Kind.LOG, mark))
        self._mark = mark

    def mark_deleted(self) -> None:
        """Rename all files so that the next opening does not take them for the log's. Readers go on."""
        self._put_away(Mark.DELETED)

    def mark_replaced(self, number: int) -> None:
        """As `mark_deleted`, for a segment whose base offset another one takes over. `number` is new in this log."""
        self._replaced_as = number
        self._put_away(Mark.REPLACED)

    def _put_away(self, mark: Mark) -> None:
        self.deleted = True
        self._close_indexes()
        for kind in FILES_OF_A_SEGMENT:
            path, doomed = self.path(kind), self.path(kind, mark)
            if not self._files.exists(path):
                continue
            if kind is Kind.LOG:
                self.log.rename(doomed)
            else:
                self._files.rename(path, doomed)

    # --- the end

    def remove_put_away(self) -> None:
        """Close and remove the files of a segment that was marked deleted or replaced. What took its name stays."""
        if self._replaced_as:
            self.remove(Mark.REPLACED)
            return
        self.remove(Mark.DELETED)
        self.remove(Mark.LIVE)  # where the renaming failed

    def remove(self, mark: Mark) -> None:
        """Close and remove all files, under the names that they have with that mark."""
        self.let_go()
        for kind in FILES_OF_A_SEGMENT:
            self._files.remove(self.path(kind, mark))

    def let_go(self) -> None:
        """Close them for good; nothing is written any more, and readers are told so (`FileClosed`)."""
        self.deleted = True
        self.close()

    def close(self) -> None:
        self.log.close()
        self._close_indexes()

    def _close_indexes(self) -> None:
        self.offset_index.close()
        self.time_index.close()
        if self._txn_index is not None:
            self._txn_index.close()
