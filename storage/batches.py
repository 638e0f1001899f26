"""Record batches where they lie in a file: walked header by header, never looked into.

A log's file is batches end to end. To walk it one needs 61 bytes of each; small batches come many to a
chunk, large ones are stepped over. `iter_headers` does that for lookups and for rebuilding an index.
`iter_checked` also reads each batch whole and proves it (magic, size, CRC, offsets that grow), and names
the first fault: what recovery and check need.

Where a file ends in the middle of a batch both simply end; the difference between where they got to and
the file's size is the torn tail.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..protocol.batch_header import (
    CURRENT_MAGIC,
    HEADER,
    LOG_OVERHEAD,
    RECORD_BATCH_OVERHEAD,
    BatchHeader,
    crc_is_valid,
)

ReadAt = Callable[[int, int], bytes | bytearray | None]
"""(size, position) -> bytes; fewer where the file ends; None when the disk would have to be waited for."""

_BRIEF = struct.Struct(">qi11xi")  # of a header: base offset, length, last offset delta

LOOKUP_CHUNK_BYTES = 8 * 1024  # a lookup walks at most one index interval, 4096 bytes unless told otherwise
SCAN_CHUNK_BYTES = 1024 * 1024


class WouldWait(Exception):
    """The bytes are not in the page cache; the same call may be made again where waiting is allowed."""


class Located(NamedTuple):
    """A batch and the position where it begins in its file."""

    position: int
    header: BatchHeader


class Place(NamedTuple):
    """A batch in a file, as much of it as a reader needs."""

    position: int
    base_offset: int
    size_bytes: int


class Fault(NamedTuple):
    """Why the bytes at `position` are no batch that could follow what is in front of them."""

    position: int
    reason: str


def walk_to(read: ReadAt, position: int, end: int, offset: int) -> tuple[int, Place | None]:
    """The first batch from `position` on that ends with `offset` or behind it; None when there is none.

    Also the last offset of the batch at `position`, by which an index entry that led here is judged; -1
    when no batch is there.
    """
    chunk: bytes | bytearray = b""
    start, first_last_offset = position, -1
    while end - position >= RECORD_BATCH_OVERHEAD:
        at = position - start
        if at + _BRIEF.size > len(chunk):
            chunk, start, at = _read_chunk(read, min(LOOKUP_CHUNK_BYTES, end - position), position), position, 0
            if len(chunk) < _BRIEF.size:
                break
        base_offset, length, last_offset_delta = _BRIEF.unpack_from(chunk, at)
        size_bytes, last_offset = length + LOG_OVERHEAD, base_offset + last_offset_delta
        if size_bytes < RECORD_BATCH_OVERHEAD or position + size_bytes > end:
            break
        if first_last_offset < 0:
            first_last_offset = last_offset
        if last_offset >= offset:
            return first_last_offset, Place(position, base_offset, size_bytes)
        position += size_bytes
    return first_last_offset, None


def iter_headers(read: ReadAt, position: int, end: int, *, chunk_bytes: int = SCAN_CHUNK_BYTES) -> Iterator[Located]:
    """Each whole batch from `position` to `end`; ends where the next is cut short or has an impossible size."""
    chunk: bytes | bytearray = b""
    start = position  # where the chunk begins
    while end - position >= RECORD_BATCH_OVERHEAD:
        if position + RECORD_BATCH_OVERHEAD > start + len(chunk):
            chunk, start = _read_chunk(read, min(chunk_bytes, end - position), position), position
            if len(chunk) < RECORD_BATCH_OVERHEAD:
                return
        base_offset, length, *rest = HEADER.unpack_from(chunk, position - start)
        size_bytes = length + LOG_OVERHEAD
        if size_bytes < RECORD_BATCH_OVERHEAD or position + size_bytes > end:
            return
        yield Located(position, BatchHeader(base_offset, size_bytes, *rest))
        position += size_bytes


def iter_checked(
    read: ReadAt, position: int, end: int, *, next_offset: int, on_fault: Callable[[Fault], None]
) -> Iterator[Located]:
    """Each batch from `position` to `end` that is proven whole; ends at the first that is not, having told `on_fault`.

    `next_offset` is the smallest offset that the first batch may have.
    """
    for located, _ in iter_proven(read, position, end, next_offset=next_offset, on_fault=on_fault):
        yield located


def iter_proven(
    read: ReadAt,
    position: int,
    end: int,
    *,
    next_offset: int,
    on_fault: Callable[[Fault], None],
    chunk_bytes: int = SCAN_CHUNK_BYTES,
) -> Iterator[tuple[Located, memoryview]]:
    """As `iter_checked`, with the bytes of each batch. Reads `chunk_bytes` at a time, or one batch if that is larger."""
    chunk: bytes | bytearray = b""
    start = position
    while position < end:
        if position + RECORD_BATCH_OVERHEAD > start + len(chunk):
            chunk, start = _read_chunk(read, min(chunk_bytes, end - position), position), position
        header, reason = header_fault(chunk, position - start, end - position, next_offset)
        if header is None:
            return on_fault(Fault(position, reason))
        if position + header.size_bytes > start + len(chunk):
            wanted = max(chunk_bytes, header.size_bytes)
            chunk, start = _read_chunk(read, min(wanted, end - position), position), position
        at = position - start
        if not crc_is_valid(chunk, at, header):
            return on_fault(Fault(position, "its checksum is wrong"))
        yield Located(position, header), memoryview(chunk)[at : at + header.size_bytes]
        position += header.size_bytes
        next_offset = header.next_offset
    return None


def header_fault(data: bytes | bytearray, at: int, left_bytes: int, next_offset: int) -> tuple[BatchHeader | None, str]:
    """The header at `at` when it could stand there, else None and the reason. `left_bytes` is what the file
    still has.
    """
    if left_bytes < RECORD_BATCH_OVERHEAD or len(data) - at < RECORD_BATCH_OVERHEAD:
        return None, f"only {left_bytes} bytes are left, a header has {RECORD_BATCH_OVERHEAD}"
    base_offset, length, *rest = HEADER.unpack_from(data, at)
    header = BatchHeader(base_offset, length + LOG_OVERHEAD, *rest)
    if header.magic != CURRENT_MAGIC:
        return None, f"its magic is {header.magic}, not {CURRENT_MAGIC}"
    if header.size_bytes < RECORD_BATCH_OVERHEAD:
        return None, f"it claims {header.size_bytes} bytes, fewer than its header"
    if header.size_bytes > left_bytes:
        return None, f"it claims {header.size_bytes} bytes and {left_bytes} are left"
    if base_offset < next_offset:
        return None, f"its offset {base_offset} lies before {next_offset}, which is next"
    if header.last_offset_delta < 0:
        return None, f"its last offset delta is {header.last_offset_delta}"
    return header, ""


def is_room(read: ReadAt, position: int, end: int) -> bool:
    """Whether there are only zeros from `position` to `end`: a file that was made longer than what is in it."""
    return all(not chunk.rstrip(b"\0") for _, chunk in _chunks(read, position, end))


def without_room(read: ReadAt, position: int, end: int) -> int:
    """Where the zeros begin that reach to `end`; at `position` if there is nothing else."""
    start_of_room = position
    for start, chunk in _chunks(read, position, end):
        kept = chunk.rstrip(b"\0")
        if kept:
            start_of_room = start + len(kept)
    return start_of_room


def _chunks(read: ReadAt, position: int, end: int) -> Iterator[tuple[int, bytes | bytearray]]:
    while position < end and (chunk := _read_chunk(read, min(SCAN_CHUNK_BYTES, end - position), position)):
        yield position, chunk
        position += len(chunk)


def _read_chunk(read: ReadAt, size_bytes: int, position: int) -> bytes | bytearray:
    data = read(size_bytes, position)
    if data is None:
        raise WouldWait
    return data
