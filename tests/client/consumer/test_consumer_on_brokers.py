"""The consumer against a broker of ours: what it reads, where it begins, what it commits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.consumer import Consumer
from ottla.client.consumer.fetched_batch import DeserializationError
from ottla.client.consumer.listener import RebalanceListener
from ottla.client.consumer.offset_requests import OffsetAndMetadata
from ottla.client.consumer.offsets import CommitFailed
from ottla.client.consumer.subscription import IllegalState
from ottla.client.errors import CannotConnect, ClientClosed
from ottla.protocol.errors import ErrorCode, KafkaError
from support.broker import BrokerProcess, free_fixed_port
from support.consuming import KEEPS_OLD_RECORDS, iterate, make_topic, run, take, texts, until, write, write_evenly

_numbers = itertools.count()


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {"group.initial.rebalance.delay.ms": "0", **KEEPS_OLD_RECORDS}
    with BrokerProcess(tmp_path_factory.mktemp("broker"), settings) as broker:
        yield broker.bootstrap
        assert "Traceback" not in broker.output


@pytest.fixture
def topic(bootstrap: str) -> str:
    name = f"topic-{next(_numbers)}"
    make_topic(bootstrap, name, 2)
    return name


@pytest.fixture
def group() -> str:
    return f"group-{next(_numbers)}"


def consumer(bootstrap: str, *topics: str, **how: Any) -> Consumer[Any, Any]:
    return Consumer(*topics, bootstrap_servers=bootstrap, **{"auto_offset_reset": "earliest", **how})


# -- what is read


def test_every_record_is_read_once_in_the_order_of_its_partition(bootstrap: str, topic: str) -> None:
    values = texts("v", 500)
    write_evenly(bootstrap, topic, values, 2)

    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            read = [each async for each in iterate(reader, len(values))]
            assert sorted(read) == sorted(values)
            assert [each for each in read if each in values[::2]] == values[::2]

    run(scenario())


def test_of_a_batch_that_was_read_to_its_end_nothing_is_left_to_give_in_bulk(bootstrap: str, topic: str) -> None:
    values = texts("v", 6)
    write(bootstrap, topic, values[:3], partition=0)
    write(bootstrap, topic, values[3:], partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            assert await take(reader, 3) == values[:3]
            batch = await reader.getbatch()
            assert batch is not None
            assert [value.decode() for value in batch.values()] == values[3:]

    run(scenario())


def test_all_forms_move_the_same_positions(bootstrap: str, topic: str) -> None:
    values = texts("v", 100)
    for low in range(0, 100, 10):  # ten batches
        write(bootstrap, topic, values[low : low + 10], partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            read = await take(reader, 3)
            read += [each async for each in iterate(reader, 4)]
            batch = await reader.getbatch()
            assert batch is not None
            assert len(batch) == 3  # the rest of the first
            read += [value.decode() for value in batch.values()]
            while len(read) < 100:
                for records in (await reader.getmany(timeout_ms=1000, max_records=7)).values():
                    assert len(records) <= 7
                    read += [record.value.decode() for record in records]
            assert read == values
            assert await reader.position(TopicPartition(topic, 0)) == 100
            assert await reader.getmany(timeout_ms=0) == {}
            assert await reader.getbatch(timeout_ms=0) is None

    run(scenario())


def test_a_record_has_all_that_was_written(bootstrap: str, topic: str) -> None:
    headers = [("h", b"1"), ("h", None)]
    write(bootstrap, topic, ["value"], key="key", headers=headers, partition=1, timestamp=1_700_000_000_123)

    async def scenario() -> None:
        async with consumer(bootstrap, topic, key_deserializer=bytes.decode, value_deserializer=bytes.decode) as reader:
            record = await reader.getone()
            assert (record.topic, record.partition, record.offset) == (topic, 1, 0)
            assert (record.key, record.value, record.headers) == ("key", "value", tuple(headers))
            assert (record.timestamp, record.time.year) == (1_700_000_000_123, 2023)

    run(scenario())


def test_null_is_not_shown_to_a_deserializer(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, [None])

    async def scenario() -> None:
        async with consumer(bootstrap, topic, key_deserializer=int, value_deserializer=int) as reader:
            record = await reader.getone()
            assert (record.key, record.value) == (None, None)

    run(scenario())


def test_a_deserializer_that_raises_says_over_which_record_and_a_seek_leads_past_it(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, ["1", "2", "x", "4"], partition=0)
    here = TopicPartition(topic, 0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic, value_deserializer=int) as reader:
            assert [record.value for record in (await reader.getmany(timeout_ms=30_000))[here]] == [1, 2]
            for _ in range(2):
                with pytest.raises(DeserializationError, match=r"value of topic-.*-0 at offset 2"):
                    await reader.getone()
                with pytest.raises(DeserializationError):
                    await reader.getmany(timeout_ms=100)
            with pytest.raises(DeserializationError):
                async for _ in reader:
                    pass
            assert await reader.position(here) == 2
            reader.seek(here, 3)
            assert (await reader.getone()).value == 4

    run(scenario())


def test_what_a_record_is_refused_for_does_not_grow_however_often_it_is_asked_for(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, ["x"], partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic, value_deserializer=int) as reader:
            for ask in (reader.getone, reader.getmany):
                frames = set[int]()
                for _ in range(3):
                    with pytest.raises(DeserializationError) as raised:
                        await ask()
                    frames.add(len(raised.traceback))
                assert len(frames) == 1

    run(scenario())


def test_a_slow_reader_of_a_large_topic_holds_no_more_than_it_was_allowed(bootstrap: str, topic: str) -> None:
    """Twelve megabytes, a reader that lets a quarter of one be fetched ahead; a batch may pass the bound."""
    for index in range(2):
        write(bootstrap, topic, [b"x" * 10_000] * 600, partition=index)
    bound, largest_batch = 256 * 1024, 1024 * 1024

    async def scenario() -> None:
        how = {"prefetch_max_bytes": bound, "max_partition_fetch_bytes": 64 * 1024}
        async with consumer(bootstrap, topic, **how) as reader:
            count = 0
            async for _ in reader:
                count += 1
                assert reader.prefetched_bytes <= bound + largest_batch
                if count % 10 == 0:
                    await asyncio.sleep(0)  # the fetcher has its turn while the user is busy
                if count == 1200:
                    break
            assert reader._core is not None
            assert reader._core.prefetched.peak_bytes <= bound + largest_batch

    run(scenario())


def test_what_nobody_reads_does_not_keep_out_what_is_read(bootstrap: str, topic: str) -> None:
    """One partition is paused, full of what was fetched of it; the other is read to its end through the same memory."""
    for index in range(2):
        write(bootstrap, topic, [b"x" * 1_000] * 300, partition=index)
    paused, wanted = TopicPartition(topic, 0), TopicPartition(topic, 1)

    async def scenario() -> None:
        how = {"prefetch_max_bytes": 50_000, "max_partition_fetch_bytes": 50_000}
        async with consumer(bootstrap, topic, **how) as reader:
            await reader.getone(paused)
            reader.pause(paused)
            for offset in range(300):
                assert (await reader.getone(wanted)).offset == offset
            reader.resume(paused)
            assert (await reader.getone(paused)).offset == 1

    run(scenario())


def test_a_wait_that_is_cancelled_loses_no_record(bootstrap: str, topic: str) -> None:
    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            waiting = [asyncio.create_task(reader.getone()) for _ in range(3)]
            await reader.position(TopicPartition(topic, 0))
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.to_thread(write, bootstrap, topic, ["a", "b"], partition=0)
            assert await take(reader, 2) == ["a", "b"]

    run(scenario())


# -- where it begins


def test_a_new_reader_begins_at_the_end_unless_told_otherwise(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, ["before"], partition=0)

    async def scenario() -> None:
        async with Consumer(topic, bootstrap_servers=bootstrap) as reader:
            assert await reader.position(TopicPartition(topic, 0)) == 1
            await asyncio.to_thread(write, bootstrap, topic, ["after"], partition=0)
            assert (await reader.getone()).value == b"after"

    run(scenario())


def test_a_reader_may_begin_a_duration_back(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, ["long ago"], partition=0, timestamp=1_000_000_000_000)
    write(bootstrap, topic, ["just now"], partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic, auto_offset_reset=timedelta(hours=1)) as reader:
            assert (await reader.getone()).value == b"just now"
            assert await reader.position(TopicPartition(topic, 1)) == 0

    run(scenario())


def test_without_a_strategy_the_user_is_told_until_it_seeks(bootstrap: str, topic: str, group: str) -> None:
    write(bootstrap, topic, ["a"], partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, group_id=group, auto_offset_reset="none") as reader:
            here = TopicPartition(topic, 0)
            reader.assign([here])
            for _ in range(2):
                with pytest.raises(KafkaError, match=r"nothing is committed of .*: seek") as caught:
                    await reader.getone()
                assert caught.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
            reader.seek(here, 0)
            assert (await reader.getone()).value == b"a"
            reader.seek(here, 99)
            with pytest.raises(KafkaError, match="no offset 99"):
                await reader.getone()

    run(scenario())


def test_an_offset_that_is_gone_is_reset_by_the_strategy(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, ["a"], partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            await take(reader, 1)
            reader.seek(TopicPartition(topic, 0), 99)
            assert (await reader.getone()).offset == 0

    run(scenario())


def test_seeking_leads_anywhere(bootstrap: str, topic: str) -> None:
    here = TopicPartition(topic, 0)
    for number in range(5):
        write(bootstrap, topic, [str(number)], partition=0, timestamp=1_700_000_000_000 + number * 1000)

    async def scenario() -> None:
        async with consumer(bootstrap) as reader:
            reader.assign([here])
            await reader.seek_to_end()
            assert await reader.position(here) == 5
            await reader.seek_to_beginning(here)
            assert await take(reader, 2) == ["0", "1"]
            await reader.seek_to_time(1_700_000_000_000 + 2500, here)
            assert await take(reader, 1) == ["3"]
            await reader.seek_to_time(1_900_000_000_000)
            assert await reader.position(here) == 5
            reader.seek(here, 1)
            assert await take(reader, 2) == ["1", "2"]
            assert reader.lag(here) == 2
            with pytest.raises(IllegalState, match="not assigned"):
                reader.seek(TopicPartition(topic, 1), 0)
            with pytest.raises(ValueError, match="not negative"):
                reader.seek(here, -1)
            with pytest.raises(ValueError, match="fits into 64 bits"):
                reader.seek(here, 2**63)
            for wrong in ("3", 3.0, None):
                with pytest.raises(TypeError, match="an offset is an int"):
                    reader.seek(here, wrong)  # type: ignore[arg-type]
            assert await take(reader, 2) == ["3", "4"]

    run(scenario())


@pytest.mark.parametrize("wrong", [("t", 0), "t", TopicPartition("t", "0"), TopicPartition(7, 0)])  # type: ignore[arg-type]
def test_what_is_no_partition_is_not_assigned_and_others_still_are(bootstrap: str, topic: str, wrong: Any) -> None:
    write(bootstrap, topic, texts("", 1), partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap) as reader:
            with pytest.raises(TypeError, match="a TopicPartition of a name and a number"):
                reader.assign([wrong])
            reader.assign([TopicPartition(topic, 0)])
            assert await take(reader, 1) == ["0"]

    run(scenario())


def test_a_seek_in_the_middle_of_an_iteration_takes_effect_at_once(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, texts("", 10), partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            read = []
            async for record in reader:
                read.append(int(record.value))
                if read == [0, 1, 2]:
                    reader.seek(record.topic_partition, 8)
                if len(read) == 5:
                    break
            assert read == [0, 1, 2, 8, 9]

    run(scenario())


def test_what_is_paused_is_not_handed_out_and_goes_on_where_it_was(bootstrap: str, topic: str) -> None:
    write_evenly(bootstrap, topic, texts("", 20), 2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)

    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            read = []
            async for record in reader:
                if record.partition == 0 and not reader.paused():
                    reader.pause(first)
                read.append(record)
                if len(read) == 11:
                    break
            assert [record.partition for record in read].count(1) == 10
            assert await reader.getmany(timeout_ms=100) == {}
            assert reader.paused() == {first}
            reader.resume(first)
            rest = [await reader.getone(first) for _ in range(9)]
            assert [record.offset for record in rest] == list(range(1, 10))
            assert await reader.position(second) == 10

    run(scenario())


def test_the_log_can_be_asked_about(bootstrap: str, topic: str) -> None:
    write(bootstrap, topic, ["a"], partition=0, timestamp=1_700_000_000_000)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)

    async def scenario() -> None:
        async with consumer(bootstrap, topic) as reader:
            assert await reader.beginning_offsets([first, second]) == {first: 0, second: 0}
            assert await reader.end_offsets([first, second]) == {first: 1, second: 0}
            found = await reader.offsets_for_times({first: 1_600_000_000_000, second: 0})
            assert found[first] is not None
            assert (found[first].offset, found[first].timestamp, found[second]) == (0, 1_700_000_000_000, None)
            assert reader.partitions_for_topic(topic) == {0, 1}
            assert topic in await reader.topics()
            await take(reader, 1)
            assert (reader.highwater(first), reader.lag(first)) == (1, 0)

    run(scenario())


# -- topics that come and grow


def test_a_topic_may_come_later_and_grow(bootstrap: str) -> None:
    name = f"late-{next(_numbers)}"

    async def scenario() -> None:
        how = {"allow_auto_create_topics": False, "metadata_max_age_ms": 200}
        async with consumer(bootstrap, name, **how) as reader:
            waiting = asyncio.create_task(reader.getone())
            await asyncio.to_thread(make_topic, bootstrap, name)
            await asyncio.to_thread(write, bootstrap, name, ["a"])
            assert (await waiting).value == b"a"
            await asyncio.to_thread(grow, bootstrap, name, 3)
            await asyncio.to_thread(write, bootstrap, name, ["b"], partition=2)
            assert (await reader.getone()).value == b"b"

    run(scenario())


def grow(bootstrap: str, name: str, count: int) -> None:
    from confluent_kafka.admin import AdminClient, NewPartitions

    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_partitions([NewPartitions(name, count)])[name].result(30)


def test_a_pattern_reads_topics_that_match_also_those_that_come_later(bootstrap: str, group: str) -> None:
    stem = f"pattern-{next(_numbers)}"
    make_topic(bootstrap, f"{stem}-a")
    write(bootstrap, f"{stem}-a", ["a"])

    async def scenario() -> None:
        async with consumer(bootstrap, group_id=group, metadata_max_age_ms=200) as reader:
            reader.subscribe(pattern=f"{stem}-.*")
            assert await take(reader, 1) == ["a"]
            await asyncio.to_thread(make_topic, bootstrap, f"{stem}-b")
            await asyncio.to_thread(write, bootstrap, f"{stem}-b", ["b"])
            assert await take(reader, 1) == ["b"]
            assert reader.subscription() == {f"{stem}-a", f"{stem}-b"}

    run(scenario())


def test_a_name_that_no_topic_can_have_is_an_error_at_once(bootstrap: str) -> None:
    async def scenario() -> None:
        async with consumer(bootstrap, "not a name") as reader:
            with pytest.raises(KafkaError, match="no topic can have this name"):
                await reader.getone()

    run(scenario())


# -- what is committed


def test_a_group_goes_on_where_it_stopped(bootstrap: str, topic: str, group: str) -> None:
    values = texts("v", 20)
    write(bootstrap, topic, values, partition=0)

    async def scenario() -> None:
        read: list[str] = []
        for _ in range(4):
            async with consumer(bootstrap, topic, group_id=group) as reader:
                read += await take(reader, 5)
        assert read == values

    run(scenario())


def test_a_record_over_which_the_user_fails_is_read_again(bootstrap: str, topic: str, group: str) -> None:
    write(bootstrap, topic, texts("", 3), partition=0)

    async def scenario() -> None:
        async def fail_over_the_second() -> None:
            async with consumer(bootstrap, topic, group_id=group) as reader:
                async for record in reader:
                    1 // (1 - int(record.value))

        with pytest.raises(ZeroDivisionError):
            await fail_over_the_second()
        reader = consumer(bootstrap, topic, group_id=group)
        await reader.start()
        assert await take(reader, 1) == ["1"]
        await reader.stop()  # as from a `finally`: what is in hand may not be done
        async with consumer(bootstrap, topic, group_id=group) as reader:
            assert await take(reader, 2) == ["1", "2"]

    run(scenario())


def test_offsets_are_committed_by_record_by_batch_by_hand_and_without_waiting(
    bootstrap: str, topic: str, group: str
) -> None:
    write(bootstrap, topic, texts("", 6), partition=0)
    here = TopicPartition(topic, 0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic, group_id=group, enable_auto_commit=False) as reader:
            assert await reader.committed(here) is None
            record = await reader.getone()
            await reader.getone()
            await reader.commit(record)
            assert await reader.committed(here) == 1
            await reader.commit()
            assert await reader.committed(here) == 2
            batch = await reader.getbatch()
            assert batch is not None
            await asyncio.gather(reader.commit_soon({here: 3}), reader.commit_soon(batch))
            assert await reader.committed(here) == 6
            await reader.commit({here: OffsetAndMetadata(4, "a note")})
            assert await reader.committed_metadata(here) == OffsetAndMetadata(4, "a note", -1)
            assert await reader.seek_to_committed() == {here: 4, TopicPartition(topic, 1): 0}
            assert await take(reader, 1) == ["4"]
        async with consumer(bootstrap, topic, group_id=group) as reader:
            assert await take(reader, 1) == ["4"]
        async with consumer(bootstrap, topic) as reader:
            with pytest.raises(IllegalState, match="no group_id"):
                await reader.commit()

    run(scenario())


def test_positions_are_committed_in_the_background_up_to_what_is_in_hand(
    bootstrap: str, topic: str, group: str
) -> None:
    write(bootstrap, topic, texts("", 3), partition=0)
    here = TopicPartition(topic, 0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic, group_id=group, auto_commit_interval_ms=50) as reader:
            await take(reader, 3)
            while await reader.committed(here) in (None, 0):
                pass
            assert await reader.committed(here) == 2

    run(scenario())


# -- groups


class Recording(RebalanceListener):
    """Notes what it is told; waits a little, as one that flushes would."""

    def __init__(self) -> None:
        self.told: list[tuple[str, frozenset[TopicPartition]]] = []

    async def on_partitions_revoked(self, revoked: frozenset[TopicPartition]) -> None:
        await asyncio.sleep(0)
        self.told.append(("revoked", revoked))

    def on_partitions_assigned(self, assigned: frozenset[TopicPartition]) -> None:
        self.told.append(("assigned", assigned))

    def on_partitions_lost(self, lost: frozenset[TopicPartition]) -> None:
        self.told.append(("lost", lost))


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "sticky", "cooperative-sticky"])
def test_members_come_and_go_and_every_record_is_read_once(bootstrap: str, group: str, strategy: str) -> None:
    name = f"shared-{strategy}-{next(_numbers)}"
    make_topic(bootstrap, name, 4)
    how = {"group_id": group, "partition_assignment_strategy": (strategy,), "heartbeat_interval_ms": 50}
    read: list[str] = []

    def note(record: Any) -> None:
        """The reader asks for the next at once: what is in hand when it is cancelled would come again."""
        read.append(record.value.decode())

    async def work(reader: Consumer[Any, Any]) -> None:
        async for record in reader:
            note(record)

    async def scenario() -> None:
        values = texts("v", 300)
        async with consumer(bootstrap, name, **how) as first:
            tasks = [asyncio.create_task(work(first))]
            await asyncio.to_thread(write_evenly, bootstrap, name, values[:100], 4)
            second = consumer(bootstrap, name, **how)
            await second.start()
            tasks.append(asyncio.create_task(work(second)))
            await asyncio.to_thread(write_evenly, bootstrap, name, values[100:200], 4)
            await until(lambda: len(second.assignment()) == len(first.assignment()) == 2)
            await until(lambda: len(read) >= 200)
            tasks.pop().cancel()
            await second.stop()
            await asyncio.to_thread(write_evenly, bootstrap, name, values[200:], 4)
            await until(lambda: len(read) >= 300)
            assert sorted(read) == sorted(values)
            tasks.pop().cancel()

    run(scenario())


def test_a_listener_is_told_of_what_comes_and_goes_and_may_commit_and_seek(
    bootstrap: str, topic: str, group: str
) -> None:
    write(bootstrap, topic, texts("", 5), partition=0)
    here = TopicPartition(topic, 0)

    async def scenario() -> None:
        reader = consumer(bootstrap, group_id=group, enable_auto_commit=False)

        class Manual(Recording):
            async def on_partitions_revoked(self, revoked: frozenset[TopicPartition]) -> None:
                await reader.commit()
                await super().on_partitions_revoked(revoked)

            def on_partitions_assigned(self, assigned: frozenset[TopicPartition]) -> None:
                super().on_partitions_assigned(assigned)
                reader.seek(here, 3)

        listener = Manual()
        reader.subscribe([topic], listener=listener)
        async with reader:
            assert await take(reader, 1) == ["3"]
            reader.subscribe([topic, "another"], listener=listener)
            while len(listener.told) < 3:
                await reader.getmany(timeout_ms=10)
            assert await reader.committed(here) in (4, 5)
        both = frozenset({here, TopicPartition(topic, 1)})
        assert listener.told[:3] == [("assigned", both), ("revoked", both), ("assigned", both)]

    run(scenario())


def test_a_user_that_does_not_come_back_in_time_loses_its_partitions_until_it_does(
    bootstrap: str, topic: str, group: str
) -> None:
    write(bootstrap, topic, ["a", "b"], partition=0)

    async def scenario() -> None:
        listener = Recording()
        reader = consumer(bootstrap, group_id=group, max_poll_interval_ms=300)
        reader.subscribe([topic], listener=listener)
        async with reader:
            assert await take(reader, 1) == ["a"]
            await until(lambda: not reader.assignment())
            async with consumer(bootstrap, topic, group_id=group) as other:
                assert await take(other, 2) == ["a", "b"]  # the first was in hand, and not committed
            assert [kind for kind, _ in listener.told] == ["assigned", "lost"]
            waiting = asyncio.create_task(reader.getone())
            await until(lambda: bool(reader.assignment()))
            waiting.cancel()

    run(scenario())


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_listener_may_commit_when_the_consumer_is_stopped(
    bootstrap: str, topic: str, group: str, protocol: str, waits: bool
) -> None:
    write(bootstrap, topic, ["a", "b", "c"], partition=0)
    here = TopicPartition(topic, 0)
    how: dict[str, Any] = {"group_id": group, "group_protocol": protocol, "enable_auto_commit": False}

    async def scenario() -> None:
        reader = consumer(bootstrap, **how)

        class Committing(Recording):
            async def on_partitions_revoked(self, revoked: frozenset[TopicPartition]) -> None:
                if waits:
                    await reader.commit({here: await reader.position(here)})
                else:
                    for offset in (0, 1, 2):
                        reader.commit_soon({here: offset})
                await super().on_partitions_revoked(revoked)

        listener = Committing()
        reader.subscribe([topic], listener=listener)
        async with reader:
            assert await take(reader, 2) == ["a", "b"]
        assert [kind for kind, _ in listener.told] == ["assigned", "revoked"]
        with pytest.raises(ClientClosed):
            await reader.commit()
        async with consumer(bootstrap, topic, **how) as reader:
            assert await reader.committed(here) == 2

    run(scenario())


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_who_did_not_come_back_in_time_cannot_commit_over_who_read_on(
    bootstrap: str, topic: str, group: str, protocol: str
) -> None:
    write(bootstrap, topic, ["a", "b"], partition=0)
    how: dict[str, Any] = {"group_id": group, "group_protocol": protocol, "enable_auto_commit": False}

    async def scenario() -> None:
        async with consumer(bootstrap, topic, max_poll_interval_ms=300, **how) as late:
            record = await late.getone()
            await until(lambda: not late.assignment())
            async with consumer(bootstrap, topic, **how) as other:
                assert await take(other, 2) == ["a", "b"]
                await other.commit()
            for what in (record, {record.topic_partition: 1}, None):
                with pytest.raises(CommitFailed, match="went on without this consumer"):
                    await late.commit(what)
                with pytest.raises(CommitFailed, match="went on without this consumer"):
                    await late.commit_soon(what)
            assert await late.committed(record.topic_partition) == 2

    run(scenario())


def test_a_static_member_that_comes_back_has_what_it_had_without_a_rebalance(
    bootstrap: str, topic: str, group: str
) -> None:
    async def scenario() -> None:
        how = {"group_id": group, "heartbeat_interval_ms": 50, "session_timeout_ms": 30_000}
        listener = Recording()
        other = consumer(bootstrap, group_instance_id="other", **how)
        other.subscribe([topic], listener=listener)
        async with other:
            for _ in range(3):
                async with consumer(bootstrap, topic, group_instance_id="me", **how) as me:
                    while not me.assignment() or len(other.assignment()) > 1:
                        await other.getmany(timeout_ms=10)
                    mine = me.assignment()
                    assert len(mine) == 1
            assert len(listener.told) <= 3

    run(scenario())


def test_two_members_with_one_instance_id_are_told_apart(bootstrap: str, topic: str, group: str) -> None:
    async def scenario() -> None:
        how = {"group_id": group, "group_instance_id": "me", "heartbeat_interval_ms": 50}
        async with consumer(bootstrap, topic, **how) as old:
            while not old.assignment():
                await old.getmany(timeout_ms=10)
            async with consumer(bootstrap, topic, **how) as new:
                while not new.assignment():
                    await new.getmany(timeout_ms=10)
                with pytest.raises(KafkaError, match="same group_instance_id"):
                    await old.getone()

    run(scenario())


def test_unsubscribing_leaves_the_group_and_another_subscription_joins_it_again(
    bootstrap: str, topic: str, group: str
) -> None:
    write(bootstrap, topic, ["a"], partition=0)

    async def scenario() -> None:
        async with consumer(bootstrap, topic, group_id=group) as reader:
            assert await take(reader, 1) == ["a"]
            reader.unsubscribe()
            assert (reader.assignment(), reader.subscription()) == (frozenset(), frozenset())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await reader.getone()
            reader.subscribe([topic])
            await asyncio.to_thread(write, bootstrap, topic, ["b"], partition=0)
            while "b" not in await take(reader, 1):
                pass

    run(scenario())


# -- its life


def test_a_broker_that_is_not_there_is_named(bootstrap: str) -> None:
    port = free_fixed_port()

    async def scenario() -> None:
        with pytest.raises(CannotConnect, match=f"127.0.0.1:{port}"):
            await consumer(f"127.0.0.1:{port}", "t", request_timeout_ms=300).start()

    run(scenario())


def test_a_stopped_consumer_says_so_also_to_those_who_wait(bootstrap: str, topic: str) -> None:
    async def scenario() -> None:
        reader = consumer(bootstrap, topic)
        with pytest.raises(ClientClosed, match="not started"):
            await reader.getone()
        await reader.start()
        waiting = asyncio.create_task(reader.getone())
        await reader.position(TopicPartition(topic, 0))
        await reader.stop()
        await reader.stop()
        with pytest.raises(ClientClosed):
            await waiting
        with pytest.raises(ClientClosed):
            await reader.start()

    run(scenario())


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"isolation_level": "committed"}, "read_committed"),
        ({"partition_assignment_strategy": ["best"]}, "known are range"),
        ({"heartbeat_interval_ms": 50_000}, "must be below"),
        ({"fetch_max_bytes": 0}, "at least 1"),
        ({"auto_offset_reset": "first"}, "write earliest"),
        ({"group_instance_id": "me"}, "no group_id"),
        ({"group_protocol": "new"}, "classic or consumer"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_at_once(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Consumer("t", **arguments)


def test_only_one_way_to_say_what_to_read_at_a_time() -> None:
    reader = Consumer("t")
    with pytest.raises(IllegalState, match="reads topics already"):
        reader.assign([TopicPartition("t", 0)])
    with pytest.raises(TypeError, match="several topics"):
        reader.subscribe("t")
    with pytest.raises(ValueError, match="either topics or a pattern"):
        reader.subscribe(["t"], pattern=".*")
