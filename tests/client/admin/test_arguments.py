"""What an administrator may say, and how it is told what it may not: in one line, before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any

import pytest
from ottla.client.admin import (
    Admin,
    CommittedOffset,
    ConfigResource,
    NewTopic,
    QuotaEntity,
    QuotaFilter,
    RemovedMember,
    TopicPartition,
    arguments,
)

T0 = TopicPartition("t", 0)
TOPIC = ConfigResource.TOPIC
NOBODY = "127.0.0.1:1"
"""Whoever sends something there is told so by CannotConnect."""

Call = Callable[[Any], Awaitable[Any]]

TYPES: list[tuple[Call, str]] = [
    # topics
    (lambda admin: admin.create_topics(NewTopic("a")), r"topics: several are wanted, write \[NewTopic\("),
    (lambda admin: admin.create_topics(["a"]), "one of topics: a NewTopic is wanted, not 'a'"),
    (lambda admin: admin.create_topics([NewTopic(1)]), "name of a NewTopic: a str is wanted, not 1"),
    (lambda admin: admin.create_topics([NewTopic("a", "3")]), "partitions of NewTopic 'a': an int is wanted, not '3'"),
    (lambda admin: admin.create_topics([NewTopic("a", 1, 1.0)]), "replication_factor of NewTopic 'a': an int is"),
    (lambda admin: admin.create_topics([NewTopic("a", configs=["x"])]), "configs of NewTopic 'a': a dict is wanted"),
    (lambda admin: admin.create_topics([NewTopic("a", configs={1: "x"})]), "a name in configs of NewTopic 'a': a str"),
    (
        lambda admin: admin.create_topics([NewTopic("a", configs={"cleanup.policy": ["compact"]})]),
        r"configs\['cleanup.policy'\] of NewTopic 'a': a str, a number or a bool is wanted, not \['compact'\]",
    ),
    (lambda admin: admin.create_topics([NewTopic("a", assignments=[[1]])]), "assignments of NewTopic 'a': a dict"),
    (lambda admin: admin.create_topics([NewTopic("a", assignments={"0": [1]})]), "a partition in assignments of New"),
    (lambda admin: admin.create_topics([NewTopic("a", assignments={0: 1})]), r"assignments\[0\] of .* write \[1\]"),
    (lambda admin: admin.create_topics([NewTopic("a", assignments={0: ["1"]})]), r"one of assignments\[0\] of New"),
    (lambda admin: admin.describe_topics("t"), r"names: several are wanted, write \['t'\]"),
    (lambda admin: admin.delete_topics([b"t"]), "one of names: a str is wanted, not b't'"),
    (lambda admin: admin.delete_topics(None), "names: a list is wanted, not None"),
    (lambda admin: admin.delete_topics("t"), r"names: several are wanted, write \['t'\]"),
    (lambda admin: admin.describe_topics([None]), "one of names: a str is wanted, not None"),
    (lambda admin: admin.create_partitions([("t", 3)]), "counts: a dict is wanted"),
    (lambda admin: admin.create_partitions({"t": "3"}), "count of 't': an int is wanted, not '3'"),
    # records
    (lambda admin: admin.list_offsets([T0]), "wanted: a dict is wanted"),
    (lambda admin: admin.list_offsets({("t", 0): 0}), "a partition of wanted: a TopicPartition is wanted"),
    (lambda admin: admin.list_offsets({T0: 1.5}), "the time of t-0: an int is wanted, not 1.5"),
    (lambda admin: admin.delete_records({T0: 3.0}), "the offset of t-0: an int is wanted, not 3.0"),
    (lambda admin: admin.delete_records({TopicPartition("t", "0"): 3}), "the number of a partition of before: an int"),
    # configs
    (lambda admin: admin.describe_configs(ConfigResource.BROKER, 1), "name: a str is wanted, not 1"),
    (lambda admin: admin.alter_configs(TOPIC, "t", ["a=b"]), "changes: a dict is wanted"),
    (lambda admin: admin.alter_configs(TOPIC, "t", {1: "2"}), "a name in changes: a str is wanted, not 1"),
    (lambda admin: admin.alter_configs(TOPIC, "t", {"a": b"2"}), r"changes\['a'\]: a str, a number or a bool is"),
    (lambda admin: admin.list_config_resources(TOPIC), r"resources: several are wanted"),
    # groups
    (lambda admin: admin.list_groups(states="Empty"), r"states: several are wanted, write \['Empty'\]"),
    (lambda admin: admin.describe_groups("billing"), r"ids: several are wanted, write \['billing'\]"),
    (lambda admin: admin.delete_groups("billing"), r"ids: several are wanted, write \['billing'\]"),
    (lambda admin: admin.remove_members(["g"]), "group: a str is wanted"),
    (lambda admin: admin.remove_members("g", ["m"]), "one of members: a RemovedMember is wanted, not 'm'"),
    (lambda admin: admin.remove_members("g", [RemovedMember(1)]), "member_id of a RemovedMember: a str is wanted"),
    # their offsets
    (lambda admin: admin.list_group_offsets("g"), r"groups: several are wanted, write \['g'\]"),
    (lambda admin: admin.list_group_offsets({"g": [("t", 0)]}), "one of partitions of 'g': a TopicPartition is"),
    (lambda admin: admin.alter_group_offsets("g", {T0: 1.0}), "the offset of t-0: an int is wanted, not 1.0"),
    (lambda admin: admin.alter_group_offsets("g", {T0: CommittedOffset("1")}), "the offset of t-0: an int is wanted"),
    (lambda admin: admin.alter_group_offsets("g", {T0: CommittedOffset(1, metadata=None)}), "metadata with the offset"),
    (lambda admin: admin.delete_group_offsets("g", T0), r"partitions: several are wanted, write \[TopicPartition\("),
    # quotas
    (lambda admin: admin.describe_client_quotas("user"), "wanted: a QuotaFilter is wanted"),
    (
        lambda admin: admin.describe_client_quotas(QuotaFilter(("user",))),
        "exactly of a QuotaFilter: pairs of a type and",
    ),
    (lambda admin: admin.describe_client_quotas(QuotaFilter(any_of="user")), "any_of of a QuotaFilter: several are"),
    (lambda admin: admin.alter_client_quotas({"alice": {}}), "an entity of changes: a QuotaEntity is wanted"),
    (
        lambda admin: admin.alter_client_quotas({QuotaEntity.of(user="alice"): {"producer_byte_rate": "1"}}),
        "the value of 'producer_byte_rate': a number is wanted, not '1'",
    ),
    # replicas
    (lambda admin: admin.elect_leaders(["t"]), "one of partitions: a TopicPartition is wanted, not 't'"),
    (lambda admin: admin.elect_unclean_leaders(None), "partitions: a list is wanted, not None"),
    (lambda admin: admin.alter_partition_reassignments({T0: "12"}), r"replicas of t-0: several are wanted"),
    (lambda admin: admin.alter_partition_reassignments({T0: [1.0]}), "one of replicas of t-0: an int is wanted"),
    (lambda admin: admin.list_partition_reassignments([0]), "one of partitions: a TopicPartition is wanted, not 0"),
    (lambda admin: admin.describe_producers([None]), "one of partitions: a TopicPartition is wanted, not None"),
    # the cluster
    (lambda admin: admin.describe_log_dirs(1), r"node_ids: several are wanted, write \[1\]"),
    (lambda admin: admin.update_features({"metadata.version": "4"}), "level of 'metadata.version': an int is wanted"),
]

VALUES: list[tuple[Call, str]] = [
    (lambda admin: admin.create_topics([NewTopic("a", 2**31)]), "partitions of NewTopic 'a': 2147483648 does not fit"),
    (lambda admin: admin.create_topics([NewTopic("\ud800")]), r"name of a NewTopic: '\\ud800' cannot be said in UTF-8"),
    (lambda admin: admin.delete_records({T0: 2**63}), "the offset of t-0: 9223372036854775808 does not fit into 64"),
    (lambda admin: admin.describe_configs("topic", "t"), "'topic' is not a valid ConfigResource"),
    (lambda admin: admin.update_features({"f": 1}, upgrade="yes"), "'yes' is not a valid FeatureUpgrade"),
]


def refused(call: Call, kind: type[Exception], words: str) -> None:
    async def scenario() -> None:
        async with Admin(NOBODY) as admin:
            with pytest.raises(kind, match=f"^{words}.*$"):
                await call(admin)

    asyncio.run(scenario())


@pytest.mark.parametrize(("call", "words"), TYPES, ids=[words for _, words in TYPES])
def test_what_is_of_another_type_is_refused_by_its_name(call: Call, words: str) -> None:
    refused(call, TypeError, words)


@pytest.mark.parametrize(("call", "words"), VALUES, ids=[words for _, words in VALUES])
def test_what_no_request_can_say_is_refused_by_its_name(call: Call, words: str) -> None:
    refused(call, ValueError, words)


@pytest.mark.parametrize(
    ("timeout_s", "kind"), [("5", TypeError), (None, TypeError), (3_000_000, ValueError), (float("nan"), ValueError)]
)
def test_a_time_that_cannot_be_is_refused_when_the_admin_is_made(timeout_s: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Admin(NOBODY, timeout_s=timeout_s)


class Level(IntEnum):
    TWO = 2


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("x", "x"),
        (1000, "1000"),
        (-1, "-1"),
        (True, "true"),
        (False, "false"),
        (0.5, "0.5"),
        (Level.TWO, "2"),
        ("", ""),
    ],
)
def test_the_value_of_a_config_is_written_as_a_config_says_it(given: object, text: str) -> None:
    assert arguments.config(given, "a config") == text


def test_whatever_counts_as_a_number_is_one() -> None:
    class Seven:
        def __index__(self) -> int:
            return 7

    assert arguments.number(Seven(), "seven") == 7
    assert arguments.number(-(2**15), "lowest", bits=16) == -(2**15)
