"""Files of the operating system behind a bounded cache of descriptors.

A descriptor is opened on first use and kept until the cache is full (`max_descriptors`; least recently
used goes first, one in use never), so ten thousand partitions need ten thousand small objects and not
thirty thousand descriptors. Files that were synced since their last write are closed before those that were
not, because a descriptor that stays open is sure to be told of a failed writeback.

What only some systems have (positioned reads and writes, reads that refuse to wait, fdatasync, folders
that can be synced) is named in `Capabilities`; `PORTABLE` uses none of it and is what a system without them
gets. Tests force it.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from ..protocol.spare_buffers import SpareBuffers
from ..protocol.values import dataclass
from .file_lock import FileLock, SystemFileLock
from .files import Data, File, FileClosed, Files

DEFAULT_MAX_DESCRIPTORS = 1000
# Half of what the process may open: the rest is for sockets.
DESCRIPTOR_SHARE = 0.5
# How many of the oldest are looked at for a synced one before the oldest is closed whatever it is.
EVICTION_LOOKAHEAD = 32
# Chunks on their way to readers are read into buffers that are used again, those of one burst.
SMALLEST_SPARE_BYTES = 128 * 1024  # below that the allocator keeps memory by itself
LARGEST_SPARE_BYTES = 1024 * 1024
MOST_SPARES = 4

Chunk = TypeVar("Chunk", bytearray, memoryview)

_WOULD_WAIT = {errno.EAGAIN, errno.EWOULDBLOCK}
_OPEN_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the system offers beyond plain seek, read, write and fsync."""

    positioned: bool  # pread and pwrite: no seek, so no lock around it
    no_wait: bool  # preadv with RWF_NOWAIT: read only what is in the page cache
    data_sync: bool  # fdatasync: leaves out the file's times
    full_sync: bool  # F_FULLFSYNC: macOS's fsync stops at the drive's own cache
    directory_sync: bool  # a folder can be opened and synced

    @classmethod
    def detect(cls) -> Capabilities:
        return cls(
            positioned=hasattr(os, "pread") and hasattr(os, "pwrite"),
            no_wait=hasattr(os, "preadv") and hasattr(os, "RWF_NOWAIT"),
            data_sync=hasattr(os, "fdatasync") and sys.platform != "darwin",
            full_sync=sys.platform == "darwin",
            directory_sync=os.name == "posix",
        )


PORTABLE = Capabilities(positioned=False, no_wait=False, data_sync=False, full_sync=False, directory_sync=False)


def default_max_descriptors() -> int:
    """What the process's limit allows, at most the default; systems without such a limit get the default."""
    try:
        import resource
    except ImportError:
        return DEFAULT_MAX_DESCRIPTORS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return DEFAULT_MAX_DESCRIPTORS
    return max(16, min(DEFAULT_MAX_DESCRIPTORS, int(soft * DESCRIPTOR_SHARE)))


