"""A connection's second OffsetCommit beside its first: served with fewer steps, answered and kept as if it were the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ottla.broker.api.offset_commit_again import LARGEST_FRAME_BYTES, MOST_CREDIT, PLAN_COST, CommitLane
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from support.asking import Asker, with_broker
from support.socketless import SocketlessClient

VERSION = 9
Offsets = dict[tuple[str, int], int]


def commit(
    offsets: Offsets, *, group: str = "g", member: str = "", generation: int = -1, metadata: str = ""
) -> Message:
    topics: dict[str, list[Message]] = {}
    for (topic, index), offset in offsets.items():
        numbers = {"partition_index": index, "committed_offset": offset, "committed_leader_epoch": 3}
        topics.setdefault(topic, []).append(Message(**numbers, committed_metadata=metadata))
    return Message(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member,
        group_instance_id=None,
        topics=[Message(name=name, partitions=partitions) for name, partitions in topics.items()],
    )


class Committer(SocketlessClient):
    """One connection over which offsets are committed."""

    def __init__(self, ask: Asker) -> None:
        super().__init__(ask, ApiKey.OFFSET_COMMIT, VERSION)

    @property
    def lane(self) -> CommitLane:
        (lane,) = self.connection.lanes
        assert isinstance(lane, CommitLane)
        return lane

    async def asks(self, asked: Message) -> Message:
        self.send(asked)
        return (await self.answers(1))[0]


def codes(answer: Any) -> set[int]:
    return {each.error_code for topic in answer.topics for each in topic.partitions}


async def fetched(ask: Asker, group: str = "g") -> Offsets:
    (told,) = (await ask(ApiKey.OFFSET_FETCH, 9, groups=[Message(group_id=group, topics=None)])).groups
    return {(topic.name, at.partition_index): at.committed_offset for topic in told.topics for at in topic.partitions}


def committing(tmp_path: Path, test: Callable[[Asker], Awaitable[None]], **more: str) -> None:
    async def run(ask: Asker) -> None:
        await ask.create("t", 3)
        await ask.create("u", 2)
        await ask(ApiKey.FIND_COORDINATOR, 6, key_type=0, coordinator_keys=["g"])
        await ask.broker.groups.runtime.loaded()
        await test(ask)

    with_broker(
        tmp_path, run, {"offsets.topic.num.partitions": "1", **{k.replace("_", "."): v for k, v in more.items()}}
    )


async def in_the_habit(ask: Asker, **more: Any) -> Committer:
    """A connection whose commits of `t` 0 go the short way."""
    made = Committer(ask)
    for offset in (0, 1, 1):  # the first of all waits for its handler, and the next one is kept in mind
        assert codes(await made.asks(commit({("t", 0): offset}, **more))) == {0}
    assert made.lane._plan is not None
    return made


@pytest.mark.parametrize("version", range(2, 10))
def test_many_commits_at_once_are_answered_in_order_and_durable_and_survive(tmp_path: Path, version: int) -> None:
    async def test(ask: Asker) -> None:
        committer = Committer(ask)
        wanted = [commit({("t", 0): n, ("u", 1): 2 * n, ("t", 2): 3 * n}) for n in range(20)]
        for each in wanted:
            if version < 7:
                del each.group_instance_id
        committer.send(wanted[0], version=version)
        first = await committer.answers(1, version=version)
        committer.send(*wanted[1:], version=version)
        answers = await committer.answers(19, version=version)
        assert answers == first * 19
        assert codes(first[0]) == {0}
        shard = ask.broker.groups.shard_of("g")
        assert shard.is_durable(shard.end_offset)
        assert await fetched(ask) == {("t", 0): 19, ("u", 1): 38, ("t", 2): 57}

    async def after(ask: Asker) -> None:
        await ask.broker.coordination.groups.runtime.loaded()
        assert await fetched(ask) == {("t", 0): 19, ("u", 1): 38, ("t", 2): 57}
        (committed,) = [
            each
            for each in ask.broker.groups.shard_of("g").machine.state.offsets["g"]["t"].values()
            if each.offset == 19
        ]
        assert committed.leader_epoch == (3 if version >= 6 else -1)

    committing(tmp_path, test)
    with_broker(tmp_path, after, {"offsets.topic.num.partitions": "1"})


@pytest.mark.parametrize(
    "asked",
    [
        commit({("t", 0): 7}, generation=3),
        commit({("t", 0): 7}, member="nobody", generation=1),
        commit({("t", 9): 7}),
        commit({("t", 0): 7, ("w", 0): 1}),
        commit({("t", 0): 7}, metadata="m" * 5000),
        commit({("t", 0): 7}, group=""),
        commit({}),
    ],
    ids=["generation", "member", "no partition", "no topic", "metadata", "no group", "nothing"],
)
def test_what_is_refused_is_told_as_it_is_to_a_new_connection(tmp_path: Path, asked: Message) -> None:
    async def test(ask: Asker) -> None:
        returning = await in_the_habit(ask)
        answers = [await each.asks(asked) for each in (returning, returning, Committer(ask))]
        assert answers[0] == answers[1] == answers[2]
        assert codes(await returning.asks(commit({("t", 0): 8}))) == {0}

    committing(tmp_path, test)


async def joined(ask: Asker) -> tuple[str, int]:
    """A stable group `g` of one: its member id and generation."""
    fields = {"session_timeout_ms": 60_000, "rebalance_timeout_ms": 60_000, "protocol_type": "consumer"}
    protocols = [Message(name="range", metadata=b"")]
    told = await ask(ApiKey.JOIN_GROUP, 3, group_id="g", member_id="", protocols=protocols, **fields)
    who = {"group_id": "g", "generation_id": told.generation_id, "member_id": told.member_id}
    own = [Message(member_id=told.member_id, assignment=b"all")]
    assert (await ask(ApiKey.SYNC_GROUP, 3, **who, assignments=own)).error_code == 0
    return told.member_id, told.generation_id


def test_a_member_that_is_not_in_the_group_any_more_is_fenced_and_its_offset_not_kept(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        member, generation = await joined(ask)
        committer = await in_the_habit(ask, member=member, generation=generation)
        leaving = [Message(member_id=member)]
        await ask(ApiKey.LEAVE_GROUP, 3, group_id="g", members=leaving)
        told = await committer.asks(commit({("t", 0): 50}, member=member, generation=generation))
        assert codes(told) == {ErrorCode.UNKNOWN_MEMBER_ID}
        assert await fetched(ask) == {("t", 0): 1}

    committing(tmp_path, test, group_initial_rebalance_delay_ms="0")


def test_a_topic_that_was_deleted_and_made_again_is_committed_for_as_the_new_one(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        committer = await in_the_habit(ask)
        await ask(ApiKey.DELETE_TOPICS, 5, topic_names=["t"], timeout_ms=9_000)
        assert codes(await committer.asks(commit({("t", 0): 5}))) == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        made = await ask.create("t", 1)
        assert codes(await committer.asks(commit({("t", 0): 6}))) == {0}
        committed = ask.broker.groups.shard_of("g").machine.state.committed("g", "t", 0)
        assert committed is not None
        assert (committed.offset, committed.topic_id) == (6, made.topic_id)

    committing(tmp_path, test)


def test_a_broker_that_stops_refuses_it_as_any_other(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        committer = await in_the_habit(ask)
        ask.broker.groups.release()
        told = await committer.asks(commit({("t", 0): 5}))
        assert codes(told) == {ErrorCode.COORDINATOR_NOT_AVAILABLE}

    committing(tmp_path, test)


def test_compressed_records_of_groups_go_the_long_way(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        committer = Committer(ask)
        for offset in range(3):
            assert codes(await committer.asks(commit({("t", 0): offset}))) == {0}
        assert committer.lane._plan is None
        assert await fetched(ask) == {("t", 0): 2}

    committing(tmp_path, test, offsets_topic_compression_codec="1")


def test_a_commit_too_large_to_be_kept_in_mind_goes_the_long_way(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        committer = await in_the_habit(ask)
        before = committer.lane._plan
        large = {("t", index % 3): index for index in range(3)}
        for offset in range(3):
            large["t", 0] = offset
            topics = commit(large, metadata="m" * 3_000).topics * (LARGEST_FRAME_BYTES // 9_000 + 1)
            asked = commit({})
            asked.topics = topics
            assert codes(await committer.asks(asked)) == {0}
        assert committer.lane._plan is before
        assert await fetched(ask) == large

    committing(tmp_path, test)


def test_a_connection_that_never_commits_the_same_makes_few_plans(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await Committer(ask).asks(commit({("t", 0): 1}))
        committer, made = Committer(ask), set()
        for number in range(100, 150):
            assert codes(await committer.asks(commit({("t", 0): 1}, group=f"g{number}"))) == {0}
            made.add(committer.lane._plan)
        assert len(made - {None}) == MOST_CREDIT // PLAN_COST

    committing(tmp_path, test)


def test_a_disk_that_hangs_is_told_of_at_the_deadline_by_both_ways(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        committer, first = await in_the_habit(ask), Committer(ask)
        for each in (committer, first):
            each.send(commit({("t", 0): 5}))
        ask.broker.flusher.expire(ask.broker.loop.time() + 60)
        for each in (committer, first):
            assert codes((await each.answers(1))[0]) == {ErrorCode.COORDINATOR_NOT_AVAILABLE}
        assert codes(await committer.asks(commit({("t", 0): 6}))) == {0}

    committing(tmp_path, test)


SHAPES = st.sampled_from([(("t", 0),), (("t", 1),), (("t", 0), ("t", 1)), (("u", 0), ("t", 2)), (("t", 0), ("t", 9))])
COMMITS = st.tuples(
    st.integers(0, 1), SHAPES, st.integers(0, 2**40), st.sampled_from(["g", "h"]), st.sampled_from(["", "m"])
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(COMMITS, min_size=1, max_size=6), max_size=8))
def test_whatever_two_connections_commit_is_kept_in_the_order_in_which_it_came(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[int, Any, int, str, str]]]
) -> None:
    directory = tmp_path_factory.mktemp("broker")
    kept: dict[str, Offsets] = {"g": {}, "h": {}}

    async def test(ask: Asker) -> None:
        committers = [Committer(ask) for _ in range(2)]
        for each in rounds:
            sent: list[list[Message]] = [[], []]
            for who, shape, offset, group, metadata in sorted(each, key=lambda one: one[0]):
                offsets = {place: offset + at for at, place in enumerate(shape)}
                sent[who].append(commit(offsets, group=group, metadata=metadata))
                kept[group].update({place: value for place, value in offsets.items() if place[1] < 3})
            for committer, commits in zip(committers, sent, strict=True):
                if commits:
                    committer.send(*commits)
                for asked, answer in zip(commits, await committer.answers(len(commits)), strict=True):
                    told = {
                        (topic.name, p.partition_index): p.error_code
                        for topic in answer.topics
                        for p in topic.partitions
                    }
                    wanted = {(topic.name, p.partition_index) for topic in asked.topics for p in topic.partitions}
                    assert told == {place: 3 if place[1] == 9 else 0 for place in wanted}
        assert {group: await fetched(ask, group) for group in kept} == kept

    async def after(ask: Asker) -> None:
        await ask.broker.coordination.groups.runtime.loaded()
        assert {group: await fetched(ask, group) for group in kept} == kept

    committing(directory, test)
    with_broker(directory, after, {"offsets.topic.num.partitions": "1"})
