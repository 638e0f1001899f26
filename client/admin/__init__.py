"""The administrator's client: `from ottla import Admin`; its values are here."""

from .admin import Admin
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
from .config_values import ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym
from .group_values import (
    CommittedOffset,
    GroupDescription,
    GroupListing,
    GroupMember,
    RemovedMember,
)
from .quota_values import QuotaEntity, QuotaFilter
from .values import (
    CreatedTopic,
    ListedOffset,
    NewTopic,
    OffsetSpec,
    PartitionDescription,
    PartitionProducer,
    Reassignment,
    TopicDescription,
    TopicPartition,
)

__all__ = (
    "Admin",
    "BrokerAddress",
    "ClusterDescription",
    "CommittedOffset",
    "ConfigEntry",
    "ConfigResource",
    "ConfigSource",
    "ConfigSynonym",
    "CreatedTopic",
    "FeatureLevels",
    "FeatureRange",
    "FeatureUpgrade",
    "GroupDescription",
    "GroupListing",
    "GroupMember",
    "ListedOffset",
    "LogDir",
    "NewTopic",
    "OffsetSpec",
    "PartitionDescription",
    "PartitionProducer",
    "QuorumDescription",
    "QuorumReplica",
    "QuotaEntity",
    "QuotaFilter",
    "Reassignment",
    "RemovedMember",
    "ReplicaSize",
    "TopicDescription",
    "TopicPartition",
)
