"""The memory of a segment's tail is bounded and never wrong."""

from hypothesis import given
from hypothesis import strategies as st
from ottla.storage.batches import Place
from ottla.storage.recent import KEPT_BATCHES, RecentBatches


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(61, 99)), min_size=1, max_size=600))
def test_what_is_found_is_the_batch_that_holds_the_offset(batches: list[tuple[int, int]]) -> None:
    recent, places, offset, position = RecentBatches(), [], 1_000, 0
    for count, size_bytes in batches:
        recent.add(offset, position)
        places.append((offset + count, Place(position, offset, size_bytes)))
        offset, position = offset + count, position + size_bytes
    for number, (next_offset, place) in enumerate(places):
        found = recent.find(next_offset - 1, position)
        assert found == place or (found is None and number < len(places) - KEPT_BATCHES)
    assert recent.find(999, position) is None


def test_it_forgets_the_oldest_beyond_its_bound() -> None:
    recent = RecentBatches()
    for number in range(10 * KEPT_BATCHES):
        recent.add(number, number * 100)
    remembered = [n for n in range(10 * KEPT_BATCHES) if recent.find(n, 10**6) is not None]
    assert KEPT_BATCHES <= len(remembered) <= 2 * KEPT_BATCHES
    assert remembered[-1] == 10 * KEPT_BATCHES - 1
