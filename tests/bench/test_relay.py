"""The floor for whole clients: librdkafka takes it for a broker, it keeps and hands on what it is given, and leaves nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent.parent))  # `bench` is not part of the package

from ottla.protocol.batch_header import crc_is_valid, iter_headers
from support.log_content import batches_in

from bench.core import floor
from bench.load import end_to_end, least_log, librdkafka, wire
from bench.load.frames import Frames
from bench.load.least_log import LeastLog

PARTITIONS = 2
AT_ONCE_BYTES = 16


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
def test_what_is_produced_in_bulk_lies_in_the_partitions_files_record_after_record(tmp_path: Path) -> None:
    with floor.relaying(tmp_path, synced=True) as relay, relay.topic(PARTITIONS) as (topic, _):
        sent = librdkafka.produce(
            relay.bootstrap, topic, size_bytes=1024, seconds=60, max_records=10_000, partitions=PARTITIONS
        )
        logs = [batches_in(tmp_path / floor.FILE / f"{index}.log") for index in range(PARTITIONS)]

    assert (sent.records, sent.failures) == (10_000, 0)
    for log in logs:
        next_offset = 0
        for position, header in iter_headers(log):
            assert header.base_offset == next_offset
            assert crc_is_valid(log, position, header)
            next_offset = header.next_offset
        assert next_offset == 10_000 // PARTITIONS
