"""Small appends go into a file that is longer than what is in it; nobody sees more than that."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from ottla.protocol.records import iter_headers
from ottla.storage.check import check_directory
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from ottla.storage.dump import DumpedBatch, dump_log
from ottla.storage.files import Files
from ottla.storage.log import Log
from ottla.storage.segment import LEAST_AHEAD_BYTES, MOST_AHEAD_BYTES, SMALL_APPEND_BYTES
from ottla.storage.system_files import PORTABLE, SystemFiles
from support.batches import batch
from support.log_content import read_batches
from support.power_cut import PowerCutFiles

FOLDER = "/data/t-0"
LOG = f"{FOLDER}/{0:020}.log"


def open_log(files: Files, folder: str = FOLDER, **config: int) -> Log:
    files.make_directory(folder)
    return Log.open(folder, files=files, config=LogConfig(**config), now_ms=1_000, clean=False)


def append(log: Log, size_bytes: int = 100) -> None:
    log.append(batch(bytes(size_bytes)), leader_epoch=0, now_ms=1_000)


def lengths(files: Files, log: Log) -> Iterator[int]:
    """The file's length after each of a thousand small appends."""
    for _ in range(1_000):
        append(log)
        yield files.size(LOG)


def test_a_file_is_made_longer_once_for_many_small_appends() -> None:
    files = PowerCutFiles()
    log = open_log(files)
    seen = list(lengths(files, log))
    assert seen == sorted(seen)
    assert len(set(seen)) < 10
    assert all(LEAST_AHEAD_BYTES <= each <= 2 * log.size_bytes + LEAST_AHEAD_BYTES for each in seen)


def test_there_is_no_more_room_than_a_bound() -> None:
    files = PowerCutFiles()
    log = open_log(files)
    for _ in range(40):
        append(log, SMALL_APPEND_BYTES - 200)
    assert log.size_bytes < files.size(LOG) <= log.size_bytes + MOST_AHEAD_BYTES


def test_a_large_append_makes_no_room() -> None:
    files = PowerCutFiles()
    log = open_log(files)
    append(log, SMALL_APPEND_BYTES)
    assert files.size(LOG) == log.size_bytes


def test_what_is_read_ends_where_the_log_does() -> None:
    log = open_log(PowerCutFiles())
    for _ in range(5):
        append(log)
    found = [header.base_offset for piece in read_batches(log) for _, header in iter_headers(piece)]
    assert found == [0, 1, 2, 3, 4]
    piece = log.read(0, max_bytes=1 << 20)
    assert piece is not None
    assert piece.size_bytes == log.size_bytes


def test_the_room_is_given_back_where_the_segment_ends() -> None:
    files = PowerCutFiles()
    log = open_log(files)
    append(log)
    first_bytes = log.size_bytes
    log.roll(1_000)
    assert files.size(LOG) == first_bytes
    append(log)
    log.close()
    assert sum(files.size(f"{FOLDER}/{base:020}.log") for base in (0, 1)) == log.size_bytes


def test_a_log_that_was_truncated_makes_room_again() -> None:
    files = PowerCutFiles()
    log = open_log(files)
    for _ in range(3):
        append(log)
    log.truncate(1)
    assert files.size(LOG) == log.size_bytes
    append(log)
    assert files.size(LOG) > log.size_bytes
    assert log.log_end_offset == 2


def test_a_full_disk_refuses_what_it_would_have_refused() -> None:
    files = PowerCutFiles()
    log = open_log(files)
    append(log)
    files.fill_disk(room_bytes=50)
    with pytest.raises(Exception, match="No space left"):
        append(log)
    assert files.size(LOG) == log.size_bytes, "what arrived is cut off"
    files.free_disk()
    append(log)
    assert log.log_end_offset == 2


def test_where_a_file_cannot_be_made_longer_it_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SystemFiles()
    log = open_log(files, str(tmp_path / "t-0"))

    def refuse(fd: int, size_bytes: int) -> None:
        raise OSError(errno.EFBIG, "File too large")

    with monkeypatch.context() as patched:
        patched.setattr("os.ftruncate", refuse)
        append(log)
    assert (tmp_path / "t-0" / f"{0:020}.log").stat().st_size == log.size_bytes
    append(log)
    log.close()


def test_where_a_sync_notes_the_length_anyway_no_room_is_made(tmp_path: Path) -> None:
    log = open_log(SystemFiles(capabilities=PORTABLE), str(tmp_path / "t-0"))
    append(log)
    assert (tmp_path / "t-0" / f"{0:020}.log").stat().st_size == log.size_bytes
    log.close()


def test_the_files_of_a_broker_that_was_killed_are_found_sound() -> None:
    files = PowerCutFiles()
    directory = LogDirectory.open("/data", files=files, node_id=1, cluster_id="c", new_id=lambda: UUID(int=9), now_ms=0)
    directory.load(lambda topic: LogConfig(), now_ms=0)
    log = directory.create_log("t", 0, UUID(int=7), LogConfig(), now_ms=0)
    for _ in range(5):
        append(log)
    log.flush()
    found = files.kill()
    assert found.size(LOG) > log.size_bytes
    assert list(check_directory("/data", found, deep=True)) == []
    dumped = list(dump_log(LOG, found))
    assert [type(each) for each in dumped] == [DumpedBatch] * 5
