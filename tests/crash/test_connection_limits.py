"""How many connections, from where, and for how long without a word."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from crash.floods import connections, is_closed_within
from crash.ledger import TopicPartition
from crash.requests import FETCH_VERSION, create_topic, fetch_fields
from support.broker import BrokerProcess
from support.wire import Api, Connection

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]

WITHIN_S = 30
IDLE_MS = 3000


def test_no_more_than_max_connections_and_room_again_when_one_ends(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, {"max.connections": "10"}) as broker, connections(broker.port, 9) as held:
        with Connection(broker.port) as served:
            served.call(Api.API_VERSIONS, 0)
            assert _is_refused(broker)
            served.call(Api.API_VERSIONS, 0)
            assert broker.output.count("max.connections") == 1
        held[0].close()
        _wait_until_served(broker)


def test_no_more_than_max_connections_per_ip_from_one_address(tmp_path: Path) -> None:
    settings = {"max.connections.per.ip": "5", "max.connections.per.ip.overrides": "127.0.0.2:7"}
    with BrokerProcess(tmp_path, settings) as broker:
        assert _accepted_from(broker, "127.0.0.1", 9) == 5
        assert _accepted_from(broker, "127.0.0.2", 9) == 7
        assert _accepted_from(broker, "127.0.0.3", 9) == 5


def test_an_idle_connection_is_closed_and_no_other(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, {"connections.max.idle.ms": str(IDLE_MS)}) as broker:
        with Connection(broker.port) as setting_up:
            assert create_topic(setting_up, "quiet")["error_code"] == 0
        stopping = threading.Event()
        busy_errors: list[str] = []
        busy = threading.Thread(target=_ask_again_and_again, args=(broker, stopping, busy_errors), daemon=True)
        busy.start()
        with connections(broker.port, 1) as (idle,), Connection(broker.port) as waiting:
            fields = fetch_fields(
                TopicPartition("quiet", 0), 0, max_bytes=1 << 20, min_bytes=1, max_wait_ms=2 * IDLE_MS + 500
            )
            started = time.monotonic()
            waiting.call(Api.FETCH, FETCH_VERSION, **fields)
            assert time.monotonic() - started >= 2 * IDLE_MS / 1000, "a Fetch that waits is not idle"
            assert is_closed_within(idle, WITHIN_S)
        stopping.set()
        busy.join(WITHIN_S)
        assert not busy_errors, busy_errors


def test_half_a_request_does_not_save_an_idle_connection(tmp_path: Path) -> None:
    with (
        BrokerProcess(tmp_path, {"connections.max.idle.ms": str(IDLE_MS)}) as broker,
        connections(broker.port, 2) as (half_a_size, half_a_body),
    ):
        half_a_size.send(b"\0\0")
        half_a_body.send(b"\0\0\1\0half")
        assert is_closed_within(half_a_size, WITHIN_S)
        assert is_closed_within(half_a_body, WITHIN_S)


def _is_refused(broker: BrokerProcess) -> bool:
    with connections(broker.port, 1) as (one_too_many,):
        return is_closed_within(one_too_many, WITHIN_S)


def _wait_until_served(broker: BrokerProcess) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            with Connection(broker.port, timeout_s=WITHIN_S) as connection:
                connection.call(Api.API_VERSIONS, 0)
                return
        except OSError:
            assert time.monotonic() < deadline, "refused though there is room"
            time.sleep(0.01)


def _accepted_from(broker: BrokerProcess, address: str, count: int) -> int:
    """Of so many connections from `address`, how many are served."""
    opened = [
        socket.create_connection(("127.0.0.1", broker.port), timeout=WITHIN_S, source_address=(address, 0))
        for _ in range(count)
    ]
    try:
        return sum(_is_served(peer) for peer in opened)
    finally:
        for peer in opened:
            peer.close()


def _is_served(peer: socket.socket) -> bool:
    try:
        peer.sendall(bytes.fromhex("0000000a 0012 0000 00000001 ffff"))  # ApiVersions v0
        return len(peer.recv(4)) == 4
    except ConnectionError:
        return False


def _ask_again_and_again(broker: BrokerProcess, stopping: threading.Event, errors: list[str]) -> None:
    try:
        with Connection(broker.port, timeout_s=WITHIN_S) as connection:
            while not stopping.wait(IDLE_MS / 5000):
                connection.call(Api.API_VERSIONS, 0)
    except OSError as error:
        errors.append(repr(error))
