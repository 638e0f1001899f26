"""Bytes that are no Kafka: that connection ends, with one log line, and nobody else feels anything."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from crash.floods import connections, framed, is_closed_within, send_what_it_takes
from support.broker import BrokerProcess
from support.wire import Api, Connection, request_frame

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]

WITHIN_S = 30
SEED = 20_240_611
TLS_CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("garbage")) as process:
        yield process


def _random_frames() -> dict[str, bytes]:
    """Frames of a plausible size with bytes of any kind in them."""
    chosen = random.Random(SEED)
    return {f"random frame {size}": framed(chosen.randbytes(size)) for size in (1, 7, 8, 64, 1000, 100_000)}


GARBAGE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n",
    "TLS": TLS_CLIENT_HELLO,
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "negative size": struct.pack(">i", -2),
    "size over the limit": struct.pack(">i", 100 * 1024 * 1024 + 1),
    "no header": framed(b"\0"),
    "unknown api": framed(struct.pack(">hhih", 999, 0, 1, -1)),
    "unknown version": framed(struct.pack(">hhih", Api.METADATA, 99, 1, -1)),
    "a body cut short": framed(request_frame(Api.METADATA, 1, {"topics": [{"name": "abc"}]}, correlation_id=1)[:-2]),
    "a count that cannot be": framed(struct.pack(">hhihi", Api.METADATA, 1, 1, -1, 2**31 - 1)),
    **_random_frames(),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_its_connection_with_one_line_and_no_other(broker: BrokerProcess, data: bytes) -> None:
    with Connection(broker.port) as other, connections(broker.port, 1) as (peer,):
        other.call(Api.API_VERSIONS, 0)
        name = _name_of(peer)
        send_what_it_takes(peer, data)
        assert is_closed_within(peer, WITHIN_S)
        other.call(Api.API_VERSIONS, 0)
        _wait_for_line(broker, name)
    lines = [line for line in broker.output.splitlines() if name in line]
    assert len(lines) == 1, lines
    assert "Traceback" not in broker.output


def test_a_request_before_the_garbage_is_still_answered(broker: BrokerProcess) -> None:
    with connections(broker.port, 1) as (peer,):
        send_what_it_takes(peer, framed(request_frame(Api.API_VERSIONS, 0, {}, correlation_id=7)) + b"\xff" * 64)
        peer.settimeout(WITHIN_S)
        size_bytes, correlation_id = struct.unpack(">ii", peer.recv(8, socket.MSG_WAITALL))
        assert correlation_id == 7
        assert len(peer.recv(size_bytes - 4, socket.MSG_WAITALL)) == size_bytes - 4
        assert is_closed_within(peer, WITHIN_S)


def test_a_peer_that_leaves_at_any_moment_costs_no_error(broker: BrokerProcess) -> None:
    frame = framed(request_frame(Api.METADATA, 12, {"topics": None}, correlation_id=1))
    for cut in range(0, len(frame), 3):
        with connections(broker.port, 1) as (peer,):
            send_what_it_takes(peer, frame[:cut])
            if cut % 2:  # not goodbye, but gone: a reset instead of an end
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with Connection(broker.port) as other:
        other.call(Api.API_VERSIONS, 0)
    assert "Traceback" not in broker.output
    assert "ERROR" not in broker.output


def _name_of(peer: socket.socket) -> str:
    """As the broker's log calls it."""
    host, port = peer.getsockname()
    return f"{host}:{port}"


def _wait_for_line(broker: BrokerProcess, words: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while words not in broker.output:
        assert time.monotonic() < deadline, f"no line about {words}"
        time.sleep(0.01)
