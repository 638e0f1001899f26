"""Scenario 9: Python's clients beside each other, against the same broker, in turn within each round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.rounds import UNSYNCED_PEER
from ..load.clients import CLIENTS, MEASURE, OURS, SIZE_BYTES
from ..load.librdkafka import produce

NAME = "clients"
TITLE = "records of 100 B, one call each, from our client, aiokafka, kafka-python and confluent-kafka in turn; one partition"
RECORDS = 200_000
"""To consume: enough that connecting does not count, and a slow client is done in some seconds."""
QUICK_RECORDS = 20_000

PRODUCED = {each.name: Metric(f"{each.name} produced", "1,000 records/s", Better.MORE) for each in CLIENTS}
CONSUMED = {each.name: Metric(f"{each.name} consumed", "1,000 records/s", Better.MORE) for each in CLIENTS}
PRODUCE_RATIO = Metric(f"{OURS} / {MEASURE}, produced", "times; aim 3", Better.MORE, 2)
CONSUME_RATIO = Metric(f"{OURS} / {MEASURE}, consumed", "times; aim 3", Better.MORE, 2)


def cases(plan: Plan) -> Sequence[Case]:
    return [
        Case(
            "produce, then consume",
            UNSYNCED_PEER,
            (*PRODUCED.values(), PRODUCE_RATIO, *CONSUMED.values(), CONSUME_RATIO),
            _open,
            weight=len(CLIENTS),
            fixed_s=8.0,
        )
    ]


@contextmanager
def _open(broker: Broker, plan: Plan) -> Iterator[Round]:
    yield lambda: _round(broker, plan)


def _round(broker: Broker, plan: Plan) -> Sample:
    values: dict[str, float] = {}
    failures = 0
    for client in CLIENTS:
        with broker.topic() as (topic, _):
            sent = client.produce(broker.bootstrap, topic, plan.seconds)
        values[PRODUCED[client.name].name] = sent.per_second / 1000
        failures += sent.failures
    with broker.topic() as (topic, _):
        there = produce(
            broker.bootstrap,
            topic,
            size_bytes=SIZE_BYTES,
            seconds=60,
            max_records=QUICK_RECORDS if plan.quick else RECORDS,
        )
        for client in CLIENTS:
            read = client.consume(broker.bootstrap, topic, there.records)
            values[CONSUMED[client.name].name] = read.per_second / 1000
            failures += read.failures
    values[PRODUCE_RATIO.name] = values[PRODUCED[OURS].name] / values[PRODUCED[MEASURE].name]
    values[CONSUME_RATIO.name] = values[CONSUMED[OURS].name] / values[CONSUMED[MEASURE].name]
    return Sample(values, failures)
