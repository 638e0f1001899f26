"""A log in plain sentences: append, read, roll, flush, shrink, refuse."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from random import Random
from weakref import ref

import pytest
from ottla.protocol.batch_header import HEADER
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.records import BatchBuilder, crc_is_valid, iter_headers, patch_log_append_time, read_header
from ottla.storage.batches import WouldWait
from ottla.storage.config import LogConfig
from ottla.storage.files import Data
from ottla.storage.log import Appended, Log
from ottla.storage.system_files import PORTABLE, SystemFiles
from support.batches import batch
from support.log_content import read_batches
from support.power_cut import PowerCutFile, PowerCutFiles

FOLDER = "/data/t-0"
DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def files() -> PowerCutFiles:
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    files.sync_directory("/data")
    files.sync_directory("/")
    return files


def open_log(
    files: PowerCutFiles, config: LogConfig | None = None, *, clean: bool = True, now_ms: int = 1_000, point: int = 0
) -> Log:
    return Log.open(FOLDER, files=files, config=config or LogConfig(), now_ms=now_ms, clean=clean, recovery_point=point)


def append(log: Log, *values: bytes, timestamp: int = 1_000, now_ms: int = 1_000, epoch: int = 0) -> Appended:
    return log.append(batch(*values, timestamp=timestamp), leader_epoch=epoch, now_ms=now_ms)


def refusal(log: Log, data: bytearray) -> ErrorCode:
    before = (log.log_end_offset, log.size_bytes, log.segment_count)
    with pytest.raises(KafkaError) as caught:
        log.append(data, leader_epoch=0, now_ms=1_000)
    assert (log.log_end_offset, log.size_bytes, log.segment_count) == before
    log.check()
    return caught.value.code


# --- appending


def test_a_new_log_is_empty_and_has_no_file(files: PowerCutFiles) -> None:
    log = open_log(files)
    assert (log.topic, log.partition) == ("t", 0)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (0, 0, 0)
    assert log.read(0, max_bytes=1_000) is None
    assert log.begin_flush() is None
    log.close()
    assert files.list_files(FOLDER) == []


def test_offsets_and_epochs_are_written_into_the_callers_buffer(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a", b"b")
    data = batch(b"c", b"d", b"e")
    assert log.append(data, leader_epoch=7, now_ms=0) == (2, 4, 0, False, -1)
    header = read_header(data)
    assert (header.base_offset, header.last_offset, header.partition_leader_epoch) == (2, 4, 7)
    assert crc_is_valid(data, 0, header)
    assert read_batches(log)[1] == data


def test_several_batches_of_one_append_are_numbered_one_after_the_other(files: PowerCutFiles) -> None:
    log = open_log(files)
    appended = log.append(batch(b"a", b"b") + batch(b"c"), leader_epoch=0, now_ms=0)
    assert (appended.base_offset, appended.last_offset) == (0, 2)
    assert [read_header(each).base_offset for each in read_batches(log)] == [0, 2]


def test_the_logs_own_time_is_answered_where_the_batch_has_it(files: PowerCutFiles) -> None:
    log = open_log(files)
    data = batch(b"a")
    patch_log_append_time(data, 0, len(data), 5_000)
    assert log.append(data, leader_epoch=0, now_ms=5_000).log_append_time == 5_000


def test_a_duplicate_is_answered_with_its_first_offset_and_time(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"other")
    data = batch(b"a", b"b", timestamp=777, producer_id=4, producer_epoch=0, base_sequence=0)
    log.append(bytearray(data), leader_epoch=0, now_ms=1_000)
    append(log, b"other")
    assert log.append(data, leader_epoch=0, now_ms=1_000) == (1, 2, 0, True, 777)
    assert log.log_end_offset == 4


def test_a_gap_in_a_producers_sequence_is_refused(files: PowerCutFiles) -> None:
    log = open_log(files)
    log.append(batch(b"a", producer_id=4, producer_epoch=0, base_sequence=0), leader_epoch=0, now_ms=0)
    gap = batch(b"a", producer_id=4, producer_epoch=0, base_sequence=5)
    assert refusal(log, gap) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_what_is_larger_than_a_segment_is_refused(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=100))
    assert refusal(log, batch(bytes(100))) is ErrorCode.RECORD_LIST_TOO_LARGE


# --- rolling


def bases(files: PowerCutFiles) -> list[int]:
    return sorted(int(name[:20]) for name in files.list_files(FOLDER) if name.endswith(".log"))


def test_a_segment_rolls_when_the_next_batch_does_not_fit(files: PowerCutFiles) -> None:
    size = len(batch(b"a"))
    log = open_log(files, LogConfig(segment_bytes=3 * size))
    for _ in range(7):
        append(log, b"a")
    assert bases(files) == [0, 3, 6]


def test_a_segment_rolls_by_the_time_in_its_records(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_ms=100))
    append(log, b"a", timestamp=1_000)
    append(log, b"a", timestamp=1_100)
    append(log, b"a", timestamp=1_101)
    append(log, b"a", timestamp=900)
    assert bases(files) == [0, 2]


def test_a_segment_without_times_rolls_by_its_age(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_ms=100), now_ms=1_000)
    append(log, b"a", timestamp=-1, now_ms=1_100)
    append(log, b"a", timestamp=-1, now_ms=1_100)
    append(log, b"a", timestamp=-1, now_ms=1_101)
    assert bases(files) == [0, 2]


def test_after_opening_again_a_segments_age_is_that_of_its_first_batch(files: PowerCutFiles) -> None:
    config = LogConfig(segment_ms=100)
    log = open_log(files, config)
    append(log, b"a", timestamp=1_000)
    log.close()
    log = open_log(files, config, now_ms=50_000)
    append(log, b"a", timestamp=1_100)
    append(log, b"a", timestamp=1_101)
    assert bases(files) == [0, 2]


def test_jitter_makes_it_roll_earlier_but_never_later(files: PowerCutFiles) -> None:
    config = LogConfig(segment_ms=100, segment_jitter_ms=60)
    log = open_log(files, config)
    for time in range(0, 2_000, 10):
        append(log, b"a", timestamp=time)
    gaps = [after - before for before, after in zip(bases(files), bases(files)[1:], strict=False)]
    assert all(5 <= gap <= 11 for gap in gaps)
    assert len(set(gaps)) > 1


def test_a_segment_rolls_when_an_index_is_full(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(index_interval_bytes=1, segment_index_bytes=36))
    for number in range(8):
        append(log, b"a", timestamp=1_000 + number)
    assert log.segment_count > 1
    assert max(files.size(f"{FOLDER}/{name}") for name in files.list_files(FOLDER) if name.endswith("timeindex")) <= 36


def test_a_segment_rolls_before_its_offsets_outgrow_an_int32(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a")
    wide = bytearray(batch(b"a"))
    wide[23:27] = (2**31 - 2).to_bytes(4, "big")  # as if compaction had left one record of many
    log.append(wide, leader_epoch=0, now_ms=0)
    append(log, b"a")
    assert bases(files) == [0, 2**31]


# --- reading


def test_a_slice_begins_with_the_batch_that_holds_the_offset(files: PowerCutFiles) -> None:
    log = open_log(files)
    for _ in range(3):
        append(log, b"a", b"b", b"c")
    for offset in range(9):
        piece = log.read(offset, max_bytes=10_000)
        assert piece is not None
        assert piece.base_offset == offset // 3 * 3
        assert read_header(piece.read()).base_offset == offset // 3 * 3


def test_the_first_batch_is_whole_and_the_next_may_be_cut(files: PowerCutFiles) -> None:
    log = open_log(files)
    size = append(log, b"a") and log.size_bytes
    append(log, b"a")
    whole = log.read(0, max_bytes=0)
    assert whole is not None
    assert whole.size_bytes == size
    cut = log.read(0, max_bytes=size + 7)
    assert cut is not None
    assert cut.size_bytes == size + 7


def test_without_the_promise_a_first_batch_that_does_not_fit_is_not_given_nor_the_next_segment(
    files: PowerCutFiles,
) -> None:
    log = open_log(files, LogConfig(segment_bytes=750))
    append(log, b"a" * 600)
    append(log, b"b")
    assert log.segment_count == 1
    append(log, b"c" * 100)
    assert log.segment_count == 2
    assert log.read(0, max_bytes=300, min_one_batch=False) is None
    piece = log.read(1, max_bytes=300, min_one_batch=False)
    assert piece is not None
    assert piece.base_offset == 1


def test_nothing_behind_the_end_offset_is_given(files: PowerCutFiles) -> None:
    log = open_log(files)
    size = append(log, b"a", b"b") and log.size_bytes
    append(log, b"c", b"d")
    for end_offset, expected in ((2, size), (3, size), (4, 2 * size)):
        piece = log.read(0, max_bytes=10_000, end_offset=end_offset)
        assert piece is not None
        assert piece.size_bytes == expected
    assert log.read(2, max_bytes=10_000, end_offset=2) is None
    assert log.read(2, max_bytes=10_000, end_offset=3) is None


def test_offsets_outside_the_log_are_out_of_range(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a", b"b")
    log.delete_before(1)
    for offset in (-1, 0, 3):
        with pytest.raises(KafkaError) as caught:
            log.read(offset, max_bytes=1)
        assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    assert log.read(2, max_bytes=1) is None


def test_a_reader_at_the_tail_gets_each_append_however_many_came_between(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=60_000))
    offset, randomness = 0, Random(5)
    seen: list[int] = []
    for _ in range(60):
        for _ in range(randomness.choice([0, 1, 2, 500])):
            append(log, b"a")
        while (piece := log.read(offset, max_bytes=1 << 20)) is not None:
            for _, header in iter_headers(piece.read()):
                assert header.base_offset == offset
                seen.append(offset)
                offset = header.next_offset
    assert seen == list(range(log.log_end_offset))


def test_a_slice_outlives_the_deletion_of_its_segment_until_the_file_goes(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(retention_ms=100, file_delete_delay_ms=50))
    append(log, b"a", timestamp=1_000)
    piece = log.read(0, max_bytes=1_000)
    assert piece is not None
    log.sweep(2_000)
    assert read_header(piece.read()).base_offset == 0
    log.sweep(2_050)
    for read in (piece.read, piece.read_now):
        with pytest.raises(KafkaError) as caught:
            read()
        assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_slice_can_be_read_in_parts(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a" * 500)
    piece = log.read(0, max_bytes=1_000)
    assert piece is not None
    assert piece.first(100).read() + piece.behind(100).read() == piece.read()
    assert piece.first(piece.size_bytes) is piece


def test_who_asks_for_less_than_there_is_gets_whole_batches(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(index_interval_bytes=100))
    for number in range(20):
        append(log, b"v" * (200 + number))
    sizes = [len(each) for each in read_batches(log)]

    def size_of_read(offset: int, max_bytes: int) -> int:
        piece = log.read(offset, max_bytes=max_bytes)
        assert piece is not None
        return piece.size_bytes

    assert size_of_read(0, sum(sizes[:3]) + 100) == sum(sizes[:3])
    assert size_of_read(0, sum(sizes[:3])) == sum(sizes[:3])
    assert size_of_read(3, sizes[3] - 1) == sizes[3]
    assert size_of_read(3, sizes[3] + sizes[4] - 1) == sizes[3]
    assert size_of_read(18, 10_000) == sum(sizes[18:])


def test_an_index_that_leads_astray_does_not_cut_the_first_batch(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(index_interval_bytes=100))
    for _ in range(4):
        append(log, b"v" * 200)
    (segment,) = log._segments
    first = len(read_batches(log)[0])
    segment.offset_index.append(3, first // 2)  # of which it was told that it is behind all others

    piece = log.read(0, max_bytes=2 * first)
    assert piece is not None
    assert piece.size_bytes >= first


class CountedFile(PowerCutFile):
    """Notes the ends of the names of the files that are read."""

    __slots__ = ("reads",)

    reads: list[str]

    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        self.reads.append(self.path[-6:])
        return super().read_now(size_bytes, position)


class CountedFiles(PowerCutFiles):
    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def open(self, path: str) -> CountedFile:
        file = CountedFile(self, path)
        file.reads = self.reads
        return file


def test_a_reader_that_comes_back_is_led_on_without_a_search() -> None:
    files = CountedFiles()
    files.make_directory(FOLDER)
    log = open_log(files, LogConfig(index_interval_bytes=100))
    for _ in range(3_000):
        append(log, b"a" * 50)
    first = log.read_now(3, max_bytes=5_000)
    assert first is not None
    *_, (_, last) = iter_headers(first.read())

    files.reads.clear()
    second = log.read_now(last.next_offset, max_bytes=5_000)
    assert second is not None
    assert files.reads == [".index", "00.log"]
    assert (second.position, second.base_offset) == (first.position + first.size_bytes, last.next_offset)
    assert second == log.read(last.next_offset, max_bytes=5_000)


def test_only_the_owner_who_does_not_wait_leaves_a_trace_of_where_a_reader_stopped(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a" * 50)
    (segment,) = log._segments
    assert segment.recent is not None

    log.read(0, max_bytes=1_000)
    assert segment.recent.ends.find(1) is None
    log.read_now(0, max_bytes=1_000)
    assert segment.recent.ends.find(1) == segment.size_bytes


def test_a_log_that_was_cut_and_grew_again_leads_nobody_to_where_batches_were(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(index_interval_bytes=100))

    def grow(size_bytes: int) -> None:
        for _ in range(300):
            append(log, b"a" * size_bytes)

    grow(50)
    piece = log.read_now(0, max_bytes=5_000)
    assert piece is not None
    *_, (_, last) = iter_headers(piece.read())
    log.truncate(5)
    grow(60)

    assert log.read_now(last.next_offset, max_bytes=5_000) == log.read(last.next_offset, max_bytes=5_000)


class ColdFile(PowerCutFile):
    """A file that nothing is cached of."""

    __slots__ = ()

    def read_now(self, size_bytes: int, position: int) -> None:
        return None


class ColdFiles(PowerCutFiles):
    def open(self, path: str) -> ColdFile:
        return ColdFile(self, path)


def test_a_lookup_that_would_wait_for_the_disk_says_so_and_the_tail_never_does() -> None:
    files = ColdFiles()
    files.make_directory(FOLDER)
    log = open_log(files)
    for _ in range(1_000):
        append(log, b"a" * 50)
    with pytest.raises(WouldWait):
        log.read_now(3, max_bytes=1)
    assert log.read(3, max_bytes=1) is not None
    tail = log.read_now(995, max_bytes=1 << 20)
    assert tail is not None
    assert tail.read_now() is None
    assert read_header(tail.read()).base_offset == 995


# --- by time


def test_the_first_record_that_is_not_older_is_found_inside_its_batch(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=250, index_interval_bytes=1))
    builder = BatchBuilder()
    for timestamp in (100, 150, 120):
        builder.append(timestamp, None, b"x")
    log.append(builder.build(), leader_epoch=0, now_ms=0)
    append(log, b"x", timestamp=90)
    append(log, b"x", timestamp=200)
    append(log, b"x", timestamp=200)
    found = {time: log.offset_for_time(time) for time in (0, 100, 101, 150, 151, 200, 201)}
    assert found == {
        0: (100, 0),
        100: (100, 0),
        101: (150, 1),
        150: (150, 1),
        151: (200, 4),
        200: (200, 4),
        201: None,
    }
    assert log.offset_of_max_timestamp() == (200, 4)
    log.delete_before(5)
    assert log.offset_for_time(0) == (200, 5)


def test_without_timestamps_there_is_no_largest(files: PowerCutFiles) -> None:
    log = open_log(files)
    assert log.offset_of_max_timestamp() is None
    append(log, b"x", timestamp=-1)
    assert log.offset_of_max_timestamp() is None
    assert log.offset_for_time(0) is None


# --- flushing


def test_a_flush_covers_what_was_there_when_it_began(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a")
    flush = log.begin_flush()
    assert flush is not None
    size = log.dirty_bytes
    append(log, b"a")
    flush.run()
    log.finish_flush(flush)
    assert (log.recovery_point, log.dirty_bytes) == (1, size)
    log.flush()
    assert (log.recovery_point, log.dirty_bytes) == (2, 0)
    assert log.begin_flush() is None


def test_a_flush_covers_segments_that_rolled_since_the_last(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=100))
    for _ in range(5):
        append(log, b"a" * 30)
    log.flush()
    assert log.recovery_point == 5
    found = open_log(files.cut(Random(1)), clean=False, point=5)
    assert found.log_end_offset == 5
    assert not found.recovery.worth_telling


def test_a_failed_sync_poisons_the_log_and_reads_go_on(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a")
    files.fail_next_sync(Random(1))
    with pytest.raises(KafkaError) as caught:
        log.flush()
    assert caught.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert refusal(log, batch(b"b")) is ErrorCode.KAFKA_STORAGE_ERROR
    assert "sync failed" in str(log.poisoned)
    assert log.begin_flush() is None
    assert log.recovery_point == 0
    assert len(read_batches(log)) == 1
    with pytest.raises(KafkaError):
        log.close()


@pytest.mark.parametrize("way", ["append", "append_one"])
def test_a_poisoned_log_keeps_nothing_of_the_appends_that_it_refuses(files: PowerCutFiles, way: str) -> None:
    class Batch(bytearray):
        """May be referred to weakly."""

    log = open_log(files)
    append(log, b"a")
    files.fail_next_sync(Random(1))
    with pytest.raises(KafkaError):
        log.flush()

    refused = []
    for _ in range(3):
        data = Batch(batch(b"b"))
        refused.append(ref(data))
        with contextlib.suppress(KafkaError):
            if way == "append":
                log.append(data, leader_epoch=0, now_ms=1_000)
            else:
                log.append_one(data, HEADER.unpack_from(data), 0, 1_000)
    del data

    assert [each() for each in refused] == [None, None, None]
    assert log.log_end_offset == 1


@pytest.mark.parametrize("way", ["append", "append_one"])
def test_an_index_that_cannot_be_written_poisons_the_log_and_undoes_no_append(
    files: PowerCutFiles, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    log = open_log(files, LogConfig(index_interval_bytes=0))
    write = PowerCutFile.write

    def refuse_indexes(file: PowerCutFile, data: Data, position: int) -> None:
        if file.path.endswith("index"):
            raise OSError(errno.EIO, "a bad sector")
        write(file, data, position)

    monkeypatch.setattr(PowerCutFile, "write", refuse_indexes)
    given = []
    while log.poisoned is None:
        data = batch(b"%d" % len(given))
        if way == "append":
            given.append(log.append(data, leader_epoch=0, now_ms=1_000))
        else:
            given.append(log.append_one(data, HEADER.unpack_from(data), 0, 1_000))
        assert len(given) < 10_000
        assert log.log_end_offset == len(given)
        log.check()

    assert "a bad sector while writing an index" in str(log.poisoned)
    assert [each.base_offset for each in given] == list(range(len(given)))
    assert refusal(log, batch(b"more")) is ErrorCode.KAFKA_STORAGE_ERROR
    assert len(read_batches(log)) == len(given)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("room", [0, 1, 60, 61, 80])
def test_a_full_disk_refuses_an_append_and_takes_the_next_when_there_is_room(
    files: PowerCutFiles, number: int, room: int
) -> None:
    log = open_log(files)
    append(log, b"a")
    log.flush()
    size = log.size_bytes
    files.fill_disk(room, number)
    assert refusal(log, batch(b"b" * 50)) is ErrorCode.KAFKA_STORAGE_ERROR
    assert files.size(f"{FOLDER}/{0:020}.log") == size
    assert log.poisoned is None
    files.free_disk()
    append(log, b"c")
    log.close()
    assert len(read_batches(open_log(files))) == 2


def test_a_full_disk_refuses_an_append_that_would_roll(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=100))
    append(log, b"a" * 30)
    files.fill_disk(0)
    assert refusal(log, batch(b"b" * 30)) is ErrorCode.KAFKA_STORAGE_ERROR
    files.free_disk()
    append(log, b"b" * 30)
    assert bases(files) == [0, 1]


def test_another_failure_of_a_write_poisons_the_log(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a")
    files.fill_disk(10, errno.EIO)
    assert refusal(log, batch(b"b")) is ErrorCode.KAFKA_STORAGE_ERROR
    files.free_disk()
    assert refusal(log, batch(b"b")) is ErrorCode.KAFKA_STORAGE_ERROR
    assert log.poisoned is not None


# --- getting shorter


def test_old_segments_go_and_the_log_begins_later(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=100, retention_ms=1_000, file_delete_delay_ms=500))
    for time in (1_000, 2_000, 3_000):
        append(log, b"a" * 30, timestamp=time)
    swept = log.sweep(3_500)
    assert (swept.deleted_segments, log.log_start_offset) == (2, 2)
    assert bases(files) == [2]
    assert len([name for name in files.list_files(FOLDER) if name.endswith(".log.deleted")]) == 2
    assert log.sweep(3_999).removed_segments == 0
    assert log.sweep(4_000).removed_segments == 2
    assert not [name for name in files.list_files(FOLDER) if name.endswith(".deleted")]


def test_when_all_records_are_old_the_log_rolls_and_keeps_its_end(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(retention_ms=1_000))
    append(log, b"a", b"b", b"c", timestamp=1_000)
    log.sweep(5_000)
    assert (log.log_start_offset, log.log_end_offset) == (3, 3)
    log.close()
    log = open_log(files)
    assert (log.log_start_offset, log.log_end_offset) == (3, 3)
    assert append(log, b"d").base_offset == 3


def test_deleting_records_moves_the_start_and_the_sweep_frees_the_segments(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=100))
    for _ in range(4):
        append(log, b"a" * 30)
    assert log.delete_before(2) == 2
    assert log.delete_before(1) == 2
    with pytest.raises(KafkaError) as caught:
        log.delete_before(5)
    assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    assert log.sweep(1_000).deleted_segments == 2
    assert len(read_batches(log)) == 2


def test_what_a_sweep_left_is_removed_when_the_log_is_opened(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(retention_ms=100))
    append(log, b"a", timestamp=1_000)
    log.sweep(5_000)
    log.close()
    log = open_log(files)
    assert not [name for name in files.list_files(FOLDER) if name.endswith(".deleted")]
    assert log.recovery.removed_files


def test_silent_producers_are_forgotten_by_the_sweep(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(producer_id_expiration_ms=100))
    data = batch(b"a", timestamp=1_000, producer_id=4, producer_epoch=0, base_sequence=0)
    log.append(data, leader_epoch=0, now_ms=1_000)
    assert log.sweep(1_099).expired_producers == 0
    assert log.sweep(1_100).expired_producers == 1


def test_truncating_takes_the_whole_batch_and_everything_behind(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=200))
    for number in range(6):
        log.append(
            batch(b"a", b"b", producer_id=4, producer_epoch=0, base_sequence=2 * number), leader_epoch=number, now_ms=0
        )
    log.flush()
    log.truncate(7)
    log.check()
    assert (log.log_end_offset, log.recovery_point) == (6, 6)
    assert log.leader_epochs.latest_epoch == 2
    producer = log.producers.get(4)
    assert producer is not None
    assert producer.last_sequence == 5
    found = open_log(files.cut(Random(3)), clean=False)
    assert found.log_end_offset == 6


def test_a_flush_that_began_before_a_truncation_does_not_vouch_for_what_comes_after(files: PowerCutFiles) -> None:
    log = open_log(files)
    for _ in range(4):
        append(log, b"a")
    flush = log.begin_flush()
    assert flush is not None
    flush.run()
    log.truncate(2)
    for _ in range(4):
        append(log, b"b")
    log.finish_flush(flush)
    assert log.recovery_point == 2


# --- opening again


def test_after_a_clean_stop_nothing_is_scanned(files: PowerCutFiles) -> None:
    log = open_log(files, LogConfig(segment_bytes=500))
    for number in range(50):
        log.append(
            batch(b"a" * 30, producer_id=4, producer_epoch=1, base_sequence=number), leader_epoch=number // 20, now_ms=0
        )
    before = read_batches(log)
    log.close()
    again = open_log(files)
    assert again.recovery.clean
    assert (again.recovery.scanned_batches, again.recovery.worth_telling) == (0, False)
    assert (again.log_end_offset, again.recovery_point) == (50, 50)
    assert read_batches(again) == before
    assert again.leader_epochs.entries == [(0, 0), (1, 20), (2, 40)]
    producer = again.producers.get(4)
    assert producer is not None
    assert (producer.epoch, producer.last_sequence) == (1, 49)


def test_closing_what_was_only_read_changes_nothing(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a")
    log.close()
    changes = files.change_count
    log = open_log(files)
    read_batches(log)
    log.close()
    assert files.change_count == changes


def test_a_released_log_writes_nothing_and_its_slices_end(files: PowerCutFiles) -> None:
    log = open_log(files)
    append(log, b"a")
    piece = log.read(0, max_bytes=100)
    assert piece is not None
    changes = files.change_count
    log.release()
    assert files.change_count == changes
    with pytest.raises(KafkaError):
        piece.read()


@pytest.fixture(params=[None, PORTABLE], ids=["this system's way", "portable way"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SystemFiles, str]:
    folder = tmp_path / "t-0"
    folder.mkdir()
    return SystemFiles(max_descriptors=3, capabilities=request.param), str(folder)


def test_a_real_disk_with_hardly_any_descriptors_serves_a_log(disk: tuple[SystemFiles, str]) -> None:
    files, folder = disk
    config = LogConfig(segment_bytes=2_000, index_interval_bytes=100, file_delete_delay_ms=0, retention_ms=-1)
    log = Log.open(folder, files=files, config=config, now_ms=0, clean=True)
    for number in range(200):
        append(log, b"%d" % number, timestamp=number)
        if number % 17 == 0:
            log.flush()
    expected = read_batches(log)
    assert len(expected) == 200
    assert [log.offset_for_time(time) for time in range(0, 200, 13)] == [(n, n) for n in range(0, 200, 13)]
    log.delete_before(100)
    log.sweep(1)
    assert files.open_descriptors <= 3
    log.close()
    assert files.open_descriptors == 0
    again = Log.open(folder, files=files, config=config, now_ms=0, clean=True, log_start_offset=100)
    assert read_batches(again) == expected[100:]
    again.truncate(150)
    again.release()
    crashed = Log.open(folder, files=files, config=config, now_ms=0, clean=False, log_start_offset=100)
    assert read_batches(crashed) == expected[100:150]
    crashed.release()
