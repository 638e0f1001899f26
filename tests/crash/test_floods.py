"""Floods: however many peers send half of something large, or ask for much and do not read, memory stays bounded.

And meanwhile others are served.  Memory is what the kernel counts as resident (`/proc/PID/status`), its peak from
the moment before the flood.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.floods import SMALL_BUFFER_BYTES, connections, framed, send_what_it_takes
from crash.ledger import TopicPartition
from crash.requests import FETCH_VERSION, PRODUCE_VERSION, create_topic, fetch_fields, produce, produce_fields
from support.broker import BrokerProcess
from support.wire import Api, Connection, request_frame

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

MIB = 1 << 20
BUDGET_BYTES = 16 * MIB
PEERS = 300
ALLOWANCE_PER_PEER_BYTES = 64 * 1024
"""What a connection may cost besides the budget: its objects, and one small buffer."""
SLACK_BYTES = 16 * MIB
PROMPTLY_S = 30
FLOODED = TopicPartition("flooded", 0)
LARGE_RESPONSE_BYTES = 50 * MIB
STORED_BYTES = 60 * MIB


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    settings = {
        "queued.max.request.bytes": str(BUDGET_BYTES),
        "socket.request.max.bytes": str(BUDGET_BYTES),  # Kafka allows no more than the former
    }
    with BrokerProcess(tmp_path, settings) as process:
        with Connection(process.port) as connection:
            create_topic(connection, FLOODED.topic)
        _produce(process, 100)  # what is imported at first use is there before anything is measured
        yield process


def test_half_sent_large_requests_cannot_grow_memory_past_the_bound(broker: BrokerProcess) -> None:
    announcement = struct.pack(">i", 15 * MIB)
    with (
        _peak_growth(broker, most_bytes=BUDGET_BYTES + PEERS * ALLOWANCE_PER_PEER_BYTES + SLACK_BYTES),
        connections(broker.port, PEERS) as peers,
        _others_are_served(broker),
    ):
        for peer in peers:
            send_what_it_takes(peer, announcement + bytes(400_000))
        for peer in peers:  # those whose buffers were emptied since
            send_what_it_takes(peer, bytes(400_000))
        _produce(broker, 1000)
    assert "Traceback" not in broker.output


def test_requests_one_byte_short_of_whole_are_bounded_too(broker: BrokerProcess) -> None:
    """Each fits into the budget, all together do not, and none ever ends."""
    frame = framed(_produce_frame(300_000))[:-1]
    with (
        _peak_growth(broker, most_bytes=BUDGET_BYTES + PEERS * ALLOWANCE_PER_PEER_BYTES + SLACK_BYTES),
        connections(broker.port, PEERS) as peers,
        _others_are_served(broker),
    ):
        for peer in peers:
            send_what_it_takes(peer, frame)
        _produce(broker, 1000)


def test_a_large_request_gets_its_turn_though_stalled_ones_hold_the_memory(broker: BrokerProcess) -> None:
    with connections(broker.port, 20) as peers:
        for peer in peers:
            send_what_it_takes(peer, struct.pack(">i", 10 * MIB) + bytes(300_000))
        _produce(broker, 900_000, timeout_s=60)


def test_a_request_that_trickles_in_does_not_keep_the_memory_from_others_for_ever(broker: BrokerProcess) -> None:
    stopping = threading.Event()
    with connections(broker.port, 1) as (trickling,):
        send_what_it_takes(trickling, struct.pack(">i", BUDGET_BYTES - 4) + bytes(300_000))

        def trickle() -> None:
            while not stopping.wait(0.5):
                send_what_it_takes(trickling, b"x")

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        try:
            _produce(broker, 900_000, timeout_s=60)
        finally:
            stopping.set()
            thread.join()


def test_readers_that_ask_for_much_and_do_not_read_cost_little(broker: BrokerProcess) -> None:
    for _ in range(STORED_BYTES // 900_000 + 1):
        _produce(broker, 900_000)
    peers_count = 100
    most_bytes = peers_count * (MIB // 2) + SLACK_BYTES
    with (
        _peak_growth(broker, most_bytes=most_bytes),
        connections(broker.port, peers_count, receive_buffer_bytes=SMALL_BUFFER_BYTES) as peers,
        _others_are_served(broker),
    ):
        for peer in peers:
            send_what_it_takes(peer, framed(_fetch_frame()) * 3)
        _produce(broker, 1000)
        assert _size_of_answer(peers[0]) > LARGE_RESPONSE_BYTES - 2 * MIB, "once it reads, it gets it all"


def test_answers_that_nobody_reads_are_not_heaped_up(broker: BrokerProcess) -> None:
    question = framed(request_frame(Api.API_VERSIONS, 3, {}, correlation_id=1))
    with (
        _peak_growth(broker, most_bytes=20 * ALLOWANCE_PER_PEER_BYTES + SLACK_BYTES + BUDGET_BYTES),
        connections(broker.port, 20, receive_buffer_bytes=SMALL_BUFFER_BYTES) as peers,
        _others_are_served(broker),
    ):
        for _ in range(20):
            for peer in peers:
                send_what_it_takes(peer, question * 2000)


def test_connections_that_come_and_go_leave_nothing_behind(broker: BrokerProcess) -> None:
    before = _descriptor_count(broker)
    for _ in range(10):
        with connections(broker.port, 100) as peers:
            for peer in peers:
                send_what_it_takes(peer, struct.pack(">i", 1000) + b"half")
    deadline = time.monotonic() + PROMPTLY_S
    while _descriptor_count(broker) > before + 2:
        assert time.monotonic() < deadline, f"{_descriptor_count(broker)} descriptors, {before} before"
        time.sleep(0.05)
    _produce(broker, 100)


# --- measuring ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _peak_growth(broker: BrokerProcess, *, most_bytes: int) -> Iterator[None]:
    """Resident memory may grow by at most so much in here."""
    broker.forget_peak_rss()
    before = broker.rss_bytes
    yield
    growth = broker.peak_rss_bytes - before
    print(f"grew by {growth / MIB:.1f} MiB of {most_bytes / MIB:.1f} allowed")
    assert growth <= most_bytes, f"grew by {growth / MIB:.1f} MiB, {most_bytes / MIB:.1f} are allowed"


@contextlib.contextmanager
def _others_are_served(broker: BrokerProcess) -> Iterator[None]:
    """A client that asks and produces little, all the while, on a connection of its own."""
    stopping = threading.Event()
    slowest_s = 0.0
    errors: list[str] = []

    def be_served() -> None:
        nonlocal slowest_s
        with Connection(broker.port, timeout_s=PROMPTLY_S) as connection:
            while not stopping.wait(0.05):
                started = time.monotonic()
                try:
                    _produce_on(connection, 100)
                except (OSError, struct.error, AssertionError) as error:
                    errors.append(repr(error))
                    return
                slowest_s = max(slowest_s, time.monotonic() - started)

    thread = threading.Thread(target=be_served, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(2 * PROMPTLY_S)
    print(f"others waited {slowest_s * 1000:.0f} ms at most")
    assert not errors, f"others were not served: {errors}"


def _descriptor_count(broker: BrokerProcess) -> int:
    return len(os.listdir(f"/proc/{broker.pid}/fd"))


# --- requests -----------------------------------------------------------------------------------------------


def _produce(broker: BrokerProcess, value_bytes: int, *, timeout_s: float = PROMPTLY_S) -> None:
    with Connection(broker.port, timeout_s=timeout_s) as connection:
        _produce_on(connection, value_bytes)


def _produce_on(connection: Connection, value_bytes: int) -> None:
    told = produce(connection, FLOODED, [bytes(value_bytes)], acks=1)
    assert told["error_code"] == 0, told


def _produce_frame(value_bytes: int) -> bytes:
    fields = produce_fields(FLOODED, [bytes(value_bytes)], acks=1)
    return request_frame(Api.PRODUCE, PRODUCE_VERSION, fields, correlation_id=1)


def _fetch_frame() -> bytes:
    fields = fetch_fields(FLOODED, 0, max_bytes=LARGE_RESPONSE_BYTES)
    return request_frame(Api.FETCH, FETCH_VERSION, fields, correlation_id=1)


def _size_of_answer(peer: socket.socket) -> int:
    """Read one answer to its end."""
    peer.settimeout(PROMPTLY_S)
    stream = peer.makefile("rb")
    (size_bytes,) = struct.unpack(">i", stream.read(4))
    left = size_bytes
    while left:
        data = stream.read(min(left, MIB))
        assert data, f"the answer of {size_bytes} bytes is cut short by {left}"
        left -= len(data)
    return size_bytes
