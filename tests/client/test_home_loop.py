"""A client that is used away from the loop it was started on says so, and goes on there as if nothing had been."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from ottla.client.admin import Admin, TopicPartition
from ottla.client.consumer.consumer import Consumer
from ottla.client.errors import ClientClosed
from ottla.client.home_loop import must_be_on
from ottla.client.producer import Producer
from support.broker import BrokerProcess
from support.consuming import make_topic, run, texts, write

T = TypeVar("T")
Elsewhere = Callable[[asyncio.Runner, Coroutine[Any, Any, Any]], Any]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with BrokerProcess(tmp_path_factory.mktemp("broker")) as broker:
        yield broker.bootstrap


@pytest.fixture
def topic(bootstrap: str) -> str:
    name = f"topic-{next(_numbers)}"
    make_topic(bootstrap, name)
    return name


def in_another_run(home: asyncio.Runner, work: Coroutine[Any, Any, T]) -> T:
    return run(work)


def in_another_thread(home: asyncio.Runner, work: Coroutine[Any, Any, T]) -> T:
    """While the home loop runs, too."""

    async def meanwhile() -> T:
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(run, work).result()

    return home.run(meanwhile())


everywhere_else = pytest.mark.parametrize("elsewhere", [in_another_run, in_another_thread])


async def called(act: Callable[[], Any]) -> Any:
    """What does not wait, called on the loop that runs this."""
    result = act()
    return await result if isinstance(result, Awaitable) else result


def refused(home: asyncio.Runner, elsewhere: Elsewhere, who: str, *acts: Callable[[], Any]) -> None:
    for act in acts:
        with pytest.raises(RuntimeError, match=f"^the {who} was started on another event loop; start it, use it and"):
            elsewhere(home, called(act))


@everywhere_else
def test_a_producer_says_that_it_is_not_on_its_loop(bootstrap: str, topic: str, elsewhere: Elsewhere) -> None:
    producer = Producer[bytes, bytes](bootstrap, transactional_id=f"id-of-{topic}")

    async def write_one() -> int:
        async with producer.transaction():
            return (await producer.send_and_wait(topic, b"a")).offset

    with asyncio.Runner() as home:
        home.run(producer.start())
        first = home.run(write_one())
        refused(
            home,
            elsewhere,
            "producer",
            lambda: producer.send_batch([b"x"], topic),
            lambda: producer.partitions_for(topic),
            producer.flush,
            producer.begin_transaction,
            producer.abort_transaction,
            producer.stop,
        )
        assert home.run(write_one()) == first + 2  # the other one is the commit
        home.run(producer.stop())


@everywhere_else
def test_a_record_sent_from_another_loop_is_not_taken(bootstrap: str, topic: str, elsewhere: Elsewhere) -> None:
    producer = Producer[bytes, bytes](bootstrap)
    with asyncio.Runner() as home:
        home.run(producer.start())
        refused(home, elsewhere, "producer", lambda: producer.send(topic, b"x"))  # whose topic is not known yet
        home.run(producer.send_and_wait(topic, b"a"))
        refused(home, elsewhere, "producer", lambda: producer.send(topic, b"x"))
        assert home.run(producer.send_and_wait(topic, b"b")).offset == 1
        home.run(producer.stop())


@everywhere_else
def test_what_is_under_way_is_awaited_on_the_loop_of_its_producer(
    bootstrap: str, topic: str, elsewhere: Elsewhere
) -> None:
    producer = Producer[bytes, bytes](bootstrap, linger_ms=60_000)

    async def awaited(delivery: Awaitable[T]) -> T:
        return await delivery

    with asyncio.Runner() as home:
        home.run(producer.start())
        alone = home.run(producer.send(topic, b"a"))
        bulk = home.run(producer.send_batch([b"b", b"c"], topic))
        refused(home, elsewhere, "producer", lambda: awaited(bulk))
        with pytest.raises(RuntimeError, match="different loop"):  # asyncio's own words
            elsewhere(home, awaited(alone))
        home.run(producer.stop())
        assert [each.count for each in elsewhere(home, awaited(bulk))] == [2]


@everywhere_else
def test_a_consumer_without_a_group_says_that_it_is_not_on_its_loop(
    bootstrap: str, topic: str, elsewhere: Elsewhere
) -> None:
    write(bootstrap, topic, ["a"])
    here = TopicPartition(topic, 0)
    reader = Consumer[bytes, bytes](topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")

    async def iterate() -> None:
        async for _ in reader:
            pass

    with asyncio.Runner() as home:
        home.run(reader.start())
        assert home.run(reader.getone()).value == b"a"
        refused(
            home,
            elsewhere,
            "consumer",
            reader.start,
            iterate,
            reader.getone,
            lambda: reader.getmany(timeout_ms=60_000),
            reader.getbatch,
            lambda: reader.position(here),
            lambda: reader.seek(here, 0),
            reader.seek_to_beginning,
            lambda: reader.pause(here),
            lambda: reader.resume(here),
            lambda: reader.assign([here]),
            lambda: reader.subscribe([topic]),
            reader.unsubscribe,
            lambda: reader.end_offsets([here]),
            lambda: reader.partitions_for_topic("other"),
            reader.topics,
            reader.stop,
        )
        assert reader.assignment() == {here}
        write(bootstrap, topic, ["b"])
        assert home.run(reader.getone()).value == b"b"
        home.run(reader.stop())


@everywhere_else
def test_a_member_of_a_group_says_that_it_is_not_on_its_loop(bootstrap: str, topic: str, elsewhere: Elsewhere) -> None:
    write(bootstrap, topic, ["a", "b"])
    reader = Consumer[bytes, bytes](
        topic, bootstrap_servers=bootstrap, group_id=f"group-of-{topic}", auto_offset_reset="earliest"
    )
    with asyncio.Runner() as home:
        home.run(reader.start())
        home.run(reader.getone())
        refused(home, elsewhere, "consumer", reader.commit, reader.commit_soon, reader.getmany, reader.stop)
        assert home.run(reader.getone()).value == b"b"
        home.run(reader.stop())


def test_what_was_begun_is_read_to_its_end_on_any_loop_and_no_further(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, texts("v", 3))
    reader = Consumer[bytes, bytes](topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    with asyncio.Runner() as home:
        home.run(reader.start())
        assert [home.run(reader.getone()).value, *(run(reader.getone()).value for _ in range(2))] == [
            b"v0",
            b"v1",
            b"v2",
        ]
        refused(home, in_another_run, "consumer", reader.getone)
        home.run(reader.stop())


@everywhere_else
def test_an_admin_is_at_home_where_it_is_first_used(bootstrap: str, topic: str, elsewhere: Elsewhere) -> None:
    admin = Admin(bootstrap)
    with asyncio.Runner() as home:
        home.run(admin.list_topics())
        refused(
            home,
            elsewhere,
            "admin",
            admin.start,
            admin.list_topics,
            admin.list_groups,
            lambda: admin.delete_topics([topic]),
            lambda: admin.delete_groups(["g"]),
            lambda: admin.delete_records({TopicPartition(topic, 0): 0}),
            admin.close,
        )
        assert topic in [each.name for each in home.run(admin.list_topics())]
        home.run(admin.close())


def test_what_was_stopped_says_so_on_any_loop(bootstrap: str, topic: str) -> None:
    producer, reader, admin = Producer(bootstrap), Consumer(topic, bootstrap_servers=bootstrap), Admin(bootstrap)

    async def use() -> None:
        async with producer, reader, admin:
            await admin.list_topics()

    async def use_again() -> None:
        await producer.stop()
        await reader.stop()
        await admin.close()
        for again in (producer.start(), producer.send(topic), reader.start(), reader.getone(), admin.list_topics()):
            with pytest.raises(ClientClosed):
                await again

    run(use())
    run(use_again())


def test_between_the_runs_of_its_loop_what_does_not_wait_needs_none() -> None:
    with asyncio.Runner() as home:
        must_be_on(home.get_loop(), "client")
    with pytest.raises(RuntimeError, match="the client was started on another event loop"):
        must_be_on(home_of_the_past(), "client")


def home_of_the_past() -> asyncio.AbstractEventLoop:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    return run(loop())
