"""What an append brings, taken apart: the batches of a buffer with the offsets they are about to get. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ..protocol.batch_header import HEADER, LOG_OVERHEAD, TIMESTAMP_TYPE_BIT, patch_offsets
from .producers import ProducedBatch

NO_TIMESTAMP = -1

# Places of a header's numbers in HEADER: reading them by name would cost as much as the rest of an append.
_LENGTH, _ATTRIBUTES, _LAST_OFFSET_DELTA, _MAX_TIMESTAMP = 1, 5, 6, 8
_PRODUCER_ID, _PRODUCER_EPOCH, _BASE_SEQUENCE = 9, 10, 11


class Appended(NamedTuple):
    """Where an append went; `duplicate`: it was here already, and these are the offsets it was given then."""

    base_offset: int
    last_offset: int
    log_start_offset: int
    duplicate: bool
    log_append_time: int  # milliseconds; -1 unless the log gave the time, or the append is a duplicate


class IncomingBatch(NamedTuple):
    """A batch at `position` of the buffer."""

    position: int
    size_bytes: int
    base_offset: int
    last_offset: int
    max_timestamp: int


class Intake(NamedTuple):
    """All batches of one append."""

    batches: list[IncomingBatch]
    produced: list[ProducedBatch]  # those with a producer id
    max_timestamp: int
    log_append_time: int  # -1 unless the log gave the time
    last_offset: int


def take_apart(buffer: memoryview | bytearray, base_offset: int) -> Intake:
    """Read the headers of whole batches, end to end, and number their records from `base_offset` on."""
    batches: list[IncomingBatch] = []
    produced: list[ProducedBatch] = []
    largest = log_append_time = NO_TIMESTAMP
    offset, position, end = base_offset, 0, len(buffer)
    while position < end:
        header = HEADER.unpack_from(buffer, position)
        size_bytes = header[_LENGTH] + LOG_OVERHEAD
        last_offset = offset + header[_LAST_OFFSET_DELTA]
        max_timestamp = header[_MAX_TIMESTAMP]
        batches.append(IncomingBatch(position, size_bytes, offset, last_offset, max_timestamp))
        if header[_PRODUCER_ID] >= 0:
            produced.append(_produced(header, offset, last_offset))
        if max_timestamp > largest:
            largest = max_timestamp
        if header[_ATTRIBUTES] & TIMESTAMP_TYPE_BIT:
            log_append_time = max_timestamp
        position += size_bytes
        offset = last_offset + 1
    assert position == end > 0, "the buffer is not whole batches"
    return Intake(batches, produced, largest, log_append_time, offset - 1)


def stamp(buffer: memoryview | bytearray, intake: Intake, leader_epoch: int) -> None:
    """Write the offsets and the leader epoch into the batches, in place; their CRCs do not cover them."""
    for batch in intake.batches:
        patch_offsets(buffer, batch.position, batch.base_offset, leader_epoch)


def _produced(header: tuple[int, ...], base_offset: int, last_offset: int) -> ProducedBatch:
    return ProducedBatch(
        header[_PRODUCER_ID],
        header[_PRODUCER_EPOCH],
        header[_BASE_SEQUENCE],
        base_offset,
        last_offset,
        header[_MAX_TIMESTAMP],
        header[_ATTRIBUTES],
    )
