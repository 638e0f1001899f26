"""Logs as Apache Kafka's cleaner found them and left them: before, after, and once more after further writes.

    with ApacheKafka(folder / "kafka", SETTINGS) as kafka:
        for step in kafkas_compaction(kafka, folder):
            step.before, step.after                 # folders with the partition's .log files

One topic for each kind: `plain` (idempotent and transactional producers, tombstones), `packed` (every codec in turn) and
`stamped` (LogAppendTime). Segments end where timestamps jump. To keep the recorded ones in order:

    python -m support.kafkas_compaction         # in tests/; writes storage/compaction/golden
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from .apache_kafka import ApacheKafka

SEGMENT_MS = 1_000
RETENTION_MS = 1
SETTINGS = {"log.cleaner.backoff.ms": "100", "log.cleaner.delete.retention.ms": str(RETENTION_MS)}
TOPICS = ("plain", "packed", "stamped")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
NEVER, ALWAYS = "1.0", "0.0"
GOLDEN = Path(__file__).parents[1] / "storage" / "compaction" / "golden"
WAIT_S = 120


class Step(NamedTuple):
    """One cleaning of one partition."""

    name: str
    before: Path
    after: Path


def kafkas_compaction(kafka: ApacheKafka, folder: Path) -> Iterator[Step]:
    """Let Kafka clean each topic twice."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for topic in TOPICS:
        _create(admin, topic)
    writer = Writer(kafka.bootstrap)
    for number in (1, 2):
        writer.write_round(number)
        for topic in TOPICS:
            yield _clean(admin, kafka.log_directory, topic, folder, number)


def _create(admin: AdminClient, topic: str) -> None:
    config = {
        "cleanup.policy": "compact",
        "segment.ms": str(SEGMENT_MS),
        "min.cleanable.dirty.ratio": NEVER,
        "file.delete.delay.ms": "0",
    }
    if topic == "stamped":
        config["message.timestamp.type"] = "LogAppendTime"
    admin.create_topics([NewTopic(topic, 1, config=config)])[topic].result()


def _clean(admin: AdminClient, log_directory: Path, topic: str, folder: Path, number: int) -> Step:
    """Copy the partition, let Kafka clean it, copy it again."""
    partition = log_directory / f"{topic}-0"
    step = Step(f"{topic}-{number}", folder / f"{topic}-{number}-before", folder / f"{topic}-{number}-after")
    _copy_logs(partition, step.before)
    active = max(int(path.stem) for path in partition.glob("*.log"))
    _set(admin, topic, ALWAYS)
    _until(lambda: _cleaned_to(log_directory, topic) == active, f"{topic} is cleaned up to {active}")
    _until(lambda: not list(partition.glob("*.swap")), f"the segments of {topic} are swapped")
    _set(admin, topic, NEVER)
    _copy_logs(partition, step.after)
    return step


def _copy_logs(partition: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in partition.glob("*.log"):
        shutil.copy(path, target / path.name)


def _set(admin: AdminClient, topic: str, ratio: str) -> None:
    entry = ConfigEntry("min.cleanable.dirty.ratio", ratio, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result()


def _cleaned_to(log_directory: Path, topic: str) -> int | None:
    lines = (log_directory / "cleaner-offset-checkpoint").read_text().splitlines()
    return next((int(line.split()[2]) for line in lines if line.startswith(f"{topic} ")), None)


def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain: {what}")
        time.sleep(0.05)


class Writer:
    """Writes the same twice, with other keys getting newer values each time."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._now_ms = int(time.time() * 1000)
        self._idempotent = self._producer(enable_idempotence=True)
        self._transactional = self._producer(transactional_id="t")
        self._transactional.init_transactions()

    def _producer(self, codec: str = "none", **settings: object) -> Producer:
        named = {name.replace("_", "."): value for name, value in settings.items()}
        named |= {"bootstrap.servers": self._bootstrap, "linger.ms": 50, "compression.type": codec}
        return Producer(named)

    def write_round(self, number: int) -> None:
        for segment in range(5):
            self._now_ms += 2 * SEGMENT_MS  # a new segment begins
            self._write_plain(number, segment)
            for slot, codec in enumerate(CODECS):
                self._send(self._producer(codec), "packed", number, segment * 7 + slot)
            self._send(self._producer(), "stamped", number, segment)
            time.sleep(2 * SEGMENT_MS / 1000)  # for the topic whose times are the broker's

    def _write_plain(self, number: int, segment: int) -> None:
        self._send(self._idempotent, "plain", number, segment)
        for slot, commits in enumerate((True, False)):
            self._transactional.begin_transaction()
            self._send(self._transactional, "plain", number, segment * 2 + slot)
            if commits:
                self._transactional.commit_transaction()
            else:
                self._transactional.abort_transaction()

    def _send(self, producer: Producer, topic: str, number: int, seed: int) -> None:
        """A batch of six: older and newer values of a few keys, tombstones among them, one with headers."""
        for slot in range(6):
            key = b"key-%d" % ((seed * 5 + slot * slot) % 11)
            value = None if (seed + slot) % 5 == 0 else b"%d-%d-%d " % (number, seed, slot) * (slot + 1)
            headers = [("h", b"1"), ("n", None)] if slot == 3 else None
            producer.produce(topic, value, key, timestamp=self._now_ms + slot, headers=headers)
        left = producer.flush(30)
        assert left == 0, f"{left} records were not taken"


def record() -> None:
    """Replace the recorded folders."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder, ApacheKafka(Path(folder) / "kafka", SETTINGS) as kafka:
        for step in kafkas_compaction(kafka, Path(folder)):
            for side, source in (("before", step.before), ("after", step.after)):
                target = GOLDEN / step.name / side
                target.mkdir(parents=True)
                for path in source.glob("*.log"):
                    (target / f"{path.stem}.hex").write_text(_as_lines(path.read_bytes()))


def _as_lines(data: bytes) -> str:
    return "".join(f"{data[at : at + 60].hex()}\n" for at in range(0, len(data), 60))


if __name__ == "__main__":
    sys.exit(record())
