"""How many records a second a Python client reads: Ottla's beside aiokafka, kafka-python and confluent-kafka.

    python -m bench.consumer_clients                         a broker of its own, all clients, 100 B and 1 KB
    python -m bench.consumer_clients --bootstrap localhost:9092 --count 500000

Record by record is an iteration; in bulk, our `batches()` with their values, our `getmany` of 500 and confluent-kafka's
`consume` of 500 with a look at each value.  All read one partition, written by librdkafka, from its beginning, by
assignment.  The clock runs from the first record to the last; the processor time is that of the client's process, which a
busy machine disturbs less.  Clients take turns, a round each; a figure is the median over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from .clients import BrokerProcess, Case, Cost, Figure, Watch, show

Read = Callable[[str, str, Sequence[bytes]], Cost]


def write(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    """Have the topic hold these, in librdkafka's batches."""
    import confluent_kafka

    settings = {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 2 * len(values)}
    producer = confluent_kafka.Producer(settings)
    for number, value in enumerate(values):
        producer.produce(topic, value, b"%08d" % number)
    assert producer.flush(120) == 0, "not written in time"


def _ottla(form: str) -> Read:
    from ottla import Consumer

    async def run(bootstrap: str, topic: str, count: int) -> Cost:
        reader: Consumer[bytes, bytes] = Consumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        async with reader:
            await reader.getone()
            watch, read = Watch(), 1
            if form == "iterate":
                async for _ in reader:
                    read += 1
                    if read == count:
                        break
            while read < count and form == "getmany":
                for records in (await reader.getmany(timeout_ms=1_000, max_records=500)).values():
                    read += len(records)
            while read < count:
                batch = await reader.getbatch()
                assert batch is not None, "waited without end"
                read += len(batch.values())
            return watch.stop()

    return lambda bootstrap, topic, values: asyncio.run(run(bootstrap, topic, len(values)))


def _aiokafka(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    import aiokafka

    async def run() -> Cost:
        reader = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        async with reader:
            await reader.getone()
            watch, read = Watch(), 1
            async for _ in reader:
                read += 1
                if read == len(values):
                    break
            return watch.stop()

    return asyncio.run(run())


def _kafka_python(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    import kafka

    reader = kafka.KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        next(reader)
        watch, read = Watch(), 1
        for _ in reader:
            read += 1
            if read == len(values):
                break
        return watch.stop()
    finally:
        reader.close()


def _confluent_kafka(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    import confluent_kafka

    reader = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    try:
        reader.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        read = len(reader.consume(1, 30))
        watch = Watch()
        while read < len(values):
            messages = reader.consume(500, 1)
            for message in messages:
                message.value()
            read += len(messages)
        return watch.stop()
    finally:
        reader.close()


def cases() -> tuple[Case, ...]:
    return (
        Case("ottla", "one by one", _ottla("iterate")),
        Case("aiokafka", "one by one", _aiokafka),
        Case("kafka-python", "one by one", _kafka_python),
        Case("ottla", "in bulk", _ottla("batches")),
        Case("ottla getmany", "in bulk", _ottla("getmany")),
        Case("confluent-kafka", "in bulk", _confluent_kafka),
    )


def measure(bootstrap: str, *, size_bytes: int, rounds: int, count: int) -> list[Figure]:
    """All rounds of all cases with so many records of one size."""
    topic = f"bench-readers-{uuid.uuid4().hex[:8]}"
    values = [b"%010d" % number + b"x" * (size_bytes - 10) for number in range(count)]
    write(bootstrap, topic, values)
    taking_turns = cases()
    costs: dict[Case, list[Cost]] = {case: [] for case in taking_turns}
    for _ in range(rounds):
        for case in taking_turns:
            costs[case].append(case.send(bootstrap, topic, values))
    return [
        Figure(
            case,
            size_bytes,
            tuple(count / cost.clock_s for cost in costs[case]),
            tuple(cost.processor_s / count * 1e6 for cost in costs[case]),
        )
        for case in taking_turns
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", help="HOST:PORT of a running broker; one of Ottla's own without it")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000], help="bytes of a value")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=200_000, help="how many records are read in a round")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        bootstrap = arguments.bootstrap
        if bootstrap is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ottla-bench-"))
            bootstrap = stack.enter_context(BrokerProcess(Path(directory), {"num.partitions": "1"})).bootstrap
        figures: list[Figure] = []
        for size_bytes in arguments.sizes:
            figures += measure(bootstrap, size_bytes=size_bytes, rounds=arguments.rounds, count=arguments.count)
        show(figures)


if __name__ == "__main__":
    main()
