"""A connection's second Produce beside its first: served with fewer steps, answered as if it were the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ottla.broker.flusher import Done
from ottla.broker.partition import Partition
from ottla.broker.waiting import FetchWait
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from ottla.protocol.records import BatchBuilder, Codec
from ottla.storage.log import Appended
from support.asking import Asker, with_broker
from support.batches import batch
from support.socketless import SocketlessClient

VERSION = 13


class Producer:
    """One connection over which batches are produced."""

    def __init__(self, ask: Asker) -> None:
        self._client = SocketlessClient(ask, ApiKey.PRODUCE, VERSION)
        self.connection = self._client.connection

    def send(self, topic: UUID, *batches: bytes | bytearray, index: int = 0, acks: int = 1) -> None:
        """One request for each batch, all of them received at once."""
        sent = [[Message(index=index, records=bytes(each))] for each in batches]
        topics = [Message(topic_id=topic, partition_data=each) for each in sent]
        fields = {"transactional_id": None, "acks": acks, "timeout_ms": 9_000}
        self._client.send(*(Message(**fields, topic_data=[each]) for each in topics))

    async def answers(self, count: int) -> list[Any]:
        """What the next answers say of the partition."""
        return [each.responses[0].partition_responses[0] for each in await self._client.answers(count)]

    async def asks(self, topic: UUID, records: bytes | bytearray, *, index: int = 0, acks: int = 1) -> Any:
        self.send(topic, records, index=index, acks=acks)
        return (await self.answers(1))[0]


def numbered(sequence: int, epoch: int = 0) -> bytearray:
    builder = BatchBuilder(producer_id=5, producer_epoch=epoch, base_sequence=sequence)
    builder.append(1_700_000_000_000, None, b"v")
    return builder.build()


def corrupt() -> bytearray:
    broken = batch(b"a")
    broken[-1] ^= 1
    return broken


def told(answer: Any) -> tuple[int, int, int, str | None]:
    return answer.error_code, answer.base_offset, answer.log_start_offset, answer.error_message


def produced(tmp_path: Path, test: Callable[[Asker, UUID], Awaitable[None]], **configs: str) -> None:
    async def run(ask: Asker) -> None:
        made = await ask.create("t", 2, **configs)
        await test(ask, made.topic_id)

    with_broker(tmp_path, run)


@pytest.mark.parametrize("acks", [1, -1])
def test_many_requests_at_once_are_answered_in_order_with_their_offsets(tmp_path: Path, acks: int) -> None:
    async def test(ask: Asker, topic: UUID) -> None:
        producer = Producer(ask)
        producer.send(topic, *[batch(b"a", b"b")] * 20, acks=acks)
        assert [told(each) for each in await producer.answers(20)] == [(0, 2 * n, 0, None) for n in range(20)]
        assert len(producer.connection.lanes) == 1
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        assert acks == 1 or partition.log.recovery_point == 40

    produced(tmp_path, test)


@pytest.mark.parametrize("acks", [1, -1])
@pytest.mark.parametrize(
    "records",
    [corrupt(), b"", batch(b"a") + batch(b"b"), numbered(9), numbered(2, epoch=-1), numbered(0), batch(b"a" * 2_000)],
    ids=["corrupt", "none", "two batches", "a gap", "an old epoch", "a duplicate", "too large"],
)
def test_what_is_refused_or_known_is_told_as_it_is_to_a_new_connection(
    tmp_path: Path, records: bytes, acks: int
) -> None:
    async def test(ask: Asker, topic: UUID) -> None:
        returning = Producer(ask)
        for sequence in range(3):
            assert (await returning.asks(topic, numbered(sequence), acks=acks)).error_code == 0
        assert len(returning.connection.lanes) == 1

        again, first = (
            await returning.asks(topic, records, acks=acks),
            await Producer(ask).asks(topic, records, acks=acks),
        )

        assert told(again) == told(first)
        assert (await returning.asks(topic, numbered(3), acks=acks)).error_code == 0

    produced(tmp_path, test, max_message_bytes="1000")


def test_a_reader_that_waits_is_told_before_the_sync_of_a_lone_request_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    when_synced = Partition.when_synced

    def noted(partition: Partition, appended: Appended, done: Done, *, deadline: float) -> None:
        happened.append("the sync is asked for")
        when_synced(partition, appended, done, deadline=deadline)

    class Reader(FetchWait):
        def _fire(self) -> None:
            happened.append("the reader is told")

        def fail(self) -> None:
            raise AssertionError("it is told")

    async def test(ask: Asker, topic: UUID) -> None:
        producer = Producer(ask)
        await producer.asks(topic, batch(b"a"), acks=-1)
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        Reader(ask.broker.purgatory, committed=True).begin((partition,), 1, 60_000)
        monkeypatch.setattr(Partition, "when_synced", noted)

        answer = await producer.asks(topic, batch(b"b"), acks=-1)

        assert told(answer) == (0, 1, 0, None)
        assert happened == ["the reader is told", "the sync is asked for"]

    produced(tmp_path, test)


def test_compressed_records_and_the_logs_own_time_take_the_same_way(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID) -> None:
        producer = Producer(ask)
        answers = [await producer.asks(topic, batch(b"a" * 50, codec=codec)) for codec in Codec]
        assert [each.base_offset for each in answers] == list(range(len(Codec)))
        assert all(each.log_append_time_ms > 0 for each in answers)

    produced(tmp_path, test, message_timestamp_type="LogAppendTime")


def test_partitions_of_a_topic_share_a_lane_and_topics_have_their_own(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID) -> None:
        producer = Producer(ask)
        topics = [topic, *[(await ask.create(f"other-{number}")).topic_id for number in range(5)]]
        for count in range(2):
            for index in range(2):
                assert (await producer.asks(topic, batch(b"a"), index=index)).base_offset == count
        assert len(producer.connection.lanes) == 1
        for each in topics:
            assert (await producer.asks(each, batch(b"a"))).error_code == 0
        assert len(producer.connection.lanes) == 4

    produced(tmp_path, test)


def test_a_deleted_topic_and_a_partition_that_never_was_are_not_found(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID) -> None:
        producer = Producer(ask)
        await producer.asks(topic, batch(b"a"))
        missing = await producer.asks(topic, batch(b"a"), index=9)
        await ask(ApiKey.DELETE_TOPICS, 5, topic_names=["t"], timeout_ms=9_000)
        deleted = await producer.asks(topic, batch(b"a"))
        assert (missing.error_code, deleted.error_code) == (
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode.UNKNOWN_TOPIC_ID,
        )

    produced(tmp_path, test)


def test_a_sync_every_so_many_messages_is_waited_for_whatever_the_acks(tmp_path: Path) -> None:
    async def test(ask: Asker, topic: UUID) -> None:
        producer = Producer(ask)
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        for count in range(1, 5):
            await producer.asks(topic, batch(b"a"), acks=1)
            assert partition.log.recovery_point == count // 2 * 2

    produced(tmp_path, test, flush_messages="2")
