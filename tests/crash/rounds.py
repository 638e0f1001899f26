"""Rounds of kill and restart under load, and the verdict.

    load runs -> kill at a random moment -> restart, same directory and port -> read back -> compare -> next round

Most rounds read back what is new since the round before last; every so many, and at the end, everything.  Now and
then the kill comes while the broker is still starting, or while it is stopping, and now and then it is stopped
cleanly, after which its directory must be without any fault.
"""

from __future__ import annotations

import contextlib
import random
import signal
import statistics
import struct
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ottla.storage.check import Severity
from support.broker import BrokerProcess
from support.wire import Connection

from .administration import Administrator
from .directories import findings, live_folders
from .ledger import Ledger, TopicPartition
from .load import HastyProducer, IdempotentProducer, Load, PatientProducer
from .readback import BadLog, Bounds, OutOfRange, PartitionCopy, bounds_of, duplicates
from .requests import create_topic

SMALL_SEGMENTS = {
    "internal.segment.bytes": "60000",
    "segment.bytes": "1048576",
    "index.interval.bytes": "512",
    "file.delete.delay.ms": "200",
}
KEPT_BYTES = 500_000

TOPICS: dict[str, dict[str, str]] = {
    "kept": SMALL_SEGMENTS,
    "index-full": {"segment.index.bytes": "240", "index.interval.bytes": "256"},
    "aging": {**SMALL_SEGMENTS, "segment.ms": "400"},
    "bounded": {**SMALL_SEGMENTS, "retention.bytes": str(KEPT_BYTES)},
    "trimmed": SMALL_SEGMENTS,
}
PARTITION_COUNT = 2
MAY_LOSE_ITS_FRONT = {"bounded", "trimmed"}

BROKER_SETTINGS = {
    "auto.create.topics.enable": "false",
    "log.retention.check.interval.ms": "300",
    "log.flush.offset.checkpoint.interval.ms": "250",
    "log.segment.delete.delay.ms": "200",
}

KILLED_WHILE_STARTING = 0.15
KILLED_WHILE_STOPPING = 0.1
FINISH_TIMEOUT_S = 60


@dataclass(slots=True)
class Summary:
    """What a run came to."""

    seed: int
    kills: int = 0
    clean_stops: int = 0
    acknowledged: int = 0
    changes: int = 0
    lost: int = 0
    duplicated: int = 0
    sent_again: int = 0
    restarts_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.kills} kills, {self.clean_stops} clean stops, {self.acknowledged} records and"
            f" {self.changes} changes acknowledged, {self.lost} lost, {self.duplicated} duplicated"
            f" ({self.sent_again} sent again by a client without idempotence),"
            f" restart {statistics.median(self.restarts_s) * 1000:.0f} ms median,"
            f" {max(self.restarts_s) * 1000:.0f} ms at most"
        )


