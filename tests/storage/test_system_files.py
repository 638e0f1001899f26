"""The system's files behind the seam, by the fast way of this system and by the portable one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ottla.storage.file_lock import LockHeld
from ottla.storage.files import FileClosed, is_disk_full
from ottla.storage.system_files import LARGEST_SPARE_BYTES, PORTABLE, Capabilities, SystemFiles

WAYS = {"this system's": None, "portable": PORTABLE}


@pytest.fixture(params=WAYS, ids=list(WAYS))
def files(request: pytest.FixtureRequest) -> SystemFiles:
    return SystemFiles(max_descriptors=4, capabilities=WAYS[request.param])


def test_opening_touches_nothing_and_reading_creates_nothing(files: SystemFiles, tmp_path: Path) -> None:
    file = files.open(str(tmp_path / "a"))
    assert file.size() == 0
    with pytest.raises(FileNotFoundError):
        file.read(10, 0)
    with pytest.raises(FileNotFoundError):
        file.sync()
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_stays_as_it_is_while_anybody_looks_at_it(files: SystemFiles, tmp_path: Path) -> None:
    size_bytes = LARGEST_SPARE_BYTES
    file = files.open(str(tmp_path / "a"))
    for number in range(10):
        file.write(bytes((number,)) * size_bytes, number * size_bytes)

    chunks = [file.read_chunk_now(size_bytes, number * size_bytes) for number in range(10)]
    kept = [memoryview(chunk or b"")[-10:] for chunk in chunks]
    del chunks
    later = file.read_chunk_now(size_bytes, 3)

    assert [bytes(each) for each in kept] == [bytes((number,)) * 10 for number in range(10)]
    assert later == bytes(size_bytes - 3) + b"\x01" * 3
    file.close()


def test_the_end_cuts_a_chunk_short(files: SystemFiles, tmp_path: Path) -> None:
    file = files.open(str(tmp_path / "a"))
    file.write(b"x" * LARGEST_SPARE_BYTES, 0)

    assert file.read_chunk_now(LARGEST_SPARE_BYTES, 1) == b"x" * (LARGEST_SPARE_BYTES - 1)
    file.close()


def test_what_is_written_is_read_and_the_end_cuts_a_read_short(files: SystemFiles, tmp_path: Path) -> None:
    file = files.open(str(tmp_path / "a"))
    file.write(b"hello", 0)
    file.write(memoryview(bytearray(b"world")), 5)
    assert file.read(100, 0) == b"helloworld"
    assert file.read(3, 4) == b"owo"
    assert file.read(3, 10) == b""
    assert bytes(file.read_now(100, 5) or b"") == b"world"
    assert file.size() == files.size(str(tmp_path / "a")) == 10
    file.truncate(2)
    assert file.read(100, 0) == b"he"
    file.truncate(4)
    assert file.read(100, 0) == b"he\0\0"
    file.sync()


def test_no_more_descriptors_are_open_than_allowed(files: SystemFiles, tmp_path: Path) -> None:
    opened = [files.open(str(tmp_path / str(n))) for n in range(20)]
    for number, file in enumerate(opened):
        file.write(b"%d" % number, 0)
        assert files.open_descriptors <= 4
    for number, file in enumerate(opened):
        assert file.read(9, 0) == b"%d" % number
        assert files.open_descriptors <= 4
    for file in opened:
        file.close()
    assert files.open_descriptors == 0


def test_a_file_that_is_not_synced_keeps_its_descriptor_longer(tmp_path: Path) -> None:
    files = SystemFiles(max_descriptors=3)
    dirty, *clean = [files.open(str(tmp_path / str(n))) for n in range(3)]
    dirty.write(b"x", 0)
    for file in clean:
        file.write(b"x", 0)
        file.sync()
    files.open(str(tmp_path / "new")).write(b"x", 0)
    assert dirty.descriptor is not None  # type: ignore[attr-defined]
    assert clean[0].descriptor is None  # type: ignore[attr-defined]


def test_a_closed_file_never_opens_its_path_again(files: SystemFiles, tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = files.open(str(path))
    file.write(b"old", 0)
    file.close()
    file.close()
    path.write_bytes(b"another topic's")
    with pytest.raises(FileClosed):
        file.read(3, 0)
    with pytest.raises(FileClosed):
        file.write(b"x", 0)


def test_a_renamed_file_is_read_on_under_its_new_name(files: SystemFiles, tmp_path: Path) -> None:
    file = files.open(str(tmp_path / "a"))
    file.write(b"bytes", 0)
    file.rename(str(tmp_path / "a.deleted"))
    assert [each.name for each in tmp_path.iterdir()] == ["a.deleted"]
    assert file.read(5, 0) == b"bytes"
    for number in range(5):
        files.open(str(tmp_path / str(number))).write(b"x", 0)  # takes the descriptor away
    assert file.read(5, 0) == b"bytes"


def test_a_replaced_file_is_whole_and_leaves_nothing_beside_it(files: SystemFiles, tmp_path: Path) -> None:
    path = str(tmp_path / "checkpoint")
    files.replace_bytes(path, b"old and long")
    files.replace_bytes(path, b"new")
    assert files.read_bytes(path) == b"new"
    assert files.list_files(str(tmp_path)) == ["checkpoint"]


def test_folders(files: SystemFiles, tmp_path: Path) -> None:
    folder = str(tmp_path / "t-0")
    files.make_directory(folder)
    files.make_directory(folder)
    files.open(os.path.join(folder, "a")).write(b"x", 0)
    assert files.list_directories(str(tmp_path)) == ["t-0"]
    assert files.list_files(folder) == ["a"]
    files.rename(folder, folder + "-delete")
    files.remove(os.path.join(folder + "-delete", "a"))
    files.remove(os.path.join(folder + "-delete", "a"))
    files.remove_directory(folder + "-delete")
    files.remove_directory(folder + "-delete")
    files.sync_directory(str(tmp_path))
    assert not files.exists(folder)


def test_a_lock_excludes_this_process_and_names_it(files: SystemFiles, tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    lock = files.lock(path, "noon")
    with pytest.raises(LockHeld) as caught:
        files.lock(path, "later")
    assert caught.value.holder == f"{os.getpid()} noon"
    lock.release()
    lock.release()
    files.lock(path, "later").release()


def test_a_lock_excludes_another_process(files: SystemFiles, tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    lock = files.lock(path, "noon")
    script = (
        "import sys; from ottla.storage.system_files import SystemFiles\n"
        "try: SystemFiles().lock(sys.argv[1], 'x')\n"
        "except OSError as error: print(error.holder)"
    )
    said = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"{os.getpid()} noon"
    lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the file size limit is set in a child of this process")
@pytest.mark.parametrize("way", WAYS)
def test_a_write_that_does_not_fit_raises_and_leaves_its_beginning(way: str, tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\n"
        "from ottla.storage.files import is_disk_full\n"
        "from ottla.storage.system_files import PORTABLE, SystemFiles\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "files = SystemFiles(capabilities=PORTABLE if sys.argv[2] == 'portable' else None)\n"
        "file = files.open(sys.argv[1])\n"
        "file.write(bytes(900), 0)\n"
        "try: file.write(b'x' * 200, 900)\n"
        "except OSError as error: print(is_disk_full(error), file.size())\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "a"), way]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split() == ["True", "1000"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_has_three_names(number: int) -> None:
    assert is_disk_full(OSError(number, ""))
    assert not is_disk_full(OSError(errno.EIO, ""))


def test_the_portable_way_uses_nothing_special(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("pread", "pwrite", "preadv", "pwritev", "fdatasync"):
        monkeypatch.delattr(os, name, raising=False)
    detected = Capabilities.detect()
    assert not (detected.positioned)
    assert not (detected.no_wait)
    assert not (detected.data_sync)
    files = SystemFiles(capabilities=PORTABLE)
    file = files.open(str(tmp_path / "a"))
    file.write(b"abc", 0)
    file.sync()
    assert file.read_now(2, 1) == b"bc"
    files.sync_directory(str(tmp_path))


def test_threads_may_read_while_descriptors_come_and_go(files: SystemFiles, tmp_path: Path) -> None:
    opened = [files.open(str(tmp_path / str(n))) for n in range(12)]
    for number, file in enumerate(opened):
        file.write(bytes([number]) * 10_000, 0)
    wrong: list[int] = []

    def read(start: int) -> None:
        for step in range(200):
            number = (start + step) % len(opened)
            if opened[number].read(10_000, 0) != bytes([number]) * 10_000:
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class FileMachine(RuleBasedStateMachine):
    """A file in both ways against a bytearray, with so few descriptors that they are always being closed."""

    @initialize(way=st.sampled_from(sorted(WAYS)))
    def begin(self, way: str) -> None:
        self.folder = Path(self._folders.mktemp("files"))
        self.files = SystemFiles(max_descriptors=1, capabilities=WAYS[way])
        self.opened = [self.files.open(str(self.folder / name)) for name in "abc"]
        self.twins = [bytearray() for _ in self.opened]
        for file in self.opened:
            file.truncate(0)

    @rule(which=st.integers(0, 2), data=st.binary(max_size=40), position=st.integers(0, 60))
    def write(self, which: int, data: bytes, position: int) -> None:
        self.opened[which].write(data, position)
        if data:
            self.twins[which].extend(bytes(max(0, position - len(self.twins[which]))))
            self.twins[which][position : position + len(data)] = data

    @rule(which=st.integers(0, 2), size_bytes=st.integers(0, 80))
    def truncate(self, which: int, size_bytes: int) -> None:
        self.opened[which].truncate(size_bytes)
        twin = self.twins[which]
        del twin[size_bytes:]
        twin.extend(bytes(size_bytes - len(twin)))

    @rule(which=st.integers(0, 2), size_bytes=st.integers(0, 80), position=st.integers(0, 80))
    def read(self, which: int, size_bytes: int, position: int) -> None:
        expected = bytes(self.twins[which][position : position + size_bytes])
        assert self.opened[which].read(size_bytes, position) == expected
        now = self.opened[which].read_now(size_bytes, position)
        assert now is None or bytes(now) == expected

    @rule(which=st.integers(0, 2), name=st.sampled_from("xyz"))
    def rename(self, which: int, name: str) -> None:
        self.opened[which].rename(str(self.folder / f"{which}{name}"))

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "files"):
            assert self.files.open_descriptors <= 1


@pytest.fixture(autouse=True)
def _folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    FileMachine._folders = tmp_path_factory  # type: ignore[attr-defined]


TestFileMachine = FileMachine.TestCase
TestFileMachine.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
