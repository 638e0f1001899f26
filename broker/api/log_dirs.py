"""DescribeLogDirs: the log directory, how full its disk is, and how large the partitions in it are.

There is one directory, so AlterReplicaLogDirs finds each partition where it shall be, or is refused.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ..partition import Partition
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

UNKNOWN_BYTES = -1


async def describe_log_dirs(broker: Broker, context: RequestContext, request: Message) -> Message:
    """All partitions when no list is given; of a list, those that exist."""
    topics: dict[str, list[Message]] = {}
    for partition in _asked_for(broker, request):
        topics.setdefault(partition.topic, []).append(
            Message(
                partition_index=partition.index,
                partition_size=partition.log.size_bytes,
                offset_lag=0,
                is_future_key=False,
            )
        )
    directory = str(broker.config.data_directory.absolute())
    total_bytes, usable_bytes = await asyncio.to_thread(_disk_bytes, directory)
    result = Message(
        error_code=ErrorCode.NONE,
        log_dir=directory,
        topics=[Message(name=name, partitions=partitions) for name, partitions in topics.items()],
        total_bytes=total_bytes,
        usable_bytes=usable_bytes,
        is_cordoned=False,
    )
    return Message(error_code=ErrorCode.NONE, results=[result])


def _asked_for(broker: Broker, request: Message) -> Iterable[Partition]:
    if request.topics is None:
        return broker.partitions
    named = dict.fromkeys((topic.topic, index) for topic in request.topics for index in topic.partitions)
    found = (broker.partitions.find(topic, index) for topic, index in named)
    return [partition for partition in found if partition is not None]


def _disk_bytes(directory: str) -> tuple[int, int]:
    """Size of the disk, and what of it we may use; -1 where the system does not say."""
    try:
        usage = shutil.disk_usage(directory)
    except OSError:
        return UNKNOWN_BYTES, UNKNOWN_BYTES
    return usage.total, usage.free


def alter_replica_log_dirs(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Of a partition named twice the last directory counts, as in Kafka."""
    wanted = {
        (topic.name, index): each.path for each in request.dirs for topic in each.topics for index in topic.partitions
    }
    results: dict[str, list[Message]] = {}
    for (topic, index), path in wanted.items():
        code = _move(broker, topic, index, path)
        results.setdefault(topic, []).append(Message(partition_index=index, error_code=code))
    return Message(results=[Message(topic_name=topic, partitions=partitions) for topic, partitions in results.items()])


def _move(broker: Broker, topic: str, index: int, path: str) -> ErrorCode:
    if path != str(broker.config.data_directory.absolute()):
        return ErrorCode.LOG_DIR_NOT_FOUND
    if broker.partitions.find(topic, index) is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return ErrorCode.NONE


HANDLERS: dict[ApiKey, Handler] = {
    ApiKey.DESCRIBE_LOG_DIRS: describe_log_dirs,
    ApiKey.ALTER_REPLICA_LOG_DIRS: alter_replica_log_dirs,
}
