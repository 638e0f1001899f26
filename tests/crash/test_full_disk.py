"""A full disk, for real: refused in Kafka's words, nothing acknowledged is lost, and it goes on when there is room.

Twice: on a tmpfs that fills up (ENOSPC in the middle of a batch), and under a limit on the size of a file (EFBIG).
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from crash.ledger import Ledger, RecordId, TopicPartition, value_of
from crash.load import IdempotentProducer, Load, PatientProducer
from crash.readback import PartitionCopy, bounds_of, duplicates
from crash.requests import Told, create_topic, produce, topics_of
from crash.rounds import SMALL_SEGMENTS
from crash.small_disk import SmallDisk, why_no_small_disk
from support.broker import BrokerProcess, answers_metadata
from support.wire import Connection

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

MIB = 1 << 20
KAFKA_STORAGE_ERROR = 56
PARTITIONS = [TopicPartition("filling", index) for index in range(3)]
RECORDS_PER_BATCH = 40
ONE_MIB_SEGMENTS = {"segment.bytes": "1048576"}
DISK_CYCLES = 20 if os.environ.get("OTTLA_HEAVY") == "1" else 1
PROMPTLY_S = 30
needs_small_disk = pytest.mark.skipif(why_no_small_disk() is not None, reason=why_no_small_disk() or "")


class Disk(Protocol):
    """A disk that can be full."""

    def fill(self) -> None: ...
    def make_room(self) -> None: ...


@dataclass(slots=True)
class Setup:
    broker: BrokerProcess
    disk: Disk


@dataclass(slots=True)
class TinyFileSystem:
    disk: SmallDisk

    def fill(self) -> None:
        self.disk.fill(leave_bytes=MIB)

    def make_room(self) -> None:
        self.disk.make_room()


@dataclass(slots=True)
class FileSizeLimit:
    """No file may grow over `limit_bytes`: an append over it is written up to it and then refused."""

    broker: BrokerProcess
    limit_bytes: int

    def fill(self) -> None:
        self._set(self.limit_bytes)

    def make_room(self) -> None:
        self._set(resource.RLIM_INFINITY)

    def _set(self, limit_bytes: int) -> None:
        _, hard = resource.prlimit(self.broker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.broker.pid, resource.RLIMIT_FSIZE, (limit_bytes, hard))


@pytest.fixture(params=[pytest.param("file system", marks=needs_small_disk), "file size"])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    with contextlib.ExitStack() as stack:
        if request.param == "file system":
            disk = stack.enter_context(SmallDisk(tmp_path / "disk", size_bytes=24 * MIB))
            broker = BrokerProcess(tmp_path, prefix=disk.prefix, log_directory=disk.path / "data")
            stack.enter_context(broker)
            yield Setup(broker, TinyFileSystem(disk))
        else:
            broker = stack.enter_context(BrokerProcess(tmp_path))
            yield Setup(broker, FileSizeLimit(broker, 300_000))


def test_produce_is_refused_while_the_disk_is_full_and_goes_on_when_there_is_room(setup: Setup) -> None:
    ledger = Ledger()
    with Connection(setup.broker.port) as connection:
        _create_topic(connection, "filling")
        writer = Writer(connection, ledger)
        writer.write_rounds(3)
        setup.disk.fill()
        assert writer.write_until_refused() == KAFKA_STORAGE_ERROR
        assert writer.write_once(PARTITIONS[0]) == KAFKA_STORAGE_ERROR, "refused once, but not the next time"
        _must_hold(connection, ledger)

        setup.disk.make_room()
        _wait_until(lambda: all(writer.write_once(each) == 0 for each in PARTITIONS))
        writer.write_rounds(3)
        _must_hold(connection, ledger)

    assert setup.broker.stop() == 0, setup.broker.output
    setup.broker.start()
    with Connection(setup.broker.port) as connection:
        _must_hold(connection, ledger)
    assert "Traceback" not in setup.broker.output


def test_a_kill_while_the_disk_is_full_loses_nothing(setup: Setup) -> None:
    ledger = Ledger()
    with Connection(setup.broker.port) as connection:
        _create_topic(connection, "filling")
        writer = Writer(connection, ledger)
        setup.disk.fill()
        writer.write_until_refused()
    setup.broker.kill()
    setup.disk.make_room() if isinstance(setup.disk, TinyFileSystem) else None  # the limit died with the process
    setup.broker.start()
    with Connection(setup.broker.port) as connection:
        _must_hold(connection, ledger)
        Writer(connection, ledger, first_number=1_000_000).write_rounds(2)
        _must_hold(connection, ledger)


@needs_small_disk
def test_a_start_on_a_full_disk_serves_or_says_why_and_damages_nothing(tmp_path: Path) -> None:
    ledger = Ledger()
    with SmallDisk(tmp_path / "disk", size_bytes=8 * MIB) as disk:
        broker = BrokerProcess(tmp_path, prefix=disk.prefix, log_directory=disk.path / "data")
        with broker:
            with Connection(broker.port) as connection:
                _create_topic(connection, "filling")
                writer = Writer(connection, ledger)
                disk.fill(leave_bytes=MIB // 2)
                writer.write_until_refused()
                disk.fill(leave_bytes=0)
            broker.kill()
            broker.launch()
            if _answers_or_ends(broker):
                with Connection(broker.port) as connection:
                    _must_hold(connection, ledger)
                broker.kill()
            else:
                assert broker.exit_code() == 1
                assert len(broker.output.splitlines()) == 1, broker.output
                assert "No space left on device" in broker.output
            disk.make_room()
            broker.start()
            with Connection(broker.port) as connection:
                _must_hold(connection, ledger)
                Writer(connection, ledger, first_number=1_000_000).write_rounds(2)
                _must_hold(connection, ledger)


@needs_small_disk
@pytest.mark.timeout(60 + 60 * DISK_CYCLES)
def test_producers_ride_out_a_full_disk(tmp_path: Path) -> None:
    """Kafka's clients take KAFKA_STORAGE_ERROR for passing: all arrives, in order, once where that was promised.

    With small segments, so that the disk is also full when one is rolled; every second time a kill on top of it.
    """
    ledger = Ledger()
    with SmallDisk(tmp_path / "disk", size_bytes=(32 + 16 * DISK_CYCLES) * MIB) as disk:
        broker = BrokerProcess(tmp_path, prefix=disk.prefix, log_directory=disk.path / "data")
        with broker:
            with Connection(broker.port) as connection:
                _create_topic(connection, "filling", SMALL_SEGMENTS)
            kinds: tuple[type[Load], ...] = (IdempotentProducer, IdempotentProducer, PatientProducer)
            loads = [kind(kind.__name__, broker.bootstrap, ledger, PARTITIONS, seed) for seed, kind in enumerate(kinds)]
            for load in loads:
                load.start()
            try:
                for cycle in range(DISK_CYCLES):
                    _wait_until_more_is_acknowledged(ledger, 200)
                    disk.fill(leave_bytes=64 * 1024)
                    _wait_until_nothing_is_acknowledged(ledger)
                    if cycle % 2:
                        broker.kill()
                    disk.make_room()
                    if cycle % 2:
                        broker.start()
                _wait_until_more_is_acknowledged(ledger, 200)
                for load in loads:
                    load.finish(timeout_s=60)
            finally:
                for load in loads:
                    load.abandon()
            _must_hold_in_order(broker, ledger, may_repeat={2})


@needs_small_disk
def test_a_topic_made_on_a_full_disk_is_refused_or_waits_for_room(tmp_path: Path) -> None:
    """Whether the answer is an error or not (the record may still have found room): it comes, and does not lie."""
    with SmallDisk(tmp_path / "disk", size_bytes=8 * MIB) as disk:
        settings = {"log.retention.check.interval.ms": "300"}
        broker = BrokerProcess(tmp_path, settings, prefix=disk.prefix, log_directory=disk.path / "data")
        with broker, Connection(broker.port, timeout_s=PROMPTLY_S) as connection:
            _create_topic(connection, "before")
            disk.fill(leave_bytes=0)
            answered = [_ask_for_topic(connection, name) for name in ("one", "two", "three", "four")]
            made = {topic["name"] for topic in answered if topic["error_code"] == 0}
            assert all(topic["error_message"] for topic in answered if topic["name"] not in made)
            assert set(topics_of(connection)) >= {"before"} | made
            for name in made:
                assert _write(connection, name) == KAFKA_STORAGE_ERROR

            disk.make_room()
            _wait_until(lambda: _ask_for_topic(connection, "after")["error_code"] == 0)
            made |= {"before", "after"} | set(topics_of(connection))
            for name in made:
                _wait_until(lambda name=name: _write(connection, name) == 0)
        broker.start()
        with Connection(broker.port) as connection:
            assert set(topics_of(connection)) == made
            assert all(_write(connection, name) == 0 for name in made)
        assert broker.stop() == 0


def _must_hold_in_order(broker: BrokerProcess, ledger: Ledger, *, may_repeat: set[int]) -> None:
    with Connection(broker.port) as connection:
        for partition, bounds in bounds_of(connection, PARTITIONS).items():
            copy = PartitionCopy(partition)
            copy.extend(connection, bounds.end)
            entries = ledger.entries(partition, 0, ledger.marks()[partition])
            assert not [entry for entry in entries if not copy.holds(entry)]
            again = dict(duplicates(copy, may_repeat=may_repeat))
            assert again.keys() <= may_repeat, f"{partition}: sent once, there twice: {again}"


class Writer:
    """Produces with acks=all and writes down what was acknowledged."""

    def __init__(self, connection: Connection, ledger: Ledger, *, first_number: int = 0) -> None:
        self._connection = connection
        self._ledger = ledger
        self._next_number = first_number

    def write_rounds(self, count: int) -> None:
        for _ in range(count):
            for partition in PARTITIONS:
                assert self.write_once(partition) == 0

    def write_until_refused(self) -> int:
        """The error code of the first refusal."""
        for _ in range(2_000):
            for partition in PARTITIONS:
                error_code = self.write_once(partition)
                if error_code != 0:
                    return error_code
        raise AssertionError("the disk does not get full")

    def write_once(self, partition: TopicPartition) -> int:
        records = [RecordId(0, self._next_number + index) for index in range(RECORDS_PER_BATCH)]
        self._next_number += RECORDS_PER_BATCH
        told = produce(self._connection, partition, [value_of(record) for record in records])
        if told["error_code"] == 0:
            for index, record in enumerate(records):
                self._ledger.acknowledge(partition, told["base_offset"] + index, record)
        return told["error_code"]


def _write(connection: Connection, topic: str) -> int:
    """One record into its last partition; the error code."""
    return produce(connection, TopicPartition(topic, len(PARTITIONS) - 1), [b"v"])["error_code"]


def _must_hold(connection: Connection, ledger: Ledger) -> None:
    """Read everything back: all that was acknowledged, and nothing that was refused."""
    for partition, bounds in bounds_of(connection, PARTITIONS).items():
        copy = PartitionCopy(partition)
        copy.extend(connection, bounds.end)
        acknowledged = list(ledger.entries(partition, 0, ledger.marks().get(partition, 0)))
        lost = [entry for entry in acknowledged if not copy.holds(entry)]
        assert not lost, f"{partition}: {lost[:3]}"
        assert copy.end == len(acknowledged), f"{partition} has records that were refused"


def _create_topic(connection: Connection, name: str, configs: Mapping[str, str] | None = None) -> None:
    told = create_topic(connection, name, partition_count=len(PARTITIONS), configs=configs or ONE_MIB_SEGMENTS)
    assert told["error_code"] == 0, told


def _ask_for_topic(connection: Connection, name: str) -> Told:
    return create_topic(connection, name, partition_count=len(PARTITIONS), configs=ONE_MIB_SEGMENTS)


def _answers_or_ends(broker: BrokerProcess) -> bool:
    """Whether it answers; False when it has ended."""
    deadline = time.monotonic() + 2 * PROMPTLY_S
    while not answers_metadata(broker.port):
        if not broker.is_running:
            return False
        assert time.monotonic() < deadline, f"neither answers nor ends:\n{broker.output}"
        time.sleep(0.05)
    return True


def _wait_until_more_is_acknowledged(ledger: Ledger, count: int) -> None:
    wanted = ledger.count + count
    deadline = time.monotonic() + 2 * PROMPTLY_S
    while ledger.count < wanted:
        assert time.monotonic() < deadline, f"{wanted - ledger.count} of {count} records are not acknowledged"
        time.sleep(0.02)


def _wait_until_nothing_is_acknowledged(ledger: Ledger) -> None:
    """For half a second: whoever is under way waits for room."""
    deadline = time.monotonic() + 2 * PROMPTLY_S
    count, since = ledger.count, time.monotonic()
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < deadline, "the disk is full and records are acknowledged"
        time.sleep(0.05)
        if ledger.count != count:
            count, since = ledger.count, time.monotonic()


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PROMPTLY_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {PROMPTLY_S} s"
        time.sleep(0.05)
