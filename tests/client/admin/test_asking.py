"""Whom the administrator's client asks about groups and partitions, and when it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import pytest
from ottla.client.admin import Admin, CommittedOffset, OffsetSpec, TopicPartition
from ottla.client.errors import CannotConnect, ConnectionLost
from ottla.protocol.apis import SUPPORTED, ApiKey
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.messages import Message
from support.scripted_broker import CLOSE, Script, ScriptedBroker

T = TypeVar("T")
VERSIONS = {key: (api.min_version, api.max_version) for key, api in SUPPORTED.items()}


def in_turn(*answers: Message | bytes) -> Script:
    """These answers one after the other, the last for ever."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def cluster(broker: ScriptedBroker) -> dict[ApiKey, Script]:
    """A cluster of one which coordinates everything and has `t` of one partition."""
    here = {"host": broker.address.host, "port": broker.address.port}

    def coordinate(request: Message) -> Message:
        found = [Message(key=key, node_id=1, error_code=0, **here) for key in request.coordinator_keys]
        return Message(coordinators=found, error_code=0, node_id=1, **here)

    partition = Message(partition_index=0, leader_id=1, replica_nodes=[1], isr_nodes=[1])
    return {
        ApiKey.METADATA: lambda request: Message(
            brokers=[Message(node_id=1, **here)], topics=[Message(name="t", partitions=[partition])]
        ),
        ApiKey.FIND_COORDINATOR: coordinate,
    }


def ask(
    scripts: Mapping[ApiKey, Script],
    question: Callable[[Admin], Awaitable[T]],
    *,
    versions: Mapping[ApiKey, tuple[int, int]] | None = None,
    timeout_s: float = 20,
) -> tuple[T, ScriptedBroker]:
    async def scenario() -> tuple[T, ScriptedBroker]:
        async with ScriptedBroker(versions=versions) as broker:
            broker.scripts = {**cluster(broker), **scripts}
            async with Admin([broker.address], timeout_s=timeout_s) as admin:
                return await question(admin), broker

    return asyncio.run(scenario())


def deleted(code: ErrorCode, *groups: str) -> Message:
    return Message(results=[Message(group_id=each, error_code=code) for each in groups])


def test_coordinators_of_many_groups_are_found_in_one_request_and_each_is_asked_once() -> None:
    script = in_turn(deleted(ErrorCode.NONE, "a", "b"))

    outcomes, broker = ask({ApiKey.DELETE_GROUPS: script}, lambda admin: admin.delete_groups(["a", "b", "a"]))

    assert outcomes == {"a": None, "b": None}
    assert [each.coordinator_keys for each in broker.asked_for(ApiKey.FIND_COORDINATOR)] == [["a", "b"]]
    assert [each.groups_names for each in broker.asked_for(ApiKey.DELETE_GROUPS)] == [["a", "b"]]


def test_a_broker_that_finds_one_coordinator_at_a_time_is_asked_so() -> None:
    script = in_turn(deleted(ErrorCode.NONE, "a", "b"))

    outcomes, broker = ask(
        {ApiKey.DELETE_GROUPS: script},
        lambda admin: admin.delete_groups(["a", "b"]),
        versions={**VERSIONS, ApiKey.FIND_COORDINATOR: (0, 3)},
    )

    assert outcomes == {"a": None, "b": None}
    assert [each.key for each in broker.asked_for(ApiKey.FIND_COORDINATOR)] == ["a", "b"]


@pytest.mark.parametrize("code", [ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS])
def test_only_groups_whose_coordinator_moved_or_loads_are_asked_about_again(code: ErrorCode) -> None:
    half = Message(results=[Message(group_id="a"), Message(group_id="b", error_code=code)])

    outcomes, broker = ask(
        {ApiKey.DELETE_GROUPS: in_turn(half, deleted(ErrorCode.NONE, "b"))},
        lambda admin: admin.delete_groups(["a", "b"]),
    )

    assert outcomes == {"a": None, "b": None}
    assert [each.groups_names for each in broker.asked_for(ApiKey.DELETE_GROUPS)] == [["a", "b"], ["b"]]


def test_a_coordinator_that_never_comes_is_the_groups_refusal_when_the_time_is_over() -> None:
    def nobody(request: Message) -> Message:
        code = ErrorCode.COORDINATOR_NOT_AVAILABLE
        return Message(coordinators=[Message(key=key, error_code=code) for key in request.coordinator_keys])

    outcomes, broker = ask({ApiKey.FIND_COORDINATOR: nobody}, lambda admin: admin.delete_groups(["a"]), timeout_s=0.5)

    refused = outcomes["a"]
    assert isinstance(refused, KafkaError)
    assert refused.code is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert len(broker.asked_for(ApiKey.FIND_COORDINATOR)) > 1


