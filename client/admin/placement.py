"""Where partitions are, read out of Metadata, and messages about partitions gathered into topics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..address import Address
from .values import TopicPartition


def nodes_of(metadata: Message) -> dict[int, Address]:
    """The brokers by their ids."""
    return {broker.node_id: Address(broker.host, broker.port) for broker in metadata.brokers}


def leaders_of(metadata: Message) -> dict[TopicPartition, Address]:
    """Who leads each partition; those that nobody leads are left out."""
    nodes = nodes_of(metadata)
    return {
        TopicPartition(topic.name, partition.partition_index): nodes[partition.leader_id]
        for topic in metadata.topics
        for partition in topic.partitions
        if partition.leader_id in nodes
    }


def why_no_leader(wanted: TopicPartition, metadata: Message) -> KafkaError:
    """Whether a partition has no leader just now, or does not exist."""
    exists = any(
        topic.name == wanted.topic and any(each.partition_index == wanted.partition for each in topic.partitions)
        for topic in metadata.topics
    )
    if exists:
        return KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"{wanted} has no leader at the moment")
    return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{wanted} does not exist")


def by_topic(partitions: Iterable[tuple[TopicPartition, Message]]) -> list[Message]:
    """Messages about partitions, gathered into topics."""
    shares: dict[str, list[Message]] = defaultdict(list)
    for each, message in partitions:
        shares[each.topic].append(message)
    return [Message(name=name, partitions=share) for name, share in shares.items()]


def indexes_by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """Partition numbers, gathered by topic."""
    indexes: dict[str, list[int]] = defaultdict(list)
    for each in partitions:
        indexes[each.topic].append(each.partition)
    return indexes
