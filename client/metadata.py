"""What the client believes of the cluster: brokers, topics, who leads each partition.

A belief is a value.  Each Metadata answer makes a new one from the last (`merged`), so whoever looked keeps what it
saw.  Brokers lie behind one another: an answer with an older leader epoch for a partition of the same topic is not
believed about it, or a producer would be sent back to a deposed leader (KIP-320; Kafka's `Metadata`).  A topic with
another id is another topic, whatever its epochs.

Pure.  `cluster` asks for answers and keeps the newest belief.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from uuid import UUID

from ..protocol.errors import ErrorCode
from ..protocol.messages import Message
from ..protocol.values import dataclass, field
from .address import Address

NO_ID = UUID(int=0)
"""The id of a topic where the broker knows none (before Kafka 2.8)."""
NO_LEADER = -1
NO_EPOCH = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A broker of the cluster."""

    id: int
    address: Address
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """Who leads a partition, by node id (-1: nobody just now), and in which epoch (-1: not told)."""

    index: int
    leader_id: int
    leader_epoch: int
    replicas: tuple[int, ...]
    in_sync_replicas: tuple[int, ...]
    error: ErrorCode | int


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and its partitions by index; with an error there are none."""

    name: str
    id: UUID
    is_internal: bool
    error: ErrorCode | int
    partitions: Mapping[int, Partition]

    @property
    def available(self) -> tuple[int, ...]:
        """The partitions that have a leader."""
        return tuple(index for index, each in self.partitions.items() if each.leader_id != NO_LEADER)


@dataclass(frozen=True, slots=True)
class Metadata:
    """A belief; `version` counts them."""

    version: int = 0
    cluster_id: str | None = None
    controller_id: int | None = None
    nodes: Mapping[int, Node] = field(default_factory=dict)
    topics: Mapping[str, Topic] = field(default_factory=dict)

    def partition(self, topic: str, index: int) -> Partition | None:
        """What is known of a partition; None if nothing."""
        known = self.topics.get(topic)
        return None if known is None else known.partitions.get(index)

    def topic_by_id(self, topic_id: UUID) -> Topic | None:
        return next((topic for topic in self.topics.values() if topic.id == topic_id), None)


def merged(old: Metadata, answer: Message, *, keep: Iterable[str] | None) -> Metadata:
    """The belief after an answer; of topics that it does not speak of those in `keep` stay (None: none do)."""
    told = {topic.name: _topic(topic, old.topics.get(topic.name)) for topic in answer.topics if topic.name is not None}
    kept = {} if keep is None else {name: old.topics[name] for name in keep if name in old.topics}
    nodes = {each.node_id: Node(each.node_id, Address(each.host, each.port), each.rack) for each in answer.brokers}
    return Metadata(
        version=old.version + 1,
        cluster_id=answer.cluster_id,
        controller_id=None if answer.controller_id < 0 else answer.controller_id,
        nodes=nodes,
        topics={**kept, **told},
    )


def with_leader(old: Metadata, topic: str, index: int, *, leader_id: int, leader_epoch: int) -> Metadata:
    """The belief after a broker said in passing who leads now (KIP-951); the same one if that is not news."""
    known = old.topics.get(topic)
    partition = None if known is None else known.partitions.get(index)
    if known is None or partition is None or leader_id not in old.nodes or leader_epoch <= partition.leader_epoch:
        return old
    moved = replace(partition, leader_id=leader_id, leader_epoch=leader_epoch, error=ErrorCode.NONE)
    changed = replace(known, partitions={**known.partitions, index: moved})
    return replace(old, version=old.version + 1, topics={**old.topics, topic: changed})


def _topic(topic: Message, old: Topic | None) -> Topic:
    if old is not None and topic.topic_id != old.id:
        old = None
    partitions = (_newer(_partition(each), old) for each in topic.partitions)
    return Topic(
        topic.name,
        topic.topic_id,
        topic.is_internal,
        topic.error_code,
        {each.index: each for each in sorted(partitions, key=lambda each: each.index)},
    )


def _newer(told: Partition, old: Topic | None) -> Partition:
    known = None if old is None else old.partitions.get(told.index)
    if known is None or told.leader_epoch == NO_EPOCH or told.leader_epoch >= known.leader_epoch:
        return told
    return known


def _partition(each: Message) -> Partition:
    return Partition(
        each.partition_index,
        each.leader_id,
        each.leader_epoch,
        tuple(each.replica_nodes),
        tuple(each.isr_nodes),
        each.error_code,
    )
