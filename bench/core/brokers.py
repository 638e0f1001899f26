"""The brokers beside each other: Ottla, Apache Kafka started by the bench itself, any other by its address.

They are started as the tests start them (`tests/support`), with the same settings, in temporary directories on the same
disk.  Apache Kafka runs as its own scripts would run it (G1, both compiler tiers) with a heap of 1 GB.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tests"))  # brokers are started as the tests start them

from support.apache_kafka import KAFKA_VERSION, ApacheKafka, why_java_is_absent
from support.broker import BrokerProcess

from ..load import wire
from .model import NotMeasured
from .process import processor_s, resident_mib

OTTLA = "Ottla"
KAFKA = f"Apache Kafka {KAFKA_VERSION}"
KAFKA_HEAP = "1g"
KAFKA_JVM_FLAGS = (
    "-server",
    f"-Xms{KAFKA_HEAP}",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-Djava.awt.headless=true",
)
SETTINGS: Mapping[str, str] = {
    "log.segment.delete.delay.ms": "1000",  # what a case has done with leaves the disk before the next
    "group.initial.rebalance.delay.ms": "0",
}
SYNCED_BY_CONFIG = {"flush.messages": "1"}


class Process(Protocol):
    """What both kinds of broker processes can do."""

    port: int

    @property
    def pid(self) -> int | None: ...
    @property
    def bootstrap(self) -> str: ...
    def start(self, *, timeout_s: float = ...) -> float | None: ...
    def stop(self, *, timeout_s: float = ...) -> int | None: ...
    def kill(self) -> None: ...


Make = Callable[[Path], Process]
"""Makes a broker process whose data are to be in a directory; it is not started."""


@dataclass(slots=True)
class Broker:
    """One of those compared, while it runs."""

    name: str
    bootstrap: str
    process: Process | None
    make: Make | None
    directory: Path
    syncs_by_itself: bool  # acks=all waits for the disk without a setting
    _topics: int = 0

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    def processor_s(self) -> float:
        return processor_s(self.pid)

    def resident_mib(self) -> float:
        return resident_mib(self.pid)

    @contextmanager
    def topic(self, partitions: int = 1, *, synced: bool = False) -> Iterator[tuple[str, UUID]]:
        """A new topic, its name and id; gone afterwards. `synced`: acks=all is answered from the disk."""
        self._topics += 1
        name = f"bench-{self._topics}"
        configs = SYNCED_BY_CONFIG if synced and not self.syncs_by_itself else {}
        topic_id = wire.create_topic(self.bootstrap, name, partitions=partitions, configs=configs)
        try:
            yield name, topic_id
        finally:
            wire.delete_topic(self.bootstrap, name)

    @contextmanager
    def another(self, name: str) -> Iterator[Process]:
        """A second broker of the same kind with an empty directory, not started; killed afterwards, and its data deleted."""
        if self.make is None:
            raise NotMeasured("a broker that the bench did not start cannot be restarted")
        directory = self.directory / name
        process = self.make(directory)
        try:
            if isinstance(process, ApacheKafka):
                process.format()  # a step of its own there, not part of a start
            yield process
        finally:
            process.kill()
            if directory.exists():
                shutil.rmtree(directory)  # up to 10 GB, which the next one needs


def ottla(directory: Path, *, python: str = sys.executable) -> Broker:
    """Ottla, not started."""

    def make(data: Path) -> Process:
        return BrokerProcess(data, SETTINGS, python=python)

    process = make(directory / "main")
    return Broker(OTTLA, process.bootstrap, process, make, directory, syncs_by_itself=True)


def apache_kafka(directory: Path) -> Broker:
    """Apache Kafka, not started. Ask `why_java_is_absent` before."""

    def make(data: Path) -> Process:
        return ApacheKafka(data, SETTINGS, heap=KAFKA_HEAP, jvm_flags=KAFKA_JVM_FLAGS)

    process = make(directory / "main")
    return Broker(KAFKA, process.bootstrap, process, make, directory, syncs_by_itself=False)


def at_address(bootstrap: str, directory: Path) -> Broker:
    """A broker that runs already."""
    return Broker(bootstrap, bootstrap, None, None, directory, syncs_by_itself=False)


@contextmanager
def running(brokers: list[Broker]) -> Iterator[None]:
    """Start those that are ours, and stop them at the end."""
    try:
        for broker in brokers:
            if broker.process is not None:
                broker.directory.mkdir(parents=True, exist_ok=True)
                broker.process.start()
        yield
        for broker in brokers:
            if broker.process is not None:
                broker.process.stop()
    finally:
        for broker in brokers:
            if broker.process is not None:
                broker.process.kill()


__all__ = (
    "KAFKA",
    "OTTLA",
    "SETTINGS",
    "Broker",
    "BrokerProcess",
    "Process",
    "apache_kafka",
    "at_address",
    "ottla",
    "running",
    "why_java_is_absent",
)
