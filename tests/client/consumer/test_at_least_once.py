"""A consumer on a bad network: nothing hangs, nothing is lost, and what one consumer is given comes in order, once.

One schedule is a seed, as with the producer's: how the network delays, splits, cuts and falls silent, when leaders and
the coordinator move, what brokers refuse, in which form the user reads, when it gives up waiting, fails over a record, or
crashes.  Time is virtual.  A failure prints the seed; run it again with OTTLA_SEED=<seed>.  OTTLA_HEAVY=1 runs ten thousand.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from functools import partial
from random import Random
from typing import Any

import pytest
from ottla.client.consumer.consumer import Consumer
from ottla.client.errors import ClientError
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from support.fake_network import FakeNetwork, Faults
from support.model_broker import ModelCluster
from support.model_group import ModelGroupCluster
from support.virtual_loop import run_virtually

HEAVY = bool(os.environ.get("OTTLA_HEAVY"))
SCHEDULES = 10_000 if HEAVY else 60
CHUNKS = 100 if HEAVY else 3
REMEMBERED = (5707, 5836)
"""5707: a wait with a time limit spun when the timer rang a rounding error before its time.
5836: a commit was asked again in the name of the next generation, when reading had begun again before it."""
TOPIC = "t"
RECORDS = 60
PASSING = {
    ApiKey.FETCH: (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.OFFSET_NOT_AVAILABLE, ErrorCode.KAFKA_STORAGE_ERROR),
    ApiKey.LIST_OFFSETS: (ErrorCode.LEADER_NOT_AVAILABLE,),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: (ErrorCode.UNKNOWN_LEADER_EPOCH,),
    ApiKey.FIND_COORDINATOR: (ErrorCode.COORDINATOR_NOT_AVAILABLE,),
    ApiKey.JOIN_GROUP: (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.UNKNOWN_MEMBER_ID),
    ApiKey.SYNC_GROUP: (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.UNKNOWN_MEMBER_ID),
    ApiKey.HEARTBEAT: (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION),
    ApiKey.OFFSET_COMMIT: (ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.REBALANCE_IN_PROGRESS),
    ApiKey.OFFSET_FETCH: (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,),
}

pytestmark = pytest.mark.timeout(3600 if HEAVY else 120)


class FailedOver(Exception):
    """The user's own code failed over a record."""


