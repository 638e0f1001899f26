"""A whole broker in this process, asked through its handlers: what goes over the wire, without the wire.

    def test_...(tmp_path):
        async def test(ask: Asker) -> None:
            answer = await ask(ApiKey.METADATA, 13, topics=None)
            assert answer.topics == []

        with_broker(tmp_path, test, {"num.partitions": "3"})

Request and answer take the detour through their bytes, so a test sees what a client of that version would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from ottla.broker.api import table
from ottla.broker.api.context import RequestContext
from ottla.broker.app import Broker
from ottla.broker.config import BrokerConfig
from ottla.protocol.apis import ApiKey
from ottla.protocol.messages import Message, decode_request, decode_response, encode_request, encode_response
from ottla.protocol.records import BatchBuilder


class Asker:
    """A client without a connection."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def __call__(self, key: ApiKey, version: int, **fields: Any) -> Any:
        request = decode_request(key, version, encode_request(key, version, Message(**fields)))
        context = RequestContext(
            api_key=key,
            api_version=version,
            client_id="test",
            listener="PLAINTEXT",
            reached_at="127.0.0.1",
            peer="test",
            now_ms=self.broker.clock.now_ms(),
        )
        answer = table.load(key)(self.broker, context, request)
        if not isinstance(answer, Message):
            answer = await answer
        return decode_response(key, version, encode_response(key, version, answer))

    async def create(self, name: str, partitions: int = 1, **configs: str) -> Any:
        """Create a topic (config names with underscores for dots) and return the answer about it."""
        topic = Message(
            name=name,
            num_partitions=partitions,
            replication_factor=1,
            assignments=[],
            configs=[Message(name=key.replace("_", "."), value=value) for key, value in configs.items()],
        )
        answer = await self(ApiKey.CREATE_TOPICS, 7, topics=[topic], timeout_ms=10_000)
        return answer.topics[0]

    async def names(self) -> set[str]:
        """The topics that there are."""
        answer = await self(ApiKey.METADATA, 13, topics=None)
        return {topic.name for topic in answer.topics}

    def append(self, topic: str, *values: bytes) -> None:
        """Write one batch into partition 0 of a topic, as its leader would."""
        builder = BatchBuilder()
        for value in values:
            builder.append(self.broker.clock.now_ms(), None, value)
        partition = self.broker.partitions.find(topic, 0)
        assert partition is not None
        partition.log.append(
            memoryview(builder.build()), leader_epoch=partition.leader_epoch, now_ms=self.broker.clock.now_ms()
        )


def with_broker(
    directory: Path, test: Callable[[Asker], Awaitable[None]], settings: Mapping[str, str] | None = None
) -> None:
    """Start a broker on `directory`, run `test`, stop it."""

    async def run() -> None:
        broker = await Broker.start(
            BrokerConfig(
                {
                    "node.id": "1",
                    "log.dirs": str(directory),
                    "listeners": "PLAINTEXT://127.0.0.1:0",
                    **(settings or {}),
                }
            )
        )
        try:
            await test(Asker(broker))
        finally:
            problems = await broker.stop()
        assert problems == []

    asyncio.run(run())
