"""Metadata, DescribeCluster and DescribeTopicPartitions: what clients learn about the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from support.asking import Asker, with_broker

NO_ID, SOME_ID = UUID(int=0), UUID(int=77)
UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def named(*names: str) -> list[Message]:
    return [Message(name=name, topic_id=NO_ID) for name in names]


def codes(answer: Any) -> dict[str, int]:
    return {topic.name: int(topic.error_code) for topic in answer.topics}


def test_all_topics_are_an_empty_list_in_version_0_and_null_from_1_on(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        assert codes(await ask(ApiKey.METADATA, 0, topics=[])) == {"t": 0}
        for version in range(1, 14):
            assert codes(await ask(ApiKey.METADATA, version, topics=[])) == {}
            assert codes(await ask(ApiKey.METADATA, version, topics=None)) == {"t": 0}

    with_broker(tmp_path, test)


def test_the_node_is_told_with_the_address_it_is_reached_at(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        answer = await ask(ApiKey.METADATA, 13, topics=[])
        [node] = answer.brokers
        assert (node.node_id, node.host, node.rack) == (1, "127.0.0.1", "r1")
        assert node.port == ask.broker.bound["PLAINTEXT"].port
        assert (answer.controller_id, answer.cluster_id) == (1, ask.broker.cluster_id)

    with_broker(tmp_path, test, {"broker.rack": "r1"})


def test_a_topic_is_found_by_name_and_from_version_12_by_id(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        topic_id = (await ask.create("t", 2)).topic_id
        by_id = [Message(name=None, topic_id=topic_id), Message(name=None, topic_id=SOME_ID)]
        answer = await ask(ApiKey.METADATA, 12, topics=by_id)
        assert [(topic.name, topic.topic_id, topic.error_code) for topic in answer.topics] == [
            (None, SOME_ID, ErrorCode.UNKNOWN_TOPIC_ID),
            ("t", topic_id, 0),
        ]
        partition = answer.topics[1].partitions[1]
        assert (partition.partition_index, partition.leader_id, partition.leader_epoch) == (1, 1, 0)
        assert partition.replica_nodes == partition.isr_nodes == [1]

    with_broker(tmp_path, test)


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        (10, Message(name=None, topic_id=SOME_ID)),
        (11, Message(name="t", topic_id=SOME_ID)),
        (10, Message(name=None, topic_id=NO_ID)),
        (12, Message(name=None, topic_id=NO_ID)),
        (13, Message(name=None, topic_id=NO_ID)),
    ],
)
def test_a_topic_that_is_named_wrongly_fails_the_whole_request(tmp_path: Path, version: int, asked: Message) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        answer = await ask(ApiKey.METADATA, version, topics=[asked, *named("t")])
        assert [topic.error_code for topic in answer.topics] == [ErrorCode.INVALID_REQUEST] * 2
        assert (answer.brokers, answer.cluster_id, answer.controller_id) == ([], None, -1)
        assert answer.error_code == (ErrorCode.INVALID_REQUEST if version == 13 else 0)

    with_broker(tmp_path, test)


def test_topics_that_are_not_there_are_unknown_or_have_impossible_names(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        answer = await ask(ApiKey.METADATA, 13, topics=named("nope", "a b", "nope"), allow_auto_topic_creation=False)
        assert codes(answer) == {"nope": UNKNOWN, "a b": ErrorCode.INVALID_TOPIC_EXCEPTION}
        assert len(answer.topics) == 2

    with_broker(tmp_path, test)


async def created_behind_the_answer(ask: Asker) -> set[str]:
    """The topics once everything that was submitted is decided."""
    await ask.broker.journal.decide(lambda: ([], None))
    return await ask.names()


def test_a_topic_asked_for_is_created_behind_the_answer(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        answer = await ask(ApiKey.METADATA, 13, topics=named("a.b", "a_b"), allow_auto_topic_creation=True)
        assert codes(answer) == {"a.b": UNKNOWN, "a_b": UNKNOWN}
        await ask(ApiKey.METADATA, 13, topics=named("a.b"), allow_auto_topic_creation=True)
        assert await created_behind_the_answer(ask) == {"a.b", "a_b"}
        assert len(ask.broker.catalog.topics["a.b"].partitions) == 4

    with_broker(tmp_path, test, {"num.partitions": "4"})


@pytest.mark.parametrize(
    ("names", "allow", "settings"),
    [
        (["t"], False, {}),
        (["t"], True, {"auto.create.topics.enable": "false"}),
        (["a b", "__cluster_metadata", "__ottla_catalog", "__consumer_offsets", ""], True, {}),
    ],
    ids=["the client does not want it", "the broker does not allow it", "names that clients cannot have"],
)
def test_some_topics_are_not_created_behind_the_answer(
    tmp_path: Path, names: list[str], allow: bool, settings: dict[str, str]
) -> None:
    async def test(ask: Asker) -> None:
        await ask(ApiKey.METADATA, 13, topics=named(*names), allow_auto_topic_creation=allow)
        assert await created_behind_the_answer(ask) == set()

    with_broker(tmp_path, test, settings)


def test_what_a_client_may_do_is_told_when_it_asks(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        asked = {"include_topic_authorized_operations": True, "include_cluster_authorized_operations": True}
        answer = await ask(ApiKey.METADATA, 8, topics=None, **asked)
        assert (answer.cluster_authorized_operations, answer.topics[0].topic_authorized_operations) == (8096, 3576)
        answer = await ask(ApiKey.METADATA, 8, topics=None)
        assert answer.topics[0].topic_authorized_operations == -(2**31)
        answer = await ask(ApiKey.DESCRIBE_CLUSTER, 0, include_cluster_authorized_operations=True)
        assert answer.cluster_authorized_operations == 8096

    with_broker(tmp_path, test)


@pytest.mark.parametrize(
    ("endpoint_type", "code"),
    [(1, 0), (2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (3, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)],
)
def test_a_client_that_seeks_a_controller_is_told_that_this_is_a_broker(
    tmp_path: Path, endpoint_type: int, code: int
) -> None:
    async def test(ask: Asker) -> None:
        answer = await ask(ApiKey.DESCRIBE_CLUSTER, 2, endpoint_type=endpoint_type)
        assert answer.error_code == code
        assert len(answer.brokers) == (code == 0)

    with_broker(tmp_path, test)


# -- DescribeTopicPartitions


async def pages(
    ask: Asker, *names: str, limit: int, cursor: Message | None = None
) -> list[list[tuple[str, list[int]]]]:
    """All pages from the cursor on, each as (topic, partition indexes)."""
    found = []
    while True:
        answer = await ask(
            ApiKey.DESCRIBE_TOPIC_PARTITIONS,
            0,
            topics=[Message(name=name) for name in names],
            response_partition_limit=limit,
            cursor=cursor,
        )
        found.append([(topic.name, [each.partition_index for each in topic.partitions]) for topic in answer.topics])
        cursor = answer.next_cursor
        if cursor is None:
            return found


def test_pages_follow_one_another_until_all_is_told(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        for name, count in (("b", 3), ("a", 2), ("c", 1)):
            await ask.create(name, count)
        assert await pages(ask, limit=100) == [[("a", [0, 1]), ("b", [0, 1, 2]), ("c", [0])]]
        assert await pages(ask, limit=2) == [[("a", [0, 1])], [("b", [0, 1])], [("b", [2]), ("c", [0])]]
        assert await pages(ask, limit=0) == [
            [("a", [0])], [("a", [1])], [("b", [0])], [("b", [1])], [("b", [2])], [("c", [0])],
        ]  # fmt: skip
        assert await pages(ask, "c", "a", "c", limit=100) == [[("a", [0, 1]), ("c", [0])]]

    with_broker(tmp_path, test)


def test_a_page_may_begin_where_nothing_is_any_more(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("a", 2)
        await ask.create("c", 1)
        gone = Message(topic_name="b", partition_index=5)
        assert await pages(ask, limit=9, cursor=gone) == [[("c", [0])]]
        shrunk = Message(topic_name="a", partition_index=5)
        assert await pages(ask, limit=9, cursor=shrunk) == [[("a", []), ("c", [0])]]

    with_broker(tmp_path, test)


def test_the_brokers_own_limit_holds_too(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("a", 3)
        assert await pages(ask, limit=100) == [[("a", [0, 1])], [("a", [2])]]

    with_broker(tmp_path, test, {"max.request.partition.size.limit": "2"})


@pytest.mark.parametrize(("topic", "index"), [("a", -1), ("z", 0)])
def test_a_cursor_must_be_of_a_topic_that_is_asked_for(tmp_path: Path, topic: str, index: int) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("a")
        answer = await ask(
            ApiKey.DESCRIBE_TOPIC_PARTITIONS,
            0,
            topics=[Message(name="a")],
            cursor=Message(topic_name=topic, partition_index=index),
        )
        assert codes(answer) == {"a": ErrorCode.INVALID_REQUEST}

    with_broker(tmp_path, test)


def test_unknown_topics_are_told_one_by_one_and_take_no_room(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("c")
        topics = [Message(name=name) for name in ("nope", "a b", "c")]
        answer = await ask(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, topics=topics, response_partition_limit=1)
        assert codes(answer) == {"a b": ErrorCode.INVALID_TOPIC_EXCEPTION, "c": 0}
        assert answer.next_cursor == Message(topic_name="nope", partition_index=0)

    with_broker(tmp_path, test)
