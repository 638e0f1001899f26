"""The coordinators of a node put together: groups, transactions, and the topics in which they keep what they know.

Most of a broker's code is here, and a start that waited for it would take twice as long. So it comes behind the start: a
broker that finds one of the topics brings the coordinators up as soon as it listens, any other when the first request needs
them (`Broker.coordination`). Either way they follow the catalog from then on and load what is there; requests about what is
not loaded yet are refused for the moment, as after any start.

    start     what is there is loaded, in the background
    release   all who wait are sent away, nothing is taken any more: first thing when the broker stops
    stop      nothing is loaded or written any more; the partitions can be closed

One that was never started refuses everything: the broker stopped before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .api.deciding import cluster_of
from .api.topics import configs_checker, new_topic_id
from .coordinators.consumer_groups.settings import ConsumerGroupSettings
from .coordinators.coordinator import GroupCoordinator
from .coordinators.settings import CoordinatorSettings
from .coordinators.transactions.coordinator import TransactionCoordinator, TransactionSettings
from .coordinators.transactions.partition_markers import PartitionMarkers
from .group_configs import group_times
from .internal_topics import InternalTopics, codec_of_offsets

if TYPE_CHECKING:
    from .app import Broker


class Coordination:
    """Owned by the loop; its parts are for handlers."""

    def __init__(self, broker: Broker) -> None:
        catalog, partitions, config, clock = broker.catalog, broker.partitions, broker.config, broker.clock
        self.internal_topics = InternalTopics(
            broker.journal,
            catalog,
            partitions,
            cluster=lambda: cluster_of(broker),
            check_configs=configs_checker(config),
            new_id=new_topic_id,
            config=lambda: broker.config,
        )
        self.groups = GroupCoordinator(
            catalog,
            partitions,
            CoordinatorSettings.of(config),
            ConsumerGroupSettings.of(config, lambda group_id: group_times(catalog, broker.config, group_id)),
            codec=codec_of_offsets(config),
            clock=clock,
        )
        self.markers = PartitionMarkers(catalog, partitions, self.groups, clock)
        self.transactions = TransactionCoordinator(
            TransactionSettings.of(config),
            catalog=catalog,
            partitions=partitions,
            markers=self.markers,
            producer_ids=broker.producer_ids,
            clock=clock,
        )

    def start(self) -> None:
        """Follow the catalog from here on, behind the partitions, whose logs are used."""
        self.groups.start()
        self.transactions.start()

    def release(self) -> None:
        """Send away all who wait, so that the connections can be closed."""
        self.groups.release()

    async def stop(self) -> None:
        """Let go of the partitions; what was written is durable when they are closed."""
        await self.transactions.stop()
        await self.groups.stop()
