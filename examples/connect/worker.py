"""A Kafka Connect worker as a process: standalone with its connectors, or one of a cluster, asked by its REST API."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STANDALONE = "org.apache.kafka.connect.cli.ConnectStandalone"
DISTRIBUTED = "org.apache.kafka.connect.cli.ConnectDistributed"
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30
POLL_S = 0.2

Properties = Mapping[str, str]


class WorkerFailed(Exception):
    """The worker ended, or refused; the text says what it said."""


class Worker:
    """One JVM. Its settings are those of the file in this folder, and `more`."""

    def __init__(self, name: str, folder: Path, template: str, more: Properties, connectors: list[Properties]) -> None:
        self._name = name
        self._output = folder / f"{name}.log"
        self._rest = more["listeners"]
        standalone = template.startswith("standalone")
        settings = folder / f"{name}.properties"
        settings.write_text((HERE / template).read_text() + _as_lines(more))
        files = []
        for number, connector in enumerate(connectors):
            files.append(folder / f"{name}-connector-{number}.properties")
            files[-1].write_text(_as_lines(connector))
        class_path = f"{HERE / 'target' / 'lib'}{os.sep}*"
        flags = ["-Xmx256m", f"-Djava.io.tmpdir={folder}"]  # what a JVM that is killed leaves goes with the folder
        command = ["java", *flags, "-cp", class_path, STANDALONE if standalone else DISTRIBUTED, str(settings)]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, *map(str, files)], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def wait_until_it_answers(self) -> None:
        """Return when its REST API is there. WorkerFailed."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                self.ask("GET", "/connectors")
                return
            except (WorkerFailed, OSError):
                if self._process.poll() is not None:
                    break
            time.sleep(POLL_S)
        self.kill()
        raise WorkerFailed(f"worker {self._name} does not answer:\n{self._output.read_text()[-4000:]}")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request to its REST API. WorkerFailed when it refuses, OSError when nobody is there."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._rest + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise WorkerFailed(f"{method} {path}: {error.read().decode(errors='replace')}") from error

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()


def _as_lines(settings: Properties) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())
