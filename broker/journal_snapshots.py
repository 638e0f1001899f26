"""Snapshots of a journal: the whole state of a machine as of one offset, in one file beside the log's
segments.

    00000000000000001234.checkpoint        the state that the journal's records in front of offset 1234 lead
    to

    batch   batch   ...   batch            record batches (format 2, each with its CRC), offsets from 0
      |                     |
      first record          last record
      [HEADER, version, offset]            [FOOTER, number of records between the two]     both msgpack arrays

The records between are the machine's own, as in the log: the shortest history that leads to the state. So one decoder
reads log and snapshot, and Kafka's `DumpLogSegments` and `ottla log dump` open both.

A snapshot is written under another name (`.checkpoint.part`), synced, and renamed; a crash leaves the old ones and
perhaps a part, which is removed at the next start. A file that was damaged later is known by its CRCs, its header or
its missing footer and passed over for the one before it, which is why the last two are kept (and the log behind
them). Kafka's counterpart: the KRaft snapshots (`FileRawSnapshotWriter`), which also lie beside the log as
`.checkpoint`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgpack

from ..protocol.records import BatchBuilder, crc_is_valid, iter_headers, iter_records
from ..protocol.values import dataclass
from ..storage.files import Files

BATCH_BYTES = 256 * 1024
"""A batch is closed when it has this size, so that the writer holds no more of the encoded state than that.
"""

VERSION = 0
_HEADER = "ottla-snapshot"
_FOOTER = "end"
_SUFFIX = ".checkpoint"
_PART = ".part"
_NAME = re.compile(r"(\d{20})\.checkpoint", re.ASCII)


class DamagedSnapshot(ValueError):
    """The file is not a whole snapshot; says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that was written: its offset and its size."""

    offset: int
    size_bytes: int


def file_name(offset: int) -> str:
    return f"{offset:020d}{_SUFFIX}"


def offsets_present(files: Files, directory: str) -> list[int]:
    """Offsets of the snapshots in the folder, newest first; says nothing of whether they are whole."""
    names = filter(None, map(_NAME.fullmatch, files.list_files(directory)))
    return sorted((int(name[1]) for name in names), reverse=True)


def remove_parts(files: Files, directory: str) -> None:
    """Remove what a crash left half-written."""
    for name in files.list_files(directory):
        if name.endswith(_SUFFIX + _PART):
            files.remove(os.path.join(directory, name))


def remove(files: Files, directory: str, offset: int) -> None:
    files.remove(os.path.join(directory, file_name(offset)))


def write(files: Files, directory: str, offset: int, records: Iterable[bytes], *, now_ms: int) -> Snapshot:
    """Write the snapshot; it and its name are durable on return. Waits for the disk: for a thread. OSError."""
    path = os.path.join(directory, file_name(offset))
    part = path + _PART
    files.remove(part)
    try:
        size_bytes = _write_file(files, part, _batches(offset, records, now_ms))
    except OSError:
        files.remove(part)  # on a full disk its room is wanted
        raise
    files.rename(part, path)
    files.sync_directory(directory)
    return Snapshot(offset, size_bytes)


def _write_file(files: Files, path: str, batches: Iterable[bytearray]) -> int:
    file = files.open(path)
    try:
        size_bytes = 0
        for batch in batches:
            file.write(batch, size_bytes)
            size_bytes += len(batch)
        file.sync()
    finally:
        file.close()
    return size_bytes


def read(files: Files, directory: str, offset: int) -> tuple[list[bytes], int]:
    """The machine's records, all of them proved, and the size of the file. Raises DamagedSnapshot, OSError."""
    path = os.path.join(directory, file_name(offset))
    data = files.read_bytes(path)
    try:
        header, *values, footer = _values(data)
        _check_header(header, offset)
        if _array(footer) != [_FOOTER, len(values)]:
            raise ValueError(f"the footer does not count {len(values)} records")
    except ValueError as error:
        raise DamagedSnapshot(f"{path} is no whole snapshot: {error}") from error
    return values, len(data)


def _batches(offset: int, records: Iterable[bytes], now_ms: int) -> Iterator[bytearray]:
    builder = BatchBuilder()
    next_offset = builder.append(now_ms, None, _pack([_HEADER, VERSION, offset])) + 1
    count = 0
    for record in records:
        if builder.size_bytes >= BATCH_BYTES:
            yield builder.build()
            builder = BatchBuilder(base_offset=next_offset)
        next_offset = builder.append(now_ms, None, record) + 1
        count += 1
    builder.append(now_ms, None, _pack([_FOOTER, count]))
    yield builder.build()


def _values(data: bytes) -> Iterator[bytes]:
    """Record values of all batches, each proved by its CRC. ValueError, possibly after some of them."""
    end = 0
    for position, header in iter_headers(data):
        if not crc_is_valid(data, position, header):
            raise ValueError(f"the batch at {position} has a wrong CRC")
        for record in iter_records(data, position, max_decompressed_bytes=BATCH_BYTES):
            yield record.value or b""
        end = position + header.size_bytes
    if end != len(data):
        raise ValueError(f"its {len(data)} bytes end in the middle of a batch, at {end}")


def _check_header(value: bytes, offset: int) -> None:
    header = _array(value)
    if len(header) < 3 or header[0] != _HEADER:
        raise ValueError("the header is missing")
    if header[1] > VERSION:
        raise ValueError(f"it is of version {header[1]}, only {VERSION} is known")
    if header[2] != offset:
        raise ValueError(f"the header is of offset {header[2]}")


def _array(value: bytes) -> list[Any]:
    try:
        array = msgpack.unpackb(value)
    except (ValueError, msgpack.UnpackException):
        return []
    return array if isinstance(array, list) else []


def _pack(array: list[Any]) -> bytes:
    packed: bytes = msgpack.packb(array)
    return packed
