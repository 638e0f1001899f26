"""A log on a disk that loses power at any moment, that fills up, and whose syncs fail.

The machine appends, flushes, rolls, truncates, deletes and cuts the power: between two calls, or within one at any
change of the disk. Whatever is found when the power is back:

- everything that a flush had covered is there, byte for byte, in order, from the log start on;
- behind that, only batches that had been given to the log at those offsets, without a gap;
- leader epochs, producers and timestamps are those of the batches that are there;
- opening it once more changes nothing; and `check` finds no damage.

When only the process dies, everything that was appended is there. OTTLA_HEAVY=1 tries many more.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from ottla.protocol.errors import KafkaError
from ottla.protocol.records import iter_headers, read_header
from ottla.storage.check import Severity, check_partition
from ottla.storage.checkpoint import EpochEntry
from ottla.storage.config import LogConfig
from ottla.storage.flush import Flush
from ottla.storage.log import Log
from support.batches import batch
from support.log_content import read_batches
from support.power_machine import RANDOMS, OnDisk

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
FOLDER = "/data/t-0"
CONFIG = LogConfig(
    segment_bytes=700, index_interval_bytes=100, retention_ms=-1, file_delete_delay_ms=10, segment_ms=10**9
)
PRODUCER_ID = 5


class LogUnderPowerCut(OnDisk):
    """The log, the disk below it, and a plain list of what was appended."""

    most_changes = 12
    most_room_bytes = 300

    def __init__(self) -> None:
        super().__init__()
        self.files.make_directory(FOLDER)
        self.files.sync_directory("/data")
        self.files.sync_directory("/")
        self.now_ms = 1_000_000
        self.batches: list[bytes] = []  # from offset 0, whatever the log start is
        self.candidates: set[bytes] = set()  # given to the log, but perhaps not there: in flight, or refused
        self.flushed_end = 0
        self.checkpointed_point = self.checkpointed_start = 0
        self.log_start = 0  # where the log begins
        self.deleted_end = 0  # before it, records were deleted, though perhaps not durably: they may be back
        self.sequence = 0
        self.epoch = 0
        self.flush: Flush | None = None
        self.sync_will_fail = False

    @initialize()
    def begin(self) -> None:
        self.log = self.open(clean=False)

    def open(self, *, clean: bool) -> Log:
        self.flush = None
        return Log.open(
            FOLDER,
            files=self.files,
            config=CONFIG,
            now_ms=self.now_ms,
            clean=clean,
            recovery_point=self.checkpointed_point,
            log_start_offset=self.checkpointed_start,
        )

    # --- what a broker does

    @precondition(lambda self: self.has_power)
    @rule(
        counts=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        value_bytes=st.integers(0, 120),
        later_ms=st.integers(-20, 20),
        numbered=st.booleans(),
    )
    def append(self, counts: list[int], value_bytes: int, later_ms: int, numbered: bool) -> None:
        self.now_ms += 1
        data = bytearray()
        sequence = self.sequence
        for count in counts:
            data += batch(
                *[bytes(value_bytes)] * count,
                timestamp=self.now_ms + later_ms,
                producer_id=PRODUCER_ID if numbered else -1,
                producer_epoch=0 if numbered else -1,
                base_sequence=sequence if numbered else -1,
            )
            sequence += count if numbered else 0
        end_before = self.log.log_end_offset

        def give() -> None:
            try:
                appended = self.log.append(memoryview(data), leader_epoch=self.epoch, now_ms=self.now_ms)
            except KafkaError:
                appended = None
            if appended is None:
                assert self.disk_is_full or self.log.poisoned or len(data) > CONFIG.segment_bytes
                assert self.log.log_end_offset == end_before
                self.candidates.update(split(data))
                return
            assert appended.base_offset == end_before
            assert appended.last_offset == end_before + sum(counts) - 1
            self.batches += split(data)
            self.sequence = sequence

        if not self.powered(give):
            self.candidates.update(split(data))

    @precondition(lambda self: self.has_power)
    @rule()
    def new_leader_epoch(self) -> None:
        self.epoch += 1

    @precondition(lambda self: self.has_power and self.flush is None)
    @rule()
    def begin_flush(self) -> None:
        self.flush = self.log.begin_flush()

    @precondition(lambda self: self.has_power and self.flush is not None)
    @rule()
    def finish_flush(self) -> None:
        flush, self.flush = self.flush, None
        assert flush is not None
        error: OSError | None = None

        def run() -> None:
            nonlocal error
            try:
                flush.run()
            except OSError as failure:
                error = failure

        if self.powered(run):
            assert error is None or self.sync_will_fail or self.disk_is_full or self.log.poisoned
            self.sync_will_fail = self.sync_will_fail and error is None
            self.log.finish_flush(flush, error)
            if error is None:
                self.flushed_end = max(self.flushed_end, min(flush.end_offset, self.log.log_end_offset))
            else:
                assert self.log.poisoned or self.disk_is_full  # too full to write the epochs: nothing was lost

    @precondition(lambda self: self.has_power and self.flush is None)
    @rule()
    def flush_all(self) -> None:
        self.begin_flush()
        if self.flush is not None:
            self.finish_flush()

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
    @rule(data=st.data())
    def delete_before(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self.log.log_start_offset, self.log.log_end_offset))
        self.log_start = self.log.delete_before(offset)

    @precondition(lambda self: self.has_power)
    @rule(retention_bytes=st.integers(0, 3000), wait_ms=st.integers(0, 20))
    def sweep(self, retention_bytes: int, wait_ms: int) -> None:
        self.now_ms += wait_ms
        self.log.update_config(
            LogConfig(
                segment_bytes=CONFIG.segment_bytes,
                index_interval_bytes=CONFIG.index_interval_bytes,
                retention_ms=-1,
                retention_bytes=retention_bytes,
                file_delete_delay_ms=CONFIG.file_delete_delay_ms,
            )
        )

        def sweep() -> None:
            # As the broker does: what retention is about to delete need not be flushed, and may then be gone.
            try:
                self.log.sweep(self.now_ms)
            except (KafkaError, OSError):
                assert self.disk_is_full or self.log.poisoned or self.sync_will_fail

        self.powered(sweep)
        self.log_start = self.log.log_start_offset

    @precondition(lambda self: self.has_power and self.log.poisoned is None)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self.log.log_start_offset, self.log.log_end_offset))
        if not self.powered(lambda: self.try_truncate(offset)):
            self.forget_behind(offset)
            return
        if self.log.poisoned is None:
            self.checkpointed_point = min(self.checkpointed_point, self.log.log_end_offset)
            self.checkpointed_start = min(self.checkpointed_start, self.log.log_start_offset)
        self.forget_behind(self.log.log_end_offset)
        self.log_start = self.log.log_start_offset

    def try_truncate(self, offset: int) -> None:
        # An owner who truncates first makes sure that the checkpoint does not promise what is going.
        self.checkpointed_point = min(self.checkpointed_point, offset)
        try:
            self.log.truncate(offset)
        except KafkaError:
            assert self.log.poisoned
            assert self.sync_will_fail or self.disk_is_full
            self.sync_will_fail = False

    def forget_behind(self, offset: int) -> None:
        """Batches from `offset` on may be there or not from now on."""
        kept = [each for each in self.batches if read_header(each).next_offset <= offset]
        self.candidates.update(self.batches[len(kept) :])
        self.batches = kept
        end_offset = read_header(kept[-1]).next_offset if kept else 0
        self.flushed_end = min(self.flushed_end, end_offset)
        if self.has_power and self.log.poisoned is None:
            self.take_over_producer(from_offset(kept, self.log.log_start_offset))

    @precondition(lambda self: self.has_power)
    @rule(both=st.booleans())
    def checkpoint(self, both: bool) -> None:
        """As LogDirectory does: the start first, then, unless a crash came between, the recovery point."""
        self.checkpointed_start = self.log.log_start_offset
        if both:
            self.checkpointed_point = self.log.recovery_point

    # --- what goes wrong

    @precondition(lambda self: self.has_power)
    @rule(randomness=RANDOMS)
    def let_a_sync_fail(self, randomness: Random) -> None:
        self.files.fail_next_sync(randomness)
        self.sync_will_fail = True

    @precondition(lambda self: self.has_power)
    @rule()
    def kill(self) -> None:
        """The process dies, the system goes on; it may show bytes that a failed sync has given up."""
        self.files = self.files.kill()
        was_poisoned = self.log.poisoned
        before, end_before = list(self.batches), self.log.log_end_offset
        self.recover()
        if not was_poisoned:
            assert self.log.log_end_offset == end_before
            assert read_batches(self.log) == from_offset(before, self.log.log_start_offset)

    @precondition(lambda self: self.has_power and self.log.poisoned is None and not self.sync_will_fail)
    @rule()
    def stop_cleanly(self) -> None:
        if self.disk_is_full:
            self.free_disk()
        if not self.powered(self.log.close):
            return
        self.checkpointed_start, self.checkpointed_point = self.log.log_start_offset, self.log.recovery_point
        self.flushed_end = self.log.log_end_offset
        start_before, end_before = self.log.log_start_offset, self.log.log_end_offset
        findings = check_partition(FOLDER, self.files, deep=True, log_start_offset=start_before)
        # A torn last entry of an index that is written no more is never looked at.
        assert [each for each in findings if "no whole number of entries" not in each.what] == []
        if self.powered(self.open_cleanly):
            assert (self.log.log_start_offset, self.log.log_end_offset) == (start_before, end_before)
            assert not self.log.recovery.worth_telling, self.log.recovery.lines()
            self.compare()

    def open_cleanly(self) -> None:
        self.log = self.open(clean=True)

    def recover(self) -> None:
        """Open what was found, and hold it against what was known."""
        self.has_power, self.disk_is_full, self.sync_will_fail = True, False, False
        note(
            f"found: { {name: self.files.size(f'{FOLDER}/{name}') for name in sorted(self.files.list_files(FOLDER))} }"
        )
        self.log = self.open(clean=False)
        note(f"opened: {self.log}, from point {self.checkpointed_point}: {self.log.recovery.lines()}")
        note(f"known: from {self.log_start} to {self.flushed_end} flushed, {[read_header(b)[0] for b in self.batches]}")
        self.log.check()
        found = read_batches(self.log)
        self.assert_nothing_flushed_is_lost(found)
        self.assert_nothing_is_invented(found)
        self.assert_opening_again_changes_nothing(found)
        self.take_over(found)
        self.compare()
        damage = [each for each in check_partition(FOLDER, self.files, deep=True) if each.severity is Severity.DAMAGE]
        assert damage == []

    def assert_nothing_flushed_is_lost(self, found: list[bytes]) -> None:
        promised = [each for each in self.batches if read_header(each).next_offset <= self.flushed_end]
        start = self.log_start
        assert from_offset(found, start)[: len(from_offset(promised, start))] == from_offset(promised, start)
        assert self.log.log_end_offset >= self.flushed_end

    def assert_nothing_is_invented(self, found: list[bytes]) -> None:
        known = self.candidates.union(self.batches)
        assert all(each in known for each in found)
        ends = [read_header(each).next_offset for each in found]
        begins = [read_header(each).base_offset for each in found[1:]]
        assert begins == ends[:-1], "there is a gap"

    def assert_opening_again_changes_nothing(self, found: list[bytes]) -> None:
        self.files = self.files.kill()
        again = self.open(clean=False)
        assert read_batches(again) == found
        assert again.log_start_offset == self.log.log_start_offset
        assert again.log_end_offset == self.log.log_end_offset
        assert again.recovery_point == self.log.recovery_point
        # The epoch of an empty log's end may have been in the file or not.
        assert epochs_inside(again) == epochs_inside(self.log)
        assert dict(again.producers) == dict(self.log.producers)
        assert not again.recovery.dropped
        assert not again.recovery.rebuilt_indexes
        self.log = again

    def take_over(self, found: list[bytes]) -> None:
        """What was found is the truth from now on."""
        start = read_header(found[0]).base_offset if found else self.log.log_end_offset
        self.batches = [each for each in self.batches if read_header(each).next_offset <= start] + found
        self.log_start = self.log.log_start_offset
        self.take_over_producer(found)
        # What a crash left behind the end was cut off, but that need not be on the disk yet.
        self.candidates.update(found)

    def take_over_producer(self, found: list[bytes]) -> None:
        # The log may remember batches of the producer that lie before the log start.
        producer = self.log.producers.get(PRODUCER_ID)
        known_sequence = producer.last_sequence + 1 if producer is not None else 0
        assert next_sequence(found) in (0, known_sequence)
        self.sequence = known_sequence

    # --- what always holds

    @invariant()
    def invariants(self) -> None:
        if self.has_power and hasattr(self, "log"):
            self.log.check()
            self.deleted_end = max(self.deleted_end, self.log.log_start_offset)

    @precondition(lambda self: self.has_power)
    @rule()
    def compare(self) -> None:
        """The log as readers see it, against the list."""
        log = self.log
        expected = from_offset(self.batches, log.log_start_offset)
        assert read_batches(log) == expected
        for each in expected:
            header = read_header(each)
            offset = max(header.base_offset, log.log_start_offset)
            if offset >= self.deleted_end:
                assert log.leader_epochs.epoch_for_offset(offset) == header.partition_leader_epoch
        for each in expected[:3] + expected[-3:]:
            self.compare_lookup_by_time(expected, read_header(each).max_timestamp)
        producer = log.producers.get(PRODUCER_ID)
        if producer is not None and self.sequence and log.poisoned is None:
            assert producer.last_sequence == self.sequence - 1

    def compare_lookup_by_time(self, expected: list[bytes], timestamp: int) -> None:
        headers = [read_header(each) for each in expected]
        first = next(header for header in headers if header.max_timestamp >= timestamp)
        found = self.log.offset_for_time(timestamp)
        assert found is not None
        assert found.offset == max(first.base_offset, self.log.log_start_offset)
        assert found.timestamp == first.max_timestamp


def epochs_inside(log: Log) -> list[EpochEntry]:
    return [entry for entry in log.leader_epochs.entries if entry.start_offset < log.log_end_offset]


def split(data: bytearray) -> list[bytes]:
    return [bytes(data[position : position + header.size_bytes]) for position, header in iter_headers(data)]


def from_offset(batches: list[bytes], offset: int) -> list[bytes]:
    return [each for each in batches if read_header(each).next_offset > offset]


def next_sequence(batches: list[bytes]) -> int:
    numbered = [header for header in map(read_header, batches) if header.producer_id == PRODUCER_ID]
    return numbered[-1].last_sequence + 1 if numbered else 0


EXAMPLES = int(os.environ.get("OTTLA_EXAMPLES", "3000")) if HEAVY else 60

TestLogUnderPowerCut = LogUnderPowerCut.TestCase
TestLogUnderPowerCut.settings = settings(max_examples=EXAMPLES, stateful_step_count=60 if HEAVY else 40, deadline=None)
if HEAVY:
    TestLogUnderPowerCut = pytest.mark.timeout(3600)(TestLogUnderPowerCut)
