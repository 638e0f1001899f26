"""The floor beside the brokers: the least that a process in Python can do here, asked by the same client as they are.

For bare requests an echo (`load/echo.py`): it writes a one-record Produce request to a file and answers with as many bytes as
a broker would.  For whole clients a relay (`load/relay.py`): it writes what is produced, hands it to the consumer that waits,
and leaves all else to an Ottla broker behind it, which is not measured.  Synced, both wait for the machine's disk.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..load import echo, wire
from .brokers import SETTINGS, Broker, BrokerProcess
from .model import FLOOR
from .process import processor_s

PATIENCE_S = 10.0
FILE = "floor"
ROOT = Path(__file__).parent.parent.parent
RELAY = "bench.load.relay"


@dataclass(frozen=True, slots=True)
class Echo:
    """It runs."""

    bootstrap: str
    pid: int

    def processor_s(self) -> float:
        return processor_s(self.pid)


@dataclass(slots=True)
class Relay(Broker):
    """It runs, and clients take it for a broker."""

    relay_pid: int | None = None

    @property
    def pid(self) -> int | None:
        return self.relay_pid


@contextmanager
def running(directory: Path, request: bytes, *, synced: bool) -> Iterator[Echo]:
    """An echo for requests of that size, whose file lies in the directory; gone afterwards, both."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / FILE
    try:
        with _process(
            echo.__file__, str(len(request)), str(wire.PRODUCE_RESPONSE_BYTES), str(file), _how(synced)
        ) as it:
            yield Echo(f"127.0.0.1:{_port(it)}", it.pid)
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def relaying(directory: Path, *, synced: bool) -> Iterator[Relay]:
    """A relay and the broker behind it, whose files lie in the directory; gone afterwards, all of them."""
    own = directory / FILE
    own.mkdir(parents=True)
    try:
        with _process("-m", RELAY, str(own), _how(synced)) as it:
            address = f"127.0.0.1:{_port(it)}"
            behind = BrokerProcess(own / "behind", {**SETTINGS, "advertised.listeners": f"PLAINTEXT://{address}"})
            try:
                behind.start()
                assert it.stdin is not None
                print(behind.bootstrap, file=it.stdin, flush=True)
                yield Relay(FLOOR, address, None, None, directory, syncs_by_itself=True, relay_pid=it.pid)
            finally:
                behind.kill()
    finally:
        shutil.rmtree(own)


@contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stdin.close()
        process.stdout.close()


def _port(process: subprocess.Popen[str]) -> int:
    """What it prints first."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def _how(synced: bool) -> str:
    return "synced" if synced else "written"
