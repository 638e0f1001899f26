"""Where readers stopped is remembered up to a bound."""

from ottla.storage.stops import KEPT_STOPS, ReaderStops


def test_what_was_noted_is_found_by_the_offset_that_a_reader_will_be_back_for() -> None:
    stops: ReaderStops[int] = ReaderStops()
    stops.note(7, 700)
    assert stops.find(7) == 700
    assert stops.find(8) is None


def test_the_oldest_goes_first_and_one_that_is_noted_again_takes_no_room() -> None:
    stops: ReaderStops[int] = ReaderStops()
    for number in range(KEPT_STOPS + 1):
        stops.note(number, number * 100)
        stops.note(number, number * 100)
    assert [number for number in range(KEPT_STOPS + 1) if stops.find(number) is None] == [0]
    assert stops.find(KEPT_STOPS) == KEPT_STOPS * 100
