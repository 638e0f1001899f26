"""Kafka's own command-line tools, the ones that need no consumer group, as an operator uses them.

A tool costs the start of a Java machine, about a second, so that a test here takes one topic through several tools
rather than a fresh one for each.
"""

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
from support.apache_kafka import run_tool, why_java_is_absent

pytestmark = [
    pytest.mark.interop,
    pytest.mark.java,
    pytest.mark.skipif(why_java_is_absent() is not None, reason=why_java_is_absent() or ""),
]

MakeTopic = Callable[..., str]
TOOLS = "org.apache.kafka.tools"


def topics(bootstrap: str, *arguments: str, check: bool = True) -> str:
    done = run_tool(f"{TOOLS}.TopicCommand", "--bootstrap-server", bootstrap, *arguments, check=check)
    return done.stdout + done.stderr


def configs(bootstrap: str, *arguments: str, check: bool = True) -> str:
    done = run_tool("kafka.admin.ConfigCommand", "--bootstrap-server", bootstrap, *arguments, check=check)
    return done.stdout + done.stderr


def offsets(bootstrap: str, topic: str, time: str) -> list[str]:
    """Lines of `topic:partition:offset`, as words `partition:offset`."""
    asked = ["--bootstrap-server", bootstrap, "--topic", topic, "--time", time]
    lines = run_tool(f"{TOOLS}.GetOffsetShell", *asked).stdout.split()
    return [line.partition(":")[2] for line in lines]


def ends(bootstrap: str, topic: str, *, partitions: int) -> list[int]:
    client = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        return list(client.end_offsets([kafka.TopicPartition(topic, each) for each in range(partitions)]).values())
    finally:
        client.close()


def test_topic_command_creates_lists_describes_alters_and_deletes(
    bootstrap: str, topic_name: Callable[..., str]
) -> None:
    topic = topic_name()
    created = topics(bootstrap, "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=60000")
    assert f"Created topic {topic}." in created

    assert topic in topics(bootstrap, "--list").split()

    topics(bootstrap, "--alter", "--topic", topic, "--partitions", "3")
    described = topics(bootstrap, "--describe", "--topic", topic)
    assert "PartitionCount: 3\tReplicationFactor: 1" in described
    assert "retention.ms=60000" in described
    assert re.findall(r"Partition: (\d)\tLeader: (\d+)\tReplicas: \2\tIsr: \2", described) == [
        (str(partition), described.partition("Leader: ")[2].partition("\t")[0]) for partition in range(3)
    ]

    topics(bootstrap, "--delete", "--topic", topic)
    assert f"Topic '{topic}' does not exist" in topics(bootstrap, "--describe", "--topic", topic, check=False)


def test_config_command_describes_and_alters_a_topic(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(config={"retention.ms": "60000"})
    of_topic = ["--entity-type", "topics", "--entity-name", topic]
    change = ["--add-config", "segment.ms=7000,cleanup.policy=[compact,delete]", "--delete-config", "retention.ms"]
    configs(bootstrap, "--alter", *of_topic, *change)

    described = configs(bootstrap, "--describe", *of_topic)
    changed = dict(re.findall(r"^  (\S+)=(\S*) sensitive=false", described, re.MULTILINE))
    assert changed == {"segment.ms": "7000", "cleanup.policy": "compact,delete"}
    assert (
        "cleanup.policy=compact,delete sensitive=false synonyms="
        "{DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}"
    ) in described
    assert "Invalid value soon" in configs(
        bootstrap, "--alter", *of_topic, "--add-config", "segment.ms=soon", check=False
    )


def test_config_command_describes_and_alters_the_brokers(bootstrap: str) -> None:
    of_all = ["--entity-type", "brokers", "--entity-default"]
    configs(bootstrap, "--alter", *of_all, "--add-config", "log.retention.ms=123456789")
    try:
        described = configs(bootstrap, "--describe", *of_all)
        assert (
            "log.retention.ms=123456789 sensitive=false "
            "synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=123456789}"
        ) in described
    finally:
        configs(bootstrap, "--alter", *of_all, "--delete-config", "log.retention.ms")
    everything = configs(bootstrap, "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all")
    assert "  node.id=1 sensitive=false synonyms={" in everything
    assert "log.retention.ms=null sensitive=false synonyms={}" in everything


def test_offsets_are_listed_and_records_deleted(bootstrap: str, make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic(partitions=2)
    at_times = [Message(value=b"x", timestamp_ms=at) for at in (1_000, 1_100, 1_900, 1_200)]
    ConfluentKafka().produce(bootstrap, topic, at_times)
    assert offsets(bootstrap, topic, "latest") == ["0:4", "1:0"]
    assert offsets(bootstrap, topic, "max-timestamp")[0] == "0:2"
    assert offsets(bootstrap, topic, "1050")[0] == "0:1"

    asked = tmp_path / "delete.json"
    asked.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 3}]}))
    delete = ["--bootstrap-server", bootstrap, "--offset-json-file", str(asked)]
    assert f"partition: {topic}-0\tlow_watermark: 3" in run_tool(f"{TOOLS}.DeleteRecordsCommand", *delete).stdout
    assert offsets(bootstrap, topic, "earliest") == ["0:3", "1:0"]


