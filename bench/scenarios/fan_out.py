"""Scenario 7: readers. Many at the same tail; and one of old data beside a producer, whose acknowledgements are timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.rounds import ACKS_1, P50, P99, ProcessorTime, latency_values, with_processor
from ..load import wire
from ..load.librdkafka import produce
from ..load.one_record import one_at_a_time
from ..load.tail import fan_out, reader_of_old_data

NAME = "fan-out"
TITLE = "bare Fetch requests: N readers of one tail, and a reader of old data beside a producer"
DELIVERIES = Metric("deliveries", "1/s", Better.MORE)
CPU_PER_DELIVERY = Metric("broker CPU", "µs/delivery", Better.LESS, 1)
OLD_RECORDS = 200_000
OLD_RECORDS_QUICK = 20_000


def cases(plan: Plan) -> Sequence[Case]:
    counts = (10,) if plan.quick else (1, 10, 100)
    tails = [
        Case(
            f"{count} reader{'s' if count > 1 else ''} of the tail, 10 records of 100 B to each",
            ACKS_1,
            (DELIVERIES, CPU_PER_DELIVERY, P99),
            partial(_tail, readers=count),
        )
        for count in counts
    ]
    beside = [
        Case(name, ACKS_1, (P50, P99), partial(_beside, reading=reading), weight=1.5, fixed_s=1.0)
        for name, reading in (("ack, nobody reads", False), ("ack, while old data are read", True))
    ]
    return [*tails, *beside]


@contextmanager
def _tail(broker: Broker, plan: Plan, *, readers: int) -> Iterator[Round]:
    with broker.topic() as (_, topic):

        def play() -> Sample:
            spent = ProcessorTime(broker)
            answers = fan_out(broker.bootstrap, topic, readers=readers, seconds=plan.seconds)
            values = {DELIVERIES.name: answers.count / answers.seconds, **latency_values(answers.latencies_s)}
            values = with_processor(values, spent.spent_s(), CPU_PER_DELIVERY, 1e6 / answers.count)
            return Sample(values, answers.failures)

        yield play


@contextmanager
def _beside(broker: Broker, plan: Plan, *, reading: bool) -> Iterator[Round]:
    with broker.topic() as (_, written), broker.topic() as (old, old_id):
        records = OLD_RECORDS_QUICK if plan.quick else OLD_RECORDS
        produce(broker.bootstrap, old, size_bytes=1024, seconds=30, max_records=records)
        request = wire.produce_frame(written, 0, wire.batch(1, 100), acks=1)

        def play() -> Sample:
            with reader_of_old_data(broker.bootstrap, old_id) if reading else nullcontext():
                answers = one_at_a_time(broker.bootstrap, request, seconds=plan.seconds * 1.5)
            return Sample(latency_values(answers.latencies_s), answers.failures)

        yield play
