"""Length framing: sizes within the bound, and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.frames import SIZE_BYTES, encode_frame, encode_size, frame_size


@given(st.lists(st.binary(max_size=20), min_size=1).filter(any), st.integers(0, 10))
def test_a_frame_says_how_long_it_is(parts: list[bytes], before: int):
    frame = encode_frame(*parts)
    assert frame_size(bytes(before) + frame, before, max_bytes=10**6) == len(frame) - SIZE_BYTES
    assert frame == encode_size(sum(map(len, parts))) + b"".join(parts)


@pytest.mark.parametrize("got", [b"", b"\0", b"\0\0\0"])
def test_a_size_that_is_not_here_yet_is_waited_for(got: bytes):
    assert frame_size(got, 0, max_bytes=100) is None
    assert frame_size(b"xx" + got, 2, max_bytes=100) is None


@pytest.mark.parametrize("size", [0, -1, -(2**31), 101, 2**31 - 1])
def test_a_size_that_cannot_be_ends_the_connection(size: int):
    with pytest.raises(MalformedMessage, match=str(size)):
        frame_size(size.to_bytes(4, "big", signed=True), 0, max_bytes=100)


def test_the_bound_itself_is_allowed():
    assert frame_size(encode_size(100), 0, max_bytes=100) == 100
    assert frame_size(encode_size(1), 0, max_bytes=100) == 1
