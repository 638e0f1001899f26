"""What CreateTopics and CreatePartitions decide; refusals in Apache Kafka 4.3.1's words, as it gave them when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import PartitionState, TopicCreated
from ottla.broker.topic_decisions import (
    Cluster,
    MorePartitions,
    NewTopic,
    TopicResult,
    decide_create_partitions,
    decide_create_topics,
)
from ottla.protocol.errors import ErrorCode, KafkaError

ONE_NODE = Cluster(node_ids=[1], default_partition_count=3, default_replication_factor=1)


class Ids:
    """Ids that are counted, not random."""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> UUID:
        self.last += 1
        return UUID(int=self.last)


def refuse_nope(configs: Mapping[str, str]) -> None:
    if "nope" in configs:
        raise KafkaError(ErrorCode.INVALID_CONFIG, "Unknown topic config name: nope")


def catalog_with(*names: str) -> Catalog:
    catalog = Catalog()
    for number, name in enumerate(names, 100):
        catalog.apply(TopicCreated(UUID(int=number), name, (PartitionState(1, 0, (1,), (1,)),)))
    return catalog


def create(*topics: NewTopic, catalog: Catalog | None = None, cluster: Cluster = ONE_NODE) -> Any:
    return decide_create_topics(catalog or Catalog(), topics, cluster=cluster, check_configs=refuse_nope, new_id=Ids())


def refusal_of(topic: NewTopic, catalog: Catalog | None = None) -> tuple[str, str | None]:
    records, [result] = create(topic, catalog=catalog)
    assert records == []
    assert result.topic is None
    return result.error_code.name, result.error_message


def test_a_topic_gets_the_defaults_it_does_not_name() -> None:
    [record], [result] = create(NewTopic("t"))
    assert record.partitions == (PartitionState(1, 0, (1,), (1,)),) * 3
    assert result.topic.id == record.topic_id == UUID(int=1)


def test_configs_are_kept_as_they_were_sent_and_the_last_of_a_name_counts() -> None:
    [record], _ = create(NewTopic("t", configs=[("a", "1"), ("b", " x "), ("a", "2")]))
    assert record.configs == {"a": "2", "b": " x "}


def test_what_is_created_can_be_applied_and_is_then_there() -> None:
    catalog = Catalog()
    records, _ = create(NewTopic("t", 2, 1), NewTopic("u", 1, 1), catalog=catalog)
    for record in records:
        catalog.apply(record)
    catalog.check()
    assert {name: len(topic.partitions) for name, topic in catalog.topics.items()} == {"t": 2, "u": 1}


ASSIGNMENT = "The manual partition assignment includes "


@pytest.mark.parametrize(
    ("topic", "code", "message"),
    [
        (NewTopic("a b"), "INVALID_TOPIC_EXCEPTION", None),
        (NewTopic("there"), "TOPIC_ALREADY_EXISTS", "Topic 'there' already exists."),
        (NewTopic("s_t"), "INVALID_TOPIC_EXCEPTION", "Topic 's_t' collides with existing topic: s.t"),
        (NewTopic("s.t"), "TOPIC_ALREADY_EXISTS", "Topic 's.t' already exists."),
        (
            NewTopic("__cluster_metadata"),
            "INVALID_REQUEST",
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (NewTopic("__ottla_x"), "INVALID_REQUEST", "Creation of internal topic __ottla_* is prohibited."),
        (
            NewTopic("t", 1, 2),
            "INVALID_REPLICATION_FACTOR",
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached "
            "because only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
        (
            NewTopic("t", 1, 0),
            "INVALID_REPLICATION_FACTOR",
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (NewTopic("t", 1, -2), "INVALID_REPLICATION_FACTOR", None),
        (
            NewTopic("t", 0, 1),
            "INVALID_PARTITIONS",
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (NewTopic("t", -2, 1), "INVALID_PARTITIONS", None),
        (NewTopic("t", 0, 0), "INVALID_REPLICATION_FACTOR", None),
        (NewTopic("t", configs=[("nope", "1")]), "INVALID_CONFIG", "Unknown topic config name: nope"),
        (NewTopic("t", 1, 9, configs=[("nope", "1")]), "INVALID_CONFIG", "Unknown topic config name: nope"),
        (
            NewTopic("t", configs=[("x", None), ("nope", None)]),
            "INVALID_CONFIG",
            "Null value not supported for topic configs: x,nope",
        ),
        (
            NewTopic("t", 2, -1, [(0, [1])]),
            "INVALID_REQUEST",
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (
            NewTopic("t", 1, 1, [(0, [1])]),
            "INVALID_REQUEST",
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
        (
            NewTopic("t", assignments=[(0, [7])]),
            "INVALID_REPLICA_ASSIGNMENT",
            ASSIGNMENT + "broker 7, but no such broker is registered.",
        ),
        (
            NewTopic("t", assignments=[(0, [1, 1])]),
            "INVALID_REPLICA_ASSIGNMENT",
            ASSIGNMENT + "the broker 1 more than once.",
        ),
        (
            NewTopic("t", assignments=[(0, [])]),
            "INVALID_REPLICA_ASSIGNMENT",
            ASSIGNMENT + "an empty replica list.",
        ),
        (
            NewTopic("t", assignments=[(0, [1]), (0, [1])]),
            "INVALID_REPLICA_ASSIGNMENT",
            "Found multiple manual partition assignments for partition 0",
        ),
        (
            NewTopic("t", assignments=[(0, [1]), (2, [1])]),
            "INVALID_REPLICA_ASSIGNMENT",
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (NewTopic("t", assignments=[(-1, [1])]), "INVALID_REPLICA_ASSIGNMENT", None),
    ],
)
def test_a_topic_is_refused_as_kafka_refuses_it(topic: NewTopic, code: str, message: str | None) -> None:
    assert refusal_of(topic, catalog_with("there", "s.t"))[0] == code
    if message is not None:
        assert refusal_of(topic, catalog_with("there", "s.t"))[1] == message


def test_assignments_must_agree_on_the_number_of_replicas() -> None:
    two = Cluster(node_ids=[1, 2], default_partition_count=1, default_replication_factor=1)
    _, [result] = create(NewTopic("t", assignments=[(0, [1]), (1, [1, 2])]), cluster=two)
    assert result.error_message == ASSIGNMENT + (
        "a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s)."
    )


def test_a_name_asked_for_twice_is_refused_once_and_the_others_are_created() -> None:
    records, results = create(NewTopic("d"), NewTopic("e"), NewTopic("d"), NewTopic("d"))
    assert [record.name for record in records] == ["e"]
    assert [(each.name, each.error_code, each.error_message) for each in results] == [
        ("e", ErrorCode.NONE, None),
        ("d", ErrorCode.INVALID_REQUEST, "Duplicate topic name."),
    ]


def test_two_names_of_one_request_may_collide_with_each_other() -> None:
    records, _ = create(NewTopic("q.r"), NewTopic("q_r"))
    assert [record.name for record in records] == ["q.r", "q_r"]


def test_partitions_are_led_by_the_nodes_in_turn() -> None:
    three = Cluster(node_ids=[5, 3, 4], default_partition_count=4, default_replication_factor=2)
    [record], _ = create(NewTopic("t"), cluster=three)
    assert [state.replicas for state in record.partitions] == [(3, 4), (4, 5), (5, 3), (3, 4)]


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        ([NewTopic("h", 10_001, 1)], "Excessively large number of partitions per request."),
        ([NewTopic("h", 6000, 1), NewTopic("g", 6000, 1)], "Excessively large number of partitions per request."),
        ([NewTopic("h", 10_000, 1)], "Unable to perform excessively large batch operation."),
        ([NewTopic("h", 9_999, 1, configs=[("a", "b")])], "Unable to perform excessively large batch operation."),
        ([NewTopic(f"k{n}", 1, 1) for n in range(5001)], "Unable to perform excessively large batch operation."),
    ],
    ids=["10001 partitions", "in two topics", "one too many with the topic", "or with a config", "5001 topics"],
)
def test_a_request_too_large_is_refused_as_a_whole(topics: Sequence[NewTopic], message: str) -> None:
    with pytest.raises(KafkaError) as refused:
        create(*topics)
    assert (refused.value.code, refused.value.message) == (ErrorCode.POLICY_VIOLATION, message)


def test_the_largest_request_is_taken() -> None:
    [record], _ = create(NewTopic("h", 9_999, 1))
    assert len(record.partitions) == 9_999


# -- CreatePartitions


def add(*more: MorePartitions) -> Any:
    return decide_create_partitions(catalog_with("t", "u"), more, cluster=ONE_NODE)


def test_partitions_are_added_behind_those_that_are_there() -> None:
    [record], [result] = add(MorePartitions("t", 3))
    assert record.partitions == (PartitionState(1, 0, (1,), (1,)),) * 2
    assert len(result.topic.partitions) == 3


@pytest.mark.parametrize("name", ["__consumer_offsets", "__transaction_state"])
def test_an_internal_topic_gets_no_more_partitions_for_its_keys_would_be_looked_for_in_them(name: str) -> None:
    more = [MorePartitions(name, 2), MorePartitions("t", 2)]
    [record], results = decide_create_partitions(catalog_with(name, "t"), more, cluster=ONE_NODE)

    assert len(record.partitions) == 1
    assert [each.error_code for each in results] == [ErrorCode.INVALID_PARTITIONS, ErrorCode.NONE]
    assert results[0].error_message is not None
    assert results[0].error_message.startswith(f"The number of partitions of {name} cannot be changed")


def test_added_partitions_may_be_assigned() -> None:
    [record], _ = add(MorePartitions("t", 3, [[1], [1]]))
    assert [state.replicas for state in record.partitions] == [(1,), (1,)]


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (MorePartitions("t", 1), "INVALID_PARTITIONS", "Topic already has 1 partition(s)."),
        (
            MorePartitions("t", 0),
            "INVALID_PARTITIONS",
            "The topic t currently has 1 partition(s); 0 would not be an increase.",
        ),
        (
            MorePartitions("t", -1),
            "INVALID_PARTITIONS",
            "The topic t currently has 1 partition(s); -1 would not be an increase.",
        ),
        (MorePartitions("a b", 3), "UNKNOWN_TOPIC_OR_PARTITION", None),
        (
            MorePartitions("t", 3, [[1]]),
            "INVALID_REPLICA_ASSIGNMENT",
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (MorePartitions("t", 2, [[]]), "INVALID_REPLICA_ASSIGNMENT", ASSIGNMENT + "an empty replica list."),
        (
            MorePartitions("t", 2, [[9]]),
            "INVALID_REPLICA_ASSIGNMENT",
            ASSIGNMENT + "broker 9, but no such broker is registered.",
        ),
        (
            MorePartitions("t", 10_002),
            "POLICY_VIOLATION",
            "Excessively large number of partitions per request.",
        ),
    ],
)
def test_more_partitions_are_refused_as_kafka_refuses_them(
    more: MorePartitions, code: str, message: str | None
) -> None:
    assert add(more) == ([], [TopicResult(more.name, ErrorCode[code], message)])


def test_a_refusal_of_one_topic_leaves_the_others_be() -> None:
    records, results = add(MorePartitions("t", 9), MorePartitions("t", 9), MorePartitions("u", 2))
    assert [len(record.partitions) for record in records] == [1]
    assert [(each.name, each.error_code) for each in results] == [
        ("t", ErrorCode.INVALID_REQUEST),
        ("u", ErrorCode.NONE),
    ]
