"""Transactions in a log, on a disk that loses power and fills up, against a list of what happened.

Several producers write in transactions and outside of them, end them well or not; the log rolls, is flushed, cut, closed,
killed and loses power. After every step, and after every opening:

- the last stable offset is the first offset of the oldest open transaction, or the end;
- a reader of committed records, who does what Kafka's consumers do with the list of aborted transactions, gets exactly the
  records of committed transactions and those outside of any, in front of the last stable offset, wherever it begins;
- `check` finds nothing.

What was refused because the disk was full is not there, until the power goes: its bytes were cut off again, but not
synced, and it may be back if they were enough.

OTTLA_HEAVY=1 tries many more.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from ottla.protocol.errors import KafkaError
from ottla.protocol.record_reader import EndTxnMarker
from ottla.protocol.records import (
    BatchBuilder,
    ControlType,
    iter_headers,
    iter_records,
    read_end_txn_marker,
    read_header,
)
from ottla.storage.check import check_partition
from ottla.storage.config import LogConfig
from ottla.storage.log import Log, TransactionEnd
from support.log_content import read_batches
from support.power_cut import PowerCutFiles, PowerLost
from support.power_machine import OnDisk

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
FOLDER = "/data/t-0"
CONFIG = LogConfig(segment_bytes=500, index_interval_bytes=100, retention_ms=-1, segment_ms=10**9)
PRODUCERS = st.integers(1, 3)


@dataclass(frozen=True)
class Written:
    """One batch: a producer's records, in a transaction or not, or the marker (a ControlType) that ends one."""

    first: int
    last: int
    producer: int
    transactional: bool
    marker: ControlType | None = None


class Transactions(OnDisk):
    """The log and the list."""

    most_changes = 12
    most_room_bytes = 200

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_000_000
        self.begin_anew()

    def begin_anew(self) -> None:
        self.files = PowerCutFiles()
        self.files.make_directory(FOLDER)
        self.files.sync_directory("/data")
        self.files.sync_directory("/")
        self.written: list[Written] = []
        self.refused: set[Written] = set()
        self.flushed_end = 0
        self.point = 0
        self.has_power = True
        self.disk_is_full = False
        self.log = self.open(clean=False)

    def open(self, *, clean: bool) -> Log:
        return Log.open(
            FOLDER, files=self.files, config=CONFIG, now_ms=self.now_ms, clean=clean, recovery_point=self.point
        )

    def write(self, give: Callable[[], object], written: Written) -> None:
        """Write something that may be refused, or be there or not when the power went."""
        self.written.append(written)
        try:
            give()
        except PowerLost:
            self.has_power = False
        except KafkaError:
            assert self.disk_is_full
            self.refused.add(self.written.pop())

    # --- what producers and their coordinator do

    def is_open(self, producer: int) -> bool:
        return producer in open_transactions(self.written)

    @precondition(lambda self: self.has_power)
    @rule(producer=PRODUCERS, count=st.integers(1, 3), transactional=st.booleans())
    def append(self, producer: int, count: int, transactional: bool) -> None:
        transactional = transactional or self.is_open(producer)
        known = self.log.producers.get(producer)
        builder = BatchBuilder(
            producer_id=producer,
            producer_epoch=0,
            base_sequence=0 if known is None else known.last_sequence + 1,
            is_transactional=transactional,
        )
        for number in range(count):
            builder.append(self.now_ms, None, b"%d" % number)
        data, offset = builder.build(), self.log.log_end_offset
        self.write(
            lambda: self.log.append(memoryview(data), leader_epoch=0, now_ms=self.now_ms),
            Written(offset, offset + count - 1, producer, transactional),
        )

    @precondition(lambda self: self.has_power)
    @rule(producer=PRODUCERS, how=st.sampled_from([ControlType.COMMIT, ControlType.ABORT, ControlType.ABORT]))
    def end(self, producer: int, how: ControlType) -> None:
        marker = TransactionEnd(producer, 0, EndTxnMarker(how, 0), 0, self.now_ms)
        offset = self.log.log_end_offset
        self.write(
            lambda: self.log.end_transaction(marker, leader_epoch=0, now_ms=self.now_ms),
            Written(offset, offset, producer, True, how),
        )

    # --- what the broker and the world do

    @precondition(lambda self: self.has_power and not self.disk_is_full)
    @rule(checkpoint=st.booleans())
    def flush(self, checkpoint: bool) -> None:
        if self.powered(self.log.flush):
            self.flushed_end = self.log.log_end_offset
            if checkpoint:
                self.point = self.log.recovery_point

    @precondition(lambda self: self.has_power and not self.disk_is_full)
    @rule()
    def roll(self) -> None:
        self.powered(lambda: self.log.roll(self.now_ms))

    @precondition(lambda self: self.has_power and not self.disk_is_full)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(0, self.log.log_end_offset))
        self.point = min(self.point, offset)
        if self.powered(lambda: self.log.truncate(offset)):
            self.forget_behind(self.log.log_end_offset)
            self.flushed_end = min(self.flushed_end, self.log.log_end_offset)
        else:
            self.flushed_end = min(self.flushed_end, max([0, *(w.first for w in self.written if w.first <= offset)]))

    def forget_behind(self, end_offset: int) -> None:
        self.written = [each for each in self.written if each.last < end_offset]

    @precondition(lambda self: self.has_power)
    @rule(full=st.booleans())
    def kill(self, full: bool) -> None:
        self.files = self.files.kill()
        if full:
            self.files.fill_disk(0)  # what recovery would write must wait, and readers must not notice
        before = len(self.written)
        self.recover()
        assert len(self.written) == before
        self.disk_is_full = full

    def recover(self) -> None:
        self.has_power, self.disk_is_full = True, False
        self.log = self.open(clean=False)
        assert self.log.log_end_offset >= self.flushed_end
        if self.log.log_start_offset:
            # A first segment that was never synced is gone, and what was open in it may be known or not.
            assert not self.flushed_end
            self.begin_anew()
            return
        found = written_in(self.log)
        assert self.refused.union(self.written).issuperset(found)
        self.written = found
        self.read_all()

    @precondition(lambda self: self.has_power and not self.disk_is_full)
    @rule()
    def stop_cleanly(self) -> None:
        if not self.powered(self.log.close):
            return
        self.flushed_end = self.point = self.log.recovery_point
        assert list(check_partition(FOLDER, self.files, deep=True)) == []
        if self.powered(self.open_cleanly):
            assert not self.log.recovery.worth_telling, self.log.recovery.lines()
            self.read_all()

    def open_cleanly(self) -> None:
        self.log = self.open(clean=True)

    # --- what always holds

    @invariant()
    def the_log_is_sound(self) -> None:
        if self.has_power:
            self.log.check()
            assert self.log.last_stable_offset == stable_end(self.written)

    def read_all(self) -> None:
        """From every offset: what is in front of a transaction index's first entry is no witness of the entry."""
        for offset in range(self.log.last_stable_offset):
            self.compare(offset, max_bytes=10_000)

    @precondition(lambda self: self.has_power)
    @rule(data=st.data(), max_bytes=st.integers(1, 600))
    def read_committed(self, data: st.DataObject, max_bytes: int) -> None:
        self.compare(data.draw(st.integers(0, self.log.last_stable_offset)), max_bytes=max_bytes)

    def compare(self, offset: int, *, max_bytes: int) -> None:
        assert committed_from(self.log, offset, max_bytes) == [
            each for each in committed_offsets(self.written) if offset <= each < stable_end(self.written)
        ]


