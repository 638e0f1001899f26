"""The four codecs: back and forth, beside other implementations, and what a bomb may cost."""

from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.compression import UNFOLDED_SPARE_BYTES, Codec, compress, decompress, unfold
from ottla.protocol.errors import MalformedMessage
from ottla.protocol.spare_buffers import SpareBuffers

COMPRESSED = [codec for codec in Codec if codec is not Codec.NONE]
every_codec = pytest.mark.parametrize("codec", COMPRESSED, ids=lambda codec: codec.name.lower())

MEGABYTE = 1024 * 1024
payloads = st.binary(max_size=200) | st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 30_000)).map(
    lambda pair: pair[0] * pair[1]
)


@given(st.sampled_from(Codec), payloads)
def test_what_is_compressed_comes_back(codec: Codec, data: bytes):
    assert decompress(codec, compress(codec, data), max_bytes=len(data)) == data


@given(st.lists(st.tuples(st.sampled_from(Codec), payloads), max_size=6))
def test_it_comes_back_the_same_in_a_buffer_that_held_something_else_before(sent: list[tuple[Codec, bytes]]):
    spares = SpareBuffers(most=1, largest_bytes=UNFOLDED_SPARE_BYTES)
    for codec, data in sent:
        assert bytes(unfold(codec, compress(codec, data), max_bytes=max(1, len(data)), spares=spares)) == data


@pytest.mark.parametrize("codec", [Codec.LZ4, Codec.ZSTD])
def test_what_is_unfolded_lies_where_the_one_before_lay_that_nobody_looks_at(codec: Codec):
    spares = SpareBuffers(most=1, largest_bytes=UNFOLDED_SPARE_BYTES)
    packed = compress(codec, b"some text, some more text" * 40_000)
    kept = unfold(codec, packed, max_bytes=2 * UNFOLDED_SPARE_BYTES, spares=spares)
    before = bytes(kept)
    other = unfold(codec, compress(codec, b"something else"), max_bytes=2 * UNFOLDED_SPARE_BYTES, spares=spares)
    assert kept == before
    assert bytes(other) == b"something else"
    place = id(memoryview(other).obj)
    del other
    assert id(memoryview(unfold(codec, packed, max_bytes=2 * UNFOLDED_SPARE_BYTES, spares=spares)).obj) == place


@given(st.sampled_from(Codec), st.binary(min_size=1, max_size=300))
def test_one_byte_over_the_bound_is_refused(codec: Codec, data: bytes):
    packed, spares = compress(codec, data), SpareBuffers(most=1, largest_bytes=UNFOLDED_SPARE_BYTES)
    with pytest.raises(MalformedMessage):
        decompress(codec, packed, max_bytes=len(data) - 1)
    with pytest.raises(MalformedMessage):
        unfold(codec, packed, max_bytes=len(data) - 1, spares=spares)


@every_codec
@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(codec: Codec, form: type):
    data = b"some text, some more text" * 10
    packed = compress(codec, form(data))
    assert decompress(codec, form(packed), max_bytes=1000) == data
    assert decompress(codec, memoryview(b"xx" + packed)[2:], max_bytes=1000) == data


@given(st.sampled_from(COMPRESSED), st.binary(max_size=200))
def test_any_bytes_unfold_or_are_malformed(codec: Codec, data: bytes):
    with contextlib.suppress(MalformedMessage):
        assert len(decompress(codec, data, max_bytes=MEGABYTE)) <= MEGABYTE


