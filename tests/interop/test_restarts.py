"""A broker that goes away under running clients and comes back: they go on, and nothing acknowledged is gone.

The producer is idempotent and retries on its own, so that what it writes must be in the log once and in order,
whether the broker was stopped cleanly or killed; the consumer must see exactly that, without being started again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import aiokafka
import confluent_kafka
import kafka
import pytest
from interop.clients import ConfluentKafka
from interop.messages import numbered
from interop.topics import create_topic
from interop.waiting import until
from support.apache_kafka import ApacheKafka
from support.broker import BrokerProcess

pytestmark = pytest.mark.interop

Broker = BrokerProcess | ApacheKafka
OwnBroker = Callable[..., Broker]

TOPIC = "restarted"
DEADLINE_S = 60
BEFORE = 50  # messages read before the broker goes away
MESSAGES = 300
VALUES = [b"value %d" % n for n in range(MESSAGES)]


class Pace:
    """Lets the producer end only after the broker was restarted, so that it runs on both sides of the gap."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.restarted = threading.Event()
        self.failure: BaseException | None = None

    def may_send(self, number: int) -> bool:
        """The last third waits for the restart; what comes before flows into the gap."""
        return number < MESSAGES * 2 // 3 or self.restarted.is_set()

    @property
    def is_done(self) -> bool:
        return len(self.received) >= MESSAGES or self.failure is not None


Clients = Callable[[str, Pace], None]


def run_confluent_kafka(bootstrap: str, pace: Pace) -> None:
    quick = {"bootstrap.servers": bootstrap, "reconnect.backoff.max.ms": 200, "log_level": 0}
    producer = confluent_kafka.Producer({**quick, "enable.idempotence": True, "retry.backoff.ms": 20})
    group = {"group.id": "never joined", "enable.auto.commit": False}
    consumer = confluent_kafka.Consumer({**quick, **group})
    consumer.assign([confluent_kafka.TopicPartition(TOPIC, 0, 0)])
    sent = 0
    while not pace.is_done:
        if sent < MESSAGES and pace.may_send(sent):
            producer.produce(TOPIC, VALUES[sent], partition=0)
            sent += 1
        producer.poll(0)
        for message in consumer.consume(MESSAGES, 0.005):
            if message.error() is None:
                pace.received.append(message.value())
    consumer.close()
    assert producer.flush(DEADLINE_S) == 0


def run_aiokafka(bootstrap: str, pace: Pace) -> None:
    async def produce() -> None:
        async with aiokafka.AIOKafkaProducer(
            bootstrap_servers=bootstrap, enable_idempotence=True, retry_backoff_ms=20, metadata_max_age_ms=500
        ) as producer:
            sent = []
            for number, value in enumerate(VALUES):
                while not pace.may_send(number):  # noqa: ASYNC110  an event of another thread
                    await asyncio.sleep(0.005)
                sent.append(await producer.send(TOPIC, value, partition=0))
                await asyncio.sleep(0.001)
            await asyncio.gather(*sent)

    async def consume() -> None:
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, retry_backoff_ms=20) as consumer:
            at = aiokafka.TopicPartition(TOPIC, 0)
            consumer.assign([at])
            consumer.seek(at, 0)
            while not pace.is_done:
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    pace.received += [record.value for record in records]

    async def run() -> None:
        await asyncio.gather(produce(), consume())

    asyncio.run(asyncio.wait_for(run(), DEADLINE_S))


def run_kafka_python(bootstrap: str, pace: Pace) -> None:
    quick = {"bootstrap_servers": bootstrap, "reconnect_backoff_max_ms": 200, "retry_backoff_ms": 20}
    producer = kafka.KafkaProducer(**quick, enable_idempotence=True)
    consumer = kafka.KafkaConsumer(**quick)
    at = kafka.TopicPartition(TOPIC, 0)
    consumer.assign([at])
    consumer.seek(at, 0)
    sent = 0
    while not pace.is_done:
        if sent < MESSAGES and pace.may_send(sent):
            producer.send(TOPIC, value=VALUES[sent], partition=0)
            sent += 1
        for records in consumer.poll(timeout_ms=5).values():
            pace.received += [record.value for record in records]
    consumer.close()
    producer.close(DEADLINE_S)


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.parametrize(
    "clients",
    [
        pytest.param(run_confluent_kafka, id="confluent-kafka"),
        pytest.param(run_aiokafka, id="aiokafka"),
        pytest.param(run_kafka_python, id="kafka-python"),
    ],
)
def test_a_running_producer_and_consumer_live_through_a_restart(
    clients: Clients, end: str, own_broker: OwnBroker
) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap, TOPIC)
    pace = Pace()
    thread = threading.Thread(target=run_noting_failure, args=(clients, broker.bootstrap, pace), daemon=True)
    thread.start()
    try:
        until(lambda: len(pace.received) >= BEFORE or pace.failure, "the first messages")
        end_broker(broker, end)
        broker.start()
        pace.restarted.set()
        until(lambda: pace.is_done, "all messages", timeout_s=DEADLINE_S)
    finally:
        pace.restarted.set()
        if pace.is_done:
            thread.join(DEADLINE_S)
    assert pace.failure is None, repr(pace.failure)
    assert pace.received == VALUES
    in_log = ConfluentKafka().read(broker.bootstrap, TOPIC, count=MESSAGES)
    assert [message.value for message in in_log] == VALUES


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_topics_configs_and_records_are_there_after_a_restart(end: str, own_broker: OwnBroker) -> None:
    broker = own_broker({"num.partitions": "2"})
    create_topic(broker.bootstrap, "kept", partitions=3, config={"retention.ms": "123456"})
    sent = numbered(50)
    for partition in range(3):
        ConfluentKafka().produce(broker.bootstrap, "kept", sent, partition=partition, idempotent=True)
    before = metadata(broker)

    end_broker(broker, end)
    broker.start()

    assert metadata(broker) == before
    for partition in range(3):
        received = ConfluentKafka().read(broker.bootstrap, "kept", partition=partition, count=50)
        assert [message.value for message in received] == [message.value for message in sent]
        assert ConfluentKafka().produce(broker.bootstrap, "kept", sent[:1], partition=partition) == [50]


def run_noting_failure(clients: Clients, bootstrap: str, pace: Pace) -> None:
    try:
        clients(bootstrap, pace)
    except BaseException as failure:
        pace.failure = failure
        raise


def end_broker(broker: Broker, end: str) -> None:
    if end == "killed":
        broker.kill()
    else:
        broker.stop()


def metadata(broker: Broker) -> object:
    """Topics with id, partitions and changed configs, and the cluster's id."""
    client = kafka.KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, "kept")
        described = [
            (topic["name"], str(topic["topic_id"]), sorted(each["partition_index"] for each in topic["partitions"]))
            for topic in client.describe_topics(["kept"])
        ]
        retention = client.describe_configs([resource])["topic"]["kept"]["retention.ms"]["value"]
        return described, retention, client.describe_cluster()["cluster_id"]
    finally:
        client.close()
