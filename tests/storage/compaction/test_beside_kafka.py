"""The same log cleaned by Apache Kafka 4.3.1 and by us: the same batches are left, byte for byte.

`golden/<topic>-<round>/before` is a partition's `.log` files as Kafka's cleaner found them, `after` as it left them. A
batch that was compressed anew is compared unfolded, for the compressors are not the same library. The second round begins
with what Kafka left of the first, so that horizons that are over, empty batches and merged segments are in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from ottla.protocol.keyed_records import unfolded_records
from ottla.protocol.records import BatchHeader, iter_headers, iter_records, read_header
from ottla.storage.check import Severity, check_partition
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from ottla.storage.system_files import SystemFiles
from support.apache_kafka import ApacheKafka, needs_java, run_tool
from support.compacting import compact
from support.kafkas_compaction import GOLDEN, RETENTION_MS, SETTINGS, TOPICS, kafkas_compaction
from support.log_content import read_batches

DUMP = "org.apache.kafka.tools.DumpLogSegments"
CONFIG = LogConfig(
    cleanup_policy=frozenset({"compact"}), delete_retention_ms=RETENTION_MS, producer_id_expiration_ms=2**62
)


def logs_in(folder: Path) -> dict[int, bytes]:
    """Base offset and content of each `.log` file, or of its recorded `.hex`."""
    found = {int(path.stem): path.read_bytes() for path in folder.glob("*.log")}
    return found | {int(path.stem): bytes.fromhex(path.read_text()) for path in folder.glob("*.hex")}


def cleaned_by_us(before: dict[int, bytes], folder: Path, now_ms: int) -> dict[int, bytes]:
    folder.mkdir()
    for base_offset, content in before.items():
        (folder / f"{base_offset:020d}.log").write_bytes(content)
    log = Log.open(str(folder), files=SystemFiles(), config=CONFIG, now_ms=now_ms, clean=False, cleaned_to=max(before))
    assert log.log_end_offset > max(before), log.recovery.lines()
    log.cleaned_to = None
    log.flush()
    assert compact(log, now_ms=now_ms) is not None
    log.check()
    log.close()
    findings = [
        each for each in check_partition(str(folder), SystemFiles(), deep=True) if each.severity is Severity.DAMAGE
    ]
    assert not findings
    return logs_in(folder)


def time_of_cleaning(after: dict[int, bytes], before: dict[int, bytes]) -> int:
    """When Kafka cleaned, by the horizons it gave."""
    old = {header.base_timestamp for _, _, header in batches(before) if header.has_delete_horizon}
    new = {header.base_timestamp for _, _, header in batches(after) if header.has_delete_horizon} - old
    assert len(new) == 1, "one cleaning gives one horizon"
    return new.pop() - RETENTION_MS


def batches(logs: dict[int, bytes]) -> Iterator[tuple[int, bytes, BatchHeader]]:
    for base_offset, data in sorted(logs.items()):
        for position, header in iter_headers(data):
            yield base_offset, data[position : position + header.size_bytes], header


def comparable(logs: dict[int, bytes]) -> list[tuple[object, ...]]:
    """Segment by segment, batch by batch; of compressed ones what they hold."""
    return [
        (base_offset, header._replace(size_bytes=0, crc=0), unfolded_records(batch, header, max_bytes=1 << 20))
        if header.codec
        else (base_offset, batch)
        for base_offset, batch, header in batches(logs)
    ]


def compare(before: dict[int, bytes], after: dict[int, bytes], folder: Path) -> None:
    now_ms = time_of_cleaning(after, before)
    ours = cleaned_by_us(before, folder, now_ms)
    assert comparable(ours) == comparable(after)
    assert sorted(ours) == sorted(after), "the same segments"
    assert sum(map(len, after.values())) < sum(map(len, before.values()))


@pytest.mark.parametrize("recorded", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_what_kafka_left_is_what_we_leave(recorded: Path, tmp_path: Path) -> None:
    compare(logs_in(recorded / "before"), logs_in(recorded / "after"), tmp_path / "t-0")


@needs_java
@pytest.mark.timeout(600)
def test_today_too_and_kafka_goes_on_with_what_we_left(tmp_path: Path) -> None:
    kafka = ApacheKafka(tmp_path / "kafka", SETTINGS)
    with kafka:
        for step in kafkas_compaction(kafka, tmp_path):
            folder = tmp_path / f"{step.name}-0"
            compare(logs_in(step.before), logs_in(step.after), folder)
            files = ",".join(str(path) for path in sorted(folder.glob("*.log")))
            said = run_tool(DUMP, "--deep-iteration", "--print-data-log", "--files", files).stdout
            assert "isvalid: false" not in said
            assert "isvalid: true" in said
    for topic in TOPICS:
        replace_logs(kafka.log_directory / f"{topic}-0", tmp_path / f"{topic}-2-0")
    with kafka:
        for topic in TOPICS:
            assert consumed(kafka.bootstrap, topic) == readable(tmp_path / f"{topic}-2-0")


def replace_logs(partition: Path, ours: Path) -> None:
    """Put the segments that we cleaned in the place of Kafka's."""
    for path in partition.iterdir():
        if path.name != "partition.metadata":
            path.unlink()
    for path in ours.iterdir():
        shutil.copy(path, partition / path.name)


def consumed(bootstrap: str, topic: str) -> list[tuple[int, bytes | None, bytes | None]]:
    """What a read_committed consumer gets."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "g",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[int, bytes | None, bytes | None]] = []
    try:
        while (message := consumer.poll(60)) is not None and message.error() is None:
            found.append((message.offset(), message.key(), message.value()))
        assert message is not None, "Kafka does not answer"
        return found
    finally:
        consumer.close()


def readable(folder: Path) -> list[tuple[int, bytes | None, bytes | None]]:
    log = Log.open(str(folder), files=SystemFiles(), config=CONFIG, now_ms=0, clean=True)
    try:
        aborted = log.aborted_between(0, log.log_end_offset)
        return [
            (record.offset, record.key, record.value)
            for each in read_batches(log)
            if not (header := read_header(each)).is_control
            and not any(
                one.producer_id == header.producer_id and one.first_offset <= header.base_offset < one.last_offset
                for one in aborted
            )
            for record in iter_records(each, max_decompressed_bytes=1 << 20)
        ]
    finally:
        log.release()
