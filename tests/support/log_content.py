"""What a log has: for a reader, fetched the way a consumer would; and in a file of it."""

from __future__ import annotations

from pathlib import Path

from ottla.protocol.records import iter_headers
from ottla.storage.dump import DumpedBatch, dump_log
from ottla.storage.log import Log
from ottla.storage.system_files import SystemFiles


def batches_in(file: Path) -> bytes:
    """The batches of a segment's file, which is longer while it is appended to."""
    dumped = [each for each in dump_log(str(file), SystemFiles()) if isinstance(each, DumpedBatch)]
    return file.read_bytes()[: dumped[-1].position + dumped[-1].header.size_bytes] if dumped else b""


def read_batches(log: Log, *, from_offset: int | None = None, max_bytes: int = 1 << 20) -> list[bytes]:
    """Whole batches, one after the other, from `from_offset` (the log's start if None) to the log's end."""
    offset = log.log_start_offset if from_offset is None else from_offset
    batches: list[bytes] = []
    while offset < log.log_end_offset:
        piece = log.read(offset, max_bytes=max_bytes)
        assert piece is not None, f"nothing at {offset}, the log ends at {log.log_end_offset}"
        data = piece.read()
        for position, header in iter_headers(data):
            batches.append(bytes(data[position : position + header.size_bytes]))
            offset = header.next_offset
    return batches
