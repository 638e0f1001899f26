"""The transaction index of a segment, as much of it as cleaning needs: read whole, and written whole for a new segment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..checkpoint import read_if_present
from ..dump import ABORTED_TRANSACTION
from ..files import Files

VERSION = 0


class AbortedTransaction(NamedTuple):
    """One aborted transaction of a log, as its index has it; both offsets are inclusive."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


def read_aborted(files: Files, path: str) -> list[AbortedTransaction]:
    """Every entry of the file; none when it is not there."""
    data = read_if_present(files, path) or b""
    whole_bytes = len(data) - len(data) % ABORTED_TRANSACTION.size
    return [AbortedTransaction(*each[1:]) for each in ABORTED_TRANSACTION.iter_unpack(data[:whole_bytes])]


def write_aborted(files: Files, path: str, transactions: Iterable[AbortedTransaction]) -> None:
    """Make the file, synced; none when there is nothing to write. OSError."""
    data = b"".join(ABORTED_TRANSACTION.pack(VERSION, *each) for each in transactions)
    if not data:
        return
    file = files.open(path)
    try:
        file.write(data, 0)
        file.sync()
    finally:
        file.close()
