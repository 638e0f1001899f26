"""Producers that keep producing while the broker is killed and comes back, and write down what it acknowledged.

    IdempotentProducer   librdkafka, acks=all: whatever happens, every record once and in order
    PatientProducer      aiokafka, acks=all without idempotence: every record at least once, in order
    HastyProducer        our own bytes, acks=1, several requests on their way, nothing sent twice: every record at
                         most once, in order; what was acknowledged is there, because a kill leaves the system's memory

Each runs in a thread of its own and goes to work `start`ed, until `finish`, which waits until all is acknowledged.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import struct
import threading
from abc import ABC, abstractmethod
from collections import deque

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import RecordMetadata
from confluent_kafka import KafkaError, Message, Producer
from support.wire import Api, Connection, decode_response, request_frame

from .ledger import Ledger, RecordId, TopicPartition, value_of
from .requests import PRODUCE_VERSION, produce_fields

PAUSE_S = 0.01
"""Between bursts: the load is to be steady, not the most that two cores can bear."""
DELIVERY_TIMEOUT_S = 300
"""No record is given up while a broker is down."""


class Load(ABC):
    """One producer in its thread."""

    exactly_once = True

    def __init__(self, name: str, bootstrap: str, ledger: Ledger, partitions: list[TopicPartition], seed: int) -> None:
        self.bootstrap = bootstrap
        self.ledger = ledger
        self.partitions = partitions
        self.index = ledger.add_producer(name)
        self.failures: list[str] = []
        self._random = random.Random(seed)
        self._next_number = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run_guarded, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, *, timeout_s: float) -> None:
        """Produce nothing more; AssertionError if not all is answered within `timeout_s`, or something was refused."""
        self._stopping.set()
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), f"{self._thread.name}: records are not acknowledged after {timeout_s:g} s"
        assert not self.failures, f"{self._thread.name}: {self.failures[:3]} ({len(self.failures)} failures)"

    def abandon(self) -> None:
        """Produce nothing more; what is on its way is nobody's business."""
        self._stopping.set()

    @abstractmethod
    def _run(self) -> None: ...

    def _run_guarded(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - told by `finish`, in the test's own thread
            self.failures.append(repr(error))

    def _next_record(self) -> RecordId:
        record = RecordId(self.index, self._next_number)
        self._next_number += 1
        return record

    def _burst(self) -> tuple[TopicPartition, list[RecordId]]:
        partition = self._random.choice(self.partitions)
        return partition, [self._next_record() for _ in range(self._random.choice((1, 3, 10, 30)))]


class IdempotentProducer(Load):
    """librdkafka with acks=all and idempotence."""

    _MOST_PENDING = 500

    def _run(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
                "batch.size": 40_000,  # one batch must fit into a segment
                "compression.type": self._random.choice(["none", "lz4", "zstd", "snappy", "gzip"]),
                "message.timeout.ms": DELIVERY_TIMEOUT_S * 1000,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
                "retry.backoff.ms": 20,
                "socket.timeout.ms": 10_000,
            },
            logger=_silent_logger("crash.librdkafka"),
        )
        while not self._stopping.is_set():
            if len(producer) < self._MOST_PENDING:
                partition, records = self._burst()
                for record in records:
                    producer.produce(
                        partition.topic,
                        value_of(record),
                        partition=partition.partition,
                        on_delivery=_Delivery(self, partition, record),
                    )
            producer.poll(0)
            self._stopping.wait(PAUSE_S)
        left = producer.flush(DELIVERY_TIMEOUT_S)
        if left:
            self.failures.append(f"{left} records were never answered")

    def delivered(self, partition: TopicPartition, record: RecordId, error: KafkaError | None, offset: int) -> None:
        if error is not None:
            self.failures.append(f"{partition} {record}: {error}")
        else:
            self.ledger.acknowledge(partition, offset, record)


class _Delivery:
    """What librdkafka calls for one record."""

    __slots__ = ("_load", "_partition", "_record")

    def __init__(self, load: IdempotentProducer, partition: TopicPartition, record: RecordId) -> None:
        self._load, self._partition, self._record = load, partition, record

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        offset = message.offset()
        self._load.delivered(self._partition, self._record, error, -1 if offset is None else offset)


