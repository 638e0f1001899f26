"""Groups of the new protocol (KIP-848) with librdkafka and Java: every message is processed, and rebalances end.

The last of what is sent is sent when the group has changed, so that a member that believes in an old assignment would miss
it, or read it for another.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from interop.group_readers import CLASSIC, NEW, DoomedReader, GroupReader
from interop.topics import create_topic
from interop.waiting import until
from support.apache_kafka import ApacheKafka, needs_java, run_tool
from support.broker import BrokerProcess

pytestmark = pytest.mark.interop

PARTITIONS = 6
DEADLINE_S = 60
QUICK_SESSIONS = {
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.assignment.interval.ms": "100",
    "group.initial.rebalance.delay.ms": "0",
}
QUICK_HEARTBEATS = {
    name: value for name, value in QUICK_SESSIONS.items() if "heartbeat" in name or "assignment" in name
}
Broker = BrokerProcess | ApacheKafka
OwnBroker = Callable[..., Broker]
NewBroker = Callable[[dict[str, str]], Broker]


@pytest.fixture(scope="module")
def quick(new_broker: NewBroker) -> Iterator[Broker]:
    """A broker that misses silent members soon; shared, so each test has a group and topics of its own."""
    with new_broker(QUICK_SESSIONS) as started:
        yield started


@pytest.fixture
def name(topic_name: Callable[..., str]) -> str:
    """The name of the test's group and topic."""
    return topic_name()


