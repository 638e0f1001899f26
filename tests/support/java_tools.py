"""Many of Apache Kafka's command-line tools in one Java machine, which costs a second to start and each tool a tenth.

    with JavaTools() as tools:
        done = tools("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", bootstrap, "--list")
        assert done.stdout == "orders\n"

`run_tool` of `support.apache_kafka` starts a machine for one tool: for one that keeps state.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from support.apache_kafka import JVM_FLAGS, java_command

RUNNER = Path(__file__).parent / "apache-kafka" / "ToolRunner.java"


class JavaTools:
    """A context manager; call it with a tool's class and arguments."""

    def __init__(self, *, timeout_s: float = 100) -> None:
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes]
        self._folder: tempfile.TemporaryDirectory[str]

    def __enter__(self) -> JavaTools:
        self._folder = tempfile.TemporaryDirectory(prefix="java-tools-")
        flags = (*JVM_FLAGS, f"-Djava.io.tmpdir={self._folder.name}")  # what a kill leaves goes with the folder
        # Java compiles and runs a file of one class by itself.
        self._process = subprocess.Popen(
            java_command(str(RUNNER), jvm_flags=flags),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def say(self, tool: str, bootstrap: str, *arguments: str, check: bool = True) -> str:
        """What a tool prints about the broker at `bootstrap`, its errors last."""
        done = self(tool, "--bootstrap-server", bootstrap, *arguments, check=check)
        return done.stdout + done.stderr

    def __call__(
        self, tool: str, *arguments: str, stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a tool to its end.  Failure is an AssertionError with what it printed, unless not `check`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = b" ".join(base64.b64encode(word.encode()) for word in (stdin, tool, *arguments))
        late = threading.Timer(self._timeout_s, self._process.kill)
        late.start()
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
            head = self._process.stdout.readline()
            assert head, f"the Java machine ended ({self._process.poll()}), or {tool} took over {self._timeout_s:g} s"
            code, out_size, error_size = map(int, head.split())
            out = self._process.stdout.read(out_size).decode()
            err = self._process.stdout.read(error_size).decode()
        finally:
            late.cancel()
        assert code == 0 or not check, f"{tool} ended with {code}\n--- stdout\n{out}\n--- stderr\n{err}"
        return subprocess.CompletedProcess([tool, *arguments], code, out, err)
