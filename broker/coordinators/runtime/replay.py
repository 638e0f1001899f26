"""Loading: from the log of one partition to a machine in the state it leads to.

    log --> batches, each proved by its CRC --> records: decoded, applied in order
                                            --> control batches: the producer's transaction is over

It runs in a thread, while the broker serves already; whoever asks about what is not loaded yet is told so. The log may be
compacted, so offsets may have gaps. What a crash cannot explain (a fault in a batch, a record that cannot be one) is not
passed over: a coordinator on a part of its history would hand out old offsets as if they were the last. Then this
partition is not served, and the broker's log says why.

Kafka's class: `CoordinatorLoaderImpl`, which does not look at CRCs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....protocol.batch_header import BatchHeader
from ....protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ....protocol.records import ControlType, crc_is_valid, iter_headers, iter_records, read_end_txn_marker
from ....protocol.values import dataclass
from ....storage.log import Log
from .machine import Machine, TransactionalProducer

READ_BYTES = 1024 * 1024
MAX_DECOMPRESSED_BYTES = 1024 * 1024 * 1024
READ_ATTEMPTS = 3
"""Retention or compaction may take a segment away under a reader; the next look finds what took its place."""


class ReplayFailed(Exception):
    """The log does not lead to a state; says where and why."""


class ReplayGivenUp(Exception):
    """The state is not wanted any more."""


@dataclass(slots=True)
class Replayed:
    """What a replay came upon; `end_offset` is exclusive."""

    end_offset: int
    record_count: int = 0
    unknown_count: int = 0
    size_bytes: int = 0


def replay(log: Log, machine: Machine[Any], *, is_wanted: Callable[[], bool]) -> Replayed:
    """Apply all of `log` to `machine`, which must be new. Reads the disk: in a thread.

    `is_wanted` is asked now and then. Raises ReplayFailed, ReplayGivenUp, OSError.
    """
    found = Replayed(log.log_start_offset)
    while found.end_offset < log.log_end_offset:
        if not is_wanted():
            raise ReplayGivenUp
        before = found.end_offset
        data = _read(log, before)
        if not data:
            # Compaction took everything up to the end, where the next record will be.
            found.end_offset = log.log_end_offset
            break
        for position, header in iter_headers(data):
            if header.next_offset <= before:
                continue
            if not crc_is_valid(data, position, header):
                raise ReplayFailed(f"the batch at offset {header.base_offset} is damaged")
            _apply_batch(machine, data, position, header, found)
            found.end_offset = header.next_offset
        if found.end_offset == before:
            raise ReplayFailed(f"nothing can be read at offset {before}")
    return found


def _read(log: Log, offset: int) -> bytes:
    attempt = 1
    while True:
        try:
            found = log.read(max(offset, log.log_start_offset), max_bytes=READ_BYTES)
        except KafkaError as error:
            if error.code is not ErrorCode.OFFSET_OUT_OF_RANGE or attempt == READ_ATTEMPTS:
                raise ReplayFailed(str(error)) from error
            attempt += 1
            continue
        return b"" if found is None else found.read()


def _apply_batch(machine: Machine[Any], data: bytes, position: int, header: BatchHeader, found: Replayed) -> None:
    found.size_bytes += header.size_bytes
    producer = TransactionalProducer(header.producer_id, header.producer_epoch) if header.is_transactional else None
    try:
        for record in iter_records(data, position, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES):
            found.record_count += 1
            if header.is_control:
                committed = read_end_txn_marker(record).type is ControlType.COMMIT
                machine.end_transaction(header.producer_id, committed=committed)
            elif record.key is None:
                raise ReplayFailed(f"the record at offset {record.offset} has no key")
            else:
                decoded = machine.decode(record.key, record.value)
                if decoded is None:
                    found.unknown_count += 1
                else:
                    machine.apply(decoded, offset=record.offset, producer=producer)
    except (MalformedMessage, ValueError, KeyError, AssertionError) as error:
        where = f"the batch at offset {header.base_offset}"
        raise ReplayFailed(f"{where} holds a record that cannot be applied: {error!r}") from error
