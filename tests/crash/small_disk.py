"""A real disk that is too small: a tmpfs that only one process tree can see (Linux, as root).

    with SmallDisk(tmp_path / "disk", size_bytes=8 << 20) as disk:
        broker = BrokerProcess(tmp_path, prefix=disk.prefix, log_directory=disk.path / "data")
        disk.fill(leave_bytes=1 << 20)               # another file takes the room
        disk.make_room()

The file system is mounted in a mount namespace of its own, kept by a process that waits for our end of a pipe to
close: however the test ends, namespace and file system go with it, and nothing of them is ever seen outside.
`prefix` runs a command inside; `outside` is a path's way in from here, through /proc.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

BALLAST = "ballast"
_HOLD = 'mount -t tmpfs -o size="$2" tmpfs "$1" && echo mounted && exec cat'


def why_no_small_disk() -> str | None:
    """None where this works, else the reason."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "mounting a file system needs root"
    missing = [tool for tool in ("unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} here"
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else tried.stderr.strip()


class SmallDisk:
    """A file system of `size_bytes` at `path`, inside."""

    def __init__(self, path: Path, *, size_bytes: int) -> None:
        self.path = path
        self._size_bytes = size_bytes
        self._holder: subprocess.Popen[str] | None = None

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command that is to see the disk."""
        return ("nsenter", "-t", str(self._pid), "-m", "--")

    def __enter__(self) -> SmallDisk:
        self.path.mkdir(parents=True)
        self._holder = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", _HOLD, "sh", str(self.path), str(self._size_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "mounted\n", "the file system could not be mounted"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._holder is not None
        self._holder.communicate()  # closes its end of the pipe, at which it ends

    def outside(self, path: Path) -> Path:
        """How a path on the disk is reached from this process."""
        return Path(f"/proc/{self._pid}/root{path}")

    @property
    def free_bytes(self) -> int:
        return shutil.disk_usage(self.outside(self.path)).free

    def fill(self, *, leave_bytes: int) -> None:
        """Take all the room but so much; less is left where others write at the same time."""
        size_bytes = max(0, self.free_bytes - leave_bytes)
        with self.outside(self.path / BALLAST).open("ab", buffering=0) as file:
            try:
                file.write(bytes(size_bytes))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def make_room(self) -> None:
        self.outside(self.path / BALLAST).unlink(missing_ok=True)

    @property
    def _pid(self) -> int:
        assert self._holder is not None, "not mounted"
        return self._holder.pid
