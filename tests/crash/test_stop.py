"""SIGTERM and SIGINT under load: a clean end within seconds, and nothing to recover afterwards."""

from __future__ import annotations

import contextlib
import signal
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.directories import findings
from crash.ledger import Ledger, TopicPartition
from crash.load import HastyProducer, IdempotentProducer
from crash.readback import PartitionCopy, bounds_of
from crash.requests import FETCH_VERSION, create_topic, fetch_fields
from support.broker import BrokerProcess
from support.wire import Api, Connection

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

MARKER = ".kafka_cleanshutdown"
WITHIN_S = 20
"""Seconds, on a machine that does other things too; the clients here would keep a broker that waits for them for a minute."""
ENOUGH_RECORDS = 300
PARTITIONS = [TopicPartition("stopped", index) for index in range(3)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_ends_it_cleanly_and_the_next_start_recovers_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    ledger = Ledger()
    with BrokerProcess(tmp_path, {"num.partitions": "3"}) as broker:
        assert not (broker.log_directory / MARKER).exists()
        _create_topic(broker)
        with Connection(broker.port) as idle, _fetch_that_waits(broker):
            took_s, code = _stop_under_load(broker, ledger, number)
            idle.close()
        assert code == 0, broker.output
        assert took_s < WITHIN_S
        assert "Traceback" not in broker.output
        assert (broker.log_directory / MARKER).exists()
        assert findings(broker.log_directory) == []

        broker.start()
        assert "nothing to recover" in broker.output
        assert not (broker.log_directory / MARKER).exists(), "a crash from here on would look like a clean stop"
        _must_hold(broker, ledger)


def test_after_a_kill_the_next_start_says_that_it_recovers(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        _create_topic(broker)
        broker.kill()
        assert not (broker.log_directory / MARKER).exists()
        broker.start()
        assert "nothing to recover" not in broker.output
        assert "recovered" in broker.output


def test_a_stop_does_not_wait_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        _create_topic(broker)
        with Connection(broker.port) as silent, Connection(broker.port) as half_sent:
            silent.send_bytes(b"")
            half_sent.send_bytes(struct.pack(">i", 1_000_000) + bytes(10_000))
            started = time.monotonic()
            assert broker.stop() == 0
            assert time.monotonic() - started < WITHIN_S


def _stop_under_load(broker: BrokerProcess, ledger: Ledger, number: signal.Signals) -> tuple[float, int]:
    """Seconds from the signal to the end, and the exit code."""
    loads = [
        kind(kind.__name__, broker.bootstrap, ledger, PARTITIONS, seed)
        for seed, kind in enumerate((IdempotentProducer, IdempotentProducer, HastyProducer))
    ]
    for load in loads:
        load.start()
    try:
        deadline = time.monotonic() + 60
        while ledger.count < ENOUGH_RECORDS:
            assert time.monotonic() < deadline, f"{ledger.count} records acknowledged in 60 s"
            time.sleep(0.01)
        started = time.monotonic()
        broker.signal(number)
        code = broker.wait(timeout_s=30)
        return time.monotonic() - started, code
    finally:
        for load in loads:
            load.abandon()


@contextlib.contextmanager
def _fetch_that_waits(broker: BrokerProcess) -> Iterator[None]:
    """A consumer at the end of the log that is prepared to wait for a minute."""
    with Connection(broker.port) as connection:
        waiting = threading.Thread(target=_call_until_closed, args=(connection,), daemon=True)
        waiting.start()
        yield
        waiting.join(10)


def _call_until_closed(connection: Connection) -> None:
    with contextlib.suppress(OSError, struct.error):
        fields = fetch_fields(PARTITIONS[0], 0, max_bytes=1 << 30, min_bytes=1 << 30, max_wait_ms=60_000)
        connection.call(Api.FETCH, FETCH_VERSION, **fields)


def _create_topic(broker: BrokerProcess) -> None:
    with Connection(broker.port) as connection:
        told = create_topic(connection, PARTITIONS[0].topic, partition_count=len(PARTITIONS))
    assert told["error_code"] == 0, told


def _must_hold(broker: BrokerProcess, ledger: Ledger) -> None:
    with Connection(broker.port) as connection:
        for partition, bounds in bounds_of(connection, PARTITIONS).items():
            copy = PartitionCopy(partition)
            copy.extend(connection, bounds.end)
            lost = [e for e in ledger.entries(partition, 0, ledger.marks().get(partition, 0)) if not copy.holds(e)]
            assert not lost, f"{partition}: {lost[:3]}"
