"""The same files, read by both: Kafka's DumpLogSegments reads our folder, and we read the folder of an Apache Kafka."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from ottla.protocol.records import Codec, iter_headers, iter_records
from ottla.storage.config import LogConfig
from ottla.storage.log import Log
from ottla.storage.system_files import SystemFiles
from support.apache_kafka import ApacheKafka, needs_java, run_tool
from support.batches import batch
from support.log_content import read_batches

DUMP = "org.apache.kafka.tools.DumpLogSegments"
CONFIG = LogConfig(segment_bytes=8_000, index_interval_bytes=500)
CODECS = [Codec.NONE, Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]


def write_log(folder: Path, *, crash: bool = False) -> Log:
    """Three hundred batches of all codecs, numbered by a producer; closed cleanly unless `crash`."""
    folder.mkdir()
    log = Log.open(str(folder), files=SystemFiles(), config=CONFIG, now_ms=1_000, clean=False)
    for number in range(300):
        values = [b"%d-%d" % (number, n) * 10 for n in range(number % 4 + 1)]
        codec = CODECS[number % len(CODECS)]
        sequence = log.log_end_offset
        log.append(
            batch(
                *values,
                timestamp=1_000 + number * 10 - number % 7 * 30,
                codec=codec,
                producer_id=9,
                producer_epoch=2,
                base_sequence=sequence,
            ),
            leader_epoch=number // 100,
            now_ms=1_000,
        )
    if crash:
        log.release()
    else:
        log.close()
    return log


@needs_java
def test_kafka_reads_every_file_of_a_closed_log(tmp_path: Path) -> None:
    folder = tmp_path / "t-0"
    log = write_log(folder)
    assert log.segment_count > 2
    logs = sorted(folder.glob("*.log"))
    said = run_tool(DUMP, "--deep-iteration", "--print-data-log", "--files", ",".join(map(str, logs))).stdout
    assert "isvalid: false" not in said
    offsets = [int(found) for found in re.findall(r"^\| offset: (\d+)", said, re.MULTILINE)]
    assert offsets == list(range(log.log_end_offset))
    assert said.count("isvalid: true") >= 300
    assert "partitionLeaderEpoch: 2" in said


@needs_java
def test_kafka_finds_our_indexes_sound(tmp_path: Path) -> None:
    folder = tmp_path / "t-0"
    write_log(folder)
    indexes = ",".join(map(str, sorted([*folder.glob("*.index"), *folder.glob("*.timeindex")])))
    said = run_tool(DUMP, "--index-sanity-check", "--files", indexes).stdout
    assert said.count("passed sanity check") == len(list(folder.glob("*.index"))) * 2
    # Without the flag every entry is held against the log.
    walked = run_tool(DUMP, "--verify-index-only", "--files", indexes).stdout
    assert "Mismatches" not in walked
    assert "Found timestamp mismatch" not in walked
    assert "Found out of order" not in walked
    assert "not be found" not in walked


@needs_java
def test_kafka_reads_our_producer_snapshots(tmp_path: Path) -> None:
    folder = tmp_path / "t-0"
    log = write_log(folder)
    newest = max(folder.glob("*.snapshot"))
    said = run_tool(DUMP, "--files", str(newest)).stdout
    last = log.log_end_offset - 1
    assert "producerId: 9 producerEpoch: 2" in said
    assert f"lastSequence: {last} lastOffset: {last}" in said


@pytest.fixture(scope="module")
def kafkas_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[ApacheKafka, Path]:
    """A log that Apache Kafka wrote and closed: several segments, all codecs, an idempotent producer."""
    kafka = ApacheKafka(tmp_path_factory.mktemp("kafka"), {"log.segment.bytes": str(1 << 20)})
    with kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        topic = NewTopic("t", 1, config={"segment.bytes": "1048576", "index.interval.bytes": "1024"})
        admin.create_topics([topic])["t"].result()
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            produce(kafka.bootstrap, codec)
    return kafka, kafka.log_directory / "t-0"


def produce(bootstrap: str, codec: str) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": codec,
            "batch.num.messages": 20,
        }
    )
    randomness = Random(codec)
    for number in range(2_000):
        # Bytes that do not compress away, so that several segments come about.
        value = randomness.randbytes(320)
        producer.produce("t", value, key=str(number), timestamp=1_700_000_000_000 + number)
        producer.poll(0)
    assert producer.flush(30) == 0


def records_of(batches: list[bytes]) -> list[tuple[int, int, bytes | None, bytes | None]]:
    return [
        (record.offset, record.timestamp, record.key, record.value)
        for each in batches
        for record in iter_records(each, max_decompressed_bytes=1 << 26)
    ]


@needs_java
@pytest.mark.parametrize("clean", [True, False])
def test_a_folder_of_kafkas_opens_and_reads_back_identical(
    kafkas_log: tuple[ApacheKafka, Path], tmp_path: Path, clean: bool
) -> None:
    folder = copy_of(kafkas_log[1], tmp_path / "t-0")
    bytes_before = {path.name: path.read_bytes() for path in folder.glob("*.log")}
    log = Log.open(str(folder), files=SystemFiles(), config=LogConfig(), now_ms=1_700_000_100_000, clean=clean)
    assert not log.recovery.worth_telling, log.recovery.lines()
    assert log.segment_count > 1
    assert log.log_end_offset == 10_000
    batches = read_batches(log)
    assert b"".join(batches) == b"".join(bytes_before[name] for name in sorted(bytes_before))
    records = records_of(batches)
    assert [record[0] for record in records] == list(range(10_000))
    for offset in range(0, 10_000, 333):
        timestamp = records[offset][1]
        assert log.offset_for_time(timestamp) == next((r[1], r[0]) for r in records if r[1] >= timestamp)
    assert len(log.producers) == 5
    for _, producer in log.producers:
        assert producer.last_sequence == 1_999
    log.release()


@needs_java
def test_kafkas_indexes_are_read_as_they_are(kafkas_log: tuple[ApacheKafka, Path], tmp_path: Path) -> None:
    folder = copy_of(kafkas_log[1], tmp_path / "t-0")
    theirs = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".index", ".timeindex")}
    log = Log.open(str(folder), files=SystemFiles(), config=LogConfig(), now_ms=1_700_000_100_000, clean=True)
    entries = [entry for segment in log._segments for entry in segment.offset_index.entries()]
    assert entries
    headers = {header.last_offset for each in read_batches(log) for _, header in iter_headers(each)}
    assert {entry.offset for entry in entries} <= headers
    log.close()
    ours = {name: (folder / name).read_bytes() for name in theirs}
    assert ours == theirs, "closing what was only read changes nothing"


@needs_java
def test_kafka_goes_on_with_what_we_appended(kafkas_log: tuple[ApacheKafka, Path], tmp_path: Path) -> None:
    kafka, folder = kafkas_log
    log = Log.open(str(folder), files=SystemFiles(), config=LogConfig(), now_ms=1_700_000_100_000, clean=True)
    for number in range(100):
        log.append(batch(b"ours %d" % number * 30, timestamp=1_700_000_200_000), leader_epoch=50, now_ms=0)
    end_offset = log.log_end_offset
    log.close()
    with kafka:
        produce(kafka.bootstrap, "none")
    assert "rebuil" not in kafka.output.lower()
    log = Log.open(str(folder), files=SystemFiles(), config=LogConfig(), now_ms=1_700_000_100_000, clean=True)
    assert log.log_end_offset == end_offset + 2_000
    records = records_of(read_batches(log))
    assert [record[0] for record in records] == list(range(end_offset + 2_000))
    assert records[10_000][3] == b"ours 0" * 30
    log.release()


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target
