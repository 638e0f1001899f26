"""Writing markers into this broker's partitions; those of `__consumer_offsets` go through the group coordinator, whose state
follows them.
"""

from __future__ import annotations

from ....protocol.errors import ErrorCode, KafkaError
from ....storage.directory_names import TopicPartition
from ....storage.log import TransactionEnd
from ...catalog import Catalog
from ...clock import Clock
from ...partition import Partition
from ...topic_names import CONSUMER_OFFSETS
from ..coordinator import GroupCoordinator
from ..runtime.runtime import FindPartition
from .ending import Told


class PartitionMarkers:
    """Where markers go on this node (see `ending.Markers`). Owned by the loop."""

    def __init__(self, catalog: Catalog, partitions: FindPartition, groups: GroupCoordinator, clock: Clock) -> None:
        self._catalog = catalog
        self._partitions = partitions
        self._groups = groups
        self._clock = clock

    def exists(self, at: TopicPartition, /) -> bool:
        """Whether the catalog has it; its log may be missing all the same."""
        topic = self._catalog.topics.get(at.topic)
        return topic is not None and 0 <= at.partition < len(topic.partitions)

    def write(self, at: TopicPartition, end: TransactionEnd, /) -> int:
        """Append a marker; returns the offset behind it.

        KafkaError: KAFKA_STORAGE_ERROR, INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, and for offsets what
        the runtime's `shard_at` says.
        """
        if at.topic == CONSUMER_OFFSETS:
            return self._groups.runtime.shard_at(at.partition).end_transaction(end)
        return self._partition(at).end_transaction(end, now_ms=self._clock.now_ms()).last_offset + 1

    def when_durable(self, at: TopicPartition, end_offset: int, told: Told, /) -> None:
        """Have `told` called when all in front of `end_offset` is on the disk, or never will be."""
        partition = self._partitions.find(at.topic, at.partition)
        if partition is None:
            told(_not_here(at))
        else:
            partition.when_durable(end_offset, told)

    def _partition(self, at: TopicPartition) -> Partition:
        partition = self._partitions.find(at.topic, at.partition)
        if partition is None:
            raise _not_here(at)
        return partition


def _not_here(at: TopicPartition) -> KafkaError:
    return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log of {at} is not here")
