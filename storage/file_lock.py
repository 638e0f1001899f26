"""A lock file that names its holder, as far as the system can keep two brokers off one folder.

Apache Kafka locks `.lock` with a POSIX record lock, so ours takes one too: the two brokers exclude each
other. Record locks belong to the process and not to the descriptor, so on Linux a `flock` is taken beside
it to exclude a second lock in this very process. macOS keeps both kinds in one table, where `flock` alone
excludes both. Windows locks a byte far behind the text, because its locks would keep a reader from the
holder's name.

The lock dies with the process; the text does not, and is only believed when the lock is held.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod

WINDOWS_LOCK_POSITION = 1 << 30
MAX_HOLDER_BYTES = 64


class LockHeld(OSError):
    """Somebody else has the lock; `holder` is what they wrote into the file: process id and `since`, or nothing."""

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(f"{path} is locked by {holder or 'another process'}")
        self.path = path
        self.holder = holder


class FileLock(ABC):
    """A lock that is held until `release`."""

    @abstractmethod
    def release(self) -> None: ...


class SystemFileLock(FileLock):
    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, path: str, since: str) -> SystemFileLock:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            _lock_descriptor(fd)
        except OSError as error:
            holder = os.read(fd, MAX_HOLDER_BYTES).decode("utf-8", "replace").strip()
            os.close(fd)
            raise LockHeld(path, holder) from error
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()} {since}\n".encode())
        return cls(fd)

    def release(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.ftruncate(fd, 0)
            os.close(fd)


def _lock_descriptor(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(fd, WINDOWS_LOCK_POSITION, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(fd, 0, os.SEEK_SET)
        return
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if sys.platform == "linux":
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
