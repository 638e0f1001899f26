"""Requests with something wrong in them: whatever arrives, the broker goes on, small and without a traceback.

Each example takes a request that was recorded with Apache Kafka, spoils it (bits flipped, numbers replaced by the
ones that hurt, bytes cut out, repeated or taken from another request, the frame's length a lie), and sends it on a
connection of its own, a good request behind it.  The broker may answer, hang up, or wait for what a false length
promised, but not beyond the end of the stream; and afterwards, in the same process, it must:

- answer a good request on another connection,
- hold no more memory than BOUND_BYTES,
- have no traceback and no complaint about itself in its log,
- stop cleanly when told.

A broker lives for EXAMPLES_A_LIFE examples, then a new one takes over on a new directory, since spoiled requests
that still make sense do create topics.  `OTTLA_HEAVY=1` tries 100,000 and prints the count.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.broker import BrokerProcess
from support.wire import Api, Connection
from wire.families import families, golden_file
from wire.recording import Golden

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
EXAMPLES = 100_000 if HEAVY else 400
EXAMPLES_A_LIFE = 2_000
PATIENCE_S = 0.25
DEADLINE_S = 20.0
BOUND_BYTES = 250 << 20
HEADER_BYTES = 15
MAX_REQUEST_BYTES = 1 << 20

# Requests that, if they get through, rightly change how the broker behaves to everyone.
LEFT_OUT = {"alter_broker_configs"}
# Refused as they are; a little less, and thousands of partitions are made, over and over.
TOO_GRAND = ("partitions 10001", "two of six thousand partitions")

# Metadata v0 for a name that no topic can have, which stands at the end of the answer.
GOOD_CORRELATION = b"\x7f\x6e\x5d\x4c"
GOOD_NAME = b"no/topic"
GOOD_REQUEST = struct.pack(">ihh4shih", 24, 3, 0, GOOD_CORRELATION, -1, 1, len(GOOD_NAME)) + GOOD_NAME
GOOD_ANSWER_END = struct.pack(">h", len(GOOD_NAME)) + GOOD_NAME + struct.pack(">i", 0)

HURTFUL = [0, 1, -1, -2, 2, 127, 128, 255, 256, 32_767, -32_768, 65_535, 1_000_000, 2**31 - 1, -(2**31)]


def corpus() -> list[bytes]:
    """Every different recorded request, without its length."""
    requests = {
        recorded.request[4:]
        for name in families()
        if name not in LEFT_OUT
        for steps in Golden.read(golden_file(name)).scenarios.values()
        for recorded in steps
        if 8 < len(recorded.request) < 4_096 and not recorded.step.endswith(TOO_GRAND)
    }
    return sorted(requests)


CORPUS = corpus()


# --- the mutations -------------------------------------------------------------------------------------------


@st.composite
def spoiled_requests(draw: st.DrawFn) -> bytes:
    """A frame with its length, somewhere wrong."""
    frame = bytearray(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 2, 3, 5]))):
        if frame:
            frame = draw(st.sampled_from(MUTATIONS))(draw, frame)
    return struct.pack(">i", _length(draw, frame)) + bytes(frame)


def _length(draw: st.DrawFn, frame: bytearray) -> int:
    """The truth, mostly."""
    lie = draw(st.integers(0, 31))
    if lie == 0:
        return draw(st.sampled_from([0, -1, 1, len(frame) + 1, len(frame) + 1_000_000, 2**31 - 1, -(2**31)]))
    return max(len(frame) - 1, 0) if lie == 1 else len(frame)


def _position(draw: st.DrawFn, frame: bytearray) -> int:
    """Mostly behind the header, where there is more to go wrong than a closed connection."""
    first = HEADER_BYTES if len(frame) > HEADER_BYTES and draw(st.integers(0, 7)) else 0
    return draw(st.integers(first, len(frame) - 1))


def _flip(draw: st.DrawFn, frame: bytearray) -> bytearray:
    frame[_position(draw, frame)] ^= 1 << draw(st.integers(0, 7))
    return frame


def _replace(draw: st.DrawFn, frame: bytearray) -> bytearray:
    """A number of 1, 2, 4 or 8 bytes with one that hurts."""
    form, at = draw(st.sampled_from(["b", "h", "i", "q"])), _position(draw, frame)
    size = struct.calcsize(form)
    value = draw(st.sampled_from(HURTFUL)) & ((1 << 8 * size) - 1)
    frame[at : at + size] = value.to_bytes(size, "big")
    return frame


def _cut(draw: st.DrawFn, frame: bytearray) -> bytearray:
    at = _position(draw, frame)
    del frame[at : at + draw(st.integers(1, 40))]
    return frame


def _end(draw: st.DrawFn, frame: bytearray) -> bytearray:
    del frame[_position(draw, frame) :]
    return frame


def _repeat(draw: st.DrawFn, frame: bytearray) -> bytearray:
    at = _position(draw, frame)
    frame[at:at] = frame[at : at + draw(st.integers(1, 40))] * draw(st.integers(1, 50))
    return frame


def _splice(draw: st.DrawFn, frame: bytearray) -> bytearray:
    """From here on, another request."""
    other = draw(st.sampled_from(CORPUS))
    return frame[: _position(draw, frame)] + other[draw(st.integers(0, len(other) - 1)) :]


def _insert(draw: st.DrawFn, frame: bytearray) -> bytearray:
    at = _position(draw, frame)
    frame[at:at] = draw(st.binary(min_size=1, max_size=20))
    return frame


def _another_header(draw: st.DrawFn, frame: bytearray) -> bytearray:
    """The same body for another API or version."""
    frame[:4] = struct.pack(">hh", draw(st.sampled_from(list(Api))), draw(st.integers(0, 18)))
    return frame


MUTATIONS = [_flip, _flip, _flip, _replace, _replace, _replace, _cut, _end, _repeat, _splice, _insert, _another_header]


# --- the broker under them -----------------------------------------------------------------------------------


class Lives:
    """Brokers, one after the other; each is looked over when its life ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._broker: BrokerProcess | None = None
        self._tried_in_this_life = 0
        self.tried = 0
        self.outcomes: Counter[str] = Counter()

    def try_one(self, request: bytes) -> None:
        broker = self._broker or self._begin()
        self.outcomes[_send(broker.port, request)] += 1
        self.tried += 1
        self._tried_in_this_life += 1
        assert broker.is_running, f"the broker ended:\n{broker.output[-3000:]}"
        if self._tried_in_this_life == EXAMPLES_A_LIFE:
            self.end()

    def _begin(self) -> BrokerProcess:
        directory = Path(tempfile.mkdtemp(dir=self._directory))
        self._broker = BrokerProcess(directory, {"socket.request.max.bytes": str(MAX_REQUEST_BYTES)})
        self._broker.start()
        self._tried_in_this_life = 0
        return self._broker

    def end(self) -> None:
        """Look the broker over and stop it."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        try:
            with Connection(broker.port) as connection:
                assert connection.call(Api.METADATA, 1, topics=[])["brokers"]
            assert broker.rss_bytes < BOUND_BYTES, f"{broker.rss_bytes >> 20} MB resident"
            assert broker.stop(timeout_s=60) == 0, broker.output[-3000:]
            _look_over(broker.output)
        finally:
            broker.kill()

    def abandon(self) -> None:
        if self._broker is not None:
            self._broker.kill()


def _look_over(log: str) -> None:
    for sign in ("Traceback", " ERROR ", " CRITICAL ", "failed in the broker"):
        at = log.find(sign)
        assert at < 0, log[max(at - 500, 0) : at + 3_000]


def _send(port: int, request: bytes) -> str:
    """Send a spoiled request with a good one behind it, and say what the broker did; AssertionError if nothing.

    "answered" both, "closed" the connection, or "waited": for bytes that a false length promised, or as long as a
    fetch said it would. Then the stream ends, which it must not outlive.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as peer:
        answers = b""
        try:
            peer.sendall(request + GOOD_REQUEST)
            while not answers.endswith(GOOD_ANSWER_END) or GOOD_CORRELATION not in answers:
                chunk = peer.recv(1 << 16)
                if not chunk:
                    return "closed"
                answers += chunk
        except (ConnectionResetError, BrokenPipeError):
            return "closed"
        except TimeoutError:
            _expect_the_end(peer, request)
            return "waited"
    return "answered"


def _expect_the_end(peer: socket.socket, request: bytes) -> None:
    peer.settimeout(DEADLINE_S)
    try:
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(1 << 16):
            pass
    except ConnectionError:
        return
    except TimeoutError:
        raise AssertionError(f"outlives the end of its stream: {request.hex()}") from None


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    started = Lives(tmp_path_factory.mktemp("mutations"))
    yield started
    started.abandon()


@pytest.mark.timeout(7_200 if HEAVY else 120)
def test_a_spoiled_request_harms_nobody_else(lives: Lives, capsys: pytest.CaptureFixture[str]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],  # a broker remembers: what broke it cannot be shrunk
        suppress_health_check=list(HealthCheck),
    )
    @given(spoiled_requests())
    def spoil(request: bytes) -> None:
        lives.try_one(request)

    spoil()
    lives.end()
    with capsys.disabled():
        if HEAVY:
            print(f"\n{lives.tried:,} spoiled requests: {dict(lives.outcomes)}")
