"""What opening a log found and did, for a person and for tests."""

from __future__ import annotations

from ..protocol.values import dataclass, field

ABSENT = "they were absent"
"""Why indexes are built again most of the time."""


@dataclass(frozen=True, slots=True)
class DroppedBytes:
    """Bytes that were cut off, and why. `valid_data_follows`: not a torn tail, something damaged the middle."""

    path: str
    position: int
    size_bytes: int
    reason: str
    valid_data_follows: bool

    def __str__(self) -> str:
        said = f"{self.path}: cut {self.size_bytes} bytes at {self.position}: {self.reason}"
        return said + ("; valid batches follow, so it was damaged in the middle" if self.valid_data_follows else "")


@dataclass(slots=True)
class RecoveryReport:
    """The findings of one opening, in the order of the passes."""

    clean: bool  # whether the last stop was clean; what was scanned is 0 then
    scanned_bytes: int = 0
    scanned_batches: int = 0
    dropped: list[DroppedBytes] = field(default_factory=list)
    dropped_segments: list[int] = field(default_factory=list)  # base offsets
    rebuilt_indexes: list[tuple[str, str]] = field(default_factory=list)  # path of the log, why
    removed_files: list[str] = field(default_factory=list)  # leftovers, by name
    notes: list[str] = field(default_factory=list)

    @property
    def dropped_bytes(self) -> int:
        return sum(each.size_bytes for each in self.dropped)

    @property
    def worth_telling(self) -> bool:
        """Whether there is anything in `lines`."""
        return bool(self.lines())

    def lines(self) -> list[str]:
        """For a person, one finding a line.

        Leftovers are not worth one, nor are indexes that were absent: those of an active segment are on the
        disk only when it rolls, so after a crash every log lacks them.
        """
        said = [str(each) for each in self.dropped]
        said += [f"the segment from offset {base} on was dropped" for base in self.dropped_segments]
        said += [f"{path}: indexes built again, {why}" for path, why in self.rebuilt_indexes if why != ABSENT]
        return said + self.notes
