"""Scenario 6: what partitions cost. The same records go to 1, 100, 1,000, 10,000 partitions in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ..core.brokers import OTTLA, Broker
from ..core.model import Better, Case, Metric, NotMeasured, Plan, Round, Sample
from ..core.rounds import UNSYNCED_PEER, ProcessorTime, with_processor
from ..load.librdkafka import produce

NAME = "many-partitions"
TITLE = "records of 100 B to all partitions in turn, librdkafka with its defaults"
COUNTS, COUNTS_QUICK = (1, 100, 1_000, 10_000), (100,)
MOST_FOR_PEERS = 1_000

PRODUCED = Metric("produced", "1,000 records/s", Better.MORE)
CPU = Metric("broker CPU", "s/million", Better.LESS, 2)


def cases(plan: Plan) -> Sequence[Case]:
    return [
        Case(
            f"{count:,} partition{'s' if count > 1 else ''}",
            UNSYNCED_PEER,
            (PRODUCED, CPU),
            partial(_open, count=count),
            fixed_s=0.5,
            setup_s=count / 500,
        )
        for count in (COUNTS_QUICK if plan.quick else COUNTS)
    ]


@contextmanager
def _open(broker: Broker, plan: Plan, *, count: int) -> Iterator[Round]:
    if count > MOST_FOR_PEERS and broker.name != OTTLA and not plan.heavy:
        raise NotMeasured("making so many partitions there takes minutes; --heavy measures them")
    with broker.topic(count) as (topic, _):
        yield lambda: _round(broker, plan, topic, count)


def _round(broker: Broker, plan: Plan, topic: str, count: int) -> Sample:
    spent = ProcessorTime(broker)
    sent = produce(broker.bootstrap, topic, size_bytes=100, seconds=plan.seconds, partitions=count)
    values = {PRODUCED.name: sent.per_second / 1000}
    return Sample(with_processor(values, spent.spent_s(), CPU, 1e6 / max(1, sent.records)), sent.failures)
