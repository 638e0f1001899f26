"""Kafka Streams under exactly_once_v2 on our broker, killed together with it; what Kafka's tools make of our transactions."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from support.apache_kafka import JVM_FLAGS, java_command, needs_java, run_tool
from support.broker import BrokerProcess

IN, OUT = "streams-plaintext-input", "streams-wordcount-output"
PARTITIONS = 2
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon")
DEADLINE_S = 120
SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
}

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


class WordCount:
    """Kafka's WordCountDemo as a process to be killed."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self._flags = (*JVM_FLAGS, f"-Djava.io.tmpdir={directory}")  # what a kill leaves goes with the directory
        self.properties = directory / "streams.properties"
        self.properties.write_text(
            f"bootstrap.servers={bootstrap}\nprocessing.guarantee=exactly_once_v2\nstate.dir={directory / 'state'}\n"
            "commit.interval.ms=200\nauto.offset.reset=earliest\nreplication.factor=1\n"
            "transaction.timeout.ms=10000\nconsumer.session.timeout.ms=6000\n"
        )
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        demo = "org.apache.kafka.streams.examples.wordcount.WordCountDemo"
        return subprocess.Popen(
            java_command(demo, str(self.properties), jvm_flags=self._flags),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def counts(bootstrap: str) -> dict[str, int]:
    """The last committed count of each word."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(OUT, index, 0) for index in range(PARTITIONS)])
    found: dict[str, int] = {}
    ended = 0
    while ended < PARTITIONS:
        message = consumer.poll(10)
        if message is None:
            break  # an open transaction holds the end back
        if message.error() is None:
            found[message.key().decode()] = int.from_bytes(message.value(), "big")
        else:
            ended += 1
    consumer.close()
    return found


def wait_for_counts(bootstrap: str, wanted: Counter[str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while (found := counts(bootstrap)) != wanted:
        assert time.monotonic() < deadline, f"{found}, not {wanted}"
        time.sleep(0.5)


@needs_java
def test_a_streams_application_that_is_killed_counts_every_word_once(tmp_path: Path) -> None:
    chance, words = random.Random(3), Counter[str]()
    with BrokerProcess(tmp_path / "broker", SETTINGS) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        topics = [NewTopic(IN, PARTITIONS), NewTopic(OUT, PARTITIONS, config={"cleanup.policy": "compact"})]
        for made in admin.create_topics(topics).values():
            made.result(30)
        producer = Producer({"bootstrap.servers": broker.bootstrap})

        def feed() -> None:
            for _ in range(200):
                line = chance.choices(WORDS, k=5)
                words.update(line)
                producer.produce(IN, " ".join(line), partition=chance.randrange(PARTITIONS))
            assert producer.flush(30) == 0

        feed()
        application = WordCount(broker.bootstrap, tmp_path)
        try:
            wait_for_counts(broker.bootstrap, words)
            feed()
            time.sleep(0.3)  # somewhere in the middle of it
            application.kill()
            broker.kill()
            broker.start()
            application.process = application.start()
            feed()
            wait_for_counts(broker.bootstrap, words)
        finally:
            application.kill()


@needs_java
def test_kafkas_tools_read_markers_aborted_transactions_and_the_coordinators_records(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, SETTINGS) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": "dumped"})
        producer.init_transactions(30)
        for end in (producer.commit_transaction, producer.abort_transaction):
            producer.begin_transaction()
            producer.produce("dumped", b"value", partition=0)
            assert producer.flush(30) == 0
            end(30)
        producer.begin_transaction()  # it may, so the one before has come to its end
        producer.produce("dumped", b"last", partition=0)
        producer.commit_transaction(30)
        data = broker.log_directory
        assert broker.stop() == 0
    (state,) = (each for each in data.glob("__transaction_state-*/*.log") if each.stat().st_size)
    dump = "org.apache.kafka.tools.DumpLogSegments"
    records = run_tool(dump, "--transaction-log-decoder", "--files", str(state)).stdout
    for status in range(6):
        assert f'"transactionStatus":{status}' in records
    log = next(data.glob("dumped-0/*.log"))
    batches = run_tool(dump, "--deep-iteration", "--files", str(log)).stdout
    assert batches.count("endTxnMarker: COMMIT") == 2
    assert batches.count("endTxnMarker: ABORT") == 1
    aborted = run_tool(dump, "--files", str(log.with_suffix(".txnindex"))).stdout
    assert "firstOffset: 2 lastOffset: 3 lastStableOffset: 4" in aborted
