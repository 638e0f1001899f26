"""Our producer's transactions, on our broker and on Apache Kafka: what counts, what does not, and who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from ottla import Consumer, Producer, ProducerFenced, TopicPartition, TransactionFailed
from ottla.protocol.errors import KafkaError

pytestmark = pytest.mark.interop

DEADLINE_S = 60
MakeTopic = Callable[..., str]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test()

    asyncio.run(within())


async def committed(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """So many values, as a reader of committed records gets them."""
    async with Consumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    ) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


def test_a_block_that_ends_well_counts_and_one_that_an_exception_leaves_does_not(
    bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic()  # also the transactional id, and the group's

    async def test() -> None:
        async with Producer(bootstrap, transactional_id=topic) as producer:
            async with producer.transaction():
                await producer.send(topic, b"1")
            with pytest.raises(RuntimeError, match="not this one"):  # noqa: PT012 - the block is what fails
                async with producer.transaction():
                    await producer.send_and_wait(topic, b"2")
                    raise RuntimeError("not this one")
            async with producer.transaction():
                await producer.send(topic, b"3")
        assert await committed(bootstrap, topic, 2) == [b"1", b"3"]

    run(test)


def test_records_are_taken_only_in_a_transaction(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()  # also the transactional id, and the group's

    async def test() -> None:
        async with Producer(bootstrap, transactional_id=topic) as producer:
            for ask in (producer.send(topic, b"1"), producer.commit_transaction(), producer.abort_transaction()):
                with pytest.raises(TransactionFailed, match="no transaction is open"):
                    await ask
            await producer.begin_transaction()
            with pytest.raises(TransactionFailed, match="open already"):
                await producer.begin_transaction()
            await producer.abort_transaction()
        async with Producer(bootstrap) as producer:
            with pytest.raises(TransactionFailed, match="no transactional_id"):
                await producer.begin_transaction()

    run(test)


def test_who_was_taken_over_is_told_so_and_what_it_wrote_does_not_count(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()  # also the transactional id, and the group's

    async def test() -> None:
        async with (
            Producer(bootstrap, transactional_id=topic) as first,
        ):
            await first.begin_transaction()
            await first.send_and_wait(topic, b"of the first")
            async with Producer(bootstrap, transactional_id=topic) as second:
                with pytest.raises(ProducerFenced, match=f"another producer has taken the transactional id '{topic}'"):
                    await first.commit_transaction()
                with pytest.raises(ProducerFenced):
                    await first.begin_transaction()
                async with second.transaction():
                    await second.send(topic, b"of the second")
        assert await committed(bootstrap, topic, 1) == [b"of the second"]

    run(test)


def test_a_record_that_is_refused_takes_its_transaction_with_it_and_the_next_goes_on(
    bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic()  # also the transactional id, and the group's

    async def test() -> None:
        sizes = {"max_request_size": 4_000_000, "batch_size": 3_000_000}
        async with Producer(bootstrap, transactional_id=topic, **sizes) as producer:  # type: ignore[arg-type]
            with pytest.raises(TransactionFailed, match="MESSAGE_TOO_LARGE"):  # noqa: PT012 - the block is what fails
                async with producer.transaction():
                    await producer.send_and_wait(topic, b"before")
                    too_large = await producer.send(topic, bytes(2_000_000))
            with pytest.raises(KafkaError, match="MESSAGE_TOO_LARGE"):
                await too_large
            for value in (b"1", b"2"):
                async with producer.transaction():
                    await producer.send(topic, value)
        assert await committed(bootstrap, topic, 2) == [b"1", b"2"]

    run(test)


def test_offsets_count_with_the_transaction_and_a_member_of_an_old_generation_is_refused(
    bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic()  # also the transactional id, and the group's

    async def test() -> None:
        at = TopicPartition(topic, 0)
        async with Producer(bootstrap, transactional_id=topic) as producer:
            async with producer.transaction():
                await producer.send(topic, b"1")
            async with Consumer(
                topic, bootstrap_servers=bootstrap, group_id=topic, auto_offset_reset="earliest",
                isolation_level="read_committed", enable_auto_commit=False,
            ) as consumer:  # fmt: skip
                read = await consumer.getone()
                group = consumer.group_metadata()
                with pytest.raises(RuntimeError):  # noqa: PT012 - the block is what fails
                    async with producer.transaction():
                        await producer.send_offsets_to_transaction({at: read.offset + 1}, group)
                        raise RuntimeError
                assert await consumer.committed(at) is None
                async with producer.transaction():
                    await producer.send_offsets_to_transaction({at: read.offset + 1}, group)
                assert await consumer.committed(at) == read.offset + 1
            with pytest.raises(KafkaError):
                async with producer.transaction():
                    await producer.send_offsets_to_transaction({at: 7}, group)  # its member has left

    run(test)


def test_a_transaction_over_many_partitions_is_whole(bootstrap: str, make_topic: MakeTopic) -> None:
    topics = [make_topic(word=word) for word in "abc"]

    async def test() -> None:
        async with Producer(bootstrap, transactional_id=topics[0]) as producer:
            for number in range(20):
                async with producer.transaction():
                    for topic in topics:
                        await producer.send(topic, b"%d" % number)
        for topic in topics:
            assert await committed(bootstrap, topic, 20) == [b"%d" % number for number in range(20)]

    run(test)
