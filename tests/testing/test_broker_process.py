"""The broker that others test with: what it leaves, what it keeps, and what it says when it fails."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ottla.sync import Consumer, Producer
from ottla.testing import BrokerFailed, BrokerProcess, broker_process


def test_it_is_a_broker_and_leaves_nothing() -> None:
    with BrokerProcess() as broker:
        with Producer(broker.bootstrap_servers) as producer:
            assert producer.send_and_wait("t", b"v").offset == 0
        assert broker.directory.exists()

    assert not broker.is_running
    assert not broker.directory.exists()


def test_a_directory_that_was_given_stays_with_its_data(tmp_path: Path) -> None:
    for count in range(2):
        with BrokerProcess(tmp_path / "broker") as broker, Producer(broker.bootstrap_servers) as producer:
            assert producer.send_and_wait("t", b"v", partition=0).offset == count


def test_killed_and_started_it_has_its_data_and_its_port() -> None:
    with BrokerProcess() as broker:
        before = broker.bootstrap_servers
        with Producer(before) as producer:
            producer.send_and_wait("t", b"v")
        broker.kill()
        broker.start()

        assert broker.bootstrap_servers == before
        with Consumer("t", bootstrap_servers=before, auto_offset_reset="earliest") as consumer:
            assert consumer.getone().value == b"v"


def test_a_setting_that_cannot_be_is_said_in_the_brokers_words() -> None:
    with (
        pytest.raises(
            BrokerFailed, match=r"ended at once \(2\):\nottla: --set: Invalid value many for .* num.partitions"
        ),
        BrokerProcess(settings={"num.partitions": "many"}),
    ):
        pass


def test_values_of_settings_may_be_numbers_and_truths() -> None:
    broker = BrokerProcess(settings={"num.partitions": 3, "auto.create.topics.enable": False})

    assert broker.settings["num.partitions"] == "3"
    assert broker.settings["auto.create.topics.enable"] == "false"


def test_another_port_is_taken_when_somebody_was_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free = broker_process.free_fixed_port()
        ports = iter([taken.getsockname()[1], free])
        monkeypatch.setattr(broker_process, "free_fixed_port", lambda: next(ports))

        with BrokerProcess() as broker:
            assert broker.port == free


def test_a_port_that_was_asked_for_is_not_exchanged() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with (
            pytest.raises(BrokerFailed, match="cannot listen"),
            BrokerProcess(port=taken.getsockname()[1]),
        ):
            pass


def test_one_that_hangs_is_killed_and_said_to_hang() -> None:
    with BrokerProcess() as broker:
        broker.signal(signal.SIGSTOP)
        with pytest.raises(BrokerFailed, match=r"not stopped within 0\.1 s"):
            broker.stop(timeout_s=0.1)
        assert not broker.is_running


def test_what_was_not_started_says_so() -> None:
    with pytest.raises(BrokerFailed, match="was not started"):
        BrokerProcess().stop()


def test_a_forgotten_one_ends() -> None:
    broker = BrokerProcess()
    broker.start()
    pid = broker.pid
    del broker
    gc.collect()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_ends_with_the_script_that_started_it() -> None:
    script = "from ottla.testing import BrokerProcess; b = BrokerProcess(); b.start(); print(b.pid, b.directory)"

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)

    pid, directory = ran.stdout.split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert not Path(directory).exists()
