"""The cluster itself: its brokers and their disks, its features, who keeps its metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from ...protocol.apis import ApiKey
from ...protocol.errors import KafkaError
from ...protocol.messages import Message
from ..connection import who_we_are
from . import arguments
from .asking import AdminPart
from .cluster_values import (
    BrokerAddress,
    ClusterDescription,
    FeatureLevels,
    FeatureRange,
    FeatureUpgrade,
    LogDir,
    QuorumDescription,
    QuorumReplica,
    ReplicaSize,
)
from .placement import nodes_of
from .values import TopicPartition, raise_if_refused, refusal

_BROKERS = 1
_METADATA_LOG = "__cluster_metadata"


class ClusterAdmin(AdminPart):
    """What an administrator does with the cluster."""

    async def describe_cluster(self) -> ClusterDescription:
        answer = await self._asking.any(ApiKey.DESCRIBE_CLUSTER, Message(endpoint_type=_BROKERS))
        raise_if_refused(answer.error_code, answer.error_message)
        return ClusterDescription(
            cluster_id=answer.cluster_id,
            controller_id=None if answer.controller_id < 0 else answer.controller_id,
            brokers=tuple(BrokerAddress(b.broker_id, b.host, b.port, b.rack) for b in answer.brokers),
        )

    async def describe_log_dirs(
        self, node_ids: Iterable[int] | None = None
    ) -> dict[int, tuple[LogDir, ...] | KafkaError]:
        """The log directories of these brokers, or of all, with what is in them."""
        known = None if node_ids is None else arguments.numbers(node_ids, "node_ids")
        wanted = nodes_of(await self._asking.metadata([])) if known is None else known
        return dict(await asyncio.gather(*(self._log_dirs_of(node_id) for node_id in sorted(wanted))))

    async def _log_dirs_of(self, node_id: int) -> tuple[int, tuple[LogDir, ...] | KafkaError]:
        try:
            answer = await self._asking.node(node_id, ApiKey.DESCRIBE_LOG_DIRS, Message(topics=None))
            raise_if_refused(answer.error_code, None)
        except KafkaError as refused:
            return node_id, refused
        return node_id, tuple(map(_log_dir, answer.results))

    async def describe_features(self) -> FeatureLevels:
        """What the broker at hand supports, and the levels at which the cluster is."""
        answer = await self._asking.any(ApiKey.API_VERSIONS, who_we_are())
        raise_if_refused(answer.error_code, None)
        return FeatureLevels(
            supported={each.name: FeatureRange(each.min_version, each.max_version) for each in
                       answer.supported_features},
            finalized={each.name: each.max_version_level for each in answer.finalized_features},
        )  # fmt: skip

    async def update_features(
        self,
        levels: Mapping[str, int],
        *,
        upgrade: FeatureUpgrade = FeatureUpgrade.UPGRADE,
        validate_only: bool = False,
    ) -> None:
        """Have the cluster at these levels (0: off), all or none; KafkaError if refused."""
        upgrade = FeatureUpgrade(upgrade)
        updates = [
            Message(
                feature=arguments.name(name, "a feature of levels"),
                max_version_level=arguments.number(level, f"level of {name!r}", bits=16),
                upgrade_type=upgrade,
                allow_downgrade=upgrade is not FeatureUpgrade.UPGRADE,
            )
            for name, level in arguments.by_key(levels, "levels").items()
        ]
        answer = await self._asking.change(
            ApiKey.UPDATE_FEATURES,
            Message(feature_updates=updates, validate_only=validate_only, timeout_ms=self._asking.timeout_ms),
        )
        raise_if_refused(answer.error_code, answer.error_message)
        for each in answer.results:  # brokers before Kafka 4 answer for each feature
            raise_if_refused(each.error_code, each.error_message)

    async def describe_quorum(self) -> QuorumDescription:
        """Who keeps the cluster's metadata; KafkaError if refused."""
        topics = [Message(topic_name=_METADATA_LOG, partitions=[Message(partition_index=0)])]
        answer = await self._asking.any(ApiKey.DESCRIBE_QUORUM, Message(topics=topics))
        raise_if_refused(answer.error_code, answer.error_message)
        partition = answer.topics[0].partitions[0]
        raise_if_refused(partition.error_code, partition.error_message)
        return QuorumDescription(
            leader_id=partition.leader_id,
            leader_epoch=partition.leader_epoch,
            high_watermark=partition.high_watermark,
            voters=tuple(map(_replica, partition.current_voters)),
            observers=tuple(map(_replica, partition.observers)),
        )


def _log_dir(result: Message) -> LogDir:
    return LogDir(
        path=result.log_dir,
        error=refusal(result.error_code),
        replicas={
            TopicPartition(topic.name, each.partition_index): ReplicaSize(
                each.partition_size, each.offset_lag, each.is_future_key
            )
            for topic in result.topics
            for each in topic.partitions
        },
        total_bytes=_told(result.total_bytes),
        usable_bytes=_told(result.usable_bytes),
    )


def _replica(replica: Message) -> QuorumReplica:
    return QuorumReplica(
        node_id=replica.replica_id,
        log_end_offset=replica.log_end_offset,
        last_fetch_ms=_told(replica.last_fetch_timestamp),
        last_caught_up_ms=_told(replica.last_caught_up_timestamp),
    )


def _told(number: int) -> int | None:
    return None if number < 0 else number
