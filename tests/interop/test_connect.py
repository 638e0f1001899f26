"""Kafka Connect, standalone and distributed, with its file connectors: the demonstration in its short form."""

from __future__ import annotations

from interop.examples import needs_built, run_demo


@needs_built("connect")
def test_lines_arrive_though_workers_and_broker_are_killed() -> None:
    said = run_demo("connect/demo.py", "--lines", "500")

    assert "standalone: 1500 lines arrived" in said.replace("\n", " ")
    assert "distributed: 1500 lines arrived" in said.replace("\n", " ")
