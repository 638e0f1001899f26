"""Decisions about topics: what CreateTopics and CreatePartitions do to the catalog, or why not.

Pure: the catalog as it is, what is asked, what the cluster offers -> the records to write, and an answer for
each topic asked about. Nothing here waits, reads a clock or rolls dice; new ids come from a function that is
passed in. The order of the checks is Kafka's (`ControllerApis`, `ReplicationControlManager`), because it
shows in which error a client gets.

One request is one batch of records, so the topics of a request appear together or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass, field
from .catalog import Catalog, Topic
from .catalog_records import CatalogRecord, PartitionsAdded, PartitionState, TopicCreated
from .placement import check_assignment, led_by_first, place_partitions
from .topic_names import CLUSTER_METADATA, JOURNAL_PREFIX, is_internal, is_reserved, why_invalid

MAX_PARTITIONS_PER_REQUEST = 10_000
MAX_CHANGES_PER_REQUEST = 10_000
"""Kafka's limit of records for one request: one for a topic, each of its configs and each of its partitions.
"""

USE_DEFAULT = -1

CheckConfigs = Callable[[Mapping[str, str]], None]
"""Raises KafkaError(INVALID_CONFIG) for configs that no topic can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What there is to place partitions on, and what a topic gets that asks for nothing."""

    node_ids: Sequence[int]
    default_partition_count: int
    default_replication_factor: int


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic asked for. `assignments` are (partition index, replica node ids), empty when the broker shall
    place.
    """

    name: str
    partition_count: int = USE_DEFAULT
    replication_factor: int = USE_DEFAULT
    assignments: Sequence[tuple[int, Sequence[int]]] = ()
    configs: Sequence[tuple[str, str | None]] = ()


@dataclass(frozen=True, slots=True)
class TopicResult:
    """The answer about one topic; `topic` is what was (or, when only validated, would be) created."""

    name: str
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    topic: Topic | None = None


@dataclass(frozen=True, slots=True)
class MorePartitions:
    """`count` is the new total; `assignments` the replicas of each added partition, None when the broker
    shall place.
    """

    name: str
    count: int
    assignments: Sequence[Sequence[int]] | None = None


# -- CreateTopics


@dataclass(slots=True)
class _Creation:
    """What one CreateTopics request has come to so far."""

    catalog: Catalog
    cluster: Cluster
    check_configs: CheckConfigs
    new_id: Callable[[], UUID]
    records: list[CatalogRecord] = field(default_factory=list)
    change_count: int = 0


def decide_create_topics(
    catalog: Catalog,
    requested: Sequence[NewTopic],
    *,
    cluster: Cluster,
    check_configs: CheckConfigs,
    new_id: Callable[[], UUID],
) -> tuple[list[CatalogRecord], list[TopicResult]]:
    """Records that create what can be created, and a result for each name (a name asked for twice gets one
    refusal).

    A caller that only validates drops the records. Raises KafkaError when the request as a whole is too
    large.
    """
    twice = repeated(topic.name for topic in requested)
    singles = [topic for topic in requested if topic.name not in twice]
    _check_total(singles, cluster)
    creation = _Creation(catalog, cluster, check_configs, new_id)
    results = [_create_or_refuse(creation, topic) for topic in singles]
    return creation.records, results + [_named_twice(name) for name in twice]


