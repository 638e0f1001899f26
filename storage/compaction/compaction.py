"""One cleaning of one log: from segments to smaller ones that hold the same newest records under the same offsets.

    compaction = log.compaction.begin(...)          owner         takes note of what is to be cleaned
    compaction.map_keys()                           any thread    which offset each key has last, in the dirty part
    for group in compaction.groups():
        replacement = compaction.clean(group)       any thread    a new segment, durable, under .swap names
        log.compaction.put_in_place(replacement)    owner         from here on readers find the new segment
        replacement.settle()                        any thread    the old files out of its way; its names put right
        log.compaction.settled(replacement)         owner
    log.compaction.end(compaction)                  owner         notes how far the log is clean

Groups of neighbours become one segment each, so a crash may leave some done and some not: the log is as good as before,
and the next cleaning begins again at the same place. Everything waits for the disk and nothing here touches what readers
use. What goes wrong, or `Pace` calling it off, leaves the log as it was; the half-made files are removed.

Every batch's checksum is looked at before it is believed: a batch that rotted would otherwise be given a new, right one.

Kafka's class: `Cleaner`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Protocol

from ...protocol.batch_header import BatchHeader, read_header
from ...protocol.keyed_records import iter_keyed, unfolded_records
from ...protocol.values import dataclass, field
from ..batches import Fault, ReadAt, iter_proven
from ..config import LogConfig
from ..files import Files
from ..names import Mark
from ..segment import Segment
from ..segment_files import FILES_OF_A_SEGMENT
from ..txn_index import AbortedTransaction, TransactionIndex
from .choice import Cleanable
from .groups import SegmentSizes, group_sizes
from .offset_map import OffsetMap
from .replacement import Replacement, write_names
from .survival import (
    MAX_DECOMPRESSED_BYTES,
    RECORDS_AT_A_TIME,
    Counts,
    LastRecord,
    Survival,
    control_type,
)
from .transactions import Transactions


class CompactionAborted(Exception):
    """Its owner called the cleaning off; nothing was changed."""


class LogDamaged(Exception):
    """A segment cannot be cleaned: something in it is not a batch, or not what its checksum says."""


class Pace(Protocol):
    """How fast to go, and whether at all. Both may wait, and raise CompactionAborted."""

    def moved(self, size_bytes: int) -> None:
        """So many bytes were read, or are about to be written."""

    def rest(self) -> None:
        """A little work was done."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cleaning may take: memory for the offset map, how full it may get, and the size of a read or write."""

    map_bytes: int
    map_load_factor: float
    buffer_bytes: int


