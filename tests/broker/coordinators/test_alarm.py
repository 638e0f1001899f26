"""One timer of the loop for all deadlines, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from ottla.broker.coordinators.alarm import Alarm
from support.virtual_loop import run_virtually


class Heard:
    """What rang, and in which millisecond."""

    def __init__(self) -> None:
        self.rang: list[tuple[str, int]] = []
        self.alarm = Alarm(self.ring)

    def ring(self, key: str) -> None:
        self.rang.append((key, int(asyncio.get_running_loop().time() * 1000)))

    def keys_by(self, at_ms: int) -> list[str]:
        """Those that rang, none of them before its time nor more than two milliseconds behind it."""
        assert all(at_ms <= rang_ms <= at_ms + 2 for _, rang_ms in self.rang), self.rang
        return [key for key, _ in self.rang]


def test_deadlines_ring_in_order_of_time_whatever_the_order_they_were_set_in() -> None:
    async def scenario() -> list[str]:
        heard = Heard()
        heard.alarm.open()
        for key, after_ms in (("late", 3000), ("soon", 1000), ("between", 2000), ("at once", -5)):
            heard.alarm.start(key, after_ms)
        await asyncio.sleep(10)
        heard.alarm.check()
        return [key for key, _ in heard.rang]

    assert run_virtually(scenario()) == ["at once", "soon", "between", "late"]


def test_a_deadline_that_is_put_off_again_and_again_rings_once_at_the_last_time() -> None:
    async def scenario() -> list[str]:
        heard = Heard()
        heard.alarm.open()
        for _ in range(5):
            heard.alarm.start("session", 1000)
            await asyncio.sleep(0.9)
        assert heard.rang == []
        await asyncio.sleep(5)
        return heard.keys_by(4 * 900 + 1000)

    assert run_virtually(scenario()) == ["session"]


def test_a_deadline_that_is_moved_to_earlier_rings_earlier() -> None:
    async def scenario() -> list[str]:
        heard = Heard()
        heard.alarm.open()
        heard.alarm.start("join", 5000)
        heard.alarm.start("join", 500)
        await asyncio.sleep(10)
        return heard.keys_by(500)

    assert run_virtually(scenario()) == ["join"]


def test_nothing_rings_that_was_cancelled_or_after_the_alarm_is_closed() -> None:
    async def scenario() -> list[tuple[str, int]]:
        heard = Heard()
        heard.alarm.open()
        heard.alarm.start("gone", 100)
        heard.alarm.start("too late", 2000)
        heard.alarm.cancel("gone")
        await asyncio.sleep(1)
        heard.alarm.close()
        heard.alarm.start("never", 10)
        await asyncio.sleep(10)
        return heard.rang

    assert run_virtually(scenario()) == []


def test_the_alarm_goes_on_after_a_deadline_that_failed() -> None:
    """The failure is the loop's to tell; the deadlines behind it still come."""

    async def scenario() -> tuple[list[str], int]:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
        heard: list[str] = []

        def ring(key: str) -> None:
            if key == "bad":
                raise ValueError(key)
            heard.append(key)

        alarm = Alarm(ring)
        alarm.open()
        alarm.start("bad", 100)
        alarm.start("good", 200)
        await asyncio.sleep(1)
        return heard, len(told)

    assert run_virtually(scenario()) == (["good"], 1)


@pytest.mark.parametrize("after_ms", [0, 1, 999])
def test_a_deadline_never_rings_before_its_time(after_ms: int) -> None:
    async def scenario() -> list[str]:
        heard = Heard()
        heard.alarm.open()
        heard.alarm.start("k", after_ms)
        await asyncio.sleep(5)
        return heard.keys_by(after_ms)

    assert run_virtually(scenario()) == ["k"]
