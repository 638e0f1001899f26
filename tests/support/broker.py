"""Ottla as a process of its own, for tests that talk to it from outside, stop it or kill it.

    with BrokerProcess(tmp_path / "ottla", {"num.partitions": "3"}) as broker:
        ...                                          # broker.bootstrap is "127.0.0.1:PORT"
        broker.kill()                                # what a crash leaves
        broker.start()                               # same directory, same port
        assert broker.stop() == 0                    # SIGTERM; the exit code

It has the face of `support.apache_kafka.ApacheKafka`, so that a test may be given either.  The port lies outside
the range from which the system takes ports for outgoing connections: otherwise one of the clients that try to
reconnect could be given the broker's own port while that is down.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

POLL_S = 0.005
FIXED_PORTS = range(20_000, 30_000)
METADATA = 3


class BrokerProcess:
    """One broker on 127.0.0.1, its data under `directory`; a context manager, or start and stop it by hand.

    Leaving the context stops it cleanly, or kills it when the test failed.
    `settings` go to `ottla serve --set`; `prefix` is put in front of the command (`nsenter …`, `prlimit …`).
    `python` is the interpreter, if not the tests' own.
    The process dies with the test process, however that ends, where `setpriv` exists (Linux).
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        prefix: Sequence[str] = (),
        arguments: Sequence[str] = (),
        python: str = sys.executable,
        log_directory: Path | None = None,
    ) -> None:
        self.directory = directory
        self.log_directory = log_directory or directory / "data"
        self.port = port or free_fixed_port()
        self.settings = dict(settings or {})
        self._prefix = tuple(prefix)
        self._arguments = tuple(arguments)
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None
        self._output_start = 0

    @property
    def bootstrap(self) -> str:
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
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def rss_bytes(self) -> int:
        """Resident memory now (Linux)."""
        return status_bytes(self.pid, "VmRSS")

    @property
    def peak_rss_bytes(self) -> int:
        """The most resident memory since the start or `forget_peak_rss` (Linux)."""
        return status_bytes(self.pid, "VmHWM")

    def forget_peak_rss(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def __enter__(self) -> BrokerProcess:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.is_running:
            self.stop()
        self.kill()

    def start(self, *, timeout_s: float = 60) -> float:
        """Start, wait until it answers Metadata, and return how many seconds that took from exec."""
        self.launch()
        return self.wait_until_it_answers(timeout_s=timeout_s)

    def launch(self) -> None:
        """Start and do not wait."""
        assert not self.is_running, "already started"
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._output_file.open("ab") as output:
            self._output_start = output.tell()
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment()
            )
        self._launched_at = time.monotonic()

    def command(self) -> list[str]:
        settings = {
            "log.dirs": str(self.log_directory),
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            **self.settings,
        }
        sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        serve = [self._python, "-m", "ottla", "serve", *sets, *self._arguments]
        return [*die_with_parent(), *self._prefix, *serve]

    def wait_until_it_answers(self, *, timeout_s: float = 60) -> float:
        deadline = self._launched_at + timeout_s
        while not answers_metadata(self.port):
            assert self.is_running, f"the broker ended at once ({self.exit_code()}):\n{self.output}"
            assert time.monotonic() < deadline, f"the broker does not answer:\n{self.output}"
            time.sleep(POLL_S)  # another process's start-up has no event to wait for
        return time.monotonic() - self._launched_at

    def stop(self, *, timeout_s: float = 60) -> int:
        """SIGTERM; the exit code.  AssertionError, after a hard kill, when it has not ended within `timeout_s`."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not stopped within {timeout_s:g} s:\n{self.output}") from None

    def signal(self, number: int) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    def wait(self, *, timeout_s: float) -> int:
        """Its exit code once it has ended; subprocess.TimeoutExpired if it does not."""
        assert self._process is not None, "not started"
        return self._process.wait(timeout_s)

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """SIGKILL if it runs: what a crash leaves.  The process is gone on return."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def _output_file(self) -> Path:
        return self.directory / "output.txt"


def answers_metadata(port: int) -> bool:
    """Whether a broker lists itself there: Metadata v1, asked for no topics."""
    request = struct.pack(">hhihi", METADATA, 1, 7, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
            peer.sendall(struct.pack(">i", len(request)) + request)
            stream = peer.makefile("rb")
            (size_bytes,) = struct.unpack(">i", stream.read(4))
            _correlation_id, brokers = struct.unpack_from(">ii", stream.read(size_bytes))
            return bool(brokers > 0)
    except (OSError, struct.error):
        return False


def free_fixed_port() -> int:
    """A port nobody listens on just now and nobody is given for an outgoing connection."""
    for port in random.sample(FIXED_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def environment(**more: str) -> dict[str, str]:
    """The environment for an Ottla process: nothing that would configure it, or have it compiled at every start."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OTTLA_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **more}


def status_bytes(pid: int, field: str) -> int:
    """A size from /proc/PID/status, e.g. `VmRSS` (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None, f"no {field} in /proc/{pid}/status"
    return int(found[1]) * 1024


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def die_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
