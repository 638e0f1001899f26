"""Kill -9 while the cleaner is at work: the newest acknowledged value of every key is there, under its offset.

One idempotent producer writes a few keys again and again, with `acks=all`, into small segments that are cleaned all the
time; the broker is killed at random moments and started again. In between and at the end everything is read back.
OTTLA_HEAVY=1 kills it a hundred times.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from ottla.storage.check import Severity, check_directory
from ottla.storage.checkpoint import read_offsets
from ottla.storage.system_files import SystemFiles
from support.broker import BrokerProcess

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
KILLS = int(os.environ.get("OTTLA_KILLS", "100" if HEAVY else "3"))
KEYS = 50
TOPIC_CONFIG = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "internal.segment.bytes": "20000",
    "min.cleanable.dirty.ratio": "0.01",
    "file.delete.delay.ms": "50",
    "index.interval.bytes": "500",
}
SETTINGS = {
    "log.cleaner.backoff.ms": "1",
    "log.retention.check.interval.ms": "100",
    "log.flush.offset.checkpoint.interval.ms": "200",
}
DEADLINE_S = 60

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600 if HEAVY else 300)]


class Load:
    """Writes until it is told to stop; remembers what was acknowledged, by offset, and everything that was sent."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
                "batch.size": 8000,
                "log_level": 0,
            }
        )
        self._stop = Event()
        self._thread = Thread(target=self._run, name="load")
        self.sent: dict[bytes, list[bytes]] = {b"%d" % key: [] for key in range(KEYS)}
        self.acknowledged: dict[int, tuple[bytes, bytes]] = {}
        self.failures: list[KafkaError] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            key, value = b"%d" % (number % KEYS), b"%d" % number * 8
            try:
                self._producer.produce("t", value, key, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.05)
                continue
            self.sent[key].append(value)
            number += 1
            self._producer.poll(0.001)
        assert self._producer.flush(DEADLINE_S) == 0

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures.append(error)
            return
        offset, key, value = message.offset(), message.key(), message.value()
        assert offset is not None
        assert key is not None
        assert value is not None
        self.acknowledged[offset] = (key, value)


def read_all(bootstrap: str) -> list[tuple[int, bytes, bytes]]:
    """Offset, key and value of every record from the log's start to where it ended when this was called, or beyond."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.partition.eof": True, "log_level": 0}
    )
    partition = TopicPartition("t", 0, 0)
    end_offset = consumer.get_watermark_offsets(partition, timeout=DEADLINE_S)[1]
    consumer.assign([partition])
    found: list[tuple[int, bytes, bytes]] = []
    try:
        while True:
            message = consumer.poll(DEADLINE_S)
            assert message is not None, "the broker does not answer"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return found
            found.append((message.offset(), message.key(), message.value()))
            if message.offset() >= end_offset - 1:
                return found
    finally:
        consumer.close()


def verify(load: Load, found: list[tuple[int, bytes, bytes]]) -> None:
    acknowledged, offsets = dict(load.acknowledged), [offset for offset, _, _ in found]
    assert offsets == sorted(set(offsets)), "nothing twice, in order"
    for offset, key, value in found:
        assert acknowledged.get(offset, (key, value)) == (key, value), "offsets never change"
        assert value in load.sent[key]
    newest_found = {key: (offset, value) for offset, key, value in found}
    newest = {key: (offset, value) for offset, (key, value) in sorted(acknowledged.items())}
    for key, (offset, value) in newest.items():
        assert newest_found[key][0] >= offset, (key, offset)
        if newest_found[key][0] == offset:
            assert newest_found[key][1] == value


def test_the_newest_values_survive_kills_during_cleaning(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, cleaned = random.Random(seed), set[int]()
    with BrokerProcess(tmp_path / "ottla", SETTINGS) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic("t", 1, config=TOPIC_CONFIG)])["t"].result(DEADLINE_S)
        load = Load(broker.bootstrap)
        with load.running():
            for _ in range(KILLS):
                wait_for_cleanings(broker, chance.randint(1, 3), chance)
                broker.kill()
                cleaned.add(read_offsets(SystemFiles(), checkpoint_of(broker)).get(("t", 0), 0))  # type: ignore[call-overload]
                findings = check_directory(str(broker.log_directory), SystemFiles())
                assert not [each for each in findings if each.severity is Severity.DAMAGE]
                broker.start()
                acknowledged_before = dict(load.acknowledged)
                found = read_all(broker.bootstrap)
                newest = {key: offset for offset, (key, _) in sorted(acknowledged_before.items())}
                newest_found = {key: offset for offset, key, _ in found}
                assert all(newest_found[key] >= offset for key, offset in newest.items())
        assert not load.failures, load.failures
        verify(load, read_all(broker.bootstrap))
        last_of_each = {key: values[-1] for key, values in load.sent.items()}
        assert {key: value for _, key, value in read_all(broker.bootstrap)} == last_of_each
        assert broker.stop() == 0
    assert len(cleaned) > 1, "it was cleaned between kills"
    findings = check_directory(str(broker.log_directory), SystemFiles(), deep=True)
    assert not [each for each in findings if each.severity is not Severity.NOTE]


def checkpoint_of(broker: BrokerProcess) -> str:
    return str(broker.log_directory / "cleaner-offset-checkpoint")


def wait_for_cleanings(broker: BrokerProcess, count: int, chance: random.Random) -> None:
    """Return when so many more cleanings were told of, and a little later, somewhere in the next one."""
    wanted = broker.output.count("cleaned ") + count
    pause = Event()
    for _ in range(DEADLINE_S * 100):
        if broker.output.count("cleaned ") >= wanted:
            pause.wait(chance.random() * 0.1)
            return
        pause.wait(0.01)
    raise TimeoutError("the cleaner does nothing")
