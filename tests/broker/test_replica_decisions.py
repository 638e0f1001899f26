"""Where nothing can move, every wish about replicas and leaders is met already or refused."""

from __future__ import annotations

from uuid import UUID

import pytest
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import NO_LEADER, PartitionState, TopicCreated
from ottla.broker.replica_decisions import ElectionType, check_election, check_reassignment, why_no_election
from ottla.protocol.errors import ErrorCode, KafkaError


@pytest.fixture
def catalog() -> Catalog:
    """A topic of three partitions: led by its first replica, by another, by nobody."""
    found = Catalog()
    states = (
        PartitionState(1, 0, (1, 2), (1, 2)),
        PartitionState(2, 0, (1, 2), (2,)),
        PartitionState(NO_LEADER, 0, (1, 2), (1,)),
    )
    found.apply(TopicCreated(UUID(int=1), "t", states))
    return found


@pytest.mark.parametrize(
    ("index", "kind", "code"),
    [
        (0, ElectionType.PREFERRED, ErrorCode.ELECTION_NOT_NEEDED),
        (1, ElectionType.PREFERRED, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE),
        (1, ElectionType.UNCLEAN, ErrorCode.ELECTION_NOT_NEEDED),
        (2, ElectionType.UNCLEAN, ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE),
        (3, ElectionType.PREFERRED, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_an_election_says_why_it_is_none(catalog: Catalog, index: int, kind: ElectionType, code: ErrorCode) -> None:
    assert why_no_election(catalog, "t", index, kind).code is code


def test_an_election_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KafkaError, match="Unknown election type 2"):
        check_election(2)


def test_replicas_may_be_asked_to_be_where_they_are_in_another_order(catalog: Catalog) -> None:
    check_reassignment(catalog, "t", 0, [2, 1], node_ids=[1, 2])


@pytest.mark.parametrize(
    ("index", "replicas", "code"),
    [
        (0, None, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS),
        (0, [], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (0, [1, 3], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (9, [1, 2], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_replicas_elsewhere_are_refused(
    catalog: Catalog, index: int, replicas: list[int] | None, code: ErrorCode
) -> None:
    with pytest.raises(KafkaError) as refused:
        check_reassignment(catalog, "t", index, replicas, node_ids=[1, 2])

    assert refused.value.code is code
