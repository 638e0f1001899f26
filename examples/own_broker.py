"""A broker of one's own for a demonstration: started as anybody would start it, killed, started again.

    with OwnBroker(folder) as broker:
        ...                        # broker.bootstrap is "127.0.0.1:PORT"
        broker.kill()              # what a power cut leaves of the process
        broker.start()             # same folder, same port: nothing that was acknowledged is gone

It is `ottla serve` with default settings; only the address and the folder are said.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
POLL_S = 0.02


class OwnBroker:
    """One `ottla serve` on 127.0.0.1 at a port that is free; its data and its output are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._output = folder / "broker.log"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """Of its process; None while there is none."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def __enter__(self) -> OwnBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return when it listens. RuntimeError, with what it said, when it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ottla", "serve", "--port", str(self._port)]
        command += ["--set", f"log.dirs={self._folder / 'data'}"]
        with self._output.open("ab") as output:
            begin = output.tell()
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._port = self._wait_for_port(begin)

    def _wait_for_port(self, begin: int) -> int:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process is not None:
            said = self._output.read_bytes()[begin:].decode(errors="replace")
            found = re.search(r"listens on PLAINTEXT://127\.0\.0\.1:(\d+)", said)
            if found is not None:
                return int(found[1])
            if self._process.poll() is not None:
                raise RuntimeError(f"the broker ended at once:\n{said}")
            time.sleep(POLL_S)
        raise RuntimeError(f"the broker did not begin to listen within {START_TIMEOUT_S} s; see {self._output}")

    def kill(self) -> None:
        """SIGKILL: no goodbye, no last sync."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
