"""The seam between the log and the operating system: what storage asks of files, and may believe of them.

A `Files` knows names (open, list, rename, remove, sync a directory, lock); a `File` knows bytes at
positions (write, read, truncate, sync). The real thing is `system_files`; nothing else in storage calls
`os` (but for `os.path`), so a test can put a disk that loses power under the whole house.

What the layers above rely on:

- **Nothing is durable until it is synced, twice.** A file's bytes are durable after `File.sync`, its name
  after `Files.sync_directory` of the folder that holds it. Creating, renaming and removing are changes of
  the folder, not of the file.
- **A File is a name, not a descriptor.** `open` touches nothing. The first write or truncate creates the
  file; reading and syncing one that is not there is a FileNotFoundError.
- **close is final.** A closed File never opens its path again: the path may by then belong to a new topic
  of the same name. A read that is under way finishes; the next one raises `FileClosed`.
- **write is whole or raises.** A short write is continued; when the disk is full half-way the OSError comes
  out and the bytes in front of it are on disk. The caller truncates. Nothing here decides.
- One thread writes a File; any thread may read or sync it.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod

from .file_lock import FileLock

Data = bytes | bytearray | memoryview

_FULL_DISK = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class FileClosed(OSError):
    """The File was closed (its segment or topic is gone); its path is never opened again."""


def is_disk_full(error: OSError) -> bool:
    """Whether room on the disk would have made it work: no space, no quota, or the file size limit."""
    return error.errno in _FULL_DISK


class File(ABC):
    """Bytes at positions, under a name that may change. Whoever opened it closes it."""

    __slots__ = ("path",)

    path: str

    @abstractmethod
    def write(self, data: Data, position: int) -> None:
        """Write all of `data` at `position`, creating the file if need be; OSError when it could not all be written."""

    @abstractmethod
    def read(self, size_bytes: int, position: int) -> bytes:
        """Read up to `size_bytes`; fewer only where the file ends. May wait for the disk."""

    @abstractmethod
    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        """As `read`, but None when the disk would have to be waited for (and the system can tell)."""

    def read_chunk_now(self, size_bytes: int, position: int) -> bytes | bytearray | memoryview | None:
        """As `read_now`, of what is passed on and let go: its memory is used again when nobody looks at it."""
        return self.read_now(size_bytes, position)

    @abstractmethod
    def size(self) -> int:
        """Length in bytes; 0 when the file does not exist."""

    @abstractmethod
    def truncate(self, size_bytes: int) -> None:
        """Cut (or extend with zeros) to `size_bytes`."""

    @abstractmethod
    def sync(self) -> None:
        """Return when every byte written before the call is on the disk. The file's name is not covered."""

    @abstractmethod
    def rename(self, path: str) -> None:
        """Give the file another name in the same folder; replaces what has it. Readers under way are not disturbed."""

    @abstractmethod
    def close(self) -> None:
        """Give the descriptor back once no read is under way; every later use raises FileClosed."""


class Files(ABC):
    """Names in folders. Paths are plain text, as `os.path` makes them."""

    length_costs_sync: bool = False
    """Whether a sync takes longer where the file has grown, so that it pays to let files be longer than what is in them."""

    @abstractmethod
    def open(self, path: str) -> File:
        """A File for `path`. Touches nothing; the file is created by its first write or truncate."""

    @abstractmethod
    def exists(self, path: str) -> bool: ...

    @abstractmethod
    def size(self, path: str) -> int:
        """Length of the file in bytes; FileNotFoundError if there is none."""

    def modified_ms(self, path: str, default_ms: int) -> int:
        """When the file was last written, in milliseconds since 1970; the default where nobody knows."""
        return default_ms

    def set_modified_ms(self, path: str, when_ms: int) -> None:  # noqa: B027 - a system without such times forgets it
        """Say when the file was last written; not surely durable."""

    @abstractmethod
    def list_files(self, directory: str) -> list[str]:
        """Names of the files in a folder, in no order."""

    @abstractmethod
    def list_directories(self, directory: str) -> list[str]:
        """Names of the folders in a folder, in no order."""

    @abstractmethod
    def make_directory(self, path: str) -> None:
        """Create one folder; fine if it is there. Its name is durable after sync_directory of the parent."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Rename a file or folder, replacing a file of the new name atomically. No File of it may be open."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file; fine if it is not there."""

    @abstractmethod
    def remove_directory(self, path: str) -> None:
        """Remove an empty folder; fine if it is not there."""

    @abstractmethod
    def sync_directory(self, path: str) -> None:
        """Return when the names in this folder, as they are now, are on the disk."""

    @abstractmethod
    def lock(self, path: str, since: str) -> FileLock:
        """Lock a file against every other process and every other lock here; LockHeld names the holder.

        `since` is the time in words, for whoever finds the lock held.
        """

    def read_bytes(self, path: str) -> bytes:
        """The whole of a small file; FileNotFoundError if there is none."""
        size_bytes = self.size(path)
        file = self.open(path)
        try:
            return file.read(size_bytes, 0)
        finally:
            file.close()

    def replace_bytes(self, path: str, data: Data) -> None:
        """Put a small file in place whole or not at all; it and its name are durable on return.

        The new content is written and synced beside the old one (`.tmp`) and renamed over it, so a crash at
        any moment leaves one of the two.
        """
        temporary = path + ".tmp"
        self.remove(temporary)
        file = self.open(temporary)
        try:
            file.write(data, 0)
            file.sync()
        finally:
            file.close()
        self.rename(temporary, path)
        self.sync_directory(os.path.dirname(path))
