"""Handing out what was fetched, with a fetcher that only notes when its task would have run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import pytest
from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.chunk import Budget, Chunk, Frame
from ottla.client.consumer.handing_out import HandingOut, HandingOutSettings
from ottla.client.consumer.poll_clock import PollClock
from ottla.client.consumer.subscription import SubscriptionState
from ottla.client.consumer.turns import EVERY_S, RECORDS_PER_LOOK
from ottla.client.consumer.waking import Wake
from ottla.protocol.records import BatchBuilder
from support.consuming import run

T0 = TopicPartition("t", 0)


class NotingFetcher:
    """Asks for nothing; `asked_after` is what the user had been given when it would have."""

    def __init__(self, given: list[bytes]) -> None:
        self.arrival = Wake()
        self.asked_after: list[int] = []
        self._given = given

    def more_room(self) -> None:
        asyncio.get_running_loop().call_soon(lambda: self.asked_after.append(len(self._given)))

    async def wait(self, among: object, timeout_s: float | None) -> None:
        raise AssertionError("everything was fetched")


def batch(base_offset: int, *values: bytes) -> bytes:
    builder = BatchBuilder(base_offset=base_offset)
    for value in values:
        builder.append(0, None, value)
    return bytes(builder.build())


def fetched(*batches: tuple[int, bytes]) -> SubscriptionState:
    """One partition with a chunk for each of these, which are batches of one record."""
    subscription = SubscriptionState()
    subscription.assign_by_hand([T0])
    state = subscription.require(T0)
    state.move(0)
    frame = Frame.reserve(Budget(1_000_000), 0)
    for base_offset, value in batches:
        state.add(Chunk(frame, memoryview(batch(base_offset, value)), base_offset + 1, 0))
    return subscription


async def by_one(handing_out: HandingOut) -> list[bytes]:
    return [(await handing_out.one(None)).value]


async def by_many(handing_out: HandingOut) -> list[bytes]:
    return [each.value for records in (await handing_out.many(None, 1, None)).values() for each in records]


async def by_batch(handing_out: HandingOut) -> list[bytes]:
    taken = await handing_out.batch(None, None)
    assert taken is not None
    return [value for value in taken.values() if value is not None]


@pytest.mark.parametrize("take", [by_one, by_many, by_batch])
def test_the_next_fetch_is_under_way_before_the_user_gets_what_the_last_one_brought(
    take: Callable[[HandingOut], Awaitable[list[bytes]]],
) -> None:
    async def scenario() -> None:
        given: list[bytes] = []
        fetcher: Any = NotingFetcher(given)
        handing_out = HandingOut(
            fetched((0, b"first"), (1, b"second")),
            fetcher,
            HandingOutSettings(),
            PollClock(1_000, 0.0),
            check=lambda: None,
            came_back=lambda: None,
        )
        given += await take(handing_out)
        assert fetcher.asked_after == [0], "the loop had its turn"
        given += await take(handing_out)
        assert given == [b"first", b"second"]
        assert fetcher.asked_after[-1] == 1

    run(scenario())


class FetcherOfOneTurn:
    """Brings a record as soon as the loop gives it a turn."""

    def __init__(self, subscription: SubscriptionState) -> None:
        self.arrival = Wake()
        self._subscription = subscription

    def more_room(self) -> None:
        pass

    def bring(self) -> None:
        frame = Frame.reserve(Budget(1_000_000), 0)
        self._subscription.require(T0).add(Chunk(frame, memoryview(batch(0, b"fetched")), 1, 0))
        self.arrival.set()

    async def wait(self, among: object, timeout_s: float | None) -> None:
        raise AssertionError("there is no time to wait")


async def many_at_once(handing_out: HandingOut) -> list[bytes]:
    return [each.value for records in (await handing_out.many(None, 0, None)).values() for each in records]


async def batch_at_once(handing_out: HandingOut) -> list[bytes]:
    taken = await handing_out.batch(None, 0)
    return [] if taken is None else [value for value in taken.values() if value is not None]


@pytest.mark.parametrize("take", [many_at_once, batch_at_once])
def test_who_asks_again_and_again_without_a_time_to_wait_gets_what_is_fetched_meanwhile(
    take: Callable[[HandingOut], Awaitable[list[bytes]]],
) -> None:
    async def scenario() -> None:
        subscription = fetched()
        fetcher: Any = FetcherOfOneTurn(subscription)
        handing_out = HandingOut(
            subscription,
            fetcher,
            HandingOutSettings(),
            PollClock(1_000, 0.0),
            check=lambda: None,
            came_back=lambda: None,
        )
        assert await take(handing_out) == []
        asyncio.get_running_loop().call_soon(fetcher.bring)
        assert await take(handing_out) == [b"fetched"]

    run(scenario())


async def iterated(handing_out: HandingOut, count: int) -> None:
    async for _ in handing_out.records():
        count -= 1
        if not count:
            return


async def asked_for_one_by_one(handing_out: HandingOut, count: int) -> None:
    for _ in range(count):
        if handing_out.at_once() is None:
            await handing_out.one(None)


@pytest.mark.parametrize("take", [iterated, asked_for_one_by_one])
def test_a_user_that_never_waits_leaves_the_loop_its_turns(take: Callable[[HandingOut, int], Awaitable[None]]) -> None:
    async def scenario() -> None:
        subscription = fetched()
        frame = Frame.reserve(Budget(1_000_000), 0)
        subscription.require(T0).add(Chunk(frame, memoryview(batch(0, *[b"x"] * 1_000)), 1_000, 0))
        now_s, turns = 0.0, 0
        loop = asyncio.get_running_loop()

        def time() -> float:
            nonlocal now_s
            now_s += EVERY_S
            return now_s

        def turn() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(turn)

        handing_out = HandingOut(
            subscription,
            NotingFetcher([]),  # type: ignore[arg-type]
            HandingOutSettings(),
            PollClock(1_000, 0.0),
            check=lambda: None,
            came_back=lambda: None,
        )
        turn()
        with mock.patch.object(loop, "time", time):
            await take(handing_out, 1_000)

        assert turns >= 1_000 // RECORDS_PER_LOOK

    asyncio.run(scenario())
