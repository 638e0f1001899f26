"""A segment's transaction index: the aborted transactions whose markers are in the segment.

    .txnindex   for each, 34 bytes, in the order of the markers:
                version int16 (0), producer_id int64, first_offset int64, last_offset int64, last_stable_offset int64

`first_offset` is the transaction's first record, perhaps in an earlier segment; `last_offset` is its marker.
`last_stable_offset` is where, with the marker written, stable records ended: in front of it no transaction is
open, so a reader who wants to know of the aborted ones up to an offset can stop at the first entry whose
last stable offset has got there.

The file is there only where something was aborted. An entry is written with its marker, not gathered: there
are few, and a reader who is given the records must be given the list. After a crash the entries behind what
was synced are made again from the log (see `replay`). Kafka's classes: `TransactionIndex`, `AbortedTxn`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..protocol.primitives import INT64
from .index import PAGE_ENTRIES, Column, SortedEntries

VERSION = 0


class AbortedTransaction(NamedTuple):
    """One aborted transaction of a log, as its index has it; both offsets are inclusive."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


LAST_OFFSET = AbortedTransaction._fields.index("last_offset")


class TransactionIndex(SortedEntries[AbortedTransaction]):
    """Aborted transactions by their markers' offsets. One thread appends; others may look up meanwhile."""

    __slots__ = ()

    layout = struct.Struct(">hqqqq")
    columns = tuple(Column(INT64, 2 + 8 * part, False) for part in range(4))

    def append(self, aborted: AbortedTransaction) -> None:
        """Note a transaction whose marker is behind all markers before; call `write`."""
        assert self.last is None or self.last.last_offset < aborted.last_offset, (self.last, aborted)
        self._append(self.layout.pack(VERSION, *aborted), aborted)

    def between(self, offset: int, end_offset: int, *, wait: bool = True) -> tuple[list[AbortedTransaction], bool]:
        """Those that reach to `offset` or behind it and begin in front of `end_offset`; and whether that is all of them.

        If not, the next segment may have more. Without `wait` raises WouldWait when the index is not in the page cache.
        """
        found = []
        for aborted in self._from(offset, wait):
            if aborted.first_offset < end_offset:
                found.append(aborted)
            if aborted.last_stable_offset >= end_offset:
                return found, True
        return found, False

    def truncate(self, offset: int) -> None:
        """Forget transactions whose markers are at `offset` or behind it."""
        if self.entry_count:
            self.keep_first(self._count_up_to(offset - 1, LAST_OFFSET, self.file.read))

    def _from(self, offset: int, wait: bool) -> Iterator[AbortedTransaction]:
        """The entries whose markers are at `offset` or behind it, read a page at a time."""
        count = self.entry_count
        if not count:
            return
        read = self.file.read if wait else self.file.read_now
        slot = self._count_up_to(offset - 1, LAST_OFFSET, read)
        while slot < count:
            page = self._page(slot, min(PAGE_ENTRIES, count - slot), wait=wait)
            yield from page
            slot += len(page)

    def _page(self, slot: int, count: int, *, wait: bool) -> list[AbortedTransaction]:
        if slot >= self._written_count:
            waiting = slot - self._written_count
            return [self._decode(self._waiting, (waiting + each) * self.layout.size) for each in range(count)]
        written = min(count, self._written_count - slot)
        data = self._read(self.file.read if wait else self.file.read_now, slot, written)
        return [self._decode(data, each * self.layout.size) for each in range(written)]

    def _decode(self, data: bytes | bytearray, at: int) -> AbortedTransaction:
        return AbortedTransaction(*self.layout.unpack_from(data, at)[1:])
