"""Which broker is asked, and how many connections that takes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from ottla.client.address import Address
from ottla.client.errors import CannotConnect, ConnectionLost
from ottla.client.pool import ConnectionPool
from ottla.protocol.apis import ApiKey
from ottla.protocol.messages import Message
from support.scripted_broker import CLOSE, ScriptedBroker


@pytest.fixture
def nobody() -> Iterator[Address]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", bound.getsockname()[1])


def test_callers_at_once_share_one_connection() -> None:
    async def scenario() -> None:
        async with ScriptedBroker() as broker:
            pool = ConnectionPool([broker.address])

            connections = await asyncio.gather(*(pool.any() for _ in range(5)))

            assert len(set(map(id, connections))) == 1
            assert broker.connection_count == 1
            await pool.close()

    asyncio.run(scenario())


def test_the_next_address_is_tried_when_nobody_answers_at_the_first(nobody: Address) -> None:
    async def scenario() -> None:
        async with ScriptedBroker() as broker:
            pool = ConnectionPool([nobody, broker.address])

            assert (await pool.any()).address == broker.address
            await pool.close()

    asyncio.run(scenario())


def test_when_nobody_answers_every_address_is_named(nobody: Address) -> None:
    pool = ConnectionPool([nobody, Address("nowhere.invalid", 9092)])

    with pytest.raises(CannotConnect, match=rf"no broker at {nobody}: .*; no broker at nowhere.invalid:9092: "):
        asyncio.run(pool.any())


def test_a_connection_that_ended_is_opened_again() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.METADATA: lambda _: CLOSE}) as broker:
            pool = ConnectionPool([broker.address])
            first = await pool.any()
            with pytest.raises(ConnectionLost):
                await first.request(ApiKey.METADATA, Message(topics=[]))

            second = await pool.any()

            assert second is not first
            assert second.is_open
            await pool.close()

    asyncio.run(scenario())
