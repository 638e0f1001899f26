"""Zigzag varints, beside a slow reading of their definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.varints import read_varint, read_varlong, varint

int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)


def slowly(value: int) -> bytes:
    """Seven bits a byte, the lowest first, of 0, -1, 1, -2, 2 ... numbered from 0."""
    number = 2 * value if value >= 0 else -2 * value - 1
    out = [number % 128]
    while number := number // 128:
        out[-1] += 128
        out.append(number % 128)
    return bytes(out)


@given(int32)
def test_an_int32_comes_back(value: int):
    assert varint(value) == slowly(value)
    assert len(varint(value)) <= 5
    assert read_varint(b"xx" + varint(value) + b"x", 2) == (value, 2 + len(varint(value)))


@given(int64)
def test_an_int64_comes_back(value: int):
    assert varint(value) == slowly(value)
    assert len(varint(value)) <= 10
    assert read_varlong(b"xx" + varint(value) + b"x", 2) == (value, 2 + len(varint(value)))


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (-1, "01"), (1, "02"), (63, "7e"), (-64, "7f"), (64, "8001"), (-65, "8101"), (8191, "fe7f")],
)
def test_small_numbers_take_few_bytes(value: int, encoded: str):
    assert varint(value).hex() == encoded


def test_longer_than_its_width_is_malformed():
    assert read_varint(b"\xff\xff\xff\xff\x0f", 0) == (-(2**31), 5)
    with pytest.raises(MalformedMessage):
        read_varint(b"\xff\xff\xff\xff\xff\x01", 0)
    assert read_varlong(b"\xff" * 9 + b"\x01", 0) == (-(2**63), 10)
    with pytest.raises(MalformedMessage):
        read_varlong(b"\xff" * 10 + b"\x01", 0)


def test_zeros_that_only_make_it_longer_are_read_as_java_reads_them():
    assert read_varint(b"\x80\x80\x80\x80\x00", 0) == (0, 5)
    assert read_varint(b"\x82\x00", 0) == (1, 2)


def test_bits_past_the_width_are_dropped_as_java_drops_them():
    assert read_varint(b"\xfe\xff\xff\xff\x7f", 0) == (2**31 - 1, 5)


@pytest.mark.parametrize("cut", [b"", b"\x80", b"\xff\xff"])
def test_cut_short_is_an_index_error_for_the_caller(cut: bytes):
    for read in (read_varint, read_varlong):
        with pytest.raises(IndexError):
            read(cut, 0)
