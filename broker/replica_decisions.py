"""Where replicas shall be and who shall lead: what ElectLeaders and reassignments come to on nodes that hold everything.

A partition's replicas are the nodes there are (one, today), so every placement that passes Kafka's checks is the one
that is there already, and nothing is ever under way. A leader is the preferred one, the first of its replicas, or
there is none to elect. Pure: the catalog and what is asked -> a refusal for each partition. Kafka's class:
`ReplicationControlManager`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from ..protocol.errors import ErrorCode, KafkaError
from .catalog import Catalog
from .catalog_records import NO_LEADER, PartitionState
from .placement import check_assignment


class ElectionType(IntEnum):
    PREFERRED = 0
    UNCLEAN = 1


def check_election(kind: int) -> None:
    """KafkaError for a type that nobody knows."""
    if kind not in tuple(ElectionType):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown election type {kind}")


def why_no_election(catalog: Catalog, topic: str, index: int, kind: ElectionType) -> KafkaError:
    """Why this partition's leader is not elected anew."""
    known = catalog.topics.get(topic)
    if known is None:
        return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {topic}")
    if not 0 <= index < len(known.partitions):
        return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {topic}-{index}")
    state = known.partitions[index]
    if state.leader == state.replicas[0] or (kind is ElectionType.UNCLEAN and state.leader != NO_LEADER):
        return KafkaError(ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.")
    if kind is ElectionType.PREFERRED:
        return KafkaError(
            ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader was not available for the topic partition."
        )
    return KafkaError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "Eligible topic partition leaders are not available.")


def check_reassignment(
    catalog: Catalog, topic: str, index: int, replicas: Sequence[int] | None, *, node_ids: Sequence[int]
) -> None:
    """Return when the replicas are there already; KafkaError when they cannot be, or there is nothing to take back.

    `replicas` None takes a reassignment back.
    """
    state = _partition(catalog, topic, index)
    if replicas is None:
        raise KafkaError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    check_assignment(replicas, node_ids, None)
    assert set(replicas) == set(state.replicas), f"{topic}-{index} would have to move, and there is nowhere to move to"


def _partition(catalog: Catalog, topic: str, index: int) -> PartitionState:
    known = catalog.topics.get(topic)
    if known is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {topic}.")
    if not 0 <= index < len(known.partitions):
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {topic}:{index}.")
    return known.partitions[index]
