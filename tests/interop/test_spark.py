"""Spark Structured Streaming, its Kafka source and sink, batch and stream: the demonstration in its short form."""

from __future__ import annotations

import json
from pathlib import Path

from interop.examples import SPARK_PYTHON, needs_spark, run_demo

EVENTS = 40_000


@needs_spark()
def test_a_job_killed_in_the_middle_counts_every_event_once_and_every_way_to_read_finds_what_was_written(
    tmp_path: Path,
) -> None:
    figures = tmp_path / "figures.json"

    run_demo("spark/demo.py", "--spark-python", SPARK_PYTHON, "--events", str(EVENTS), "--json", str(figures))

    told = json.loads(figures.read_text())
    assert told["batches before the kill"] > 0
    assert told["batches after the kill"] > 0
    assert told["windows"] > 0
    assert (told["windows wrong"], told["reads wrong"]) == (0, 0)
