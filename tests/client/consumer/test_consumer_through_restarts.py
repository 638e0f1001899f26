"""A consumer goes on when its broker, and with it the coordinator, stops or is killed: nothing is lost, nothing hangs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ottla.client.consumer.consumer import Consumer
from support.broker import BrokerProcess
from support.consuming import make_topic, run, texts, until, write_evenly


@pytest.mark.crash
@pytest.mark.parametrize("end", ["killed", "stopped"])
@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_a_broker_that_ends_under_a_group_comes_back_and_every_record_is_read(
    tmp_path: Path, group_protocol: str, end: str
) -> None:
    values = texts("v", 400)
    read: list[str] = []

    async def work(reader: Consumer[bytes, bytes]) -> None:
        async for record in reader:
            read.append((record.value or b"").decode())
            await asyncio.sleep(0)

    async def scenario(broker: BrokerProcess) -> None:
        reader: Consumer[bytes, bytes] = Consumer(
            "t",
            bootstrap_servers=broker.bootstrap,
            group_id="g",
            auto_offset_reset="earliest",
            group_protocol=group_protocol,
            request_timeout_ms=5_000,
            auto_commit_interval_ms=100,
        )
        async with reader:
            working = asyncio.create_task(work(reader))
            await asyncio.to_thread(write_evenly, broker.bootstrap, "t", values[:200], 2)
            await until(lambda: len(read) >= 50)
            await asyncio.to_thread(broker.kill if end == "killed" else broker.stop)
            await asyncio.to_thread(broker.start)
            await asyncio.to_thread(write_evenly, broker.bootstrap, "t", values[200:], 2)
            await until(lambda: set(read) == set(values))
            working.cancel()

    with BrokerProcess(tmp_path, {"group.initial.rebalance.delay.ms": "0"}) as broker:
        make_topic(broker.bootstrap, "t", 2)
        run(scenario(broker))
