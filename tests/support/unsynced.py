"""What a file and a folder look like before and after the power goes: the model beneath `power_cut`.

A `FileNode` has two contents: `live`, what the running system sees, and `durable`, what is surely on the
disk. In between lie the changes not yet synced, in order. A sync makes them durable. When the power
goes, `survivor` builds what is found afterwards: of the unsynced changes any may be missing, in any
combination, and a write may be torn. A `FolderNode` is the same for names: links, removals and renames
until the folder is synced.

This is more cruel than any one file system (ext4 with ordered data keeps names in order, for example),
and no more than POSIX allows:

- each unsynced change of a file or a folder is kept or lost by itself, whatever came after it;
- of a kept write there may be the first bytes only, some sectors only, or zeros where the file grew; a sector that
  is kept has all that had been written to it by then;
- a name that was not synced may be gone although the file behind it was synced; a removed one may be back;
- a rename happens whole or not at all, and what was synced stays.

All choices come from the `Random` that is given, so Hypothesis can steer, replay and shrink them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

SECTOR_BYTES = 512

Change = TypeVar("Change")


def choose_survivors(changes: list[Change], randomness: Random) -> list[Change]:
    """The changes that reached the disk, in their order: none, all, the first few, or any."""
    kind = randomness.choice(("none", "all", "first", "any"))
    if kind == "none" or not changes:
        return []
    if kind == "all":
        return list(changes)
    if kind == "first":
        return changes[: randomness.randint(0, len(changes))]
    return [change for change in changes if randomness.random() < 0.5]


# --- files ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write:
    """`data` was put at `position`."""

    position: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        if len(content) < self.position:
            content.extend(bytes(self.position - len(content)))
        content[self.position : self.position + len(self.data)] = self.data

    def survive(self, content: bytearray, written: bytearray, randomness: Random) -> None:
        """Leave in `content` what a disk may have of it: all, the first bytes, zeros, or some of the sectors.

        `written` is the file just after this write: a disk is given whole sectors, so what earlier writes had put into
        the same sector comes along.
        """
        start, end = self.position - self.position % SECTOR_BYTES, self.position + len(self.data)
        kind = randomness.choice(("whole", "prefix", "zeros", "sectors"))
        if kind == "zeros":
            _extend(content, end)
        elif kind == "sectors":
            _extend(content, end)
            for sector in range(start, end, SECTOR_BYTES):
                if randomness.random() < 0.5:
                    _copy(written, content, sector, min(sector + SECTOR_BYTES, end))
        else:
            torn_at = randomness.randint(self.position, end) if kind == "prefix" else end
            _copy(written, content, start, torn_at)


@dataclass(frozen=True, slots=True)
class Truncate:
    """The file was cut, or extended with zeros, to `size_bytes`."""

    size_bytes: int

    def apply(self, content: bytearray) -> None:
        del content[self.size_bytes :]
        _extend(content, self.size_bytes)

    def survive(self, content: bytearray, _written: bytearray, _randomness: Random) -> None:
        """A size is there or not."""
        self.apply(content)


def _extend(content: bytearray, size_bytes: int) -> None:
    if len(content) < size_bytes:
        content.extend(bytes(size_bytes - len(content)))


def _copy(source: bytearray, target: bytearray, start: int, end: int) -> None:
    _extend(target, end)
    target[start:end] = source[start:end]


@dataclass(slots=True, eq=False)
class FileNode:
    """A file, whatever its name is."""

    live: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[Write | Truncate] = field(default_factory=list)
    written_end: int = 0  # as far as there is anything but zeros that were never written

    def change(self, change: Write | Truncate) -> None:
        change.apply(self.live)
        self.unsynced.append(change)

    def sync(self) -> None:
        for change in self.unsynced:
            change.apply(self.durable)
        self.unsynced.clear()

    def fail_to_sync(self, randomness: Random) -> None:
        """The system gives the changes up: it shows them still, and a later sync will not write them."""
        self.durable = self._after_power_loss(randomness)
        self.unsynced.clear()

    def survivor(self, randomness: Random) -> FileNode:
        content = self._after_power_loss(randomness)
        return FileNode(live=bytearray(content), durable=content, written_end=len(content))

    def _after_power_loss(self, randomness: Random) -> bytearray:
        written, content = bytearray(self.durable), bytearray(self.durable)
        survivors = set(map(id, choose_survivors(self.unsynced, randomness)))
        for change in self.unsynced:
            change.apply(written)
            if id(change) in survivors:
                change.survive(content, written, randomness)
        return content


# --- folders ----------------------------------------------------------------------------------------

Entries = dict[str, "FileNode | FolderNode"]


@dataclass(frozen=True, slots=True)
class Link:
    """`name` came to stand for `node`."""

    name: str
    node: FileNode | FolderNode

    def apply(self, entries: Entries) -> None:
        entries[self.name] = self.node


@dataclass(frozen=True, slots=True)
class Unlink:
    """`name` was removed."""

    name: str

    def apply(self, entries: Entries) -> None:
        entries.pop(self.name, None)


@dataclass(frozen=True, slots=True)
class Rename:
    """`node` lost the name `old` and took `new`, in one step."""

    old: str
    new: str
    node: FileNode | FolderNode

    def apply(self, entries: Entries) -> None:
        # The old name may by then stand for another file, made after this one and kept by chance.
        if entries.get(self.old) is self.node:
            del entries[self.old]
        entries[self.new] = self.node


@dataclass(slots=True, eq=False)
class FolderNode:
    """A folder: names, and what they stand for."""

    live: Entries = field(default_factory=dict)
    durable: Entries = field(default_factory=dict)
    unsynced: list[Link | Unlink | Rename] = field(default_factory=list)

    def change(self, change: Link | Unlink | Rename) -> None:
        change.apply(self.live)
        self.unsynced.append(change)

    def sync(self) -> None:
        for change in self.unsynced:
            change.apply(self.durable)
        self.unsynced.clear()

    def survivor(self, randomness: Random) -> FolderNode:
        entries = dict(self.durable)
        for change in choose_survivors(self.unsynced, randomness):
            change.apply(entries)
        entries = {name: node.survivor(randomness) for name, node in sorted(entries.items())}
        return FolderNode(live=dict(entries), durable=entries)
