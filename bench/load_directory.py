"""How long a log directory of many partitions takes to make, close, load and recover: storage alone, no broker.

    python -m bench.load_directory
    python -m bench.load_directory --partitions 10000 --runs 5 --threads 2

Every partition has a segment with five batches of an idempotent producer, so that loading one has all of it to
read: the tail, the indexes, leader epochs, a producer snapshot, the topic id.  Loading is timed in this process, files
warm; processor time beside it, for a machine that has other things to do.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from ottla.protocol.records import BatchBuilder
from ottla.storage.config import LogConfig
from ottla.storage.directory import LogDirectory
from ottla.storage.loading import LoadReport
from ottla.storage.system_files import SystemFiles

PARTITIONS_PER_TOPIC = 100
BATCHES = 5
CONFIG = LogConfig()


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="ottla-bench-") as name:
        path = str(Path(name) / "data")
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        make(path, arguments.partitions)
        show("made and closed", time.perf_counter() - wall_s, time.process_time() - cpu_s)
        for clean in (True, False):
            timings = [load_once(path, arguments.threads, clean=clean) for _ in range(arguments.runs)]
            what = f"{'loaded' if clean else 'recovered'}, {arguments.threads} thread(s), median of {arguments.runs}"
            show(what, statistics.median(wall for wall, _ in timings), statistics.median(cpu for _, cpu in timings))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
    print(f"{'peak memory':<44} {peak_mib:8.0f} MiB")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time a log directory of many partitions.")
    parser.add_argument("--partitions", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def make(path: str, partitions: int) -> None:
    """A directory with so many logs, closed cleanly."""
    directory, _ = load(path, threads=1)
    for first in range(0, partitions, PARTITIONS_PER_TOPIC):
        indexes = range(min(PARTITIONS_PER_TOPIC, partitions - first))
        logs = directory.create_logs(f"topic-{first}", indexes, uuid.uuid4(), CONFIG, now_ms=now_ms())
        for log in logs:
            for sequence in range(BATCHES):
                log.append(one_batch(sequence), leader_epoch=0, now_ms=now_ms())
    assert directory.close(threads=4) == []


def one_batch(sequence: int) -> bytearray:
    builder = BatchBuilder(producer_id=7, producer_epoch=0, base_sequence=sequence)
    builder.append(now_ms(), None, b"x" * 100)
    return builder.build()


def load_once(path: str, threads: int, *, clean: bool) -> tuple[float, float]:
    """Seconds of wall clock and of processor that one load takes; the directory is left as it was found."""
    if not clean:
        load(path, threads=threads)[0].abandon()  # takes the mark of the clean stop away
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    directory, report = load(path, threads=threads)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    assert report.clean == clean
    assert report.lines() == []
    assert directory.close(threads=4) == []
    return wall_s, cpu_s


def load(path: str, *, threads: int) -> tuple[LogDirectory, LoadReport]:
    directory = LogDirectory.open(
        path, files=SystemFiles(), node_id=1, cluster_id=None, new_id=uuid.uuid4, now_ms=now_ms()
    )
    return directory, directory.load(lambda topic: CONFIG, now_ms=now_ms(), threads=threads)


def now_ms() -> int:
    return int(time.time() * 1000)


def show(what: str, wall_s: float, cpu_s: float) -> None:
    print(f"{what:<44} {wall_s:8.2f} s {cpu_s:8.2f} s of processor")


if __name__ == "__main__":
    main()
