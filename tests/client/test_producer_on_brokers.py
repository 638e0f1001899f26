"""A producer and a real broker that is killed and started again under load."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from interop.clients import ConfluentKafka
from ottla.client.errors import DeliveryTimedOut
from ottla.client.producer import Producer
from support.broker import BrokerProcess

pytestmark = pytest.mark.crash

RECORDS = 20_000
KILLS = 3


def test_a_broker_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    progress = threading.Semaphore(0)

    async def send(bootstrap: str) -> list[int]:
        async with Producer[bytes, bytes](bootstrap, batch_size=4_000, delivery_timeout_ms=110_000) as producer:
            written = []
            for number in range(RECORDS):
                written.append(await producer.send("t", b"%d" % number, partition=0))
                if number % 1000 == 999:
                    await written[-500]  # so that the kills come into the middle of it
                    progress.release()
            return [(await each).offset for each in written]

    # The broker ends with the thread that started it, so it is this one that kills and starts.
    with BrokerProcess(tmp_path, {"num.partitions": "1"}) as broker, ThreadPoolExecutor(1) as pool:
        offsets = pool.submit(asyncio.run, send(broker.bootstrap))
        for _ in range(KILLS):
            assert progress.acquire(timeout=60)
            broker.kill()
            broker.start()
        assert offsets.result(100) == list(range(RECORDS))
        read = ConfluentKafka().read(broker.bootstrap, "t", count=RECORDS)

    assert [message.value for message in read] == [b"%d" % number for number in range(RECORDS)]


def test_a_broker_that_never_comes_back_is_said_in_time(tmp_path: Path) -> None:
    async def scenario(broker: BrokerProcess) -> None:
        async with Producer[bytes, bytes](broker.bootstrap) as first:
            await first.send_and_wait("t", b"0", partition=0)
        settings = {"request_timeout_ms": 4_000, "delivery_timeout_ms": 5_000}
        async with Producer[bytes, bytes](broker.bootstrap, **settings) as producer:  # type: ignore[arg-type]
            await producer.partitions_for("t")
            broker.kill()
            delivery = await producer.send("t", b"1", partition=0)
            with pytest.raises(DeliveryTimedOut, match=r"record 1 of 1 for t-0: not acknowledged"):
                await delivery

    with BrokerProcess(tmp_path) as broker:
        asyncio.run(scenario(broker))
