"""The names of files in a partition's folder: one grammar, both ways.

    00000000000000368769.log          batches from offset 368769 on
    00000000000000368769.index        offset -> position, sparse
    00000000000000368769.timeindex    timestamp -> offset, sparse
    00000000000000368769.txnindex     aborted transactions, only where there are any
    00000000000000368769.snapshot     what the log knew of its producers in front of offset 368769
    <any of these>.deleted            on its way out: readers may still hold it
    <any of these>.<n>.deleted        the same, after compaction put another segment in its place
    <any of these>.cleaned            compaction was writing it
    <any of these>.swap               compaction was putting it in place
    leader-epoch-checkpoint           which leader epoch began where
    partition.metadata                the topic id
    .sync-failed                      ours: what the page cache shows may not be what the disk has

Twenty digits, so that names sort as offsets do. Kafka's class: `LogFileUtils`.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

LEADER_EPOCH_FILE = "leader-epoch-checkpoint"
SYNC_FAILED_FILE = ".sync-failed"

_NAME = re.compile(
    r"(?P<base>\d{20})\.(?P<kind>log|index|timeindex|txnindex|snapshot)(?:\.(?P<mark>deleted|cleaned|swap)|\.(?P<number>\d+)\.deleted)?",
    re.ASCII,
)


class Kind(Enum):
    """What a segment's file holds; the value is its suffix."""

    LOG = ".log"
    OFFSET_INDEX = ".index"
    TIME_INDEX = ".timeindex"
    TXN_INDEX = ".txnindex"
    SNAPSHOT = ".snapshot"


class Mark(Enum):
    """What a file's name says of it besides."""

    LIVE = ""
    DELETED = ".deleted"
    CLEANED = ".cleaned"
    SWAP = ".swap"
    REPLACED = ".<n>.deleted"


class FileName(NamedTuple):
    """A segment file's name, taken apart."""

    base_offset: int
    kind: Kind
    mark: Mark


def file_name(base_offset: int, kind: Kind, mark: Mark = Mark.LIVE) -> str:
    return f"{base_offset:020d}{kind.value}{mark.value}"


def replaced_name(base_offset: int, kind: Kind, number: int) -> str:
    """The name of a file that compaction has replaced, as the `number`th: the same base offset is cleaned again and again."""
    return f"{base_offset:020d}{kind.value}.{number}.deleted"


@lru_cache(maxsize=4096)  # each pass over a folder asks again
def parse_file_name(name: str) -> FileName | None:
    """The other way; None for a name that no segment file has."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    mark = match["mark"]
    if match["number"] is not None:
        return FileName(int(match["base"]), Kind("." + match["kind"]), Mark.REPLACED)
    return FileName(int(match["base"]), Kind("." + match["kind"]), Mark("." + mark if mark else ""))
