"""Files of a compaction that was interrupted, as Apache Kafka leaves them, at each of its steps."""

from __future__ import annotations

import pytest
from ottla.protocol.records import read_header
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from support.batches import batch
from support.log_content import read_batches
from support.power_cut import PowerCutFiles

FOLDER = "/data/t-0"
CONFIG = LogConfig(segment_bytes=150, cleanup_policy=frozenset({"compact"}))


def disk() -> PowerCutFiles:
    """A closed log of six batches in three segments: 0, 2 and 4."""
    files = PowerCutFiles()
    files.make_directory(FOLDER)
    log = Log.open(FOLDER, files=files, config=CONFIG, now_ms=0, clean=True)
    for _ in range(6):
        log.append(batch(b"v", key=b"k"), leader_epoch=0, now_ms=0)
    log.close()
    return files


def put(files: PowerCutFiles, base_offset: int, mark: str, data: bytes) -> None:
    """The file of a compacted segment, under the name of one of the steps."""
    file = files.open(f"{FOLDER}/{base_offset:020}.log{mark}")
    file.write(data, 0)
    file.close()


def offsets(files: PowerCutFiles) -> list[int]:
    log = Log.open(FOLDER, files=files, config=CONFIG, now_ms=0, clean=True)
    log.check()
    names = files.list_files(FOLDER)
    assert not [name for name in names if name.endswith((".cleaned", ".swap", ".deleted"))]
    return [read_header(each).base_offset for each in read_batches(log)]


@pytest.fixture
def compacted() -> bytes:
    """What compaction makes of segments 0 and 2: the last record of the key in them."""
    files = disk()
    data = files.read_bytes(f"{FOLDER}/{2:020}.log")
    return data[len(data) // 2 :]


def test_while_the_new_segment_was_being_written_nothing_has_changed(compacted: bytes) -> None:
    files = disk()
    put(files, 0, ".cleaned", compacted[:50])
    assert offsets(files) == [0, 1, 2, 3, 4, 5]


def test_once_it_is_renamed_it_takes_the_old_ones_place(compacted: bytes) -> None:
    files = disk()
    put(files, 0, ".swap", compacted)
    assert offsets(files) == [3, 4, 5]
    assert not files.exists(f"{FOLDER}/{2:020}.log")


def test_also_when_the_old_ones_are_already_put_away(compacted: bytes) -> None:
    files = disk()
    put(files, 0, ".swap", compacted)
    for base_offset in (0, 2):
        files.rename(f"{FOLDER}/{base_offset:020}.log", f"{FOLDER}/{base_offset:020}.log.deleted")
    assert offsets(files) == [3, 4, 5]


def test_a_renaming_that_was_not_done_is_undone(compacted: bytes) -> None:
    files = disk()
    put(files, 0, ".cleaned", compacted)
    put(files, 2, ".swap", compacted)
    assert offsets(files) == [0, 1, 2, 3, 4, 5]
