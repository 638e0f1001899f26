"""Apache Kafka 4.3.1 itself, for tests that compare with it or use its tools.

Needs Java 17 and, the first time, Maven: `apache-kafka/pom.xml` beside this file names what is wanted, Maven
fetches it into its own repository, and the resolved class path is kept in the user's cache
(`$XDG_CACHE_HOME/ottla-tests` or `~/.cache/ottla-tests`), one file per content of the pom.  Nothing of it is
part of the package.

How to use it in a test:

    from support.apache_kafka import ApacheKafka, needs_java, run_tool

    @needs_java                                       # marks `java`; skips, saying why, when it cannot run
    def test_their_tool_reads_our_log(tmp_path):
        dump = run_tool("org.apache.kafka.tools.DumpLogSegments", "--files", str(log), "--deep-iteration")
        assert "isvalid: true" in dump.stdout

    @needs_java
    def test_their_directory_opens_here(tmp_path):
        with ApacheKafka(tmp_path / "kafka", {"log.segment.bytes": "1048576"}) as kafka:
            ...                                       # kafka.bootstrap is "127.0.0.1:PORT"
        open_directory(kafka.log_directory)           # stopped cleanly; <topic>-<partition> folders inside

A tool costs about a second, a broker about four (formatting its storage included) and 400 MB.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ottla.testing.broker_process import die_with_parent

Test = Callable[..., Any]

KAFKA_VERSION = "4.3.1"
POM = Path(__file__).parent / "apache-kafka" / "pom.xml"
CLUSTER_ID = "T3R0bGEtcmVmZXJlZS0wMQ"  # 16 bytes in URL-safe base64, as Kafka wants it
JAVA_MAJOR_AT_LEAST = 17

# One node, everything replicated once; no wait for further members before a group's first rebalance.
BASE_SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
}

# Without eligible leader replicas (KIP-966), with which formatting also sets min.insync.replicas for the cluster,
# so that every topic would tell of a setting that nobody made.
FEATURES = ("--feature", "eligible.leader.replicas.version=0")

# A short life on a shared machine: no second compiler tier, one collector thread.
JVM_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


# --- is it here? ------------------------------------------------------------------------------------------


@functools.cache
def why_java_is_absent() -> str | None:
    """None when tests that need Java can run, else the reason in words."""
    java = shutil.which("java")
    if java is None:
        return "no java on the PATH"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    major = _java_major(said)
    if major is None or major < JAVA_MAJOR_AT_LEAST:
        return f"java is {major or 'of unknown version'}, {JAVA_MAJOR_AT_LEAST} is needed"
    if not _class_path_file().exists() and shutil.which("mvn") is None:
        return "no mvn on the PATH, and Apache Kafka's class path was never resolved here"
    return None


def java_present() -> bool:
    return why_java_is_absent() is None


def needs_java(test: Test) -> Test:
    """Decorator: the `java` marker, and a skip with the reason where Apache Kafka cannot run."""
    import pytest  # not above: the benchmarks start brokers without it

    reason = why_java_is_absent()
    marked: Test = pytest.mark.java(pytest.mark.skipif(reason is not None, reason=reason or "")(test))
    return marked


def _java_major(version_output: str) -> int | None:
    """`openjdk version "17.0.15" 2025-04-15` -> 17; `java version "1.8.0_392"` -> 1."""
    _, _, rest = version_output.partition('version "')
    digits = rest.partition(".")[0].partition('"')[0].partition("-")[0]
    return int(digits) if digits.isdigit() else None


# --- class path and tools ---------------------------------------------------------------------------------


@functools.cache
def class_path() -> str:
    """Class path of the broker and its tools; the first call ever asks Maven (and so the network)."""
    file = _class_path_file()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}")  # several test workers may resolve at once
        subprocess.run(
            [
                str(shutil.which("mvn")),
                "-q",
                "-B",
                "-f",
                str(POM),
                "dependency:build-classpath",
                "-DincludeScope=runtime",
                f"-Dmdep.outputFile={part}",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        part.replace(file)
    return file.read_text().strip()


def _class_path_file() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ottla-tests" / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}.classpath"


def java_command(
    main_class: str, *arguments: str, heap: str = "256m", jvm_flags: Sequence[str] = JVM_FLAGS
) -> list[str]:
    """The command line that runs one of Kafka's classes, for those who start the process themselves."""
    return ["java", f"-Xmx{heap}", *jvm_flags, "-cp", class_path(), main_class, *arguments]


