"""An answer that comes later: told to the one who asked for it, whoever comes first."""

from __future__ import annotations

import asyncio

import pytest
from ottla.broker.api.later import Later
from ottla.protocol.messages import Message

ANSWER = Message(error_code=0)


@pytest.mark.parametrize("answered_first", [True, False])
def test_it_is_told_once_whichever_comes_first(answered_first: bool) -> None:
    later, told = Later(), list[Message]()
    if answered_first:
        later.answer(ANSWER)
        later.then(told.append)
    else:
        later.then(told.append)
        later.answer(ANSWER)
    assert told == [ANSWER]


@pytest.mark.parametrize("answered_first", [True, False])
def test_it_can_be_awaited(answered_first: bool) -> None:
    async def run() -> None:
        later = Later()
        if answered_first:
            later.answer(ANSWER)
        else:
            asyncio.get_running_loop().call_soon(later.answer, ANSWER)
        assert await later == ANSWER

    asyncio.run(run())


def test_who_was_cancelled_meanwhile_is_left_alone() -> None:
    async def wait(later: Later) -> Message:
        return await later

    async def run() -> None:
        later = Later()
        waiting = asyncio.ensure_future(wait(later))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        later.answer(ANSWER)
        assert waiting.cancelled()

    asyncio.run(run())
