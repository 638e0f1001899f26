"""The referee starts, answers, and is gone afterwards."""

import os
import subprocess
from pathlib import Path

import pytest
from support.apache_kafka import KAFKA_VERSION, ApacheKafka, _java_major, class_path, needs_java, run_tool


@pytest.mark.parametrize(
    ("said", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('java version "1.8.0_392"', 1),
        ("bash: java: command not found", None),
    ],
)
def test_reads_the_version_java_prints(said: str, major: int | None) -> None:
    assert _java_major(said) == major


@needs_java
def test_names_the_version_we_compare_with() -> None:
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in class_path()


@needs_java
def test_a_node_keeps_its_topics_over_a_restart_and_leaves_no_process(tmp_path: Path) -> None:
    with ApacheKafka(tmp_path / "kafka", {"num.partitions": "3"}) as kafka:
        _topics(kafka, "--create", "--topic", "kept")
        first_pid = kafka.pid
        kafka.stop()
        assert first_pid is not None
        assert not _alive(first_pid)
        assert (kafka.log_directory / "kept-2").is_dir()

        kafka.start()
        assert _topics(kafka, "--list").stdout.split() == ["kept"]
        second_pid = kafka.pid
    assert second_pid is not None
    assert not _alive(second_pid)


def _topics(kafka: ApacheKafka, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", kafka.bootstrap, *arguments)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
