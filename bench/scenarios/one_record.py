"""Scenario 2: small requests. One record in each, many in flight on one connection, or one at a time on many.

Beside the brokers on one connection: the floor, an echo that writes and answers, and does no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

from ..core import floor
from ..core.brokers import Broker
from ..core.model import Case, Plan, Round, Sample
from ..core.rounds import ACKS_1, CPU_PER_REQUEST, REQUESTS, SYNCED, Answering, rate_sample
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
    return Case(name, ACKS_1, METRICS, partial(_connections, count=count), floor=_floor if count == 1 else None)


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
        yield partial(_one_at_a_time, broker, plan, _request(topic), count)


@contextmanager
def _floor(directory: Path, plan: Plan) -> Iterator[Round]:
    request = _request(UUID(int=0))
    with floor.running(directory, request, synced=False) as echo:
        yield partial(_one_at_a_time, echo, plan, request, 1)


def _request(topic: UUID) -> bytes:
    return wire.produce_frame(topic, 0, wire.batch(1, 100), acks=1)


def _one_at_a_time(asked: Answering, plan: Plan, request: bytes, connections: int) -> Sample:
    requests = [request] * connections
    return rate_sample(asked, lambda: many_connections(asked.bootstrap, requests, seconds=plan.seconds))
