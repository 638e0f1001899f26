"""Ottla as a process of its own, as users have it (`ottla.testing`), with what only our own tests ask for.

    with BrokerProcess(tmp_path / "ottla", {"num.partitions": "3"}) as broker:
        ...                                          # broker.bootstrap is "127.0.0.1:PORT"
        broker.kill()                                # what a crash leaves
        broker.start()                               # same directory, same port
        assert broker.stop() == 0                    # SIGTERM; the exit code

It has the face of `support.apache_kafka.ApacheKafka`, so that a test may be given either.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from ottla.testing import broker_process
from ottla.testing.broker_process import POLL_S, die_with_parent, environment, free_fixed_port, without_colours

METADATA = 3


class BrokerProcess(broker_process.BrokerProcess):
    """Kafka's settings are as Kafka has them; it has started when it answers Metadata.

    `prefix` is put in front of the command (`nsenter …`, `prlimit …`), `arguments` behind it.  `python` is the
    interpreter, if not the tests' own.
    """

    defaults: ClassVar[Mapping[str, object]] = {}

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
        super().__init__(directory, settings, port=port or free_fixed_port())
        self.log_directory = log_directory or self.log_directory
        self._prefix = tuple(prefix)
        self._arguments = tuple(arguments)
        self._python = python

    @property
    def bootstrap(self) -> str:
        return self.bootstrap_servers

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

    def start(self, *, timeout_s: float = 60) -> float:
        """Start, wait until it answers Metadata, and return how many seconds that took from exec."""
        self.launch()
        return self.wait_until_it_answers(timeout_s=timeout_s)

    def command(self) -> list[str]:
        return [*die_with_parent(), *self._prefix, self._python, *self.serve(), *self._arguments]

    def wait_until_it_answers(self, *, timeout_s: float = 60) -> float:
        deadline = self._launched_at + timeout_s
        while not answers_metadata(self.port):
            assert self.is_running, f"the broker ended at once ({self.exit_code()}):\n{self.output}"
            assert time.monotonic() < deadline, f"the broker does not answer:\n{self.output}"
            time.sleep(POLL_S)  # another process's start-up has no event to wait for
        return time.monotonic() - self._launched_at


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


def status_bytes(pid: int, field: str) -> int:
    """A size from /proc/PID/status, e.g. `VmRSS` (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None, f"no {field} in /proc/{pid}/status"
    return int(found[1]) * 1024


__all__ = (
    "BrokerProcess",
    "answers_metadata",
    "die_with_parent",
    "environment",
    "free_fixed_port",
    "status_bytes",
    "without_colours",
)
