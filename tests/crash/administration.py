"""An administrator who makes, changes and deletes topics until the broker is killed, and knows what was acknowledged.

A change that was asked for and not answered may have happened or not: both are then possible, `observe` finds out
which, and from there on it must stay so.  Names are used again and again, so that a topic is often made over the
remains of a deleted one; one record in each tells whose log it is.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from ottla.protocol.records import iter_headers, iter_records
from support.wire import Api, Connection

from .ledger import TopicPartition
from .requests import TIMEOUT_MS, create_topic, fetch, produce, topics_of

NAMES = tuple(f"churn-{letter}" for letter in "abcdef")
RETENTIONS_MS = ("600000000", "700000000", "800000000")
TOPIC_RESOURCE = 2
SET = 0
HIGH_WATERMARK = -1
TRIMMING_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What a topic is; `topic_id` is None where its creation was not answered."""

    topic_id: str | None
    partition_count: int
    retention_ms: str


State = TopicFacts | None  # None: there is no such topic


class WrongMetadata(AssertionError):
    """The broker forgot something that it acknowledged, or remembers what was never asked."""


@dataclass(slots=True)
class _Topic:
    """One name: the states it may be in, and the records that are surely in the log of the present one."""

    possible: list[State] = field(default_factory=lambda: [None])
    acknowledged: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def state(self) -> State:
        assert len(self.possible) == 1, "observe first"
        return self.possible[0]


class Administrator:
    """Works on the topics of `NAMES`, and cuts off the front of `trimmed`; owned by one thread."""

    def __init__(self, seed: int, trimmed: TopicPartition) -> None:
        self.acknowledged_count = 0
        self.trimmed = trimmed
        self.trimmed_to = 0
        self.producer_ids: set[int] = set()
        self._random = random.Random(seed)
        self._topics = {name: _Topic() for name in NAMES}
        self._record_count = 0

    @property
    def expected_folders(self) -> set[str]:
        """The partition folders of these topics, after `observe`."""
        return {
            f"{name}-{index}"
            for name, topic in self._topics.items()
            if topic.state is not None
            for index in range(topic.state.partition_count)
        }

    def work(self, connection: Connection) -> None:
        """One change after the other, until the connection breaks (ConnectionError)."""
        while True:
            self.change_something(connection)

    def change_something(self, connection: Connection) -> None:
        if self._random.random() < TRIMMING_SHARE:
            self._trim(connection)
            return
        name = self._random.choice(NAMES)
        if self._topics[name].state is None:
            self._create(connection, name)
            return
        change = self._random.choice(
            [self._delete, self._configure, self._configure, self._add_partition, self._produce, self._take_producer_id]
        )
        change(connection, name)

    def observe(self, connection: Connection) -> None:
        """Hold what the broker says of all topics against what is possible; WrongMetadata if it is not."""
        found = _describe(connection, NAMES)
        for name, topic in self._topics.items():
            fitting = [state for state in topic.possible if _fits(state, found.get(name))]
            if not fitting:
                raise WrongMetadata(f"{name} is {found.get(name)}, acknowledged was {topic.possible}")
            topic.possible = [found.get(name)]
            if topic.state is None:
                topic.acknowledged = []
            else:
                self._check_records(connection, name, topic)

    def _check_records(self, connection: Connection, name: str, topic: _Topic) -> None:
        assert topic.state is not None
        found = dict(_read_all(connection, name))
        for offset, value in topic.acknowledged:
            if found.get(offset) != value:
                raise WrongMetadata(f"{name}-0: {value!r} was acknowledged at {offset}, there is {found.get(offset)!r}")
        foreign = {value for value in found.values() if not value.startswith(f"{topic.state.topic_id}:".encode())}
        if foreign:
            raise WrongMetadata(f"{name}-0 has records of another topic: {sorted(foreign)[:3]}")

    # -- the changes

    def _create(self, connection: Connection, name: str) -> None:
        facts = TopicFacts(None, self._random.choice((1, 1, 2, 5)), self._random.choice(RETENTIONS_MS))
        topic = self._topics[name]
        topic.possible = [None, facts]
        configs = {"retention.ms": facts.retention_ms}
        told = create_topic(connection, name, partition_count=facts.partition_count, configs=configs)
        _must_succeed("CreateTopics", name, told)
        topic.acknowledged = []
        self._is_now(topic, replace(facts, topic_id=told["topic_id"]))

    def _delete(self, connection: Connection, name: str) -> None:
        topic = self._topics[name]
        topic.possible = [topic.state, None]
        wanted = [{"name": name, "topic_id": "0" * 32}]
        answer = connection.call(Api.DELETE_TOPICS, 6, topics=wanted, timeout_ms=TIMEOUT_MS)
        (told,) = answer["responses"]
        _must_succeed("DeleteTopics", name, told)
        topic.acknowledged = []
        self._is_now(topic, None)

    def _configure(self, connection: Connection, name: str) -> None:
        topic = self._topics[name]
        assert topic.state is not None
        wanted = replace(topic.state, retention_ms=self._random.choice(RETENTIONS_MS))
        topic.possible = [topic.state, wanted]
        config = {"name": "retention.ms", "config_operation": SET, "value": wanted.retention_ms}
        resource = {"resource_type": TOPIC_RESOURCE, "resource_name": name, "configs": [config]}
        answer = connection.call(Api.INCREMENTAL_ALTER_CONFIGS, 1, resources=[resource], validate_only=False)
        (told,) = answer["responses"]
        _must_succeed("IncrementalAlterConfigs", name, told)
        self._is_now(topic, wanted)

    def _add_partition(self, connection: Connection, name: str) -> None:
        topic = self._topics[name]
        assert topic.state is not None
        wanted = replace(topic.state, partition_count=topic.state.partition_count + 1)
        topic.possible = [topic.state, wanted]
        asked = {"name": name, "count": wanted.partition_count, "assignments": None}
        answer = connection.call(Api.CREATE_PARTITIONS, 3, topics=[asked], timeout_ms=TIMEOUT_MS, validate_only=False)
        (told,) = answer["results"]
        _must_succeed("CreatePartitions", name, told)
        self._is_now(topic, wanted)

    def _produce(self, connection: Connection, name: str) -> None:
        topic = self._topics[name]
        assert topic.state is not None
        self._record_count += 1
        value = f"{topic.state.topic_id}:{self._record_count}".encode()
        told = produce(connection, TopicPartition(name, 0), [value])
        _must_succeed("Produce", name, told)
        topic.acknowledged.append((told["base_offset"], value))
        self.acknowledged_count += 1

    def _take_producer_id(self, connection: Connection, name: str) -> None:
        """Nothing to do with the topic: a producer id must never be given twice."""
        answer = connection.call(
            Api.INIT_PRODUCER_ID, 4, transactional_id=None, transaction_timeout_ms=0, producer_id=-1, producer_epoch=-1
        )
        _must_succeed("InitProducerId", name, answer)
        given = answer["producer_id"]
        if given in self.producer_ids:
            raise WrongMetadata(f"producer id {given} was given twice")
        self.producer_ids.add(given)
        self.acknowledged_count += 1

    def _trim(self, connection: Connection) -> None:
        """Delete all records so far; the log start that is acknowledged must never go back."""
        wanted = {
            "name": self.trimmed.topic,
            "partitions": [{"partition_index": self.trimmed.partition, "offset": HIGH_WATERMARK}],
        }
        answer = connection.call(Api.DELETE_RECORDS, 2, topics=[wanted], timeout_ms=TIMEOUT_MS)
        (told,) = answer["topics"][0]["partitions"]
        _must_succeed("DeleteRecords", str(self.trimmed), told)
        if told["low_watermark"] < self.trimmed_to:
            raise WrongMetadata(f"the start of {self.trimmed} went from {self.trimmed_to} to {told['low_watermark']}")
        self.trimmed_to = told["low_watermark"]
        self.acknowledged_count += 1

    def _is_now(self, topic: _Topic, state: State) -> None:
        topic.possible = [state]
        self.acknowledged_count += 1


