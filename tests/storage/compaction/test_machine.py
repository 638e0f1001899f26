"""Compaction against a plain list of what was appended, on a disk that loses power at any moment.

The machine appends (several keys, tombstones, codecs, an idempotent producer, transactions), rolls, flushes, sweeps, cleans
with maps large and small, calls cleanings off, fills the disk, fails syncs, kills the process and cuts the power: between
two calls, or within one at any change of the disk. Readers look before, between and after the steps of a cleaning.
Whatever happens:

- the newest record of every key is there; it may be missing only as a tombstone whose time is over, and then
  no older record of the key is there either;
- what is there is what was appended, under the same offsets, in order, nothing twice;
- of an aborted transaction nothing reaches a read_committed reader, of a committed one what is there, of an open one
  everything is there;
- a reader that begins anywhere gets what a reader of all gets from there on;
- a slice handed out before a cleaning reads the same after it;
- everything that was flushed survives a crash, and the producer goes on with its next sequence;
- `check` finds no damage.
"""

from __future__ import annotations

import os
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from ottla.protocol.errors import KafkaError
from ottla.protocol.records import BatchBuilder, Codec, ControlType, EndTxnMarker
from ottla.storage.check import Severity, check_partition
from ottla.storage.compaction.compaction import CompactionAborted, Limits, LogDamaged
from ottla.storage.config import LogConfig
from ottla.storage.flush import Flush
from ottla.storage.log import Log, TransactionEnd
from support.compacting import LIMITS, NoHurry, compact, records, records_of
from support.log_content import read_batches
from support.power_machine import RANDOMS, OnDisk

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
FOLDER = "/data/t-0"
RETENTION_MS = 50
CONFIG = LogConfig(
    segment_bytes=900,
    index_interval_bytes=150,
    segment_ms=10**9,
    file_delete_delay_ms=20,
    delete_retention_ms=RETENTION_MS,
    cleanup_policy=frozenset({"compact"}),
)
IDEMPOTENT = 5
TRANSACTIONAL = (7, 8)
KEYS = [b"a", b"b", b"c", b"d", b"e" * 40]


class Appended(NamedTuple):
    """One record as it was given to the log, and when."""

    offset: int
    key: bytes
    value: bytes | None
    timestamp: int
    given_ms: int
    producer: int


class Ended(NamedTuple):
    """A marker at that offset ended the producer's transaction."""

    offset: int
    producer: int
    committed: bool


class OneChange(NoHurry):
    """Calls the cleaning off after so many rests."""

    def __init__(self, rests: int) -> None:
        super().__init__()
        self.rests = rests

    def rest(self) -> None:
        self.rests -= 1
        if self.rests == 0:
            raise CompactionAborted


