"""A whole log directory goes from Apache Kafka to us and back: nothing is lost, nothing is recovered, nobody complains."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from ottla.storage.check import check_directory
from ottla.storage.config import LogConfig
from ottla.storage.directory import LockedError, LogDirectory
from ottla.storage.dump import DumpedAbort, dump_file
from ottla.storage.loading import LoadReport
from ottla.storage.partition_metadata import parse_uuid
from ottla.storage.system_files import SystemFiles
from support.apache_kafka import CLUSTER_ID, ApacheKafka, needs_java
from support.batches import batch
from support.log_content import read_batches

CONFIG = LogConfig()
NOW_MS = 1_795_421_337_000
RECORDS = 400


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """A stopped Apache Kafka: records deleted, a topic deleted, transactions committed and aborted."""
    kafka = ApacheKafka(tmp_path_factory.mktemp("kafka"), {"log.segment.delete.delay.ms": "600000"})
    with kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        topics = [NewTopic("t", 2), NewTopic("gone", 1), NewTopic("in.transactions-0", 1)]
        for done in admin.create_topics(topics).values():
            done.result()
        for partition in range(2):
            produce(kafka, partition, b"theirs", RECORDS)
        produce_in_transactions(kafka)
        for done in admin.delete_records([TopicPartition("t", 0, 150)]).values():
            done.result()
        for done in admin.delete_topics(["gone"]).values():
            done.result()
        wait_for(lambda: any(path.name.endswith("-delete") for path in kafka.log_directory.iterdir()))
    yield kafka
    kafka.stop()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # another process's doing has no event to wait for


def produce(kafka: ApacheKafka, partition: int, prefix: bytes, count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "batch.num.messages": 10, "enable.idempotence": True})
    for number in range(count):
        producer.produce("t", prefix + b" %d" % number, partition=partition)
    assert producer.flush(30) == 0


def produce_in_transactions(kafka: ApacheKafka) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "x"})
    producer.init_transactions()
    for commits in (True, False, True, False):
        producer.begin_transaction()
        for number in range(5):
            producer.produce("in.transactions-0", b"%d" % number)
        producer.flush()
        producer.commit_transaction() if commits else producer.abort_transaction()


def consume(kafka: ApacheKafka, partition: int, count: int) -> list[tuple[int, bytes]]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "g", "enable.auto.commit": False})
    consumer.assign([TopicPartition("t", partition, OFFSET_BEGINNING)])
    messages = consumer.consume(count, timeout=30)
    consumer.close()
    return [(message.offset(), message.value()) for message in messages]


def opened(kafka: ApacheKafka) -> tuple[LogDirectory, LoadReport]:
    directory = LogDirectory.open(
        str(kafka.log_directory),
        files=SystemFiles(),
        node_id=1,
        cluster_id=CLUSTER_ID,
        new_id=uuid.uuid4,
        now_ms=NOW_MS,
    )
    return directory, directory.load(lambda topic: CONFIG, now_ms=NOW_MS, threads=2)


@needs_java
def test_check_finds_kafkas_own_directory_sound(kafka: ApacheKafka):
    assert list(check_directory(str(kafka.log_directory), SystemFiles(), deep=True)) == []


@needs_java
def test_a_transaction_index_of_kafkas_is_understood(kafka: ApacheKafka):
    path = kafka.log_directory / "in.transactions-0-0" / f"{0:020d}.txnindex"
    first, second = dump_file(str(path), SystemFiles())
    assert isinstance(first, DumpedAbort)
    assert isinstance(second, DumpedAbort)
    # Five records and a marker each: the second and the fourth transaction.
    assert (first.version, first.first_offset, first.last_offset) == (0, 6, 11)
    assert (second.version, second.first_offset, second.last_offset) == (0, 18, 23)


@needs_java
def test_a_directory_goes_there_and_back(kafka: ApacheKafka):
    directory, report = opened(kafka)
    assert report.clean
    assert report.lines() == []
    assert {log.topic for log in directory.logs} >= {"t", "in.transactions-0", "__transaction_state"}
    first, second = directory.get("t", 0), directory.get("t", 1)
    assert first is not None
    assert second is not None
    assert (first.log_start_offset, first.log_end_offset) == (150, RECORDS)
    assert (second.log_start_offset, second.log_end_offset) == (0, RECORDS)
    metadata = kafka.log_directory / "t-0" / "partition.metadata"
    assert directory.topic_id_of(first) == parse_uuid(metadata.read_text().split()[-1])
    for number in range(20):
        second.append(batch(b"ours %d" % number), leader_epoch=second.leader_epochs.latest_epoch, now_ms=NOW_MS)
    with pytest.raises(AssertionError, match="ended at once"):
        kafka.start()  # while we are here
    kafka.kill()
    contents = {(log.topic, log.partition): read_batches(log) for log in directory.logs}
    assert directory.close(threads=2) == []
    assert list(check_directory(str(kafka.log_directory), SystemFiles(), deep=True)) == []

    kafka.start()
    with pytest.raises(LockedError, match="in use by another process"):
        opened(kafka)
    assert consume(kafka, 0, RECORDS - 150) == [(n, b"theirs %d" % n) for n in range(150, RECORDS)]
    theirs, ours = [b"theirs %d" % n for n in range(RECORDS)], [b"ours %d" % n for n in range(20)]
    assert consume(kafka, 1, RECORDS + 20) == list(enumerate(theirs + ours))
    produce(kafka, 1, b"again", 30)
    kafka.stop()

    directory, report = opened(kafka)
    assert report.clean
    assert report.lines() == []
    second = directory.get("t", 1)
    assert second is not None
    assert second.log_end_offset == RECORDS + 50
    for partition, content in contents.items():
        log = directory.get(*partition)
        assert log is not None
        assert read_batches(log)[: len(content)] == content
    directory.close()