def test_a_lost_answer_about_a_group_is_asked_for_again_over_a_new_connection() -> None:
    outcomes, broker = ask(
        {ApiKey.DELETE_GROUPS: in_turn(CLOSE, deleted(ErrorCode.NONE, "a"))}, lambda admin: admin.delete_groups(["a"])
    )

    assert outcomes == {"a": None}
    assert broker.connection_count == 2


def test_a_commit_finds_its_refusal_at_the_partitions_and_goes_to_the_new_coordinator() -> None:
    def committed(code: ErrorCode) -> Message:
        partition = Message(partition_index=0, error_code=code)
        return Message(topics=[Message(name="t", partitions=[partition])])

    one = TopicPartition("t", 0)
    outcomes, broker = ask(
        {ApiKey.OFFSET_COMMIT: in_turn(committed(ErrorCode.NOT_COORDINATOR), committed(ErrorCode.NONE))},
        lambda admin: admin.alter_group_offsets("g", {one: CommittedOffset(5, metadata="why")}),
        versions={**VERSIONS, ApiKey.OFFSET_COMMIT: (2, 9)},
    )

    assert outcomes == {one: None}
    first, second = broker.asked_for(ApiKey.OFFSET_COMMIT)
    assert first == second
    (partition,) = first.topics[0].partitions
    assert (partition.committed_offset, partition.committed_leader_epoch, partition.committed_metadata) == (
        5,
        -1,
        "why",
    )


def test_offsets_of_a_broker_that_takes_one_group_at_a_time_are_gathered() -> None:
    def fetch(request: Message) -> Message:
        partition = Message(partition_index=0, committed_offset=len(request.group_id), committed_leader_epoch=-1)
        return Message(topics=[Message(name="t", partitions=[partition])], error_code=ErrorCode.NONE)

    outcomes, broker = ask(
        {ApiKey.OFFSET_FETCH: fetch},
        lambda admin: admin.list_group_offsets(["a", "bcd"]),
        versions={**VERSIONS, ApiKey.OFFSET_FETCH: (1, 7)},
    )

    one = TopicPartition("t", 0)
    assert outcomes == {"a": {one: CommittedOffset(1)}, "bcd": {one: CommittedOffset(3)}}
    assert [each.group_id for each in broker.asked_for(ApiKey.OFFSET_FETCH)] == ["a", "bcd"]


def test_a_partition_whose_leader_moved_is_asked_for_at_the_new_one() -> None:
    def listed(code: ErrorCode, offset: int) -> Message:
        partition = Message(partition_index=0, error_code=code, offset=offset, timestamp=-1, leader_epoch=2)
        return Message(topics=[Message(name="t", partitions=[partition])])

    one = TopicPartition("t", 0)
    outcomes, broker = ask(
        {ApiKey.LIST_OFFSETS: in_turn(listed(ErrorCode.NOT_LEADER_OR_FOLLOWER, -1), listed(ErrorCode.NONE, 7))},
        lambda admin: admin.list_offsets({one: OffsetSpec.LATEST}),
    )

    found = outcomes[one]
    assert not isinstance(found, KafkaError)
    assert found.offset == 7
    assert len(broker.asked_for(ApiKey.METADATA)) == 2


def test_a_leader_that_hangs_up_is_asked_again_and_told_of_when_it_never_answers() -> None:
    one = TopicPartition("t", 0)
    answer = Message(topics=[Message(name="t", partitions=[Message(partition_index=0, low_watermark=3)])])

    outcomes, broker = ask(
        {ApiKey.DELETE_RECORDS: in_turn(CLOSE, answer)}, lambda admin: admin.delete_records({one: 3})
    )
    assert outcomes == {one: 3}
    assert len(broker.asked_for(ApiKey.DELETE_RECORDS)) == 2

    with pytest.raises(ConnectionLost):
        ask({ApiKey.DELETE_RECORDS: in_turn(CLOSE)}, lambda admin: admin.delete_records({one: 3}), timeout_s=0.5)


def test_a_question_whose_answer_is_lost_is_asked_again_and_a_change_is_not() -> None:
    quotas = Message(error_code=ErrorCode.NONE, entries=[])

    found, broker = ask(
        {ApiKey.DESCRIBE_CLIENT_QUOTAS: in_turn(CLOSE, quotas)}, lambda admin: admin.describe_client_quotas()
    )
    assert found == {}
    assert len(broker.asked_for(ApiKey.DESCRIBE_CLIENT_QUOTAS)) == 2

    with pytest.raises(ConnectionLost):
        ask({ApiKey.ALTER_CLIENT_QUOTAS: in_turn(CLOSE)}, lambda admin: admin.alter_client_quotas({}))


def test_before_the_first_connection_nobody_waits_for_an_address_where_nobody_is() -> None:
    async def scenario() -> None:
        async with ScriptedBroker() as gone:
            address = gone.address
        async with Admin([address], timeout_s=3600) as admin:
            with pytest.raises(CannotConnect, match=f"no broker at {address}"):
                await admin.list_groups()

    asyncio.run(scenario())
