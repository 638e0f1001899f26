"""Files of the operating system, behind a bounded cache of descriptors (`descriptors`): ten thousand partitions need ten
thousand small objects and not thirty thousand descriptors.

What only some systems have (positioned reads and writes, reads that refuse to wait, fdatasync, folders
that can be synced) is named in `Capabilities`; `PORTABLE` uses none of it and is what a system without them
gets. Tests force it.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from ..protocol.spare_buffers import SpareBuffers
from ..protocol.values import dataclass
from .descriptors import CachedFile, Descriptor, DescriptorCache, default_max_descriptors
from .file_lock import FileLock, SystemFileLock
from .files import Data, File, Files

# Chunks on their way to readers are read into buffers that are used again, those of one burst.
SMALLEST_SPARE_BYTES = 128 * 1024  # below that the allocator keeps memory by itself
LARGEST_SPARE_BYTES = 1024 * 1024
MOST_SPARES = 4

Chunk = TypeVar("Chunk", bytearray, memoryview)

_WOULD_WAIT = {errno.EAGAIN, errno.EWOULDBLOCK}


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


class SystemFiles(Files):
    """The real thing. `capabilities` is given by tests that force the portable way.

    `access` is O_RDONLY for those who only look: they may look at files that they may not write, on a read-only disk, too.
    """

    def __init__(
        self,
        *,
        max_descriptors: int | None = None,
        capabilities: Capabilities | None = None,
        access: int = os.O_RDWR,
    ) -> None:
        self.capabilities = capabilities or Capabilities.detect()
        self.descriptors = DescriptorCache(max_descriptors or default_max_descriptors(), access)
        self.sync_descriptor = _choose_sync(self.capabilities)
        self.chunk_buffers = SpareBuffers(most=MOST_SPARES, largest_bytes=LARGEST_SPARE_BYTES)
        self.length_costs_sync = self.capabilities.data_sync  # fdatasync leaves out what a file's end does not need

    @property
    def open_descriptors(self) -> int:
        return len(self.descriptors)

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


def _choose_sync(capabilities: Capabilities) -> Callable[[int], None]:
    if capabilities.data_sync:
        return os.fdatasync
    if capabilities.full_sync:
        return _full_sync
    return os.fsync


def _full_sync(fd: int) -> None:
    import fcntl

    fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]


class _SystemFile(CachedFile):
    """What both kinds share; they differ in how bytes are put at and taken from a position."""

    __slots__ = ("_files",)

    def __init__(self, files: SystemFiles, path: str) -> None:
        super().__init__(path)
        self._files = files

    def _open(self, create: int = 0) -> Descriptor:
        """To be held as long as it is used."""
        self.recently_used = True
        return self.descriptor or self._files.descriptors.open(self, create)

    def size(self) -> int:
        if self.descriptor is None and not self.is_closed:
            try:
                return os.stat(self.path).st_size
            except FileNotFoundError:
                return 0
        descriptor = self._open()
        return os.fstat(descriptor.number).st_size

    def truncate(self, size_bytes: int) -> None:
        self.unsynced = True
        descriptor = self._open(os.O_CREAT)
        os.ftruncate(descriptor.number, size_bytes)

    def sync(self) -> None:
        descriptor = self._open()
        # Cleared first: a write during the sync is not covered by it and sets it again.
        self.unsynced = False
        try:
            self._files.sync_descriptor(descriptor.number)
        except BaseException:
            self.unsynced = True
            raise

    def rename(self, path: str) -> None:
        self._files.descriptors.rename(self, path, close_first=os.name == "nt")  # Windows renames no open file

    def close(self) -> None:
        self._files.descriptors.close(self)


class _PositionedFile(_SystemFile):
    __slots__ = ()

    def write(self, data: Data, position: int) -> None:
        self.unsynced = self.recently_used = True
        # As `_open`, without the call: every small request passes here.
        descriptor = self.descriptor or self._files.descriptors.open(self, os.O_CREAT)
        written = os.pwrite(descriptor.number, data, position)
        if written != len(data):
            _write_rest(descriptor.number, memoryview(data), written, position)

    def read(self, size_bytes: int, position: int) -> bytes:
        descriptor = self._open()
        data = os.pread(descriptor.number, size_bytes, position)
        if len(data) == size_bytes or not data:
            return data
        return _read_rest(descriptor.number, data, size_bytes, position)

    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        if not self._files.capabilities.no_wait:
            return self.read(size_bytes, position)
        descriptor = self._open()
        return self._read_cached(descriptor.number, bytearray(size_bytes), position)

    def read_chunk_now(self, size_bytes: int, position: int) -> bytes | bytearray | memoryview | None:
        if size_bytes < SMALLEST_SPARE_BYTES or not self._files.capabilities.no_wait:
            return self.read_now(size_bytes, position)
        descriptor = self._open()
        return self._read_cached(descriptor.number, self._files.chunk_buffers.take(size_bytes), position)

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
        self.unsynced = True
        with self._seek_lock:
            descriptor = self._open(os.O_CREAT)
            self._write_at(descriptor.number, memoryview(data).cast("B"), position)

    def _write_at(self, fd: int, rest: memoryview, position: int) -> None:
        os.lseek(fd, position, os.SEEK_SET)
        while rest:
            count = os.write(fd, rest)
            if count == 0:
                raise OSError(errno.ENOSPC, "the disk took no more bytes", self.path)
            rest = rest[count:]

    def read(self, size_bytes: int, position: int) -> bytes:
        with self._seek_lock:
            descriptor = self._open()
            return self._read_at(descriptor.number, size_bytes, position)

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
            self._files.descriptors.rename(self, path, close_first=True)
