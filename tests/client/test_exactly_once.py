"""An idempotent producer on a bad network: what is acknowledged is written once, and everything in order.

One schedule is a seed: the producer's settings, what it sends and when, how the network delays, splits, cuts and falls
silent, and when leaders move or brokers refuse, all come from it.  Time is virtual.  A failure prints the seed; run it
again with OTTLA_SEED=<seed>.  OTTLA_HEAVY=1 runs ten thousand of the first kind, and as many of the second.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest
from ottla.client.bulk import BulkDelivery
from ottla.client.delivery import Delivery
from ottla.client.errors import ClientError, DeliveryTimedOut
from ottla.client.producer import Producer
from ottla.protocol.errors import ErrorCode
from support.fake_network import FakeNetwork, Faults
from support.model_broker import ModelCluster
from support.virtual_loop import run_virtually

HEAVY = bool(os.environ.get("OTTLA_HEAVY"))
SCHEDULES = 10_000 if HEAVY else 120
CHUNKS = 100 if HEAVY else 6
TOPIC = "t"
PASSING = (
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.LEADER_NOT_AVAILABLE,
)

pytestmark = pytest.mark.timeout(3600 if HEAVY else 120)


class World:
    """A cluster of the model on a network, and what a seed makes of them."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.partition_count = random.randint(1, 4)
        self.cluster = ModelCluster({TOPIC: self.partition_count}, brokers=random.randint(1, 3), random=random)
        self.network = FakeNetwork(
            random,
            Faults(
                max_delay_s=random.choice((0.001, 0.02, 0.5)),
                cut_chance=random.choice((0.0, 0.3, 0.7)),
                cut_within_bytes=random.choice((200, 3_000, 20_000)),
                silence_chance=random.choice((0.0, 0.2)),
                refuse_chance=random.choice((0.0, 0.2)),
            ),
        )
        for node_id in self.cluster.brokers:
            self.network.listen(ModelCluster.address_of(node_id), partial(self.cluster.accept, node_id))
        self.refuse_chance = random.choice((0.0, 0.0, 0.1, 0.3))
        self.cluster.produce_refusals = self.refusal

    def refusal(self, topic: str, index: int) -> ErrorCode:
        return self.random.choice(PASSING) if self.random.random() < self.refuse_chance else ErrorCode.NONE

    def heal(self) -> None:
        """From now on nothing goes wrong any more, for a test has to end."""
        self.network.faults = Faults(max_delay_s=0.001)
        self.refuse_chance = 0.0

    def producer(self, **settings: Any) -> Producer[bytes, bytes]:
        random = self.random
        return Producer(
            [ModelCluster.address_of(each) for each in self.cluster.brokers],
            batch_size=random.choice((100, 300, 2_000)),
            linger_ms=random.choice((0, 0, 5, 50)),
            buffer_memory=random.choice((500, 5_000, 1_000_000)),
            max_block_ms=3_600_000,
            compression_type=random.choice((None, None, "gzip", "lz4")),
            max_in_flight_requests_per_connection=random.choice((1, 2, 5, 5)),
            request_timeout_ms=random.choice((500, 5_000)),
            network=self.network,
            random=random,
            clock_ns=lambda: 1_700_000_000_000_000_000,
            **settings,
        )


async def started(world: World, **settings: Any) -> Producer[bytes, bytes]:
    """A producer that has started; on so bad a network that takes several tries."""
    while True:
        producer = world.producer(**settings)
        try:
            await producer.start()
        except ClientError:
            continue
        else:
            return producer


@dataclass
class Sent:
    """What was given to the producer, by the stream that gave it, in its order."""

    deliveries: dict[bytes, Delivery] = field(default_factory=dict)
    bulks: list[tuple[list[bytes], BulkDelivery]] = field(default_factory=list)

    @property
    def values(self) -> list[bytes]:
        return [*self.deliveries, *(value for values, _ in self.bulks for value in values)]


async def stream(world: World, producer: Producer[bytes, bytes], number: int, sent: Sent) -> None:
    """Send some records, one after the other, some together, with pauses."""
    random = world.random
    for position in range(random.randint(5, 40)):
        if random.random() < 0.3:
            await asyncio.sleep(random.choice((0, 0.001, 0.1, 1)))
        if random.random() < 0.1:
            values = [b"%d:%06d:%d" % (number, position, each) for each in range(random.randint(1, 30))]
            sent.bulks.append(
                (values, await producer.send_batch(values, TOPIC, partition=number % world.partition_count))
            )
            continue
        value = b"%d:%06d:" % (number, position) + b"x" * random.choice((1, 50, 400))
        key = random.choice((None, None, b"key", b"%d" % random.randrange(9)))
        sent.deliveries[value] = await producer.send(TOPIC, value, key)


