"""The floor beside the brokers: an echo in a process of its own, asked by the same client as they are.

It writes a one-record Produce request to a file and answers with as many bytes as a broker would (`load/echo.py`).  What is
measured of it is the least that a request costs one process in Python on this machine; synced, with the machine's disk.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..load import echo, wire
from .process import processor_s

PATIENCE_S = 10.0
FILE = "floor"


@dataclass(frozen=True, slots=True)
class Echo:
    """It runs."""

    bootstrap: str
    pid: int

    def processor_s(self) -> float:
        return processor_s(self.pid)


@contextmanager
def running(directory: Path, request: bytes, *, synced: bool) -> Iterator[Echo]:
    """An echo for requests of that size, whose file lies in the directory; gone afterwards, both."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / FILE
    sizes = str(len(request)), str(wire.PRODUCE_RESPONSE_BYTES)
    command = [sys.executable, echo.__file__, *sizes, str(file), "synced" if synced else "written"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Echo(f"127.0.0.1:{int(process.stdout.readline())}", process.pid)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stdin.close()
        process.stdout.close()
        file.unlink(missing_ok=True)
