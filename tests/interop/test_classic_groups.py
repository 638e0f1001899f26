"""Classic groups of confluent-kafka, aiokafka and kafka-python: all is processed, and what was committed is not done again.

Members come, leave, are restarted, die, and outlive a restart of the broker. After each change more is sent, so that a member
that believes in an old assignment would miss it, or process what is another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import confluent_kafka
import pytest
from interop.committing_readers import MEMBERS, Member, Place
from interop.group_readers import CLASSIC, DoomedReader
from interop.topics import create_topic
from interop.waiting import until
from support.apache_kafka import ApacheKafka
from support.broker import BrokerProcess

pytestmark = pytest.mark.interop

PARTITIONS = 6
DEADLINE_S = 60
AT_ONCE = {"group.initial.rebalance.delay.ms": "0"}
Broker = BrokerProcess | ApacheKafka
every_client = pytest.mark.parametrize("client", MEMBERS)


@pytest.fixture(scope="module")
def shared(new_broker: Callable[[dict[str, str]], Broker]) -> Iterator[Broker]:
    """A broker whose groups begin at once; each test has a group and a topic of its own."""
    with new_broker(AT_ONCE) as started:
        yield started


@pytest.fixture
def topic(shared: Broker, topic_name: Callable[..., str]) -> str:
    name = topic_name()
    create_topic(shared.bootstrap, name, partitions=PARTITIONS)
    return name


def send(place: Place, word: str) -> set[bytes]:
    """Some records to every partition."""
    producer = confluent_kafka.Producer({"bootstrap.servers": place.bootstrap, "log_level": 0})
    sent = [f"{word} {number} {partition}".encode() for number in range(10) for partition in range(PARTITIONS)]
    for value in sent:
        producer.produce(place.topic, value, partition=int(value.split()[-1]))
    assert producer.flush(DEADLINE_S) == 0
    return set(sent)


def wait_processed(place: Place, sent: set[bytes]) -> None:
    wait(lambda: place.journal.committed >= sent, "every record processed and committed")


def process_more(place: Place, word: str) -> None:
    wait_processed(place, send(place, word))


def wait_shared(place: Place, *members: Member) -> None:
    """Until these have all partitions between them, and each equally many."""
    each = PARTITIONS // len(members)

    def is_shared() -> bool:
        owned = sorted(partition for member in members for partition in member.owned)
        equal = all(len(member.owned) == each for member in members)
        return equal and owned == [(place.topic, index) for index in range(PARTITIONS)]

    wait(is_shared, f"a share for each of {len(members)}")


def wait(condition: Callable[[], object], what: str) -> None:
    until(condition, what, timeout_s=DEADLINE_S)


@pytest.mark.parametrize(
    ("clients", "assignor"),
    [
        *[([client] * 3, "range") for client in MEMBERS],
        (["confluent-kafka"] * 3, "cooperative-sticky"),
        (list(MEMBERS), "range"),
        (list(MEMBERS), "roundrobin"),
        (list(reversed(MEMBERS)), "range"),
        (["aiokafka", "kafka-python", "confluent-kafka"], "roundrobin"),
    ],
    ids=lambda each: each if isinstance(each, str) else "+".join(dict.fromkeys(each)),
)
def test_members_come_and_leave_and_every_record_is_processed_once(
    clients: Sequence[str], assignor: str, shared: Broker, topic: str
) -> None:
    """Whoever comes first leads, and leaves last; in mixed groups each client leads one."""
    place = Place(shared.bootstrap, topic, assignor=assignor)
    first, second, third = (MEMBERS[client] for client in clients)
    with first(place) as one:
        wait_shared(place, one)
        process_more(place, "alone")
        with second(place) as two:
            wait_shared(place, one, two)
            process_more(place, "by two")
            with third(place) as three:
                wait_shared(place, one, two, three)
                process_more(place, "by three")
            wait_shared(place, one, two)
            process_more(place, "by the two that stay")
    assert place.journal.done_again == []


@every_client
def test_when_the_leader_leaves_another_takes_its_place(client: str, shared: Broker, topic: str) -> None:
    place = Place(shared.bootstrap, topic)
    with ExitStack() as leading:
        leader = leading.enter_context(MEMBERS[client](place))
        wait_shared(place, leader)
        with MEMBERS[client](place) as other:
            wait_shared(place, leader, other)
            process_more(place, "by two")
            leading.close()
            wait_shared(place, other)
            process_more(place, "by the one that stays")
    assert place.journal.done_again == []


@every_client
def test_a_static_member_that_is_restarted_finds_its_partitions_and_nobody_is_disturbed(
    client: str, shared: Broker, topic: str
) -> None:
    place = Place(shared.bootstrap, topic)
    member = MEMBERS[client]
    with member(place, instance="a") as other:
        wait_shared(place, other)
        with member(place, instance="b") as before:
            wait_shared(place, other, before)
            process_more(place, "before")
            had, changes = before.owned, other.changes
        with member(place, instance="b") as again:
            wait(lambda: again.owned == had, "what it had")
            process_more(place, "after")
        assert other.changes == changes
    assert place.journal.done_again == []


def test_what_a_killed_member_had_is_processed_by_the_others_when_its_session_has_ended(
    shared: Broker, topic: str
) -> None:
    """It leads, for it comes first, and commits nothing of what it reads."""
    place = Place(shared.bootstrap, topic, session_ms=6000)
    doomed = DoomedReader(shared.bootstrap, topic, topic, {**CLASSIC, "partition.assignment.strategy": "range"})
    try:
        doomed.wait_assigned()
        with ExitStack() as staying:
            members = [staying.enter_context(member(place)) for member in MEMBERS.values()]
            wait(lambda: all(each.owned for each in members), "a share for everybody")
            sent = send(place, "before")
            doomed.kill()
            wait_shared(place, *members)
            wait_processed(place, sent)
            process_more(place, "after")
    finally:
        doomed.kill()
    assert place.journal.done_again == []


@every_client
def test_members_go_on_when_the_broker_is_stopped_and_when_it_is_killed(
    client: str, own_broker: Callable[..., Broker]
) -> None:
    broker = own_broker(AT_ONCE)
    create_topic(broker.bootstrap, "t", partitions=PARTITIONS)
    place = Place(broker.bootstrap, "t")
    with MEMBERS[client](place) as one, MEMBERS[client](place) as two:
        wait_shared(place, one, two)
        process_more(place, "before")
        broker.stop()
        broker.start()
        process_more(place, "after the stop")
        broker.kill()
        broker.start()
        with MEMBERS[client](place) as three:  # now all begin where the broker says that they had come to
            wait_shared(place, one, two, three)
            process_more(place, "after the kill")
    assert place.journal.done_again == []
