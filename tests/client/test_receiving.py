"""Frames come out whole and in order, however the bytes were cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.client.receiving import SCRATCH_BYTES, Frame, FrameReceiver
from ottla.protocol.errors import MalformedMessage

MAX_BYTES = 3 * SCRATCH_BYTES

sizes = st.lists(
    st.one_of(st.integers(1, 40), st.integers(SCRATCH_BYTES - 8, SCRATCH_BYTES + 8), st.just(MAX_BYTES)), max_size=6
)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def feed(receiver: FrameReceiver, data: bytes, cuts: list[int]) -> list[Frame]:
    """Write `data` as a socket would: as much as there is room for, at most up to the next cut."""
    frames: list[Frame] = []
    position = 0
    for cut in [*sorted(cuts), len(data)]:
        while position < cut:
            room = receiver.get_buffer()
            assert len(room) > 0
            count = min(len(room), cut - position)
            room[:count] = data[position : position + count]
            receiver.received(count, frames.append)
            position += count
    return frames


@given(sizes=sizes, data=st.data())
def test_whatever_the_cuts_every_frame_comes_whole_and_in_order(sizes: list[int], data: st.DataObject) -> None:
    bodies = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    stream = b"".join(map(framed, bodies))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))

    assert feed(FrameReceiver(max_bytes=MAX_BYTES), stream, cuts) == bodies


def test_a_large_frame_is_received_into_its_own_buffer() -> None:
    receiver = FrameReceiver(max_bytes=MAX_BYTES)
    body = b"x" * (2 * SCRATCH_BYTES)

    (frame,) = feed(receiver, framed(body), [])

    assert isinstance(frame, memoryview)
    assert frame == body


@given(st.lists(st.tuples(st.integers(SCRATCH_BYTES, MAX_BYTES), st.booleans()), max_size=12))
def test_a_large_frame_stays_as_it_is_while_anybody_holds_a_view_of_it(frames: list[tuple[int, bool]]) -> None:
    receiver = FrameReceiver(max_bytes=MAX_BYTES)
    held: list[tuple[bytes, memoryview]] = []
    for number, (size, is_kept) in enumerate(frames):
        body = bytes((number,)) * size
        (frame,) = feed(receiver, framed(body), [])
        if is_kept:
            held.append((body[7:], memoryview(frame)[7:]))
        del frame
        for expected, view in held:
            assert view == expected


@pytest.mark.parametrize("size", [0, -1, MAX_BYTES + 1])
def test_a_size_that_cannot_be_is_malformed_and_what_came_before_it_is_handed_over(size: int) -> None:
    receiver = FrameReceiver(max_bytes=MAX_BYTES)
    frames: list[Frame] = []
    stream = framed(b"good") + struct.pack(">i", size)
    receiver.get_buffer()[: len(stream)] = stream

    with pytest.raises(MalformedMessage):
        receiver.received(len(stream), frames.append)

    assert frames == [b"good"]
