"""Scenario 5: to start, to stop, to be there and do nothing, and to start again after a crash.

A start is timed from exec to the first answered Metadata over a new TCP connection. Each round has a broker of its own, with an
empty directory unless the case says otherwise; the ones under load meanwhile stand still.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ..core.brokers import OTTLA, Broker, Process
from ..core.model import Better, Case, Metric, NotMeasured, Open, Plan, Round, Sample
from ..core.process import processor_s, resident_mib
from ..core.rounds import UNSYNCED_PEER
from ..load import wire
from ..load.librdkafka import produce

NAME = "start"
TITLE = "start to the first answer, stop, memory and processor time at rest; start after kill -9"
PARTITIONS = 10_000
PARTITIONS_PER_TOPIC = 1_000
SETTLED_S = 3.0
IDLE_S = 10.0
RECORDS = 2_000_000
RECORDS_HEAVY = 10_000_000
HEAVY_LOG_RECORDS = 1_000_000
"""Of 10 KB each: the 10 GB of the crash that only `--heavy` measures."""
LOAD_TIMEOUT_S = 600.0
START_TIMEOUT_S = STOP_TIMEOUT_S = 300.0

Measure = Callable[[Broker, Process], Sample]

STARTED = Metric("start", "ms", Better.LESS)
STOPPED = Metric("stop", "ms", Better.LESS)
RESTARTED = Metric("start after kill -9", "ms", Better.LESS)
RESIDENT = Metric("resident memory", "MiB", Better.LESS, 1)
PROCESSOR = Metric("processor", "% of a core", Better.LESS, 2)
NOTHING = "nothing to lose"


def cases(plan: Plan) -> Sequence[Case]:
    first = Case(
        "new directory",
        NOTHING,
        (STARTED, STOPPED),
        _opening(_start_and_stop),
        {STARTED.name: 0.1},
        weight=0,
        fixed_s=4,
    )
    if plan.quick:
        return [first]
    records = RECORDS_HEAVY if plan.heavy else RECORDS
    every = [
        first,
        Case(
            f"at rest, {IDLE_S:.0f} s",
            NOTHING,
            (RESIDENT, PROCESSOR),
            _opening(_idle),
            {RESIDENT.name: 0.1, PROCESSOR.name: 0.05},
            weight=0,
            fixed_s=IDLE_S + SETTLED_S + 4,
            runs=1,
            warms_up=False,
        ),
        Case(
            f"after {records / 1e6:.0f} million records of 100 B",
            UNSYNCED_PEER,
            (RESIDENT, RESTARTED),
            _opening(partial(_load_and_kill, records=records, size_bytes=100)),
            {RESIDENT.name: 0.1, RESTARTED.name: 0.05},
            weight=0,
            fixed_s=10 + records / 400_000,
            runs=3 if not plan.heavy else None,
            warms_up=False,
        ),
        Case(
            f"{PARTITIONS:,} partitions",
            NOTHING,
            (STARTED, RESTARTED, RESIDENT),
            _opening(partial(_many_partitions, heavy=plan.heavy)),
            weight=0,
            fixed_s=120 if plan.heavy else 8,
            runs=1,
            warms_up=False,
        ),
    ]
    if plan.heavy:
        every.append(
            Case(
                "a log of 10 GB",
                UNSYNCED_PEER,
                (RESTARTED,),
                _opening(partial(_load_and_kill, records=HEAVY_LOG_RECORDS, size_bytes=10 * 1024)),
                {RESTARTED.name: 0.05},
                weight=0,
                fixed_s=120,
                runs=1,
                warms_up=False,
            )
        )
    return every


def _opening(measure: Measure) -> Open:
    """A case whose every round has a new broker of the same kind."""

    @contextmanager
    def open_case(broker: Broker, plan: Plan) -> Iterator[Round]:
        def play() -> Sample:
            with broker.another(f"start-{uuid.uuid4().hex}") as process:
                return measure(broker, process)

        yield play

    return open_case


def _start_and_stop(broker: Broker, process: Process) -> Sample:
    values = {STARTED.name: _started_ms(process)}
    began = time.perf_counter()
    process.stop()
    values[STOPPED.name] = (time.perf_counter() - began) * 1000
    return Sample(values)


def _idle(broker: Broker, process: Process) -> Sample:
    process.start()
    time.sleep(SETTLED_S)
    before = processor_s(process.pid)
    time.sleep(IDLE_S)
    spent_s = processor_s(process.pid) - before
    return Sample({RESIDENT.name: resident_mib(process.pid), PROCESSOR.name: spent_s / IDLE_S * 100})


def _load_and_kill(broker: Broker, process: Process, *, records: int, size_bytes: int) -> Sample:
    process.start()
    wire.create_topic(process.bootstrap, "load", partitions=4)
    sent = produce(process.bootstrap, "load", size_bytes=size_bytes, seconds=LOAD_TIMEOUT_S, max_records=records)
    if sent.records + sent.failures < records:
        raise NotMeasured(f"only {sent.records:,} records were written in {LOAD_TIMEOUT_S:.0f} s")
    resident = resident_mib(process.pid)
    process.kill()
    return Sample({RESIDENT.name: resident, RESTARTED.name: _started_ms(process)}, sent.failures)


def _many_partitions(broker: Broker, process: Process, *, heavy: bool) -> Sample:
    if broker.name != OTTLA and not heavy:
        raise NotMeasured("making so many partitions there takes minutes; --heavy measures them")
    process.start()
    for number in range(PARTITIONS // PARTITIONS_PER_TOPIC):
        wire.create_topic(process.bootstrap, f"many-{number}", partitions=PARTITIONS_PER_TOPIC)
    process.stop(timeout_s=STOP_TIMEOUT_S)
    values = {STARTED.name: _started_ms(process), RESIDENT.name: resident_mib(process.pid)}
    process.kill()
    values[RESTARTED.name] = _started_ms(process)
    return Sample(values)


def _started_ms(process: Process) -> float:
    """Milliseconds from exec to the first answer."""
    began = time.perf_counter()
    told_s = process.start(timeout_s=START_TIMEOUT_S)
    return (told_s if told_s is not None else time.perf_counter() - began) * 1000
