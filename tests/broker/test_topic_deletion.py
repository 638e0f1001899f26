"""What DeleteTopics decides, for every way in which a topic can be named."""

from __future__ import annotations

from uuid import UUID

from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import PartitionState, TopicCreated, TopicDeleted
from ottla.broker.topic_deletion import NO_ID, DeleteResult, TopicReference, decide_delete_topics
from ottla.protocol.errors import ErrorCode

ONE, TWO, UNKNOWN = UUID(int=1), UUID(int=2), UUID(int=9)


def delete(*references: TopicReference) -> tuple[list[UUID], list[DeleteResult]]:
    catalog = Catalog()
    for topic_id, name in ((ONE, "one"), (TWO, "two")):
        catalog.apply(TopicCreated(topic_id, name, (PartitionState(1, 0, (1,), (1,)),)))
    records, results = decide_delete_topics(catalog, references)
    deleted = [record.topic_id for record in records if isinstance(record, TopicDeleted)]
    assert len(deleted) == len(records)
    return deleted, results


def refused(name: str | None, topic_id: UUID, message: str) -> DeleteResult:
    return DeleteResult(name, topic_id, ErrorCode.INVALID_REQUEST, message)


def test_a_topic_goes_by_its_name() -> None:
    assert delete(TopicReference("one")) == ([ONE], [DeleteResult("one", ONE)])


def test_a_topic_goes_by_its_id() -> None:
    assert delete(TopicReference(None, TWO)) == ([TWO], [DeleteResult("two", TWO)])


def test_unknown_topics_are_answered_by_what_they_were_named() -> None:
    assert delete(TopicReference("nope"), TopicReference(None, UNKNOWN))[1] == [
        DeleteResult(
            "nope", NO_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition."
        ),
        DeleteResult(None, UNKNOWN, ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID."),
    ]


def test_a_name_given_twice_deletes_nothing_and_is_answered_once() -> None:
    assert delete(TopicReference("one"), TopicReference("one")) == (
        [],
        [refused("one", NO_ID, "Duplicate topic name.")],
    )


def test_an_id_given_twice_deletes_nothing_and_is_answered_once() -> None:
    assert delete(TopicReference(None, ONE), TopicReference(None, ONE)) == (
        [],
        [refused(None, ONE, "Duplicate topic id.")],
    )


def test_a_topic_given_by_name_and_by_id_is_not_deleted_and_the_name_is_told_so() -> None:
    assert delete(TopicReference("one"), TopicReference(None, ONE), TopicReference("two")) == (
        [TWO],
        [
            refused("one", ONE, "The provided topic name maps to an ID that was already supplied."),
            DeleteResult("two", TWO),
        ],
    )


def test_a_reference_must_have_a_name_or_an_id_and_not_both() -> None:
    assert delete(TopicReference(None), TopicReference("one", ONE)) == (
        [],
        [
            refused(None, NO_ID, "Neither topic name nor id were specified."),
            refused("one", ONE, "You may not specify both topic name and topic id."),
        ],
    )


def test_a_reference_without_a_sense_is_answered_as_often_as_it_comes() -> None:
    assert len(delete(*[TopicReference(None)] * 2, *[TopicReference("one", ONE)] * 2)[1]) == 4
