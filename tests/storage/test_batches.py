"""Walking the batches of a file, and proving them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.records import patch_offsets
from ottla.storage.batches import (
    LOOKUP_CHUNK_BYTES,
    Fault,
    ReadAt,
    WouldWait,
    iter_checked,
    iter_headers,
    walk_to,
)
from support.batches import batch


def log_of(*value_sizes: int, first_offset: int = 0) -> tuple[bytearray, list[int]]:
    """Batches of one record each, with values of these sizes; and where each begins."""
    data, positions = bytearray(), []
    for number, size in enumerate(value_sizes):
        each = batch(bytes(size))
        patch_offsets(each, 0, first_offset + number, 0)
        positions.append(len(data))
        data += each
    return data, positions


def reader(data: bytearray) -> ReadAt:
    return lambda size, position: bytes(data[position : position + size])


def check(data: bytearray, *, next_offset: int = 0) -> tuple[list[int], list[Fault]]:
    faults: list[Fault] = []
    places = iter_checked(reader(data), 0, len(data), next_offset=next_offset, on_fault=faults.append)
    return [place.position for place in places], faults


sizes = st.lists(st.sampled_from([0, 1, 100, LOOKUP_CHUNK_BYTES, 3 * LOOKUP_CHUNK_BYTES]), min_size=1, max_size=12)


@given(sizes, st.integers(61, 3 * LOOKUP_CHUNK_BYTES))
def test_a_walk_visits_every_batch_whatever_the_chunks(value_sizes: list[int], chunk_bytes: int) -> None:
    data, positions = log_of(*value_sizes)
    walked = iter_headers(reader(data), 0, len(data), chunk_bytes=chunk_bytes)
    assert [(place.position, place.header.base_offset) for place in walked] == list(
        zip(positions, range(99), strict=False)
    )


@given(sizes, st.data())
def test_walking_to_an_offset_finds_its_batch(value_sizes: list[int], data: st.DataObject) -> None:
    log, positions = log_of(*value_sizes, first_offset=50)
    start = data.draw(st.integers(0, len(positions) - 1))
    wanted = data.draw(st.integers(0, len(positions) + 1))
    first, place = walk_to(reader(log), positions[start], len(log), 50 + wanted)
    assert first == 50 + start
    if wanted >= len(positions):
        assert place is None
    else:
        found = max(start, wanted)
        assert place is not None
        assert (place.position, place.base_offset) == (positions[found], 50 + found)


@given(sizes, st.integers(1, 200))
def test_a_torn_tail_is_where_both_walks_end(value_sizes: list[int], missing: int) -> None:
    data, positions = log_of(*value_sizes)
    last_bytes = len(data) - positions[-1]
    del data[-min(missing, last_bytes - 1) :]
    assert [place.position for place in iter_headers(reader(data), 0, len(data))] == positions[:-1]
    found, faults = check(data)
    assert found == positions[:-1]
    assert [fault.position for fault in faults] == positions[-1:]


@given(sizes, st.data())
def test_a_bit_that_changed_under_the_checksum_is_found(value_sizes: list[int], data: st.DataObject) -> None:
    log, positions = log_of(*value_sizes)
    victim = data.draw(st.integers(0, len(positions) - 1))
    end = positions[victim + 1] if victim + 1 < len(positions) else len(log)
    place = data.draw(st.integers(positions[victim] + 16, end - 1))
    log[place] ^= 1 << data.draw(st.integers(0, 7))
    found, faults = check(log)
    assert found == positions[:victim]
    assert [fault.position for fault in faults] == [positions[victim]]


def test_each_fault_is_named() -> None:
    data, _ = log_of(5, 5)
    assert check(data) == ([0, len(data) // 2], [])
    assert "lies before 7" in check(data, next_offset=7)[1][0].reason
    old_magic = bytearray(data)
    old_magic[16] = 1
    assert "its magic is 1" in check(old_magic)[1][0].reason
    long = bytearray(data)
    long[8:12] = (10_000).to_bytes(4, "big")
    assert "claims 10012 bytes" in check(long)[1][0].reason
    short = bytearray(data)
    short[8:12] = (20).to_bytes(4, "big")
    assert "fewer than its header" in check(short)[1][0].reason
    assert "30 bytes are left" in check(data + bytes(30))[1][0].reason
    assert "magic is 0" in check(data + bytes(100))[1][0].reason


def test_a_walk_that_may_not_wait_says_so_when_it_would() -> None:
    with pytest.raises(WouldWait):
        walk_to(lambda size, position: None, 0, 1_000, 5)
