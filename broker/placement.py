"""Where new partitions go: which nodes hold them and which leads, chosen here or by who asks.

A cluster of one has one answer; the functions are written for any number of nodes. Kafka's classes:
`StripedReplicaPlacer`, `ReplicationControlManager.validateManualPartitionAssignment`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..protocol.errors import ErrorCode, KafkaError
from .catalog_records import PartitionState


def place_partitions(
    node_ids: Sequence[int], *, first_index: int, count: int, replication_factor: int
) -> tuple[PartitionState, ...]:
    """Spread `count` partitions over the nodes, each led by the node after the one before.

    Raises KafkaError when there are fewer nodes than replicas.
    """
    if replication_factor > len(node_ids):
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {replication_factor} time(s): The target replication factor "
            f"of {replication_factor} cannot be reached because only {len(node_ids)} broker(s) are "
            "registered or some brokers have all their log directories cordoned.",
        )
    nodes = sorted(node_ids)
    return tuple(
        led_by_first([nodes[(index + replica) % len(nodes)] for replica in range(replication_factor)])
        for index in range(first_index, first_index + count)
    )


def led_by_first(replicas: Sequence[int]) -> PartitionState:
    return PartitionState(replicas[0], 0, tuple(replicas), tuple(replicas))


def check_assignment(replicas: Sequence[int], node_ids: Sequence[int], factor: int | None) -> None:
    """Refuse replicas that are unknown, repeated, none at all, or not as many as for the partitions before."""
    why = _why_bad_assignment(sorted(replicas), node_ids, factor)
    if why is not None:
        raise KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The manual partition assignment includes {why}")


def _why_bad_assignment(replicas: Sequence[int], node_ids: Sequence[int], factor: int | None) -> str | None:
    if not replicas:
        return "an empty replica list."
    previous = None
    for node_id in replicas:
        if node_id not in node_ids:
            return f"broker {node_id}, but no such broker is registered."
        if node_id == previous:
            return f"the broker {node_id} more than once."
        previous = node_id
    if factor is not None and len(replicas) != factor:
        return (
            f"a partition with {len(replicas)} replica(s), but this is not consistent with previous "
            f"partitions, which have {factor} replica(s)."
        )
    return None
