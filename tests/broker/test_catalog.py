"""The catalog against a dumb twin, with restarts at any point: the same records, the same state."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule
from ottla.broker.catalog import Catalog, Topic
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
    TopicRemoved,
    UnknownRecord,
    decode_record,
    encode_record,
)
from support.catalog_strategies import (
    OTHER_RESOURCES,
    change_maps,
    config_maps,
    names,
    partition_tuples,
    quota_changes,
    quota_entities,
)


def state_of(catalog: Catalog) -> dict[str, Any]:
    """All that a catalog knows, as plain values."""
    resources = {
        (int(resource), name): dict(catalog.configs_of(resource, name))
        for resource in OTHER_RESOURCES
        for name in catalog.resource_names(resource)
    }
    return {
        "cluster": catalog.cluster_id,
        "topics": {topic.name: (topic.id, topic.partitions, dict(topic.configs)) for topic in catalog.topics.values()},
        "configs": resources,
        "next producer id": catalog.next_producer_id,
        "features": dict(catalog.feature_levels),
        "quotas": {entity: dict(quotas) for entity, quotas in catalog.client_quotas.items()},
    }


def rebuilt(records: list[CatalogRecord]) -> Catalog:
    """A new catalog that these records lead to, by way of their bytes."""
    catalog = Catalog()
    for record in records:
        catalog.apply(decode_record(encode_record(record)))
    return catalog


class Twin:
    """The same state without any thought for speed, snapshots or immutability: plain nested values."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {
            "cluster": None,
            "topics": {},
            "configs": {},
            "next producer id": 0,
            "features": {},
            "quotas": {},
        }

    def topic_of(self, topic_id: UUID) -> str:
        return next(name for name, topic in self.state["topics"].items() if topic[0] == topic_id)

    def replace(self, name: str, **parts: Any) -> None:
        topic_id, partitions, configs = self.state["topics"][name]
        self.state["topics"][name] = (
            topic_id,
            parts.get("partitions", partitions),
            parts.get("configs", configs),
        )


class CatalogMachine(RuleBasedStateMachine):
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.catalog = Catalog()
        self.twin = Twin()
        self.history: list[CatalogRecord] = []
        self.snapshot: list[CatalogRecord] = []
        self.snapshot_at = 0

    def apply(self, record: CatalogRecord) -> None:
        self.catalog.apply(record)
        self.history.append(record)

    @rule(cluster_id=names)
    def form(self, cluster_id: str) -> None:
        self.apply(ClusterFormed(cluster_id))
        self.twin.state["cluster"] = cluster_id

    @rule(target=ids, topic_id=st.uuids(), name=names, partitions=partition_tuples, configs=config_maps)
    def create(self, topic_id: UUID, name: str, partitions: tuple[PartitionState, ...], configs: dict[str, str]) -> Any:
        if name in self.twin.state["topics"] or any(
            topic_id == topic[0] for topic in self.twin.state["topics"].values()
        ):
            return multiple()
        self.apply(TopicCreated(topic_id, name, partitions, configs))
        self.twin.state["topics"][name] = (topic_id, partitions, configs)
        return topic_id

    @rule(topic_id=ids, partitions=partition_tuples)
    def add_partitions(self, topic_id: UUID, partitions: tuple[PartitionState, ...]) -> None:
        self.apply(PartitionsAdded(topic_id, partitions))
        name = self.twin.topic_of(topic_id)
        self.twin.replace(name, partitions=self.twin.state["topics"][name][1] + partitions)

    @rule(topic_id=consumes(ids))
    def delete(self, topic_id: UUID) -> None:
        self.apply(TopicDeleted(topic_id))
        del self.twin.state["topics"][self.twin.topic_of(topic_id)]

    @rule(topic_id=ids, changes=change_maps)
    def change_topic(self, topic_id: UUID, changes: dict[str, str | None]) -> None:
        name = self.twin.topic_of(topic_id)
        self.apply(ConfigsChanged(ConfigResource.TOPIC, name, changes))
        configs = dict(self.twin.state["topics"][name][2])
        self._change(configs, changes)
        self.twin.replace(name, configs=configs)

    @rule(resource=st.sampled_from(OTHER_RESOURCES), name=names | st.just(""), changes=change_maps)
    def change_other(self, resource: ConfigResource, name: str, changes: dict[str, str | None]) -> None:
        self.apply(ConfigsChanged(resource, name, changes))
        configs = self.twin.state["configs"].setdefault((int(resource), name), {})
        self._change(configs, changes)
        if not configs:
            del self.twin.state["configs"][int(resource), name]

    def _change(self, configs: dict[str, Any], changes: Mapping[str, Any]) -> None:
        for name, value in changes.items():
            if value is None:
                configs.pop(name, None)
            else:
                configs[name] = value

    @rule(node_id=st.integers(0, 4))
    def start_node(self, node_id: int) -> None:
        self.apply(NodeStarted(node_id))
        for name, (_, partitions, _) in list(self.twin.state["topics"].items()):
            bumped = tuple(
                PartitionState(each.leader, each.leader_epoch + (each.leader == node_id), each.replicas, each.isr)
                for each in partitions
            )
            self.twin.replace(name, partitions=bumped)

    @rule(count=st.integers(1, 5))
    def allocate(self, count: int) -> None:
        end = self.twin.state["next producer id"] + 1000 * count
        self.apply(ProducerIdsAllocated(1, end))
        self.twin.state["next producer id"] = end

    @rule(name=names, level=st.integers(0, 3))
    def set_feature(self, name: str, level: int) -> None:
        self.apply(FeatureLevelSet(name, level))
        self.twin.state["features"][name] = level

    @rule(entity=quota_entities, changes=quota_changes)
    def change_quotas(self, entity: dict[str, str | None], changes: dict[str, float | None]) -> None:
        self.apply(ClientQuotasChanged(entity, changes))
        quotas = self.twin.state["quotas"].setdefault(tuple(entity.items()), {})
        self._change(quotas, changes)
        if not quotas:
            del self.twin.state["quotas"][tuple(entity.items())]

    @rule(kind=st.integers(100, 120))
    def meet_something_newer(self, kind: int) -> None:
        self.apply(UnknownRecord([kind, 0, "?"]))

    @rule()
    def take_snapshot(self) -> None:
        taken = self.catalog.snapshot()
        # What happens while another thread consumes it does not show in it.
        before = state_of(self.catalog)
        self.apply(ProducerIdsAllocated(1, self.twin.state["next producer id"] + 1000))
        self.twin.state["next producer id"] += 1000
        self.snapshot = list(taken)
        self.snapshot_at = len(self.history) - 1
        assert state_of(rebuilt(self.snapshot)) == before

    @rule()
    def restart_from_nothing(self) -> None:
        self.catalog = rebuilt(self.history)

    @precondition(lambda self: self.snapshot_at)
    @rule()
    def restart_from_the_snapshot(self) -> None:
        self.catalog = rebuilt(self.snapshot + self.history[self.snapshot_at :])

    @invariant()
    def agrees_with_its_twin(self) -> None:
        self.catalog.check()
        assert state_of(self.catalog) == self.twin.state
        for name, (topic_id, _, _) in self.twin.state["topics"].items():
            found = self.catalog.topic_by_id(topic_id)
            assert found is not None
            assert found.name == name

    @invariant()
    def knows_the_newer_records_too(self) -> None:
        kept = [record for record in self.catalog.snapshot() if isinstance(record, UnknownRecord)]
        assert kept == [record for record in self.history if isinstance(record, UnknownRecord)]


