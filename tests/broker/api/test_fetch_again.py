"""A connection's second Fetch beside its first: served with fewer steps, answered as if it were the first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ottla.broker.connection import Connection
from ottla.broker.partition import Partition
from ottla.protocol.apis import ApiKey
from ottla.protocol.compression import Codec
from ottla.protocol.frames import encode_frame
from ottla.protocol.messages import Message, encode_request, encode_request_header
from ottla.protocol.records import BatchBuilder, ControlType, EndTxnMarker
from ottla.storage.log import TransactionEnd
from support.asking import Asker, with_broker
from support.batches import batch
from support.loopless import MemoryTransport

NOBODY = UUID(int=9)


class Reader:
    """One connection of the broker, without a socket."""

    def __init__(self, ask: Asker, version: int = 16, **how: Any) -> None:
        self.transport = MemoryTransport()
        self.connection = Connection(ask.broker.server, "PLAINTEXT")
        self.connection.connection_made(self.transport)
        self._version = version
        self._how = how

    def send(self, *wanted: tuple[UUID, int, int], **how: Any) -> None:
        """A request for topic, index and offset of each."""
        topics = [
            Message(
                topic_id=topic,
                topic="t",
                partitions=[
                    Message(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20, **self._of_each(how))
                ],
            )
            for topic, index, offset in wanted
        ]
        fields = {"max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1 << 20, "isolation_level": 0, "session_id": 0}
        message = Message(
            **{**fields, "session_epoch": -1, "forgotten_topics_data": [], "rack_id": "", **self._how, **how},
            topics=topics,
        )
        header = encode_request_header(ApiKey.FETCH, self._version, 7, "r")
        received = encode_frame(header, encode_request(ApiKey.FETCH, self._version, message))
        self.connection.get_buffer(-1)[: len(received)] = received
        self.connection.buffer_updated(len(received))

    def _of_each(self, how: dict[str, Any]) -> dict[str, Any]:
        return {"current_leader_epoch": how.pop("leader_epoch", -1), "last_fetched_epoch": how.pop("fetched_epoch", -1)}

    async def answer(self) -> bytes:
        """All that comes until a whole response is there."""
        received = b""
        while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
            await asyncio.sleep(0)
            received += self.transport.take()
        return received

    async def asks(self, *wanted: tuple[UUID, int, int], **how: Any) -> bytes:
        self.send(*wanted, **how)
        return await self.answer()


def fetched(
    tmp_path: Path, test: Callable[[Asker, UUID, Partition], Awaitable[None]], records: int = 3, **configs: str
) -> None:
    async def run(ask: Asker) -> None:
        made = await ask.create("t", 2, **configs)
        for number in range(records):
            ask.append("t", b"%d" % number)
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        await test(ask, made.topic_id, partition)

    with_broker(tmp_path, run)


REQUESTS: dict[str, tuple[list[tuple[UUID | None, int, int]], dict[str, Any]]] = {
    "records": ([(None, 0, 1)], {}),
    "nothing": ([(None, 0, 3)], {}),
    "out of range": ([(None, 0, 4)], {}),
    "two partitions": ([(None, 0, 1), (None, 1, 0)], {}),
    "no such index": ([(None, 2, 0)], {}),
    "no such topic": ([(NOBODY, 0, 0)], {}),
    "an old leader epoch": ([(None, 0, 1)], {"leader_epoch": 9}),
    "a diverging history": ([(None, 0, 1)], {"fetched_epoch": 0}),
    "an impossible limit": ([(None, 0, 1)], {"max_bytes": -1}),
    "an unknown isolation": ([(None, 0, 1)], {"isolation_level": 3}),
    "an unknown session": ([(None, 0, 1)], {"session_id": 5, "session_epoch": 3}),
    "nothing at all": ([], {}),
}


@pytest.mark.parametrize("isolation_level", [0, 1])
@pytest.mark.parametrize("version", [7, 10, 11, 12, 13, 18])
def test_the_second_request_is_answered_as_the_first(tmp_path: Path, version: int, isolation_level: int) -> None:
    async def test(ask: Asker, topic: UUID, partition: Partition) -> None:
        for what, (wanted, how) in REQUESTS.items():
            named = [(topic if each is None else each, index, offset) for each, index, offset in wanted]
            how = {"isolation_level": isolation_level, **how}
            reader = Reader(ask, version)
            first = await reader.asks(*named, **how)
            assert len(reader.connection.lanes) == 1, what
            assert await reader.asks(*named, **how) == first, what
            assert len(reader.connection.lanes) == 1, what

    fetched(tmp_path, test)


def test_a_reader_of_committed_records_is_told_what_was_aborted_whichever_way_it_asks(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID, partition: Partition) -> None:
        reader = Reader(ask, isolation_level=1)
        before = await reader.asks((topic, 0, 0))
        builder = BatchBuilder(producer_id=5, producer_epoch=0, base_sequence=0, is_transactional=True)
        builder.append(1, None, b"never")
        partition.append(memoryview(builder.build()), version=9, now_ms=1)
        assert await reader.asks((topic, 0, 0)) != before, "the high watermark moved"
        partition.end_transaction(TransactionEnd(5, 0, EndTxnMarker(ControlType.ABORT, 0), 1, 1), now_ms=1)
        first = await Reader(ask, isolation_level=1).asks((topic, 0, 0))
        assert await reader.asks((topic, 0, 0)) == first
        assert (5).to_bytes(8, "big") + (3).to_bytes(8, "big") in first

    fetched(tmp_path, test)


def test_a_reader_at_the_tail_gets_each_batch_as_it_comes(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID, partition: Partition) -> None:
        reader = Reader(ask, max_wait_ms=60_000)
        await reader.asks((topic, 0, 0))
        for offset in range(3, 9):
            reader.send((topic, 0, offset))
            await asyncio.sleep(0)
            assert reader.transport.take() == b"", "there is nothing yet"
            partition.append(memoryview(batch(b"next-%d" % offset)), version=13, now_ms=1)
            assert b"next-%d" % offset in await reader.answer()
        assert not partition.waits

    fetched(tmp_path, test)


def numbered(value: bytes, sequence: int, *, epoch: int = 0) -> memoryview:
    """A batch of a transaction."""
    builder = BatchBuilder(producer_id=5, producer_epoch=epoch, base_sequence=sequence, is_transactional=True)
    builder.append(1, None, value)
    return memoryview(builder.build())


def ended(partition: Partition, how: ControlType) -> None:
    partition.end_transaction(TransactionEnd(5, 0, EndTxnMarker(how, 0), 1, 1), now_ms=1)


def append(partition: Partition, *values: bytes) -> None:
    for value in values:
        partition.append(memoryview(batch(value)), version=13, now_ms=1)


async def delete_topic(ask: Asker, topic: UUID) -> None:
    await ask(ApiKey.DELETE_TOPICS, 6, topics=[Message(topic_id=topic, name=None)], timeout_ms=10_000)


def append_folded(partition: Partition) -> None:
    builder = BatchBuilder(codec=Codec.GZIP)
    builder.append(1, None, b"folded" * 50)
    partition.append(memoryview(builder.build()), version=13, now_ms=1)


async def delete_records(partition: Partition) -> None:
    append(partition, b"gone", b"stays")
    await partition.delete_before(partition.high_watermark - 1)


async def empty_the_log(partition: Partition) -> None:
    await partition.delete_before(partition.high_watermark)


AT_THE_END: dict[str, Callable[[Asker, UUID, Partition], Awaitable[None] | None]] = {
    "one small batch": lambda ask, topic, partition: append(partition, b"next"),
    "two batches": lambda ask, topic, partition: append(partition, b"next", b"and the next"),
    "a batch too large to keep": lambda ask, topic, partition: append(partition, bytes(20_000)),
    "more than its limit": lambda ask, topic, partition: append(partition, bytes(700_000), bytes(700_000)),
    "a compressed batch": lambda ask, topic, partition: append_folded(partition),
    "a transaction begins": lambda ask, topic, partition: partition.append(numbered(b"open", 0), version=9, now_ms=1),
    "a transaction is committed": lambda ask, topic, partition: (
        partition.append(numbered(b"in", 0), version=9, now_ms=1),
        ended(partition, ControlType.COMMIT),
    ),
    "a transaction is aborted, and more comes": lambda ask, topic, partition: (
        partition.append(numbered(b"out", 0), version=9, now_ms=1),
        ended(partition, ControlType.ABORT),
        append(partition, b"next"),
    ),
    "records are deleted": lambda ask, topic, partition: delete_records(partition),
    "all records are deleted": lambda ask, topic, partition: empty_the_log(partition),
    "the topic is deleted": lambda ask, topic, partition: delete_topic(ask, topic),
    "the leader's epoch ends": lambda ask, topic, partition: (
        setattr(partition, "leader_epoch", 7) or append(partition, b"n")
    ),
    "nothing": lambda ask, topic, partition: None,
}


@pytest.mark.parametrize("comes", ["before", "after"])
@pytest.mark.parametrize("in_session", [False, True])
@pytest.mark.parametrize("isolation_level", [0, 1])
def test_a_reader_at_the_end_is_told_the_same_whichever_way_it_came(
    tmp_path: Path, isolation_level: int, in_session: bool, comes: str
) -> None:
    """It comes before something happens, and waits, or just after it."""

    async def test_one(ask: Asker, what: str) -> None:
        made = await ask.create(f"topic-{list(AT_THE_END).index(what)}")
        topic, partition = made.topic_id, ask.broker.partitions.find(made.topic_id, 0)
        assert partition is not None
        append(partition, b"1", b"2")
        how = {
            "max_wait_ms": 40 if what == "nothing" or (what, comes) == ("all records are deleted", "after") else 60_000,
            "isolation_level": isolation_level,
            "leader_epoch": 0,
        }
        readers = {"known": Reader(ask, 18), "new": Reader(ask, 18)}
        sessions = {}
        for name, reader in readers.items():
            first = await reader.asks((topic, 0, 0), **how, session_epoch=0 if in_session else -1)
            sessions[name] = int.from_bytes(first[15:19], "big")
            if in_session:  # a lane is for a session's second request and the later ones
                await reader.asks((topic, 0, 1), **how, session_id=sessions[name], session_epoch=1)
        readers["new"].connection.lanes = ()

        def send() -> None:
            for name, reader in readers.items():
                session = {"session_id": sessions[name], "session_epoch": 2 if in_session else -1}
                reader.send((topic, 0, 2), **how, **session)

        if comes == "before":
            send()
            assert all(reader.transport.take() == b"" for reader in readers.values()), "there is nothing yet"
        happened = AT_THE_END[what](ask, topic, partition)
        if isinstance(happened, Awaitable):
            await happened
        if comes == "after":
            send()
        if isolation_level and what == "a transaction begins":
            ended(partition, ControlType.COMMIT)  # or they would wait for the end of their time
        answers = {name: bytearray(await reader.answer()) for name, reader in readers.items()}
        for answer in answers.values():
            answer[15:19] = bytes(4)  # the id of a session is the reader's own
        assert answers["known"] == answers["new"], what
        assert not partition.waits

    async def test(ask: Asker, topic: UUID, partition: Partition) -> None:
        for what in AT_THE_END:
            await test_one(ask, what)

    fetched(tmp_path, test)


def test_in_a_session_only_what_changed_is_asked_and_told(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID, partition: Partition) -> None:
        reader = Reader(ask)
        whole = await reader.asks((topic, 0, 0), (topic, 1, 0), session_epoch=0)
        session = int.from_bytes(whole[15:19], "big")
        assert session > 0
        empty = await reader.asks((topic, 0, 3), session_id=session, session_epoch=1)
        for epoch in range(2, 8):
            value = b"next-%d" % epoch
            partition.append(memoryview(batch(value)), version=13, now_ms=1)
            assert value in await reader.asks((topic, 0, epoch + 1), session_id=session, session_epoch=epoch)
        assert len(await reader.asks((topic, 0, 9), session_id=session, session_epoch=8)) == len(empty)
        refused = await reader.asks((topic, 0, 9), session_id=session, session_epoch=8)
        assert refused[13:15] == (71).to_bytes(2, "big"), "INVALID_FETCH_SESSION_EPOCH"

    fetched(tmp_path, test)


def test_a_topic_that_was_deleted_and_made_again_is_another(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID, partition: Partition) -> None:
        reader = Reader(ask)
        assert b"1" in await reader.asks((topic, 0, 1))
        await ask(ApiKey.DELETE_TOPICS, 6, topics=[Message(topic_id=topic, name=None)], timeout_ms=10_000)
        await ask.create("t", 2)
        assert await reader.asks((topic, 0, 1)) == await Reader(ask).asks((topic, 0, 1))

    fetched(tmp_path, test)


def test_a_connection_keeps_few_lanes(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID, partition: Partition) -> None:
        reader = Reader(ask)
        for count in (1, 2, 3, 4, 5, 6, 1):
            await reader.asks(*[(topic, index, 0) for index in range(count)])
        assert len(reader.connection.lanes) == 4

    fetched(tmp_path, test)
