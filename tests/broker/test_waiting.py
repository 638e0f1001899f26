"""Fetches that wait, on a loop in virtual time, beside a model that counts."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ottla.broker.waiting import MOST_IDLE_LINES, TIMER_S, FetchWait, Purgatory
from support.loopless import settled
from support.virtual_loop import VirtualLoop, run_virtually


class Partition:
    def __init__(self) -> None:
        self.waits: set[FetchWait] = set()

    def append(self, size_bytes: int, decided_bytes: int | None = None) -> None:
        for wait in tuple(self.waits):
            wait.appended(size_bytes, size_bytes if decided_bytes is None else decided_bytes, None)


class Wait(FetchWait):
    """Notes when it fires, and in which order, and does what the test wants then."""

    def __init__(self, purgatory: Purgatory, fired: list[FetchWait], *, committed: bool = False) -> None:
        super().__init__(purgatory, committed=committed)
        self.all_fired = fired
        self.fired = 0
        self.failed = 0
        self.breaks = False

    def _fire(self) -> None:
        self.fired += 1
        self.all_fired.append(self)
        if self.breaks:
            raise RuntimeError("a bug")

    def fail(self) -> None:
        self.failed += 1


class World:
    def __init__(self) -> None:
        self.purgatory = Purgatory(asyncio.get_running_loop())
        self.partition = Partition()
        self.fired: list[FetchWait] = []

    def wait(self, wanted_bytes: int = 10, max_wait_ms: int = 500, *, committed: bool = False) -> Wait:
        wait = Wait(self.purgatory, self.fired, committed=committed)
        wait.begin([self.partition], wanted_bytes, max_wait_ms)
        return wait

    def appends_alone(self, size_bytes: int) -> None:
        """As a connection does for a request that came alone."""
        self.purgatory.is_alone = True
        self.partition.append(size_bytes)
        self.purgatory.is_alone = False
        if self.purgatory.due:
            self.purgatory.release()


def test_enough_bytes_fire_a_wait_in_the_next_round_and_once() -> None:
    async def scenario() -> None:
        world = World()
        wait = world.wait(10)
        world.partition.append(9)
        await settled()
        assert not wait.fired
        world.partition.append(1)
        world.partition.append(5)
        assert not wait.fired
        await settled()
        assert wait.fired == 1
        assert not world.partition.waits

    run_virtually(scenario())


def test_the_one_reader_that_a_lone_request_makes_due_is_answered_before_the_producer() -> None:
    async def scenario() -> None:
        world = World()
        wait = world.wait(10)
        world.appends_alone(10)
        assert wait.fired == 1

    run_virtually(scenario())


def test_no_producer_waits_for_several_readers() -> None:
    async def scenario() -> None:
        world = World()
        waits = [world.wait(10) for _ in range(3)]
        world.appends_alone(10)
        assert not world.fired
        await settled()
        assert [wait.fired for wait in waits] == [1, 1, 1]

    run_virtually(scenario())


def test_those_who_are_due_while_others_fire_are_not_forgotten() -> None:
    async def scenario() -> None:
        world = World()
        first = world.wait(10)
        world.partition.append(10)
        second = world.wait(10)
        world.appends_alone(10)
        assert world.fired == []  # two are due, one of an earlier request
        await settled()
        assert world.fired == [first, second]

    run_virtually(scenario())


def test_a_reader_of_committed_records_waits_for_what_is_decided() -> None:
    async def scenario() -> None:
        world = World()
        wait = world.wait(10, committed=True)
        world.partition.append(100, 0)
        await settled()
        assert not wait.fired
        world.partition.append(1, 101)
        await settled()
        assert wait.fired == 1

    run_virtually(scenario())


def test_time_that_is_over_fires_whoever_began_first() -> None:
    async def scenario() -> None:
        world = World()
        first = world.wait(max_wait_ms=500)
        await asyncio.sleep(0.2)
        second = world.wait(max_wait_ms=500)
        short = world.wait(max_wait_ms=10)
        await asyncio.sleep(0.1)
        assert world.fired == [short]
        await asyncio.sleep(0.201)
        assert world.fired == [short, first]
        await asyncio.sleep(0.2)
        assert world.fired == [short, first, second]

    run_virtually(scenario())


def test_a_wait_that_fired_may_begin_again_and_has_its_whole_time() -> None:
    async def scenario() -> None:
        world = World()
        wait = world.wait(10, 500)
        await asyncio.sleep(0.4)
        world.partition.append(10)
        await settled()
        wait.begin([world.partition], 10, 500)
        await asyncio.sleep(0.4)
        assert wait.fired == 1
        await asyncio.sleep(0.102)
        assert wait.fired == 2

    run_virtually(scenario())


@pytest.mark.parametrize("is_due", [False, True])
def test_a_wait_that_is_cancelled_does_not_fire(is_due: bool) -> None:
    async def scenario() -> None:
        world = World()
        wait = world.wait(10)
        if is_due:
            world.partition.append(10)
        wait.cancel()
        wait.wake()
        await asyncio.sleep(1)
        assert not wait.fired
        assert not world.partition.waits
        wait.cancel()  # the connection ended behind it, too

    run_virtually(scenario())


def test_a_wait_that_fired_is_not_woken_again() -> None:
    async def scenario() -> None:
        world = World()
        wait = world.wait(max_wait_ms=1)
        await asyncio.sleep(0.01)
        wait.wake()
        await settled()
        assert wait.fired == 1

    run_virtually(scenario())


def test_one_that_fails_ends_its_own_reader_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        world = World()
        first, second = world.wait(10), world.wait(10)
        first.breaks = second.breaks = True
        third = world.wait(10)
        world.partition.append(10)
        await settled()
        assert (first.failed, second.failed, third.failed) == (1, 1, 0)
        assert third.fired == 1

    run_virtually(scenario())
    assert "a bug" in caplog.text


def test_as_many_lengths_of_waits_as_a_client_may_think_of_leave_little_behind() -> None:
    async def scenario() -> None:
        world = World()
        for length_ms in range(1_000_000, 1_000_200):
            world.wait(10, length_ms)
            world.partition.append(10)
            await settled()
        assert len(world.fired) == 200
        assert len(world.purgatory.lines) <= MOST_IDLE_LINES

    run_virtually(scenario())


class Waiting(RuleBasedStateMachine):
    """Three partitions, waits of any kind; a model says who must have fired, and who must not."""

    @initialize()
    def set_up(self) -> None:
        self.loop = VirtualLoop()
        self.purgatory = self._in_loop(lambda: Purgatory(asyncio.get_running_loop()))
        self.partitions = [Partition() for _ in range(3)]
        self.fired: list[FetchWait] = []
        self.expected: dict[Wait, int] = {}
        self.wanted: dict[Wait, int] = {}
        self.ends: dict[Wait, float] = {}
        self.where: dict[Wait, set[int]] = {}

    def _in_loop(self, call, passing_s: float = 0.0):  # type: ignore[no-untyped-def]
        async def run():  # type: ignore[no-untyped-def]
            result = call()
            await settled()
            if passing_s:
                await asyncio.sleep(passing_s)
                await settled()
            return result

        return self.loop.run_until_complete(run())

    @rule(
        where=st.sets(st.integers(0, 2), min_size=1),
        wanted=st.integers(1, 30),
        length_ms=st.sampled_from([1, 10, 100]) | st.integers(1, 5000),
        again=st.booleans(),
        data=st.data(),
    )
    def begin(self, where: set[int], wanted: int, length_ms: int, again: bool, data: st.DataObject) -> None:
        idle = [wait for wait in self.expected if wait not in self.wanted]
        if again and idle:
            wait = data.draw(st.sampled_from(idle))
        else:
            wait = Wait(self.purgatory, self.fired)
            self.expected[wait] = 0
        self._in_loop(lambda: wait.begin([self.partitions[index] for index in where], wanted, length_ms))
        self.wanted[wait] = wanted
        self.ends[wait] = self.loop.time() + length_ms / 1000
        self.where[wait] = where

    @rule(index=st.integers(0, 2), size=st.integers(1, 20), alone=st.booleans())
    def append(self, index: int, size: int, alone: bool) -> None:
        def run() -> None:
            self.purgatory.is_alone = alone
            self.partitions[index].append(size)
            self.purgatory.is_alone = False
            if alone and self.purgatory.due:
                self.purgatory.release()

        self._in_loop(run)
        for wait in list(self.wanted):
            if index in self.where[wait]:
                self.wanted[wait] -= size
                if self.wanted[wait] <= 0:
                    self._is_over(wait)

    @rule(passing_ms=st.integers(0, 3000))
    def pass_time(self, passing_ms: int) -> None:
        self._in_loop(lambda: None, passing_ms / 1000)
        now = self.loop.time()
        for wait in list(self.wanted):
            if self.ends[wait] <= now or (wait.fired > self.expected[wait] and self.ends[wait] <= now + TIMER_S):
                self._is_over(wait)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.wanted:
            wait = data.draw(st.sampled_from(list(self.wanted)))
            self._in_loop(wait.cancel)
            self._forget(wait)

    @rule(data=st.data())
    def wake(self, data: st.DataObject) -> None:
        if self.expected:
            wait = data.draw(st.sampled_from(list(self.expected)))
            self._in_loop(wait.wake)
            if wait in self.wanted:
                self._is_over(wait)

    def _is_over(self, wait: Wait) -> None:
        self.expected[wait] += 1
        self._forget(wait)

    def _forget(self, wait: Wait) -> None:
        del self.wanted[wait], self.ends[wait], self.where[wait]

    @invariant()
    def each_has_fired_as_often_as_it_was_due(self) -> None:
        assert {wait: wait.fired for wait in self.expected} == self.expected

    @invariant()
    def those_who_wait_stand_where_they_should_and_nobody_else_does(self) -> None:
        for index, partition in enumerate(self.partitions):
            assert partition.waits == {wait for wait in self.wanted if index in self.where[wait]}
        standing = [wait for line in self.purgatory.lines.values() for wait in line.ends]
        assert sorted(map(id, standing)) == sorted(map(id, self.wanted))
        assert len(self.purgatory.lines) <= MOST_IDLE_LINES + len(self.wanted)

    def teardown(self) -> None:
        self.loop.close()


TestWaiting = Waiting.TestCase
