"""Files in memory that can lose power, fill up, and fail to sync: a `Files` to put under the real
storage code.

    files = PowerCutFiles()
    log = Log.open("/data/t-0", files=files, ...)
    files.cut_after(7)                          # the seventh change from now on is the last one
    with pytest.raises(PowerLost): ...          # not an Exception: no handler mistakes it for a bad disk
    found = files.cut(randomness)               # what is there when the power is back; `files` stays dead
    log = Log.open("/data/t-0", files=found, ...)

What may be found after a cut is told in `unsynced`. Besides the power, three things can be made to go
wrong: the disk is full after so many bytes, also in the middle of one write (`fill_disk`); the next sync
fails and the system drops what it could not write, as Linux does (`fail_next_sync`); a position goes bad
(`flip`).

It is stricter than a system, too: renaming or removing a file that somebody has open is an
AssertionError here, because Windows refuses it. All of it may be used from several threads.
"""

from __future__ import annotations

import errno
import os
import threading
from random import Random

from ottla.storage.file_lock import FileLock, LockHeld
from ottla.storage.files import Data, File, FileClosed, Files
from support.unsynced import FileNode, FolderNode, Link, Rename, Truncate, Unlink, Write


class PowerLost(BaseException):
    """The machine is off; whatever touches the disk after that comes here, too."""


