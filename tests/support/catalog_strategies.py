"""Random catalog records, each well-formed by itself."""

from __future__ import annotations

from hypothesis import strategies as st
from ottla.broker.catalog_records import (
    CatalogRecord,
    ClientQuotasChanged,
    ClusterFormed,
    ConfigResource,
    ConfigsChanged,
    FeatureLevelSet,
    NodeStarted,
    PartitionsAdded,
    PartitionState,
    ProducerIdsAllocated,
    TopicCreated,
    TopicDeleted,
)

names = st.text(alphabet="ab._-", min_size=1, max_size=4)
texts = st.text(max_size=8)
config_maps = st.dictionaries(names, texts, max_size=3)
change_maps = st.dictionaries(names, st.none() | texts, min_size=1, max_size=3)
quota_entities = st.dictionaries(st.sampled_from(("client-id", "user")), st.none() | names, min_size=1).map(
    lambda entity: dict(sorted(entity.items()))
)
quota_changes = st.dictionaries(names, st.none() | st.floats(0.5, 1e12), min_size=1, max_size=3)
OTHER_RESOURCES = (ConfigResource.BROKER, ConfigResource.GROUP, ConfigResource.CLIENT_METRICS)


@st.composite
def partition_states(draw: st.DrawFn) -> PartitionState:
    replicas = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True))
    return PartitionState(replicas[0], draw(st.integers(0, 2**31 - 1)), tuple(replicas), tuple(replicas[:1]))


partition_tuples = st.lists(partition_states(), min_size=1, max_size=3).map(tuple)


def records() -> st.SearchStrategy[CatalogRecord]:
    """One record of any kind; nothing says that it goes with any state."""
    return st.one_of(
        st.builds(ClusterFormed, texts),
        st.builds(NodeStarted, st.integers(0, 2**31 - 1)),
        st.builds(TopicCreated, st.uuids(), names, partition_tuples, config_maps),
        st.builds(PartitionsAdded, st.uuids(), partition_tuples),
        st.builds(TopicDeleted, st.uuids()),
        st.builds(ConfigsChanged, st.sampled_from(ConfigResource), texts, change_maps),
        st.builds(ProducerIdsAllocated, st.integers(-1, 2**31 - 1), st.integers(0, 2**63 - 1)),
        st.builds(FeatureLevelSet, texts, st.integers(0, 2**15 - 1)),
        st.builds(ClientQuotasChanged, quota_entities, quota_changes),
    )
