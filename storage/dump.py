"""What is in a file of a log directory, as plain values, for people who look.

`dump_file` goes by the file's name and yields one small dataclass per batch, index entry, producer, epoch or
offset, in the file's order. It reads only, trusts nothing, needs no lock, and ends where the bytes stop making
sense, with an `Unreadable` that says why. So it can be pointed at a log that will not open. Whether the files of a
folder agree with each other is another question: see `check`.

Corresponds to Kafka's `DumpLogSegments`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

from ..protocol.errors import MalformedMessage
from ..protocol.records import BatchHeader, Record, crc_is_valid, iter_records
from ..protocol.values import dataclass
from . import checkpoint, clean_shutdown, meta_properties, partition_metadata, producer_snapshot
from .batches import header_fault, is_room
from .checkpoint import CorruptCheckpoint
from .files import File, Files
from .index import OffsetIndex, TimeIndex
from .names import LEADER_EPOCH_FILE, Kind, parse_file_name
from .txn_index import TransactionIndex

MAX_DECOMPRESSED_BYTES = 1024 * 1024 * 1024
NO_OFFSET_BEFORE = -(2**63)
# Snapshots of a journal's state, ours and Kafka's: record batches, too.
_STATE_SNAPSHOT = re.compile(r"(\d{20}(-\d{10})?|bootstrap)\.checkpoint", re.ASCII)
ABORTED_TRANSACTION = TransactionIndex.layout

Progress = Callable[[int], None]
"""Told how many more bytes were read."""


@dataclass(frozen=True, slots=True)
class DumpedBatch:
    """A batch at a byte position; `records` only when asked for, and when they can be read."""

    position: int
    header: BatchHeader
    crc_is_valid: bool
    records: list[Record] | None


@dataclass(frozen=True, slots=True)
class DumpedPosition:
    """An entry of an offset index: the batch at `log_position` ends with `offset`."""

    offset: int
    log_position: int


@dataclass(frozen=True, slots=True)
class DumpedTime:
    """An entry of a time index: no record up to `offset` is later than `timestamp`."""

    timestamp: int
    offset: int


@dataclass(frozen=True, slots=True)
class DumpedAbort:
    """An entry of a transaction index: a transaction that was aborted."""

    version: int
    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


@dataclass(frozen=True, slots=True)
class DumpedProducer:
    """A producer in a snapshot, with the last batch it wrote; -1 for what there is none of."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    last_timestamp: int
    current_txn_first_offset: int
    first_sequence: int
    last_sequence: int
    last_offset: int
    offset_delta: int


@dataclass(frozen=True, slots=True)
class DumpedEpoch:
    """A line of a leader-epoch checkpoint."""

    epoch: int
    start_offset: int