async def trouble(world: World) -> None:
    """Move leaders and restart brokers, until cancelled."""
    random, cluster, network = world.random, world.cluster, world.network
    while True:
        await asyncio.sleep(random.uniform(0.01, 2))
        if random.random() < 0.6:
            cluster.move(TOPIC, random.randrange(world.partition_count))
            continue
        node_id = random.choice(cluster.brokers)
        network.stop_listening(cluster.address_of(node_id))
        await asyncio.sleep(random.uniform(0, 2))
        network.listen(cluster.address_of(node_id), partial(cluster.accept, node_id))


async def schedule(world: World, sent: Sent, **settings: Any) -> None:
    producer = await started(world, **settings)
    troubling = asyncio.create_task(trouble(world))
    streams = range(world.random.randint(1, 3))
    await asyncio.gather(*(stream(world, producer, each, sent) for each in streams))
    if world.random.random() < 0.5:
        await asyncio.sleep(world.random.uniform(0, 5))
    troubling.cancel()
    await asyncio.wait([troubling])
    for node_id in world.cluster.brokers:
        world.network.listen(world.cluster.address_of(node_id), partial(world.cluster.accept, node_id))
    world.heal()
    await producer.stop()


def assert_in_order(world: World) -> None:
    """Within a partition the records of each stream lie in the order in which it sent them."""
    for index in range(world.partition_count):
        values = world.cluster.values(TOPIC, index)
        for number in {value.split(b":")[0] for value in values}:
            own = [tuple(map(_number, value.split(b":")[1:])) for value in values if value.split(b":")[0] == number]
            assert own == sorted(own), f"partition {index}, stream {number!r}"


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else -1


def assert_true(world: World, value: bytes, delivery: Delivery) -> None:
    written = delivery.result()
    record = world.cluster.partitions[TOPIC, written.partition].records[written.offset]
    assert record.value == value


def seeds(chunk: int) -> range:
    if "OTTLA_SEED" in os.environ:
        return range(int(os.environ["OTTLA_SEED"]), int(os.environ["OTTLA_SEED"]) + 1)
    size = SCHEDULES // CHUNKS
    return range(chunk * size, (chunk + 1) * size)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_record_is_written_once_in_order_whatever_the_network_does(chunk: int) -> None:
    for seed in seeds(chunk):
        world, sent = World(seed), Sent()
        try:
            run_virtually(schedule(world, sent, delivery_timeout_ms=20_000_000))

            assert sorted(world.cluster.all_values()) == sorted(sent.values)
            assert_in_order(world)
            for value, delivery in sent.deliveries.items():
                assert_true(world, value, delivery)
            for values, bulk in sent.bulks:
                assert_bulk_is_true(world, values, bulk)
        except BaseException:
            print(f"failed with OTTLA_SEED={seed}")
            raise


def assert_bulk_is_true(world: World, values: list[bytes], bulk: BulkDelivery) -> None:
    written = [
        world.cluster.partitions[TOPIC, each.partition].records[offset].value
        for each in bulk.result()
        for offset in range(each.offset, each.offset + each.count)
    ]
    assert written == values


@pytest.mark.parametrize("chunk", range(CHUNKS if HEAVY else CHUNKS // 2))
def test_what_was_given_up_may_be_missing_and_the_rest_is_written_once_in_order(chunk: int) -> None:
    for seed in seeds(chunk):
        world, sent = World(seed), Sent()
        try:
            run_virtually(schedule(world, sent, delivery_timeout_ms=world.random.choice((5_050, 10_000))))

            written = Counter(world.cluster.all_values())
            assert written.keys() <= set(sent.values)
            assert [value for value, count in written.items() if count > 1] == []
            assert_in_order(world)
            for value, delivery in sent.deliveries.items():
                if delivery.exception() is None:
                    assert_true(world, value, delivery)
                else:
                    assert isinstance(delivery.exception(), DeliveryTimedOut)
        except BaseException:
            print(f"failed with OTTLA_SEED={seed}")
            raise
