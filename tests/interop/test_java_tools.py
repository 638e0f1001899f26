"""Kafka's own command-line tools for topics and records, as an operator uses them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import kafka
import pytest
from interop.clients import ConfluentKafka
from interop.java_console import JavaConsole
from interop.messages import Message, contents, numbered
from interop.waiting import until
from support.apache_kafka import why_java_is_absent
from support.java_tools import JavaTools

pytestmark = [
    pytest.mark.interop,
    pytest.mark.java,
    pytest.mark.skipif(why_java_is_absent() is not None, reason=why_java_is_absent() or ""),
]

MakeTopic = Callable[..., str]
TOOLS = "org.apache.kafka.tools"


Run = Callable[..., str]
"""Runs one tool on the broker under test, and gives what it printed."""


@pytest.fixture
def topics(tools: JavaTools, bootstrap: str) -> Run:
    return lambda *arguments, check=True: tools.say(f"{TOOLS}.TopicCommand", bootstrap, *arguments, check=check)


@pytest.fixture
def configs(tools: JavaTools, bootstrap: str) -> Run:
    return lambda *arguments, check=True: tools.say("kafka.admin.ConfigCommand", bootstrap, *arguments, check=check)


@pytest.fixture
def offsets(tools: JavaTools, bootstrap: str) -> Callable[[str, str], list[str]]:
    """Of a topic at a time: lines of `topic:partition:offset`, as words `partition:offset`."""

    def list_(topic: str, time: str) -> list[str]:
        lines = tools.say(f"{TOOLS}.GetOffsetShell", bootstrap, "--topic", topic, "--time", time).split()
        return [line.partition(":")[2] for line in lines]

    return list_


def ends(bootstrap: str, topic: str, *, partitions: int) -> list[int]:
    client = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        return list(client.end_offsets([kafka.TopicPartition(topic, each) for each in range(partitions)]).values())
    finally:
        client.close()


def test_topic_command_creates_lists_describes_alters_and_deletes(topics: Run, topic_name: Callable[..., str]) -> None:
    topic = topic_name()
    created = topics("--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=60000")
    assert f"Created topic {topic}." in created

    assert topic in topics("--list").split()

    topics("--alter", "--topic", topic, "--partitions", "3")
    described = topics("--describe", "--topic", topic)
    assert "PartitionCount: 3\tReplicationFactor: 1" in described
    assert "retention.ms=60000" in described
    assert re.findall(r"Partition: (\d)\tLeader: (\d+)\tReplicas: \2\tIsr: \2", described) == [
        (str(partition), described.partition("Leader: ")[2].partition("\t")[0]) for partition in range(3)
    ]

    topics("--delete", "--topic", topic)
    assert f"Topic '{topic}' does not exist" in topics("--describe", "--topic", topic, check=False)


def test_config_command_describes_and_alters_a_topic(configs: Run, make_topic: MakeTopic) -> None:
    topic = make_topic(config={"retention.ms": "60000"})
    of_topic = ["--entity-type", "topics", "--entity-name", topic]
    change = ["--add-config", "segment.ms=7000,cleanup.policy=[compact,delete]", "--delete-config", "retention.ms"]
    configs("--alter", *of_topic, *change)

    described = configs("--describe", *of_topic)
    changed = dict(re.findall(r"^  (\S+)=(\S*) sensitive=false", described, re.MULTILINE))
    assert changed == {"segment.ms": "7000", "cleanup.policy": "compact,delete"}
    assert (
        "cleanup.policy=compact,delete sensitive=false synonyms="
        "{DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}"
    ) in described
    assert "Invalid value soon" in configs("--alter", *of_topic, "--add-config", "segment.ms=soon", check=False)


def test_config_command_describes_and_alters_the_brokers(configs: Run) -> None:
    of_all = ["--entity-type", "brokers", "--entity-default"]
    configs("--alter", *of_all, "--add-config", "log.retention.ms=123456789")
    try:
        shown = (
            "log.retention.ms=123456789 sensitive=false "
            "synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=123456789}"
        )
        until(lambda: shown in configs("--describe", *of_all), "the brokers to have it")
    finally:
        configs("--alter", *of_all, "--delete-config", "log.retention.ms")
    of_one = ("--describe", "--entity-type", "brokers", "--entity-name", "1", "--all")
    until(
        lambda: "log.retention.ms=null sensitive=false synonyms={}" in configs(*of_one), "the broker to be without it"
    )
    assert "  node.id=1 sensitive=false synonyms={" in configs(*of_one)


def test_offsets_are_listed_and_records_deleted(
    tools: JavaTools,
    bootstrap: str,
    offsets: Callable[[str, str], list[str]],
    make_topic: MakeTopic,
    tmp_path: Path,
) -> None:
    topic = make_topic(partitions=2)
    at_times = [Message(value=b"x", timestamp_ms=at) for at in (1_000, 1_100, 1_900, 1_200)]
    ConfluentKafka().produce(bootstrap, topic, at_times)
    assert offsets(topic, "latest") == ["0:4", "1:0"]
    assert offsets(topic, "max-timestamp")[0] == "0:2"
    assert offsets(topic, "1050")[0] == "0:1"

    asked = tmp_path / "delete.json"
    asked.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 3}]}))
    deleted = tools.say(f"{TOOLS}.DeleteRecordsCommand", bootstrap, "--offset-json-file", str(asked))
    assert f"partition: {topic}-0\tlow_watermark: 3" in deleted
    assert offsets(topic, "earliest") == ["0:3", "1:0"]


def test_log_dirs_command_tells_the_size_of_each_partition(
    tools: JavaTools, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(partitions=2)
    ConfluentKafka().produce(bootstrap, topic, [Message(value=b"x" * 5_000)])
    said = tools(f"{TOOLS}.LogDirsCommand", "--bootstrap-server", bootstrap, "--describe", "--topic-list", topic)
    answer = json.loads(said.stdout.splitlines()[-1])
    (broker,) = answer["brokers"]
    (log_dir,) = broker["logDirs"]
    assert log_dir["error"] is None
    sizes = {each["partition"]: each["size"] for each in log_dir["partitions"]}
    assert 5_000 < sizes[f"{topic}-0"] < 5_200
    assert sizes[f"{topic}-1"] == 0


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_producer_performance_gets_every_record_through(
    codec: str, tools: JavaTools, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic = make_topic(word=codec, partitions=3)
    load = ["--topic", topic, "--num-records", "20000", "--record-size", "200", "--throughput", "-1"]
    settings = ["--command-property", f"compression.type={codec}", "acks=all", "enable.idempotence=true"]
    said = tools.say(f"{TOOLS}.ProducerPerformance", bootstrap, *load, *settings)
    assert "20000 records sent" in said
    assert "Exception" not in said
    assert sum(ends(bootstrap, topic, partitions=3)) == 20_000


def test_end_to_end_latency_sees_each_message_come_round(
    tools: JavaTools, bootstrap: str, make_topic: MakeTopic
) -> None:
    load = ["--topic", make_topic(), "--num-records", "50", "--producer-acks", "all", "--record-size", "100"]
    assert "Percentiles: 50th" in tools.say(f"{TOOLS}.EndToEndLatency", bootstrap, *load)


def test_the_console_consumer_reads_from_an_offset_of_a_partition(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=3)
    sent = numbered(30)
    ConfluentKafka().produce(bootstrap, topic, sent, partition=2, codec="gzip")
    received = JavaConsole().read(bootstrap, topic, partition=2, offset=17, count=13)
    assert contents(received) == contents(sent[17:])
    assert received[0].offset == 17


def test_the_broker_tells_its_api_versions_and_its_cluster(tools: JavaTools, bootstrap: str) -> None:
    versions = tools.say(f"{TOOLS}.BrokerApiVersionsCommand", bootstrap)
    assert versions.startswith(f"{bootstrap} (id: 1 rack: null isFenced: false) -> (")
    for usable in ("Produce(0): 0 to 13", "Fetch(1): 4 to 18", "ListOffsets(2): 1 to 11", "Metadata(3): 0 to 13"):
        assert usable in versions
    cluster = tools(f"{TOOLS}.ClusterTool", "cluster-id", "--bootstrap-server", bootstrap).stdout
    assert re.search(r"Cluster ID: [\w-]{22}$", cluster, re.MULTILINE)
