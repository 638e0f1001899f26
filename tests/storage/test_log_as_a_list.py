"""The log against a plain list of records, through any sequence of calls; and readers in other threads.

Cuts of power have a machine of their own (`test_log_under_power_cut`). Here the disk is good and the questions are many: any
offset, any bound on bytes, any end, any time; stops clean and not; indexes that were damaged meanwhile.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.records import BatchBuilder, Codec, iter_headers, iter_records
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from ottla.storage.system_files import PORTABLE, SystemFiles
from support.batches import batch
from support.power_cut import PowerCutFiles

FOLDER = "/data/t-0"


@dataclass
class Batch:
    """What the list keeps of a batch: its bytes, and the offset and time of each record."""

    data: bytes
    records: list[tuple[int, int]]

    @property
    def next_offset(self) -> int:
        return self.records[-1][0] + 1


class LogAsList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.files = PowerCutFiles()
        self.files.make_directory(FOLDER)
        self.batches: list[Batch] = []
        self.start = self.end = 0
        self.now_ms = 10_000

    @initialize(
        segment_bytes=st.integers(400, 3_000),
        interval_bytes=st.integers(1, 400),
        retention_bytes=st.integers(-1, 4_000),
    )
    def begin(self, segment_bytes: int, interval_bytes: int, retention_bytes: int) -> None:
        self.config = LogConfig(
            segment_bytes=segment_bytes,
            index_interval_bytes=interval_bytes,
            retention_bytes=retention_bytes,
            retention_ms=5_000,
            file_delete_delay_ms=100,
        )
        self.log = self.open(clean=True)

    def open(self, *, clean: bool, point: int = 0) -> Log:
        return Log.open(
            FOLDER,
            files=self.files,
            config=self.config,
            now_ms=self.now_ms,
            clean=clean,
            recovery_point=point,
            log_start_offset=self.start,
        )

    # --- what changes the log

    @rule(
        times=st.lists(st.integers(-6_000, 100), min_size=1, max_size=6),
        value_bytes=st.integers(0, 40),
        codec=st.sampled_from([Codec.NONE, Codec.NONE, Codec.LZ4]),
    )
    def append(self, times: list[int], value_bytes: int, codec: Codec) -> None:
        builder = BatchBuilder(codec)
        for time in times:
            builder.append(self.now_ms + time, None, bytes(value_bytes))
        data = builder.build()
        appended = self.log.append(data, leader_epoch=0, now_ms=self.now_ms)
        assert (appended.base_offset, appended.last_offset) == (self.end, self.end + len(times) - 1)
        records = [(self.end + number, self.now_ms + time) for number, time in enumerate(times)]
        self.batches.append(Batch(bytes(data), records))
        self.end += len(times)

    @rule(count=st.integers(20, 150))
    def append_many(self, count: int) -> None:
        for _ in range(count):
            self.append([0], 0, Codec.NONE)

    @rule()
    def roll(self) -> None:
        self.log.roll(self.now_ms)

    @rule(passed_ms=st.integers(0, 3_000))
    def sweep(self, passed_ms: int) -> None:
        """Whatever goes, goes from the front, in whole segments, and only if it may."""
        self.now_ms += passed_ms
        before = self.log.log_start_offset
        self.log.sweep(self.now_ms)
        gone = [each for each in self.batches if before < each.next_offset <= self.log.log_start_offset]
        kept_bytes = sum(len(each.data) for each in self.batches if each.next_offset > self.log.log_start_offset)
        all_old = all(self.now_ms - time > 5_000 for each in gone for _, time in each.records)
        if gone and not all_old:
            assert self.config.retention_bytes >= 0
            assert kept_bytes >= self.config.retention_bytes
        self.start = self.log.log_start_offset

    @rule(share=st.floats(0, 1))
    def delete_before(self, share: float) -> None:
        self.start = self.log.delete_before(self.start + int(share * (self.end - self.start)))

    @rule(share=st.floats(0.5, 1))
    def truncate(self, share: float) -> None:
        self.log.truncate(self.start + int(share * (self.end - self.start)))
        self.batches = [each for each in self.batches if each.next_offset <= self.log.log_end_offset]
        self.end = self.log.log_end_offset
        self.start = min(self.start, self.end)

    @rule()
    def flush(self) -> None:
        self.log.flush()
        assert self.log.recovery_point == self.end

    @rule()
    def stop_and_start(self) -> None:
        self.log.close()
        self.log = self.open(clean=True)
        assert not self.log.recovery.worth_telling, self.log.recovery.lines()

    @rule(lose=st.sampled_from([None, ".index", ".timeindex"]), randomness=st.randoms(use_true_random=False))
    def die_and_start(self, lose: str | None, randomness: Random) -> None:
        point = self.log.recovery_point
        self.log.release()
        if lose is not None:
            self.damage_an_index(lose, randomness)
        self.log = self.open(clean=False, point=point)
        assert not self.log.recovery.dropped

    def damage_an_index(self, suffix: str, randomness: Random) -> None:
        names = sorted(name for name in self.files.list_files(FOLDER) if name.endswith(suffix))
        if names:
            self.files.remove(f"{FOLDER}/{randomness.choice(names)}")

    # --- what readers ask

    @rule(
        share=st.floats(0, 1),
        end_share=st.none() | st.floats(0, 1),
        max_bytes=st.integers(0, 2_000),
        min_one_batch=st.booleans(),
        wait=st.booleans(),
    )
    def read(self, share: float, end_share: float | None, max_bytes: int, min_one_batch: bool, wait: bool) -> None:
        offset = self.start + int(share * (self.end - self.start))
        limit = self.end if end_share is None else self.start + int(end_share * (self.end - self.start))
        piece = (self.log.read if wait else self.log.read_now)(
            offset,
            max_bytes=max_bytes,
            min_one_batch=min_one_batch,
            end_offset=None if end_share is None else limit,
        )
        expected = [each for each in self.batches if each.next_offset > offset and each.records[0][0] < limit]
        expected = [each for each in expected if each.next_offset <= limit or limit == self.end] or expected[:1]
        if piece is None:
            nothing = not expected or offset >= limit or (not min_one_batch and len(expected[0].data) > max_bytes)
            assert nothing or max(each.next_offset for each in expected[:1]) > limit
            return
        data = piece.read()
        assert bytes(piece.read_now() or b"") == data
        assert b"".join(each.data for each in expected).startswith(data)
        assert piece.base_offset == expected[0].records[0][0]
        if min_one_batch:
            assert len(data) >= len(expected[0].data)
        assert len(data) <= max(max_bytes, len(expected[0].data))

    @rule(outside=st.integers(1, 50))
    def read_outside(self, outside: int) -> None:
        for offset in (self.start - outside, self.end + outside):
            with pytest.raises(KafkaError) as caught:
                self.log.read(offset, max_bytes=1)
            assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE

    @rule(share=st.floats(0, 1), max_bytes=st.integers(0, 1_000), wait=st.booleans())
    def consume(self, share: float, max_bytes: int, wait: bool) -> None:
        """From anywhere to the end, as a consumer does: whole batches, the next fetch behind the last of them."""
        offset = self.start + int(share * (self.end - self.start))
        expected = [each.data for each in self.batches if each.next_offset > offset]
        seen: list[bytes] = []
        read = self.log.read if wait else self.log.read_now
        while (piece := read(offset, max_bytes=max_bytes)) is not None:
            data = piece.read()
            for position, header in iter_headers(data):
                seen.append(data[position : position + header.size_bytes])
                offset = header.next_offset
        assert seen == expected
        assert offset == self.end

    @rule(back_ms=st.integers(-200, 12_000))
    def find_by_time(self, back_ms: int) -> None:
        time = self.now_ms - back_ms
        live = [record for each in self.batches for record in each.records if record[0] >= self.start]
        first = next(((when, offset) for offset, when in live if when >= time), None)
        assert self.log.offset_for_time(time) == first
        cuts_a_batch = any(each.records[0][0] < self.start < each.next_offset for each in self.batches)
        if not cuts_a_batch:  # else the record that has it may be one that was deleted from the first batch
            largest = max((when for _, when in live), default=-1)
            newest = next(((when, offset) for offset, when in live if when == largest), None)
            assert self.log.offset_of_max_timestamp() == newest

    @rule()
    def records_are_what_was_given(self) -> None:
        for each in self.batches[-3:]:
            read = [
                (record.offset, record.timestamp) for record in iter_records(each.data, max_decompressed_bytes=10_000)
            ]
            assert read == each.records

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "log"):
            self.log.check()
            assert (self.log.log_start_offset, self.log.log_end_offset) == (self.start, self.end)


TestLogAsList = LogAsList.TestCase
TestLogAsList.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("capabilities", [None, PORTABLE], ids=["this system's way", "portable way"])
def test_readers_in_other_threads_see_whole_batches_in_order_while_the_log_grows_and_shrinks(
    tmp_path: Path, capabilities: object
) -> None:
    folder = tmp_path / "t-0"
    folder.mkdir()
    files = SystemFiles(max_descriptors=2, capabilities=capabilities)  # type: ignore[arg-type]
    config = LogConfig(segment_bytes=8_000, index_interval_bytes=200, retention_bytes=60_000, file_delete_delay_ms=0)
    log = Log.open(str(folder), files=files, config=config, now_ms=0, clean=True)
    done = threading.Event()
    wrong: list[str] = []

    def consume(seed: int) -> None:
        randomness, offset = Random(seed), 0
        while not done.is_set() or offset < log.log_end_offset:
            try:
                piece = log.read(offset, max_bytes=randomness.choice([1, 500, 100_000]))
                data = b"" if piece is None else piece.read()
            except KafkaError as error:
                if error.code is not ErrorCode.OFFSET_OUT_OF_RANGE:
                    wrong.append(str(error))
                offset = log.log_start_offset
                continue
            for _, header in iter_headers(data):
                if not header.base_offset <= offset <= header.last_offset:
                    wrong.append(f"asked for {offset}, got {header.base_offset}")
                offset = header.next_offset
            log.offset_for_time(randomness.randrange(4_000))

    threads = [threading.Thread(target=consume, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for number in range(4_000):
        log.append(batch(b"x" * 30, timestamp=number), leader_epoch=0, now_ms=number)
        if number % 100 == 0:
            log.sweep(number)
    done.set()
    for thread in threads:
        thread.join()
    log.close()
    assert wrong == []