TestCatalog = CatalogMachine.TestCase
TestCatalog.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

ID = UUID(int=7)
STATE = PartitionState(1, 0, (1,), (1,))


class Heard:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def on_topic_created(self, topic: Topic) -> None:
        self.told.append(("created", topic.name, str(len(topic.partitions))))

    def on_partitions_added(self, topic: Topic, count_before: int) -> None:
        self.told.append(("added", topic.name, f"{count_before} to {len(topic.partitions)}"))

    def on_topic_deleted(self, topic: Topic) -> None:
        self.told.append(("deleted", topic.name))

    def on_topic_configs_changed(self, topic: Topic) -> None:
        self.told.append(("configs", topic.name, str(dict(topic.configs))))

    def on_broker_configs_changed(self, node: str) -> None:
        self.told.append(("broker configs", node))


def test_a_listener_hears_of_each_change_once_and_in_order() -> None:
    catalog, heard = Catalog(), Heard()
    catalog.apply(TopicCreated(UUID(int=1), "earlier", (STATE,)))
    catalog.subscribe(heard)
    for record in (
        TopicCreated(ID, "t", (STATE,)),
        PartitionsAdded(ID, (STATE, STATE)),
        ConfigsChanged(ConfigResource.TOPIC, "t", {"a": "b"}),
        ConfigsChanged(ConfigResource.BROKER, "", {"a": "b"}),
        ConfigsChanged(ConfigResource.GROUP, "g", {"a": "b"}),
        TopicDeleted(ID),
    ):
        catalog.apply(record)
    assert heard.told == [
        ("created", "t", "1"),
        ("added", "t", "1 to 3"),
        ("configs", "t", "{'a': 'b'}"),
        ("broker configs", ""),
        ("deleted", "t"),
    ]


def test_who_holds_a_topic_holds_a_picture_that_does_not_change() -> None:
    catalog = Catalog()
    catalog.apply(TopicCreated(ID, "t", (STATE,), {"a": "b"}))
    held = catalog.topics["t"]
    picture = copy.deepcopy(held)
    catalog.apply(PartitionsAdded(ID, (STATE,)))
    catalog.apply(ConfigsChanged(ConfigResource.TOPIC, "t", {"a": None}))
    catalog.apply(NodeStarted(1))
    catalog.apply(TopicDeleted(ID))
    assert held == picture


def test_colliding_names_are_found_until_their_topic_is_gone() -> None:
    catalog = Catalog()
    catalog.apply(TopicCreated(ID, "a.b", (STATE,)))
    assert catalog.colliding_with("a_b") == "a.b"
    assert catalog.colliding_with("ab") is None
    catalog.apply(TopicDeleted(ID))
    assert catalog.colliding_with("a_b") is None


def test_a_restarted_node_leads_under_a_new_epoch_and_others_do_not() -> None:
    catalog = Catalog()
    other = PartitionState(2, 3, (2, 1), (2,))
    catalog.apply(TopicCreated(ID, "t", (STATE, other)))
    catalog.apply(NodeStarted(1))
    assert [state.leader_epoch for state in catalog.topics["t"].partitions] == [1, 3]


def test_a_topic_cannot_be_created_over_another() -> None:
    catalog = Catalog()
    catalog.apply(TopicCreated(ID, "t", (STATE,)))
    with pytest.raises(AssertionError):
        catalog.apply(TopicCreated(UUID(int=8), "t", (STATE,)))


def test_a_deleted_topic_is_leaving_until_no_log_of_it_is_left() -> None:
    catalog = Catalog()
    catalog.apply(TopicCreated(ID, "t", (STATE,)))
    catalog.apply(TopicDeleted(ID))
    assert catalog.leaving == {ID}
    again = Catalog()
    for record in catalog.snapshot():
        again.apply(record)
    assert again.leaving == {ID}
    again.apply(TopicRemoved(ID))
    assert not again.leaving
