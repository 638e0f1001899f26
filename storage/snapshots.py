"""A log's producer snapshots: which there are, writing one, falling back on an older one.

A snapshot named by an offset holds what the producers were in front of it. One is written whenever a
segment begins, so that recovery need not replay more than the segments that are not synced yet, and one at
the end when the log is closed. Snapshots are not synced by themselves but with the next flush; one that was
torn does not check and is passed over.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable

from . import producer_snapshot
from .files import Files
from .names import Kind, file_name
from .producers import Producer, ProducerStates


class Snapshots:
    """The snapshot files in one log's folder, by offset."""

    __slots__ = ("_directory", "_files", "_unsynced", "offsets")

    def __init__(self, files: Files, directory: str, offsets: list[int]) -> None:
        self._files = files
        self._directory = directory
        self._unsynced: list[int] = []
        self.offsets = offsets  # oldest first

    def path(self, offset: int) -> str:
        return os.path.join(self._directory, file_name(offset, Kind.SNAPSHOT))

    def write(self, producers: ProducerStates, offset: int) -> bool:
        """Save the states as of `offset`; False if that was done before. OSError: there is none, or a torn one."""
        if self.offsets and self.offsets[-1] == offset:
            return False
        file = self._files.open(self.path(offset))
        try:
            file.truncate(0)
            file.write(producer_snapshot.encode(producers), 0)
        except OSError:
            file.close()
            self._files.remove(self.path(offset))
            raise
        file.close()
        self.offsets.append(offset)
        self._unsynced.append(offset)
        return True

    def take_unsynced(self) -> list[str]:
        """The paths of snapshots not synced yet; the caller syncs them."""
        paths = [self.path(offset) for offset in self._unsynced]
        self._unsynced = []
        return paths

    def restore(self, producers: ProducerStates, up_to: int, complain: Callable[[str], None]) -> None:
        """Set `producers` to the newest snapshot not behind `up_to` that checks. Damaged ones are told of and removed."""
        while (count := bisect_right(self.offsets, up_to)) > 0:
            newest = self.offsets[count - 1]
            entries = self._read(newest, complain)
            if entries is None:
                self.drop(lambda offset: offset == newest)  # noqa: B023 - called at once
                continue
            producers.restore(entries, newest)
            return

    def drop_damaged(self, complain: Callable[[str], None]) -> list[int]:
        """Remove every snapshot that does not check; returns their offsets."""
        return self.drop(lambda offset: self._read(offset, complain) is None)

    def _read(self, offset: int, complain: Callable[[str], None]) -> list[tuple[int, Producer]] | None:
        path = self.path(offset)
        try:
            return producer_snapshot.decode(self._files.read_bytes(path))
        except producer_snapshot.CorruptSnapshot as error:
            complain(f"{path} {error}: not used")
            return None

    def forget(self, goes: Callable[[int], bool]) -> list[str]:
        """As `drop`, but leaves the removing to the caller: returns the paths."""
        gone = [offset for offset in self.offsets if goes(offset)]
        self.offsets = [offset for offset in self.offsets if offset not in gone]
        self._unsynced = [offset for offset in self._unsynced if offset not in gone]
        return [self.path(offset) for offset in gone]

    def drop(self, goes: Callable[[int], bool]) -> list[int]:
        """Remove the files of the offsets for which `goes` is true; returns these."""
        gone = [offset for offset in self.offsets if goes(offset)]
        for offset in gone:
            self._files.remove(self.path(offset))
            self.offsets.remove(offset)
            if offset in self._unsynced:
                self._unsynced.remove(offset)
        return gone