class SystemFiles(Files):
    """The real thing. `capabilities` is given by tests that force the portable way."""

    def __init__(self, *, max_descriptors: int | None = None, capabilities: Capabilities | None = None) -> None:
        self.capabilities = capabilities or Capabilities.detect()
        self.max_descriptors = max_descriptors or default_max_descriptors()
        self._lock = threading.Lock()
        self._opened: OrderedDict[_SystemFile, None] = OrderedDict()
        self._sync_descriptor = _choose_sync(self.capabilities)
        self.chunk_buffers = SpareBuffers(most=MOST_SPARES, largest_bytes=LARGEST_SPARE_BYTES)
        self.length_costs_sync = self.capabilities.data_sync  # fdatasync leaves out what a file's end does not need

    @property
    def open_descriptors(self) -> int:
        return len(self._opened)

    def open(self, path: str) -> File:
        return _PositionedFile(self, path) if self.capabilities.positioned else _SeekingFile(self, path)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def modified_ms(self, path: str, default_ms: int) -> int:
        return os.stat(path).st_mtime_ns // 1_000_000 if os.path.exists(path) else default_ms

    def set_modified_ms(self, path: str, when_ms: int) -> None:
        os.utime(path, ns=(when_ms * 1_000_000, when_ms * 1_000_000))

    def list_files(self, directory: str) -> list[str]:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_file()]

    def list_directories(self, directory: str) -> list[str]:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir()]

    def make_directory(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)

    def remove(self, path: str) -> None:
        if os.path.exists(path):
            os.remove(path)

    def remove_directory(self, path: str) -> None:
        if os.path.isdir(path):
            os.rmdir(path)

    def sync_directory(self, path: str) -> None:
        if not self.capabilities.directory_sync:
            return  # the file system orders its own names, or there is no way to ask
        fd = os.open(path or ".", os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, path: str, since: str) -> FileLock:
        return SystemFileLock.acquire(path, since)

    # The descriptor cache. One lock over all of it; held for dictionary work and at most one open and one
    # close.

    def _take(self, file: _SystemFile, create: int = 0) -> int:
        """The file's descriptor, until `_give_back`. `create` is O_CREAT for the calls that may make the file."""
        with self._lock:
            if file._fd >= 0 and not file._closed:
                self._opened.move_to_end(file)
            else:
                self._open(file, create)
            file._users += 1
            return file._fd

    def _open(self, file: _SystemFile, create: int) -> None:
        if file._closed:
            raise FileClosed(errno.EBADF, "closed", file.path)
        self._make_room()
        file._fd = os.open(file.path, _OPEN_FLAGS | create, 0o644)
        self._opened[file] = None

    def _give_back(self, file: _SystemFile) -> None:
        with self._lock:
            file._users -= 1
            if file._closed and file._users == 0:
                self._close_descriptor(file)

    def _close(self, file: _SystemFile) -> None:
        with self._lock:
            file._closed = True
            if file._users == 0:
                self._close_descriptor(file)

    def _rename(self, file: _SystemFile, path: str, *, close_first: bool) -> None:
        # Under the lock: a reader whose descriptor was evicted must not open the old name meanwhile.
        with self._lock:
            if close_first and file._users == 0:
                self._close_descriptor(file)
            os.replace(file.path, path)
            file.path = path

    def _make_room(self) -> None:
        while len(self._opened) >= self.max_descriptors:
            victim = self._choose_victim()
            if victim is None:
                return  # all are in use this moment: go over the bound rather than fail
            self._close_descriptor(victim)

    def _choose_victim(self) -> _SystemFile | None:
        oldest_unsynced: _SystemFile | None = None
        idle_seen = 0
        for file in self._opened:
            if file._users:
                continue
            if not file._unsynced:
                return file
            oldest_unsynced = oldest_unsynced or file
            idle_seen += 1
            if idle_seen >= EVICTION_LOOKAHEAD:
                break
        return oldest_unsynced

    def _close_descriptor(self, file: _SystemFile) -> None:
        if file._fd >= 0:
            fd, file._fd = file._fd, -1
            del self._opened[file]
            os.close(fd)


def _choose_sync(capabilities: Capabilities) -> Callable[[int], None]:
    if capabilities.data_sync:
        return os.fdatasync
    if capabilities.full_sync:
        return _full_sync
    return os.fsync


def _full_sync(fd: int) -> None:
    import fcntl

    fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]


class _SystemFile(File):
    """What both kinds share; they differ in how bytes are put at and taken from a position."""

    __slots__ = ("_closed", "_fd", "_files", "_unsynced", "_users")

    def __init__(self, files: SystemFiles, path: str) -> None:
        self.path = path
        self._files = files
        self._fd = -1
        self._users = 0
        self._unsynced = False
        self._closed = False

    def size(self) -> int:
        if self._fd < 0 and not self._closed:
            try:
                return os.stat(self.path).st_size
            except FileNotFoundError:
                return 0
        fd = self._files._take(self)
        try:
            return os.fstat(fd).st_size
        finally:
            self._files._give_back(self)

    def truncate(self, size_bytes: int) -> None:
        self._unsynced = True
        fd = self._files._take(self, create=os.O_CREAT)
        try:
            os.ftruncate(fd, size_bytes)
        finally:
            self._files._give_back(self)

    def sync(self) -> None:
        fd = self._files._take(self)
        try:
            # Cleared first: a write during the sync is not covered by it and sets it again.
            self._unsynced = False
            self._files._sync_descriptor(fd)
        except BaseException:
            self._unsynced = True
            raise
        finally:
            self._files._give_back(self)

    def rename(self, path: str) -> None:
        self._files._rename(self, path, close_first=os.name == "nt")  # Windows renames no open file

    def close(self) -> None:
        self._files._close(self)