def written_in(log: Log) -> list[Written]:
    """What is in the log."""
    found: list[Written] = []
    for each in read_batches(log):
        header = read_header(each)
        marker = None
        if header.is_control:
            (record,) = iter_records(each, 0, max_decompressed_bytes=1 << 20)
            marker = read_end_txn_marker(record).type
        found.append(
            Written(header.base_offset, header.last_offset, header.producer_id, header.is_transactional, marker)
        )
    return found


def open_transactions(written: list[Written]) -> dict[int, int]:
    """Producer -> first offset of its open transaction."""
    opened: dict[int, int] = {}
    for each in written:
        if each.marker is not None:
            opened.pop(each.producer, None)
        elif each.transactional:
            opened.setdefault(each.producer, each.first)
    return opened


def stable_end(written: list[Written]) -> int:
    end = written[-1].last + 1 if written else 0
    return min(open_transactions(written).values(), default=end)


def committed_offsets(written: list[Written]) -> list[int]:
    """Each record outside of transactions, or of one that was committed."""
    offsets: list[int] = []
    pending: dict[int, list[int]] = {}
    for each in written:
        records = list(range(each.first, each.last + 1))
        if each.marker is not None:
            decided = pending.pop(each.producer, [])
            offsets += decided if each.marker is ControlType.COMMIT else []
        elif each.transactional:
            pending.setdefault(each.producer, []).extend(records)
        else:
            offsets += records
    return sorted(offsets)


def committed_from(log: Log, offset: int, max_bytes: int) -> list[int]:
    """The offsets of the records that a consumer of committed ones gets, from `offset` on."""
    found: list[int] = []
    while offset < log.last_stable_offset:
        piece = log.read(offset, max_bytes=max_bytes, end_offset=log.last_stable_offset)
        assert piece is not None
        aborted = sorted(log.aborted_transactions(piece, offset), key=lambda each: each.first_offset)
        skipping: set[int] = set()
        data = piece.read()
        for position, header in iter_headers(data):
            while aborted and aborted[0].first_offset <= header.last_offset:
                skipping.add(aborted.pop(0).producer_id)
            records = list(iter_records(data, position, max_decompressed_bytes=1 << 20))
            if header.is_control:
                if read_end_txn_marker(records[0]).type is ControlType.ABORT:
                    skipping.discard(header.producer_id)
            elif not header.is_transactional or header.producer_id not in skipping:
                found += [each.offset for each in records if each.offset >= offset]
            next_offset = header.next_offset
        offset = next_offset
    return found


def test_a_marker_that_a_full_disk_refused_may_be_back_after_a_power_cut() -> None:
    ends: set[int] = set()
    for seed in range(100):
        machine = Transactions()
        machine.end(producer=1, how=ControlType.COMMIT)
        machine.flush(checkpoint=False)
        machine.fill_disk(room_bytes=71, error_number=errno.ENOSPC)
        machine.end(producer=1, how=ControlType.COMMIT)  # 71 of its 78 bytes arrive; the others are zeros anyway
        assert machine.log.log_end_offset == 1
        machine.cut_power(Random(seed))
        machine.the_log_is_sound()
        ends.add(machine.log.log_end_offset)
    assert ends == {1, 2}


EXAMPLES = int(os.environ.get("OTTLA_EXAMPLES", "3000")) if HEAVY else 60

TestTransactions = Transactions.TestCase
TestTransactions.settings = settings(max_examples=EXAMPLES, stateful_step_count=60 if HEAVY else 40, deadline=None)
if HEAVY:
    TestTransactions = pytest.mark.timeout(3600)(TestTransactions)
