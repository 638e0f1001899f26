"""Scenario 3: how long an acknowledgement takes, one request at a time; beside the brokers the floor.

As the machine is, and with its processors kept awake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

from ..core import floor
from ..core.awake import and_awake
from ..core.brokers import Broker
from ..core.model import Case, Plan, Round, Sample
from ..core.rounds import (
    ACKS_1,
    CPU_PER_REQUEST,
    P50,
    P99,
    P999,
    REQUESTS,
    SYNCED,
    Answering,
    latency_values,
    rate_sample,
)
from ..load import wire
from ..load.one_record import Answers, one_at_a_time

NAME = "latency"
TITLE = "acknowledgement of a one-record Produce of 100 B, one at a time, bare Kafka protocol"
METRICS = (P50, P99, P999, REQUESTS, CPU_PER_REQUEST)


def cases(plan: Plan) -> Sequence[Case]:
    as_it_is = [_case(ACKS_1, 1, aim=0.5), _case(SYNCED, -1, aim=0.7)]
    return as_it_is if plan.quick else and_awake(as_it_is)


def _case(durability: str, acks: int, *, aim: float) -> Case:
    return Case(
        "one at a time",
        durability,
        METRICS,
        partial(_open, acks=acks),
        {P50.name: aim, P99.name: aim},
        weight=2,
        floor=partial(_floor, acks=acks),
    )


@contextmanager
def _open(broker: Broker, plan: Plan, *, acks: int) -> Iterator[Round]:
    with broker.topic(synced=acks == -1) as (_, topic):
        yield partial(_round, broker, plan, _request(topic, acks))


@contextmanager
def _floor(directory: Path, plan: Plan, *, acks: int) -> Iterator[Round]:
    request = _request(UUID(int=0), acks)
    with floor.running(directory, request, synced=acks == -1) as echo:
        yield partial(_round, echo, plan, request)


def _request(topic: UUID, acks: int) -> bytes:
    return wire.produce_frame(topic, 0, wire.batch(1, 100), acks=acks)


def _round(asked: Answering, plan: Plan, request: bytes) -> Sample:
    latencies: list[float] = []

    def load() -> Answers:
        answers = one_at_a_time(asked.bootstrap, request, seconds=plan.seconds * 2)
        latencies.extend(answers.latencies_s)
        return answers

    sample = rate_sample(asked, load)
    return Sample({**sample.values, **latency_values(latencies)}, sample.failures)
