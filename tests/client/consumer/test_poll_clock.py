"""A user that takes its time: between two records it may, as long as it goes on; else its partitions are others'."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.consumer import Consumer
from ottla.client.consumer.listener import RebalanceListener
from support.fake_network import FakeNetwork, Faults
from support.model_broker import ModelCluster
from support.model_group import ModelGroupCluster
from support.virtual_loop import run_virtually

RECORDS = 30
PATIENCE_S = 0.4


class Recording(RebalanceListener):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_partitions_revoked(self, revoked: frozenset[TopicPartition]) -> None:
        self.told.append("revoked")

    def on_partitions_assigned(self, assigned: frozenset[TopicPartition]) -> None:
        self.told.append("assigned")

    def on_partitions_lost(self, lost: frozenset[TopicPartition]) -> None:
        self.told.append("lost")


def told_while(use: Callable[[Consumer[Any, Any]], Awaitable[None]]) -> list[str]:
    """What a listener was told while its user did so, in virtual time."""
    cluster, listener = ModelGroupCluster({"t": 1}, random=Random(0)), Recording()
    network = FakeNetwork(Random(0), Faults(max_delay_s=0.001))
    network.listen(ModelCluster.address_of(1), partial(cluster.accept, 1))
    for number in range(RECORDS):
        cluster.append("t", 0, b"%d" % number)

    async def scenario() -> None:
        reader: Consumer[Any, Any] = Consumer(
            bootstrap_servers=[ModelCluster.address_of(1)],
            group_id="g",
            auto_offset_reset="earliest",
            max_poll_interval_ms=int(PATIENCE_S * 1000),
            network=network,
            random=Random(0),
        )
        reader.subscribe(["t"], listener=listener)
        async with reader:
            await use(reader)

    run_virtually(scenario())
    return listener.told


def test_an_iteration_over_many_records_counts_as_coming_back() -> None:
    async def use(reader: Consumer[Any, Any]) -> None:
        count = 0
        async for _ in reader:
            await asyncio.sleep(PATIENCE_S / 2)
            count += 1
            if count == RECORDS:
                break

    assert told_while(use) == ["assigned", "revoked"]


def test_a_wait_for_a_record_that_does_not_come_is_no_absence() -> None:
    async def use(reader: Consumer[Any, Any]) -> None:
        for _ in range(RECORDS):
            await reader.getone()
        assert await reader.getmany(timeout_ms=int(20 * PATIENCE_S * 1000)) == {}

    assert told_while(use) == ["assigned", "revoked"]


def test_who_stays_away_too_long_has_lost_its_partitions_and_gets_them_again_when_it_comes_back() -> None:
    async def use(reader: Consumer[Any, Any]) -> None:
        assert (await reader.getone()).offset == 0
        await asyncio.sleep(2 * PATIENCE_S)
        assert reader.assignment() == frozenset()
        assert (await reader.getone()).offset == 0  # it was in hand, and not committed

    assert told_while(use) == ["assigned", "lost", "assigned", "revoked"]