@given(st.sampled_from(COMPRESSED), st.binary(min_size=1, max_size=400), st.data())
def test_mutations_unfold_or_are_malformed(codec: Codec, data: bytes, draw: st.DataObject):
    packed = bytearray(compress(codec, data))
    for _ in range(draw.draw(st.integers(1, 3))):
        packed[draw.draw(st.integers(0, len(packed) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessage):
        decompress(codec, packed, max_bytes=MEGABYTE)


@every_codec
def test_cut_short_is_malformed(codec: Codec):
    packed = compress(codec, bytes(range(256)) * 20)
    for size in (len(packed) - 1, len(packed) // 2, 5):
        with pytest.raises(MalformedMessage):
            decompress(codec, packed[:size], max_bytes=MEGABYTE)


def bomb(codec: Codec, size_bytes: int) -> bytes:
    return compress(codec, bytes(size_bytes))


@every_codec
def test_a_bomb_costs_no_more_than_the_bound_allows(codec: Codec):
    packed = bomb(codec, 64 * MEGABYTE)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage, match="more than"):
            decompress(codec, packed, max_bytes=MEGABYTE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MEGABYTE + len(packed)


def test_a_raw_snappy_block_that_lies_about_its_size_allocates_nothing():
    claims_4_gigabytes = b"\xff\xff\xff\xff\x0f" + b"\0abc"
    with pytest.raises(MalformedMessage):
        decompress(Codec.SNAPPY, claims_4_gigabytes, max_bytes=MEGABYTE)


def test_many_small_snappy_blocks_are_bounded_together():
    block = bytes(cramjam.snappy.compress_raw(bytes(MEGABYTE)))
    header = compress(Codec.SNAPPY, b"")
    packed = header + (struct.pack(">i", len(block)) + block) * 20
    assert decompress(Codec.SNAPPY, packed, max_bytes=20 * MEGABYTE) == bytes(20 * MEGABYTE)
    with pytest.raises(MalformedMessage):
        decompress(Codec.SNAPPY, packed, max_bytes=20 * MEGABYTE - 1)


@pytest.mark.parametrize("size", [0, -1, 2**31 - 1, 9])
def test_a_snappy_block_size_that_cannot_be_is_malformed(size: int):
    packed = compress(Codec.SNAPPY, b"") + struct.pack(">i", size) + b"12345678"
    with pytest.raises(MalformedMessage):
        decompress(Codec.SNAPPY, packed, max_bytes=MEGABYTE)


def test_snappy_is_read_raw_and_in_xerials_framing():
    data = b"as librdkafka sends it" * 10
    assert decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(data)), max_bytes=1000) == data
    assert compress(Codec.SNAPPY, data).startswith(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01")


def test_lz4_frames_have_independent_blocks_and_no_content_checksum():
    flags = compress(Codec.LZ4, bytes(200_000))[4]
    assert flags & 0x20, "Kafka's reader knows no linked blocks"
    assert not flags & 0x04


def test_lz4_frames_of_other_shapes_are_read():
    data = bytes(range(256)) * 1000
    compressor = cramjam.lz4.Compressor(level=9, content_checksum=True, block_linked=True)
    compressor.compress(data)
    assert decompress(Codec.LZ4, bytes(compressor.finish()), max_bytes=len(data)) == data


def test_gzip_is_what_gzip_reads_and_writes():
    data = b"text " * 1000
    assert gzip.decompress(compress(Codec.GZIP, data)) == data
    assert decompress(Codec.GZIP, gzip.compress(data, 1), max_bytes=len(data)) == data


def test_gzip_members_follow_one_another_and_share_the_bound():
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    assert decompress(Codec.GZIP, packed, max_bytes=7) == b"one two"
    with pytest.raises(MalformedMessage):
        decompress(Codec.GZIP, packed, max_bytes=6)


def test_a_zlib_stream_is_no_gzip():
    with pytest.raises(MalformedMessage):
        decompress(Codec.GZIP, zlib.compress(b"text"), max_bytes=100)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4, Codec.ZSTD])
@pytest.mark.parametrize("level", [1, 5, 9])
def test_levels_change_the_size_and_nothing_else(codec: Codec, level: int):
    data = b"".join(b"%d words, %d more, " % (n, n * n) for n in range(2000))
    packed = compress(codec, data, level)
    assert len(packed) < len(data)
    assert decompress(codec, packed, max_bytes=len(data)) == data
