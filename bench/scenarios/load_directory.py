"""Part of scenario 5: how long a log directory of many partitions takes to load and to recover. Storage alone, no broker.

Every partition has a segment with five batches of an idempotent producer, so that loading one has all of it to read: the
tail, the indexes, leader epochs, a producer snapshot, the topic id. Timed in this process, files warm.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ottla.protocol.records import BatchBuilder
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from ottla.storage.loading import LoadReport
from ottla.storage.system_files import SystemFiles

from ..core.brokers import Broker
from ..core.model import Better, Case, Metric, Plan, Round, Sample

NAME = "load-directory"
TITLE = "a log directory of many partitions, five batches in each: loaded after a clean stop, recovered after a crash"
PARTITIONS = 10_000
PARTITIONS_QUICK = 200
PARTITIONS_PER_TOPIC = 100
BATCHES = 5
CONFIG = LogConfig()

TOOK = Metric("took", "ms", Better.LESS)
PROCESSOR = Metric("processor", "ms", Better.LESS)


def cases(plan: Plan) -> Sequence[Case]:
    count = PARTITIONS_QUICK if plan.quick else PARTITIONS
    return [
        Case(
            f"{count:,} partitions {'loaded' if clean else 'recovered'}",
            "storage alone",
            (TOOK, PROCESSOR),
            partial(_open, count=count, clean=clean),
            weight=0,
            fixed_s=count / 2_000,
            runs=3,
            ours_only=True,
        )
        for clean in (True, False)
    ]


@contextmanager
def _open(broker: Broker, plan: Plan, *, count: int, clean: bool) -> Iterator[Round]:
    with tempfile.TemporaryDirectory(prefix="ottla-bench-", dir=broker.directory) as name:
        path = str(Path(name) / "data")
        _make(path, count)
        yield lambda: _load_once(path, clean=clean)


def _make(path: str, partitions: int) -> None:
    """A directory with so many logs, closed cleanly."""
    directory, _ = _load(path)
    for first in range(0, partitions, PARTITIONS_PER_TOPIC):
        indexes = range(min(PARTITIONS_PER_TOPIC, partitions - first))
        for log in directory.create_logs(f"topic-{first}", indexes, uuid.uuid4(), CONFIG, now_ms=_now_ms()):
            for sequence in range(BATCHES):
                log.append(_one_batch(sequence), leader_epoch=0, now_ms=_now_ms())
    assert directory.close(threads=4) == []


def _one_batch(sequence: int) -> bytearray:
    builder = BatchBuilder(producer_id=7, producer_epoch=0, base_sequence=sequence)
    builder.append(_now_ms(), None, b"x" * 100)
    return builder.build()


def _load_once(path: str, *, clean: bool) -> Sample:
    """One load; the directory is left as it was found."""
    if not clean:
        _load(path)[0].abandon()  # takes the mark of the clean stop away
    wall_s, processor_s = time.perf_counter(), time.process_time()
    directory, report = _load(path)
    wall_s, processor_s = time.perf_counter() - wall_s, time.process_time() - processor_s
    assert report.clean == clean
    assert report.lines() == []
    assert directory.close(threads=4) == []
    return Sample({TOOK.name: wall_s * 1000, PROCESSOR.name: processor_s * 1000})


def _load(path: str) -> tuple[LogDirectory, LoadReport]:
    directory = LogDirectory.open(
        path, files=SystemFiles(), node_id=1, cluster_id=None, new_id=uuid.uuid4, now_ms=_now_ms()
    )
    return directory, directory.load(lambda topic: CONFIG, now_ms=_now_ms(), threads=1)


def _now_ms() -> int:
    return int(time.time() * 1000)
