"""The real network, on asyncio's loop and on uvloop's, which servers of applications run on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop
from ottla.client.address import Address
from ottla.client.connection import Connection
from ottla.client.consumer.consumer import Consumer
from ottla.client.network import TcpNetwork
from ottla.client.producer import Producer
from ottla.protocol.apis import ApiKey
from ottla.protocol.messages import Message
from support.broker import BrokerProcess
from support.scripted_broker import ScriptedBroker

DEADLINE_S = 60
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

on_every_loop = pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
NewLoop = Callable[[], asyncio.AbstractEventLoop]


def run(new_loop: NewLoop, scenario: Coroutine[Any, Any, None]) -> None:
    async def within_time() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await scenario

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(within_time())


class Peer(asyncio.BufferedProtocol):
    """Notes what its transport tells it."""

    def __init__(self) -> None:
        self.made: list[asyncio.BaseTransport] = []
        self.gone = asyncio.Event()
        self._buffer = bytearray(1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.append(transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


@on_every_loop
def test_what_is_written_is_not_held_back_for_more(new_loop: NewLoop) -> None:
    async def scenario() -> None:
        async with ScriptedBroker() as broker:
            peer = Peer()
            await TcpNetwork().connect(broker.address, lambda: peer)

            (transport,) = peer.made
            connected = transport.get_extra_info("socket")
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            transport.close()
            await peer.gone.wait()

    run(new_loop, scenario())


@on_every_loop
def test_nobody_at_the_address_is_an_error_of_the_system(new_loop: NewLoop) -> None:
    async def scenario(port: int) -> None:
        with pytest.raises(ConnectionRefusedError):
            await TcpNetwork().connect(Address("127.0.0.1", port), Peer)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: a connection is refused.
        run(new_loop, scenario(taken.getsockname()[1]))


def test_of_the_addresses_of_a_name_the_next_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(refusing: tuple[str, int]) -> None:
        async with ScriptedBroker({ApiKey.METADATA: lambda _: Message(brokers=[], topics=[])}) as broker:
            address = broker.address
            found = [
                (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", each)
                for each in (refusing, (address.host, address.port))
            ]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            connection = await Connection.open(Address("a-name-of-two", address.port))

            assert (await connection.request(ApiKey.METADATA, Message(topics=[]))).brokers == []
            await connection.close()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        run(asyncio.new_event_loop, scenario(taken.getsockname()))


def test_a_descriptor_that_uvloop_still_holds_is_no_other_kind_of_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> socket.socket:
        raise RuntimeError("File descriptor 7 is used by transport")

    async def scenario() -> None:
        monkeypatch.setattr("ottla.client.network.start_connection", refuse)
        with pytest.raises(OSError, match=r"^File descriptor 7 is used by transport$"):
            await TcpNetwork().connect(Address("127.0.0.1", 1), Peer)

    run(asyncio.new_event_loop, scenario())


@on_every_loop
def test_an_application_produces_and_reads_in_a_group_on_its_own_loop(new_loop: NewLoop, tmp_path: Path) -> None:
    large = Random(7).randbytes(900_000)  # three to a request, none of which is copied on its way
    values = [large[at:] + b"%d" % at for at in range(9)] + [b"%d" % at for at in range(5_000)]

    async def scenario(bootstrap: str) -> None:
        async with Producer[bytes, bytes](bootstrap, batch_size=1_000_000, max_request_size=4_000_000) as producer:
            for value in values:
                await producer.send("t", value, partition=0)
            await producer.flush()
        async with Consumer[bytes, bytes](
            "t", bootstrap_servers=bootstrap, group_id="g", auto_offset_reset="earliest"
        ) as consumer:
            read = [(await consumer.getone()).value for _ in values]
            assert read == values
            await consumer.commit()

    with BrokerProcess(tmp_path) as broker:
        run(new_loop, scenario(broker.bootstrap))
        assert "Traceback" not in broker.output