def test_log_dirs_command_tells_the_size_of_each_partition(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    ConfluentKafka().produce(bootstrap, topic, [Message(value=b"x" * 5_000)])
    asked = ["--bootstrap-server", bootstrap, "--describe", "--topic-list", topic]
    answer = json.loads(run_tool(f"{TOOLS}.LogDirsCommand", *asked).stdout.splitlines()[-1])
    (broker,) = answer["brokers"]
    (log_dir,) = broker["logDirs"]
    assert log_dir["error"] is None
    sizes = {each["partition"]: each["size"] for each in log_dir["partitions"]}
    assert 5_000 < sizes[f"{topic}-0"] < 5_200
    assert sizes[f"{topic}-1"] == 0


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_producer_performance_gets_every_record_through(codec: str, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(word=codec, partitions=3)
    load = ["--topic", topic, "--num-records", "20000", "--record-size", "200", "--throughput", "-1"]
    settings = ["--command-property", f"compression.type={codec}", "acks=all", "enable.idempotence=true"]
    done = run_tool(f"{TOOLS}.ProducerPerformance", "--bootstrap-server", bootstrap, *load, *settings)
    assert "20000 records sent" in done.stdout
    assert "Exception" not in done.stdout + done.stderr
    assert sum(ends(bootstrap, topic, partitions=3)) == 20_000


def test_end_to_end_latency_sees_each_message_come_round(bootstrap: str, make_topic: MakeTopic) -> None:
    load = ["--topic", make_topic(), "--num-records", "50", "--producer-acks", "all", "--record-size", "100"]
    # Unchecked: having said its numbers it commits to a group, which fails where there are none.
    done = run_tool(f"{TOOLS}.EndToEndLatency", "--bootstrap-server", bootstrap, *load, check=False)
    assert "Percentiles: 50th" in done.stdout


def test_the_console_consumer_reads_from_an_offset_of_a_partition(bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=3)
    sent = numbered(30)
    ConfluentKafka().produce(bootstrap, topic, sent, partition=2, codec="gzip")
    received = JavaConsole().read(bootstrap, topic, partition=2, offset=17, count=13)
    assert contents(received) == contents(sent[17:])
    assert received[0].offset == 17


def test_the_broker_tells_its_api_versions_and_its_cluster(bootstrap: str) -> None:
    versions = run_tool(f"{TOOLS}.BrokerApiVersionsCommand", "--bootstrap-server", bootstrap).stdout
    assert versions.startswith(f"{bootstrap} (id: 1 rack: null isFenced: false) -> (")
    for usable in ("Produce(0): 0 to 13", "Fetch(1): 4 to 18", "ListOffsets(2): 1 to 11", "Metadata(3): 0 to 13"):
        assert usable in versions
    cluster = run_tool(f"{TOOLS}.ClusterTool", "cluster-id", "--bootstrap-server", bootstrap).stdout
    assert re.search(r"Cluster ID: [\w-]{22}$", cluster, re.MULTILINE)
