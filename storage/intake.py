"""What an append brings, taken apart: the batches of a buffer with the offsets they are about to get. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ..protocol.batch_header import HEADER, LOG_OVERHEAD, TIMESTAMP_TYPE_BIT, patch_offsets
from .producers import ProducedBatch

NO_TIMESTAMP = -1

HeaderValues = tuple[int, ...]
"""What HEADER unpacks: reading its numbers by name would cost as much as the rest of an append. Their places:"""
LENGTH, ATTRIBUTES, LAST_OFFSET_DELTA, MAX_TIMESTAMP = 1, 5, 6, 8
PRODUCER_ID, PRODUCER_EPOCH, BASE_SEQUENCE = 9, 10, 11


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
        size_bytes = header[LENGTH] + LOG_OVERHEAD
        last_offset = offset + header[LAST_OFFSET_DELTA]
        max_timestamp = header[MAX_TIMESTAMP]
        batches.append(IncomingBatch(position, size_bytes, offset, last_offset, max_timestamp))
        if header[PRODUCER_ID] >= 0:
            produced.append(produced_batch(header, offset))
        if max_timestamp > largest:
            largest = max_timestamp
        if header[ATTRIBUTES] & TIMESTAMP_TYPE_BIT:
            log_append_time = max_timestamp
        position += size_bytes
        offset = last_offset + 1
    assert position == end > 0, "the buffer is not whole batches"
    return Intake(batches, produced, largest, log_append_time, offset - 1)


def stamp(buffer: memoryview | bytearray, intake: Intake, leader_epoch: int) -> None:
    """Write the offsets and the leader epoch into the batches, in place; their CRCs do not cover them."""
    for batch in intake.batches:
        patch_offsets(buffer, batch.position, batch.base_offset, leader_epoch)


def produced_batch(header: HeaderValues, base_offset: int) -> ProducedBatch:
    """What the producers' states need of a batch with this header that gets `base_offset`."""
    return ProducedBatch(
        header[PRODUCER_ID],
        header[PRODUCER_EPOCH],
        header[BASE_SEQUENCE],
        base_offset,
        base_offset + header[LAST_OFFSET_DELTA],
        header[MAX_TIMESTAMP],
        header[ATTRIBUTES],
    )
