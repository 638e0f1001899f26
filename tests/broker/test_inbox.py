import struct
from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.inbox import Inbox
from ottla.broker.memory import MemoryBudget
from ottla.broker.receive_memory import ReceiveMemory
from ottla.protocol.errors import MalformedMessage

SHARED_BYTES = 64


def an_inbox(budget: MemoryBudget, *, max_frame_bytes: int = 10_000) -> Inbox:
    return Inbox(ReceiveMemory(SHARED_BYTES), budget, max_frame_bytes=max_frame_bytes)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def settle(inbox: Inbox, budget: MemoryBudget, *, at_once: bool = True) -> None:
    wanted = inbox.settle()
    if wanted:
        if not at_once:
            inbox.keep()
            inbox.target()[:] = bytes(len(inbox.target()))  # another connection received into what is shared
        assert budget.try_reserve(wanted)
        inbox.granted(wanted)


def feed(
    inbox: Inbox, budget: MemoryBudget, data: bytes, cuts: list[int], at_once: Sequence[bool] = (True,)
) -> list[bytes]:
    """Receive `data` in pieces of the sizes `cuts`, and take out every frame; memory comes `at_once`, or is waited for."""
    frames, position, turn = [], 0, 0
    while position < len(data):
        target = inbox.target()
        count = min(len(target), len(data) - position, cuts[turn % len(cuts)])
        target[:count] = data[position : position + count]
        position, turn = position + count, turn + 1
        if inbox.grows(count):
            continue
        inbox.received(count)
        while (frame := inbox.next_frame()) is not None:
            frames.append(bytes(frame))
        settle(inbox, budget, at_once=at_once[turn % len(at_once)])
    return frames


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=400), max_size=12),
    cuts=st.lists(st.integers(1, 500), min_size=1, max_size=8),
    at_once=st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_frames_come_out_as_they_were_sent_however_they_are_cut(
    bodies: list[bytes], cuts: list[int], at_once: list[bool]
) -> None:
    budget = MemoryBudget(1_000_000)
    inbox = an_inbox(budget)
    assert feed(inbox, budget, b"".join(map(framed, bodies)), cuts, at_once) == bodies
    assert budget.used_bytes == inbox.reserved_bytes == 0


@given(
    body=st.binary(min_size=1, max_size=SHARED_BYTES - 4),
    before=st.binary(max_size=20),
    more=st.integers(-3, 3),
)
def test_a_request_is_alone_if_it_is_all_that_was_received(body: bytes, before: bytes, more: int) -> None:
    budget = MemoryBudget(1_000_000)
    inbox = an_inbox(budget)
    if before:  # the beginning of a request, which is kept
        inbox.target()[: len(before)] = framed(bytes(1_000) + before)[: len(before)]
        inbox.received(len(before))
        settle(inbox, budget)
    data = (framed(body) + bytes(3))[: len(body) + 4 + more]
    target = inbox.target()
    target[: len(data)] = data
    alone = inbox.lone_frame(len(data))
    assert (None if alone is None else bytes(alone)) == (body if not before and not more else None)
    if not before and not more:
        inbox.received(len(data))
        assert inbox.next_frame() == body, "nothing was noted of it"


def test_a_large_request_is_moved_once_to_where_all_of_it_will_lie() -> None:
    class Counted(ReceiveMemory):
        taken: ClassVar[list[int]] = []

        def take(self, capacity: int) -> memoryview:
            self.taken.append(capacity)
            return super().take(capacity)

    budget = MemoryBudget(1_000_000)
    inbox = Inbox(Counted(SHARED_BYTES), budget, max_frame_bytes=10_000)
    assert feed(inbox, budget, framed(bytes(5_000)), [SHARED_BYTES]) == [bytes(5_000)]
    assert Counted.taken == [5_004]


def test_the_middle_of_a_large_request_is_but_noted_and_its_end_is_not() -> None:
    budget = MemoryBudget(1_000_000)
    inbox = an_inbox(budget)
    request = framed(b"x" * 1_000) + framed(b"y")
    feed(inbox, budget, request[:SHARED_BYTES], [SHARED_BYTES])
    for start, end, more in ((64, 500, True), (500, 1_003, True), (1_003, 1_004, False)):
        inbox.target()[: end - start] = request[start:end]
        assert inbox.grows(end - start) == more
    inbox.received(1)
    assert inbox.next_frame() == b"x" * 1_000
    settle(inbox, budget)
    assert not inbox.grows(1), "nothing is coming"


@pytest.mark.parametrize("size", [0, -1, -(2**31), 10_001])
def test_an_impossible_size_is_the_peers_fault(size: int) -> None:
    budget = MemoryBudget(1_000_000)
    inbox = an_inbox(budget)
    inbox.target()[:4] = struct.pack(">i", size)
    inbox.received(4)
    with pytest.raises(MalformedMessage):
        inbox.next_frame()


def test_a_size_without_its_bytes_reserves_but_takes_little_memory() -> None:
    budget = MemoryBudget(200_000_000)
    inbox = an_inbox(budget, max_frame_bytes=100_000_000)
    feed(inbox, budget, struct.pack(">i", 100_000_000), [4])
    assert budget.used_bytes == 100_000_004
    assert len(inbox.target()) < 1_100_000


def test_what_waits_for_an_earlier_request_is_kept() -> None:
    budget = MemoryBudget(1_000_000)
    inbox = an_inbox(budget)
    both = framed(b"first") + framed(b"second")
    inbox.target()[: len(both)] = both
    inbox.received(len(both))
    assert bytes(inbox.next_frame() or b"") == b"first"
    settle(inbox, budget)
    assert inbox.unserved_bytes == 10
    assert bytes(inbox.next_frame() or b"") == b"second"
    settle(inbox, budget)
    assert budget.used_bytes == 0


def test_clearing_gives_everything_back() -> None:
    budget = MemoryBudget(1_000_000)
    inbox = an_inbox(budget)
    feed(inbox, budget, struct.pack(">i", 5_000) + b"x" * 100, [64])
    assert budget.used_bytes > 0
    inbox.clear()
    assert budget.used_bytes == 0
