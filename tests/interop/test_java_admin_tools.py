"""Kafka's own command-line tools for groups, quotas, features and the cluster, as an administrator uses them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from interop.clients import ConfluentKafka
from interop.messages import numbered
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
CONFIGS = "kafka.admin.ConfigCommand"
Run = Callable[..., str]


@pytest.fixture
def groups(tools: JavaTools, bootstrap: str) -> Run:
    return lambda *arguments: tools.say(
        f"{TOOLS}.consumer.group.ConsumerGroupCommand", bootstrap, *arguments, check=False
    )


@pytest.fixture
def configs(tools: JavaTools, bootstrap: str) -> Run:
    return lambda *arguments: tools.say(CONFIGS, bootstrap, *arguments)


def rows(said: str) -> list[list[str]]:
    """The words of each line that is not empty, headings left out; in order, for Kafka's tools keep none."""
    lines = [line.split() for line in said.splitlines() if line.strip()]
    return sorted(words for words in lines if not {"TOPIC", "GROUP"} & set(words[:2]))


@contextmanager
def reading(bootstrap: str, group: str, topic: str, count: int, *, protocol: str) -> Iterator[Consumer]:
    """A consumer of the group which has read and committed `count` records, and is still a member."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": protocol,
            "client.id": "reader",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    try:
        seen = 0
        while seen < count:
            seen += sum(each.error() is None for each in consumer.consume(count - seen, timeout=10))
        consumer.commit(asynchronous=False)
        yield consumer
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("protocol", "assignor", "epoch"), [("classic", "range", "-"), ("consumer", "uniform", "\\d+")]
)
def test_consumer_group_command_follows_a_group_from_its_first_member_to_its_end(
    protocol: str, assignor: str, epoch: str, groups: Run, bootstrap: str, make_topic: MakeTopic
) -> None:
    topic, group = make_topic(partitions=2), f"group-{uuid.uuid4().hex[:8]}"
    for partition in (0, 1):
        ConfluentKafka().produce(bootstrap, topic, numbered(10), partition=partition)

    with reading(bootstrap, group, topic, 20, protocol=protocol):
        assert [group, "Stable"] in rows(groups("--list", "--state"))
        described = rows(groups("--describe", "--group", group))
        assert [[*row[:6], row[7], row[8]] for row in described] == [
            [group, topic, str(partition), "10", "10", "0", "/127.0.0.1", "reader"] for partition in (0, 1)
        ]
        (member,) = rows(groups("--describe", "--group", group, "--members", "--verbose"))
        assert member[:5] == [group, described[0][6], "/127.0.0.1", "reader", "2"]
        assert re.fullmatch(epoch, member[5])
        assert f"{topic}:0,1" in member
        (state,) = rows(groups("--describe", "--group", group, "--state"))
        assert state[-3:] == [assignor, "Stable", "1"]
        assert "the current state is Stable" in groups(
            "--reset-offsets", "--group", group, "--all-topics", "--to-earliest", "--dry-run"
        )
        assert "The group is not empty" in groups("--delete", "--group", group)

    reset = ("--reset-offsets", "--group", group)
    assert rows(groups(*reset, "--all-topics", "--to-earliest", "--dry-run")) == [
        [group, topic, "0", "0"],
        [group, topic, "1", "0"],
    ]
    assert rows(groups(*reset, "--topic", f"{topic}:1", "--shift-by", "-4", "--execute")) == [[group, topic, "1", "6"]]
    assert "Successful" in groups("--delete-offsets", "--group", group, "--topic", f"{topic}:0")
    assert [row[2:6] for row in rows(groups("--describe", "--group", group)) if topic in row] == [["1", "6", "10", "4"]]
    deleted = groups("--delete", "--group", group, "--group", "nobody")
    assert f"deleted successfully: '{group}'" in deleted
    assert "The group id does not exist" in deleted


def test_groups_command_lists_groups_of_every_kind(
    tools: JavaTools, bootstrap: str, groups: Run, make_topic: MakeTopic
) -> None:
    topic, group = make_topic(), f"group-{uuid.uuid4().hex[:8]}"
    groups("--reset-offsets", "--group", group, "--topic", topic, "--to-latest", "--execute")

    listed = [line.split() for line in tools.say(f"{TOOLS}.GroupsCommand", bootstrap, "--list").splitlines()]

    assert [group, "Classic"] in [words[:2] for words in listed]


def test_config_command_sets_and_shows_configs_of_groups(configs: Run) -> None:
    of_group = ("--entity-type", "groups", "--entity-name", f"group-{uuid.uuid4().hex[:8]}")
    configs("--alter", *of_group, "--add-config", "consumer.session.timeout.ms=46000")

    described = configs("--describe", *of_group)
    everything = configs("--describe", *of_group, "--all")

    assert (
        "consumer.session.timeout.ms=46000 sensitive=false "
        "synonyms={DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=46000, "
        "DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000}"
    ) in described
    assert "consumer.heartbeat.interval.ms=5000" in everything
    assert of_group[-1] in configs("--describe", "--entity-type", "groups")
    configs("--alter", *of_group, "--delete-config", "consumer.session.timeout.ms")
    assert "46000" not in configs("--describe", *of_group)


def test_config_command_sets_and_shows_client_quotas(configs: Run) -> None:
    name = f"app-{uuid.uuid4().hex[:8]}"
    of_both = ("--entity-type", "users", "--entity-name", name, "--entity-type", "clients", "--entity-default")
    of_client, of_ip = ("--entity-type", "clients", "--entity-name", name), ("--entity-type", "ips", "--entity-default")
    configs("--alter", *of_both, "--add-config", "producer_byte_rate=1024,request_percentage=50")
    configs("--alter", *of_client, "--add-config", "consumer_byte_rate=2048")
    configs("--alter", *of_ip, "--add-config", "connection_creation_rate=1000")

    def quotas(*of: str) -> dict[str, str]:
        return dict(re.findall(r"(\w+)=([\d.]+)", configs("--describe", *of).partition(" are ")[2]))

    until(lambda: quotas(*of_ip) != {}, "the quotas are there")
    assert quotas(*of_both) == {"producer_byte_rate": "1024.0", "request_percentage": "50.0"}
    assert quotas(*of_client) == {"consumer_byte_rate": "2048.0"}
    assert quotas(*of_ip) == {"connection_creation_rate": "1000.0"}
    configs("--alter", *of_ip, "--delete-config", "connection_creation_rate")
    configs("--alter", *of_client, "--delete-config", "consumer_byte_rate")
    until(lambda: quotas(*of_client) == {}, "the quota is gone")


def test_subscriptions_to_client_metrics_are_kept(tools: JavaTools, bootstrap: str, configs: Run) -> None:
    name = f"metrics-{uuid.uuid4().hex[:8]}"
    configs("--alter", "--entity-type", "client-metrics", "--entity-name", name, "--add-config", "interval.ms=1000")

    listed = tools.say(f"{TOOLS}.ClientMetricsCommand", bootstrap, "--list")

    assert name in listed.split()
    assert "interval.ms=1000" in tools.say(f"{TOOLS}.ClientMetricsCommand", bootstrap, "--describe", "--name", name)


def test_config_command_shows_everything_of_the_broker_with_where_it_comes_from(configs: Run) -> None:
    of_broker = ("--entity-type", "brokers", "--entity-name", "1")
    configs("--alter", *of_broker, "--add-config", "log.cleaner.threads=2")
    try:
        until(lambda: "log.cleaner.threads=2" in configs("--describe", *of_broker), "the broker to have it")
        everything = configs("--describe", *of_broker, "--all")
    finally:
        configs("--alter", *of_broker, "--delete-config", "log.cleaner.threads")

    assert (
        "log.cleaner.threads=2 sensitive=false "
        "synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2, DEFAULT_CONFIG:log.cleaner.threads=1}"
    ) in everything
    assert len(re.findall(r"^  \S+=.* sensitive=(?:true|false) synonyms=\{", everything, re.MULTILINE)) > 200


def test_feature_command_shows_features_and_moves_them(tools: JavaTools, bootstrap: str) -> None:
    def features(*arguments: str, check: bool = True) -> str:
        return tools.say(f"{TOOLS}.FeatureCommand", bootstrap, *arguments, check=check)

    def level(name: str) -> str:
        found = re.search(rf"Feature: {re.escape(name)}\s.*FinalizedVersionLevel: (\S+)", features("describe"))
        return "" if found is None else found[1]

    assert level("metadata.version") == "4.3-IV0"
    assert "group.version was downgraded to 0" in features("downgrade", "--feature", "group.version=0")
    try:
        until(lambda: level("group.version") == "0", "group.version is off")
    finally:
        assert "group.version was upgraded to 1" in features("upgrade", "--feature", "group.version=1")
    until(lambda: level("group.version") == "1", "group.version is on again")
    assert "only supports versions 7-30" in features("upgrade", "--feature", "metadata.version=99", check=False)


def test_the_quorum_is_this_node(tools: JavaTools, bootstrap: str) -> None:
    status = tools.say(f"{TOOLS}.MetadataQuorumCommand", bootstrap, "describe", "--status")
    replication = tools.say(f"{TOOLS}.MetadataQuorumCommand", bootstrap, "describe", "--replication")

    assert re.search(r"^LeaderId:\s+1$", status, re.MULTILINE)
    assert re.search(r"^MaxFollowerLag:\s+0$", status, re.MULTILINE)
    assert re.search(r"^1\s.*\sLeader\s*$", replication, re.MULTILINE)


def test_leaders_and_replicas_are_where_they_shall_be(
    tools: JavaTools, bootstrap: str, make_topic: MakeTopic, tmp_path: Path
) -> None:
    topic = make_topic(partitions=2)
    elect = (f"{TOOLS}.LeaderElectionCommand", bootstrap, "--election-type", "preferred")
    reassign = (f"{TOOLS}.reassign.ReassignPartitionsCommand", bootstrap)
    plan, nowhere = tmp_path / "plan.json", tmp_path / "nowhere.json"
    for file, node in ((plan, 1), (nowhere, 2)):
        partitions = [{"topic": topic, "partition": 0, "replicas": [node]}]
        file.write_text(json.dumps({"version": 1, "partitions": partitions}))

    elected = tools.say(*elect, "--topic", topic, "--partition", "0")
    assert f"Valid replica already elected for partitions {topic}-0" in elected
    assert "Error" not in tools.say(*elect, "--all-topic-partitions")
    started = tools.say(*reassign, "--reassignment-json-file", str(plan), "--execute")
    assert f"Successfully started partition reassignment for {topic}-0" in started
    verified = tools.say(*reassign, "--reassignment-json-file", str(plan), "--verify")
    assert f"Reassignment of partition {topic}-0 is completed." in verified
    assert "No partition reassignments found." in tools.say(*reassign, "--list")
    assert "Unknown broker id 2" in tools.say(
        *reassign, "--reassignment-json-file", str(nowhere), "--execute", check=False
    )


def test_producers_of_a_partition_are_told(tools: JavaTools, bootstrap: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    settings = ("--command-property", "enable.idempotence=true", "acks=all")
    load = ("--topic", topic, "--num-records", "3", "--record-size", "10", "--throughput", "-1", *settings)
    tools.say(f"{TOOLS}.ProducerPerformance", bootstrap, *load)

    asked = ("describe-producers", "--topic", topic, "--partition", "0")
    said = tools(f"{TOOLS}.TransactionsCommand", "--bootstrap-server", bootstrap, *asked).stdout

    _, producer = said.strip().splitlines()
    assert producer.split()[1:4] == ["0", "-1", "2"]
