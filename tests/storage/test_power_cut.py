"""The disk that loses power, itself tested: as long as it has power it is the real one's twin; what is found
after a cut is what was synced, and nothing that was never written.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from ottla.storage.checkpoint import read_offsets, write_offsets
from ottla.storage.directory_names import TopicPartition
from ottla.storage.file_lock import LockHeld
from ottla.storage.files import File, FileClosed
from ottla.storage.system_files import SystemFiles
from support.power_cut import PowerCutFiles, PowerLost

RANDOMS = st.randoms(use_true_random=False)


def written(files: PowerCutFiles, path: str, data: bytes) -> File:
    file = files.open(path)
    file.write(data, 0)
    return file


# --- what a cut leaves ------------------------------------------------------------------------------------


@given(RANDOMS)
def test_what_was_synced_stays_bytes_and_name(randomness: Random):
    files = PowerCutFiles()
    written(files, "/a", b"kept").sync()
    files.sync_directory("/")
    assert files.cut(randomness).read_bytes("/a") == b"kept"


def test_a_synced_file_may_lose_its_unsynced_name():
    files = PowerCutFiles()
    written(files, "/a", b"kept").sync()
    found = {files.cut(Random(seed)).exists("/a") for seed in range(50)}
    assert found == {True, False}


def test_unsynced_bytes_may_be_there_torn_zero_or_gone():
    files = PowerCutFiles()
    file = written(files, "/a", b"old")
    file.sync()
    files.sync_directory("/")
    file.write(b"new" * 500, 3)
    found = {files.cut(Random(seed)).read_bytes("/a") for seed in range(300)}
    whole = b"old" + b"new" * 500
    assert {b"old", whole, b"old" + bytes(1500)} <= found
    assert all(data.startswith(b"old") for data in found)
    assert any(whole.startswith(data) and 3 < len(data) < len(whole) for data in found)
    assert any(len(data) == len(whole) and data[-3:] == b"new" and data != whole for data in found)


def test_later_writes_may_survive_earlier_ones():
    files = PowerCutFiles()
    file = written(files, "/a", b"1" * 512)
    files.sync_directory("/")
    file.write(b"2", 512)
    found = {files.cut(Random(seed)).read_bytes("/a") for seed in range(100)}
    assert {b"", b"1" * 512, b"1" * 512 + b"2", bytes(512) + b"2"} <= found


def test_a_sector_that_survives_has_all_that_was_written_to_it_before():
    files = PowerCutFiles()
    file = written(files, "/a", b"1")
    files.sync_directory("/")
    file.write(b"2", 1)
    found = {files.cut(Random(seed)).read_bytes("/a") for seed in range(100)}
    assert {b"", b"1", b"12"} <= found
    assert bytes(1) + b"2" not in found


def test_removed_and_renamed_files_may_be_back_under_their_old_names():
    files = PowerCutFiles()
    for name in ("/removed", "/old"):
        written(files, name, b"x").close()
    files.sync_directory("/")
    files.remove("/removed")
    files.rename("/old", "/new")
    found = {tuple(sorted(files.cut(Random(seed)).list_files("/"))) for seed in range(100)}
    assert found == {("new",), ("old",), ("new", "removed"), ("old", "removed")}


def test_a_failed_sync_gives_up_what_it_should_have_written():
    files = PowerCutFiles()
    file = written(files, "/a", b"lost")
    files.sync_directory("/")
    files.fail_next_sync(Random(2), errno.EIO)
    with pytest.raises(OSError) as caught:
        file.sync()
    assert caught.value.errno == errno.EIO
    assert file.read(10, 0) == b"lost"  # the system shows it still
    file.sync()  # and says that all is well
    found = {files.cut(Random(seed)).read_bytes("/a") for seed in range(50)}
    assert len(found) == 1
    assert found != {b"lost"}


def test_a_process_that_dies_leaves_all_it_wrote_and_nothing_more_is_synced():
    files = PowerCutFiles()
    written(files, "/a", b"in the page cache")
    after_kill = files.kill()
    assert after_kill.read_bytes("/a") == b"in the page cache"
    assert {after_kill.cut(Random(seed)).exists("/a") for seed in range(50)} == {True, False}


def test_when_the_power_is_gone_nothing_works_any_more():
    files = PowerCutFiles()
    file = written(files, "/a", b"1")
    files.cut_after(2)
    file.write(b"2", 1)
    with pytest.raises(PowerLost):
        file.sync()
    for use in (lambda: file.read(1, 0), lambda: files.remove("/a"), lambda: files.list_files("/")):
        with pytest.raises(PowerLost):
            use()
    file.close()
    files.cut(Random(0)).list_files("/")


def test_a_full_disk_stops_in_the_middle_of_a_write_and_goes_on_when_there_is_room():
    files = PowerCutFiles()
    file = written(files, "/a", b"12")
    files.fill_disk(3, errno.EDQUOT)
    with pytest.raises(OSError) as caught:
        file.write(b"34567", 2)
    assert caught.value.errno == errno.EDQUOT
    assert file.read(10, 0) == b"12345"
    file.write(b"abcde", 0)  # needs no more room
    file.truncate(2)
    file.write(b"345", 2)
    files.free_disk()
    file.write(b"67", 5)
    assert file.read(10, 0) == b"ab34567"


def test_what_windows_refuses_is_refused_here():
    files = PowerCutFiles()
    files.make_directory("/d")
    file = written(files, "/d/a", b"1")
    for use in (
        lambda: files.remove("/d/a"),
        lambda: files.rename("/d/a", "/d/b"),
        lambda: files.rename("/d", "/e"),
    ):
        with pytest.raises(AssertionError, match="Windows"):
            use()
    file.rename("/d/b")
    file.close()
    files.rename("/d", "/e")
    assert files.list_files("/e") == ["b"]


def test_a_lock_is_held_until_it_is_released():
    files = PowerCutFiles()
    lock = files.lock("/.lock", "today")
    with pytest.raises(LockHeld):
        files.lock("/.lock", "today")
    lock.release()
    files.lock("/.lock", "today")


# --- as long as there is power ----------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
FOLDERS = st.sampled_from(["", "d", "e"])
PATHS = st.builds("/".join, st.tuples(FOLDERS, NAMES)).map(lambda path: "/" + path.lstrip("/"))


class Twins(RuleBasedStateMachine):
    """The same calls on a real folder and on the memory disk; files are opened, used and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.mkdtemp(prefix="ottla-twins-")
        self.real = SystemFiles()
        self.memory = PowerCutFiles()
        for folder in ("d", "e"):
            self.real.make_directory(f"{self.root}/{folder}")
            self.memory.make_directory(f"/{folder}")

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def on_both(self, use) -> None:
        outcomes = []
        for files, root in ((self.real, self.root), (self.memory, "")):
            try:
                outcomes.append(use(files, root))
            except OSError as error:
                outcomes.append(type(error))
        assert outcomes[0] == outcomes[1]

    def use_file(self, path: str, use) -> None:
        def opened(files, root):
            file = files.open(root + path)
            try:
                return use(file)
            finally:
                file.close()

        self.on_both(opened)

    @rule(path=PATHS, data=st.binary(max_size=20), position=st.integers(0, 30))
    def write(self, path, data, position):
        self.use_file(path, lambda file: file.write(data, position))

    @rule(path=PATHS, size_bytes=st.integers(0, 30), position=st.integers(0, 30))
    def read(self, path, size_bytes, position):
        self.use_file(path, lambda file: bytes(file.read(size_bytes, position)))

    @rule(path=PATHS, size_bytes=st.integers(0, 30))
    def truncate(self, path, size_bytes):
        self.use_file(path, lambda file: file.truncate(size_bytes))

    @rule(path=PATHS)
    def size(self, path):
        self.use_file(path, lambda file: file.size())
        self.on_both(lambda files, root: files.size(root + path))

    @rule(path=PATHS, data=st.binary(max_size=20))
    def replace(self, path, data):
        self.on_both(lambda files, root: files.replace_bytes(root + path, data))

    @rule(path=PATHS)
    def remove(self, path):
        self.on_both(lambda files, root: files.remove(root + path))

    @rule(folder=FOLDERS, old=NAMES, new=NAMES)
    def rename(self, folder, old, new):
        self.on_both(lambda files, root: files.rename(f"{root}/{folder}/{old}", f"{root}/{folder}/{new}"))

    @rule(folder=st.sampled_from(["d", "e"]))
    def remove_folder(self, folder):
        self.on_both(lambda files, root: files.remove_directory(f"{root}/{folder}"))

    @rule(folder=st.sampled_from(["d", "e"]))
    def make_folder(self, folder):
        self.on_both(lambda files, root: files.make_directory(f"{root}/{folder}"))

    @rule(folder=FOLDERS)
    def list_names(self, folder):
        self.on_both(lambda files, root: sorted(files.list_files(f"{root}/{folder}")))
        self.on_both(lambda files, root: sorted(files.list_directories(f"{root}/{folder}")))

    @rule(folder=FOLDERS)
    def sync_folder(self, folder):
        self.on_both(lambda files, root: files.sync_directory(f"{root}/{folder}"))


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_a_closed_file_never_opens_its_path_again():
    for files, root in ((SystemFiles(), tempfile.mkdtemp()), (PowerCutFiles(), "")):
        file = files.open(os.path.join(root, "a") if root else "/a")
        file.close()
        with pytest.raises(FileClosed):
            file.read(1, 0)


