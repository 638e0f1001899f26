"""Scenario 1 where the client is not the limit: four warm partitions are read again and again by a bare reader.

The same batches lie in each broker's log, written once.  Apache Kafka's way of sending files (sendfile) is compiled only
after seconds of it, so each broker is read from for a while before anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.rounds import ProcessorTime, with_client, with_processor
from ..load.bulk_reader import read_in_bulk, write
from ..load.wire import batch

NAME = "bulk-read"
TITLE = (
    "bare Fetch requests for 4 partitions at once, 1 MiB of each: what a broker can send to a client that costs little"
)
PARTITIONS = 4
BATCH_BYTES = 100_000
LOG_BYTES = 200_000_000
LOG_BYTES_QUICK = 8_000_000
WARM_UP_S = 4.0
NOTHING = "page cache"

CLIENT_BUSY = Metric("client busy", "%", Better.LESS)
READ = Metric("read", "1,000 records/s", Better.MORE, client_busy=CLIENT_BUSY.name)
CPU = Metric("broker CPU", "s/million", Better.LESS, 3)
AIMS = {READ.name: 1.2}


def cases(plan: Plan) -> Sequence[Case]:
    sizes = (1024,) if plan.quick else (100, 1024)
    return [
        Case(
            f"{'1 KB' if size == 1024 else f'{size} B'}, none",
            NOTHING,
            (READ, CPU, CLIENT_BUSY),
            partial(_open, size_bytes=size),
            AIMS,
            setup_s=WARM_UP_S + 2,
        )
        for size in sizes
    ]


@contextmanager
def _open(broker: Broker, plan: Plan, *, size_bytes: int) -> Iterator[Round]:
    with broker.topic(PARTITIONS) as (_, topic):
        log_bytes = LOG_BYTES_QUICK if plan.quick else LOG_BYTES
        records = batch(BATCH_BYTES // size_bytes, size_bytes)
        write(broker.bootstrap, topic, partitions=PARTITIONS, batch=records, size_bytes=log_bytes)

        def play() -> Sample:
            spent = ProcessorTime(broker)
            read = read_in_bulk(broker.bootstrap, topic, partitions=PARTITIONS, seconds=plan.seconds)
            values = {READ.name: read.per_second / 1000}
            values = with_processor(values, spent.spent_s(), CPU, 1e6 / max(1, read.records))
            return Sample(with_client(values, read.spent, CLIENT_BUSY), read.failures)

        if not plan.quick:
            read_in_bulk(broker.bootstrap, topic, partitions=PARTITIONS, seconds=WARM_UP_S)
        yield play
