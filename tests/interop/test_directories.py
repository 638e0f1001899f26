"""The files on disk are Kafka's: its tool reads what clients wrote to us, and its directory is served here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from interop.clients import AioKafka, ConfluentKafka
from interop.messages import CODECS, Message, contents, numbered
from interop.topics import create_topic
from support.apache_kafka import ApacheKafka, run_tool, why_java_is_absent
from support.broker import BrokerProcess

pytestmark = [
    pytest.mark.interop,
    pytest.mark.java,
    pytest.mark.skipif(why_java_is_absent() is not None, reason=why_java_is_absent() or ""),
]

DUMP = "org.apache.kafka.tools.DumpLogSegments"


def test_kafkas_dump_tool_finds_the_directory_of_a_stopped_broker_sound(
    own_broker: Callable[..., BrokerProcess | ApacheKafka],
) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap, "dumped", config={"segment.bytes": str(1024 * 1024)})
    sent = [Message(key=b"k", value=b"x" * 1_000, headers=(("h", b"v"),))] * 100
    for codec in CODECS * 4:
        AioKafka().produce(broker.bootstrap, "dumped", sent, codec=codec, idempotent=True)
    ConfluentKafka().produce(broker.bootstrap, "dumped", [Message(value=b"y" * 900_000)])
    broker.stop()

    folder = broker.log_directory / "dumped-0"
    logs, indexes, time_indexes = (files(folder, suffix) for suffix in (".log", ".index", ".timeindex"))
    assert len(logs) > 1

    shown = run_tool(DUMP, "--deep-iteration", "--files", ",".join(logs)).stdout
    assert "isvalid: false" not in shown
    assert set(re.findall(r"compresscodec: (\w+)", shown)) == set(CODECS)
    assert [int(n) for n in re.findall(r"^\| offset: (\d+) ", shown, re.MULTILINE)] == list(range(2_001))

    checked = run_tool(DUMP, "--index-sanity-check", "--files", ",".join(indexes + time_indexes)).stdout
    assert checked.count(" passed sanity check.") + checked.count(" is empty.") == len(indexes + time_indexes)
    compared = run_tool(DUMP, "--files", ",".join(indexes + time_indexes))
    assert "Mismatch" not in compared.stdout + compared.stderr
    assert "Found" not in compared.stdout + compared.stderr

    snapshots = files(folder, ".snapshot")
    producers = run_tool(DUMP, "--files", snapshots[-1]).stdout
    assert len(set(re.findall(r"producerId: (\d+)", producers))) == 4 * len(CODECS)


def test_a_directory_of_apache_kafka_is_served_here_with_all_its_records(tmp_path: Path) -> None:
    sent = numbered(200)
    with ApacheKafka(tmp_path / "kafka") as theirs:
        create_topic(theirs.bootstrap, "moved", partitions=2)
        for codec in CODECS:
            ConfluentKafka().produce(theirs.bootstrap, "moved", sent, partition=1, codec=codec)
        ConfluentKafka().produce(theirs.bootstrap, "moved", sent, idempotent=True)
        on_theirs = ConfluentKafka().read(theirs.bootstrap, "moved", partition=1, count=len(sent) * len(CODECS))

    ours = BrokerProcess(tmp_path / "ottla")
    ours.log_directory.mkdir(parents=True)
    for partition in (0, 1):
        shutil.copytree(theirs.log_directory / f"moved-{partition}", ours.log_directory / f"moved-{partition}")
    with ours:
        client = AioKafka()
        assert client.read(ours.bootstrap, "moved", partition=1, count=len(on_theirs)) == on_theirs
        assert contents(client.read(ours.bootstrap, "moved", count=len(sent))) == contents(sent)
        assert client.produce(ours.bootstrap, "moved", sent[:1]) == [len(sent)]


def files(folder: Path, suffix: str) -> list[str]:
    return sorted(str(file) for file in folder.iterdir() if file.suffix == suffix)