def send(bootstrap: str, topic: str, words: Sequence[str]) -> list[bytes]:
    """One message of each word to every partition."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    sent = [f"{word} {partition}".encode() for word in words for partition in range(PARTITIONS)]
    for value in sent:
        producer.produce(topic, value, partition=int(value.split()[-1]))
    assert producer.flush(DEADLINE_S) == 0
    return sent


def words(what: str, count: int = 20) -> list[str]:
    return [f"{what}-{number}" for number in range(count)]


def share(readers: Sequence[GroupReader], topic: str, each: int | None = None) -> Callable[[], bool]:
    """Whether these readers have all partitions between them, each equally many if that is told."""

    def shared() -> bool:
        owned = [partition for reader in readers for partition in reader.owned]
        equal = each is None or all(len(reader.owned) == each for reader in readers)
        return equal and sorted(owned) == [(topic, index) for index in range(PARTITIONS)]

    return shared


def have_read(readers: Sequence[GroupReader], sent: Sequence[bytes]) -> Callable[[], bool]:
    return lambda: set(sent) <= {value for reader in readers for value in reader.values}


def described(bootstrap: str, group: str) -> confluent_kafka.admin.ConsumerGroupDescription:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    return admin.describe_consumer_groups([group])[group].result(DEADLINE_S)


def listed_type(bootstrap: str, group: str) -> str:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    found = admin.list_consumer_groups().result(DEADLINE_S)
    return next(each.type.name for each in found.valid if each.group_id == group)


def test_three_members_share_what_one_had_and_take_over_what_leaves(quick: Broker, name: str) -> None:
    create_topic(quick.bootstrap, name, partitions=PARTITIONS)
    sent = send(quick.bootstrap, name, words("before"))
    with GroupReader(quick.bootstrap, name, [name], NEW) as one:
        until(share([one], name), "all partitions", timeout_s=DEADLINE_S)
        with GroupReader(quick.bootstrap, name, [name], NEW) as two:
            until(share([one, two], name, 3), "two shares", timeout_s=DEADLINE_S)
            with GroupReader(quick.bootstrap, name, [name], NEW) as three:
                until(share([one, two, three], name, 2), "three shares", timeout_s=DEADLINE_S)
                sent += send(quick.bootstrap, name, words("shared"))
                until(have_read([one, two, three], sent), "every message", timeout_s=DEADLINE_S)
                assert len(described(quick.bootstrap, name).members) == 3
                assert listed_type(quick.bootstrap, name) == "CONSUMER"
            until(share([one, two], name, 3), "two shares again", timeout_s=DEADLINE_S)
            sent += send(quick.bootstrap, name, words("after"))
            until(have_read([one, two, three], sent), "every message", timeout_s=DEADLINE_S)


def test_a_member_that_is_killed_is_missed_and_its_messages_are_read_by_another(
    quick: Broker,
    name: str,
) -> None:
    create_topic(quick.bootstrap, name, partitions=PARTITIONS)
    doomed = DoomedReader(quick.bootstrap, name, name, NEW)
    try:
        with GroupReader(quick.bootstrap, name, [name], NEW) as reader:
            doomed.wait_assigned()
            until(lambda: len(reader.owned) == PARTITIONS // 2, "one half", timeout_s=DEADLINE_S)
            sent = send(quick.bootstrap, name, words("value"))
            doomed.kill()
            until(share([reader], name), "all partitions", timeout_s=DEADLINE_S)
            until(have_read([reader], sent), "every message", timeout_s=DEADLINE_S)
    finally:
        doomed.kill()


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_members_go_on_over_a_restart_of_the_broker_without_a_rebalance(end: str, own_broker: OwnBroker) -> None:
    """With sessions of the usual length: they outlive a restart."""
    broker = own_broker(QUICK_HEARTBEATS)
    create_topic(broker.bootstrap, "t", partitions=PARTITIONS)
    sent = send(broker.bootstrap, "t", words("before"))
    with (
        GroupReader(broker.bootstrap, "g", ["t"], NEW) as one,
        GroupReader(broker.bootstrap, "g", ["t"], NEW) as two,
    ):
        until(share([one, two], "t", 3), "two shares", timeout_s=DEADLINE_S)
        until(have_read([one, two], sent), "every message", timeout_s=DEADLINE_S)
        changes = one.changes, two.changes
        if end == "killed":
            broker.kill()
        else:
            broker.stop()
        broker.start()
        sent += send(broker.bootstrap, "t", words("after"))
        until(have_read([one, two], sent), "every message", timeout_s=DEADLINE_S)
        assert (one.changes, two.changes) == changes
        assert share([one, two], "t", 3)()


def test_a_subscription_by_expression_reads_every_topic_that_matches(quick: Broker, name: str) -> None:
    matching = [f"{name}-eu", f"{name}-us"]
    for topic in (*matching, f"other-{name}"):
        create_topic(quick.bootstrap, topic, partitions=PARTITIONS)
    sent = [value for topic in matching for value in send(quick.bootstrap, topic, words(topic))]
    send(quick.bootstrap, f"other-{name}", words("not for us"))
    with GroupReader(quick.bootstrap, name, [f"^{name}-.*"], NEW) as reader:
        until(have_read([reader], sent), "every message", timeout_s=DEADLINE_S)

        assert {topic for topic, _ in reader.owned} == set(matching)
        assert set(reader.values) == set(sent)


def test_a_static_member_that_comes_back_finds_its_partitions_and_nobody_else_is_disturbed(
    own_broker: OwnBroker,
) -> None:
    broker = own_broker(QUICK_HEARTBEATS)
    create_topic(broker.bootstrap, "t", partitions=PARTITIONS)
    static = {**NEW, "group.instance.id": "one"}
    with GroupReader(broker.bootstrap, "g", ["t"], NEW) as other:
        with GroupReader(broker.bootstrap, "g", ["t"], static) as first:
            until(share([first, other], "t", 3), "two shares", timeout_s=DEADLINE_S)
            had, changes = first.owned, other.changes
        with GroupReader(broker.bootstrap, "g", ["t"], static) as again:
            until(lambda: again.owned == had, "what it had", timeout_s=DEADLINE_S)
            sent = send(broker.bootstrap, "t", words("value"))
            until(have_read([again, other], sent), "every message", timeout_s=DEADLINE_S)
        assert other.changes == changes


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
def test_members_of_both_protocols_share_a_group_that_is_migrated_and_migrated_back(
    strategy: str, quick: Broker, name: str
) -> None:
    create_topic(quick.bootstrap, name, partitions=PARTITIONS)
    classic = {**CLASSIC, "partition.assignment.strategy": strategy}
    sent = send(quick.bootstrap, name, words("before"))
    with GroupReader(quick.bootstrap, name, [name], classic) as old:
        until(share([old], name), "all partitions", timeout_s=DEADLINE_S)
        assert listed_type(quick.bootstrap, name) == "CLASSIC"
        with GroupReader(quick.bootstrap, name, [name], NEW) as new:
            until(share([old, new], name, 3), "two shares", timeout_s=DEADLINE_S)
            assert listed_type(quick.bootstrap, name) == "CONSUMER"
            with GroupReader(quick.bootstrap, name, [name], classic) as joining:
                until(share([old, new, joining], name, 2), "three shares", timeout_s=DEADLINE_S)
                sent += send(quick.bootstrap, name, words("mixed"))
                until(have_read([old, new, joining], sent), "every message", timeout_s=DEADLINE_S)
        until(share([old], name), "all partitions again", timeout_s=DEADLINE_S)
        assert listed_type(quick.bootstrap, name) == "CLASSIC"
        sent += send(quick.bootstrap, name, words("after"))
        until(have_read([old, new, joining], sent), "every message", timeout_s=DEADLINE_S)


@pytest.mark.java
@needs_java
def test_the_java_consumer_reads_in_a_group_of_the_new_protocol(bootstrap: str, make_topic: Callable[..., str]) -> None:
    topic, group = make_topic(partitions=PARTITIONS), f"java-{uuid.uuid4().hex[:8]}"
    sent = send(bootstrap, topic, words("value", 5))

    done = run_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *["--bootstrap-server", bootstrap, "--topic", topic, "--group", group, "--from-beginning"],
        *["--command-property", "group.protocol=consumer"],
        *["--max-messages", str(len(sent)), "--timeout-ms", "30000"],
    )

    assert sorted(line.encode() for line in done.stdout.splitlines()) == sorted(sent)
    assert listed_type(bootstrap, group) == "CONSUMER"
