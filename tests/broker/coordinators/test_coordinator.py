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
from ottla.broker.coordinators.coordinator import GROUPS_JOURNAL, GroupCoordinator
from ottla.broker.coordinators.group import GroupState
from ottla.broker.coordinators.group_records import Committed, GroupRecord, OffsetsCommitted, TopicOffsets
from ottla.broker.coordinators.joining import Join
from ottla.broker.coordinators.settings import CoordinatorSettings, GroupSettings
from ottla.broker.flusher import Flusher
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.messages import Message
from support.journals import StandingClock
from support.power_cut import PowerCutFiles

DIRECTORY = "/data/" + GROUPS_JOURNAL
ORDERS = uuid.UUID(int=1)
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


def new_disk() -> PowerCutFiles:
    files = PowerCutFiles()
    files.make_directory("/data")
    files.sync_directory("/")
    return files


def catalog_with_orders() -> Catalog:
    catalog = Catalog()
    catalog.apply(TopicCreated(ORDERS, "orders", (PartitionState(1, 0, (1,), (1,)),), {}))
    return catalog


def run(test: Test, files: PowerCutFiles | None = None, catalog: Catalog | None = None) -> PowerCutFiles:
    """A coordinator for the test, stopped in order; the disk is returned for a restart."""
    files = files or new_disk()

    async def go() -> None:
        flusher = Flusher()
        groups = GroupCoordinator.open(
            DIRECTORY, catalog or catalog_with_orders(), SETTINGS, files=files, now_ms=StandingClock().now_ms()
        )
        groups.start(flusher, StandingClock())
        async with asyncio.timeout(20):
            await test(groups)
        groups.check()
        await groups.stop()
        await flusher.close()

    asyncio.run(go())
    return files


def joining(member_id: str = "", *, session_timeout_ms: int = 50_000, instance_id: str | None = None) -> Join:
    return Join(
        member_id=member_id,
        instance_id=instance_id,
        client_id="client",
        client_host="/host",
        rebalance_timeout_ms=50_000,
        session_timeout_ms=session_timeout_ms,
        protocol_type="consumer",
        protocols=(("range", b""),),
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
    return groups.turn(groups.groups["g"], lambda turn: syncing.heartbeat(turn, request))


def commit_of(offset: int, topic_id: uuid.UUID = ORDERS) -> list[GroupRecord]:
    return [OffsetsCommitted("g", (TopicOffsets("orders", topic_id, ((0, Committed(offset)),)),))]


def test_a_restart_keeps_a_group_and_its_offsets_and_its_member_goes_on() -> None:
    member_ids: list[str] = []

    async def before(groups: GroupCoordinator) -> None:
        member_ids.append(await lone_member(groups))
        await groups.write("g", commit_of(42))

    async def after(groups: GroupCoordinator) -> None:
        assert groups.groups["g"].state is GroupState.STABLE
        assert heartbeat(groups, member_ids[0], 1) is ErrorCode.NONE
        synced = await groups.sync("g", syncing_with(member_ids[0], 1))
        assert synced.assignment == b"all"
        assert groups.state.committed("g", "orders", 0) == Committed(42)

    run(after, run(before))


def test_a_power_cut_loses_nothing_that_was_answered() -> None:
    files = new_disk()
    member_ids: list[str] = []

    async def go() -> None:
        flusher = Flusher()
        groups = GroupCoordinator.open(DIRECTORY, catalog_with_orders(), SETTINGS, files=files, now_ms=0)
        groups.start(flusher, StandingClock())
        member_ids.append(await lone_member(groups))
        await groups.write("g", commit_of(42))
        groups.release()
        await flusher.close()

    async def after(groups: GroupCoordinator) -> None:
        assert heartbeat(groups, member_ids[0], 1) is ErrorCode.NONE
        assert groups.state.committed("g", "orders", 0) == Committed(42)

    asyncio.run(go())
    run(after, files.cut(Random(1)))


def test_a_silent_member_is_removed_by_the_clock() -> None:
    async def test(groups: GroupCoordinator) -> None:
        member_id = await lone_member(groups, session_timeout_ms=20)
        group = groups.groups["g"]
        removed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, removed.set)  # the loop's own clock is what is tried here
        await removed.wait()
        assert (group.state, group.generation) == (GroupState.EMPTY, 2)
        assert heartbeat(groups, member_id, 2) is ErrorCode.UNKNOWN_MEMBER_ID

    run(test)


