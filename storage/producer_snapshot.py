"""The bytes of a producer snapshot: what a log knew of its producers in front of the offset in the file's name.

    0   version int16                    1
    2   crc uint32                       CRC-32C of everything from 6 to the end
    6   number of producers int32
    10  for each, 46 bytes:
        producer_id int64, epoch int16, last_sequence int32, last_offset int64, offset_delta int32,
        timestamp int64, coordinator_epoch int32, current_txn_first_offset int64 (-1: none)

Only the last of a producer's batches is in it; that is Kafka's format. A snapshot is not synced with the
log: one that does not check is dropped, and the state is rebuilt from an older one or from the log. Kafka's
schema: `ProducerSnapshot.json`.
"""

from __future__ import annotations

import struct

from ..protocol.checksum import crc32c
from .producers import MAX_SEQUENCE, NO_OFFSET, NO_SEQUENCE, Producer, ProducerStates, Remembered

VERSION = 1
CRC_POSITION = 2
CHECKED_FROM = 6

_HEAD = struct.Struct(">hIi")
_CRC = struct.Struct(">I")
_PRODUCER = struct.Struct(">qhiqiqiq")


class CorruptSnapshot(Exception):
    """The file is no snapshot, or was torn; the reader falls back on an older one."""


def encode(producers: ProducerStates) -> bytes:
    """The snapshot's bytes."""
    data = bytearray(_HEAD.pack(VERSION, 0, len(producers)))
    for producer_id, producer in producers:
        data += _encode_producer(producer_id, producer)
    _CRC.pack_into(data, CRC_POSITION, crc32c(memoryview(data)[CHECKED_FROM:]))
    return bytes(data)


def decode(data: bytes) -> list[tuple[int, Producer]]:
    """Producer ids and their states; CorruptSnapshot says what is wrong."""
    if len(data) < _HEAD.size:
        raise CorruptSnapshot(f"has only {len(data)} bytes")
    version, crc, count = _HEAD.unpack_from(data)
    if version != VERSION:
        raise CorruptSnapshot(f"is of version {version}")
    if crc32c(memoryview(data)[CHECKED_FROM:]) != crc:
        raise CorruptSnapshot("has a wrong checksum")
    if count < 0 or len(data) < _HEAD.size + count * _PRODUCER.size:
        raise CorruptSnapshot(f"is too short for {count} producers")
    return [_decode_producer(data, _HEAD.size + slot * _PRODUCER.size) for slot in range(count)]


def _encode_producer(producer_id: int, producer: Producer) -> bytes:
    last = producer.batches[-1] if producer.batches else None
    return _PRODUCER.pack(
        producer_id,
        producer.epoch,
        last.last_sequence if last else NO_SEQUENCE,
        last.last_offset if last else NO_OFFSET,
        last.last_offset - last.first_offset if last else 0,
        producer.last_timestamp,
        producer.coordinator_epoch,
        producer.txn_first_offset,
    )


def _decode_producer(data: bytes, at: int) -> tuple[int, Producer]:
    (
        producer_id,
        epoch,
        last_sequence,
        last_offset,
        offset_delta,
        timestamp,
        coordinator_epoch,
        txn_first_offset,
    ) = _PRODUCER.unpack_from(data, at)
    batches: tuple[Remembered, ...] = ()
    if last_offset >= 0:
        first_sequence = (last_sequence - offset_delta) & MAX_SEQUENCE if last_sequence >= 0 else NO_SEQUENCE
        batches = (Remembered(first_sequence, last_sequence, last_offset - offset_delta, last_offset, timestamp),)
    return producer_id, Producer(epoch, coordinator_epoch, timestamp, txn_first_offset, batches)
