"""The topics that the broker keeps for itself, made when somebody first needs them.

As in Kafka they do not exist in a new cluster: the first FindCoordinator for a group makes `__consumer_offsets`. Their
partition count is that of the broker's configuration at that moment, and stays, because it decides where each key lies.
Kafka's answer to that first request is COORDINATOR_NOT_AVAILABLE, and clients come again in a while; here the request
waits until the topic is there, which spares every client of a new cluster that while.

Kafka's class: `AutoTopicCreationManager`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from ..protocol.compression import Codec
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass
from .catalog import Catalog
from .catalog_records import CatalogRecord
from .config import BrokerConfig
from .journal import Journal
from .partitions import Partitions
from .topic_decisions import CheckConfigs, Cluster, NewTopic, TopicResult, decide_create_topics
from .topic_names import CONSUMER_OFFSETS, TRANSACTION_STATE


@dataclass(frozen=True, slots=True)
class _Names:
    """The broker's settings for one internal topic, and what is set on the topic besides."""

    partition_count: str
    replication_factor: str
    segment_bytes: str
    configs: tuple[tuple[str, str], ...]


_TOPICS: dict[str, _Names] = {
    CONSUMER_OFFSETS: _Names(
        "offsets.topic.num.partitions",
        "offsets.topic.replication.factor",
        "offsets.topic.segment.bytes",
        (("cleanup.policy", "compact"), ("compression.type", "producer")),
    ),
    TRANSACTION_STATE: _Names(
        "transaction.state.log.num.partitions",
        "transaction.state.log.replication.factor",
        "transaction.state.log.segment.bytes",
        (
            ("cleanup.policy", "compact"),
            ("compression.type", "uncompressed"),
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "false"),
        ),
    ),
}


def internal_topic(name: str, config: BrokerConfig, *, node_count: int) -> NewTopic:
    """The topic `name` as it is to be made. It has no more replicas than there are nodes, where Kafka refuses."""
    names = _TOPICS[name]
    return NewTopic(
        name,
        config.whole(names.partition_count),
        min(config.whole(names.replication_factor), node_count),
        configs=list(internal_configs(name, config).items()),
    )


def internal_configs(name: str, config: BrokerConfig) -> dict[str, str]:
    """What is set on the topic `name` when it is made; nothing if it is not the broker's own."""
    names = _TOPICS.get(name)
    if names is None:
        return {}
    return {**dict(names.configs), "segment.bytes": str(config.whole(names.segment_bytes))}


def codec_of_offsets(config: BrokerConfig) -> Codec:
    """How the records of `__consumer_offsets` are compressed."""
    return Codec(config.whole("offsets.topic.compression.codec"))


class InternalTopics:
    """Makes them. Owned by the loop."""

    def __init__(
        self,
        journal: Journal[CatalogRecord],
        catalog: Catalog,
        partitions: Partitions,
        *,
        cluster: Callable[[], Cluster],
        check_configs: CheckConfigs,
        new_id: Callable[[], UUID],
        config: Callable[[], BrokerConfig],
    ) -> None:
        self._journal = journal
        self._catalog = catalog
        self._partitions = partitions
        self._cluster = cluster
        self._check_configs = check_configs
        self._new_id = new_id
        self._config = config

    async def ensure(self, name: str) -> None:
        """Return when the topic is there; at once if it is. KafkaError: COORDINATOR_NOT_AVAILABLE, with the reason."""
        if name in self._catalog.topics:
            return
        try:
            async with asyncio.timeout(self._config().whole("request.timeout.ms") / 1000):
                result = await self._journal.decide(lambda: self._decide(name))
                await self._partitions.settled()
        except TimeoutError:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{name} could not be made in time") from None
        except KafkaError as refusal:
            raise _not_available(name, refusal.message) from refusal
        if result.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
            raise _not_available(name, result.error_message)

    def _decide(self, name: str) -> tuple[Sequence[CatalogRecord], TopicResult]:
        cluster = self._cluster()
        records, results = decide_create_topics(
            self._catalog,
            [internal_topic(name, self._config(), node_count=len(cluster.node_ids))],
            cluster=cluster,
            check_configs=self._check_configs,
            new_id=self._new_id,
        )
        return records, results[0]


def _not_available(name: str, why: str | None) -> KafkaError:
    return KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{name} could not be made: {why or 'no reason given'}")