def repeated(names: Iterable[str]) -> list[str]:
    """The names that come more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _named_twice(name: str) -> TopicResult:
    return TopicResult(name, ErrorCode.INVALID_REQUEST, "Duplicate topic name.")


def _check_total(requested: Iterable[NewTopic], cluster: Cluster) -> None:
    total = sum(_requested_count(topic, cluster) for topic in requested)
    if total > MAX_PARTITIONS_PER_REQUEST:
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")


def _requested_count(topic: NewTopic, cluster: Cluster) -> int:
    if topic.assignments:
        return len(topic.assignments)
    if topic.partition_count == USE_DEFAULT:
        return cluster.default_partition_count
    return max(topic.partition_count, 0)


def _create_or_refuse(creation: _Creation, requested: NewTopic) -> TopicResult:
    try:
        topic = _create(creation, requested)
    except KafkaError as refusal:
        return TopicResult(requested.name, refusal.code, refusal.message)
    creation.change_count += 1 + len(topic.configs) + len(topic.partitions)
    if creation.change_count > MAX_CHANGES_PER_REQUEST:
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "Unable to perform excessively large batch operation.")
    creation.records.append(TopicCreated(topic.id, topic.name, topic.partitions, dict(topic.configs)))
    return TopicResult(topic.name, topic=topic)


def _create(creation: _Creation, requested: NewTopic) -> Topic:
    _check_new_name(creation.catalog, requested.name)
    configs = _configs_of(requested)
    creation.check_configs(configs)
    if requested.assignments:
        partitions = _place_as_assigned(requested, creation.cluster)
    else:
        partitions = _place_new(requested, creation.cluster)
    return Topic(requested.name, creation.new_id(), partitions, configs)


def _check_new_name(catalog: Catalog, name: str) -> None:
    if is_reserved(name):
        # Kafka has the first of these; the other is ours, in the same words.
        which = CLUSTER_METADATA if name == CLUSTER_METADATA else f"{JOURNAL_PREFIX}*"
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Creation of internal topic {which} is prohibited.")
    invalid = why_invalid(name)
    if invalid is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, invalid)
    if name in catalog.topics:
        raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    colliding = catalog.colliding_with(name)
    if colliding is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {colliding}")


def _configs_of(requested: NewTopic) -> dict[str, str]:
    """The last value of each name, as text; a name given twice is allowed here."""
    without_value = [name for name, value in requested.configs if value is None]
    if without_value:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Null value not supported for topic configs: {','.join(without_value)}",
        )
    return {name: value for name, value in requested.configs if value is not None}


def _place_new(requested: NewTopic, cluster: Cluster) -> tuple[PartitionState, ...]:
    count, factor = requested.partition_count, requested.replication_factor
    if factor < USE_DEFAULT or factor == 0:
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        )
    if count < USE_DEFAULT or count == 0:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
    if count == USE_DEFAULT:
        count = cluster.default_partition_count
    if factor == USE_DEFAULT:
        factor = cluster.default_replication_factor
    return place_partitions(cluster.node_ids, first_index=0, count=count, replication_factor=factor)


def _place_as_assigned(requested: NewTopic, cluster: Cluster) -> tuple[PartitionState, ...]:
    if requested.replication_factor != USE_DEFAULT:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        )
    if requested.partition_count != USE_DEFAULT:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        )
    placed: dict[int, PartitionState] = {}
    factor: int | None = None
    for index, replicas in requested.assignments:
        if index in placed:
            raise KafkaError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"Found multiple manual partition assignments for partition {index}",
            )
        check_assignment(replicas, cluster.node_ids, factor)
        factor = len(replicas)
        placed[index] = led_by_first(replicas)
    if sorted(placed) != list(range(len(placed))):
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "partitions should be a consecutive 0-based integer sequence",
        )
    return tuple(placed[index] for index in range(len(placed)))


# -- CreatePartitions


def decide_create_partitions(
    catalog: Catalog, requested: Sequence[MorePartitions], *, cluster: Cluster
) -> tuple[list[CatalogRecord], list[TopicResult]]:
    """Records that add partitions where that is possible, and a result for each name."""
    twice = repeated(more.name for more in requested)
    results = [_named_twice(name) for name in twice]
    records: list[CatalogRecord] = []
    room = MAX_CHANGES_PER_REQUEST
    for more in requested:
        if more.name in twice:
            continue
        try:
            topic, added = _add_partitions(catalog, more, cluster, room)
        except KafkaError as refusal:
            results.append(TopicResult(more.name, refusal.code, refusal.message or None))
            continue
        room -= len(added)
        records.append(PartitionsAdded(topic.id, added))
        results.append(TopicResult(more.name, topic=replace(topic, partitions=topic.partitions + added)))
    return records, results


def _add_partitions(
    catalog: Catalog, more: MorePartitions, cluster: Cluster, room: int
) -> tuple[Topic, tuple[PartitionState, ...]]:
    topic = catalog.topics.get(more.name)
    if topic is None:
        raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    present = len(topic.partitions)
    if more.count == present:
        raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {present} partition(s).")
    if more.count < present:
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {more.name} currently has {present} partition(s); {more.count} would not be an increase.",
        )
    if is_internal(more.name):
        # Kafka adds them. From its next start on the keys are looked for in other partitions, and found in none: every
        # group whose partition changed begins without its offsets. What nobody can want is refused.
        raise KafkaError(
            ErrorCode.INVALID_PARTITIONS,
            f"The number of partitions of {more.name} cannot be changed: its {present} partition(s) hold what would be "
            "looked for in others at the next start.",
        )
    added = more.count - present
    if more.assignments is not None and len(more.assignments) != added:
        raise KafkaError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Attempted to add {added} additional partition(s), but only {len(more.assignments)} "
            "assignment(s) were specified.",
        )
    if added > room:
        # Kafka trips over its own limit here and answers UNKNOWN_SERVER_ERROR.
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "Excessively large number of partitions per request.")
    factor = len(topic.partitions[0].replicas)
    if more.assignments is None:
        placed = place_partitions(cluster.node_ids, first_index=present, count=added, replication_factor=factor)
        return topic, placed
    for replicas in more.assignments:
        check_assignment(replicas, cluster.node_ids, factor)
    return topic, tuple(led_by_first(replicas) for replicas in more.assignments)