class PowerCutFiles(Files):
    """A disk in memory. Paths are absolute with `/`; missing parents of a new folder are made."""

    length_costs_sync = True

    def __init__(self, root: FolderNode | None = None) -> None:
        self._root = root or FolderNode()
        self._mutex = threading.RLock()
        self._open: set[PowerCutFile] = set()
        self._locked: dict[str, str] = {}
        self._off = False
        self._changes_left: int | None = None
        self._room_bytes: int | None = None
        self._full_errno = errno.ENOSPC
        self._sync_failure: tuple[int, Random] | None = None
        self.change_count = 0
        self.gave_up = False  # a sync failed: the system shows bytes that it will never write

    # --- what can go wrong ---------------------------------------------------------------------------

    def cut_after(self, changes: int) -> None:
        """The power goes during the change (write, sync, rename ...) of this number; the next one is 1."""
        self._changes_left = changes

    def cut(self, randomness: Random) -> PowerCutFiles:
        """Switch off, and return the disk as it is found when the power is back."""
        with self._mutex:
            self._off = True
            return PowerCutFiles(self._root.survivor(randomness))

    def kill(self) -> PowerCutFiles:
        """Only the process dies: the system has all bytes and names, and nothing more is synced than was."""
        with self._mutex:
            self._off = True
            return PowerCutFiles(self._root)

    def fill_disk(self, room_bytes: int, error_number: int = errno.ENOSPC) -> None:
        """Files may grow by so many bytes in all, then a write stops in the middle with this error."""
        self._room_bytes, self._full_errno = room_bytes, error_number

    def free_disk(self) -> None:
        """There is room again."""
        self._room_bytes = None

    def fail_next_sync(self, randomness: Random, error_number: int = errno.EIO) -> None:
        """The next `File.sync` raises, and what it should have written is given up by the system."""
        self._sync_failure = (error_number, randomness)

    def flip(self, path: str, position: int, bits: int = 0xFF) -> None:
        """A byte of the disk goes bad."""
        node = self._file_node(path)
        node.live[position] ^= bits
        if position < len(node.durable):
            node.durable[position] ^= bits

    # --- Files ---------------------------------------------------------------------------------------

    def open(self, path: str) -> File:
        return PowerCutFile(self, path)

    def exists(self, path: str) -> bool:
        with self._powered():
            return self._find(path) is not None

    def size(self, path: str) -> int:
        with self._powered():
            return len(self._file_node(path).live)

    def list_files(self, directory: str) -> list[str]:
        with self._powered():
            entries = self._folder_node(directory).live.items()
            return [name for name, node in entries if isinstance(node, FileNode)]

    def list_directories(self, directory: str) -> list[str]:
        with self._powered():
            entries = self._folder_node(directory).live.items()
            return [name for name, node in entries if isinstance(node, FolderNode)]

    def make_directory(self, path: str) -> None:
        with self._powered():
            parent = self._root
            for name in _names(path):
                node = parent.live.get(name)
                if node is None:
                    node = FolderNode()
                    parent.change(Link(name, node))
                    self._count_change()
                if not isinstance(node, FolderNode):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
                parent = node

    def rename(self, old: str, new: str) -> None:
        with self._powered():
            self._assert_not_open(old)
            self._rename(old, new)

    def remove(self, path: str) -> None:
        with self._powered():
            self._assert_not_open(path)
            node = self._find(path)
            if isinstance(node, FolderNode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            if node is not None:
                parent, name = self._parent(path)
                parent.change(Unlink(name))
                self._count_change()

    def remove_directory(self, path: str) -> None:
        with self._powered():
            self._assert_not_open(path)
            node = self._find(path)
            if node is None:
                return
            if not isinstance(node, FolderNode) or node.live:
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
            parent, name = self._parent(path)
            parent.change(Unlink(name))
            self._count_change()

    def sync_directory(self, path: str) -> None:
        with self._powered():
            node = self._folder_node(path)
            self._count_change()
            node.sync()

    def lock(self, path: str, since: str) -> FileLock:
        with self._powered():
            if path in self._locked:
                raise LockHeld(path, self._locked[path])
            self._take_file(path)
            self._locked[path] = f"{os.getpid()} {since}"
            return _MemoryLock(self, path)

    # --- what the files need -------------------------------------------------------------------------

    def _powered(self) -> threading.RLock:
        """The mutex, if the machine is on; an operation that begins while it is off ends here."""
        if self._off:
            raise PowerLost
        return self._mutex

    def _count_change(self) -> None:
        """Called when a change was issued (or a sync begun): this may be the moment the power goes."""
        self.change_count += 1
        if self._off:
            raise PowerLost
        if self._changes_left is not None:
            self._changes_left -= 1
            if self._changes_left <= 0:
                self._off = True
                raise PowerLost

    def _take_room(self, wanted_bytes: int) -> int:
        """How many of `wanted_bytes` a file may grow by; they are taken."""
        if self._room_bytes is None:
            return wanted_bytes
        granted_bytes = min(wanted_bytes, self._room_bytes)
        self._room_bytes -= granted_bytes
        return granted_bytes

    def _give_room(self, freed_bytes: int) -> None:
        if self._room_bytes is not None:
            self._room_bytes += max(0, freed_bytes)

    def _take_file(self, path: str) -> FileNode:
        """The file at `path`, made if it is not there."""
        node = self._find(path)
        if node is None:
            parent, name = self._parent(path)
            node = FileNode()
            parent.change(Link(name, node))
            self._count_change()
        if isinstance(node, FolderNode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return node

    def _rename(self, old: str, new: str) -> None:
        assert _names(old)[:-1] == _names(new)[:-1], "a rename stays in its folder"
        parent, old_name = self._parent(old)
        node = parent.live.get(old_name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
        replaced = self._find(new)
        if isinstance(replaced, FolderNode) and replaced.live:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), new)
        parent.change(Rename(old_name, _names(new)[-1], node))
        self._count_change()

    def _find(self, path: str) -> FileNode | FolderNode | None:
        node: FileNode | FolderNode | None = self._root
        for name in _names(path):
            node = node.live.get(name) if isinstance(node, FolderNode) else None
        return node

    def _file_node(self, path: str) -> FileNode:
        node = self._find(path)
        if not isinstance(node, FileNode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return node

    def _folder_node(self, path: str) -> FolderNode:
        node = self._find(path)
        if not isinstance(node, FolderNode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return node

    def _parent(self, path: str) -> tuple[FolderNode, str]:
        *folder, name = _names(path)
        return self._folder_node("/".join(folder)), name

    def _assert_not_open(self, path: str) -> None:
        names = _names(path)
        users = [file.path for file in self._open if _names(file.path)[: len(names)] == names]
        assert not users, f"{users} are open while {path} is renamed or removed: Windows refuses that"


class PowerCutFile(File):
    """One opened name of a PowerCutFiles; the file behind it is found (by a write: made) on first use."""

    __slots__ = ("_closed", "_files", "_node")

    def __init__(self, files: PowerCutFiles, path: str) -> None:
        self.path = path
        self._files = files
        self._node: FileNode | None = None
        self._closed = False

    def write(self, data: Data, position: int) -> None:
        with self._files._powered():
            node = self._take(create=True)
            data = bytes(data)
            growth_bytes = max(0, position + len(data) - node.written_end)
            missing_bytes = growth_bytes - self._files._take_room(growth_bytes)
            written = data[: max(0, len(data) - missing_bytes)]
            if written:
                node.written_end = max(node.written_end, position + len(written))
                node.change(Write(position, written))
                self._files._count_change()
            if missing_bytes:
                raise OSError(self._files._full_errno, os.strerror(self._files._full_errno), self.path)

    def read(self, size_bytes: int, position: int) -> bytes:
        with self._files._powered():
            return bytes(self._take().live[position : position + size_bytes])

    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        return self.read(size_bytes, position)

    def size(self) -> int:
        with self._files._powered():
            if self._node is None and not self._closed and self._files._find(self.path) is None:
                return 0
            return len(self._take().live)

    def truncate(self, size_bytes: int) -> None:
        with self._files._powered():
            node = self._take(create=True)
            self._files._give_room(node.written_end - size_bytes)
            node.written_end = min(node.written_end, size_bytes)  # a file that is made longer takes no room yet
            node.change(Truncate(size_bytes))
            self._files._count_change()

    def sync(self) -> None:
        with self._files._powered():
            node = self._take()
            self._files._count_change()
            failure, self._files._sync_failure = self._files._sync_failure, None
            if failure is not None:
                error_number, randomness = failure
                node.fail_to_sync(randomness)
                self._files.gave_up = True
                raise OSError(error_number, os.strerror(error_number), self.path)
            node.sync()

    def rename(self, path: str) -> None:
        with self._files._powered():
            assert not self._closed, f"{self.path} is closed"
            others = [file.path for file in self._files._open if file is not self and file.path == path]
            assert not others, f"{path} is open while another file takes its name: Windows refuses that"
            self._files._rename(self.path, path)
            self.path = path

    def close(self) -> None:
        with self._files._mutex:
            self._closed = True
            self._files._open.discard(self)

    def _take(self, *, create: bool = False) -> FileNode:
        if self._closed:
            raise FileClosed(errno.EBADF, "closed", self.path)
        if self._node is None:
            self._node = self._files._take_file(self.path) if create else self._files._file_node(self.path)
            self._files._open.add(self)
        return self._node


def _names(path: str) -> list[str]:
    """The steps from the root to `path`; on Windows without the drive, which `os.path.abspath` puts in front."""
    return [name for name in os.path.splitdrive(path)[1].replace("\\", "/").split("/") if name]


class _MemoryLock(FileLock):
    def __init__(self, files: PowerCutFiles, path: str) -> None:
        self._files = files
        self._path = path

    def release(self) -> None:
        self._files._locked.pop(self._path, None)
