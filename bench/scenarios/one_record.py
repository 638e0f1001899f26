"""Scenario 2: small requests. One record in each, many in flight on one connection, or one at a time on many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ..core.brokers import Broker
from ..core.model import Case, Plan, Round
from ..core.rounds import ACKS_1, CPU_PER_REQUEST, REQUESTS, SYNCED, rate_sample
from ..load import wire
from ..load.one_record import many_connections, pipelined

NAME = "one-record"
TITLE = "one-record Produce requests of 100 B, bare Kafka protocol (Produce v13)"
IN_FLIGHT = 50
METRICS = (REQUESTS, CPU_PER_REQUEST)


def cases(plan: Plan) -> Sequence[Case]:
    pipes = [
        Case(
            f"{IN_FLIGHT} in flight",
            ACKS_1,
            METRICS,
            partial(_pipe, acks=1),
            {REQUESTS.name: 2.5, CPU_PER_REQUEST.name: 0.3},
        ),
        Case(f"{IN_FLIGHT} in flight", SYNCED, METRICS, partial(_pipe, acks=-1), {REQUESTS.name: 6}),
    ]
    counts = (10,) if plan.quick else (1, 10, 100, 1000)
    return [*pipes, *(_connections_case(count) for count in counts)]


def _connections_case(count: int) -> Case:
    name = f"{count:,} connection{'s' if count > 1 else ''}, one at a time"
    return Case(name, ACKS_1, METRICS, partial(_connections, count=count))


@contextmanager
def _pipe(broker: Broker, plan: Plan, *, acks: int) -> Iterator[Round]:
    with broker.topic(synced=acks == -1) as (_, topic):
        request = wire.produce_frame(topic, 0, wire.batch(1, 100), acks=acks)
        yield lambda: rate_sample(
            broker, lambda: pipelined(broker.bootstrap, request, in_flight=IN_FLIGHT, seconds=plan.seconds)
        )


@contextmanager
def _connections(broker: Broker, plan: Plan, *, count: int) -> Iterator[Round]:
    with broker.topic() as (_, topic):
        requests = [wire.produce_frame(topic, 0, wire.batch(1, 100), acks=1)] * count
        yield lambda: rate_sample(broker, lambda: many_connections(broker.bootstrap, requests, seconds=plan.seconds))