def run_tool(
    main_class: str,
    *arguments: str,
    stdin: str | None = None,
    timeout_s: float = 100,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run one of Kafka's tools to its end, e.g. `org.apache.kafka.tools.TopicCommand`.

    Its output is in `.stdout` and `.stderr`.  Failure is an AssertionError with both, unless not `check`.
    """
    done = subprocess.run(
        java_command(main_class, *arguments),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{main_class} ended with {done.returncode}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
        )
    return done


# --- a broker ---------------------------------------------------------------------------------------------


class ApacheKafka:
    """One KRaft node (broker and controller) on free ports of 127.0.0.1, its data under `directory`.

    A context manager; `start` and `stop` may also be called by hand, and `start` again after `stop` goes on
    with the same data and the same port.  `settings` are server properties laid over BASE_SETTINGS.  Where
    `setpriv` exists (Linux) the JVM dies with the test process, however that ends.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        heap: str = "512m",
        jvm_flags: Sequence[str] = JVM_FLAGS,
    ) -> None:
        self.directory = directory
        self.log_directory = directory / "data"
        self.port, self._controller_port = free_ports(2)
        self._settings = dict(settings or {})
        self._heap = heap
        self._jvm_flags = (*jvm_flags, f"-Djava.io.tmpdir={directory}")  # what a kill leaves goes with the directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What the JVM printed."""
        return self._output_file.read_text(errors="replace") if self._output_file.exists() else ""

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def __enter__(self) -> ApacheKafka:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, timeout_s: float = 60) -> None:
        """Format the storage if it is new, start the node; return when it answers and lists itself."""
        assert self._process is None, "already started"
        properties = self.format()
        command = [*die_with_parent(), *self._java_command("kafka.Kafka", str(properties))]
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        self._wait_until_it_answers(time.monotonic() + timeout_s)

    def format(self) -> Path:
        """Write the properties, whose path is returned, and format the storage if it is new."""
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        if not (self.log_directory / "meta.properties").exists():
            run_tool("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties), *FEATURES)
        return properties

    def stop(self, *, timeout_s: float = 30) -> None:
        """Clean shutdown; after `timeout_s` a hard kill.  Returns when the process is gone."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """No clean shutdown: what a crash leaves."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _java_command(self, main_class: str, *arguments: str) -> list[str]:
        return java_command(main_class, *arguments, heap=self._heap, jvm_flags=self._jvm_flags)

    @property
    def _output_file(self) -> Path:
        return self.directory / "output.txt"

    def _write_properties(self) -> Path:
        settings = {
            **BASE_SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": self.log_directory.as_posix(),
            **self._settings,
        }
        file = self.directory / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return file

    def _wait_until_it_answers(self, deadline: float) -> None:
        assert self._process is not None
        while not _broker_is_registered(self.port):
            if self._process.poll() is not None:
                raise AssertionError(f"Apache Kafka ended at once:\n{self.output}")
            if time.monotonic() > deadline:
                raise AssertionError(f"Apache Kafka does not answer:\n{self.output}")
            time.sleep(0.05)  # another process's start-up has no event to wait for


def _broker_is_registered(port: int) -> bool:
    """Ask Metadata v1 for no topics: a node that is still fenced does not list itself."""
    request = struct.pack(">hhihi", 3, 1, 7, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(struct.pack(">i", len(request)) + request)
            stream = peer.makefile("rb")
            (size_bytes,) = struct.unpack(">i", stream.read(4))
            _correlation_id, brokers = struct.unpack_from(">ii", stream.read(size_bytes))
            return bool(brokers > 0)
    except (OSError, struct.error):
        return False


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on just now (all held at once while choosing, so they differ)."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
