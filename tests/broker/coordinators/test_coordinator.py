"""The coordinator on a disk in memory: what waits is answered, what is answered is durable, a restart goes on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from ottla.broker.catalog import Catalog
from ottla.broker.catalog_records import PartitionState, TopicCreated, TopicDeleted
from ottla.broker.coordinators import syncing
from ottla.broker.coordinators.coordinator import GroupCoordinator
from ottla.broker.coordinators.group import Group, GroupState
from ottla.broker.coordinators.group_records import Committed, OffsetCommitted
from ottla.broker.coordinators.groups_state import GroupsState
from ottla.broker.coordinators.joining import Join
from ottla.broker.coordinators.settings import CoordinatorSettings, GroupSettings
from ottla.broker.flusher import Flusher
from ottla.broker.topic_names import CONSUMER_OFFSETS
from ottla.protocol.compression import Codec
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.messages import Message
from support.journals import StandingClock
from support.power_cut import PowerCutFiles
from support.shards import InternalLogs
from support.virtual_consumer_groups import settings_for_tests

ORDERS = uuid.UUID(int=1)
OFFSETS_ID = uuid.UUID(int=100)
SETTINGS = CoordinatorSettings(
    GroupSettings(initial_rebalance_delay_ms=0, max_size=10),
    min_session_timeout_ms=10,
    max_session_timeout_ms=100_000,
    offset_metadata_max_bytes=100,
    offsets_retention_ms=1000,
    retention_check_ms=1_000_000,
    commit_timeout_ms=5000,
)

Test = Callable[[GroupCoordinator], Awaitable[None]]


def catalog_with_orders() -> Catalog:
    catalog = Catalog()
    state = (PartitionState(1, 0, (1,), (1,)),)
    catalog.apply(TopicCreated(ORDERS, "orders", state, {}))
    catalog.apply(TopicCreated(OFFSETS_ID, CONSUMER_OFFSETS, state, {}))
    return catalog


def run(
    test: Test,
    files: PowerCutFiles | None = None,
    catalog: Catalog | None = None,
    *,
    ends_in_order: bool = True,
    is_loaded: bool = True,
) -> PowerCutFiles:
    """A coordinator for the test, its one partition loaded; stopped in order or not. The disk is for a restart."""
    files = files or PowerCutFiles()

    async def go() -> None:
        flusher = Flusher()
        logs = InternalLogs(files, flusher, topic=CONSUMER_OFFSETS, count=1)
        groups = GroupCoordinator(
            catalog or catalog_with_orders(),
            logs,
            SETTINGS,
            settings_for_tests(),
            codec=Codec.NONE,
            clock=StandingClock(),
        )
        groups.start()
        async with asyncio.timeout(60):
            if is_loaded:
                await groups.runtime.loaded()
            await test(groups)
            groups.check()
            await groups.stop()
        await flusher.close()
        if ends_in_order:
            logs.close()

    asyncio.run(go())
    return files


def state_of(groups: GroupCoordinator) -> GroupsState:
    return groups.shard_of("g").machine.state


def group_g(groups: GroupCoordinator) -> Group:
    found = groups.find("g")
    assert found is not None
    return found


def joining(
    member_id: str = "",
    *,
    session_timeout_ms: int = 50_000,
    instance_id: str | None = None,
    protocols: tuple[tuple[str, bytes], ...] = (("range", b""),),
) -> Join:
    return Join(
        member_id=member_id,
        instance_id=instance_id,
        client_id="client",
        client_host="/host",
        rebalance_timeout_ms=50_000,
        session_timeout_ms=session_timeout_ms,
        protocol_type="consumer",
        protocols=protocols,
        reason="",
        new_id=str(uuid.uuid4()),
        must_know_its_id=False,
        can_skip_assignment=True,
    )


def syncing_with(member_id: str, generation: int, **assignments: bytes) -> Message:
    return Message(
        member_id=member_id,
        group_instance_id=None,
        generation_id=generation,
        protocol_type="consumer",
        protocol_name="range",
        assignments=[Message(member_id=member_id, assignment=each) for each in assignments.values()],
    )


async def lone_member(groups: GroupCoordinator, *, session_timeout_ms: int = 50_000) -> str:
    """A stable group `g` of one."""
    joined = await groups.join("g", joining(session_timeout_ms=session_timeout_ms))
    synced = await groups.sync("g", syncing_with(joined.member_id, joined.generation_id, own=b"all"))
    assert (joined.error_code, synced.error_code, synced.assignment) == (ErrorCode.NONE, ErrorCode.NONE, b"all")
    return str(joined.member_id)


def heartbeat(groups: GroupCoordinator, member_id: str, generation: int) -> ErrorCode:
    request = Message(member_id=member_id, group_instance_id=None, generation_id=generation)
    return groups.turn(group_g(groups), lambda turn: syncing.heartbeat(turn, request))


def commit_of(offset: int, topic_id: uuid.UUID = ORDERS, *, partition: int = 0) -> list[OffsetCommitted]:
    return [OffsetCommitted("g", "orders", partition, Committed(offset, topic_id=topic_id))]


def test_a_restart_keeps_a_group_and_its_offsets_and_its_member_goes_on() -> None:
    member_ids: list[str] = []

    async def before(groups: GroupCoordinator) -> None:
        member_ids.append(await lone_member(groups))
        await groups.commit("g", commit_of(42))

    async def after(groups: GroupCoordinator) -> None:
        assert group_g(groups).state is GroupState.STABLE
        assert heartbeat(groups, member_ids[0], 1) is ErrorCode.NONE
        synced = await groups.sync("g", syncing_with(member_ids[0], 1))
        assert synced.assignment == b"all"
        assert state_of(groups).committed("g", "orders", 0) == commit_of(42)[0].committed

    run(after, run(before))


@pytest.mark.parametrize("seed", range(3))
def test_a_power_cut_loses_nothing_that_was_answered(seed: int) -> None:
    member_ids: list[str] = []

    async def before(groups: GroupCoordinator) -> None:
        member_ids.append(await lone_member(groups))
        await groups.commit("g", commit_of(42))

    async def after(groups: GroupCoordinator) -> None:
        assert heartbeat(groups, member_ids[0], 1) is ErrorCode.NONE
        assert state_of(groups).committed("g", "orders", 0) == commit_of(42)[0].committed

    run(after, run(before, ends_in_order=False).cut(Random(seed)))


def test_a_silent_member_is_removed_by_the_clock() -> None:
    async def test(groups: GroupCoordinator) -> None:
        member_id = await lone_member(groups, session_timeout_ms=1_000)
        group = group_g(groups)
        while group.state is not GroupState.EMPTY:  # noqa: ASYNC110 - the loop's own clock is what is tried here
            await asyncio.sleep(0.01)
        assert (group.state, group.generation) == (GroupState.EMPTY, 2)
        assert heartbeat(groups, member_id, 2) is ErrorCode.UNKNOWN_MEMBER_ID

    run(test)


def test_nobody_is_told_an_assignment_that_the_disk_has_not_taken() -> None:
    files = PowerCutFiles()

    async def test(groups: GroupCoordinator) -> None:
        joined = await groups.join("g", joining())
        await groups.commit("g", commit_of(1))  # makes the file and its name
        files.fail_next_sync(Random(1))
        synced = await groups.sync("g", syncing_with(joined.member_id, 1, own=b"all"))
        assert synced.error_code is ErrorCode.NOT_COORDINATOR
        assert synced.assignment == b""
        assert group_g(groups).state is not GroupState.STABLE
        with pytest.raises(KafkaError):
            await groups.commit("g", commit_of(2))
        with pytest.raises(KafkaError):
            await groups.settled("g")

    run(test, files, ends_in_order=False)


def test_a_full_disk_refuses_commits_and_generations_and_all_goes_on_when_there_is_room() -> None:
    files = PowerCutFiles()

    async def test(groups: GroupCoordinator) -> None:
        await groups.commit("g", commit_of(1))
        files.fill_disk(10)
        with pytest.raises(KafkaError) as refused:
            await groups.commit("g", commit_of(2))
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
        with pytest.raises(KafkaError):
            await groups.join("another", joining())
        assert groups.find("another") is None
        joined = await groups.join("g", joining())
        synced = await groups.sync("g", syncing_with(joined.member_id, 1, own=b"all"))
        assert synced.error_code is ErrorCode.NOT_COORDINATOR
        files.free_disk()
        joined = await groups.join("g", joining(joined.member_id))
        synced = await groups.sync("g", syncing_with(joined.member_id, joined.generation_id, own=b"all"))
        assert synced.assignment == b"all"

    async def after(groups: GroupCoordinator) -> None:
        assert group_g(groups).state is GroupState.STABLE
        assert state_of(groups).committed("g", "orders", 0) == commit_of(1)[0].committed

    run(after, run(test, files))


def test_commits_that_come_together_share_a_sync() -> None:
    async def test(groups: GroupCoordinator) -> None:
        await groups.commit("g", commit_of(0))
        before = files.change_count
        await asyncio.gather(*(groups.commit("g", commit_of(offset)) for offset in range(50)))
        assert state_of(groups).committed("g", "orders", 0) == commit_of(49)[0].committed
        assert files.change_count - before <= 52  # a write each, and a sync for all

    files = PowerCutFiles()
    run(test, files)


def test_a_deleted_topic_takes_its_offsets_with_it() -> None:
    catalog = catalog_with_orders()

    async def test(groups: GroupCoordinator) -> None:
        await groups.commit("g", commit_of(5))
        catalog.apply(TopicDeleted(ORDERS))
        assert list(groups.offsets_of("g")) == []
        await groups.removal.forgotten()
        assert state_of(groups).offsets == {}

    run(test, catalog=catalog)


def test_offsets_of_a_topic_that_was_deleted_before_a_crash_are_forgotten_at_the_start() -> None:
    async def commit(groups: GroupCoordinator) -> None:
        await groups.commit("g", commit_of(5, topic_id=uuid.UUID(int=9)))

    async def after(groups: GroupCoordinator) -> None:
        await groups.removal.forgotten()
        assert state_of(groups).offsets == {}

    run(after, run(commit))


def test_stopping_sends_those_who_wait_away() -> None:
    async def test(groups: GroupCoordinator) -> None:
        await lone_member(groups)
        waiting = asyncio.ensure_future(groups.join("g", joining()))
        await asyncio.sleep(0)
        assert group_g(groups).state is GroupState.PREPARING
        groups.release()
        assert (await waiting).error_code is ErrorCode.NOT_COORDINATOR
        with pytest.raises(KafkaError):
            groups.check_open()

    run(test)


def test_a_group_is_deleted_for_good_and_a_new_one_begins_anew() -> None:
    async def test(groups: GroupCoordinator) -> None:
        member_id = await lone_member(groups)
        await groups.commit("g", commit_of(5))
        group = group_g(groups)
        groups.turn(group, lambda turn: syncing.leave(turn, [Message(member_id=member_id, group_instance_id=None)]))
        await groups.delete(group)
        assert (state_of(groups).groups, state_of(groups).offsets) == ({}, {})
        assert (await groups.join("g", joining())).generation_id == 1

    async def after(groups: GroupCoordinator) -> None:
        assert state_of(groups).offsets == {}

    run(after, run(test))


def test_expired_offsets_go_with_their_group() -> None:
    async def test(groups: GroupCoordinator) -> None:
        await groups.commit("g", commit_of(5))  # committed in 1970, by what it says
        groups.removal.expire(groups.shard_of("g"))
        assert (groups.find("g"), state_of(groups).offsets) == (None, {})

    run(test)


def test_a_new_group_is_written_down_before_anybody_is_in_it() -> None:
    async def before(groups: GroupCoordinator) -> None:
        await groups.join("g", joining())

    async def after(groups: GroupCoordinator) -> None:
        group = group_g(groups)
        assert (group.state, group.generation, group.protocol_type) == (GroupState.EMPTY, 0, None)

    run(after, run(before))


def test_while_its_partition_is_loaded_a_group_is_not_told_of() -> None:
    async def test(groups: GroupCoordinator) -> None:
        with pytest.raises(KafkaError) as refused:
            groups.find("g")
        assert refused.value.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        await groups.runtime.loaded()
        assert groups.find("g") is None

    run(test, is_loaded=False)


def test_a_topic_of_offsets_that_is_deleted_takes_all_groups_along() -> None:
    catalog = catalog_with_orders()

    async def test(groups: GroupCoordinator) -> None:
        await lone_member(groups)
        waiting = asyncio.ensure_future(groups.join("g", joining()))
        await asyncio.sleep(0)
        catalog.apply(TopicDeleted(OFFSETS_ID))
        assert (await waiting).error_code is ErrorCode.NOT_COORDINATOR
        with pytest.raises(KafkaError) as refused:
            groups.find("g")
        assert refused.value.code is ErrorCode.NOT_COORDINATOR
        assert list(groups.classic) == []

    run(test, catalog=catalog)


def test_a_loaded_member_that_joins_again_unchanged_disturbs_nobody_and_tells_what_it_offers() -> None:
    two = (("range", b"r"), ("sticky", b"s"))
    members: list[str] = []

    async def before(groups: GroupCoordinator) -> None:
        first = asyncio.ensure_future(groups.join("g", joining(protocols=two)))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(groups.join("g", joining(protocols=two)))
        leader = await first
        rejoined = asyncio.ensure_future(groups.join("g", joining(leader.member_id, protocols=two)))
        follower, leader = await second, await rejoined
        members.extend([leader.member_id, follower.member_id])
        own = [Message(member_id=each, assignment=b"part") for each in members]
        request = syncing_with(leader.member_id, leader.generation_id)
        request.assignments = own
        await groups.sync("g", request)

    async def after(groups: GroupCoordinator) -> None:
        group = group_g(groups)
        assert group.members[members[1]].protocols == (("range", b"r"),)
        generation = group.generation
        joined = await groups.join("g", joining(members[1], protocols=two))
        assert (joined.error_code, joined.generation_id) == (ErrorCode.NONE, generation)
        assert group.state is GroupState.STABLE
        assert group.members[members[1]].protocols == two

    run(after, run(before))
