"""Scenario 1: bulk. librdkafka produces for a while to four partitions, then reads all of it back.

Where there are aims the floor is produced to and read from, as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..core import floor
from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.rounds import UNSYNCED_PEER, ProcessorTime, as_round, with_client, with_processor
from ..load.librdkafka import consume, produce

NAME = "produce-consume"
TITLE = "bulk produce and consume, 4 partitions, librdkafka with its defaults, but that its consumer never pauses"
PARTITIONS = 4
MIB = 1 << 20

PRODUCER_CPU = Metric("client CPU, produce", "s/million", Better.LESS, 2)
PRODUCER_BUSY = Metric("client busy, produce", "%", Better.LESS)
PRODUCED = Metric("produced", "1,000 records/s", Better.MORE, client_busy=PRODUCER_BUSY.name)
PRODUCE_CPU = Metric("broker CPU, produce", "s/million", Better.LESS, 2)
CONSUMER_CPU = Metric("client CPU, consume", "s/million", Better.LESS, 2)
CONSUMER_BUSY = Metric("client busy, consume", "%", Better.LESS)
CONSUMED = Metric("consumed", "1,000 records/s", Better.MORE, client_busy=CONSUMER_BUSY.name)
CONSUME_CPU = Metric("broker CPU, consume", "s/million", Better.LESS, 2)
METRICS = (PRODUCED, PRODUCE_CPU, CONSUMED, CONSUME_CPU)
WITH_CLIENT = (
    *(PRODUCED, PRODUCE_CPU, PRODUCER_CPU, PRODUCER_BUSY),
    *(CONSUMED, CONSUME_CPU, CONSUMER_CPU, CONSUMER_BUSY),
)
AIMS = {PRODUCED.name: 1.2, PRODUCE_CPU.name: 0.5, CONSUMED.name: 1.2}


@dataclass(frozen=True, slots=True)
class Records:
    """What is produced."""

    size_bytes: int
    codec: str = "none"
    mixed: bool = False

    def __str__(self) -> str:
        size = f"{self.size_bytes} B" if self.size_bytes < 1024 else f"{self.size_bytes // 1024} KB"
        return f"50 to 150 B, {self.codec}" if self.mixed else f"{size}, {self.codec}"


def cases(plan: Plan) -> Sequence[Case]:
    sizes = [_aimed_for(Records(100)), _aimed_for(Records(1024)), _case(Records(10 * 1024))]
    mixed = _aimed_for(Records(100, mixed=True))
    codecs = [_case(Records(1024, codec)) for codec in ("gzip", "snappy", "lz4", "zstd")]
    return [sizes[1], codecs[2]] if plan.quick else [sizes[0], mixed, *sizes[1:], *codecs]


def _case(records: Records) -> Case:
    return Case(str(records), UNSYNCED_PEER, METRICS, partial(_open, records=records), weight=1.8, fixed_s=0.5)


def _aimed_for(records: Records) -> Case:
    return replace(_case(records), metrics=WITH_CLIENT, aims=AIMS, floor=partial(_floor, records=records))


@contextmanager
def _open(broker: Broker, plan: Plan, *, records: Records) -> Iterator[Round]:
    with as_round(lambda: _round(broker, plan, records)) as play:
        yield play


@contextmanager
def _floor(directory: Path, plan: Plan, *, records: Records) -> Iterator[Round]:
    with (
        floor.relaying(directory, synced=True) as relay,
        _open(relay, plan, records=records) as play,
    ):
        yield play


def _round(broker: Broker, plan: Plan, records: Records) -> Sample:
    with broker.topic(PARTITIONS) as (topic, _):
        spent = ProcessorTime(broker)
        sent = produce(
            broker.bootstrap,
            topic,
            size_bytes=records.size_bytes,
            seconds=plan.seconds,
            codec=records.codec,
            mixed=records.mixed,
        )
        values = {PRODUCED.name: sent.per_second / 1000}
        values = with_processor(values, spent.spent_s(), PRODUCE_CPU, 1e6 / max(1, sent.records))
        values[PRODUCER_CPU.name] = sent.spent.all_s * 1e6 / max(1, sent.records)
        values = with_client(values, sent.spent, PRODUCER_BUSY)
        spent = ProcessorTime(broker)
        read = consume(broker.bootstrap, topic, partitions=PARTITIONS, records=sent.records)
        values[CONSUMED.name] = read.per_second / 1000
        values = with_processor(values, spent.spent_s(), CONSUME_CPU, 1e6 / max(1, read.records))
        values[CONSUMER_CPU.name] = read.spent.all_s * 1e6 / max(1, read.records)
        values = with_client(values, read.spent, CONSUMER_BUSY)
    return Sample(values, sent.failures + read.failures)
