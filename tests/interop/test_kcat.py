"""kcat's other modes: listing metadata, asking for offsets by time, and reading by place."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from interop.clients import ConfluentKafka
from interop.kcat import run_kcat, without_kcat
from interop.messages import Message, numbered

pytestmark = [pytest.mark.interop, without_kcat]

MakeTopic = Callable[..., str]


def test_metadata_lists_the_broker_and_the_topic(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=3)
    metadata = json.loads(run_kcat(bootstrap, "-L", "-J", "-t", topic).stdout)
    (node,) = metadata["brokers"]
    assert node["name"] == bootstrap
    assert metadata["controllerid"] == node["id"]
    (listed,) = metadata["topics"]
    assert listed["topic"] == topic
    assert [(each["partition"], each["leader"]) for each in listed["partitions"]] == [(n, node["id"]) for n in range(3)]


def test_metadata_of_everything_lists_the_topic(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    metadata = json.loads(run_kcat(bootstrap, "-L", "-J").stdout)
    assert topic in [listed["topic"] for listed in metadata["topics"]]


def test_offsets_are_asked_for_by_time_and_by_place(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    for at_ms in (1_000, 1_100, 1_900, 1_200):
        ConfluentKafka().produce(bootstrap, topic, [Message(value=b"x", timestamp_ms=at_ms)])

    def offset(at: int) -> str:
        return run_kcat(bootstrap, "-Q", "-t", f"{topic}:0:{at}").stdout.decode().split()[-1]

    beginning, end = -2, -1
    assert [offset(at) for at in (1, 1_050, 1_150, beginning, end)] == ["0", "1", "2", "0", "4"]


def test_the_last_messages_and_the_end_of_a_partition_are_found(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    ConfluentKafka().produce(bootstrap, topic, numbered(10, size_bytes=0))
    read = ["-C", "-q", "-e", "-t", topic, "-p", "0", "-f", "%o "]
    assert run_kcat(bootstrap, *read, "-o", "-3").stdout == b"7 8 9 "
    assert run_kcat(bootstrap, *read, "-o", "beginning").stdout == b"0 1 2 3 4 5 6 7 8 9 "
    assert run_kcat(bootstrap, *read, "-o", "end").stdout == b""


def test_a_whole_file_is_one_message_with_nulls_where_asked(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    run_kcat(bootstrap, "-P", "-t", topic, "-K:", "-Z", "-H", "a=1", stdin=b"k:v\n:no key\nno value:\n")
    lines = run_kcat(bootstrap, "-C", "-q", "-e", "-t", topic, "-J").stdout.splitlines()
    received = [json.loads(line) for line in lines]
    assert [(each["key"], each["payload"]) for each in received] == [("k", "v"), (None, "no key"), ("no value", None)]
    assert all(each["headers"] == ["a", "1"] for each in received)
