"""One connection: versions, answers in order, deadlines, cancellation, and every way it can end."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import pytest
from ottla.client.address import Address
from ottla.client.connection import CLOSING_TIMEOUT_S, Connection, RawAnswer
from ottla.client.errors import CannotConnect, ConnectionLost, RequestTimedOut, UnsupportedApi
from ottla.client.receiving import SCRATCH_BYTES
from ottla.protocol.apis import SUPPORTED, ApiKey
from ottla.protocol.frames import encode_size
from ottla.protocol.messages import Message
from support.scripted_broker import CLOSE, ScriptedBroker

CLUSTER = Message(cluster_id="c", controller_id=1, brokers=[], endpoint_type=1)


def numbered(request: Message) -> Message:
    """Answers with the name that was asked for, so that a mix-up shows."""
    return Message(topics=[Message(name=topic.name, partitions=[]) for topic in request.topics], brokers=[])


def asking_for(name: str) -> Message:
    return Message(topics=[Message(name=name)])


def test_a_request_is_answered_in_the_highest_common_version() -> None:
    async def scenario() -> None:
        versions = {ApiKey.API_VERSIONS: (0, 4), ApiKey.DESCRIBE_CLUSTER: (0, 1)}
        async with ScriptedBroker({ApiKey.DESCRIBE_CLUSTER: lambda _: CLUSTER}, versions=versions) as broker:
            connection = await Connection.open(broker.address, client_id="me")

            answer = await connection.request(ApiKey.DESCRIBE_CLUSTER, Message())

            assert answer.cluster_id == "c"
            assert [(each.version, each.client_id) for each in broker.asked] == [(1, "me")]
            await connection.close()

    asyncio.run(scenario())


def test_versions_are_agreed_on_with_a_broker_that_knows_only_older_ones() -> None:
    async def scenario() -> None:
        versions = {ApiKey.API_VERSIONS: (0, 2), ApiKey.METADATA: (0, 5)}
        async with ScriptedBroker(versions=versions) as broker:
            connection = await Connection.open(broker.address)

            assert connection.version_of(ApiKey.METADATA) == 5
            await connection.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("offered", "text"),
    [
        ({}, "does not know DESCRIBE_CLUSTER"),
        ({ApiKey.DESCRIBE_CLUSTER: (9, 12)}, "speaks versions 9 to 12 of DESCRIBE_CLUSTER"),
    ],
)
def test_an_api_without_a_common_version_is_refused_by_name(offered: dict[ApiKey, tuple[int, int]], text: str) -> None:
    async def scenario() -> None:
        async with ScriptedBroker(versions={ApiKey.API_VERSIONS: (0, 4), **offered}) as broker:
            connection = await Connection.open(broker.address)

            with pytest.raises(UnsupportedApi, match=f"{broker.address} {text}"):
                await connection.request(ApiKey.DESCRIBE_CLUSTER, Message())
            await connection.close()

    asyncio.run(scenario())


def test_many_requests_at_once_each_get_their_own_answer() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.METADATA: numbered}) as broker:
            connection = await Connection.open(broker.address)
            names = [f"t{number}" for number in range(50)]

            answers = await asyncio.gather(*(connection.request(ApiKey.METADATA, asking_for(name)) for name in names))

            assert [answer.topics[0].name for answer in answers] == names
            await connection.close()

    asyncio.run(scenario())


def test_a_cancelled_request_leaves_the_connection_usable() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.METADATA: numbered}) as broker:
            connection = await Connection.open(broker.address)
            cancelled = asyncio.create_task(connection.request(ApiKey.METADATA, asking_for("never mind")))
            await asyncio.sleep(0)  # Lets the task send its request.
            cancelled.cancel()

            answer = await connection.request(ApiKey.METADATA, asking_for("this one"))

            assert answer.topics[0].name == "this one"
            assert [each.topics[0].name for each in broker.asked_for(ApiKey.METADATA)] == ["never mind", "this one"]
            await connection.close()

    asyncio.run(scenario())


def test_an_answer_that_does_not_come_ends_the_connection_for_all_who_wait() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.METADATA: lambda _: None}) as broker:
            connection = await Connection.open(broker.address)
            patient = asyncio.create_task(connection.request(ApiKey.METADATA, asking_for("a")))

            with pytest.raises(RequestTimedOut, match=f"{broker.address} did not answer METADATA within 0.01 s"):
                await connection.request(ApiKey.METADATA, asking_for("b"), timeout_s=0.01)
            with pytest.raises(RequestTimedOut):
                await patient
            with pytest.raises(RequestTimedOut):
                await connection.request(ApiKey.METADATA, asking_for("c"))
            assert not connection.is_open
            await connection.close()

    asyncio.run(scenario())


def test_a_broker_that_closes_the_connection_is_named() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.METADATA: lambda _: CLOSE}) as broker:
            connection = await Connection.open(broker.address)

            with pytest.raises(ConnectionLost, match=f"the broker at {broker.address} closed the connection"):
                await connection.request(ApiKey.METADATA, asking_for("a"))
            await connection.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("garbage", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a frame of 1213486160 bytes"),
        (b"\x00\x00\x00\x04\x00\x00\x00\x63", "an answer to request 99, which was not asked"),
        (b"\x00\x00\x00\x05\x00\x00\x00\x01\x00", "cut short"),
        (b"\xff\xff\xff\xff", "a frame of -1 bytes"),
    ],
)
def test_an_answer_that_is_not_kafkas_ends_the_connection(garbage: bytes, why: str) -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.METADATA: lambda _: garbage}) as broker:
            connection = await Connection.open(broker.address)

            with pytest.raises(ConnectionLost, match="is not Kafka's protocol") as raised:
                await connection.request(ApiKey.METADATA, asking_for("a"))
            assert why in str(raised.value)
            await connection.close()

    asyncio.run(scenario())


def test_closing_tells_those_who_wait() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.METADATA: lambda _: None}) as broker:
            connection = await Connection.open(broker.address)
            waiting = asyncio.create_task(connection.request(ApiKey.METADATA, asking_for("a")))
            await asyncio.sleep(0)  # Lets the task send its request.

            await connection.close()

            with pytest.raises(ConnectionLost, match="was closed"):
                await waiting

    asyncio.run(scenario())


def test_nobody_at_the_address_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: a connection is refused.
        address = Address("127.0.0.1", taken.getsockname()[1])

        with pytest.raises(CannotConnect, match=f"^no broker at {address}: [^\n]+$"):
            asyncio.run(Connection.open(address))


def test_a_name_that_does_not_exist_is_said_in_one_line() -> None:
    with pytest.raises(CannotConnect, match=r"^no broker at nowhere.invalid:9092: [^\n]+$"):
        asyncio.run(Connection.open(Address("nowhere.invalid", 9092)))


def test_a_name_that_no_host_can_have_is_said_in_one_line() -> None:
    with pytest.raises(CannotConnect, match=r"^no broker at a\.\.b:9092: [^\n]+$"):
        asyncio.run(Connection.open(Address("a..b", 9092)))


def test_a_peer_that_accepts_and_says_nothing_is_given_up() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.API_VERSIONS: lambda _: None}) as broker:
            with pytest.raises(RequestTimedOut, match=f"{broker.address} did not answer API_VERSIONS"):
                await Connection.open(broker.address, timeout_s=0.05)

    asyncio.run(scenario())


def test_the_client_can_say_every_api_that_the_broker_answers() -> None:
    versions = {key: (api.min_version, api.max_version) for key, api in SUPPORTED.items()}

    async def scenario() -> None:
        async with ScriptedBroker(versions=versions) as broker:
            connection = await Connection.open(broker.address)

            assert {key: connection.version_of(key) for key in SUPPORTED} == {
                k: high for k, (_, high) in versions.items()
            }
            await connection.close()

    asyncio.run(scenario())


class _Recording(asyncio.Transport):
    """Keeps what is written, in the parts it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes | bytearray | memoryview] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.parts.append(data)

    def abort(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("size", [10, 100_000, 128 * 1024, 1_000_000])
def test_a_request_is_written_in_order_and_what_is_large_in_it_is_not_copied(size: int) -> None:
    async def scenario() -> None:
        transport, large = _Recording(), bytearray(os.urandom(size))
        connection = Connection(Address("h", 1), client_id="me", timeout_s=30)
        connection.connection_made(transport)
        answer = connection.send(ApiKey.PRODUCE, 9, b"before", large, b"between", large, b"behind")
        connection.connection_lost(None)
        with pytest.raises(ConnectionLost):
            await answer

        written = b"".join(transport.parts)
        assert written.endswith(b"before" + large + b"between" + large + b"behind")
        assert int.from_bytes(written[:4], "big") == len(written) - 4
        in_place = sum(memoryview(part).obj is large for part in transport.parts)
        assert in_place == (2 if size >= 128 * 1024 else 0)

    asyncio.run(scenario())


@asynccontextmanager
async def over_a_socket() -> AsyncIterator[tuple[Connection, socket.socket]]:
    """A connection that the loop's own transport carries, and the broker's end of it."""
    ours, broker = socket.socketpair()
    connection = Connection(Address("h", 1), client_id="me", timeout_s=30)
    with broker:
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
        yield connection, broker
    await connection.close()


def read_to_its_end(source: socket.socket) -> int:
    """How many bytes came."""
    return sum(iter(lambda: len(source.recv(65536)), 0))


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_broker_that_does_not_read_has_senders_wait(size: int) -> None:
    async def scenario() -> None:
        async with over_a_socket() as (connection, _):
            for _ in range(5_000_000 // size):
                connection.send_unanswered(ApiKey.PRODUCE, 9, bytes(size))

            assert not connection.is_writable

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_what_is_sent_to_a_socket_that_just_failed_is_told_so_and_leaves_nothing_in_the_loop(size: int) -> None:
    async def scenario() -> None:
        async with over_a_socket() as (connection, broker):
            broker.close()
            connection.send_unanswered(ApiKey.PRODUCE, 9, b"finds the socket closed")
            answer = connection.send(ApiKey.PRODUCE, 9, bytes(size))

            with pytest.raises(ConnectionLost, match="the broker at h:1 closed the connection"):
                await answer
        async with over_a_socket() as (connection, broker):  # which gets the descriptor that has become free
            answer = connection.send(ApiKey.METADATA, 1, b"which topics?", timeout_s=5)
            broker.sendall(encode_size(8) + bytes(4) + b"none")

            assert (await answer).frame == bytes(4) + b"none"

    asyncio.run(scenario())


def test_what_is_sent_after_the_end_is_read_and_before_the_connection_hears_of_it_is_told_so() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with over_a_socket() as (connection, broker), asyncio.timeout(10):
            sent: asyncio.Future[asyncio.Future[RawAnswer]] = loop.create_future()
            broker.close()
            # A turn of the loop looks at sockets first, then at timers; `connection_lost` is for the next turn.
            loop.call_at(loop.time(), lambda: sent.set_result(connection.send(ApiKey.METADATA, 1, b"which topics?")))

            answer = await sent
            with pytest.raises(ConnectionLost, match="the broker at h:1 closed the connection"):
                await answer

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_an_empty_part_is_not_left_to_be_sent(size: int) -> None:
    async def scenario() -> None:
        async with over_a_socket() as (connection, broker):
            with ThreadPoolExecutor(1) as reader:
                read = reader.submit(read_to_its_end, broker)
                connection.send_unanswered(ApiKey.PRODUCE, 9, bytes(size), b"")
                async with asyncio.timeout(CLOSING_TIMEOUT_S / 2):
                    await connection.close()

                assert read.result() > size

    asyncio.run(scenario())


READS_ON = pytest.mark.skipif(
    not hasattr(os, "readv"), reason="the system cannot read from a file descriptor of a socket"
)


class _Socketed(asyncio.Transport):
    """A transport that leaves reading to the test, and has a socket."""

    def __init__(self, ours: socket.socket) -> None:
        super().__init__({"socket": ours})

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads the request."""

    def abort(self) -> None:
        """The test closes the socket."""


@contextmanager
def asked_through_a_socket() -> Iterator[tuple[Connection, socket.socket, socket.socket, asyncio.Future[RawAnswer]]]:
    """A connection with a request under way, its socket, the broker's, and the answer to be; inside a loop."""
    ours, broker = socket.socketpair()
    with ours, broker:
        ours.setblocking(False)
        connection = Connection(Address("h", 1), client_id="me", timeout_s=30)
        connection.connection_made(_Socketed(ours))
        yield connection, ours, broker, connection.send(ApiKey.METADATA, 1, b"which topics?")


def read_once(connection: Connection, ours: socket.socket) -> None:
    """As a transport does when its loop says that there is something."""
    connection.buffer_updated(ours.recv_into(connection.get_buffer(-1)))


@READS_ON
def test_a_large_answer_that_is_there_is_read_without_waiting_for_the_loop() -> None:
    async def scenario() -> None:
        with asked_through_a_socket() as (connection, ours, broker, answer):
            body = bytes(4) + b"x" * (2 * SCRATCH_BYTES)
            broker.sendall(encode_size(len(body)) + body)
            read_once(connection, ours)

            assert answer.done()
            assert (await answer).frame == body

    asyncio.run(scenario())


@READS_ON
def test_the_rest_of_a_large_answer_is_waited_for_where_it_has_not_come() -> None:
    async def scenario() -> None:
        with asked_through_a_socket() as (connection, ours, broker, answer):
            body = bytes(4) + b"x" * (2 * SCRATCH_BYTES)
            broker.sendall(encode_size(len(body)) + body[:-1])
            read_once(connection, ours)
            assert not answer.done()
            assert connection.is_open
            broker.sendall(body[-1:])
            read_once(connection, ours)

            assert (await answer).frame == body

    asyncio.run(scenario())


@READS_ON
def test_a_connection_that_ends_within_a_large_answer_is_left_to_the_transport_to_tell() -> None:
    async def scenario() -> None:
        with asked_through_a_socket() as (connection, ours, broker, answer):
            body = bytes(4) + b"x" * (2 * SCRATCH_BYTES)
            broker.sendall(encode_size(len(body)) + body[:-1])
            broker.close()
            read_once(connection, ours)
            assert not answer.done()
            connection.connection_lost(None)

            with pytest.raises(ConnectionLost, match="the broker at h:1 closed the connection"):
                await answer

    asyncio.run(scenario())


@READS_ON
def test_a_connection_that_is_reset_within_a_large_answer_says_so() -> None:
    async def scenario() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        with listener, socket.create_connection(listener.getsockname()) as ours:
            broker, _ = listener.accept()
            connection = Connection(Address("h", 1), client_id="me", timeout_s=30)
            connection.connection_made(_Socketed(ours))
            answer = connection.send(ApiKey.METADATA, 1, b"which topics?")
            body = bytes(4) + b"x" * (2 * SCRATCH_BYTES)
            broker.sendall(encode_size(len(body)) + body[:100])
            beginning = ours.recv_into(connection.get_buffer(-1))
            broker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            broker.close()
            connection.buffer_updated(beginning)

            with pytest.raises(
                ConnectionLost, match="the broker at h:1 closed the connection: Connection reset by peer"
            ):
                await answer

    asyncio.run(scenario())