class CompactedLog(OnDisk):
    """The log, the disk below it, and the list."""

    most_changes = 25
    most_room_bytes = 400

    def __init__(self) -> None:
        super().__init__()
        self.files.make_directory(FOLDER)
        self.files.sync_directory("/data")
        self.files.sync_directory("/")
        self.now_ms = 1_000_000
        self.appended: list[Appended] = []
        self.ended: list[Ended] = []
        self.flushed_end = self.log_start = 0
        self.checkpointed_point = 0
        self.checkpointed_clean: int | None = None
        self.sequences: dict[int, int] = {}
        self.value = 0
        self.sync_will_fail = False

    @initialize()
    def begin(self) -> None:
        self.log = self.open(clean=False)

    def open(self, *, clean: bool) -> Log:
        return Log.open(
            FOLDER,
            files=self.files,
            config=CONFIG,
            now_ms=self.now_ms,
            clean=clean,
            recovery_point=self.checkpointed_point,
            cleaned_to=self.checkpointed_clean,
        )

    # --- what a broker does

    @precondition(lambda self: self.has_power)
    @rule(
        what=st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=4),
        codec=st.sampled_from([Codec.NONE, Codec.NONE, Codec.LZ4]),
        producer=st.sampled_from([-1, -1, IDEMPOTENT, *TRANSACTIONAL]),
        later_ms=st.integers(-5, 5),
    )
    def append(self, what: list[tuple[bytes, bool]], codec: Codec, producer: int, later_ms: int) -> None:
        self.now_ms += 1
        builder = BatchBuilder(
            codec,
            producer_id=producer,
            producer_epoch=0 if producer >= 0 else -1,
            base_sequence=self.sequences.get(producer, 0) if producer >= 0 else -1,
            is_transactional=producer in TRANSACTIONAL,
        )
        given: list[Appended] = []
        for slot, (key, is_tombstone) in enumerate(what):
            self.value += 1
            value = None if is_tombstone else b"%d" % self.value * 5
            time = self.now_ms + later_ms * slot
            builder.append(time, key, value)
            given.append(Appended(self.log.log_end_offset + slot, key, value, time, self.now_ms, producer))

        def give() -> None:
            try:
                self.log.append(builder.build(), leader_epoch=0, now_ms=self.now_ms)
            except KafkaError:
                assert self.disk_is_full or self.log.poisoned
                return
            self.appended += given
            self.sequences[producer] = self.sequences.get(producer, 0) + len(given)

        if not self.powered(give):
            self.appended += given  # perhaps

    @precondition(lambda self: self.has_power)
    @rule(producer=st.sampled_from(TRANSACTIONAL), commits=st.booleans())
    def end_transaction(self, producer: int, commits: bool) -> None:
        marker = EndTxnMarker(ControlType.COMMIT if commits else ControlType.ABORT, 0)
        end = TransactionEnd(producer, 0, marker, 1, self.now_ms)
        offset = self.log.log_end_offset

        def give() -> None:
            try:
                self.log.end_transaction(end, leader_epoch=0, now_ms=self.now_ms)
            except KafkaError:
                assert self.disk_is_full or self.log.poisoned
                return
            self.ended.append(Ended(offset, producer, commits))

        if not self.powered(give):
            self.ended.append(Ended(offset, producer, commits))  # perhaps

    @precondition(lambda self: self.has_power)
    @rule()
    def flush(self) -> None:
        flush = self.log.begin_flush()
        if flush is None:
            return
        error = self.run(flush)
        if self.has_power:
            self.log.finish_flush(flush, error)
            if error is None:
                self.flushed_end = max(self.flushed_end, flush.end_offset)

    def run(self, flush: Flush) -> OSError | None:
        failed: list[OSError] = []

        def run() -> None:
            try:
                flush.run()
            except OSError as error:
                failed.append(error)

        self.powered(run)
        self.sync_will_fail = self.sync_will_fail and not failed
        return failed[0] if failed else None

    @precondition(lambda self: self.has_power)
    @rule()
    def roll(self) -> None:
        def roll() -> None:
            try:
                self.log.roll(self.now_ms)
            except KafkaError:
                assert self.disk_is_full or self.log.poisoned

        self.powered(roll)

    @precondition(lambda self: self.has_power)
    @rule(wait_ms=st.integers(0, 80))
    def sweep(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

        def sweep() -> None:
            try:
                self.log.sweep(self.now_ms)
            except KafkaError:
                assert self.disk_is_full or self.log.poisoned

        self.powered(sweep)

    @precondition(lambda self: self.has_power and not self.log.poisoned)
    @rule(
        keys=st.sampled_from([2, 3, 1000]),
        buffer_bytes=st.sampled_from([200, 1 << 16]),
        called_off=st.sampled_from([0, 0, 0, 2, 5, 9]),
        checkpoints=st.booleans(),
    )
    def clean(self, keys: int, buffer_bytes: int, called_off: int, checkpoints: bool) -> None:
        """As the broker does: flush, checkpoint, clean, and, unless a crash comes between, checkpoint."""
        self.flush()
        if not self.has_power or self.log.poisoned:
            return
        self.checkpointed_point = self.log.recovery_point
        if self.powered(lambda: self.try_to_clean(Limits(keys * 24, 1.0, buffer_bytes), called_off)) and checkpoints:
            self.checkpointed_clean = self.log.cleaned_to

    def try_to_clean(self, limits: Limits, called_off: int) -> None:
        held = [
            piece
            for offset in range(self.log.log_start_offset, self.log.log_end_offset, 7)
            if (piece := self.log.read(offset, max_bytes=300))
        ]
        contents = [piece.read() for piece in held]

        def look() -> None:
            self.compare()
            assert [piece.read() for piece in held] == contents

        try:
            compact(self.log, now_ms=self.now_ms, limits=limits, pace=OneChange(called_off), between=look)
        except CompactionAborted:
            assert called_off
        except LogDamaged:  # a batch with more keys than the map takes
            assert limits.map_bytes < LIMITS.map_bytes
        except OSError:
            assert self.disk_is_full or self.sync_will_fail
            self.sync_will_fail = False
        self.log.check()

    # --- what goes wrong

    @precondition(lambda self: self.has_power)
    @rule(randomness=RANDOMS)
    def let_a_sync_fail(self, randomness: Random) -> None:
        self.files.fail_next_sync(randomness)
        self.sync_will_fail = True

    @precondition(lambda self: self.has_power)
    @rule()
    def kill(self) -> None:
        self.files = self.files.kill()
        self.recover()

    @precondition(lambda self: self.has_power and self.log.poisoned is None and not self.sync_will_fail)
    @rule()
    def stop_cleanly(self) -> None:
        if self.disk_is_full:
            self.free_disk()
        if not self.powered(self.log.close):
            return
        self.checkpointed_point, self.checkpointed_clean = self.log.recovery_point, self.log.cleaned_to
        self.flushed_end = end_before = self.log.log_end_offset

        def reopen() -> None:
            self.log = self.open(clean=True)

        if self.powered(reopen):
            assert self.log.log_end_offset == end_before
            assert not self.log.recovery.worth_telling, self.log.recovery.lines()
            self.compare()

    def recover(self) -> None:
        """Open what was found, and hold it against the list."""
        self.has_power, self.disk_is_full, self.sync_will_fail = True, False, False
        note(f"found: {sorted(self.files.list_files(FOLDER))}")
        self.log = self.open(clean=False)
        note(f"opened: {self.log}, from point {self.checkpointed_point}: {self.log.recovery.lines()}")
        end = self.log.log_end_offset
        assert end >= self.flushed_end
        start = self.log.log_start_offset
        assert start == self.log_start or self.flushed_end <= self.log_start, "what was flushed is not lost in front"
        self.log_start = start
        self.appended = [each for each in self.appended if start <= each.offset < end]
        self.ended = [each for each in self.ended if start <= each.offset < end]
        self.compare()
        found = records(self.log)
        self.files = self.files.kill()
        self.log = self.open(clean=False)
        assert records(self.log) == found, "opening once more changes something"
        assert self.log.log_end_offset == end
        self.sequences = {producer_id: producer.last_sequence + 1 for producer_id, producer in self.log.producers}
        damage = [each for each in check_partition(FOLDER, self.files, deep=True) if each.severity is Severity.DAMAGE]
        assert damage == []

    # --- what always holds

    @invariant()
    def invariants(self) -> None:
        if self.has_power and hasattr(self, "log"):
            self.log.check()
            for producer_id, producer in () if self.log.poisoned else self.log.producers:
                assert producer.last_sequence == self.sequences.get(producer_id, 0) - 1

    @precondition(lambda self: self.has_power)
    @rule()
    def compare(self) -> None:
        found = records(self.log)
        given = {each.offset: each for each in self.appended}
        offsets = [each.offset for each in found]
        assert offsets == sorted(set(offsets))
        for each in found:
            assert (each.key, each.value, each.timestamp) == given[each.offset][1:4], each
        states = self.transaction_states()
        dropped = self.dropped_by_readers(given)
        for each in found:
            assert (each.offset in dropped) == (states.get(each.offset) == "aborted"), (each, states, dropped)
        assert {offset for offset, state in states.items() if state == "open"} <= set(offsets)
        newest_given = {each.key: each for each in self.appended if states.get(each.offset, "committed") == "committed"}
        newest_found = {each.key: each.offset for each in found if states.get(each.offset, "committed") == "committed"}
        for key, record in newest_given.items():
            if key in newest_found or record.value is not None or self.now_ms < record.given_ms + RETENTION_MS:
                assert newest_found.get(key) == record.offset, record
        for offset in range(self.log.log_start_offset, self.log.log_end_offset, 5):
            assert records_from(self.log, offset) == offsets_from(offsets, offset)

    def transaction_states(self) -> dict[int, str]:
        """What became of the transaction, by the offset of each record that is in one."""
        states: dict[int, str] = {}
        for producer in TRANSACTIONAL:
            ends = [each for each in self.ended if each.producer == producer]
            for record in self.appended:
                if record.producer == producer:
                    end = next((each for each in ends if each.offset > record.offset), None)
                    states[record.offset] = "open" if end is None else "committed" if end.committed else "aborted"
        return states

    def dropped_by_readers(self, given: dict[int, Appended]) -> set[int]:
        """What a read_committed reader drops because the log names it as aborted."""
        aborted = self.log.aborted_between(self.log.log_start_offset, self.log.log_end_offset)
        return {
            offset
            for offset, record in given.items()
            if any(
                each.producer_id == record.producer and each.first_offset <= offset < each.last_offset
                for each in aborted
            )
        }


def records_from(log: Log, offset: int) -> list[int]:
    return [
        each.offset
        for each in records_of(read_batches(log, from_offset=offset, max_bytes=250))
        if each.offset >= offset
    ]


def offsets_from(offsets: list[int], offset: int) -> list[int]:
    return [each for each in offsets if each >= offset]


EXAMPLES = int(os.environ.get("OTTLA_EXAMPLES", "3000")) if HEAVY else 50

TestCompactedLog = CompactedLog.TestCase
TestCompactedLog.settings = settings(max_examples=EXAMPLES, stateful_step_count=60 if HEAVY else 40, deadline=None)
if HEAVY:
    TestCompactedLog = pytest.mark.timeout(3600)(TestCompactedLog)