def _must_succeed(what: str, name: str, told: dict) -> None:
    if told["error_code"] != 0:
        raise WrongMetadata(f"{what} of {name}: error {told['error_code']} {told.get('error_message')}")


def _fits(possible: State, found: State) -> bool:
    if possible is None or found is None:
        return possible is found
    return possible == found or (replace(possible, topic_id=found.topic_id) == found and possible.topic_id is None)


def _describe(connection: Connection, names: Iterable[str]) -> dict[str, TopicFacts]:
    wanted = set(names)
    topics = {name: topic for name, topic in topics_of(connection).items() if name in wanted}
    return {
        name: TopicFacts(topic["topic_id"], len(topic["partitions"]), _retention_ms(connection, name))
        for name, topic in topics.items()
    }


def _retention_ms(connection: Connection, name: str) -> str:
    resource = {"resource_type": TOPIC_RESOURCE, "resource_name": name, "configuration_keys": ["retention.ms"]}
    answer = connection.call(
        Api.DESCRIBE_CONFIGS, 4, resources=[resource], include_synonyms=False, include_documentation=False
    )
    (told,) = answer["results"]
    _must_succeed("DescribeConfigs", name, told)
    (config,) = told["configs"]
    return config["value"]


def _read_all(connection: Connection, name: str) -> Iterator[tuple[int, bytes]]:
    told = fetch(connection, TopicPartition(name, 0), 0, max_bytes=1 << 22)
    _must_succeed("Fetch", name, told)
    data = told["records"] or b""
    for position, _ in iter_headers(data):
        for record in iter_records(data, position, max_decompressed_bytes=1 << 22):
            yield record.offset, record.value or b""
