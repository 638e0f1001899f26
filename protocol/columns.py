"""The columns of a batch: keys and values as they were cut, the others made when somebody asks for them.

Who reads in bulk wants values, and seldom offsets, timestamps and headers; where records are alike, those are known without
a list: a range, varints that are all equally wide, nothing at all.  So a column is a row of pieces that can be iterated,
and the list is made of them at the first look, and kept.  What can be wrong with them was found before: a look never fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from .values import dataclass, field

T = TypeVar("T")
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(slots=True, eq=False)
class Column(Generic[T]):
    """Pieces, one behind the other; each may be iterated again and again."""

    pieces: list[Iterable[T]] = field(default_factory=list)
    _whole: list[T] | None = field(default=None, repr=False)

    def add(self, piece: Iterable[T]) -> None:
        """Put it behind the others; to be called before anybody has looked."""
        assert self._whole is None, "somebody has the list already"
        self.pieces.append(piece)

    def first(self) -> T | None:
        """Without making the list."""
        return next((each for piece in self.pieces for each in piece), None)

    def whole(self) -> list[T]:
        """The list, always the same one."""
        if self._whole is None:
            whole: list[T] = []
            for piece in self.pieces:
                whole += piece
            self._whole, self.pieces = whole, [whole]
        return self._whole


@dataclass(slots=True, eq=False)
class RecordColumns:
    """Columns of equal length; timestamps in milliseconds, headers () where a record has none."""

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    offset_column: Column[int] = field(default_factory=Column)
    timestamp_column: Column[int] = field(default_factory=Column)
    header_column: Column[Headers] = field(default_factory=Column)

    @property
    def offsets(self) -> list[int]:
        return self.offset_column.whole()

    @property
    def timestamps(self) -> list[int]:
        return self.timestamp_column.whole()

    @property
    def headers(self) -> list[Headers]:
        return self.header_column.whole()

    def part(self, start: int, end: int | None = None) -> RecordColumns:
        """The same of some of the records, by their places."""
        return RecordColumns(
            self.keys[start:end],
            self.values[start:end],
            Column([self.offsets[start:end]]),
            Column([self.timestamps[start:end]]),
            Column([self.headers[start:end]]),
        )