# --- checkpoints under a power cut --------------------------------------------------------------------------


class CheckpointUnderPowerCut(RuleBasedStateMachine):
    """A checkpoint is always one that was written whole: the last acknowledged, or the one under way."""

    path = "/data/recovery-point-offset-checkpoint"

    def __init__(self) -> None:
        super().__init__()
        self.files = PowerCutFiles()
        self.files.make_directory("/data")
        self.files.sync_directory("/")
        self.acknowledged: dict[TopicPartition, int] = {}
        self.under_way: dict[TopicPartition, int] | None = None
        self.has_power = True

    @precondition(lambda self: self.has_power)
    @rule(offset=st.integers(0, 2**63 - 1), count=st.integers(0, 100))
    def write(self, offset: int, count: int) -> None:
        self.under_way = {TopicPartition("topic", index): offset for index in range(count)}
        try:
            write_offsets(self.files, self.path, self.under_way)
        except PowerLost:
            self.has_power = False
        else:
            self.acknowledged, self.under_way = self.under_way, None

    @precondition(lambda self: self.has_power)
    @rule(changes=st.integers(1, 10))
    def let_the_power_go_soon(self, changes: int) -> None:
        self.files.cut_after(changes)

    @rule(randomness=RANDOMS)
    def cut(self, randomness: Random) -> None:
        self.files = self.files.cut(randomness)
        found = read_offsets(self.files, self.path)
        assert found in (self.acknowledged, self.under_way)
        self.acknowledged, self.under_way, self.has_power = found, None, True


TestCheckpointUnderPowerCut = CheckpointUnderPowerCut.TestCase
TestCheckpointUnderPowerCut.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
