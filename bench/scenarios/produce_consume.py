"""Scenario 1: bulk. librdkafka produces for a while to four partitions, then reads all of it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.rounds import UNSYNCED_PEER, ProcessorTime, as_round, with_processor
from ..load.librdkafka import consume, produce

NAME = "produce-consume"
TITLE = "bulk produce and consume, 4 partitions, librdkafka with its defaults"
PARTITIONS = 4
MIB = 1 << 20

PRODUCED = Metric("produced", "1,000 records/s", Better.MORE)
PRODUCE_CPU = Metric("broker CPU, produce", "s/million", Better.LESS, 2)
CONSUMED = Metric("consumed", "1,000 records/s", Better.MORE)
CONSUME_CPU = Metric("broker CPU, consume", "s/million", Better.LESS, 2)
METRICS = (PRODUCED, PRODUCE_CPU, CONSUMED, CONSUME_CPU)
AIMS = {PRODUCED.name: 1.2, PRODUCE_CPU.name: 0.5, CONSUMED.name: 1.2}


def cases(plan: Plan) -> Sequence[Case]:
    sizes = [_case(100, "none"), _case(1024, "none"), _case(10 * 1024, "none")]
    mixed = _case(100, "none", mixed=True)
    codecs = [_case(1024, codec) for codec in ("gzip", "snappy", "lz4", "zstd")]
    return [sizes[1], codecs[2]] if plan.quick else [sizes[0], mixed, *sizes[1:], *codecs]


def _case(size_bytes: int, codec: str, *, mixed: bool = False) -> Case:
    size = f"{size_bytes} B" if size_bytes < 1024 else f"{size_bytes // 1024} KB"
    return Case(
        f"50 to 150 B, {codec}" if mixed else f"{size}, {codec}",
        UNSYNCED_PEER,
        METRICS,
        partial(_open, size_bytes=size_bytes, codec=codec, mixed=mixed),
        AIMS if codec == "none" and size_bytes <= 1024 else {},
        weight=1.8,
        fixed_s=0.5,
    )


@contextmanager
def _open(broker: Broker, plan: Plan, *, size_bytes: int, codec: str, mixed: bool) -> Iterator[Round]:
    with as_round(lambda: _round(broker, plan, size_bytes, codec, mixed)) as play:
        yield play


def _round(broker: Broker, plan: Plan, size_bytes: int, codec: str, mixed: bool) -> Sample:
    with broker.topic(PARTITIONS) as (topic, _):
        spent = ProcessorTime(broker)
        sent = produce(broker.bootstrap, topic, size_bytes=size_bytes, seconds=plan.seconds, codec=codec, mixed=mixed)
        values = {PRODUCED.name: sent.per_second / 1000}
        values = with_processor(values, spent.spent_s(), PRODUCE_CPU, 1e6 / max(1, sent.records))
        spent = ProcessorTime(broker)
        read = consume(broker.bootstrap, topic, partitions=PARTITIONS, records=sent.records)
        values[CONSUMED.name] = read.per_second / 1000
        values = with_processor(values, spent.spent_s(), CONSUME_CPU, 1e6 / max(1, read.records))
    return Sample(values, sent.failures + read.failures)