@dataclass(frozen=True, slots=True)
class DumpedOffset:
    """A line of an offset checkpoint."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class DumpedProperty:
    """A name and a value, from the files that hold such pairs."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """From `position` on (None: all of it) the file makes no sense; the last thing a dump yields."""

    position: int | None
    reason: str


Dumped = (
    DumpedBatch
    | DumpedPosition
    | DumpedTime
    | DumpedAbort
    | DumpedProducer
    | DumpedEpoch
    | DumpedOffset
    | DumpedProperty
    | Unreadable
)


class NotDumpable(ValueError):
    """No file of a log directory has this name."""


def dump_file(path: str, files: Files, *, deep: bool = False, on_bytes: Progress | None = None) -> Iterator[Dumped]:
    """What is in the file at `path`; `deep` looks into the batches of a log, too.

    NotDumpable when the name says nothing, FileNotFoundError when there is no such file.
    """
    name = os.path.basename(path)
    segment_file = parse_file_name(name)
    if _STATE_SNAPSHOT.fullmatch(name):
        files.size(path)
        return dump_log(path, files, deep=deep, on_bytes=on_bytes)
    if segment_file is None:
        dump_small = _SMALL_FILES.get(name)
        if dump_small is None:
            raise NotDumpable(f"{name} is not the name of a file that can be dumped")
        return _dump_small(path, files, dump_small)
    files.size(path)  # opening would create a file that is not there
    if segment_file.kind is Kind.LOG:
        return dump_log(path, files, deep=deep, on_bytes=on_bytes)
    if segment_file.kind is Kind.OFFSET_INDEX:
        return _dump_offset_index(path, files, segment_file.base_offset)
    if segment_file.kind is Kind.TIME_INDEX:
        return _dump_time_index(path, files, segment_file.base_offset)
    if segment_file.kind is Kind.TXN_INDEX:
        return _dump_txn_index(path, files)
    return _dump_small(path, files, _dump_snapshot)


def dump_log(
    path: str, files: Files, *, deep: bool = False, on_bytes: Progress | None = None
) -> Iterator[DumpedBatch | Unreadable]:
    """Each batch of a segment. A wrong checksum is reported and stepped over, a broken header ends it."""
    file = files.open(path)
    try:
        yield from _dump_batches(file, file.size(), deep, on_bytes or _ignore)
    finally:
        file.close()


def _dump_batches(file: File, end: int, deep: bool, on_bytes: Progress) -> Iterator[DumpedBatch | Unreadable]:
    position = 0
    while position < end:
        head = file.read(61, position)
        header, reason = header_fault(head, 0, end - position, NO_OFFSET_BEFORE)
        if header is None:
            if not is_room(file.read, position, end):
                yield Unreadable(position, reason)
            return
        batch = file.read(header.size_bytes, position)
        valid = crc_is_valid(batch, 0, header)
        fault = ""
        records = None
        if deep and valid:
            records, fault = _read_records(batch)
        yield DumpedBatch(position, header, valid, records)
        if fault:
            yield Unreadable(position, fault)
            return
        position += header.size_bytes
        on_bytes(header.size_bytes)


def _read_records(batch: bytes) -> tuple[list[Record] | None, str]:
    try:
        return list(iter_records(batch, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES)), ""
    except MalformedMessage as error:
        return None, str(error)


def _dump_offset_index(path: str, files: Files, base_offset: int) -> Iterator[DumpedPosition]:
    index = OffsetIndex(files.open(path), base_offset)
    try:
        for entry in index.entries():
            yield DumpedPosition(entry.offset, entry.position)
    finally:
        index.close()


def _dump_time_index(path: str, files: Files, base_offset: int) -> Iterator[DumpedTime]:
    index = TimeIndex(files.open(path), base_offset)
    try:
        for entry in index.entries():
            yield DumpedTime(entry.timestamp, entry.offset)
    finally:
        index.close()


def _dump_txn_index(path: str, files: Files) -> Iterator[Dumped]:
    data = files.read_bytes(path)
    for position in range(0, len(data), ABORTED_TRANSACTION.size):
        if len(data) - position < ABORTED_TRANSACTION.size:
            yield Unreadable(position, f"only {len(data) - position} bytes are left, an entry has 34")
            return
        yield DumpedAbort(*ABORTED_TRANSACTION.unpack_from(data, position))


# --- the small files: read whole, each with its own grammar -------------------------------------------------

SmallDump = Callable[[bytes, str], Iterator[Dumped]]


def _dump_small(path: str, files: Files, dump: SmallDump) -> Iterator[Dumped]:
    data = files.read_bytes(path)
    try:
        yield from dump(data, path)
    except (CorruptCheckpoint, producer_snapshot.CorruptSnapshot) as error:
        yield Unreadable(None, error.why if isinstance(error, CorruptCheckpoint) else str(error))


def _dump_snapshot(data: bytes, _path: str) -> Iterator[DumpedProducer]:
    for producer_id, producer in producer_snapshot.decode(data):
        last = producer.batches[-1] if producer.batches else None
        yield DumpedProducer(
            producer_id=producer_id,
            producer_epoch=producer.epoch,
            coordinator_epoch=producer.coordinator_epoch,
            last_timestamp=producer.last_timestamp,
            current_txn_first_offset=producer.txn_first_offset,
            first_sequence=last.first_sequence if last else -1,
            last_sequence=last.last_sequence if last else -1,
            last_offset=last.last_offset if last else -1,
            offset_delta=last.last_offset - last.first_offset if last else 0,
        )


def _dump_epochs(data: bytes, path: str) -> Iterator[DumpedEpoch]:
    for entry in checkpoint.decode_epochs(data, path=path):
        yield DumpedEpoch(entry.epoch, entry.start_offset)


def _dump_offsets(data: bytes, path: str) -> Iterator[DumpedOffset]:
    for partition, offset in checkpoint.decode_offsets(data, path=path).items():
        yield DumpedOffset(partition.topic, partition.partition, offset)


def _dump_partition_metadata(data: bytes, path: str) -> Iterator[DumpedProperty]:
    topic_id = partition_metadata.decode(data, path=path)
    yield DumpedProperty("topic_id", partition_metadata.format_uuid(topic_id))


def _dump_meta_properties(data: bytes, path: str) -> Iterator[DumpedProperty]:
    properties = meta_properties.decode(data, path=path)
    yield DumpedProperty("cluster.id", properties.cluster_id)
    yield DumpedProperty("node.id", str(properties.node_id))
    if properties.directory_id is not None:
        yield DumpedProperty("directory.id", partition_metadata.format_uuid(properties.directory_id))
    for name, value in properties.others.items():
        yield DumpedProperty(name, value)


def _dump_clean_shutdown(data: bytes, _path: str) -> Iterator[DumpedProperty]:
    yield DumpedProperty("content", data.decode("utf-8", "replace"))


def _ignore(_count_bytes: int) -> None:
    """Nobody watches the progress."""


_SMALL_FILES: dict[str, SmallDump] = {
    LEADER_EPOCH_FILE: _dump_epochs,
    checkpoint.RECOVERY_POINT_FILE: _dump_offsets,
    checkpoint.LOG_START_FILE: _dump_offsets,
    checkpoint.HIGH_WATERMARK_FILE: _dump_offsets,
    "cleaner-offset-checkpoint": _dump_offsets,
    partition_metadata.FILE_NAME: _dump_partition_metadata,
    meta_properties.FILE_NAME: _dump_meta_properties,
    clean_shutdown.FILE_NAME: _dump_clean_shutdown,
}