def test_nobody_is_told_an_assignment_that_the_disk_has_not_taken() -> None:
    files = new_disk()

    async def test(groups: GroupCoordinator) -> None:
        joined = await groups.join("g", joining())
        await groups.write("g", commit_of(1))  # makes the file and its name
        files.fail_next_sync(Random(1))
        synced = await groups.sync("g", syncing_with(joined.member_id, 1, own=b"all"))
        assert synced.error_code is ErrorCode.NOT_COORDINATOR
        assert synced.assignment == b""
        assert groups.groups["g"].state is not GroupState.STABLE
        with pytest.raises(KafkaError):
            await groups.write("g", commit_of(2))

    with pytest.raises(KafkaError):
        run(test, files)  # a journal whose sync failed cannot be closed in peace


def test_commits_that_come_together_share_a_sync() -> None:
    async def test(groups: GroupCoordinator) -> None:
        await groups.write("g", commit_of(0))
        before = files.change_count
        await asyncio.gather(*(groups.write("g", commit_of(offset)) for offset in range(50)))
        assert groups.state.committed("g", "orders", 0) == Committed(49)
        assert files.change_count - before <= 4  # the first, and all behind it: a write and a sync each

    files = new_disk()
    run(test, files)


def test_a_deleted_topic_takes_its_offsets_with_it() -> None:
    catalog = catalog_with_orders()

    async def test(groups: GroupCoordinator) -> None:
        await groups.write("g", commit_of(5))
        catalog.apply(TopicDeleted(ORDERS))
        assert list(groups.offsets_of("g")) == []
        await groups.settled()
        assert groups.state.offsets == {}

    run(test, catalog=catalog)


def test_offsets_of_a_topic_that_was_deleted_before_a_crash_are_forgotten_at_the_start() -> None:
    async def commit(groups: GroupCoordinator) -> None:
        await groups.write("g", commit_of(5, topic_id=uuid.UUID(int=9)))

    async def after(groups: GroupCoordinator) -> None:
        await groups.settled()
        assert groups.state.offsets == {}

    run(after, run(commit))


def test_stopping_sends_those_who_wait_away() -> None:
    async def test(groups: GroupCoordinator) -> None:
        await lone_member(groups)
        waiting = asyncio.ensure_future(groups.join("g", joining()))
        await asyncio.sleep(0)
        assert groups.groups["g"].state is GroupState.PREPARING
        groups.release()
        assert (await waiting).error_code is ErrorCode.NOT_COORDINATOR
        with pytest.raises(KafkaError):
            groups.check_open()

    run(test)


def test_a_group_is_deleted_for_good_and_a_new_one_begins_anew() -> None:
    async def test(groups: GroupCoordinator) -> None:
        member_id = await lone_member(groups)
        await groups.write("g", commit_of(5))
        group = groups.groups["g"]
        groups.turn(group, lambda turn: syncing.leave(turn, [Message(member_id=member_id, group_instance_id=None)]))
        await groups.delete([group])
        assert (groups.state.groups, groups.state.offsets) == ({}, {})
        assert (await groups.join("g", joining())).generation_id == 1

    async def after(groups: GroupCoordinator) -> None:
        assert groups.state.offsets == {}

    run(after, run(test))


def test_expired_offsets_go_with_their_group() -> None:
    async def test(groups: GroupCoordinator) -> None:
        groups.group_for_commit("g")
        await groups.write("g", commit_of(5))  # committed in 1970, by what it says
        groups.expire_offsets()
        await groups.settled()
        assert (groups.groups, groups.state.offsets) == ({}, {})

    run(test)
