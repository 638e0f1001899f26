"""The names of folders in a log directory: one grammar, both ways.

    orders-0                                              a partition's log
    orders-0.a807f50f7ac248158ee11a2fd880d6a4-delete      renamed, its files are to be removed after a while
    orders-0.2b1a51cf9f7d4406b109580eb0c492ce-stray       belongs to no topic that the catalog knows
    orders-0.0d2a0e6a63d24cd8953447a31bb08db7-future      a copy that Apache Kafka was making on another disk

A topic may contain `-` and `.`, so the partition is what follows the last `-` (in front of the mark),
and the mark begins at the last `.`. A file system takes names of 255 characters at most: in the names of
folders that are on their way out the topic loses its end to stay within that, and can then not be told
from the name. Kafka's class: `LocalLog` (`logDirName`, `logDeleteDirName`, `parseTopicPartitionName`).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from ..protocol.values import dataclass

MAX_NAME_LENGTH = 255

_NAME = re.compile(r"(?P<topic>\S+)-(?P<partition>\d+)(?:\.(?P<id>[^\s.]+)-(?P<mark>delete|stray|future))?", re.ASCII)


class TopicPartition(NamedTuple):
    """One partition of one topic, by name."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class Mark(Enum):
    """What a folder's name says of it besides the partition."""

    LIVE = ""
    DELETE = "delete"
    STRAY = "stray"
    FUTURE = "future"


@dataclass(frozen=True, slots=True)
class FolderName:
    """A partition folder's name, taken apart."""

    partition: TopicPartition
    mark: Mark


def live_name(partition: TopicPartition) -> str:
    """The folder of a partition's log."""
    return str(partition)


def marked_name(partition: TopicPartition, mark: Mark, unique_id: UUID) -> str:
    """The folder's name on its way out; the topic is cut so that all fits in 255 characters."""
    ending = f"-{partition.partition}.{unique_id.hex}-{mark.value}"
    return partition.topic[: MAX_NAME_LENGTH - len(ending)] + ending


def parse_name(name: str) -> FolderName | None:
    """The other way; None for a name that no partition folder has."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    partition = TopicPartition(match["topic"], int(match["partition"]))
    return FolderName(partition, Mark(match["mark"] or ""))
