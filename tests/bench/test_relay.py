"""The floor for whole clients: librdkafka takes it for a broker, it keeps and hands on what it is given, and leaves nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from ottla.protocol.batch_header import crc_is_valid, iter_headers
from support.log_content import batches_in

from bench.core import floor
from bench.load import end_to_end, least_log, librdkafka, wire
from bench.load.frames import Frames
from bench.load.least_log import LeastLog

PARTITIONS = 4
AT_ONCE_BYTES = 16
PATIENCE_S = 60.0


@given(st.lists(st.integers(1, 3 * AT_ONCE_BYTES), max_size=6), st.data())
def test_frames_come_whole_however_they_were_cut(sizes: list[int], data: st.DataObject) -> None:
    sent = [bytes([number]) * size for number, size in enumerate(sizes)]
    stream = b"".join(wire.SIZE.pack(len(each)) + each for each in sent)
    frames, got = Frames(AT_ONCE_BYTES), []
    while stream:
        target = frames.target()
        count = data.draw(st.integers(1, min(len(target), len(stream))))
        target[:count] = stream[:count]
        stream = stream[count:]
        frames.received(count)
        while (frame := frames.next()) is not None:
            got.append(bytes(frame))
        frames.make_room()

    assert got == sent


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
def test_a_log_is_read_in_whole_batches_as_many_as_fit_and_at_least_one(counts: list[int], data: st.DataObject) -> None:
    batches = [bytearray(wire.batch(count, 10)) for count in counts]
    offset = data.draw(st.integers(0, sum(counts) - 1))
    most_bytes = data.draw(st.integers(0, sum(map(len, batches)) + 1))

    async def use() -> bytes:
        with tempfile.TemporaryDirectory() as directory:
            log = LeastLog(Path(directory) / "log", synced=False)
            for each in batches:
                log.append(memoryview(each))
            return log.read(offset, most_bytes)

    read = asyncio.run(use())  # first, for a log writes the offsets into its batches

    owners = [number for number, count in enumerate(counts) for _ in range(count)]
    wanted = bytes(batches[owners[offset]])
    for each in batches[owners[offset] + 1 :]:
        if len(wanted) + len(each) > most_bytes:
            break
        wanted += each
    assert read == wanted


def test_a_log_gives_offsets_tells_those_that_wait_once_and_knows_where_its_last_batches_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_log, "MOST_BATCHES", 2)
    told: list[bytes] = []

    async def use() -> None:
        log = LeastLog(tmp_path / "log", synced=False)
        log.wait(lambda batch: told.append(bytes(batch)))
        batches = [bytearray(wire.batch(count, 10)) for count in (3, 1, 2)]

        assert [log.append(memoryview(each)) for each in batches] == [0, 3, 4]
        assert (log.start_offset, log.end_offset) == (3, 6)
        assert told == [bytes(batches[0])]
        assert log.read(3, 1 << 20) == bytes(batches[1] + batches[2])
        assert log.read(5, 1 << 20) == bytes(batches[2])
        with pytest.raises(LookupError):
            log.read(2, 1 << 20)

    asyncio.run(use())


def test_an_answer_for_synced_records_comes_after_them_in_order(tmp_path: Path) -> None:
    async def use() -> list[int]:
        log = LeastLog(tmp_path / "log", synced=True)
        answered: list[int] = []
        all_are = asyncio.Event()
        for number in range(20):
            log.append(memoryview(bytearray(wire.batch(1, 10))))
            log.then(lambda number=number: answered.append(number))
        log.then(all_are.set)
        assert not answered  # nothing is, while the loop does not run
        await asyncio.wait_for(all_are.wait(), 60)
        return answered

    assert asyncio.run(use()) == list(range(20))


@pytest.mark.parametrize("told", ["", "127.0.0.1:1\n"])
def test_it_ends_with_its_standard_input(tmp_path: Path, told: str) -> None:
    command = [sys.executable, "-m", floor.RELAY, str(tmp_path), "written"]
    done = subprocess.run(command, input=told, capture_output=True, text=True, cwd=floor.ROOT, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0


@pytest.mark.interop
def test_records_go_through_it_one_by_one_and_a_later_reader_begins_at_the_end(tmp_path: Path) -> None:
    with floor.relaying(tmp_path, synced=False) as relay, relay.topic() as (topic, _):
        for acks in ("1", "all"):  # each time by new clients; those before left a Fetch that waits
            journey = end_to_end.run(relay.bootstrap, topic, per_second=100, seconds=0.5, acks=acks)
            assert journey.failures == 0
            assert len(journey.latencies_s) == 50
            assert min(journey.latencies_s) > 0
        assert relay.processor_s() > 0

    assert list(tmp_path.iterdir()) == []


@pytest.mark.interop
def test_what_is_produced_in_bulk_lies_in_the_files_record_after_record_and_is_read_from_there(tmp_path: Path) -> None:
    with floor.relaying(tmp_path, synced=True) as relay, relay.topic(PARTITIONS) as (topic, _):
        sent = librdkafka.produce(
            relay.bootstrap, topic, size_bytes=1024, seconds=60, max_records=10_000, partitions=PARTITIONS
        )
        read = librdkafka.consume(relay.bootstrap, topic, partitions=PARTITIONS, records=sent.records)
        logs = [batches_in(tmp_path / floor.FILE / f"{index}.log") for index in range(PARTITIONS)]

    assert (sent.records, sent.failures) == (read.records, read.failures) == (10_000, 0)
    for log in logs:
        next_offset = 0
        for position, header in iter_headers(log):
            assert header.base_offset == next_offset
            assert crc_is_valid(log, position, header)
            next_offset = header.next_offset
        assert next_offset == 10_000 // PARTITIONS


@pytest.mark.interop
def test_a_consumer_is_given_what_lies_in_four_partitions_and_what_comes_while_it_waits(tmp_path: Path) -> None:
    values = [b"%d" % number for number in range(2_000)]
    with floor.relaying(tmp_path, synced=False) as relay, relay.topic(PARTITIONS) as (topic, _):
        producer = Producer({"bootstrap.servers": relay.bootstrap, "linger.ms": 0})
        consumer = Consumer({"bootstrap.servers": relay.bootstrap, "group.id": "unused", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, index, OFFSET_BEGINNING) for index in range(PARTITIONS)])
        try:
            for some in (values[:1_000], values[1_000:1_004], values[1_004:]):
                for number, value in enumerate(some):
                    producer.produce(topic, value, partition=number % PARTITIONS)
                assert producer.flush(PATIENCE_S) == 0
                assert sorted(consumed(consumer, len(some))) == sorted(some)
        finally:
            consumer.close()


def consumed(consumer: Consumer, count: int) -> list[bytes | None]:
    """So many values, or those that came until patience ended."""
    values: list[bytes | None] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(values) < count and time.monotonic() < deadline:
        values += [each.value() for each in consumer.consume(count - len(values), 0.1)]
    return values


@pytest.mark.interop
def test_the_next_topic_begins_with_nothing(tmp_path: Path) -> None:
    with floor.relaying(tmp_path, synced=True) as relay:
        for count in (1_000, 500):
            with relay.topic(PARTITIONS) as (topic, _):
                bootstrap = relay.bootstrap
                sent = librdkafka.produce(bootstrap, topic, size_bytes=100, seconds=PATIENCE_S, max_records=count)
                read = librdkafka.consume(bootstrap, topic, partitions=PARTITIONS, records=count)
                held = records_held(bootstrap, topic)
            assert sent.records == read.records == held == count


def records_held(bootstrap: str, topic: str) -> int:
    """In all partitions together."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused"})
    try:
        bounds = [
            consumer.get_watermark_offsets(TopicPartition(topic, index), PATIENCE_S) for index in range(PARTITIONS)
        ]
    finally:
        consumer.close()
    return sum(high - low for low, high in bounds)
