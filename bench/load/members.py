"""Members of a consumer group with bare requests: joining until the group is stable, and committing offsets."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

from .one_record import Answers
from .wire import SIZE, address_of, answer, frame

HEARTBEAT_S = 0.1
SESSION_MS = 60_000
PATIENCE_S = 60.0
ASSIGNMENT = b"\0\0\0\0\0\0\xff\xff\xff\xff"
RETRIABLE = {
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
}

JOINS_AGAIN = {ErrorCode.MEMBER_ID_REQUIRED, ErrorCode.REBALANCE_IN_PROGRESS}


class _Peer:
    """One member's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, bootstrap: str) -> _Peer:
        return cls(*await asyncio.open_connection(*address_of(bootstrap)))

    async def call(self, key: ApiKey, **fields: Any) -> Message:
        self._writer.write(frame(key, Message(**fields)))
        (size,) = SIZE.unpack(await self._reader.readexactly(SIZE.size))
        return answer(key, await self._reader.readexactly(size))

    def close(self) -> None:
        self._writer.close()


@dataclass(slots=True)
class _Group:
    """What the members know of each other: who is stable, and in which generation."""

    name: str
    size: int
    generations: dict[int, int] = field(default_factory=dict)  # by member
    stable: asyncio.Event = field(default_factory=asyncio.Event)

    def joined(self, member: int, generation: int) -> None:
        self.generations[member] = generation
        if len(self.generations) == self.size and len(set(self.generations.values())) == 1:
            self.stable.set()


def time_to_stable(bootstrap: str, group: str, members: int) -> float:
    """Seconds from the first join until all members are in one generation with their assignments."""
    return asyncio.run(_time_to_stable(bootstrap, group, members))


async def _time_to_stable(bootstrap: str, name: str, members: int) -> float:
    await _await_coordinator(bootstrap, name)
    peers = [await _Peer.connect(bootstrap) for _ in range(members)]
    group = _Group(name, members)
    began = time.perf_counter()
    tasks = [asyncio.ensure_future(_be_member(group, number, peer)) for number, peer in enumerate(peers)]
    try:
        await _until_stable(group, tasks)
        return time.perf_counter() - began
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for peer in peers:
            peer.close()


async def _until_stable(group: _Group, members: list[asyncio.Task[None]]) -> None:
    """What goes wrong with a member is raised at once: without it the group would only never be stable."""
    stable = asyncio.ensure_future(group.stable.wait())
    try:
        ended, _ = await asyncio.wait([stable, *members], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        for each in ended - {stable}:
            each.result()
        if not stable.done():
            raise TimeoutError(
                f"{len(group.generations)} of {group.size} members were in the group after {PATIENCE_S:.0f} s"
            )
    finally:
        stable.cancel()


async def _await_coordinator(bootstrap: str, name: str) -> None:
    """Apache Kafka makes its offsets topic with the first group."""
    peer = await _Peer.connect(bootstrap)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while True:
            found = await peer.call(ApiKey.FIND_COORDINATOR, key_type=0, coordinator_keys=[name])
            if not found.coordinators[0].error_code:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} has no coordinator: {found.coordinators[0].error_code!r}")
            await asyncio.sleep(0.1)
    finally:
        peer.close()


async def _be_member(group: _Group, number: int, peer: _Peer) -> None:
    member_id = ""
    while True:
        joined = await _join(group.name, member_id, peer)
        member_id = joined.member_id
        if joined.error_code in RETRIABLE:
            await asyncio.sleep(HEARTBEAT_S)
        elif joined.error_code and joined.error_code not in JOINS_AGAIN:
            raise RuntimeError(f"a member cannot join: {joined.error_code!r}")
        elif not joined.error_code and not await _sync(group, joined, peer):
            group.joined(number, joined.generation_id)
            await _beat_until_rebalance(group.name, joined, peer)


async def _join(group: str, member_id: str, peer: _Peer) -> Message:
    return await peer.call(
        ApiKey.JOIN_GROUP,
        group_id=group,
        session_timeout_ms=SESSION_MS,
        rebalance_timeout_ms=SESSION_MS,
        member_id=member_id,
        group_instance_id=None,
        protocol_type="consumer",
        protocols=[Message(name="range", metadata=ASSIGNMENT)],
        reason=None,
    )


async def _sync(group: _Group, joined: Message, peer: _Peer) -> int:
    leads = joined.leader == joined.member_id
    assignments = [Message(member_id=each.member_id, assignment=ASSIGNMENT) for each in joined.members] if leads else []
    synced = await peer.call(
        ApiKey.SYNC_GROUP,
        group_id=group.name,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        group_instance_id=None,
        protocol_type="consumer",
        protocol_name="range",
        assignments=assignments,
    )
    return int(synced.error_code)


async def _beat_until_rebalance(group: str, joined: Message, peer: _Peer) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        told = await peer.call(
            ApiKey.HEARTBEAT,
            group_id=group,
            generation_id=joined.generation_id,
            member_id=joined.member_id,
            group_instance_id=None,
        )
        if told.error_code:
            return


def commits(bootstrap: str, topic: str, *, groups: int, seconds: float) -> Answers:
    """Offsets committed by so many groups without members, each waiting for its answer before the next."""
    return asyncio.run(_commits(bootstrap, topic, groups, seconds))


async def _commits(bootstrap: str, topic: str, groups: int, seconds: float) -> Answers:
    await _await_coordinator(bootstrap, "bench-commits-0")
    peers = [await _Peer.connect(bootstrap) for _ in range(groups)]
    answers = Answers()
    began = time.perf_counter()
    await asyncio.gather(
        *(
            _commit_until(began + seconds, f"bench-commits-{number}", topic, peer, answers)
            for number, peer in enumerate(peers)
        )
    )
    answers.seconds = time.perf_counter() - began
    for peer in peers:
        peer.close()
    return answers


async def _commit_until(end: float, group: str, topic: str, peer: _Peer, answers: Answers) -> None:
    while (sent := time.perf_counter()) < end:
        partition = Message(
            partition_index=0, committed_offset=answers.count, committed_leader_epoch=-1, committed_metadata=""
        )
        told = await peer.call(
            ApiKey.OFFSET_COMMIT,
            group_id=group,
            generation_id_or_member_epoch=-1,
            member_id="",
            group_instance_id=None,
            topics=[Message(name=topic, partitions=[partition])],
        )
        answers.count += 1
        answers.failures += bool(told.topics[0].partitions[0].error_code)
        answers.latencies_s.append(time.perf_counter() - sent)
