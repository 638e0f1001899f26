"""Descriptors: the one used least lately goes, one in use is closed when its user lets go, and no number is another file's."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from ottla.storage.descriptors import CachedFile
from ottla.storage.files import File, FileClosed
from ottla.storage.system_files import SystemFiles


def test_what_was_used_since_it_was_last_passed_over_is_passed_over_again(tmp_path: Path) -> None:
    files = SystemFiles(max_descriptors=3)
    first, second, third, fourth, fifth = synced_files(files, tmp_path, 5)
    for file in (first, second, third):
        file.read(1, 0)
    fourth.read(1, 0)  # first goes, all others are passed over once
    second.read(1, 0)

    fifth.read(1, 0)

    assert [is_open(each) for each in (first, second, third, fourth, fifth)] == [False, True, False, True, True]


@pytest.mark.parametrize("take_away", ["evict", "close", "rename"])
def test_one_in_use_stays_open_until_its_user_lets_go(tmp_path: Path, take_away: str) -> None:
    files = SystemFiles(max_descriptors=1)
    file, other = synced_files(files, tmp_path, 2)
    file.read(1, 0)
    in_use = cached(file).descriptor
    assert in_use is not None

    if take_away == "evict":
        other.read(1, 0)
    elif take_away == "close":
        file.close()
    else:
        files.descriptors.rename(cached(file), str(tmp_path / "new"), close_first=True)

    assert cached(file).descriptor is None
    assert os.pread(in_use.number, 1, 0) == b"0"
    number = in_use.number
    del in_use
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_sync_goes_on_while_the_file_is_closed_and_its_number_given_to_nobody(tmp_path: Path) -> None:
    files = SystemFiles(max_descriptors=1)
    file, other = synced_files(files, tmp_path, 2)
    began, may_end = Event(), Event()
    synced: list[os.stat_result] = []

    def slow_sync(number: int) -> None:
        began.set()
        assert may_end.wait(10)
        synced.append(os.fstat(number))

    files.sync_descriptor = slow_sync
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(file.sync)
        assert began.wait(10)
        file.close()
        other.read(1, 0)
        may_end.set()
        done.result(10)

    assert os.path.samestat(synced[0], os.stat(tmp_path / "0"))
    with pytest.raises(FileClosed):
        file.read(1, 0)


def test_threads_that_take_descriptors_from_each_other_each_read_their_own_files_bytes(tmp_path: Path) -> None:
    files = SystemFiles(max_descriptors=2)
    opened = synced_files(files, tmp_path, 8)

    def read_all(step: int) -> set[tuple[int, bytes]]:
        return {(n % 8, opened[n % 8].read(1, 0)) for n in range(0, 4000 * step, step)}

    with ThreadPoolExecutor(4) as threads:
        seen = set().union(*threads.map(read_all, (1, 3, 5, 7)))

    assert seen == {(number, b"%d" % number) for number in range(8)}
    assert files.open_descriptors <= 2


def test_a_descriptor_that_the_system_cannot_close_is_told_and_nothing_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = synced_files(SystemFiles(max_descriptors=1), tmp_path, 1)
    file.read(1, 0)
    monkeypatch.setattr(os, "close", refusing(os.close))

    file.close()

    assert "closing a file" in caplog.text


def refusing(close: Callable[[int], None]) -> Callable[[int], None]:
    def refuse(number: int) -> None:
        close(number)
        raise OSError("the server is gone")

    return refuse


def synced_files(files: SystemFiles, directory: Path, count: int) -> list[File]:
    """Each holds its own number."""
    made = [files.open(str(directory / str(number))) for number in range(count)]
    for number, file in enumerate(made):
        (directory / str(number)).write_bytes(b"%d" % number)
        assert not is_open(file)
    return made


def is_open(file: File) -> bool:
    return cached(file).descriptor is not None


def cached(file: File) -> CachedFile:
    assert isinstance(file, CachedFile)
    return file
