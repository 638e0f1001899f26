"""Scenario 4: from producer to consumer at a steady rate; the slow one beside the floor, and also with processors awake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..core import floor
from ..core.awake import and_awake
from ..core.brokers import Broker
from ..core.model import Case, Plan, Round, Sample
from ..core.rounds import ACKS_1, CORE_SHARE, P50, P99, UNSYNCED_PEER, ProcessorTime, latency_values, with_processor
from ..load.end_to_end import run

NAME = "end-to-end"
TITLE = "records of 100 B from a librdkafka producer to a librdkafka consumer; linger.ms=0, acks as the row says, else defaults"
METRICS = (P50, P99, CORE_SHARE)
AIMS = {P50.name: 0.6, P99.name: 0.3, CORE_SHARE.name: 0.3}
SLOW, FAST = 1_000, 10_000


def cases(plan: Plan) -> Sequence[Case]:
    if plan.quick:
        return [_case(SLOW, "1")]
    one_by_one = and_awake([_case(SLOW, acks) for acks in ("1", "all")])
    return [*one_by_one, *(_case(FAST, acks) for acks in ("1", "all"))]


def _case(rate: int, acks: str) -> Case:
    return Case(
        f"{rate:,} records/s",
        ACKS_1 if acks == "1" else UNSYNCED_PEER,
        METRICS,
        partial(_open, rate=rate, acks=acks),
        AIMS if rate == SLOW else {},
        weight=2,
        fixed_s=1.5,
        floor=partial(_floor, rate=rate, acks=acks) if rate == SLOW else None,
    )


@contextmanager
def _open(broker: Broker, plan: Plan, *, rate: int, acks: str) -> Iterator[Round]:
    with broker.topic() as (topic, _):
        yield lambda: _round(broker, plan, topic, rate, acks)


@contextmanager
def _floor(directory: Path, plan: Plan, *, rate: int, acks: str) -> Iterator[Round]:
    with (
        floor.relaying(directory, synced=acks == "all") as relay,
        _open(relay, plan, rate=rate, acks=acks) as play,
    ):
        yield play


def _round(broker: Broker, plan: Plan, topic: str, rate: int, acks: str) -> Sample:
    seconds = max(1.0, plan.seconds * 2)
    spent = ProcessorTime(broker)
    journey = run(broker.bootstrap, topic, per_second=rate, seconds=seconds, acks=acks)
    values = latency_values(journey.latencies_s)
    return Sample(with_processor(values, spent.spent_s(), CORE_SHARE, 100 / seconds), journey.failures)