class Rounds:
    """One broker, its load, and what must be true of them.  A context manager."""

    def __init__(self, broker: BrokerProcess, *, seed: int) -> None:
        self.broker = broker
        self.summary = Summary(seed)
        self._random = random.Random(seed)
        self._ledger = Ledger()
        self._partitions = [TopicPartition(topic, index) for topic in TOPICS for index in range(PARTITION_COUNT)]
        self._copies = {partition: PartitionCopy(partition) for partition in self._partitions}
        self._reread_from = dict.fromkeys(self._partitions, 0)
        self._verified = dict.fromkeys(self._partitions, 0)
        self._administrator = Administrator(seed + 1, TopicPartition("trimmed", 0))
        self._loads: list[Load] = [
            kind(kind.__name__, broker.bootstrap, self._ledger, self._partitions, seed + number)
            for number, kind in enumerate((IdempotentProducer, IdempotentProducer, PatientProducer, HastyProducer), 2)
        ]

    def __enter__(self) -> Rounds:
        try:
            self._start_s = self.broker.start()
            with self._connect() as connection:
                for name, configs in TOPICS.items():
                    told = create_topic(connection, name, partition_count=PARTITION_COUNT, configs=configs)
                    assert told["error_code"] == 0, told
        except BaseException:
            self.broker.kill()
            raise
        for load in self._loads:
            load.start()
        return self

    def __exit__(self, *_: object) -> None:
        for load in self._loads:
            load.abandon()
        self.broker.kill()

    # -- a round

    def kill_and_verify(self, *, everything: bool) -> None:
        self._work_until(self._kill)
        self._must_hold_no_damage(everything)
        self._restart()
        self._verify(everything=everything)

    def stop_and_verify(self) -> None:
        self._work_until(self._stop)
        self._must_be_faultless()
        self._restart()
        self._verify(everything=True)

    def finish(self) -> Summary:
        """Let the producers end, stop cleanly, and hold everything against everything."""
        for load in self._loads:
            load.finish(timeout_s=FINISH_TIMEOUT_S)
        self._verify(everything=True)
        assert self.broker.stop() == 0, self.broker.output
        self._must_be_faultless()
        self._must_have_only_the_folders_of_topics()
        self.summary.acknowledged = self._ledger.count
        self.summary.changes = self._administrator.acknowledged_count
        return self.summary

    def _work_until(self, end: Callable[[], None]) -> None:
        """The administrator works in this thread until `end`, at a random moment, breaks the connection."""
        has_begun_to_end = threading.Event()

        def begin_to_end() -> None:
            has_begun_to_end.set()
            end()

        timer = threading.Timer(self._random.uniform(0.02, 1.2), begin_to_end)
        timer.start()
        try:
            with self._connect() as connection, contextlib.suppress(ConnectionError, TimeoutError, struct.error):
                self._administrator.work(connection)
            assert has_begun_to_end.is_set(), f"the broker ended the connection by itself:\n{self.broker.output}"
        finally:
            timer.cancel()
            timer.join()

    def _kill(self) -> None:
        if self._random.random() < KILLED_WHILE_STOPPING:
            self.broker.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.broker.wait(timeout_s=self._random.uniform(0, 0.2))
        self.broker.kill()
        self.summary.kills += 1

    def _stop(self) -> None:
        self.broker.signal(signal.SIGTERM)

    def _restart(self) -> None:
        while self._random.random() < KILLED_WHILE_STARTING:
            self.broker.launch()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.broker.wait(timeout_s=self._random.uniform(0, self._start_s))
                raise AssertionError(f"the broker ended by itself:\n{self.broker.output}")
            self.broker.kill()
            self.summary.kills += 1
        self._start_s = self.broker.start()
        self.summary.restarts_s.append(self._start_s)

    # -- the verdict

    def _verify(self, *, everything: bool) -> None:
        marks = self._ledger.marks()
        with self._connect() as connection:
            self._administrator.observe(connection)
            for partition in self._partitions:
                self._verify_partition(connection, partition, marks.get(partition, 0), everything=everything)
        if everything:
            self._count_duplicates()

    def _verify_partition(
        self, connection: Connection, partition: TopicPartition, mark: int, *, everything: bool
    ) -> None:
        copy = self._copies[partition]
        end_before = copy.end
        from_offset = 0 if everything else self._reread_from[partition]
        bounds, size_bytes = _reread(connection, copy, from_offset)
        self._check_start(partition, bounds, size_bytes if everything else None)
        first = 0 if everything else self._verified[partition]
        lost = [
            entry
            for entry in self._ledger.entries(partition, first, mark)
            if entry.offset >= bounds.start and not copy.holds(entry)
        ]
        self.summary.lost += len(lost)
        found = [(entry, copy.record_at(entry.offset)) for entry in lost[:3]]
        assert not lost, f"{partition}: {len(lost)} acknowledged records are not where they were: {found}"
        self._reread_from[partition] = end_before
        self._verified[partition] = mark

    def _check_start(self, partition: TopicPartition, bounds: Bounds, size_bytes: int | None) -> None:
        if partition.topic not in MAY_LOSE_ITS_FRONT:
            assert bounds.start == 0, f"{partition} begins at {bounds.start}: nothing allowed that"
        if partition == self._administrator.trimmed:
            least = self._administrator.trimmed_to
            assert bounds.start >= least, f"{partition} begins at {bounds.start}, {least} was acknowledged"
        if partition.topic == "bounded" and size_bytes is not None and bounds.start > 0:
            assert size_bytes >= KEPT_BYTES, f"{partition}: retention.bytes left {size_bytes} of {KEPT_BYTES}"

    def _count_duplicates(self) -> None:
        exactly_once = [load.exactly_once for load in self._loads]
        self.summary.duplicated = self.summary.sent_again = 0
        for partition, copy in self._copies.items():
            for producer, count in duplicates(copy, may_repeat={i for i, once in enumerate(exactly_once) if not once}):
                if exactly_once[producer]:
                    self.summary.duplicated += count
                else:
                    self.summary.sent_again += count
            assert self.summary.duplicated == 0, f"{partition} has records twice: {self.summary}"

    def _must_hold_no_damage(self, look: bool) -> None:
        found = findings(self.broker.log_directory) if look else []
        damage = [finding for finding in found if finding.severity is Severity.DAMAGE]
        assert not damage, f"after a kill: {damage[:5]}"

    def _must_be_faultless(self) -> None:
        code = self.broker.wait(timeout_s=10)
        assert code == 0, f"stopped with {code}:\n{self.broker.output}"
        self.summary.clean_stops += 1
        found = findings(self.broker.log_directory)
        assert not found, f"after a clean stop: {found[:5]}"

    def _must_have_only_the_folders_of_topics(self) -> None:
        live = live_folders(self.broker.log_directory)
        wanted = {str(partition) for partition in self._partitions} | self._administrator.expected_folders
        assert live == wanted, f"too many: {sorted(live - wanted)}; missing: {sorted(wanted - live)}"

    def _connect(self) -> Connection:
        return Connection(self.broker.port, timeout_s=20)


def _reread(connection: Connection, copy: PartitionCopy, from_offset: int) -> tuple[Bounds, int]:
    """Retention may go over the front while we read, at most a few times."""
    for _ in range(5):
        bounds = bounds_of(connection, [copy.partition])[copy.partition]
        try:
            return bounds, copy.reread(connection, from_offset, bounds)
        except OutOfRange:
            continue
    raise BadLog(f"{copy.partition}: offset {bounds.start} is the log's start and out of range")
