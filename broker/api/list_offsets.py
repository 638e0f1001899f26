"""ListOffsets: the offset at an end of the log, at a time, or of the largest timestamp.

    -1 latest   -2 earliest
    -3 largest timestamp (KIP-734)      -4 earliest local (KIP-405)   -5 latest tiered, -6 earliest pending upload
    t >= 0: the first record at or after t

To consumers of committed records the log ends at its last stable offset: nothing behind it is found.

A log that is only local has its local start where it starts, and nothing tiered. A search by time reads the index and may
read records, so it is done by a thread; the ends are known without.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..partition import Partition
from .context import Handler, RequestContext

if TYPE_CHECKING:
    from ..app import Broker

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3
EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING_UPLOAD = -4, -5, -6
READ_UNCOMMITTED, READ_COMMITTED = ISOLATION_LEVELS = (0, 1)
UNKNOWN = -1

OLDEST_VERSION = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
"""The version from which a special timestamp may be asked for; the two ends always may."""


async def handle(broker: Broker, context: RequestContext, request: Message) -> Message:
    """Answer each partition on its own; one that is named twice is refused, once (INVALID_REQUEST)."""
    asked: dict[str, dict[int, list[Message]]] = {}
    for topic in request.topics:
        for each in topic.partitions:
            asked.setdefault(topic.name, {}).setdefault(each.partition_index, []).append(each)
    topics = []
    for name, partitions in asked.items():
        answers = [
            await _answer(broker, context, request.isolation_level, name, wanted[0])
            if len(wanted) == 1 and request.isolation_level in ISOLATION_LEVELS
            else _refusal(index, ErrorCode.INVALID_REQUEST)
            for index, wanted in partitions.items()
        ]
        topics.append(Message(name=name, partitions=answers))
    return Message(topics=topics)


async def _answer(broker: Broker, context: RequestContext, isolation_level: int, topic: str, asked: Message) -> Message:
    index = asked.partition_index
    partition = broker.partitions.find(topic, index)
    if partition is None:
        return _refusal(index, broker.partitions.why_missing(topic, index))
    if not _is_known(asked.timestamp, context.api_version):
        return _refusal(index, ErrorCode.UNSUPPORTED_VERSION)
    try:
        partition.check_leader_epoch(asked.current_leader_epoch)
        timestamp, offset, epoch = await _find(partition, asked.timestamp, isolation_level)
    except KafkaError as error:
        return _refusal(index, error.code)
    return Message(
        partition_index=index,
        error_code=ErrorCode.NONE,
        timestamp=timestamp,
        offset=offset,
        leader_epoch=epoch,
    )


def _is_known(timestamp: int, version: int) -> bool:
    if timestamp >= 0 or timestamp in (LATEST, EARLIEST):
        return True
    return version >= OLDEST_VERSION.get(timestamp, version + 1)


async def _find(partition: Partition, timestamp: int, isolation_level: int) -> tuple[int, int, int]:
    """(timestamp, offset, leader epoch), each -1 where there is none."""
    log = partition.log
    end = partition.last_stable_offset if isolation_level == READ_COMMITTED else partition.high_watermark
    if timestamp == LATEST:
        return UNKNOWN, end, partition.leader_epoch
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return UNKNOWN, log.log_start_offset, partition.epochs.epoch_for_offset(log.log_start_offset)
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return UNKNOWN, UNKNOWN, UNKNOWN
    if timestamp == MAX_TIMESTAMP:
        found = await asyncio.to_thread(log.offset_of_max_timestamp)
    else:
        found = await asyncio.to_thread(log.offset_for_time, timestamp)
    if found is None or found.offset >= end:
        return UNKNOWN, UNKNOWN, UNKNOWN
    return found.timestamp, found.offset, partition.epochs.epoch_for_offset(found.offset)


def _refusal(index: int, code: ErrorCode) -> Message:
    return Message(partition_index=index, error_code=code, timestamp=UNKNOWN, offset=UNKNOWN, leader_epoch=-1)


HANDLERS: dict[ApiKey, Handler] = {ApiKey.LIST_OFFSETS: handle}
