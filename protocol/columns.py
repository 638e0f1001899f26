"""The columns of a batch: keys and values as they were cut, the others made when somebody asks for them.

Who reads in bulk wants values, and seldom offsets, timestamps and headers; where records are alike, those are known without
a list: a range, varints that are all equally wide, nothing at all.  So a column is a row of pieces that can be iterated,
and the list is made of them at the first look, and kept.  What can be wrong with them was found before: a look never fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from .values import dataclass, field

T = TypeVar("T")
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(slots=True, eq=False)
class RecordColumns:
    """Columns of equal length; timestamps in milliseconds, headers () where a record has none.

    Whoever fills them adds pieces, which may be iterated again and again, until somebody looks.
    """

    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    offset_pieces: list[Iterable[int]] = field(default_factory=list)
    timestamp_pieces: list[Iterable[int]] = field(default_factory=list)
    header_pieces: list[Iterable[Headers]] = field(default_factory=list)

    @property
    def offsets(self) -> list[int]:
        return _whole(self.offset_pieces)

    @property
    def timestamps(self) -> list[int]:
        return _whole(self.timestamp_pieces)

    @property
    def headers(self) -> list[Headers]:
        return _whole(self.header_pieces)

    @property
    def first_offset(self) -> int | None:
        """Without making a list; None if there is no record."""
        for piece in self.offset_pieces:
            for offset in piece:
                return offset
        return None

    def part(self, start: int, end: int | None = None) -> RecordColumns:
        """The same of some of the records, by their places."""
        return RecordColumns(
            self.keys[start:end],
            self.values[start:end],
            [self.offsets[start:end]],
            [self.timestamps[start:end]],
            [self.headers[start:end]],
        )


def _whole(pieces: list[Iterable[T]]) -> list[T]:
    """The list of all pieces, which becomes the only one: the next time it is the same."""
    if len(pieces) == 1 and isinstance(pieces[0], list):
        return pieces[0]
    whole: list[T] = []
    for piece in pieces:
        whole += piece
    pieces[:] = [whole]
    return whole
