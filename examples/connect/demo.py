"""Kafka Connect on Ottla: lines of a file into a topic, and out of it into another file.  `make demo-connect` runs it.

    standalone     one worker with a file source and a file sink; killed with -9, started again
    distributed    two workers; connectors made by REST; the worker that runs them is killed, the other takes over; the
                   broker is killed and started, too

Connect works at least once: after a kill a line may come twice, but none may be missing and none may be new.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the examples are files, not a package

from own_broker import OwnBroker  # noqa: E402
from worker import Worker, WorkerFailed  # noqa: E402

PATIENCE_S = 120
POLL_S = 0.2
SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector"

console = Console()


class Lines:
    """Two files: what the source reads, and what the sink writes."""

    def __init__(self, folder: Path, topic: str) -> None:
        self._topic = topic
        self._read, self._written = folder / f"{topic}-in.txt", folder / f"{topic}-out.txt"
        self._lines: list[str] = []

    def connectors(self) -> list[dict[str, str]]:
        """The source's settings and the sink's."""
        source = {"name": f"{self._topic}-source", "connector.class": SOURCE, "tasks.max": "1"}
        source |= {"file": str(self._read), "topic": self._topic}
        sink = {"name": f"{self._topic}-sink", "connector.class": SINK, "tasks.max": "1"}
        sink |= {"file": str(self._written), "topics": self._topic}
        return [source, sink]

    def add(self, count: int) -> None:
        new = [f"{self._topic} line {len(self._lines) + each}" for each in range(count)]
        with self._read.open("a") as file:
            file.writelines(f"{line}\n" for line in new)
        self._lines += new

    def all_arrived(self) -> bool:
        """Whether each line has come out; one that never went in is an AssertionError."""
        if not self._written.exists():
            return False
        came = list(self._written.read_text().split("\n")[:-1])
        unknown = set(came) - set(self._lines)
        assert not unknown, f"lines that nobody wrote: {sorted(unknown)[:3]}"
        return set(came) == set(self._lines)

    def twice(self) -> int:
        """How many came once more than needed."""
        return len(self._written.read_text().splitlines()) - len(self._lines)


def standalone(folder: Path, broker: OwnBroker, count: int) -> str:
    """Run, kill, run again."""
    lines = Lines(folder, "alone")
    more = _common(broker) | {"offset.storage.file.filename": str(folder / "offsets")}
    with ExitStack() as stack:
        for _ in range(2):
            lines.add(count)
            worker = Worker("alone", folder, "standalone.properties", more, lines.connectors())
            stack.callback(worker.kill)
            _wait("every line of the file", lines.all_arrived)
            worker.kill()
        lines.add(count)
        worker = Worker("alone", folder, "standalone.properties", more, lines.connectors())
        stack.callback(worker.stop)
        _wait("every line of the file", lines.all_arrived)
    return f"standalone: {3 * count} lines arrived, {lines.twice()} of them twice; the worker was killed 2 times"


def distributed(folder: Path, broker: OwnBroker, count: int) -> str:
    """Two workers, one killed; and the broker."""
    lines = Lines(folder, "shared")
    with ExitStack() as stack:
        workers = []
        for name in ("first", "second"):
            workers.append(Worker(name, folder, "distributed.properties", _common(broker), []))
            stack.callback(workers[-1].kill)
            workers[-1].wait_until_it_answers()
        for connector in lines.connectors():
            _wait("a connector to be taken", lambda each=connector: _made(workers[0], each))  # type: ignore[misc]
        lines.add(count)
        _wait("every line of the file", lines.all_arrived)
        broker.kill()
        broker.start()
        lines.add(count)
        _wait("every line after the broker was killed", lines.all_arrived)
        workers[0].kill()
        lines.add(count)
        _wait("every line after a worker was killed", lines.all_arrived)
        states = [workers[1].ask("GET", f"/connectors/{each['name']}/status") for each in lines.connectors()]
        running = sum(task["state"] == "RUNNING" for state in states for task in state["tasks"])
    return (
        f"distributed: {3 * count} lines arrived, {lines.twice()} of them twice; a worker and the broker were killed;"
        f" {running} tasks run on the worker that is left"
    )


def _made(worker: Worker, connector: dict[str, str]) -> bool:
    """A cluster that is just rebalancing refuses, and is to be asked again."""
    try:
        worker.ask("PUT", f"/connectors/{connector['name']}/config", connector)
    except WorkerFailed:
        return False
    return True


def _common(broker: OwnBroker) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {"bootstrap.servers": broker.bootstrap, "listeners": f"http://127.0.0.1:{port}"}


def _wait(what: str, is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_there():
        if time.monotonic() > deadline:
            raise WorkerFailed(f"waited {PATIENCE_S} s for {what}")
        time.sleep(POLL_S)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--lines", type=int, default=10_000, help="how many before each kill")
    words.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    arguments = words.parse_args()
    with ExitStack() as stack:
        made = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ottla-demo-connect-")))
        made.mkdir(parents=True, exist_ok=True)
        broker = stack.enter_context(OwnBroker(made / "broker"))
        for part in (standalone, distributed):
            try:
                console.print(part(made, broker, arguments.lines))
            except (WorkerFailed, AssertionError) as failure:
                console.print(f"[red]{part.__name__}: {failure}", highlight=False)
                return 1
    console.print("[green]all as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
