"""A directory that another broker has left, Apache Kafka for one: its logs become topics of a new catalog. Pure.

Kafka keeps topics and their settings in a metadata log of its own format, which is not read here. But every partition's
folder says which topic it is of (`partition.metadata` has the id), so a directory that was moved here opens with all its
topics and records; settings that were made on a topic are to be made again. The broker's own topics get those that they
are made with: with the retention of ordinary ones, committed offsets would go by age. This is done once, when the catalog
is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from .catalog_records import PartitionState, TopicCreated

FIRST_LEADER_EPOCH = 0


def adopt(
    found: Iterable[tuple[str, int, UUID | None, int]],
    *,
    node_id: int,
    new_id: Callable[[], UUID],
    configs_of: Callable[[str], Mapping[str, str]],
) -> list[TopicCreated]:
    """Records of topics for the logs found: (topic, partition, topic id or None, latest leader epoch of the log).

    A partition missing in between is made; one that carries another id than its topic's first is not the topic's.
    `configs_of` gives the settings of a topic of this name.
    """
    topics: dict[str, list[tuple[int, UUID | None, int]]] = {}
    for topic, partition, topic_id, epoch in found:
        topics.setdefault(topic, []).append((partition, topic_id, epoch))
    return [
        _topic(name, sorted(logs, key=lambda each: each[0]), node_id, new_id, configs_of(name))
        for name, logs in sorted(topics.items())
    ]


def _topic(
    name: str,
    logs: list[tuple[int, UUID | None, int]],
    node_id: int,
    new_id: Callable[[], UUID],
    configs: Mapping[str, str],
) -> TopicCreated:
    known = [topic_id for _, topic_id, _ in logs if topic_id is not None]
    epochs = {partition: epoch for partition, _, epoch in logs}
    partitions = tuple(
        PartitionState(
            leader=node_id,
            leader_epoch=max(epochs.get(index, FIRST_LEADER_EPOCH), FIRST_LEADER_EPOCH),
            replicas=(node_id,),
            isr=(node_id,),
        )
        for index in range(logs[-1][0] + 1)
    )
    return TopicCreated(known[0] if known else new_id(), name, partitions, dict(configs))
