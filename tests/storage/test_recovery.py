"""Surgery on the files of a log, and what opening it makes of them."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ottla.protocol.records import ControlType, build_end_txn_marker, iter_headers, patch_offsets
from ottla.storage.checkpoint import RECOVERY_POINT_FILE, read_offsets
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from ottla.storage.directory_names import TopicPartition
from ottla.storage.log import Log
from ottla.storage.producers import MAX_SEQUENCE
from support.batches import batch
from support.log_content import read_batches
from support.power_cut import PowerCutFiles

FOLDER = "/data/t-0"
CONFIG = LogConfig(segment_bytes=2_000, index_interval_bytes=200, retention_ms=-1)
LOG, INDEX, TIME_INDEX = f"{FOLDER}/{0:020}.log", f"{FOLDER}/{0:020}.index", f"{FOLDER}/{0:020}.timeindex"


def open_log(
    files: PowerCutFiles, *, clean: bool = False, point: int = 0, start: int = 0, config: LogConfig = CONFIG
) -> Log:
    return Log.open(
        FOLDER, files=files, config=config, now_ms=1_000, clean=clean, recovery_point=point, log_start_offset=start
    )


def written(count: int = 10, config: LogConfig = CONFIG, *, close: bool = True) -> PowerCutFiles:
    """A disk with a log of so many batches of one record, from a producer, a leader epoch for every four."""
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = open_log(files, config=config)
    for number in range(count):
        data = batch(
            b"%06d" % number * 10, timestamp=1_000 + number, producer_id=3, producer_epoch=0, base_sequence=number
        )
        log.append(data, leader_epoch=number // 4, now_ms=1_000)
    if close:
        log.close()
    else:
        log.flush()
        log.release()
    return files


def size_of_batch(files: PowerCutFiles) -> int:
    return next(iter_headers(files.read_bytes(LOG)))[1].size_bytes


def change(files: PowerCutFiles, path: str, data: bytes) -> None:
    file = files.open(path)
    file.truncate(0)
    file.write(data, 0)
    file.close()


def assert_sound(log: Log, count: int) -> None:
    """The log has the first `count` batches of `written`, and finds each by offset and by time."""
    log.check()
    assert log.log_end_offset == count
    assert [header.base_offset for each in read_batches(log) for _, header in iter_headers(each)] == list(range(count))
    for offset in range(count):
        piece = log.read(offset, max_bytes=1)
        assert piece is not None
        assert piece.base_offset == offset
        assert log.offset_for_time(1_000 + offset) == (1_000 + offset, offset)
    producer = log.producers.get(3)
    assert (producer.last_sequence if producer else -1) == count - 1
    assert log.leader_epochs.latest_epoch == (count - 1) // 4


def assert_again_the_same(files: PowerCutFiles, log: Log, point: int = 0) -> None:
    log.release()
    again = open_log(files, point=point)
    assert not again.recovery.dropped
    assert not again.recovery.dropped_segments
    assert (again.log_start_offset, again.log_end_offset) == (log.log_start_offset, log.log_end_offset)
    assert dict(again.producers) == dict(log.producers)
    assert again.leader_epochs.entries == log.leader_epochs.entries


# --- the tail


@pytest.mark.parametrize("missing", [1, 30, 60, 61, 100])
def test_a_torn_tail_is_cut_at_the_last_whole_batch(missing: int) -> None:
    files = written(10)
    files.open(LOG).truncate(files.size(LOG) - missing)
    log = open_log(files)
    assert_sound(log, 9)
    [dropped] = log.recovery.dropped
    assert (dropped.path, dropped.position) == (LOG, 9 * size_of_batch(files))
    assert 0 < dropped.size_bytes <= size_of_batch(files) - missing, "zeros at its end are not told from room"
    assert not dropped.valid_data_follows
    assert_again_the_same(files, log)


@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("batches", [0, 10])
def test_zeros_at_the_end_are_room_for_what_comes(batches: int, clean: bool) -> None:
    files = written(batches)
    size_bytes = 10 * size_of_batch(files) if batches else 0
    files.open(LOG).truncate(size_bytes + 5_000)
    log = open_log(files, clean=clean)
    if batches:
        assert_sound(log, 10)
    assert not log.recovery.lines()
    assert log.recovery.clean == clean
    log.append(batch(b"next"), leader_epoch=9, now_ms=1_000)
    assert log.log_end_offset == batches + 1
    log.close()
    assert files.size(LOG) == log.size_bytes > size_bytes, "the room is given back"


@pytest.mark.parametrize("point", [0, 5, 16])
def test_room_that_was_given_back_and_is_there_again_does_not_end_the_log(point: int) -> None:
    files = written(40)
    first_bytes = files.size(LOG)
    files.open(LOG).truncate(first_bytes + 5_000)
    log = open_log(files, point=point)
    assert_sound(log, 40)
    assert not log.recovery.lines()
    assert files.size(LOG) == first_bytes
    assert_again_the_same(files, log, point=point)


def test_what_is_torn_in_front_of_room_is_cut_with_it() -> None:
    files = written(10)
    size_bytes = files.size(LOG)
    files.open(LOG).truncate(size_bytes - 30)
    files.open(LOG).truncate(size_bytes + 5_000)
    log = open_log(files)
    assert_sound(log, 9)
    assert 0 < log.recovery.dropped_bytes <= size_of_batch(files) - 30
    assert files.size(LOG) == log.size_bytes


def test_damage_in_front_of_valid_batches_is_told_apart_from_a_torn_tail() -> None:
    files = written(10)
    files.flip(LOG, 5 * size_of_batch(files) + 70)
    log = open_log(files)
    assert_sound(log, 5)
    [dropped] = log.recovery.dropped
    assert dropped.valid_data_follows
    assert "checksum" in dropped.reason
    assert "damaged in the middle" in log.recovery.lines()[0]
    assert_again_the_same(files, log)


def test_segments_behind_a_cut_are_dropped() -> None:
    files = written(40)
    log = open_log(files, clean=True)
    assert log.segment_count > 2
    log.release()
    files.flip(LOG, 3 * size_of_batch(files) + 70)
    log = open_log(files)
    assert_sound(log, 3)
    assert len(log.recovery.dropped_segments) > 1
    assert_again_the_same(files, log)


def test_only_what_lies_behind_the_recovery_point_is_scanned() -> None:
    files = written(40)
    everything = open_log(files)
    assert everything.recovery.scanned_batches == 40
    files = written(40)
    tail = open_log(files, point=38)
    assert tail.recovery.scanned_batches < 6
    assert_sound(tail, 40)
    assert_again_the_same(files, tail, point=38)


def test_a_clean_stop_that_does_not_look_clean_is_not_believed() -> None:
    files = written(10)
    files.open(LOG).truncate(files.size(LOG) - 10)
    log = open_log(files, clean=True)
    assert not log.recovery.clean
    assert_sound(log, 9)


def test_a_log_that_ends_before_its_start_begins_anew_there() -> None:
    files = written(10)
    log = open_log(files, start=25)
    assert (log.log_start_offset, log.log_end_offset) == (25, 25)
    assert "begun anew" in log.recovery.lines()[-1]
    log.append(batch(b"x"), leader_epoch=9, now_ms=0)
    log.close()
    assert open_log(files, clean=True, start=25).log_end_offset == 26


def test_synced_data_that_is_missing_is_reported() -> None:
    files = written(10)
    files.open(LOG).truncate(3 * size_of_batch(files))
    log = open_log(files, point=10)
    assert log.log_end_offset == 3
    assert any("everything before 10 was synced" in line for line in log.recovery.lines())


# --- indexes


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("path", [INDEX, TIME_INDEX])
def test_an_absent_index_is_built_again(path: str, clean: bool) -> None:
    files = written(40)
    before = files.read_bytes(path)
    files.remove(path)
    log = open_log(files, clean=clean, point=40)
    assert_sound(log, 40)
    assert files.read_bytes(path) == before


@pytest.mark.parametrize("path", [INDEX, TIME_INDEX])
@pytest.mark.parametrize("kept", [0, 5, 13])
def test_a_short_index_only_costs_time(path: str, kept: int) -> None:
    files = written(14)
    files.open(path).truncate(kept)
    for point in (0, 14):
        log = open_log(files, point=point)
        assert_sound(log, 14)
        log.release()


def test_an_index_that_is_not_sorted_is_built_again() -> None:
    files = written(14)
    before = files.read_bytes(INDEX)
    assert len(before) >= 24
    change(files, INDEX, before[8:16] + before[:8] + before[16:])
    log = open_log(files, point=14)
    assert log.recovery.rebuilt_indexes
    assert_sound(log, 14)
    log.close()
    assert files.read_bytes(INDEX) == before


def test_an_index_that_leads_astray_is_noticed_by_the_reader_and_mended_by_the_sweep() -> None:
    files = written(40)
    entries = bytearray(files.read_bytes(INDEX))
    struct.pack_into(">i", entries, 4, struct.unpack_from(">i", entries, 4)[0] + 3)
    change(files, INDEX, bytes(entries))
    log = open_log(files, clean=True)
    assert_sound(log, 40)
    log.sweep(1_000)
    assert files.read_bytes(INDEX) != bytes(entries)
    assert_sound(log, 40)
    log.close()
    assert_sound(open_log(files, clean=True), 40)


@settings(max_examples=60, deadline=None)
@given(
    damage=st.lists(
        st.tuples(st.sampled_from([INDEX, TIME_INDEX]), st.integers(0, 100), st.integers(1, 255)), max_size=6
    ),
    point=st.integers(0, 14),
)
def test_whatever_the_indexes_say_after_a_crash_the_offsets_are_right(
    damage: list[tuple[str, int, int]], point: int
) -> None:
    files = written(14)
    for path, position, bits in damage:
        if position < files.size(path):
            files.flip(path, position, bits)
    log = open_log(files, point=point)
    log.check()
    assert log.log_end_offset == 14
    assert len(read_batches(log)) == 14
    for offset in range(14):
        piece = log.read(offset, max_bytes=1)
        assert piece is not None
        assert piece.base_offset == offset


def test_indexes_without_a_log_are_removed() -> None:
    files = written(3)
    for suffix in ("index", "timeindex", "txnindex"):
        change(files, f"{FOLDER}/{77:020}.{suffix}", b"12345678")
    log = open_log(files, clean=True)
    assert_sound(log, 3)
    assert len(log.recovery.removed_files) == 3


# --- producers and epochs


def test_producers_are_rebuilt_from_the_newest_snapshot_and_the_batches_behind_it() -> None:
    files = written(40, close=False)
    snapshots = sorted(name for name in files.list_files(FOLDER) if name.endswith(".snapshot"))
    assert snapshots
    log = open_log(files)
    assert_sound(log, 40)
    producer = log.producers.get(3)
    assert producer is not None
    assert len(producer.batches) > 1
    log.release()
    for name in snapshots:
        files.flip(f"{FOLDER}/{name}", 8)
    log = open_log(files)
    assert_sound(log, 40)
    producer = log.producers.get(3)
    assert producer is not None
    assert len(producer.batches) == 5
    assert not any(files.exists(f"{FOLDER}/{name}") for name in snapshots)


def test_snapshots_behind_the_end_or_of_no_use_are_removed() -> None:
    files = written(40)
    old = files.read_bytes(max(f"{FOLDER}/{n}" for n in files.list_files(FOLDER) if n.endswith(".snapshot")))
    for offset in (3, 99):
        change(files, f"{FOLDER}/{offset:020}.snapshot", old)
    assert_sound(open_log(files), 40)
    assert not files.exists(f"{FOLDER}/{3:020}.snapshot")
    assert not files.exists(f"{FOLDER}/{99:020}.snapshot")


def test_a_marker_in_the_log_ends_its_producers_transaction() -> None:
    files = written(2)
    marker = build_end_txn_marker(
        ControlType.COMMIT, timestamp=1_500, producer_id=3, producer_epoch=0, coordinator_epoch=12
    )
    patch_offsets(marker, 0, 2, 0)
    files.open(LOG).write(marker, files.size(LOG))
    log = open_log(files)
    producer = log.producers.get(3)
    assert producer is not None
    assert (producer.coordinator_epoch, producer.last_sequence) == (12, 1)
    assert log.producers.first_open_offset is None


def test_epochs_that_the_file_does_not_have_yet_are_found_in_the_batches() -> None:
    files = written(10)
    files.remove(f"{FOLDER}/leader-epoch-checkpoint")
    assert open_log(files).leader_epochs.entries == [(0, 0), (1, 4), (2, 8)]


@pytest.mark.parametrize("clean", [True, False])
def test_a_damaged_epoch_file_is_built_again(clean: bool) -> None:
    files = written(10)
    change(files, f"{FOLDER}/leader-epoch-checkpoint", b"0\nnonsense\n")
    log = open_log(files, clean=clean, point=10)
    assert log.leader_epochs.entries == [(0, 0), (1, 4), (2, 8)]
    assert any("built again" in line for line in log.recovery.lines())


# --- what another life left


def test_an_index_that_was_allocated_ahead_ends_where_its_zeros_begin() -> None:
    files = written(14)
    for path in (INDEX, TIME_INDEX):
        files.open(path).truncate(10_000)
    for clean in (True, False):
        log = open_log(files, clean=clean, point=14)
        assert_sound(log, 14)
        log.release()
    log = open_log(files, clean=True)
    for number in range(14, 20):
        data = batch(b"x" * 60, timestamp=1_000 + number, producer_id=3, producer_epoch=0, base_sequence=number)
        log.append(data, leader_epoch=number // 4, now_ms=1_000)
    log.close()
    assert files.size(INDEX) < 1_000
    assert_sound(open_log(files, clean=True), 20)


def test_a_deletion_that_was_half_undone_is_done_again() -> None:
    files = written(40)
    log = open_log(files, clean=True)
    bases = [segment.base_offset for segment in log._segments]
    log.release()
    files.rename(f"{FOLDER}/{bases[1]:020}.log", f"{FOLDER}/{bases[1]:020}.log.deleted")
    log = open_log(files, point=40)
    assert (log.log_start_offset, log.log_end_offset) == (bases[2], 40)
    assert not [name for name in files.list_files(FOLDER) if name.endswith(".deleted")]
    assert_again_the_same(files, log, point=40)


def test_segments_that_truncation_took_do_not_count_as_a_half_deletion() -> None:
    files = written(40)
    log = open_log(files, clean=True)
    bases = [segment.base_offset for segment in log._segments]
    log.release()
    files.rename(f"{FOLDER}/{bases[-1]:020}.log", f"{FOLDER}/{bases[-1]:020}.log.deleted")
    log = open_log(files)
    assert (log.log_start_offset, log.log_end_offset) == (0, bases[-1])


def test_after_a_failed_sync_the_next_process_writes_the_bytes_again() -> None:
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = open_log(files)
    log.append(batch(b"x"), leader_epoch=0, now_ms=0)
    change(files, f"{FOLDER}/.sync-failed", b"")
    files = files.kill()
    changes = files.change_count
    log = open_log(files)
    assert files.change_count > changes
    assert log.log_end_offset == 1
    assert any("written again" in line for line in log.recovery.lines())
    assert not files.exists(f"{FOLDER}/.sync-failed")


def test_a_sequence_that_wrapped_is_rebuilt() -> None:
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = open_log(files)
    for sequence in (MAX_SEQUENCE - 1, MAX_SEQUENCE, 0, 1):
        log.append(batch(b"x", producer_id=3, producer_epoch=0, base_sequence=sequence), leader_epoch=0, now_ms=0)
    log.release()
    producer = open_log(files).producers.get(3)
    assert producer is not None
    assert [each.first_sequence for each in producer.batches] == [MAX_SEQUENCE - 1, MAX_SEQUENCE, 0, 1]


def test_progress_is_told_in_scanned_bytes() -> None:
    files = written(40)
    told: list[int] = []
    log = Log.open(FOLDER, files=files, config=CONFIG, now_ms=0, clean=False, progress=told.append)
    assert sum(told) == log.size_bytes == log.recovery.scanned_bytes


def test_a_directory_takes_back_a_recovery_point_that_promises_what_is_not_there() -> None:
    files = PowerCutFiles()
    directory = open_directory(files)
    log = directory.create_log("t", 0, UUID(int=1), CONFIG, now_ms=0)
    for _ in range(3):
        log.append(batch(b"x" * 60), leader_epoch=0, now_ms=0)
    log.flush()
    directory.begin_checkpoint().run()
    files.open(LOG).truncate(10)
    files = files.kill()
    open_directory(files)
    points = read_offsets(files, f"/data/{RECOVERY_POINT_FILE}")
    assert points[TopicPartition("t", 0)] == 0


def open_directory(files: PowerCutFiles) -> LogDirectory:
    directory = LogDirectory.open(
        "/data", files=files, node_id=1, cluster_id=None, new_id=lambda: UUID(int=9), now_ms=0
    )
    directory.load(lambda topic: CONFIG, now_ms=0)
    return directory
