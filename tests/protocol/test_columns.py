"""A column is the list of its pieces, made once, and only when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.columns import Column, RecordColumns

pieces = st.lists(st.one_of(st.lists(st.integers(0, 9)), st.builds(range, st.integers(0, 5), st.integers(0, 9))))


class Noting:
    """A piece that counts how often it is iterated."""

    def __init__(self) -> None:
        self.looks = 0

    def __iter__(self) -> Iterator[int]:
        self.looks += 1
        return iter((7, 8))


@given(pieces)
def test_a_column_is_all_its_pieces_in_order_and_keeps_the_list(pieces: list) -> None:
    column: Column[int] = Column()
    for piece in pieces:
        column.add(piece)
    expected = [each for piece in pieces for each in piece]

    assert column.first() == (expected[0] if expected else None)
    assert column.whole() == expected
    assert column.whole() is column.whole()
    assert column.first() == (expected[0] if expected else None)


def test_a_piece_is_read_at_the_first_look_and_not_again() -> None:
    piece = Noting()
    column = Column([piece])
    looks_before = piece.looks

    assert column.whole() == column.whole() == [7, 8]
    assert (looks_before, piece.looks) == (0, 1)


def test_nothing_is_added_to_a_list_that_somebody_has() -> None:
    column = Column([[1]])
    column.whole()

    with pytest.raises(AssertionError, match="somebody has the list"):
        column.add([2])


@given(st.integers(0, 6), st.none() | st.integers(0, 6))
def test_a_part_has_the_same_records_in_every_column(start: int, end: int | None) -> None:
    names = [bytes((number,)) for number in range(5)]
    whole = RecordColumns(
        list(names),
        list(names),
        Column([range(5)]),
        Column([range(2), [2, 3, 4]]),
        Column([[((str(n), None),) for n in range(5)]]),
    )

    part = whole.part(start, end)

    places = list(range(5))[start:end]
    assert part.keys == part.values == [names[place] for place in places]
    assert part.offsets == part.timestamps == places
    assert part.headers == [((str(place), None),) for place in places]
