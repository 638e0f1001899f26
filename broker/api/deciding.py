"""What the handlers that change the catalog have in common: decide, make it durable, let the partitions follow, in
time.

A request's own timeout only says how long it is ready to wait; a value of 0 or less means that it was late before it
came, and nothing is done (as in Kafka). What has been begun goes on when the time is over: the client is told
REQUEST_TIMED_OUT and finds the topic there, or not, when it asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ...protocol.errors import ErrorCode, KafkaError
from ..catalog_records import CatalogRecord
from ..topic_decisions import Cluster

if TYPE_CHECKING:
    from ..app import Broker

T = TypeVar("T")


async def decide(broker: Broker, decision: Callable[[], tuple[Sequence[CatalogRecord], T]], *, timeout_ms: int) -> T:
    """The decision's result, once its records are durable, applied, and followed by the partitions.

    Raises KafkaError: REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR, or what the decision refuses as a whole.
    """
    if timeout_ms <= 0:
        raise KafkaError(ErrorCode.REQUEST_TIMED_OUT)
    # A client's short timeout is not held against a slow disk, any more than Kafka's controller does.
    patience_ms = max(timeout_ms, broker.config.whole("request.timeout.ms"))
    try:
        async with asyncio.timeout(patience_ms / 1000):
            result = await broker.journal.decide(decision)
            await broker.partitions.settled()
    except TimeoutError:
        raise KafkaError(ErrorCode.REQUEST_TIMED_OUT) from None
    return result


def validated(
    decision: Callable[[], tuple[Sequence[CatalogRecord], T]],
) -> Callable[[], tuple[Sequence[CatalogRecord], T]]:
    """The same decision, of which nothing is written."""
    return lambda: ([], decision()[1])


def cluster_of(broker: Broker) -> Cluster:
    """What there is to place partitions on."""
    return Cluster(
        node_ids=[broker.config.node_id],
        default_partition_count=broker.config.whole("num.partitions"),
        default_replication_factor=broker.config.whole("default.replication.factor"),
    )
