"""What the cluster is made of: topics, ids, configs, producer-id blocks; a state that only records change.

    request --> a decision (pure: topic_decisions, config_decisions) --> records, result
                                                                          |
                         journal: durable  -->  Catalog.apply(record)  -->  listeners  -->  the answer

The catalog itself decides nothing and refuses nothing: a record that reaches `apply` is already history.
Therefore the state is the same after a replay of the whole journal, after a snapshot and the tail behind it,
and in the process that wrote it. `snapshot()` is such a history too: the shortest one that leads to this
state.

Values are immutable (`Topic`, `PartitionState`) and replaced, never edited: whoever holds one across an
`await` holds a consistent picture, and a snapshot can be taken by copying a few dicts and encoded by another
thread.

Listeners (`CatalogListener`) are told after the state has changed, in the order of the records, and only of
what happens after they subscribed; who subscribes after the replay reads the state as it is and misses
nothing.

Kafka's counterparts: `MetadataImage` with its deltas, `MetadataPublisher`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from ..protocol.values import dataclass, field
from .catalog_records import (
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
    QuotaEntity,
    TopicCreated,
    TopicDeleted,
    TopicRemoved,
    UnknownRecord,
)
from .topic_names import can_collide, unified

V = TypeVar("V")

BROKER_DEFAULT = ""
"""The resource name under which the dynamic defaults of all brokers are kept."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it is now. `configs` holds what was set on the topic itself, as text, and must not be
    edited.
    """

    name: str
    id: UUID
    partitions: tuple[PartitionState, ...]
    configs: Mapping[str, str] = field(default_factory=dict)


class CatalogListener:
    """Told of each applied change, on the loop's thread; must not raise and must not wait (start a task
    instead). What a listener does not care for is nothing to it.
    """

    def on_topic_created(self, topic: Topic) -> None:
        """`topic` is new."""

    def on_partitions_added(self, topic: Topic, count_before: int) -> None:
        """`topic` has its new partitions already: those from index `count_before` on are new."""

    def on_topic_deleted(self, topic: Topic) -> None:
        """`topic`, as it was last, is gone."""

    def on_topic_configs_changed(self, topic: Topic) -> None:
        """`topic` has its new configs already."""

    def on_broker_configs_changed(self, node: str) -> None:
        """`node` is a node id in digits, or BROKER_DEFAULT."""


class Catalog:
    """The state, and how each record changes it. Read everything; change nothing but by `apply`.

    `leaving` are the ids of deleted topics of which logs may be left on the disk.
    """

    def __init__(self) -> None:
        self.cluster_id: str | None = None
        self.topics: dict[str, Topic] = {}
        self.next_producer_id = 0
        self.feature_levels: dict[str, int] = {}
        self.client_quotas: dict[QuotaEntity, Mapping[str, float]] = {}
        self.leaving: set[UUID] = set()
        self._name_of_id: dict[UUID, str] = {}
        self._names_unified: dict[str, set[str]] = {}
        self._configs: dict[tuple[int, str], dict[str, str]] = {}
        self._unknown: list[UnknownRecord] = []
        self._listeners: list[CatalogListener] = []

    # -- reading

    def topic_by_id(self, topic_id: UUID) -> Topic | None:
        name = self._name_of_id.get(topic_id)
        return None if name is None else self.topics[name]

    def colliding_with(self, name: str) -> str | None:
        """A topic whose name differs from `name` only in dots and underscores, or not at all."""
        return min(self._names_unified.get(unified(name), ()), default=None) if can_collide(name) else None

    def configs_of(self, resource: ConfigResource, name: str) -> Mapping[str, str]:
        """What was set on this resource itself; empty when nothing was, or it does not exist."""
        if resource == ConfigResource.TOPIC:
            topic = self.topics.get(name)
            return {} if topic is None else topic.configs
        return self._configs.get((resource, name), {})

    def resource_names(self, resource: ConfigResource) -> list[str]:
        """Names of the resources of a kind (not TOPIC) on which something is set."""
        return [name for kind, name in self._configs if kind == resource]

    def broker_configs(self, node_id: int) -> Mapping[str, str]:
        """Dynamic configs of this one node."""
        return self.configs_of(ConfigResource.BROKER, str(node_id))

    @property
    def broker_default_configs(self) -> Mapping[str, str]:
        """Dynamic configs of all nodes."""
        return self.configs_of(ConfigResource.BROKER, BROKER_DEFAULT)

    # -- changing

    def subscribe(self, listener: CatalogListener) -> None:
        self._listeners.append(listener)

    def apply(self, record: CatalogRecord) -> None:
        """Change the state by one record and tell the listeners; in the order of the journal."""
        match record:
            case TopicCreated():
                self._topic_created(record)
            case PartitionsAdded():
                self._partitions_added(record)
            case TopicDeleted():
                self._topic_deleted(record)
            case TopicRemoved():
                self.leaving.discard(record.topic_id)
            case ConfigsChanged(resource=ConfigResource.TOPIC):
                self._topic_configs_changed(record)
            case ConfigsChanged():
                self._configs_changed(record)
            case ProducerIdsAllocated():
                self.next_producer_id = record.next_producer_id
            case NodeStarted():
                self._node_started(record)
            case ClusterFormed():
                self.cluster_id = record.cluster_id
            case FeatureLevelSet():
                self.feature_levels[record.name] = record.level
            case ClientQuotasChanged():
                self._client_quotas_changed(record)
            case UnknownRecord():
                self._unknown.append(record)

    def snapshot(self) -> Iterator[CatalogRecord]:
        """The shortest history of this state. Called on the loop's thread, may be consumed on another at
        leisure.
        """
        head: list[CatalogRecord] = []
        if self.cluster_id is not None:
            head.append(ClusterFormed(self.cluster_id))
        head.extend(FeatureLevelSet(name, level) for name, level in self.feature_levels.items())
        if self.next_producer_id:
            head.append(ProducerIdsAllocated(-1, self.next_producer_id))
        configs = [ConfigsChanged(*resource, dict(values)) for resource, values in self._configs.items()]
        quotas = [ClientQuotasChanged(dict(entity), dict(each)) for entity, each in self.client_quotas.items()]
        leaving = [TopicDeleted(topic_id) for topic_id in self.leaving]
        return _history(head, list(self.topics.values()), [*leaving, *configs, *quotas, *self._unknown])

    # -- one record each

    def _topic_created(self, record: TopicCreated) -> None:
        topic = Topic(record.name, record.topic_id, record.partitions, record.configs)
        assert topic.name not in self.topics, f"topic {topic.name} created twice"
        self.topics[topic.name] = topic
        self._name_of_id[topic.id] = topic.name
        self.leaving.discard(topic.id)
        if can_collide(topic.name):
            self._names_unified.setdefault(unified(topic.name), set()).add(topic.name)
        for listener in self._listeners:
            listener.on_topic_created(topic)

    def _partitions_added(self, record: PartitionsAdded) -> None:
        before = self._existing(record.topic_id)
        topic = replace(before, partitions=before.partitions + record.partitions)
        self.topics[topic.name] = topic
        for listener in self._listeners:
            listener.on_partitions_added(topic, len(before.partitions))

    def _topic_deleted(self, record: TopicDeleted) -> None:
        self.leaving.add(record.topic_id)
        if record.topic_id not in self._name_of_id:
            return  # from a snapshot, which says no more of a topic that is leaving
        topic = self._existing(record.topic_id)
        del self.topics[topic.name]
        del self._name_of_id[topic.id]
        self._forget_unified(topic.name)
        for listener in self._listeners:
            listener.on_topic_deleted(topic)

    def _topic_configs_changed(self, record: ConfigsChanged) -> None:
        before = self.topics[record.resource_name]
        topic = replace(before, configs=_changed(before.configs, record.changes))
        self.topics[topic.name] = topic
        for listener in self._listeners:
            listener.on_topic_configs_changed(topic)

    def _configs_changed(self, record: ConfigsChanged) -> None:
        resource = (record.resource, record.resource_name)
        values = _changed(self._configs.get(resource, {}), record.changes)
        if values:
            self._configs[resource] = values
        else:
            self._configs.pop(resource, None)
        if record.resource == ConfigResource.BROKER:
            for listener in self._listeners:
                listener.on_broker_configs_changed(record.resource_name)

    def _node_started(self, record: NodeStarted) -> None:
        for topic in self.topics.values():
            partitions = tuple(_under_new_epoch(state, record.node_id) for state in topic.partitions)
            self.topics[topic.name] = replace(topic, partitions=partitions)

    def _client_quotas_changed(self, record: ClientQuotasChanged) -> None:
        entity = tuple(record.entity.items())
        quotas = _changed(self.client_quotas.get(entity, {}), record.changes)
        if quotas:
            self.client_quotas[entity] = quotas
        else:
            self.client_quotas.pop(entity, None)

    def _forget_unified(self, name: str) -> None:
        names = self._names_unified.get(unified(name), set())
        names.discard(name)
        if not names:
            self._names_unified.pop(unified(name), None)

    def _existing(self, topic_id: UUID) -> Topic:
        return self.topics[self._name_of_id[topic_id]]

    def check(self) -> None:
        """Assert the invariants: names and ids are one to one, and every partition has a leader among its
        replicas.
        """
        assert {topic.id: topic.name for topic in self.topics.values()} == self._name_of_id
        assert set().union(*self._names_unified.values()) == set(filter(can_collide, self.topics))
        for name, topic in self.topics.items():
            assert name == topic.name
            assert topic.partitions, f"topic {name} has no partition"
            assert all(state.leader in state.replicas for state in topic.partitions)
            assert all(set(state.isr) <= set(state.replicas) for state in topic.partitions)
        assert not self.leaving & set(self._name_of_id), "a topic that exists is leaving"
        assert all(self._configs.values()), "an empty set of configs is kept"
        assert all(self.client_quotas.values()), "an empty set of quotas is kept"


def _history(head: list[CatalogRecord], topics: list[Topic], tail: list[CatalogRecord]) -> Iterator[CatalogRecord]:
    yield from head
    for topic in topics:
        yield TopicCreated(topic.id, topic.name, topic.partitions, dict(topic.configs))
    yield from tail


def _changed(values: Mapping[str, V], changes: Mapping[str, V | None]) -> dict[str, V]:
    merged = {**values, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _under_new_epoch(state: PartitionState, node_id: int) -> PartitionState:
    if state.leader != node_id:
        return state
    return replace(state, leader_epoch=state.leader_epoch + 1)
