"""Readers in other threads while segments are replaced under them, on the system's own files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from ottla.protocol.records import iter_headers
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from ottla.storage.system_files import SystemFiles
from support.batches import batch
from support.compacting import compact, records

CONFIG = LogConfig(
    segment_bytes=4_000,
    index_interval_bytes=200,
    file_delete_delay_ms=10**9,
    delete_retention_ms=0,
    cleanup_policy=frozenset({"compact"}),
)
KEYS = 40


def open_log(folder: Path, files: SystemFiles) -> Log:
    folder.mkdir()
    return Log.open(str(folder), files=files, config=CONFIG, now_ms=0, clean=True)


def fill(log: Log, round_number: int) -> None:
    for number in range(150):
        key, value = b"k%d" % (number % KEYS), b"%d-%d" % (round_number, number) * 5
        log.append(batch(value, key=key, timestamp=log.log_end_offset), leader_epoch=0, now_ms=0)
    log.roll(0)
    log.flush()


def read_all(log: Log, end_offset: int) -> None:
    """From the start to `end_offset`, as a consumer that takes a little at a time; offsets never go back."""
    offset = log.log_start_offset
    while offset < end_offset:
        piece = log.read(offset, max_bytes=500)
        assert piece is not None
        for _, header in iter_headers(piece.read()):
            assert header.next_offset > offset
            offset = header.next_offset


def search_all(log: Log, end_offset: int) -> None:
    """By times: what is found is never earlier than what was asked for, and there is always something."""
    for timestamp in range(0, end_offset, 23):
        found = log.offset_for_time(timestamp)
        assert found is not None
        assert found.timestamp >= timestamp
        assert found.offset == found.timestamp
    newest = log.offset_of_max_timestamp()
    assert newest is not None
    assert newest.offset >= end_offset - 1


def test_readers_and_searchers_never_miss_a_step(tmp_path: Path) -> None:
    log, done = open_log(tmp_path / "t-0", SystemFiles(max_descriptors=16)), Event()
    fill(log, 0)

    def again_and_again(look: Callable[[Log, int], None]) -> int:
        count = 0
        while not done.is_set():
            look(log, log.log_end_offset)
            count += 1
        return count

    with ThreadPoolExecutor(3) as threads:
        looks = [threads.submit(again_and_again, look) for look in (read_all, read_all, search_all)]
        try:
            for round_number in range(1, 12):
                fill(log, round_number)
                compact(log, now_ms=round_number)
                log.sweep(round_number)
        finally:
            done.set()
        assert all(look.result() for look in looks)
    newest = {record.key: record.offset for record in records(log)}
    assert len(newest) == KEYS
    assert min(newest.values()) >= log.log_end_offset - 150
    log.check()
    log.close()


def test_a_slice_taken_before_reads_the_same_long_after_and_no_longer_than_the_delay(tmp_path: Path) -> None:
    log = open_log(tmp_path / "t-0", SystemFiles(max_descriptors=4))
    fill(log, 0)
    piece = log.read(0, max_bytes=10**6)
    assert piece is not None
    before = piece.read()
    for round_number in range(1, 4):
        fill(log, round_number)
        compact(log, now_ms=round_number)
        assert piece.read() == before, "whatever has taken the name since"
    assert log.sweep(10**9 + 10).removed_segments > 0
    assert not [path for path in (tmp_path / "t-0").iterdir() if path.name.endswith(".deleted")]
    assert len(records(log)) == KEYS
    log.close()
