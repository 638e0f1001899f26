"""The files on disk are Kafka's: its tool reads what clients wrote to us, and its directory is served here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource
from interop.clients import AioKafka, ConfluentKafka
from interop.messages import CODECS, Message, contents, numbered
from interop.topics import create_topic
from support.apache_kafka import ApacheKafka, run_tool, why_java_is_absent
from support.broker import BrokerProcess

pytestmark = [
    pytest.mark.interop,
    pytest.mark.java,
    pytest.mark.skipif(why_java_is_absent() is not None, reason=why_java_is_absent() or ""),
]

DUMP = "org.apache.kafka.tools.DumpLogSegments"


def test_kafkas_dump_tool_finds_the_directory_of_a_stopped_broker_sound(
    own_broker: Callable[..., BrokerProcess | ApacheKafka],
) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap, "dumped", config={"segment.bytes": str(1024 * 1024)})
    sent = [Message(key=b"k", value=b"x" * 1_000, headers=(("h", b"v"),))] * 100
    for codec in CODECS * 4:
        AioKafka().produce(broker.bootstrap, "dumped", sent, codec=codec, idempotent=True)
    ConfluentKafka().produce(broker.bootstrap, "dumped", [Message(value=b"y" * 900_000)])
    broker.stop()

    folder = broker.log_directory / "dumped-0"
    logs, indexes, time_indexes = (files(folder, suffix) for suffix in (".log", ".index", ".timeindex"))
    assert len(logs) > 1

    shown = run_tool(DUMP, "--deep-iteration", "--files", ",".join(logs)).stdout
    assert "isvalid: false" not in shown
    assert set(re.findall(r"compresscodec: (\w+)", shown)) == set(CODECS)
    assert [int(n) for n in re.findall(r"^\| offset: (\d+) ", shown, re.MULTILINE)] == list(range(2_001))

    checked = run_tool(DUMP, "--index-sanity-check", "--files", ",".join(indexes + time_indexes)).stdout
    assert checked.count(" passed sanity check.") + checked.count(" is empty.") == len(indexes + time_indexes)
    compared = run_tool(DUMP, "--files", ",".join(indexes + time_indexes))
    assert "Mismatch" not in compared.stdout + compared.stderr
    assert "Found" not in compared.stdout + compared.stderr

    snapshots = files(folder, ".snapshot")
    producers = run_tool(DUMP, "--files", snapshots[-1]).stdout
    assert len(set(re.findall(r"producerId: (\d+)", producers))) == 4 * len(CODECS)


def test_a_directory_of_apache_kafka_is_served_here_with_all_its_records(tmp_path: Path) -> None:
    sent = numbered(200)
    with ApacheKafka(tmp_path / "kafka") as theirs:
        create_topic(theirs.bootstrap, "moved", partitions=2)
        for codec in CODECS:
            ConfluentKafka().produce(theirs.bootstrap, "moved", sent, partition=1, codec=codec)
        ConfluentKafka().produce(theirs.bootstrap, "moved", sent, idempotent=True)
        on_theirs = ConfluentKafka().read(theirs.bootstrap, "moved", partition=1, count=len(sent) * len(CODECS))

    ours = BrokerProcess(tmp_path / "ottla")
    ours.log_directory.mkdir(parents=True)
    for partition in (0, 1):
        shutil.copytree(theirs.log_directory / f"moved-{partition}", ours.log_directory / f"moved-{partition}")
    with ours:
        client = AioKafka()
        assert client.read(ours.bootstrap, "moved", partition=1, count=len(on_theirs)) == on_theirs
        assert contents(client.read(ours.bootstrap, "moved", count=len(sent))) == contents(sent)
        assert client.produce(ours.bootstrap, "moved", sent[:1]) == [len(sent)]


def test_groups_go_along_with_a_directory_from_apache_kafka_and_back(tmp_path: Path) -> None:
    theirs = ApacheKafka(tmp_path / "kafka", {"offsets.topic.num.partitions": "3"})
    with theirs:
        create_topic(theirs.bootstrap, "read", partitions=2)
        commit(theirs.bootstrap, {0: 5, 1: 6})
    with BrokerProcess(tmp_path / "ottla", log_directory=theirs.log_directory) as ours:
        assert committed(ours.bootstrap) == {0: 5, 1: 6}
        described = topic_configs(ours.bootstrap, "__consumer_offsets")
        assert described["cleanup.policy"] == "compact"
        commit(ours.bootstrap, {1: 77})
        ours.stop()
    with theirs:
        assert committed(theirs.bootstrap) == {0: 5, 1: 77}


def test_kafkas_console_consumer_and_dump_tool_read_what_groups_have_committed(
    own_broker: Callable[..., BrokerProcess | ApacheKafka],
) -> None:
    broker = own_broker({"offsets.topic.num.partitions": "1"})
    create_topic(broker.bootstrap, "read", partitions=2)
    commit(broker.bootstrap, {0: 5, 1: 6})

    read = run_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", broker.bootstrap, "--topic", "__consumer_offsets", "--from-beginning"),
        *("--formatter", "org.apache.kafka.tools.consumer.OffsetsMessageFormatter", "--max-messages", "2"),
        *("--timeout-ms", "30000"),
    ).stdout
    found = re.findall(
        r'"group":"(\w+)","topic":"read","partition":(\d)}},"value":{"version":4,"data":{"offset":(\d+)', read
    )
    assert found == [(GROUP, "0", "5"), (GROUP, "1", "6")]

    offsets = run_tool(
        "org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", broker.bootstrap, "--topic", "__consumer_offsets"
    ).stdout
    assert "__consumer_offsets:0:" in offsets
    broker.stop()
    (log,) = files(broker.log_directory / "__consumer_offsets-0", ".log")
    dumped = run_tool(DUMP, "--offsets-decoder", "--files", log).stdout
    assert '"topic":"read","partition":1' in dumped
    assert '"offset":6' in dumped


GROUP = "takers"


def commit(bootstrap: str, offsets: dict[int, int]) -> None:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP})
    wanted = [confluent_kafka.TopicPartition("read", at, offset) for at, offset in sorted(offsets.items())]
    consumer.commit(offsets=wanted, asynchronous=False)
    consumer.close()


def committed(bootstrap: str) -> dict[int, int]:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP})
    found = consumer.committed([confluent_kafka.TopicPartition("read", at) for at in (0, 1)], timeout=30)
    consumer.close()
    return {each.partition: each.offset for each in found}


def topic_configs(bootstrap: str, topic: str) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (described,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
    return {name: entry.value for name, entry in described.result(30).items()}


def files(folder: Path, suffix: str) -> list[str]:
    return sorted(str(file) for file in folder.iterdir() if file.suffix == suffix)
