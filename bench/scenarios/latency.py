"""Scenario 3: how long an acknowledgement takes, one request at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ..core.brokers import Broker
from ..core.model import Case, Plan, Round, Sample
from ..core.rounds import ACKS_1, P50, P99, P999, SYNCED, latency_values
from ..load import wire
from ..load.one_record import one_at_a_time

NAME = "latency"
TITLE = "acknowledgement of a one-record Produce of 100 B, one at a time, bare Kafka protocol"
METRICS = (P50, P99, P999)


def cases(plan: Plan) -> Sequence[Case]:
    return [
        Case("one at a time", ACKS_1, METRICS, partial(_open, acks=1), {P50.name: 0.5, P99.name: 0.5}, weight=2),
        Case("one at a time", SYNCED, METRICS, partial(_open, acks=-1), {P50.name: 0.7, P99.name: 0.7}, weight=2),
    ]


@contextmanager
def _open(broker: Broker, plan: Plan, *, acks: int) -> Iterator[Round]:
    with broker.topic(synced=acks == -1) as (_, topic):
        request = wire.produce_frame(topic, 0, wire.batch(1, 100), acks=acks)
        yield lambda: _round(broker, plan, request)


def _round(broker: Broker, plan: Plan, request: bytes) -> Sample:
    answers = one_at_a_time(broker.bootstrap, request, seconds=plan.seconds * 2)
    return Sample(latency_values(answers.latencies_s), answers.failures)