class World:
    """A cluster of the model on a network, a user, and what a seed makes of them."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.partition_count = random.randint(1, 4)
        self.cluster = ModelGroupCluster({TOPIC: self.partition_count}, brokers=random.randint(1, 3), random=random)
        self.network = FakeNetwork(
            random,
            Faults(
                max_delay_s=random.choice((0.01, 0.1, 0.5)),
                cut_chance=random.choice((0.0, 0.3, 0.7)),
                cut_within_bytes=random.choice((200, 3_000, 20_000)),
                silence_chance=random.choice((0.0, 0.2)),
                refuse_chance=random.choice((0.0, 0.2)),
            ),
        )
        for node_id in self.cluster.brokers:
            self.network.listen(ModelCluster.address_of(node_id), partial(self.cluster.accept, node_id))
        self.refuse_chance = random.choice((0.0, 0.0, 0.1, 0.3))
        self.cluster.refusal = self.refusal
        self.processed: defaultdict[int, set[int]] = defaultdict(set)  # offsets by partition
        self.written: defaultdict[int, int] = defaultdict(int)

    def refusal(self, key: ApiKey) -> ErrorCode:
        codes = PASSING.get(key, ())
        return self.random.choice(codes) if codes and self.random.random() < self.refuse_chance else ErrorCode.NONE

    @property
    def is_done(self) -> bool:
        return sum(self.written.values()) == RECORDS and all(
            len(self.processed[index]) == count for index, count in self.written.items()
        )

    def consumer(self) -> Consumer[Any, Any]:
        random = self.random
        return Consumer(
            TOPIC,
            bootstrap_servers=[ModelCluster.address_of(each) for each in self.cluster.brokers],
            group_id="g",
            auto_offset_reset="earliest",
            auto_commit_interval_ms=random.choice((50, 1_000)),
            partition_assignment_strategy=[random.choice(("range", "cooperative-sticky"))],
            max_partition_fetch_bytes=random.choice((300, 100_000)),
            prefetch_max_bytes=random.choice((1_000, 1_000_000)),
            heartbeat_interval_ms=300,
            request_timeout_ms=2_000,
            network=self.network,
            random=random,
        )

    # -- what goes on meanwhile

    async def write(self) -> None:
        for _ in range(RECORDS):
            index = self.random.randrange(self.partition_count)
            self.cluster.append(TOPIC, index, b"%d" % self.written[index])
            self.written[index] += 1
            await asyncio.sleep(self.random.choice((0.0, 0.0, 0.2)))

    async def disturb(self) -> None:
        for _ in range(self.random.randint(0, 12)):
            await asyncio.sleep(self.random.uniform(0, 1))
            match self.random.randrange(4):
                case 0:
                    self.cluster.move(TOPIC, self.random.randrange(self.partition_count))
                case 1:
                    self.cluster.coordinator_id = self.random.choice(self.cluster.brokers)
                case 2:
                    self.cluster.forget_sessions()
                case 3:
                    self.cluster.member_id = ""
        self.network.faults = Faults(max_delay_s=0.05)  # for a test has to end
        self.refuse_chance = 0.0

    # -- the user

    async def read_until_done(self) -> None:
        """One consumer after the other, each until it fails, crashes, or everything was processed."""
        while not self.is_done:
            consumer = self.consumer()
            try:
                await consumer.start()
            except ClientError:
                continue  # nobody answered in time
            given: dict[int, int] = {}
            try:
                while not self.is_done:
                    await self.read_a_little(consumer, given)
            except FailedOver:
                pass
            finally:
                await consumer.stop()

    async def read_a_little(self, consumer: Consumer[Any, Any], given: dict[int, int]) -> None:
        try:
            async with asyncio.timeout(self.random.choice((0.01, 0.5, 5))):
                match self.random.randrange(4):
                    case 0:
                        self.take(await consumer.getone(), given)
                    case 1:
                        for records in (await consumer.getmany(timeout_ms=300, max_records=5)).values():
                            for record in records:
                                self.take(record, given)
                    case 2:
                        async for record in consumer:
                            self.take(record, given)
                            await asyncio.sleep(self.random.choice((0, 0, 0.05)))
                    case 3:
                        batch = await consumer.getbatch(timeout_ms=300)
                        for record in batch or ():
                            self.take(record, given)
        except TimeoutError:
            return

    def take(self, record: Any, given: dict[int, int]) -> None:
        """Check what is given; process it, or fail over it."""
        index, offset = record.partition, record.offset
        assert record.value == b"%d" % offset
        if index in given and offset != given[index] + 1:
            assert offset <= given[index], f"partition {index}: {given[index]} is followed by {offset}"
        done = self.processed[index]
        assert offset == 0 or offset - 1 in done, f"partition {index}: {offset} comes, and the one before never did"
        if self.random.random() < 0.02:
            raise FailedOver
        given[index] = offset
        done.add(offset)


async def scenario(seed: int) -> None:
    world = World(seed)
    tasks = [asyncio.create_task(world.write()), asyncio.create_task(world.disturb())]
    await world.read_until_done()
    for task in tasks:
        await task


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_is_lost_and_nothing_hangs_on_any_network(chunk: int) -> None:
    given = os.environ.get("OTTLA_SEED")
    seeds = [int(given)] if given else [*range(chunk, SCHEDULES, CHUNKS), *REMEMBERED[chunk::CHUNKS]]
    for seed in seeds:
        try:
            run_virtually(scenario(seed))
        except BaseException:
            print(f"OTTLA_SEED={seed}")
            raise
