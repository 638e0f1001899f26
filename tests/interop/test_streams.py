"""Kafka Streams with exactly_once_v2: the Maven project in examples/streams, tested as a Java developer would."""

from __future__ import annotations

import subprocess
import sys

from interop.examples import EXAMPLES, TIMEOUT_S, maven, needs_built, run_demo
from support.broker import environment


@needs_built("streams")
def test_the_topology_counts_exactly_once_though_application_and_broker_are_killed() -> None:
    command = [maven(), "-q", "-B", "-f", str(EXAMPLES / "streams" / "pom.xml"), "verify"]
    properties = [f"-Dottla.command={sys.executable} -m ottla", "-Drounds=2", "-Devents=500"]

    done = subprocess.run(
        [*command, *properties], capture_output=True, text=True, env=environment(), timeout=TIMEOUT_S, check=False
    )

    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"


@needs_built("streams")
def test_the_demonstration_finds_every_sum_right() -> None:
    assert "all as expected" in run_demo("streams/demo.py", "--rounds", "1", "--events", "500")
