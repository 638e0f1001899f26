"""Kafka's text checkpoints: a small file that holds a few numbers and is replaced whole.

    0                   version of the format
    2                   how many entries follow
    orders 0 14800      one entry a line
    orders 1 15200

A checkpoint is written to `<name>.tmp`, synced, renamed over the old one, and the folder is synced. So
after a crash at any moment the old or the new content is there, never a mixture; a left-over `.tmp`
means nothing and is overwritten by the next write. A file that does not parse was damaged by something
else: CorruptCheckpoint, and the reader decides what is safe (recover everything, or refuse). An empty
file is a checkpoint without entries: Apache Kafka creates some of its files so.

In a log directory: `recovery-point-offset-checkpoint` (below it, all of a partition is on the disk),
`log-start-offset-checkpoint` (only partitions whose start is past their first segment's base offset),
`replication-offset-checkpoint` (high watermarks), `cleaner-offset-checkpoint` (where a log's
uncompacted part begins; only partitions that were compacted). In a partition folder: `leader-epoch-checkpoint`.
Kafka's classes: `CheckpointFile`, `OffsetCheckpointFile`, `LeaderEpochCheckpointFile`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .directory_names import TopicPartition
from .files import Files

VERSION = 0

RECOVERY_POINT_FILE = "recovery-point-offset-checkpoint"
LOG_START_FILE = "log-start-offset-checkpoint"
CLEANER_FILE = "cleaner-offset-checkpoint"
HIGH_WATERMARK_FILE = "replication-offset-checkpoint"

_NUMBER = re.compile(r"-?\d+", re.ASCII)
_MAX_INT64 = 2**63 - 1
_MAX_INT32 = 2**31 - 1


class CorruptCheckpoint(Exception):
    """A small file of the log directory is not what it should be: the disk, or a hand, changed it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path = path
        self.why = why


class EpochEntry(NamedTuple):
    """From `start_offset` on, records were written by the leader of `epoch`."""

    epoch: int
    start_offset: int


# --- the container: version, count, lines -------------------------------------------------------------------


def encode_lines(lines: Sequence[str]) -> bytes:
    """The file that holds `lines`."""
    return "".join(f"{line}\n" for line in (str(VERSION), str(len(lines)), *lines)).encode()


def decode_lines(data: bytes, *, path: str) -> list[str]:
    """The entries of a checkpoint; CorruptCheckpoint says what is wrong with which file."""
    if not data:
        return []
    lines = _split_lines(data, path)
    if lines[0] != str(VERSION):
        raise CorruptCheckpoint(path, f"begins with {lines[0]!r}, not with version {VERSION}")
    if len(lines) < 2:
        raise CorruptCheckpoint(path, "ends before the number of entries")
    expected_count = parse_number(lines[1], _MAX_INT32, path)
    entries = lines[2:]
    if len(entries) != expected_count:
        raise CorruptCheckpoint(path, f"says it has {expected_count} entries and has {len(entries)}")
    return entries


def read_if_present(files: Files, path: str) -> bytes | None:
    """The bytes of a small file, or None when there is none."""
    try:
        return files.read_bytes(path)
    except FileNotFoundError:
        return None


def parse_number(text: str, largest: int, path: str) -> int:
    """A decimal number from 0 to `largest`."""
    if _NUMBER.fullmatch(text) is None or not 0 <= (number := int(text)) <= largest:
        raise CorruptCheckpoint(path, f"has {text!r} where a number from 0 to {largest} belongs")
    return number


def _split_lines(data: bytes, path: str) -> list[str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptCheckpoint(path, f"is not text at byte {error.start}") from error
    # The last line, too, ends with a newline; without it a number may have lost its last digits.
    if not text.endswith("\n"):
        raise CorruptCheckpoint(path, "ends in the middle of a line")
    return [line.removesuffix("\r") for line in text[:-1].split("\n")]


# --- topic, partition, offset -------------------------------------------------------------------------------


def encode_offsets(offsets: Mapping[TopicPartition, int]) -> bytes:
    """Lines `topic partition offset`, in the order of the mapping."""
    return encode_lines([f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()])


def decode_offsets(data: bytes, *, path: str) -> dict[TopicPartition, int]:
    """The other way; a partition named twice is damage, too."""
    offsets: dict[TopicPartition, int] = {}
    for line in decode_lines(data, path=path):
        words = line.split()
        if len(words) != 3:
            raise CorruptCheckpoint(path, f"has the line {line!r}, not a topic, a partition and an offset")
        partition = TopicPartition(words[0], parse_number(words[1], _MAX_INT32, path))
        if partition in offsets:
            raise CorruptCheckpoint(path, f"names {partition} twice")
        offsets[partition] = parse_number(words[2], _MAX_INT64, path)
    return offsets


def read_offsets(files: Files, path: str) -> dict[TopicPartition, int]:
    """The offsets in the file at `path`; none when there is no file."""
    return decode_offsets(read_if_present(files, path) or b"", path=path)


def write_offsets(files: Files, path: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Durable on return: bytes and name."""
    files.replace_bytes(path, encode_offsets(offsets))


# --- leader epochs ------------------------------------------------------------------------------------------


def encode_epochs(entries: Iterable[EpochEntry]) -> bytes:
    """Lines `epoch start_offset`, oldest epoch first."""
    return encode_lines([f"{entry.epoch} {entry.start_offset}" for entry in entries])


def decode_epochs(data: bytes, *, path: str) -> list[EpochEntry]:
    """The other way; epochs and offsets both grow from line to line."""
    entries: list[EpochEntry] = []
    for line in decode_lines(data, path=path):
        words = line.split()
        if len(words) != 2:
            raise CorruptCheckpoint(path, f"has the line {line!r}, not an epoch and an offset")
        entry = EpochEntry(parse_number(words[0], _MAX_INT32, path), parse_number(words[1], _MAX_INT64, path))
        if entries and not (entry.epoch > entries[-1].epoch and entry.start_offset >= entries[-1].start_offset):
            raise CorruptCheckpoint(path, f"has {tuple(entry)} after {tuple(entries[-1])}")
        entries.append(entry)
    return entries


def _follows(entry: EpochEntry, previous: EpochEntry) -> bool:
    return entry.epoch > previous.epoch and entry.start_offset >= previous.start_offset


def read_epochs(files: Files, path: str) -> list[EpochEntry]:
    """The epochs in the file at `path`; none when there is no file."""
    return decode_epochs(read_if_present(files, path) or b"", path=path)


def write_epochs(files: Files, path: str, entries: Iterable[EpochEntry]) -> None:
    """Durable on return: bytes and name."""
    files.replace_bytes(path, encode_epochs(entries))
