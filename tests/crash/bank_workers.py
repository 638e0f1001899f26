"""Workers of a bank that books each transfer once: read, write both sides, commit the offset, all in one transaction.

python -m crash.bank_workers CLIENT BOOTSTRAP NUMBER      (the process is there to be killed)

`BankWorker.java` is their sister of the Java client.

`confluent` and `ottla` are members of a group: their offsets are fenced by the group's generation (KIP-447).
`aiokafka` has no word for that, so each of its workers has partitions of its own, and a transactional id that goes
with them. Whatever goes wrong, a worker lets go of everything and begins again from the committed offsets, as
applications do.

A worker that is silent for HUNG_S ends itself: librdkafka 2.x can wait for ever in send_offsets_to_transaction, between
AddOffsetsToTxn and TxnOffsetCommit, for a group coordinator that was away for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioPartition
from aiokafka.errors import KafkaError as AioError
from confluent_kafka import Consumer, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Position
from ottla import ClientError, KafkaError
from ottla import Consumer as OwnConsumer
from ottla import Producer as OwnProducer

TRANSFERS, LEDGER = "transfers", "ledger"
PARTITIONS = 4
WORKERS = 2
GROUP = {"confluent": "bank", "aiokafka": "bank-of-aio", "ottla": "bank-of-our-own", "java": "bank-of-java"}
SESSION_MS = 2_000
TRANSACTION_MS = 5_000
BATCH = 20
PAUSE_S = 0.2
HUNG_S = 12


def entries(transfer: bytes) -> list[bytes]:
    """Both sides of a transfer `id,from,to,amount`."""
    number, giver, taker, amount = transfer.split(b",")
    return [b",".join((number, giver, b"-" + amount)), b",".join((number, taker, amount))]


# --- confluent-kafka


def run_confluent(bootstrap: str, number: int) -> None:
    while True:
        with contextlib.suppress(KafkaException):
            book_confluent(bootstrap, number)
        time.sleep(PAUSE_S)


def book_confluent(bootstrap: str, number: int) -> None:
    """Until something goes wrong."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"bank-{number}",
            "transaction.timeout.ms": TRANSACTION_MS,
            "log_level": 0,
        }
    )
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": GROUP["confluent"],
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": SESSION_MS // 4,
            "log_level": 0,
        }
    )
    try:
        producer.init_transactions(TRANSACTION_MS / 1000)
        consumer.subscribe([TRANSFERS])
        while True:
            faulthandler.dump_traceback_later(HUNG_S, exit=True)
            book_one_batch(producer, consumer)
    finally:
        consumer.close()


def book_one_batch(producer: Producer, consumer: Consumer) -> None:
    messages = [each for each in consumer.consume(BATCH, 0.5) if each.error() is None]
    if not messages:
        return
    producer.begin_transaction()
    for message in messages:
        for entry in entries(message.value()):
            producer.produce(LEDGER, entry, key=entry.split(b",")[1])
    positions = [Position(TRANSFERS, *each) for each in behind(messages).items()]
    producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), TRANSACTION_MS / 1000)
    producer.commit_transaction(TRANSACTION_MS / 1000)


def behind(messages: list[Message]) -> dict[int, int]:
    """Where each partition goes on."""
    return {each.partition(): each.offset() + 1 for each in messages}


# --- aiokafka


async def run_aiokafka(bootstrap: str, number: int) -> None:
    while True:
        with contextlib.suppress(AioError, asyncio.TimeoutError, OSError):
            await book_aiokafka(bootstrap, number)
        await asyncio.sleep(PAUSE_S)


async def book_aiokafka(bootstrap: str, number: int) -> None:
    """Until something goes wrong."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        transactional_id=f"aio-{number}",
        transaction_timeout_ms=TRANSACTION_MS,
        request_timeout_ms=5_000,
    )
    group = GROUP["aiokafka"]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        request_timeout_ms=5_000,
    )
    partitions = [AioPartition(TRANSFERS, index) for index in range(PARTITIONS) if index % WORKERS == number]
    try:
        # The producer first: once it has fenced its former self, the committed offsets are final.
        await asyncio.wait_for(producer.start(), 20)
        await asyncio.wait_for(consumer.start(), 20)
        consumer.assign(partitions)
        while True:
            records = await consumer.getmany(timeout_ms=500, max_records=BATCH)
            if records:
                await asyncio.wait_for(book_records(producer, consumer, partitions, records, group), 20)
    finally:
        for part in (consumer, producer):
            with contextlib.suppress(AioError, asyncio.TimeoutError, OSError):
                await asyncio.wait_for(part.stop(), 5)


async def book_records(
    producer: AIOKafkaProducer,
    consumer: AIOKafkaConsumer,
    partitions: list[AioPartition],
    records: dict[AioPartition, list[object]],
    group: str,
) -> None:
    async with producer.transaction():
        for each in (record for some in records.values() for record in some):
            for entry in entries(each.value):  # type: ignore[attr-defined]
                await producer.send(LEDGER, entry, key=entry.split(b",")[1])
        offsets = {at: await consumer.position(at) for at in partitions if at in records}
        await producer.send_offsets_to_transaction(offsets, group)


# --- our own client


async def run_ottla(bootstrap: str, number: int) -> None:
    while True:
        with contextlib.suppress(ClientError, KafkaError):
            await book_ottla(bootstrap, number)
        await asyncio.sleep(PAUSE_S)


async def book_ottla(bootstrap: str, number: int) -> None:
    """Until something goes wrong."""
    async with (
        OwnProducer(
            bootstrap, transactional_id=f"own-{number}", transaction_timeout_ms=TRANSACTION_MS, max_block_ms=10_000
        ) as producer,
        OwnConsumer(
            TRANSFERS,
            bootstrap_servers=bootstrap,
            group_id=GROUP["ottla"],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 4,
        ) as consumer,
    ):
        while True:
            faulthandler.dump_traceback_later(2 * HUNG_S, exit=True)
            records = await consumer.getmany(timeout_ms=500, max_records=BATCH)
            if not records:
                continue
            async with producer.transaction():
                for each in (record for some in records.values() for record in some):
                    for entry in entries(each.value):
                        await producer.send(LEDGER, entry, key=entry.split(b",")[1])
                behind = {at: some[-1].offset + 1 for at, some in records.items()}
                await producer.send_offsets_to_transaction(behind, consumer.group_metadata())


if __name__ == "__main__":
    client, bootstrap, number = sys.argv[1:]
    if client == "confluent":
        run_confluent(bootstrap, int(number))
    elif client == "ottla":
        asyncio.run(run_ottla(bootstrap, int(number)))
    else:
        asyncio.run(run_aiokafka(bootstrap, int(number)))
