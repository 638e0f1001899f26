"""Memory that was used before is given out again, and never while anybody looks at it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.spare_buffers import GRAIN_BYTES, SpareBuffers

MOST_KEPT = 3
LARGEST_KEPT_BYTES = 2 * 1024 * 1024

sizes = st.one_of(st.integers(0, 1000), st.integers(1, LARGEST_KEPT_BYTES + 2))
how_it_is_held = st.sampled_from(("whole", "slice", "slice of a slice", "read-only", "cast", "not at all"))


def held(frame: memoryview, how: str) -> memoryview | None:
    """What a reader keeps of a frame; its first byte and its last are the frame's own."""
    ways = {
        "whole": frame,
        "slice": frame[:],
        "slice of a slice": frame[0:][:: max(1, len(frame) - 1)],
        "read-only": frame.toreadonly(),
        "cast": frame.cast("c").cast("B"),
    }
    return ways.get(how)


@given(st.lists(st.tuples(sizes, how_it_is_held, st.integers(0, 3)), max_size=20))
def test_what_anybody_still_looks_at_is_never_written_to(steps: list[tuple[int, str, int]]) -> None:
    memory = SpareBuffers(most=MOST_KEPT, largest_bytes=LARGEST_KEPT_BYTES)
    looked_at: list[tuple[int, memoryview]] = []
    for number, (size, how, how_many_are_let_go) in enumerate(steps, 1):
        frame = memory.take(size)
        assert len(frame) == size
        if not size:
            continue
        frame[:1] = frame[-1:] = bytes((number,))
        kept = held(frame, how)
        del frame
        if kept is not None:
            looked_at.append((number, kept))
            del kept
        for each, view in looked_at:
            assert view[0] == view[-1] == each
        assert memory.kept_bytes <= MOST_KEPT * LARGEST_KEPT_BYTES
        del looked_at[:how_many_are_let_go]


def test_the_next_frame_of_about_the_same_size_lies_where_one_lay_that_is_gone() -> None:
    memory = SpareBuffers(most=MOST_KEPT, largest_bytes=LARGEST_KEPT_BYTES)
    first, second = memory.take(10 * GRAIN_BYTES + 1), memory.take(10 * GRAIN_BYTES + 1)
    place, chunk = id(first.obj), second[100:200]

    del first, second
    third = memory.take(11 * GRAIN_BYTES)

    assert id(third.obj) == place
    assert id(memory.take(11 * GRAIN_BYTES).obj) not in (id(third.obj), id(chunk.obj))


def test_a_frame_that_is_kept_for_ever_is_not_in_the_way_of_later_ones() -> None:
    memory = SpareBuffers(most=MOST_KEPT, largest_bytes=LARGEST_KEPT_BYTES)
    kept_for_ever = [memory.take(GRAIN_BYTES) for _ in range(MOST_KEPT)]
    place = id(memory.take(GRAIN_BYTES).obj)

    assert id(memory.take(GRAIN_BYTES).obj) == place
    assert len({id(each.obj) for each in kept_for_ever} | {place}) == MOST_KEPT + 1


def test_larger_frames_take_the_place_of_smaller_ones() -> None:
    memory = SpareBuffers(most=MOST_KEPT, largest_bytes=LARGEST_KEPT_BYTES)
    for size in (1, 2, 3, 4, 3, 1):
        memory.take(size * GRAIN_BYTES)

    assert memory.kept_bytes == (2 + 3 + 4) * GRAIN_BYTES


def test_a_very_large_frame_is_not_kept() -> None:
    memory = SpareBuffers(most=MOST_KEPT, largest_bytes=LARGEST_KEPT_BYTES)

    assert len(memory.take(LARGEST_KEPT_BYTES + 1)) == LARGEST_KEPT_BYTES + 1
    assert memory.kept_bytes == 0
