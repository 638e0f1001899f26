"""`ottla serve`: what it says, what it refuses, how it ends."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import ottla as package
import pytest
from support.broker import BrokerProcess, environment, free_fixed_port
from support.command_line import ottla


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("--set", "num.partitions=abc"),
            "ottla: --set: Invalid value abc for configuration num.partitions: Not a number of type INT",
        ),
        (
            ("--set", "num.partition=4"),
            "ottla: --set: num.partition is not a setting of Kafka or Ottla; did you mean num.partitions?",
        ),
        (("--set", "num.partitions"), "ottla: --set num.partitions: write it as --set KEY=VALUE"),
        (("--config", "absent.properties"), "ottla: cannot read absent.properties: No such file or directory"),
        (
            ("--data", ""),
            "ottla: --data: Configuration 'log.dirs' must not be empty. Valid values include: any non-empty value",
        ),
        (("--host", "a b"), "ottla: Unable to parse PLAINTEXT://a b:9092 to a broker endpoint"),
    ],
)
def test_what_is_wrongly_configured_is_one_line_and_exit_code_2(arguments: tuple[str, ...], line: str) -> None:
    result = ottla("serve", *arguments)

    assert (result.exit_code, result.out, result.err) == (2, "", line + "\n")


def test_a_wrong_variable_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTLA_LOG_RETENTION_HOURS", "soon")

    result = ottla("serve")

    assert result.exit_code == 2
    assert result.err.startswith("ottla: OTTLA_LOG_RETENTION_HOURS: Invalid value soon")


def test_it_says_where_it_listens_where_the_data_is_and_what_to_type_next(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, {"num.io.threads": "3", "process.roles": "broker"}) as broker:
        ignored, started, hint = broker.output.splitlines()

        assert "ignored: num.io.threads, process.roles" in ignored
        assert f"Ottla {package.__version__} listens on PLAINTEXT://{broker.bootstrap};" in started
        assert re.search(rf"data in {tmp_path / 'data'}, 0 partitions; ready in \d+\.\d\d s$", started)
        assert hint.endswith(f"topics create hello --bootstrap-server {broker.bootstrap}")


def test_sigterm_and_sigint_stop_it_cleanly(tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path)
    for number in (signal.SIGTERM, signal.SIGINT):
        broker.start()
        broker.signal(number)

        assert broker.wait(timeout_s=60) == 0
        assert broker.output.splitlines()[-1].endswith("stopped")
        assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


WITH_A_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Runs what follows as a terminal does, also where the tests themselves run under nohup."""


def test_a_terminal_that_is_closed_stops_it_cleanly_however_often_it_says_so(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, prefix=(sys.executable, "-c", WITH_A_TERMINAL)) as broker:
        broker.signal(signal.SIGHUP)
        broker.signal(signal.SIGHUP)

        assert broker.wait(timeout_s=60) == 0
        assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


def test_under_nohup_it_outlives_the_terminal(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, prefix=("nohup",)) as broker:
        broker.signal(signal.SIGHUP)
        broker.wait_until_it_answers(timeout_s=60)

        assert broker.stop() == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_it_runs_and_stops_cleanly_whichever_standard_stream_is_closed(tmp_path: Path, closed: str) -> None:
    with BrokerProcess(tmp_path, prefix=("sh", "-c", f'exec "$@" {closed}', "sh")) as broker:
        assert broker.stop() == 0
        assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is Linux's")
def test_it_takes_more_connections_than_the_soft_limit_of_open_files(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, prefix=("prlimit", "--nofile=64:1024")) as broker, contextlib.ExitStack() as held:
        for _ in range(100):
            held.enter_context(socket.create_connection(("127.0.0.1", broker.port), timeout=60))

        broker.wait_until_it_answers(timeout_s=60)


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is Linux's")
def test_connections_that_no_open_file_is_left_for_are_refused_and_said_to_be(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, prefix=("prlimit", "--nofile=64:64")) as broker:
        with contextlib.ExitStack() as held:
            for _ in range(60):
                held.enter_context(socket.create_connection(("127.0.0.1", broker.port), timeout=60))
            refused = held.enter_context(socket.create_connection(("127.0.0.1", broker.port), timeout=60))
            assert refused.recv(1) == b""
        broker.wait_until_it_answers(timeout_s=60)

        assert broker.stop() == 0
        assert "the limit of open files (ulimit -n) has room for 8 connections" in broker.output


@pytest.mark.parametrize("host", ["nowhere.invalid", "[nowhere.invalid]"])
def test_a_host_that_nobody_knows_is_named_also_in_the_brackets_of_an_ipv6_address(tmp_path: Path, host: str) -> None:
    ended = start_and_wait("--data", str(tmp_path), "--host", host, "--port", "0")

    assert ended.returncode == 1
    assert ended.stderr.startswith("ottla: cannot start: ")
    assert ended.stderr.endswith(": 'nowhere.invalid'\n")


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is Linux's")
def test_where_there_is_no_room_to_begin_with_is_named(tmp_path: Path) -> None:
    ended = start_and_wait("--data", str(tmp_path), "--port", "0", prefix=("prlimit", "--fsize=0"))

    assert (ended.returncode, ended.stderr) == (1, f"ottla: cannot start: File too large: {tmp_path}\n")


def test_a_second_broker_on_the_same_data_is_refused_naming_the_first(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        second = start_and_wait("--data", str(tmp_path / "data"), "--port", "0")

        assert second.returncode == 1
        assert second.stderr.startswith(f"ottla: {tmp_path / 'data'} is in use by process {broker.pid} since ")
        assert second.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_said_with_what_to_do(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "first") as broker:
        second = start_and_wait("--data", str(tmp_path / "second"), "--port", str(broker.port))

        assert second.returncode == 1
        assert second.stderr.startswith("ottla: cannot listen: ")
        assert second.stderr.endswith("--port takes another port, 0 any free one\n")


def test_data_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    ended = start_and_wait("--data", str(tmp_path / "file"), "--port", "0")

    assert ended.returncode == 1
    assert ended.stderr.startswith("ottla: cannot start: ")
    assert ended.stderr.count("\n") == 1


def test_flags_go_before_the_file_and_the_log_can_be_json(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_text(f"listeners=PLAINTEXT://127.0.0.1:1\nlog.dirs={tmp_path / 'other'}\nnum.network.threads=3\n")
    port = free_fixed_port()
    command = [sys.executable, "-m", "ottla", "serve", "--config", str(file), "--port", str(port)]
    command += ["--data", str(tmp_path / "mine"), "--log-format", "json"]

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        ignored, started = (json.loads(process.stderr.readline()) for _ in range(2))
        process.terminate()
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert ignored["message"].startswith("ignored: num.network.threads")
    assert (started["level"], started["logger"]) == ("info", "cli.serving")
    assert f"PLAINTEXT://127.0.0.1:{port}; data in {tmp_path / 'mine'}" in started["message"]


def test_port_0_takes_a_free_port_and_says_which(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ottla", "serve", "--port", "0", "--data", str(tmp_path)]

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        started, hint = process.stderr.readline(), process.stderr.readline()
        address = hint.rsplit(maxsplit=1)[-1]
        listed = ottla("topics", "list", "--bootstrap-server", address)
        process.terminate()
        process.communicate(timeout=60)

    assert f"listens on PLAINTEXT://{address};" in started
    assert not address.endswith(":0")
    assert (listed.exit_code, listed.err) == (0, "")


def start_and_wait(*arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a broker that is expected to give up by itself."""
    command = [*prefix, sys.executable, "-m", "ottla", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())