class _PositionedFile(_SystemFile):
    __slots__ = ()

    def write(self, data: Data, position: int) -> None:
        self._unsynced = True
        fd = self._files._take(self, os.O_CREAT)
        try:
            written = os.pwrite(fd, data, position)
            if written != len(data):
                _write_rest(fd, memoryview(data), written, position)
        finally:
            self._files._give_back(self)

    def read(self, size_bytes: int, position: int) -> bytes:
        fd = self._files._take(self)
        try:
            data = os.pread(fd, size_bytes, position)
            if len(data) == size_bytes or not data:
                return data
            return _read_rest(fd, data, size_bytes, position)
        finally:
            self._files._give_back(self)

    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        if not self._files.capabilities.no_wait:
            return self.read(size_bytes, position)
        fd = self._files._take(self)
        try:
            return self._read_cached(fd, bytearray(size_bytes), position)
        finally:
            self._files._give_back(self)

    def read_chunk_now(self, size_bytes: int, position: int) -> bytes | bytearray | memoryview | None:
        if size_bytes < SMALLEST_SPARE_BYTES or not self._files.capabilities.no_wait:
            return self.read_now(size_bytes, position)
        fd = self._files._take(self)
        try:
            return self._read_cached(fd, self._files.chunk_buffers.take(size_bytes), position)
        finally:
            self._files._give_back(self)

    def _read_cached(self, fd: int, buffer: Chunk, position: int) -> Chunk | bytes | None:
        size_bytes = len(buffer)
        try:
            count = os.preadv(fd, [buffer], position, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno in _WOULD_WAIT:
                return None
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system that cannot tell
                return os.pread(fd, size_bytes, position)
            raise
        if count == size_bytes:
            return buffer
        if position + count < os.fstat(fd).st_size:
            return None  # the rest is cold
        return buffer[:count]


def _write_rest(fd: int, data: memoryview, written: int, position: int) -> None:
    data = data.cast("B")
    while written < len(data):
        count = os.pwrite(fd, data[written:], position + written)
        if count == 0:
            raise OSError(errno.ENOSPC, "the disk took no more bytes")
        written += count


def _read_rest(fd: int, data: bytes, size_bytes: int, position: int) -> bytes:
    parts, have = [data], len(data)
    while have < size_bytes:
        part = os.pread(fd, size_bytes - have, position + have)
        if not part:
            break
        parts.append(part)
        have += len(part)
    return b"".join(parts)


class _SeekingFile(_SystemFile):
    """Without positioned calls, a position is a seek: a lock per file keeps seek and transfer together."""

    __slots__ = ("_seek_lock",)

    def __init__(self, files: SystemFiles, path: str) -> None:
        super().__init__(files, path)
        self._seek_lock = threading.Lock()

    def write(self, data: Data, position: int) -> None:
        self._unsynced = True
        with self._seek_lock:
            fd = self._files._take(self, create=os.O_CREAT)
            try:
                self._write_at(fd, memoryview(data).cast("B"), position)
            finally:
                self._files._give_back(self)

    def _write_at(self, fd: int, rest: memoryview, position: int) -> None:
        os.lseek(fd, position, os.SEEK_SET)
        while rest:
            count = os.write(fd, rest)
            if count == 0:
                raise OSError(errno.ENOSPC, "the disk took no more bytes", self.path)
            rest = rest[count:]

    def read(self, size_bytes: int, position: int) -> bytes:
        with self._seek_lock:
            fd = self._files._take(self)
            try:
                return self._read_at(fd, size_bytes, position)
            finally:
                self._files._give_back(self)

    def _read_at(self, fd: int, size_bytes: int, position: int) -> bytes:
        parts = []
        os.lseek(fd, position, os.SEEK_SET)
        while size_bytes:
            part = os.read(fd, size_bytes)
            if not part:
                break
            parts.append(part)
            size_bytes -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        return self.read(size_bytes, position)

    def rename(self, path: str) -> None:
        with self._seek_lock:  # no read is under way, so the descriptor can be closed
            self._files._rename(self, path, close_first=True)
