"""The decision about DeleteTopics: which topics go, and an answer for each reference to one.

A topic is named by name or by id (KIP-516), and one that is named twice, in whichever way, is not deleted.
Pure, like the other decisions. Kafka's class: `ControllerApis.deleteTopics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from ..protocol.errors import ErrorCode
from ..protocol.values import dataclass
from .catalog import Catalog
from .catalog_records import CatalogRecord, TopicDeleted

NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class TopicReference:
    """A topic to delete, by name or by id; the other is None or NO_ID."""

    name: str | None
    topic_id: UUID = NO_ID


@dataclass(frozen=True, slots=True)
class DeleteResult:
    name: str | None
    topic_id: UUID
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


def decide_delete_topics(
    catalog: Catalog, references: Sequence[TopicReference]
) -> tuple[list[CatalogRecord], list[DeleteResult]]:
    """Records that delete what is named once and exists, and a result for each reference (one for a
    duplicate).
    """
    mentions = _Mentions.count(catalog, references)
    records: list[CatalogRecord] = []
    results: list[DeleteResult] = []
    for reference in _told_apart(references):
        result = _delete_one(catalog, reference, mentions)
        if result is None:
            continue
        results.append(result)
        if result.error_code is ErrorCode.NONE:
            records.append(TopicDeleted(result.topic_id))
    return records, results


def _told_apart(references: Sequence[TopicReference]) -> Iterator[TopicReference]:
    """Each name and each id once; those that have neither or both are answered as often as they come."""
    seen: set[TopicReference] = set()
    for each in references:
        if (each.name is None) == (each.topic_id == NO_ID) or each not in seen:
            seen.add(each)
            yield each


@dataclass(frozen=True, slots=True)
class _Mentions:
    """How often a request names each topic, by name and by id; `ids_of_names` are of those named once."""

    names: Counter[str]
    ids: Counter[UUID]
    ids_of_names: set[UUID]

    @classmethod
    def count(cls, catalog: Catalog, references: Sequence[TopicReference]) -> _Mentions:
        names = Counter(each.name for each in references if each.name is not None and each.topic_id == NO_ID)
        ids = Counter(each.topic_id for each in references if each.name is None and each.topic_id != NO_ID)
        once = [name for name, count in names.items() if count == 1]
        return cls(names, ids, {catalog.topics[name].id for name in once if name in catalog.topics})


def _delete_one(catalog: Catalog, reference: TopicReference, mentions: _Mentions) -> DeleteResult | None:
    """None for an id that is also given by name: there the name gets the answer, as in Kafka."""
    name, topic_id = reference.name, reference.topic_id
    if name is None and topic_id == NO_ID:
        return _refused(reference, "Neither topic name nor id were specified.")
    if name is not None and topic_id != NO_ID:
        return _refused(reference, "You may not specify both topic name and topic id.")
    if name is not None:
        return _delete_by_name(catalog, name, mentions)
    if mentions.ids[topic_id] > 1:
        return _refused(reference, "Duplicate topic id.")
    topic = catalog.topic_by_id(topic_id)
    if topic is None:
        message = "This server does not host this topic ID."
        return DeleteResult(None, topic_id, ErrorCode.UNKNOWN_TOPIC_ID, message)
    return None if topic_id in mentions.ids_of_names else DeleteResult(topic.name, topic_id)


def _delete_by_name(catalog: Catalog, name: str, mentions: _Mentions) -> DeleteResult:
    if mentions.names[name] > 1:
        return DeleteResult(name, NO_ID, ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
    topic = catalog.topics.get(name)
    if topic is None:
        message = "This server does not host this topic-partition."
        return DeleteResult(name, NO_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, message)
    if mentions.ids[topic.id]:
        message = "The provided topic name maps to an ID that was already supplied."
        return DeleteResult(name, topic.id, ErrorCode.INVALID_REQUEST, message)
    return DeleteResult(name, topic.id)


def _refused(reference: TopicReference, message: str) -> DeleteResult:
    return DeleteResult(reference.name, reference.topic_id, ErrorCode.INVALID_REQUEST, message)
