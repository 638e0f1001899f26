"""Ottla as a process of its own, for tests that talk to it from outside, stop it or kill it.

    with BrokerProcess() as broker:
        ...                                          # broker.bootstrap_servers is "127.0.0.1:PORT"
        broker.kill()                                # what a crash leaves
        broker.start()                               # same data, same port

The port lies outside the range from which systems take ports for outgoing connections: otherwise one of the clients that
try to reconnect could be given the broker's own port while that is down.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

Self = TypeVar("Self", bound="BrokerProcess")

POLL_S = 0.005
FIXED_PORTS = range(20_000, 30_000)
_TRIES = 5
"""Of ports, when others take the one that was free a moment ago."""
_LISTENS = "listens on"
_CANNOT_LISTEN = "cannot listen"


class BrokerFailed(Exception):
    """The broker did not do what it was asked to; the text ends with what it printed."""


class BrokerProcess:
    """One broker on 127.0.0.1; a context manager, or start and stop it by hand.

    `directory` keeps its data, and what it prints; by default a temporary one, which goes with this object.  `settings`
    are Kafka's, as `ottla serve --set` takes them, in front of `defaults`.  `port`: by default any that is free, the same
    after a restart.

    Leaving the context stops it cleanly, or kills it when the test failed.  It ends with this process: at its end, and
    where `setpriv` exists (Linux) however that ends; there also with the thread that started it.
    """

    defaults: ClassVar[Mapping[str, object]] = {"group.initial.rebalance.delay.ms": 0}
    """What tests want otherwise than Kafka has it: a group need not wait for members that are still to come."""

    def __init__(
        self,
        directory: Path | str | None = None,
        settings: Mapping[str, object] | None = None,
        *,
        port: int | None = None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ottla-") if directory is None else None
        self.directory = Path(self._temporary.name if self._temporary else directory or "")
        self.settings = {name: _text(value) for name, value in {**self.defaults, **(settings or {})}.items()}
        self.log_directory = self.directory / "data"
        self._may_move = port is None
        self.port = port or free_fixed_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._output_start = 0

    @property
    def bootstrap_servers(self) -> str:
        """What clients are given."""
        return f"127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What it printed, standard output and error together, since its last start."""
        if not self._output_file.exists():
            return ""
        with self._output_file.open("rb") as file:
            file.seek(self._output_start)
            return without_colours(file.read().decode(errors="replace"))

    @property
    def pid(self) -> int:
        """Of its process, which was started."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self: Self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self.is_running:
                self.stop()
        finally:
            self.kill()
            if self._temporary is not None:
                self._temporary.cleanup()

    def start(self, *, timeout_s: float = 60) -> float:
        """Start, and return once it listens: how many seconds that took.

        BrokerFailed, with the broker's own words, when it ends instead (a setting that cannot be), or takes too long.
        """
        for _ in range(_TRIES):
            self.launch()
            if self._is_listening(timeout_s):
                return time.monotonic() - self._launched_at
            if not self._may_move or _CANNOT_LISTEN not in self.output:
                break
            self.port = free_fixed_port()
        raise BrokerFailed(f"the broker ended at once ({self.exit_code()}):\n{self.output}")

    def launch(self) -> None:
        """Start and do not wait."""
        if self.is_running:
            raise BrokerFailed("the broker is running already")
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._output_file.open("ab") as output:
            self._output_start = output.tell()
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment()
            )
        self._launched_at = time.monotonic()
        weakref.finalize(self, _end, self._process)  # also at the interpreter's end

    def command(self) -> list[str]:
        """What is run."""
        return [*die_with_parent(), sys.executable, *self.serve()]

    def serve(self) -> list[str]:
        """The part of it behind the interpreter."""
        settings = {
            "log.dirs": str(self.log_directory),
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            **self.settings,
        }
        sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        return ["-m", "ottla", "serve", *sets]

    def stop(self, *, timeout_s: float = 60) -> int:
        """Stop it cleanly; its exit code, 0.  BrokerFailed, after a hard kill, when it has not ended within the time.

        On Windows, which has no SIGTERM, it is killed.
        """
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerFailed(f"not stopped within {timeout_s:g} s:\n{self.output}") from None

    def kill(self) -> None:
        """SIGKILL if it runs: what a crash leaves.  The process is gone on return."""
        if self._process is not None:
            _end(self._process)

    def signal(self, number: int) -> None:
        self._started().send_signal(number)

    def wait(self, *, timeout_s: float) -> int:
        """Its exit code once it has ended; subprocess.TimeoutExpired if it does not."""
        return self._started().wait(timeout_s)

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerFailed("the broker was not started")
        return self._process

    def _is_listening(self, timeout_s: float) -> bool:
        """Wait until it says so; False if it ended."""
        while _LISTENS not in self.output:
            if not self.is_running:
                return False
            if time.monotonic() > self._launched_at + timeout_s:
                self.kill()
                raise BrokerFailed(f"not started within {timeout_s:g} s:\n{self.output}")
            time.sleep(POLL_S)  # another process's start-up has no event to wait for
        return True

    @property
    def _output_file(self) -> Path:
        return self.directory / "output.txt"


def free_fixed_port() -> int:
    """A port nobody listens on just now and nobody is given for an outgoing connection."""
    for port in random.sample(FIXED_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BrokerFailed("no free port")


def environment(**more: str) -> dict[str, str]:
    """The environment for an Ottla process: nothing that would configure it, or have it compiled at every start."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OTTLA_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **more}


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def die_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
