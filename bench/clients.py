"""How many records a second a Python client sends: Ottla's beside aiokafka, kafka-python and confluent-kafka.

    python -m bench.clients                                  a broker of its own, all clients, 100 B and 1 KB
    python -m bench.clients --bootstrap localhost:9092       another broker
    python -m bench.clients --rounds 5 --sizes 100 --seconds 3

Two ways of sending.  *One by one*: a call for each record, and every delivery looked at in the end; aiokafka and
kafka-python have no other.  *In bulk*: `send_batch` of ours against confluent-kafka's `produce` without callbacks.  All
wait for acks 'all', with linger 5 ms and without compression, to one partition, from one process; records are made
before the clock starts, and it stops when all are acknowledged.  Clients take turns, a round each; a figure is the
median over the rounds, with the smallest and the largest; the processor time is that of the client's process, all its
threads, which a busy machine disturbs less.  A first round finds out how many records to send, and is dropped.

For whoever embeds this: `measure` gives all rounds of all cases, and prints nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # a broker is started as the tests start it

from support.broker import BrokerProcess as BrokerProcess

LINGER_MS = 5
FIRST_COUNT = 5_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock, and of the processor."""

    clock_s: float
    processor_s: float


class Watch:
    """Started when it is made."""

    def __init__(self) -> None:
        self._clock_s = time.perf_counter()
        self._processor_s = time.process_time()

    def stop(self) -> Cost:
        return Cost(time.perf_counter() - self._clock_s, time.process_time() - self._processor_s)


@dataclass(frozen=True, slots=True)
class Case:
    """One client, one way of sending (or, in `consumer_clients`, of reading); `send` gives what it cost."""

    client: str
    way: str
    send: Callable[[str, str, Sequence[bytes]], Cost]


@dataclass(frozen=True, slots=True)
class Figure:
    """Records a second of one case, and the processor's microseconds for each, a value for each round."""

    case: Case
    size_bytes: int
    rounds: tuple[float, ...]
    processor_us: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


# -- the clients


def _ottla_one_by_one(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    from ottla import Producer

    async def run() -> Cost:
        producer: Producer[bytes, bytes] = Producer(bootstrap, linger_ms=LINGER_MS)
        async with producer:
            await producer.partitions_for(topic)
            watch = Watch()
            sent = [await producer.send(topic, value) for value in values]
            await producer.flush()
            for delivery in sent:
                delivery.result()
            return watch.stop()

    return asyncio.run(run())


def _ottla_in_bulk(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    from ottla import Producer

    async def run() -> Cost:
        producer: Producer[bytes, bytes] = Producer(bootstrap, linger_ms=LINGER_MS)
        async with producer:
            await producer.partitions_for(topic)
            watch = Watch()
            bulk = await producer.send_batch(values, topic)
            await producer.flush()
            await bulk
            return watch.stop()

    return asyncio.run(run())


def _aiokafka(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    import aiokafka

    async def run() -> Cost:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=LINGER_MS) as producer:
            await producer.partitions_for(topic)
            watch = Watch()
            sent = [await producer.send(topic, value) for value in values]
            await producer.flush()
            for delivery in sent:
                delivery.result()
            return watch.stop()

    return asyncio.run(run())


def _kafka_python(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    import kafka

    producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=LINGER_MS)
    try:
        producer.partitions_for(topic)
        watch = Watch()
        sent = [producer.send(topic, value) for value in values]
        producer.flush()
        for delivery in sent:
            delivery.get()
        return watch.stop()
    finally:
        producer.close()


def _confluent_kafka(bootstrap: str, topic: str, values: Sequence[bytes]) -> Cost:
    import confluent_kafka

    producer = confluent_kafka.Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": LINGER_MS, "enable.idempotence": True}
    )
    producer.list_topics(topic)
    watch = Watch()
    for value in values:
        while True:
            try:
                producer.produce(topic, value)
            except BufferError:  # its queue is full
                producer.poll(0.01)
            else:
                break
    left = producer.flush(60)
    assert left == 0, f"{left} records are not written"
    return watch.stop()


CASES = (
    Case("ottla", "one by one", _ottla_one_by_one),
    Case("aiokafka", "one by one", _aiokafka),
    Case("kafka-python", "one by one", _kafka_python),
    Case("ottla", "in bulk", _ottla_in_bulk),
    Case("confluent-kafka", "in bulk", _confluent_kafka),
)


# -- measuring


def measure(bootstrap: str, *, size_bytes: int, rounds: int, seconds: float) -> list[Figure]:
    """All rounds of all cases with records of one size; each round lasts about `seconds`."""
    topic = f"bench-clients-{uuid.uuid4().hex[:8]}"
    counts = {case: _count_for(case, bootstrap, topic, size_bytes, seconds) for case in CASES}
    costs: dict[Case, list[Cost]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case, count in counts.items():
            costs[case].append(_cost(case, bootstrap, topic, size_bytes, count))
    return [_figure(case, size_bytes, counts[case], costs[case]) for case in CASES]


def _figure(case: Case, size_bytes: int, count: int, costs: Sequence[Cost]) -> Figure:
    rates = tuple(count / cost.clock_s for cost in costs)
    return Figure(case, size_bytes, rates, tuple(cost.processor_s / count * 1e6 for cost in costs))


def _count_for(case: Case, bootstrap: str, topic: str, size_bytes: int, seconds: float) -> int:
    first = _cost(case, bootstrap, topic, size_bytes, FIRST_COUNT)
    return max(FIRST_COUNT, int(FIRST_COUNT / first.clock_s * seconds))


def _cost(case: Case, bootstrap: str, topic: str, size_bytes: int, count: int) -> Cost:
    values = [b"%010d" % number + b"x" * (size_bytes - 10) for number in range(count)]
    return case.send(bootstrap, topic, values)


# -- showing


def show(figures: Sequence[Figure]) -> None:
    print(
        f"{'size':>6}  {'way':<11} {'client':<16} {'records/s':>10}  {'(smallest, largest)':<22} {'Ottla is':>9}  CPU us/record"
    )
    for figure in figures:
        ours = next(
            each
            for each in figures
            if (each.case.client, each.case.way, each.size_bytes) == ("ottla", figure.case.way, figure.size_bytes)
        )
        times = "" if ours is figure else f"{ours.median / figure.median:.1f} x"
        spread = f"({min(figure.rounds):,.0f}, {max(figure.rounds):,.0f})"
        print(
            f"{figure.size_bytes:>4} B  {figure.case.way:<11} {figure.case.client:<16} {figure.median:>10,.0f}"
            f"  {spread:<22} {times:>9}  {statistics.median(figure.processor_us):>13.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", help="HOST:PORT of a running broker; one of Ottla's own without it")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000], help="bytes of a value")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a round of a case lasts")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        bootstrap = arguments.bootstrap
        if bootstrap is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ottla-bench-"))
            bootstrap = stack.enter_context(BrokerProcess(Path(directory), {"num.partitions": "1"})).bootstrap
        figures: list[Figure] = []
        for size_bytes in arguments.sizes:
            figures += measure(bootstrap, size_bytes=size_bytes, rounds=arguments.rounds, seconds=arguments.seconds)
        show(figures)


if __name__ == "__main__":
    main()
