"""Partitions that a request about a group's offsets names, by topic: which of them exist, and the answer about each.

Topics go by name, in OffsetCommit and OffsetFetch from version 10 on by id. Partitions that do not exist are answered first and
left out of what is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...protocol.errors import ErrorCode
from ...protocol.messages import Message
from ..catalog import Topic

if TYPE_CHECKING:
    from ..app import Broker

IDS_FROM = 10
"""OffsetCommit and OffsetFetch name topics by id from this version on."""


def find_topic(broker: Broker, api_version: int, asked: Message) -> tuple[Topic | None, ErrorCode]:
    """The topic asked about, or the error for its partitions."""
    if api_version >= IDS_FROM:
        return broker.catalog.topic_by_id(asked.topic_id), ErrorCode.UNKNOWN_TOPIC_ID
    return broker.catalog.topics.get(asked.name), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


class PartitionAnswers:
    """The partitions answered so far, by topic in the order of the topics' first answers.

    A topic named twice is answered twice, unless something was refused before (`merges`): then once, as in Kafka.
    """

    def __init__(self) -> None:
        self.topics: list[Message] = []
        self.merges = True
        self._by_topic: dict[object, Message] = {}

    def add_all(self, accepted: Iterable[tuple[Message, Topic]], code: ErrorCode) -> None:
        """The same of all these partitions."""
        for asked, _ in accepted:
            for each in asked.partitions:
                self.add(asked, each.partition_index, code)

    def add(self, asked: Message, partition: int, code: ErrorCode) -> None:
        name, topic_id = asked.name, getattr(asked, "topic_id", None)
        key = (name, topic_id) if self.merges else id(asked)
        topic = self._by_topic.get(key)
        if topic is None:
            topic = Message(name=name, partitions=[])
            if topic_id is not None:
                topic.topic_id = topic_id
            self._by_topic[key] = topic
            self.topics.append(topic)
        topic.partitions.append(Message(partition_index=partition, error_code=code))


def existing(
    broker: Broker, api_version: int, request: Message, answer: PartitionAnswers
) -> list[tuple[Message, Topic]]:
    """What is asked about partitions that exist, each with its topic; the others are answered."""
    accepted = []
    for asked in request.topics:
        topic, missing = find_topic(broker, api_version, asked)
        if topic is None:
            for each in asked.partitions:
                answer.add(asked, each.partition_index, missing)
            continue
        here = []
        for each in asked.partitions:
            if 0 <= each.partition_index < len(topic.partitions):
                here.append(each)
            else:
                answer.add(asked, each.partition_index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if len(here) == len(asked.partitions):
            accepted += [(asked, topic)] if here else []
        elif here:
            known = Message(**vars(asked))
            known.partitions = here
            accepted.append((known, topic))
    return accepted
