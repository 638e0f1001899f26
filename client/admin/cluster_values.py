"""The cluster itself as an administrator sees it: brokers, their disks, features, the quorum."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from ...protocol.errors import KafkaError
from ...protocol.values import dataclass
from .values import TopicPartition


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker of the cluster, as it wants to be connected to."""

    node_id: int
    host: str
    port: int
    rack: str | None


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """The cluster as one of its brokers sees it."""

    cluster_id: str | None
    controller_id: int | None
    brokers: tuple[BrokerAddress, ...]


@dataclass(frozen=True, slots=True)
class ReplicaSize:
    """A replica in a log directory: its bytes, and by how many offsets it is behind.

    `is_future` tells a copy that is made to move the replica between directories.
    """

    size_bytes: int
    offset_lag: int
    is_future: bool


@dataclass(frozen=True, slots=True)
class LogDir:
    """A broker's log directory.  The disk's sizes are None where it does not tell; `error` is why it is offline."""

    path: str
    error: KafkaError | None
    replicas: Mapping[TopicPartition, ReplicaSize]
    total_bytes: int | None
    usable_bytes: int | None


@dataclass(frozen=True, slots=True)
class FeatureRange:
    """Levels of a feature, both ends included."""

    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class FeatureLevels:
    """What the broker supports, and the levels at which the cluster is; a feature that is off is not among these."""

    supported: Mapping[str, FeatureRange]
    finalized: Mapping[str, int]


class FeatureUpgrade(IntEnum):
    """What a change of a feature's level may be."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


@dataclass(frozen=True, slots=True)
class QuorumReplica:
    """One that keeps the cluster's metadata; times in ms, None where they are not told."""

    node_id: int
    log_end_offset: int
    last_fetch_ms: int | None
    last_caught_up_ms: int | None


@dataclass(frozen=True, slots=True)
class QuorumDescription:
    """Who keeps the cluster's metadata."""

    leader_id: int
    leader_epoch: int
    high_watermark: int
    voters: tuple[QuorumReplica, ...]
    observers: tuple[QuorumReplica, ...]
