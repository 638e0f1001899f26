"""A column is the list of its pieces, made once, and only when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.columns import RecordColumns

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
    expected = [each for piece in pieces for each in piece]
    columns = RecordColumns(offset_pieces=list(pieces), timestamp_pieces=list(pieces), header_pieces=list(pieces))

    assert columns.first_offset == (expected[0] if expected else None)
    assert columns.offsets == columns.timestamps == columns.headers == expected
    assert columns.offsets is columns.offsets
    assert columns.first_offset == (expected[0] if expected else None)


def test_a_piece_is_read_at_the_first_look_and_not_again() -> None:
    piece = Noting()
    columns = RecordColumns(timestamp_pieces=[piece])
    looks_before = piece.looks

    assert columns.timestamps == columns.timestamps == [7, 8]
    assert (looks_before, piece.looks) == (0, 1)


@given(st.integers(0, 6), st.none() | st.integers(0, 6))
def test_a_part_has_the_same_records_in_every_column(start: int, end: int | None) -> None:
    names = [bytes((number,)) for number in range(5)]
    headers = [((str(number), None),) for number in range(5)]
    whole = RecordColumns(list(names), list(names), [range(5)], [range(2), [2, 3, 4]], [headers])

    part = whole.part(start, end)

    places = list(range(5))[start:end]
    assert part.keys == part.values == [names[place] for place in places]
    assert part.offsets == part.timestamps == places
    assert part.headers == [((str(place), None),) for place in places]