class PatientProducer(Load):
    """aiokafka with acks=all, which sends again whatever was not answered."""

    exactly_once = False
    _MOST_PENDING = 300

    def __init__(self, name: str, bootstrap: str, ledger: Ledger, partitions: list[TopicPartition], seed: int) -> None:
        super().__init__(name, bootstrap, ledger, partitions, seed)
        self._pending: set[asyncio.Future[RecordMetadata]] = set()

    def _run(self) -> None:
        _silent_logger("aiokafka")
        asyncio.run(self._produce())

    async def _produce(self) -> None:
        producer = await self._started()
        try:
            while not self._stopping.is_set():
                if len(self._pending) < self._MOST_PENDING:
                    await self._send_burst(producer)
                await asyncio.sleep(PAUSE_S)
            if self._pending:
                await asyncio.wait(self._pending, timeout=DELIVERY_TIMEOUT_S)
        finally:
            await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        """aiokafka gives up when nobody listens at its first try, and the broker may be down just then."""
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap,
                acks="all",
                linger_ms=2,
                compression_type=self._random.choice([None, "gzip", "lz4", "snappy", "zstd"]),
                request_timeout_ms=DELIVERY_TIMEOUT_S * 1000,
                retry_backoff_ms=30,
            )
            try:
                await producer.start()
            except KafkaConnectionError:
                await producer.stop()
                if self._stopping.is_set():
                    raise
                await asyncio.sleep(PAUSE_S)
            else:
                return producer

    async def _send_burst(self, producer: AIOKafkaProducer) -> None:
        partition, records = self._burst()
        for record in records:  # one after the other: only so does aiokafka promise their order
            sent = await producer.send(partition.topic, value_of(record), partition=partition.partition)
            self._pending.add(sent)
            sent.add_done_callback(functools.partial(self._delivered, partition, record))

    def _delivered(self, partition: TopicPartition, record: RecordId, sent: asyncio.Future[RecordMetadata]) -> None:
        self._pending.discard(sent)
        error = sent.exception()
        if error is not None:
            self.failures.append(f"{partition} {record}: {error!r}")
        else:
            self.ledger.acknowledge(partition, sent.result().offset, record)


class HastyProducer(Load):
    """Our own bytes with acks=1: pipelined, and what was not answered when the connection broke is left alone."""

    _MOST_PENDING = 4

    def _run(self) -> None:
        port = int(self.bootstrap.rpartition(":")[2])
        while not self._stopping.is_set():
            try:
                with Connection(port, timeout_s=10) as connection:
                    self._produce(connection)
            except (OSError, struct.error):  # killed, or not up again
                self._stopping.wait(PAUSE_S)

    def _produce(self, connection: Connection) -> None:
        pending: deque[tuple[TopicPartition, list[RecordId]]] = deque()
        sent_count = 0
        while pending or not self._stopping.is_set():
            if len(pending) < self._MOST_PENDING and not self._stopping.is_set():
                partition, records = self._burst()
                sent_count += 1
                connection.send(self._request(partition, records, sent_count))
                pending.append((partition, records))
                self._stopping.wait(PAUSE_S)
            else:
                self._take_answer(connection.receive(), *pending.popleft())

    def _request(self, partition: TopicPartition, records: list[RecordId], correlation_id: int) -> bytes:
        fields = produce_fields(partition, [value_of(record) for record in records], acks=1)
        return request_frame(Api.PRODUCE, PRODUCE_VERSION, fields, correlation_id=correlation_id)

    def _take_answer(self, frame: bytes, partition: TopicPartition, records: list[RecordId]) -> None:
        _, answer = decode_response(Api.PRODUCE, PRODUCE_VERSION, frame)
        (told,) = answer["responses"][0]["partition_responses"]
        if told["error_code"] != 0:
            self.failures.append(f"{partition} {records[0]}: error {told['error_code']} {told['error_message']}")
            return
        for index, record in enumerate(records):
            self.ledger.acknowledge(partition, told["base_offset"] + index, record)


def _silent_logger(name: str) -> logging.Logger:
    """A client's complaints about a broker that is down, on purpose, help nobody."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    return logger
