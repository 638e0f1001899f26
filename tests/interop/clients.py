"""The Python clients, one plain face over each: write these messages to a partition, read so many back.

Every client is used as it comes, with its defaults, except where a test asks for something (a codec, acks, a size).
Reading is by assignment, never by group.  Each call makes its own client object and closes it, so that what one test
did to a connection or a fetch session cannot help or hurt the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import aiokafka
import confluent_kafka
import kafka
import ottla
from interop.messages import MEGABYTE, Headers, Message

DEADLINE_S = 60
POLL_S = 0.5


class ConfluentKafka:
    """librdkafka through confluent-kafka."""

    name = "confluent-kafka"
    sets_timestamps = True
    writes_null_headers = True

    def produce(
        self,
        bootstrap: str,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
        max_bytes: int = MEGABYTE,
    ) -> list[int]:
        """The offset of each message, in the order of `messages` (nothing sensible under acks 0)."""
        settings = {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "acks": acks,
            "enable.idempotence": idempotent,
            "message.max.bytes": max_bytes,
            "linger.ms": 5,
        }
        offsets: dict[int, int] = {}
        producer = confluent_kafka.Producer(settings)
        for number, message in enumerate(messages):
            given = {} if message.timestamp_ms is None else {"timestamp": message.timestamp_ms}
            producer.produce(
                topic,
                message.value,
                message.key,
                partition,
                headers=list(message.headers),
                on_delivery=self._note(offsets, number),
                **given,
            )
        assert producer.flush(DEADLINE_S) == 0, "not delivered in time"
        return [offsets[number] for number in range(len(messages))]

    @staticmethod
    def _note(offsets: dict[int, int], number: int) -> Any:
        def note(error: confluent_kafka.KafkaError | None, delivered: confluent_kafka.Message) -> None:
            if error is not None:
                raise confluent_kafka.KafkaException(error)
            offsets[number] = delivered.offset()

        return note

    def read(
        self, bootstrap: str, topic: str, *, count: int, partition: int = 0, offset: int = 0, max_bytes: int = MEGABYTE
    ) -> list[Message]:
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": "never joined",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": max_bytes,
            "check.crcs": True,
            "auto.offset.reset": "error",
        }
        consumer = confluent_kafka.Consumer(settings)
        received: list[Message] = []
        deadline = time.monotonic() + DEADLINE_S
        try:
            consumer.assign([confluent_kafka.TopicPartition(topic, partition, offset)])
            while len(received) < count:
                assert time.monotonic() < deadline, f"{len(received)} of {count} messages in {DEADLINE_S} s"
                for message in consumer.consume(count - len(received), POLL_S):
                    if message.error() is not None:
                        raise confluent_kafka.KafkaException(message.error())
                    received.append(self._message(message))
        finally:
            consumer.close()
        return received

    @staticmethod
    def _message(message: confluent_kafka.Message) -> Message:
        return Message(
            key=message.key(),
            value=message.value(),
            headers=tuple(message.headers() or ()),
            timestamp_ms=message.timestamp()[1],
            offset=message.offset(),
        )


class AioKafka:
    """aiokafka: asyncio, pure Python with a C record codec."""

    name = "aiokafka"
    sets_timestamps = True
    writes_null_headers = True

    def produce(
        self,
        bootstrap: str,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
        max_bytes: int = MEGABYTE,
    ) -> list[int]:
        async def run() -> list[int]:
            async with aiokafka.AIOKafkaProducer(
                bootstrap_servers=bootstrap,
                compression_type=None if codec == "none" else codec,
                acks="all" if acks == "all" else int(acks),
                enable_idempotence=idempotent,
                max_request_size=max_bytes,
                linger_ms=5,
            ) as producer:
                sent = [
                    await producer.send(
                        topic,
                        message.value,
                        message.key,
                        partition,
                        timestamp_ms=message.timestamp_ms,
                        headers=list(message.headers),
                    )
                    for message in messages
                ]
                answers = await asyncio.wait_for(asyncio.gather(*sent), DEADLINE_S)
                return [-1 if answer is None else answer.offset for answer in answers]

        return asyncio.run(run())

    def read(
        self, bootstrap: str, topic: str, *, count: int, partition: int = 0, offset: int = 0, max_bytes: int = MEGABYTE
    ) -> list[Message]:
        async def run() -> list[Message]:
            async with aiokafka.AIOKafkaConsumer(
                bootstrap_servers=bootstrap, max_partition_fetch_bytes=max_bytes, auto_offset_reset="none"
            ) as consumer:
                at = aiokafka.TopicPartition(topic, partition)
                consumer.assign([at])
                consumer.seek(at, offset)
                return [self._message(await consumer.getone()) for _ in range(count)]

        return asyncio.run(asyncio.wait_for(run(), DEADLINE_S))

    @staticmethod
    def _message(record: Any) -> Message:
        return Message(
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
            timestamp_ms=record.timestamp,
            offset=record.offset,
        )


class KafkaPython:
    """kafka-python: threads, pure Python."""

    name = "kafka-python"
    sets_timestamps = True
    writes_null_headers = False

    def produce(
        self,
        bootstrap: str,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
        max_bytes: int = MEGABYTE,
    ) -> list[int]:
        producer = kafka.KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            acks="all" if acks == "all" else int(acks),
            enable_idempotence=idempotent,
            max_request_size=max_bytes,
            linger_ms=5,
        )
        try:
            sent = [
                producer.send(
                    topic,
                    value=message.value,
                    key=message.key,
                    partition=partition,
                    timestamp_ms=message.timestamp_ms,
                    headers=list(message.headers),
                )
                for message in messages
            ]
            producer.flush(DEADLINE_S)
            return [future.get(DEADLINE_S).offset for future in sent]
        finally:
            producer.close(DEADLINE_S)

    def read(
        self, bootstrap: str, topic: str, *, count: int, partition: int = 0, offset: int = 0, max_bytes: int = MEGABYTE
    ) -> list[Message]:
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=bootstrap, max_partition_fetch_bytes=max_bytes, auto_offset_reset="none"
        )
        received: list[Message] = []
        deadline = time.monotonic() + DEADLINE_S
        try:
            at = kafka.TopicPartition(topic, partition)
            consumer.assign([at])
            consumer.seek(at, offset)
            while len(received) < count:
                assert time.monotonic() < deadline, f"{len(received)} of {count} messages in {DEADLINE_S} s"
                for records in consumer.poll(timeout_ms=POLL_S * 1000, max_records=count - len(received)).values():
                    received += [self._message(record) for record in records]
        finally:
            consumer.close()
        return received

    @staticmethod
    def _message(record: Any) -> Message:
        headers: Headers = tuple(record.headers)
        return Message(
            key=record.key,
            value=record.value,
            headers=headers,
            timestamp_ms=record.timestamp,
            offset=record.offset,
        )


class Ottla:
    """Our own client."""

    name = "ottla"
    sets_timestamps = True
    writes_null_headers = True

    def produce(
        self,
        bootstrap: str,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
        max_bytes: int = MEGABYTE,
    ) -> list[int]:
        async def run() -> list[int]:
            producer: ottla.Producer[bytes, bytes] = ottla.Producer(
                bootstrap,
                compression_type=codec,  # type: ignore[arg-type]
                acks="all" if acks == "all" else int(acks),  # type: ignore[arg-type]
                enable_idempotence=idempotent,
                max_request_size=max_bytes,
                linger_ms=5,
            )
            async with producer:
                sent = [
                    await producer.send(
                        topic,
                        message.value,
                        message.key,
                        partition,
                        timestamp_ms=message.timestamp_ms,
                        headers=message.headers,
                    )
                    for message in messages
                ]
                return [answer.offset for answer in await asyncio.wait_for(asyncio.gather(*sent), DEADLINE_S)]

        return asyncio.run(run())

    def read(
        self, bootstrap: str, topic: str, *, count: int, partition: int = 0, offset: int = 0, max_bytes: int = MEGABYTE
    ) -> list[Message]:
        async def run() -> list[Message]:
            consumer: ottla.Consumer[bytes, bytes] = ottla.Consumer(
                bootstrap_servers=bootstrap, max_partition_fetch_bytes=max_bytes, auto_offset_reset="none"
            )
            async with consumer:
                at = ottla.TopicPartition(topic, partition)
                consumer.assign([at])
                consumer.seek(at, offset)
                return [self._message(await consumer.getone()) for _ in range(count)]

        return asyncio.run(asyncio.wait_for(run(), DEADLINE_S))

    @staticmethod
    def _message(record: ottla.ConsumerRecord[bytes, bytes]) -> Message:
        return Message(
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
            timestamp_ms=record.timestamp,
            offset=record.offset,
        )