@dataclass(slots=True, kw_only=True, eq=False)
class Compaction:
    """`segments` are all that lie in front of what cannot be cleaned, `txn_indexes` theirs."""

    files: Files
    directory: str
    segments: list[Segment]
    txn_indexes: list[TransactionIndex]
    config: LogConfig
    what: Cleanable
    last_records: Mapping[int, LastRecord]
    limits: Limits
    pace: Pace
    now_ms: int
    end_offset: int = field(init=False)  # the log is clean up to here when all groups are done
    map_fill: float = 0.0
    _survival: Survival = field(init=False)

    @property
    def counts(self) -> Counts:
        """What was read and written by the groups that are done."""
        return self._survival.counts

    # --- which keys

    def map_keys(self) -> None:
        """Find the newest offset of each key in the dirty part; when the map is full, of as much of it as fits.

        LogDamaged, MalformedMessage: it cannot be read; OSError. LogDamaged also when the map takes not even one batch.
        """
        start, end = self.what.first_dirty_offset, self.what.first_uncleanable_offset
        latest = OffsetMap.of_size(
            self.limits.map_bytes, load_factor=self.limits.map_load_factor, expected_count=end - start
        )
        transactions = Transactions(self._aborted())
        dirty = [each for each in self.segments if each.next_offset > start]
        for segment in dirty:
            if not self._map_segment(segment, latest, transactions):
                break
            latest.latest_offset = max(latest.latest_offset, segment.next_offset - 1)
        if latest.latest_offset < start:
            raise LogDamaged(f"{self.directory}: the offset map takes {latest.max_entries} keys, not even one batch")
        self.end_offset, self.map_fill = latest.latest_offset + 1, latest.entry_count / latest.max_entries
        self._survival = Survival(
            latest,
            Transactions(self._aborted()),
            last_records=self.last_records,
            end_offset=end,
            now_ms=self.now_ms,
            delete_retention_ms=self.config.delete_retention_ms,
            rest=self.pace.rest,
        )

    def _map_segment(self, segment: Segment, latest: OffsetMap, transactions: Transactions) -> bool:
        """False when the map got full: the batch that was looked at last does not count."""
        start = self.what.first_dirty_offset
        place = segment.locate(start) if segment.base_offset < start else None
        for header, batch in self._batches(segment, place.position if place else 0):
            if header.is_control:
                transactions.is_needless(header, control_type(batch, header))
            elif not transactions.is_aborted(header) and not self._map_batch(batch, header, latest):
                return False
            if header.last_offset >= start:
                latest.latest_offset = header.last_offset
        return True

    def _map_batch(self, batch: memoryview, header: BatchHeader, latest: OffsetMap) -> bool:
        data = unfolded_records(batch, header, max_bytes=MAX_DECOMPRESSED_BYTES)
        records = iter_keyed(data, header.record_count)
        start, base_offset, put = self.what.first_dirty_offset, header.base_offset, latest.put
        while some := list(islice(records, RECORDS_AT_A_TIME)):
            for record in some:
                if record.key is not None and base_offset + record.offset_delta >= start:
                    if latest.is_full:
                        return False
                    put(record.key, base_offset + record.offset_delta)
            self.pace.rest()
        return True

    def _aborted(self) -> list[AbortedTransaction]:
        return [aborted for index in self.txn_indexes for aborted in index.entries()]

    # --- which segments

    def groups(self) -> list[list[Segment]]:
        """The segments that are to become one each, in order; all that have something in front of `end_offset`."""
        segments = [each for each in self.segments if each.base_offset < self.end_offset]
        counts = group_sizes(
            [_sizes(each) for each in segments],
            segment_bytes=self.config.segment_bytes,
            index_bytes=self.config.segment_index_bytes,
        )
        rest = iter(segments)
        return [list(islice(rest, count)) for count in counts]

    def clean(self, group: list[Segment]) -> Replacement:
        """Write the group's survivors into one new segment; durable, and sure to be there after a crash, on return.

        CompactionAborted, LogDamaged, MalformedMessage, OSError: nothing is changed. `HalfReplaced`: the disk failed so
        that it is not known what the next start will find; the log must take no more writes.
        """
        new = self._new_segment(group)
        try:
            next_kept = self._fill(new, group)
            new.end = (group[-1].next_offset, new.size_bytes)
            new.complete_indexes()
            new.sync_with_indexes()
            new.files.sync_txn_index()
            last_written_ms = self.files.modified_ms(group[-1].log.path, group[-1].created_ms)
            self.files.set_modified_ms(new.log.path, last_written_ms)
            # With all of them on the disk as .cleaned, a crash amid the renaming leaves one that calls the others off.
            self.files.sync_directory(self.directory)
            self.pace.rest()
        except Exception:
            new.files.remove(Mark.CLEANED)
            raise
        write_names(self.files, self.directory, new)
        return Replacement(self.files, self.directory, group, new, next_kept)

    def _new_segment(self, group: list[Segment]) -> Segment:
        new = Segment(
            self.files,
            self.directory,
            group[0].base_offset,
            created_ms=group[-1].created_ms,
            mark=Mark.CLEANED,
        )
        for kind in FILES_OF_A_SEGMENT:
            self.files.remove(new.files.path(kind, Mark.CLEANED))  # of an earlier attempt that could not even tidy up
        new.create()
        return new

    def _fill(self, new: Segment, group: list[Segment]) -> int:
        """Returns the offset behind the last batch that was kept."""
        written = bytearray()
        headers: list[BatchHeader] = []
        for segment in group:
            for header, batch in self._batches(segment, 0):
                kept = self._survival.survivor(batch, header)
                if kept is not None:
                    written += kept
                    headers.append(read_header(kept))
                if len(written) >= self.limits.buffer_bytes:
                    self._write(new, written, headers)
                    written, headers = bytearray(), []
        self._write(new, written, headers)
        for aborted in self._survival.take_kept_aborts():
            new.txn_index.append(aborted)
        new.files.write_txn_index()
        return new.next_offset

    def _write(self, new: Segment, batches: bytearray, headers: list[BatchHeader]) -> None:
        if batches:
            self.pace.moved(len(batches))
            new.write(batches)
            for header in headers:
                new.note_header(header, self.config.index_interval_bytes)

    def _batches(self, segment: Segment, position: int) -> Iterator[tuple[BatchHeader, memoryview]]:
        """All batches of a sealed segment from `position` on. LogDamaged where there is something else."""
        faults: list[Fault] = []
        base_offset = segment.base_offset
        for located, batch in iter_proven(
            self._read_of(segment),
            position,
            segment.size_bytes,
            next_offset=base_offset,
            on_fault=faults.append,
            chunk_bytes=self.limits.buffer_bytes,
        ):
            yield located.header, batch
            self.pace.rest()
        for fault in faults:
            raise LogDamaged(f"{segment.log.path}: no valid batch at {fault.position}: {fault.reason}")

    def _read_of(self, segment: Segment) -> ReadAt:
        def read(size_bytes: int, position: int) -> bytes:
            self.pace.moved(size_bytes)
            return segment.log.read(size_bytes, position)

        return read


def _sizes(segment: Segment) -> SegmentSizes:
    return SegmentSizes(
        segment.base_offset,
        segment.next_offset,
        segment.size_bytes,
        segment.offset_index.size_bytes,
        segment.time_index.size_bytes,
    )
