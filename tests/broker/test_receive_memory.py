from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.receive_memory import GRAIN_BYTES, LARGEST_SPARE_BYTES, SMALLEST_SPARE_BYTES, ReceiveMemory

sizes = st.one_of(st.integers(1, 1_000), st.integers(SMALLEST_SPARE_BYTES - 2, LARGEST_SPARE_BYTES + 2))


@given(st.lists(st.one_of(sizes, st.just(0)), max_size=20))
def test_nobody_is_given_what_another_holds(wanted: list[int]) -> None:
    memory, held = ReceiveMemory(64), []
    for number, size in enumerate(wanted, 1):
        if size:
            held.append((number, memory.take(size)))
            assert len(held[-1][1]) == size
            held[-1][1][:1] = held[-1][1][-1:] = bytes((number,))
        elif held:
            memory.give_back(held.pop(0)[1])
        for each, buffer in held:
            assert buffer[0] == buffer[-1] == each


def test_the_next_request_of_about_the_same_size_is_received_where_the_last_one_was() -> None:
    memory = ReceiveMemory(64)
    first = memory.take(10 * GRAIN_BYTES + 1)
    whole = first.obj
    memory.give_back(first)
    assert memory.take(11 * GRAIN_BYTES).obj is whole
    assert memory.take(11 * GRAIN_BYTES).obj is not whole, "it is in use"


def test_what_is_kept_is_bounded() -> None:
    memory = ReceiveMemory(64)
    large = memory.take(LARGEST_SPARE_BYTES + 1)
    small = memory.take(SMALLEST_SPARE_BYTES - 1)
    for each in (large, small):
        memory.give_back(each)
    assert memory.take(SMALLEST_SPARE_BYTES).obj not in (large.obj, small.obj)
