"""Where readers stopped is remembered up to a bound."""

from ottla.storage.batches import Place
from ottla.storage.stops import KEPT_STOPS, ReaderStops, Stop


def stop(number: int) -> Stop:
    return Stop(Place(100 * number, number, 100), number)


def test_a_stop_is_found_by_the_offset_that_its_batch_begins_with() -> None:
    stops = ReaderStops()
    stops.note(stop(7))
    assert stops.find(7) == stop(7)
    assert stops.find(8) is None


def test_the_oldest_goes_first_and_one_that_is_noted_again_takes_no_room() -> None:
    stops = ReaderStops()
    for number in range(KEPT_STOPS + 1):
        stops.note(stop(number))
        stops.note(stop(number))
    assert [number for number in range(KEPT_STOPS + 1) if stops.find(number) is None] == [0]
